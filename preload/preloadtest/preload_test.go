// Package preloadtest tests libstek-preload.so in small programs that know
// nothing of it. Package interop does in real servers.
package preloadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

var compileOnce = sync.OnceValue(func() error {
	out, err := exec.Command("gcc", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
		"-Wno-deprecated-declarations", "-o", filepath.Join(scratch, "host"), "src/host.c",
		"-lssl", "-lcrypto", "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// host is the compiled program.
func host(t *testing.T) string {
	t.Helper()
	require.NoError(t, compileOnce())
	return filepath.Join(scratch, "host")
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
	return start(t, nil, made(t, "stek"), append([]string{"run", "--", host(t)}, args...)...)
}

// bare runs the program with the two variables that start an agent.
func bare(t *testing.T, args ...string) result {
	t.Helper()
	return start(t, []string{
		"LD_PRELOAD=" + made(t, "libstek-preload.so"),
		"STEK_STORE=memory:",
		"STEK_AGENT=" + made(t, "stek"),
	}, host(t), args...)
}

// withTable runs the program with a table.
func withTable(t *testing.T, table string, args ...string) result {
	t.Helper()
	return start(t, []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_TABLE=" + table}, host(t), args...)
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

func TestAgentOfABareServerEndsWithIt(t *testing.T) {
	running := func() string {
		var found []string
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, file := range commands {
			if line, _ := os.ReadFile(file); bytes.Contains(line, []byte("--lifeline-fd=")) && bytes.Contains(line, []byte("7h")) {
				found = append(found, file)
			}
		}
		return strings.Join(found, " ")
	}
	environ := []string{"LD_PRELOAD=" + made(t, "libstek-preload.so"), "STEK_STORE=memory:?rotation=7h", "STEK_AGENT=" + made(t, "stek")}
	requireNoError(t, start(t, environ, host(t), "forks"))
	require.Eventually(t, func() bool { return running() == "" }, patience, 10*time.Millisecond, running())
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
	forAll := filepath.Join(folder, "for-all")
	require.NoError(t, os.Mkdir(forAll, 0o755))
	require.NoError(t, os.Chmod(forAll, 0o777|os.ModeSticky))
	planted := filepath.Join(forAll, "planted")
	require.NoError(t, exec.Command("cp", agent(t), planted).Run())
	require.NoError(t, os.Chmod(planted, 0o600))
	require.NoError(t, os.Chown(planted, 65534, 65534))
	readable := filepath.Join(folder, "readable")
	require.NoError(t, exec.Command("cp", agent(t), readable).Run())
	require.NoError(t, os.Chmod(readable, 0o644))
	fifo := filepath.Join(folder, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o644))
	const mayBePlanted = ": others than root, this user and the folder's owner may have made it"
	const goesOn = ": this server goes on with its own ticket keys\n"
	for name, tt := range map[string]struct{ variable, says string }{
		"missing":          {"STEK_TABLE=/no/table", "stek: key table /no/table: No such file or directory" + goesOn},
		"garbage":          {"STEK_TABLE=" + garbage, "stek: key table " + garbage + ": it is no key table" + goesOn},
		"short":            {"STEK_TABLE=" + short, "stek: key table " + short + ": it is shorter than a key table" + goesOn},
		"another version":  {"STEK_TABLE=" + later, "stek: key table " + later + ": it is a key table of another version of stek" + goesOn},
		"a pipe":           {"STEK_TABLE=" + fifo, "stek: key table " + fifo + mayBePlanted + goesOn},
		"a folder":         {"STEK_TABLE=/tmp", "stek: key table /tmp" + mayBePlanted + goesOn},
		"planted":          {"STEK_TABLE=" + planted, "stek: key table " + planted + mayBePlanted + goesOn},
		"readable":         {"STEK_TABLE=" + readable, "stek: key table " + readable + mayBePlanted + goesOn},
		"relative":         {"STEK_TABLE=table", `stek: STEK_TABLE is "table", which is no absolute path` + goesOn},
		"format":           {"STEK_TABLE=/%s%n%d", "stek: key table /%s%n%d: No such file or directory" + goesOn},
		"closed files":     {"STEK_TABLE=fd:98,99", "stek: key table fd:98,99: Bad file descriptor" + goesOn},
		"no such parent":   {"STEK_TABLE=fd:98,99@1", "stek: key table fd:98,99@1: Connection refused" + goesOn},
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
