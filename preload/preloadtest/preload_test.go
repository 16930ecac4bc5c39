// Package preloadtest tests libstek-preload.so in small programs that know
// nothing of it. Package interop does in real servers.
package preloadtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	root     = "../.."
	patience = 30 * time.Second
)

// output runs a command that must succeed.
func output(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", command, args, out)
	return string(out)
}

// made is the absolute path of a file that make test has made.
func made(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "build", name))
	require.NoError(t, err)
	require.FileExists(t, path, "made by: make command")
	return path
}

var scratch string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "stek-preload-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = folder
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// compiled are the programs in src that were compiled, by name.
var compiled sync.Map

// program is a program in src, compiled.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(scratch, name)
	once, _ := compiled.LoadOrStore(name, sync.OnceValue(func() error {
		out, err := exec.Command("gcc", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
			"-Wno-deprecated-declarations", "-o", path, "src/"+name+".c",
			"-lssl", "-lcrypto", "-ldl", "-lpthread").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}))
	require.NoError(t, once.(func() error)())
	return path
}

// host is the program that does what servers do.
func host(t *testing.T) string {
	t.Helper()
	return program(t, "host")
}

// result is what a program came to.
type result struct {
	code           int // or minus the signal
	stdout, stderr string
}

// start runs a program to its end, with variables added to the environment.
func start(t *testing.T, environ []string, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience
	err := cmd.Run()
	require.NoError(t, ctx.Err(), "it hangs: %s%s", &stdout, &stderr)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		r.code = -int(status.Signal())
	}
	return r
}

// run runs the program under stek run.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runProgram(t, host(t), args...)
}

func runProgram(t *testing.T, program string, args ...string) result {
	t.Helper()
	return start(t, nil, made(t, "stek"), append([]string{"run", "--", program}, args...)...)
}

// bare runs the program with the two variables that start an agent.
func bare(t *testing.T, args ...string) result {
	t.Helper()
	return bareProgram(t, host(t), args...)
}

func bareProgram(t *testing.T, program string, args ...string) result {
	t.Helper()
	return start(t, []string{
		"LD_PRELOAD=" + made(t, "libstek-preload.so"),
		"STEK_STORE=memory:",
		"STEK_AGENT=" + made(t, "stek"),
	}, program, args...)
}

// withTable runs the program with a table.
func withTable(t *testing.T, table string, args ...string) result {
	t.Helper()
	return programWithTable(t, table, host(t), args...)
}

func programWithTable(t *testing.T, table, program string, args ...string) result {
	t.Helper()
	return start(t, []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_TABLE=" + table}, program, args...)
}

// agent starts stek agent with a table, and returns the table's path.
func agent(t *testing.T) (table string) {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "stek-test-")
	require.NoError(t, err)
	table = filepath.Join(folder, "table")
	cmd := exec.Command(made(t, "stek"), "agent", "--table", table)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(folder)
	})
	line := make([]byte, 1000)
	n, err := stderr.Read(line)
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "serving ticket keys")
	return table
}

// visits returns the key names in lines of "New 01234567" or "Reused 01234567",
// and the words.
func visits(t *testing.T, stdout string) (words, keys []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^(New|Reused) ([0-9a-f]{8})$`).FindAllStringSubmatch(stdout, -1) {
		words, keys = append(words, m[1]), append(keys, m[2])
	}
	require.NotEmpty(t, words, stdout)
	return words, keys
}

func requireNoError(t *testing.T, r result) {
	t.Helper()
	require.Zero(t, r.code, r.stdout+r.stderr)
	require.Empty(t, r.stderr)
}

func TestExportsAreTheInterposedFunctions(t *testing.T) {
	script, err := os.ReadFile(root + "/preload/libstek-preload.map")
	require.NoError(t, err)
	var named, exported []string
	for _, m := range regexp.MustCompile(`(?m)^    (SSL_\w+);$`).FindAllStringSubmatch(string(script), -1) {
		named = append(named, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^\S+ \w (\S+)$`).FindAllStringSubmatch(
		output(t, "nm", "-D", "--defined-only", made(t, "libstek-preload.so")), -1) {
		exported = append(exported, m[1])
	}
	slices.Sort(named)
	slices.Sort(exported)
	require.Equal(t, named, exported)
}

func TestNeedsNothingButLibc(t *testing.T) {
	dynamic := output(t, "readelf", "-d", made(t, "libstek-preload.so"))
	var needed []string
	for _, m := range regexp.MustCompile(`\(NEEDED\).*\[(.*)\]`).FindAllStringSubmatch(dynamic, -1) {
		needed = append(needed, m[1])
	}
	// Up to glibc 2.33 libc is three libraries. The dynamic linker, which every
	// process has that loads this, has the address of thread-local variables.
	needed = slices.DeleteFunc(needed, func(name string) bool {
		return name == "libdl.so.2" || name == "libpthread.so.0" || strings.HasPrefix(name, "ld-linux-")
	})
	require.Equal(t, []string{"libc.so.6"}, needed)
	require.Contains(t, dynamic, "BIND_NOW")
}

func TestTicketsResumeWithTheKeysOfStek(t *testing.T) {
	for way, try := range map[string]func(*testing.T, ...string) result{"run": run, "bare": bare} {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(way+" "+version, func(t *testing.T) {
				r := try(t, "serve", version)
				requireNoError(t, r)
				words, keys := visits(t, r.stdout)
				require.Equal(t, []string{"New", "Reused"}, words)
				require.Equal(t, keys[0], keys[1])
			})
		}
	}
	// Alone, every context has a key of its own.
	alone := start(t, nil, host(t), "executes-itself")
	requireNoError(t, alone)
	_, keys := visits(t, alone.stdout)
	require.NotEqual(t, keys[0], keys[2])
}

func TestCallbacksOfTheServerAreNeverCalled(t *testing.T) {
	requireNoError(t, run(t, "callbacks"))
}

func TestServerKeepsDataOfItsOwnInItsTickets(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		r := run(t, "data-of-its-own", version)
		requireNoError(t, r)
		words, _ := visits(t, r.stdout)
		require.Equal(t, []string{"New", "Reused"}, words)
	}
}

// A callback that is set past the library, by a pointer from libssl's handle, before the
// first connection is never called. That the HMAC_CTX callback is in use, which is the
// faster, shows when it is taken away: tickets are under OpenSSL's own key then.
func TestCallbackThatIsSetPastTheLibraryIsNeverCalled(t *testing.T) {
	r := run(t, "callback-past-us")
	requireNoError(t, r)
	words, names := visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused", "New", "Reused"}, words)
	require.Equal(t, names[0], names[1])
	require.NotEqual(t, names[1], names[2])
}

func TestServerHasItsAlgorithmsFromALibraryContext(t *testing.T) {
	r := run(t, "library-context")
	requireNoError(t, r)
	words, names := visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused", "New", "Reused", "New", "Reused"}, words)
	require.Equal(t, names[0], names[3], "it is the EVP callback")
	require.Equal(t, names[0], names[5])
}

func TestForkedChildrenServeAndHandNoKeysOn(t *testing.T) {
	for way, try := range map[string]func(*testing.T, ...string) result{"run": run, "bare": bare} {
		t.Run(way, func(t *testing.T) {
			r := try(t, "forks")
			requireNoError(t, r)
			words, _ := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused"}, words)
			require.Contains(t, r.stdout, "parent has 0 files of tables\n", "it has them mapped")
			require.Contains(t, r.stdout, "child has 0 files of tables\n")
		})
	}
}

func TestServerThatExecutesItselfAgainKeepsTheKeys(t *testing.T) {
	for name, r := range map[string]result{
		"run":           run(t, "executes-itself"),
		"files closed":  run(t, "executes-itself-without-files"),
		"bare":          bare(t, "executes-itself"),
		"agent's table": withTable(t, agent(t), "executes-itself-without-files"),
	} {
		t.Run(name, func(t *testing.T) {
			requireNoError(t, r)
			words, keys := visits(t, r.stdout)
			require.Len(t, words, 4)
			require.Equal(t, keys[0], keys[2])
		})
	}
}

func TestBareStartLeavesNoChildToTheServer(t *testing.T) {
	r := bare(t, "no-child")
	requireNoError(t, r)
	require.Contains(t, r.stdout, "no child\n")
}

// agentsOf are the process numbers of the agents that were started for a store.
func agentsOf(t *testing.T, store string) []int {
	t.Helper()
	var found []int
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range commands {
		line, _ := os.ReadFile(file)
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if bytes.Contains(line, []byte("--lifeline-fd=")) && bytes.Contains(environ, []byte("STEK_STORE="+store+"\x00")) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			require.NoError(t, err)
			found = append(found, pid)
		}
	}
	return found
}

// An agent that has died is replaced at the next context, also if another process has
// taken the name of its socket, which everybody sees.
func TestAgentThatHasDiedIsReplaced(t *testing.T) {
	const store = "memory:?rotation=5h"
	cmd := exec.CommandContext(t.Context(), host(t), "outlives-its-agent")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+made(t, "libstek-preload.so"), "STEK_STORE="+store, "STEK_AGENT="+made(t, "stek"))
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewReader(out)
	var before string
	for !strings.Contains(before, "@") {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		before += line
	}
	agents := agentsOf(t, store)
	require.Len(t, agents, 1)
	require.NoError(t, syscall.Kill(agents[0], syscall.SIGKILL))
	require.Eventually(t, func() bool { return len(agentsOf(t, store)) == 0 }, patience, 10*time.Millisecond)
	name := regexp.MustCompile("@([0-9a-f]{16})").FindStringSubmatch(before)[1]
	var taken net.Listener
	require.Eventually(t, func() bool { // once the kernel has ended it
		var err error
		taken, err = net.Listen("unix", "@stek-table/"+name)
		return err == nil
	}, patience, 10*time.Millisecond)
	defer taken.Close()

	_, err = io.WriteString(stdin, "\n")
	require.NoError(t, err)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	words, keys := visits(t, before+string(rest))
	require.Equal(t, []string{"New", "Reused", "New", "Reused"}, words)
	require.Equal(t, keys[2], keys[3])
	require.NotEqual(t, keys[0], keys[2], "the key of another agent")
}

func TestAgentOfABareServerEndsWithIt(t *testing.T) {
	const store = "memory:?rotation=7h"
	environ := []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_STORE=" + store, "STEK_AGENT=" + made(t, "stek")}
	requireNoError(t, start(t, environ, host(t), "forks"))
	require.Eventually(t, func() bool { return len(agentsOf(t, store)) == 0 }, patience, 10*time.Millisecond)
}

func TestTableThatIsCutOffIsNoFaultOfTheServer(t *testing.T) {
	table := agent(t)
	r := withTable(t, table, "cut-off", table)
	requireNoError(t, r)
	require.Contains(t, r.stdout, "its own fault was handled\n")
	// An OpenSSL that cannot go without a ticket gets one that nobody can open.
	require.Regexp(t, `^New [0-9a-f]{8}\nReused [0-9a-f]{8}\nNew ([0-9a-f]{8})?\nNew ([0-9a-f]{8})?\n`, r.stdout)
}

// Boot clocks of two time namespaces can be apart, and windows are measured by them.
func TestTableOfAnotherTimeNamespaceIsRefusedIfItsClocksDiffer(t *testing.T) {
	table := agent(t)
	const line = "stek: key table %s: its agent is in another time namespace, with other clocks: this server goes on with its own ticket keys\n"
	serve := func(way string, environ []string, seconds string, command ...string) (words, keys []string, stderr string) {
		r := start(t, environ, "unshare", append([]string{"--time", "--fork", "--boottime", seconds, "--monotonic", seconds}, command...)...)
		require.Zero(t, r.code, way+r.stderr)
		words, keys = visits(t, r.stdout)
		return words, keys, r.stderr
	}
	library := []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_TABLE=" + table}
	ours := withTable(t, table, "serve", "1.3")
	requireNoError(t, ours)
	_, want := visits(t, ours.stdout)
	for _, seconds := range []string{"86400", "-20", "3"} {
		// unshare itself is in our namespace: the variables are for what it executes.
		_, keys, stderr := serve("a path", nil, seconds, append(append([]string{"env"}, library...), host(t), "serve", "1.3")...)
		require.Equal(t, fmt.Sprintf(line, table), stderr, seconds)
		require.NotEqual(t, want[0], keys[0], "it has OpenSSL's own keys")
	}
	words, keys, stderr := serve("no offset", nil, "0", append(append([]string{"env"}, library...), host(t), "serve", "1.3")...)
	require.Empty(t, stderr)
	require.Equal(t, []string{"New", "Reused"}, words)
	require.Equal(t, want[0], keys[0])

	// Under stek run the table has no path.
	r := start(t, nil, made(t, "stek"), "run", "--", "unshare", "--time", "--fork", "--boottime", "3600", host(t), "serve", "1.3")
	require.Zero(t, r.code, r.stderr)
	require.Regexp(t, `^stek: key table fd:\S+: its agent is in another time namespace, with other clocks: this server goes on with its own ticket keys\n$`, r.stderr)
	words, _ = visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused"}, words, "with OpenSSL's own keys")
}

func TestFaultOfTheServerStillEndsIt(t *testing.T) {
	r := withTable(t, agent(t), "dies-of-bus-error")
	require.Equal(t, -int(syscall.SIGBUS), r.code, r.stderr)
}

func TestHandlersOfTheServerDoAsWithoutStek(t *testing.T) {
	for name, tt := range map[string]struct {
		code int
		says string
	}{
		"jumps-out":   {0, "caught 3\n"},
		"ignores":     {0, "alive\n"},
		"is-sent-one": {-int(syscall.SIGBUS), ""},
		"chains":      {0, "newer older recovered\nnewer older recovered\n"},
	} {
		t.Run(name, func(t *testing.T) {
			alone := start(t, nil, host(t), name)
			with := withTable(t, agent(t), name)
			for _, r := range []result{alone, with} {
				require.Equal(t, tt.code, r.code, r.stderr)
				require.Contains(t, r.stdout, tt.says)
			}
		})
	}
}

func TestRootMayGiveTheTableAnOwner(t *testing.T) {
	table := agent(t)
	require.NoError(t, os.Chown(table, 65534, 65534))
	r := withTable(t, table, "serve")
	requireNoError(t, r)
	words, _ := visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused"}, words)
}

// A start script may use the number of a file that it does not know it has.
func TestNumberThatIsUsedAnewIsNotWrittenTo(t *testing.T) {
	precious := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, make([]byte, 65536), 0o644))
	script := `files=${STEK_TABLE#fd:}; files=${files%@*}; keys=${files%,*}; counts=${files#*,}
eval "exec $counts<>` + precious + `"; exec "$0" serve`
	r := start(t, nil, made(t, "stek"), "run", "--", "bash", "-c", script, host(t))
	requireNoError(t, r)
	words, _ := visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused"}, words, "the table is had by asking")
	content, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 65536), content)
}

func TestServerThatComesBackAfterItsAgentGetsAnother(t *testing.T) {
	r := bare(t, "executes-itself-late")
	requireNoError(t, r)
	words, keys := visits(t, r.stdout)
	require.Equal(t, []string{"New", "Reused", "New", "Reused"}, words)
	require.Equal(t, keys[2], keys[3])
}

// ways are the three ways to run a program with stek.
func ways(t *testing.T) map[string]func(*testing.T, string, ...string) result {
	t.Helper()
	table := agent(t)
	return map[string]func(*testing.T, string, ...string) result{
		"run":  runProgram,
		"bare": bareProgram,
		"agent": func(t *testing.T, program string, args ...string) result {
			t.Helper()
			return programWithTable(t, table, program, args...)
		},
	}
}

// Once a server has a context, neither connections nor further contexts make a system
// call that OpenSSL does not make: some servers are killed for it.
func TestServerInASandboxServesAsWithoutStek(t *testing.T) {
	alone := start(t, nil, program(t, "sandbox"))
	requireNoError(t, alone)
	for way, try := range ways(t) {
		t.Run(way, func(t *testing.T) {
			r := try(t, program(t, "sandbox"))
			requireNoError(t, r)
			words, keys := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused", "New", "Reused"}, words)
			require.Equal(t, keys[0], keys[2], "the keys are stek's")
		})
	}
}

// public is a folder with stek, the library and the program, which every user can run.
func public(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "stek-public-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	for _, file := range []string{made(t, "stek"), made(t, "libstek-preload.so"), host(t)} {
		output(t, "cp", file, folder)
	}
	return folder
}

// Limits, and settings of a system, that stek could run into and the server does not:
// for a server of root, and for one that gives up root before it starts.
func TestServerRunsWithinItsLimits(t *testing.T) {
	folder := public(t)
	stek := filepath.Join(folder, "stek")
	environ := []string{"env", "LD_PRELOAD=" + filepath.Join(folder, "libstek-preload.so"), "STEK_STORE=memory:", "STEK_AGENT=" + stek}
	server := []string{filepath.Join(folder, "host"), "two-contexts"}
	users := map[string][]string{
		"root":   server,
		"daemon": append([]string{"setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"}, server...),
	}
	// Such a setting is of a process namespace, in which sh is the first process.
	memoryFiles := func(setting string) []string {
		const set = `[ ! -e /proc/sys/vm/memfd_noexec ] || echo $0 >/proc/sys/vm/memfd_noexec; "$@"; exit`
		return []string{"unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", set, setting}
	}
	const tooLarge = "stek: key table in memory: File too large: this server goes on with its own ticket keys\n"
	for name, tt := range map[string]struct {
		limited []string
		refused bool // to those who may not raise a limit: CAP_SYS_RESOURCE
	}{
		"no file":                    {[]string{"prlimit", "--fsize=0"}, true},
		"a small file":               {[]string{"prlimit", "--fsize=16384"}, true},
		"no file, a soft limit":      {[]string{"prlimit", "--fsize=0:unlimited"}, false},
		"nothing locked":             {[]string{"prlimit", "--memlock=0"}, false},
		"less locked than a table":   {[]string{"prlimit", "--memlock=16384"}, false},
		"as much locked as a table":  {[]string{"prlimit", "--memlock=40000"}, false},
		"memory that cannot execute": {memoryFiles("1"), false},
		"no memory that can execute": {memoryFiles("2"), false},
	} {
		for user, server := range users {
			check := func(way, refusal string, command ...string) {
				t.Run(strings.Join([]string{name, user, way}, ", "), func(t *testing.T) {
					t.Parallel()
					r := start(t, nil, tt.limited[0], slices.Concat(tt.limited[1:], command)...)
					said := regexp.MustCompile(`(?m)^time=.* refused=\[mlock\]\n`).ReplaceAllString(r.stderr, "") // the agent warns
					require.Equal(t, refusal, said)
					if way == "run" && refusal != "" {
						require.Equal(t, 125, r.code)
						return
					}
					require.Zero(t, r.code)
					words, keys := visits(t, r.stdout)
					require.Equal(t, []string{"New", "Reused", "New", "Reused"}, words)
					require.Equal(t, refusal == "", keys[0] == keys[2], "the key is stek's")
				})
			}
			runs, serves := "", ""
			if tt.refused && !mayRaiseLimits(t) {
				runs = "stek: make shared key table: file too large\n"
			}
			if tt.refused && (user != "root" || !mayRaiseLimits(t)) {
				serves = tooLarge
			}
			check("run", runs, slices.Concat([]string{stek, "run", "--"}, server)...)
			check("bare", serves, slices.Concat(environ, server)...)
		}
	}
}

// A server has what it may lock for itself.
func TestServerLocksWhatItMayAlone(t *testing.T) {
	folder, table := public(t), agent(t)
	require.NoError(t, os.Chmod(filepath.Dir(table), 0o755))
	require.NoError(t, os.Chown(table, 1, 1))
	stek, server := filepath.Join(folder, "stek"), filepath.Join(folder, "host")
	limited := []string{"setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", "prlimit", "--memlock=40000", server, "locks-memory"}
	library := "LD_PRELOAD=" + filepath.Join(folder, "libstek-preload.so")
	for way, command := range map[string][]string{
		"alone": limited,
		"run":   slices.Concat([]string{"prlimit", "--memlock=40000", stek, "run", "--"}, limited),
		"bare":  slices.Concat([]string{"env", library, "STEK_STORE=memory:", "STEK_AGENT=" + stek}, limited),
		"agent": slices.Concat([]string{"env", library, "STEK_TABLE=" + table}, limited),
	} {
		t.Run(way, func(t *testing.T) {
			r := start(t, nil, command[0], command[1:]...)
			require.Zero(t, r.code, r.stderr)
			_, keys := visits(t, r.stdout)
			require.Equal(t, way != "alone", keys[0] == keys[2], "the key is stek's")
			require.Contains(t, r.stdout, "locked\n")
		})
	}
}

// mayRaiseLimits reports whether root may raise limits here: CAP_SYS_RESOURCE.
func mayRaiseLimits(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	var effective uint64
	_, err = fmt.Sscanf(regexp.MustCompile(`CapEff:\s*[0-9a-f]+`).FindString(string(status)), "CapEff: %x", &effective)
	require.NoError(t, err)
	return effective&(1<<24) != 0
}

// What is wrong is told to the standard error that the server was started with, if
// somebody reads it, and to nothing else.
func TestLineOfStekGoesToTheStandardErrorAlone(t *testing.T) {
	environ := append(os.Environ(), "LD_PRELOAD="+made(t, "libstek-preload.so"), "STEK_TABLE=/no/table")
	const line = "stek: key table /no/table: No such file or directory: this server goes on with its own ticket keys\n"
	serve := func(t *testing.T, stderr *os.File, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience/3)
		defer cancel()
		var stdout bytes.Buffer
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env, cmd.Stdout, cmd.Stderr = environ, &stdout, stderr
		require.NoError(t, cmd.Run(), "it ended, or hung")
		words, _ := visits(t, stdout.String())
		require.Equal(t, []string{"New", "Reused"}, words)
	}
	file := func(t *testing.T) *os.File {
		t.Helper()
		f, err := os.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	content := func(t *testing.T, f *os.File) string {
		t.Helper()
		text, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		return string(text)
	}
	t.Run("a file", func(t *testing.T) {
		f := file(t)
		serve(t, f, host(t), "serve")
		require.Equal(t, line, content(t, f))
	})
	t.Run("a file at its limit", func(t *testing.T) {
		f := file(t)
		serve(t, f, "prlimit", "--fsize=0", host(t), "serve")
		require.Empty(t, content(t, f))
	})
	t.Run("another file by now", func(t *testing.T) {
		f, data := file(t), file(t)
		serve(t, f, host(t), "loses-stderr", data.Name())
		require.Equal(t, "data", content(t, data))
		require.Empty(t, content(t, f))
	})
	t.Run("a pipe that nobody reads", func(t *testing.T) {
		read, write, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, read.Close())
		defer write.Close()
		serve(t, write, host(t), "serve")
	})
	t.Run("a pipe that is full", func(t *testing.T) {
		read, write, err := os.Pipe()
		require.NoError(t, err)
		defer read.Close()
		defer write.Close()
		require.NoError(t, write.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		_, err = write.Write(make([]byte, 1<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		serve(t, write, host(t), "serve")
	})
	t.Run("a terminal that stops what writes to it in the background", func(t *testing.T) {
		f := file(t)
		cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command",
			"stty tostop; set -m; "+host(t)+" serve >"+f.Name()+" & wait $!", "/dev/null")
		cmd.Env, cmd.Stdin = environ, strings.NewReader("")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), strings.TrimSpace(line))
		words, _ := visits(t, content(t, f))
		require.Equal(t, []string{"New", "Reused"}, words)
	})
	t.Run("a socket whose other end is closed", func(t *testing.T) {
		ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		require.NoError(t, err)
		require.NoError(t, syscall.Close(ends[0]))
		end := os.NewFile(uintptr(ends[1]), "socket")
		defer end.Close()
		serve(t, end, host(t), "serve")
	})
}

// The agent of a bare server writes no line into a file of the server's either.
func TestAgentOfABareServerHasNoFileOfTheServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, []string{
		"LD_PRELOAD=" + made(t, "libstek-preload.so"),
		"STEK_STORE=redis:", // of which the agent says that it has none
		"STEK_AGENT=" + made(t, "stek"),
	}, host(t), "loses-stderr", data)
	requireNoError(t, r)
	content, err := os.ReadFile(data)
	require.NoError(t, err)
	require.Equal(t, "data", string(content))
}

// Some servers have a dlopen of their own, to notice what comes into the process.
func TestServerWithADlopenOfItsOwnSeesNoCall(t *testing.T) {
	alone := start(t, nil, program(t, "own_dlopen"))
	requireNoError(t, alone)
	require.Contains(t, alone.stdout, "\n1 calls\n", "its own")
	for way, try := range ways(t) {
		t.Run(way, func(t *testing.T) {
			r := try(t, program(t, "own_dlopen"))
			requireNoError(t, r)
			require.Contains(t, r.stdout, "\n1 calls\n")
			words, _ := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused"}, words)
		})
	}
}

func TestServerCannotWriteKeys(t *testing.T) {
	table := agent(t)
	for name, r := range map[string]result{
		"bare": bare(t, "cannot-write-keys"),
		"path": withTable(t, table, "cannot-write-keys", table),
	} {
		t.Run(name, func(t *testing.T) {
			requireNoError(t, r)
			require.Equal(t, "1 refused\n", r.stdout)
		})
	}
}

func TestServerThatClosesAllFilesKeepsItsOwn(t *testing.T) {
	for way, try := range map[string]func(*testing.T, ...string) result{"run": run, "bare": bare} {
		t.Run(way, func(t *testing.T) {
			r := try(t, "closes-all")
			requireNoError(t, r)
			require.Contains(t, r.stdout, "its own files are as they were\n")
		})
	}
}

func TestThreadsThatMakeContextsAtOnceDoNotRace(t *testing.T) {
	sources, err := filepath.Glob(root + "/*.c")
	require.NoError(t, err)
	library, err := filepath.Glob(root + "/preload/*.c")
	require.NoError(t, err)
	threads := filepath.Join(scratch, "threads")
	output(t, "gcc", slices.Concat([]string{"-std=c11", "-O1", "-g", "-fsanitize=thread", "-Wno-deprecated-declarations", "-o", threads, "src/threads.c"},
		sources, library, []string{"-lssl", "-lcrypto", "-ldl", "-lpthread"})...)
	table := agent(t)
	bare := []string{"STEK_STORE=memory:", "STEK_AGENT=" + made(t, "stek"), "STEK_FORCE_TICKETS=1"}
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		times   int
	}{
		"agent":    {[]string{"STEK_TABLE=" + table}, nil, 1},
		"bare":     {bare, nil, 1},
		"no agent": {bare, []string{"parent-of-orphans"}, 5}, // there is but one moment for a race
	} {
		try := func(t *testing.T) {
			t.Helper()
			// The sanitizer wants its memory where it would be without randomisation.
			r := start(t, append(tt.environ, "TSAN_OPTIONS=exitcode=66"), "setarch", append([]string{"-R", threads}, tt.args...)...)
			require.Zero(t, r.code, r.stderr)
			require.NotContains(t, r.stderr, "WARNING: ThreadSanitizer")
			require.Equal(t, tt.args != nil, strings.Contains(r.stderr, "this process is the parent of all orphans"), r.stderr)
			words, keys := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused"}, words)
			if name == "agent" {
				require.Equal(t, keyIn(t, table), keys[0])
			}
		}
		t.Run(name, func(t *testing.T) {
			for range tt.times {
				try(t)
			}
		})
	}
}

func TestContextsDoNotLeak(t *testing.T) {
	r := run(t, "many-contexts")
	requireNoError(t, r)
	require.Equal(t, "no leak\n", r.stdout)
}

func TestWhatIsWrongIsOneLineAndTheServerServes(t *testing.T) {
	folder := t.TempDir()
	garbage := filepath.Join(folder, "garbage")
	require.NoError(t, os.WriteFile(garbage, bytes.Repeat([]byte("garbage "), 10000), 0o600))
	short := filepath.Join(folder, "short")
	require.NoError(t, os.WriteFile(short, []byte("short"), 0o600))
	later := filepath.Join(folder, "later")
	require.NoError(t, os.WriteFile(later, append([]byte("\xc8batkets"), make([]byte, 90000)...), 0o600))
	readable := filepath.Join(folder, "readable")
	require.NoError(t, exec.Command("cp", agent(t), readable).Run())
	require.NoError(t, os.Chmod(readable, 0o644))
	fifo := filepath.Join(folder, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o644))
	const notItsOwn = ": it is not a file of its own, or others can read or write it"
	const goesOn = ": this server goes on with its own ticket keys\n"
	for name, tt := range map[string]struct{ variable, says string }{
		"missing":          {"STEK_TABLE=/no/table", "stek: key table /no/table: No such file or directory" + goesOn},
		"garbage":          {"STEK_TABLE=" + garbage, "stek: key table " + garbage + ": it is no key table" + goesOn},
		"short":            {"STEK_TABLE=" + short, "stek: key table " + short + ": it is shorter than a key table" + goesOn},
		"another version":  {"STEK_TABLE=" + later, "stek: key table " + later + ": it is a key table of another version of stek" + goesOn},
		"a pipe":           {"STEK_TABLE=" + fifo, "stek: key table " + fifo + notItsOwn + goesOn},
		"a folder":         {"STEK_TABLE=/tmp", "stek: key table /tmp" + notItsOwn + goesOn},
		"readable":         {"STEK_TABLE=" + readable, "stek: key table " + readable + notItsOwn + goesOn},
		"relative":         {"STEK_TABLE=table", `stek: STEK_TABLE is "table", which is no absolute path` + goesOn},
		"format":           {"STEK_TABLE=/%s%n%d", "stek: key table /%s%n%d: No such file or directory" + goesOn},
		"closed files":     {"STEK_TABLE=fd:98,99", "stek: key table fd:98,99: Bad file descriptor" + goesOn},
		"no such parent":   {"STEK_TABLE=fd:98,99@1", "stek: key table fd:98,99: Connection refused" + goesOn},
		"too long":         {"STEK_TABLE=/" + strings.Repeat("x", 5000), "stek: STEK_TABLE is longer than 4095 bytes" + goesOn},
		"no agent program": {"STEK_STORE=memory:", "stek: " + "/no/stek did not start as an agent" + goesOn},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_AGENT=/no/stek", tt.variable}, host(t), "serve")
			require.Zero(t, r.code)
			words, _ := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused"}, words, "with OpenSSL's own keys")
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.Equal(t, tt.says, r.stderr)
		})
	}
}

// copyOf puts a copy of a table at path, with an owner.
func copyOf(t *testing.T, table, path string, uid int) {
	t.Helper()
	output(t, "cp", table, path)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.Chown(path, uid, uid))
}

// folderIn makes a folder with an owner, and permissions whatever the umask is.
func folderIn(t *testing.T, parent, name string, mode os.FileMode, uid int) string {
	t.Helper()
	folder := filepath.Join(parent, name)
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.Chmod(folder, mode))
	require.NoError(t, os.Chown(folder, uid, uid))
	return folder
}

// A table is taken only if root and the server's user alone decided what is at its path,
// or left that to the owner of a folder, as a service manager does.
func TestTableThatOthersMayHavePlantedIsRefused(t *testing.T) {
	const other = 65534
	table, closed := agent(t), t.TempDir()
	shared := folderIn(t, closed, "shared", 0o777|os.ModeSticky, 0)
	open := folderIn(t, closed, "open", 0o777, 0)
	link := func(target, name string) string {
		require.NoError(t, os.Symlink(target, filepath.Join(closed, name)))
		return filepath.Join(closed, name)
	}
	for name, tt := range map[string]struct {
		folder string
		uid    int
		taken  bool
	}{
		"root's":                         {folderIn(t, closed, "roots", 0o755, 0), 0, true},
		"root's, given away":             {folderIn(t, closed, "given", 0o755, 0), other, true},
		"root's, in a folder for all":    {folderIn(t, shared, "roots", 0o755, 0), 0, true},
		"a folder that was given away":   {folderIn(t, closed, "others", 0o755, other), other, true},
		"a link of root's":               {link("given2", "link"), other, true},
		"another's, in a folder for all": {shared, other, false},
		"another's folder there":         {folderIn(t, shared, "planted", 0o711, other), other, false},
		"root's file in it":              {folderIn(t, shared, "emptied", 0o711, other), 0, false},
		"an open folder":                 {open, 0, false},
		"a folder in an open one":        {folderIn(t, open, "replaceable", 0o755, 0), 0, false},
		"a link into an open one":        {link("open/replaceable2", "link-out"), 0, false},
		"a file of a third":              {folderIn(t, closed, "thirds", 0o755, other), other - 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			if target, err := os.Readlink(tt.folder); err == nil {
				folderIn(t, closed, target, 0o755, 0)
			}
			path := filepath.Join(tt.folder, "table")
			copyOf(t, table, path, tt.uid)
			r := withTable(t, path, "serve")
			require.Zero(t, r.code)
			words, keys := visits(t, r.stdout)
			require.Equal(t, []string{"New", "Reused"}, words)
			if tt.taken {
				require.Empty(t, r.stderr)
				require.Equal(t, keyIn(t, table), keys[0])
				return
			}
			require.Equal(t, "stek: key table "+path[:min(len(path), 100)]+": others than root and this user may have put it there: this server goes on with its own ticket keys\n", r.stderr)
			require.NotEqual(t, keyIn(t, table), keys[0])
		})
	}
}

// keyIn is the name of the key with which servers on a table encrypt.
func keyIn(t *testing.T, table string) string {
	t.Helper()
	r := withTable(t, table, "serve")
	requireNoError(t, r)
	_, keys := visits(t, r.stdout)
	return keys[0]
}

// Anybody can take the name of a stek that has ended, also another root. A server takes
// no table from who does not know its secret.
func TestTableOfWhoDoesNotKnowTheSecretIsRefused(t *testing.T) {
	const name, question, answer = "00112233445566ff", "0123456789abcdef", "fedcba9876543210"
	table := agent(t)
	keys, err := os.Open(table)
	require.NoError(t, err)
	defer keys.Close()
	counts, err := os.OpenFile(table+".counts", os.O_RDWR, 0)
	require.NoError(t, err)
	defer counts.Close()
	listener, err := net.Listen("unix", "@stek-table/"+name)
	require.NoError(t, err)
	defer listener.Close()
	answers := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, len(question)))
			_, _, _ = conn.(*net.UnixConn).WriteMsgUnix([]byte(<-answers), syscall.UnixRights(int(keys.Fd()), int(counts.Fd())), nil)
			_ = conn.Close()
		}
	}()
	for _, tt := range []struct {
		answer string
		taken  bool
	}{{answer, true}, {question, false}, {"x", false}, {answer[:15], false}} {
		answers <- tt.answer
		r := withTable(t, "fd:-1,-1@"+name+":"+question+answer, "serve")
		require.Zero(t, r.code)
		_, names := visits(t, r.stdout)
		if tt.taken {
			require.Empty(t, r.stderr)
			require.Equal(t, keyIn(t, table), names[0])
			continue
		}
		require.Equal(t, "stek: key table fd:-1,-1: Permission denied: this server goes on with its own ticket keys\n", r.stderr)
		require.NotEqual(t, keyIn(t, table), names[0])
	}

	// To a user namespace every user outside has the number of one who may be in it.
	answers <- answer
	folder := public(t)
	r := start(t, []string{"LD_PRELOAD=" + filepath.Join(folder, "libstek-preload.so"), "STEK_TABLE=fd:-1,-1@" + name + ":" + question + answer},
		"setpriv", "--reuid=games", "--regid=games", "--clear-groups", "unshare", "--user", "--map-user=65534", filepath.Join(folder, "host"), "serve")
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, "stek: key table fd:-1,-1: Permission denied: this server goes on with its own ticket keys\n", r.stderr)
}

func TestProgramsThatServeNobodyHearNothing(t *testing.T) {
	environ := []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_TABLE=/no/table"}
	requireNoError(t, start(t, environ, "/bin/true"))
	requireNoError(t, start(t, environ, host(t), "client-only"))
}

func TestAgentThatCannotServeItsStoreIsToldAndLetGo(t *testing.T) {
	r := start(t, []string{
		"LD_PRELOAD=" + made(t, "libstek-preload.so"),
		"STEK_STORE=redis://name:password@host",
		"STEK_AGENT=" + made(t, "stek"),
	}, host(t), "serve")
	require.Zero(t, r.code)
	require.Contains(t, r.stderr, "stek: store URI redis:..., it does not begin with a backend's name: memory:\n", "the agent's own line")
	require.Contains(t, r.stderr, "did not start as an agent: this server goes on with its own ticket keys\n")
	require.NotContains(t, r.stderr, "password")
}
