package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/internal/agent"
)

// The test program is stek itself when this is in its environment.
const beStek = "TEST_IS_STEK=1"

// preload is the library, as make test has made it.
const preload = "../../build/libstek-preload.so"

const patience = 20 * time.Second

// asks is a socket and what is said on it: the test program asks there for a table.
const asks = "TEST_ASKS"

func TestMain(m *testing.M) {
	if where := os.Getenv(asks); where != "" {
		askForTable(where)
		return
	}
	if strings.Contains(strings.Join(os.Environ(), "\n"), beStek) {
		os.Exit(Main("1.2.3", os.Args[1:]))
	}
	os.Exit(m.Run())
}

// command is stek with args.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), beStek)
	return cmd
}

// execute runs stek to its end.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// run is stek run with the library of this tree.
func run(args ...string) []string {
	return append([]string{"run", "--preload", preload}, args...)
}

// A running is a stek that goes on.
type running struct {
	*exec.Cmd
	t      *testing.T
	output string // a file with all that it prints
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), "output")
	require.NoError(t, err)
	s := &running{command(t, args...), t, output.Name()}
	s.Stdout, s.Stderr = output, output
	s.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, s.Start())
	require.NoError(t, output.Close())
	t.Cleanup(func() {
		_ = syscall.Kill(-s.Process.Pid, syscall.SIGKILL)
		_ = s.Wait()
	})
	return s
}

func (s *running) printed() string {
	text, err := os.ReadFile(s.output)
	require.NoError(s.t, err)
	return string(text)
}

// await waits until it has printed what matches pattern.
func (s *running) await(pattern string) []string {
	s.t.Helper()
	var match []string
	eventually(s.t, "it prints "+pattern, func() bool {
		match = regexp.MustCompile(pattern).FindStringSubmatch(s.printed())
		return match != nil
	}, s.printed)
	return match
}

// end sends a signal, and returns the exit code.
func (s *running) end(signal syscall.Signal) int {
	s.t.Helper()
	require.NoError(s.t, s.Process.Signal(signal))
	return s.code()
}

func (s *running) code() int {
	s.t.Helper()
	ended := make(chan struct{})
	go func() { _ = s.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		require.Fail(s.t, "it does not end", s.printed())
	}
	return s.ProcessState.ExitCode()
}

func eventually(t *testing.T, what string, holds func() bool, more ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, f := range more {
				what += "\n" + f()
			}
			require.Fail(t, "waited in vain: "+what)
		}
	}
}

// tmpfs is a folder in memory.
func tmpfs(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "stek-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// statusOfProcess is what stek status says of one process.
func statusOfProcess(t *testing.T, pid int) agent.Status {
	t.Helper()
	code, out, errs := execute(t, "status", "--json", fmt.Sprint(pid))
	require.Zero(t, code, errs)
	var all map[string][]agent.Status
	require.NoError(t, json.Unmarshal([]byte(out), &all), out)
	require.Len(t, all["agents"], 1)
	return all["agents"][0]
}

func TestRunExitsAsTheServerDoes(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(notExecutable, nil, 0o644))
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"success":          {run("--", "true"), 0, ""},
		"its code":         {run("--", "sh", "-c", "exit 42"), 42, ""},
		"a signal":         {run("--", "sh", "-c", "kill -9 $$"), 128 + 9, ""},
		"not found":        {run("--", "no-such-server"), 127, `stek: exec: "no-such-server": executable file not found in $PATH`},
		"no such path":     {run("--", "/no/such/server"), 127, `stek: exec: "/no/such/server": stat /no/such/server: no such file or directory`},
		"not executable":   {run("--", notExecutable), 126, `stek: exec: "` + notExecutable + `": permission denied`},
		"a wrong library":  {[]string{"run", "--preload", "/etc/passwd", "--", "true"}, 125, "stek: /etc/passwd is no library: bad magic number '[114 111 111 116]' in record at byte 0x0"},
		"a long group":     {run("--name-group", strings.Repeat("x", 256), "--", "true"), 2, "stek: --name-group has 256 bytes, and may have 255"},
		"no library":       {[]string{"run", "--preload", "/no/such.so", "--", "true"}, 125, "stek: libstek-preload.so is not in any of /no/such.so: give --preload"},
		"no command":       {run(), 2, "stek: requires at least 1 arg(s), only received 0"},
		"a store it lacks": {run("--store", "redis://x:secret@y", "--", "true"), 2, "stek: store URI redis:..., it does not begin with a backend's name: memory:"},
		"a bad schedule":   {run("--store", "memory:?rotation=1h&lifetime=9h", "--", "true"), 2, "stek: store URI memory:..., ticket lifetime of 9h0m0s is more than twice the rotation of 1h0m0s"},
		"a flag it lacks":  {run("--stroe", "x", "--", "true"), 2, "stek: unknown flag: --stroe"},
		"a bad address":    {run("--metrics", "nowhere", "--", "true"), 125, "stek: serve metrics: listen tcp: address nowhere: missing port in address"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, tt.args...)
			require.Equal(t, tt.code, code, stderr)
			require.Empty(t, stdout)
			require.Equal(t, tt.says, strings.TrimSuffix(stderr, "\n"), "one line")
		})
	}
}

func TestRunForwardsSignals(t *testing.T) {
	s := start(t, run("--", "sh", "-c",
		`trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; trap 'echo got WINCH' WINCH; trap 'exit 3' TERM
		echo ready; while :; do sleep 0.02; done`)...)
	s.await("ready")
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGWINCH} {
		require.NoError(t, s.Process.Signal(signal))
		s.await("got " + strings.TrimPrefix(map[syscall.Signal]string{
			syscall.SIGHUP: "SIGHUP", syscall.SIGUSR1: "SIGUSR1", syscall.SIGWINCH: "SIGWINCH"}[signal], "SIG"))
	}
	require.Equal(t, 3, s.end(syscall.SIGTERM))
}

// The server alone is the judge of what nohup, a shell or systemd make it ignore.
func TestSignalsIgnoredAtTheStartAreIgnoredByTheServer(t *testing.T) {
	for _, start := range []string{
		`exec "$@"`,
		`trap "" HUP; exec "$@"`,      // as nohup(1) does
		`trap "" INT QUIT; exec "$@"`, // as a shell does for what it puts into the background
		`trap "" PIPE; exec "$@"`,     // as systemd does
		`trap "" TERM USR1 TSTP ALRM 40; exec "$@"`,
	} {
		server := []string{"grep", "SigIgn", "/proc/self/status"}
		alone, err := exec.Command("bash", append([]string{"-c", start, "bash"}, server...)...).Output()
		require.NoError(t, err)
		cmd := exec.Command("bash", append([]string{"-c", start, "bash", os.Args[0]}, run(append([]string{"--"}, server...)...)...)...)
		cmd.Env = append(os.Environ(), beStek)
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, string(alone), string(out), start)
	}
}

// nginx reloads at a SIGHUP that it was started to ignore, and so does this one.
func TestSignalsIgnoredAtTheStartReachAServerThatHandlesThem(t *testing.T) {
	s := start(t, run("--", "bash", "-c", `trap "" HUP; exec "$@"`, "bash", os.Args[0], "run", "--preload", preload, "--",
		"python3", "-uc", "import signal; signal.signal(signal.SIGHUP, lambda *_: print('reloaded')); print('ready')\nwhile True: signal.pause()")...)
	s.await("ready")
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	s.await("reloaded")
	require.Equal(t, 128+int(syscall.SIGTERM), s.end(syscall.SIGTERM))
}

func TestRunFollowsAServerIntoTheBackground(t *testing.T) {
	s := start(t, run("--", "sh", "-c",
		`setsid sh -c "trap 'exit 7' TERM; echo daemon \$\$; while :; do sleep 0.02; done" & exit 0`)...)
	daemon := s.await(`daemon (\d+)`)[1]
	eventually(t, "the daemon becomes a child of stek", func() bool {
		stat, err := os.ReadFile("/proc/" + daemon + "/stat")
		return err == nil && strings.Fields(string(stat))[3] == fmt.Sprint(s.Process.Pid)
	})
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, s.Process.Signal(syscall.Signal(0)), "stek goes on")
	require.Equal(t, 7, s.end(syscall.SIGTERM), "the daemon got the signal, and its exit code is stek's")
}

func TestRunExitsAsTheServerNotAsWhatItLeaves(t *testing.T) {
	const loop = "while :; do sleep 0.02; done"
	const helper = `(trap '' TERM; sleep 0.5; exit 9) & `
	for name, tt := range map[string]struct {
		server string
		told   bool
		code   int
	}{
		"told to end":                             {helper + "trap 'exit 0' TERM; echo ready; " + loop, true, 0},
		"by itself":                               {helper + "exit 0", false, 0},
		"by itself, with a code":                  {"(sleep 0.1; exit 9) & sleep 0.3; exit 4", false, 4},
		"in the background, told to end":          {`setsid sh -c "` + helper + `trap 'exit 7' TERM; echo ready; ` + loop + `" & sleep 0.2`, true, 7},
		"in the background, with 0, told to end":  {`setsid sh -c "` + helper + `trap 'exit 0' TERM; echo ready; ` + loop + `" & sleep 0.2`, true, 0},
		"in the background, and it failed":        {`setsid sh -c "(trap '' TERM; sleep 0.5) & sleep 0.1; exit 3" & exit 0`, false, 3},
		"in the background, a helper ends before": {helper + `setsid sh -c "sleep 1" & sleep 0.2; exit 0`, false, 0},
		"in the background, by two steps":         {`setsid sh -c "(sleep 0.3; exit 5) & exit 0" & exit 0`, false, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, run("--", "sh", "-c", tt.server)...)
			if tt.told {
				s.await("ready")
				time.Sleep(400 * time.Millisecond) // the command has ended, if it does
				require.NoError(t, s.Process.Signal(syscall.SIGTERM))
			}
			require.Equal(t, tt.code, s.code())
		})
	}
}

func TestRunReapsOrphansAndLeavesNone(t *testing.T) {
	s := start(t, run("--", "sh", "-c",
		`for i in 1 2 3 4 5; do (sh -c 'exit 1' &); done; sleep 0.3; echo now; sleep 100`)...)
	s.await("now")
	zombies := 0
	folders, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range folders {
		stat, _ := os.ReadFile(file)
		if fields := strings.Fields(string(stat)); len(fields) > 3 && fields[3] == fmt.Sprint(s.Process.Pid) && fields[2] == "Z" {
			zombies++
		}
	}
	require.Zero(t, zombies)
	require.Equal(t, 128+int(syscall.SIGTERM), s.end(syscall.SIGTERM))
}

func TestRunDoesNotWaitLongForWhatAnEndedServerLeaves(t *testing.T) {
	const server = `trap 'exit 0' TERM; setsid sleep 60 & echo ready; while :; do sleep 0.02; done`
	for _, command := range []string{server, `setsid sh -c "` + server + `" & exit 0`} {
		s := start(t, run("--", "sh", "-c", command)...)
		s.await("ready")
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		require.Zero(t, s.end(syscall.SIGTERM))
		require.Less(t, time.Since(began), patience)
	}
}

func TestServerGetsNoSecretAndItsOwnEnvironment(t *testing.T) {
	cmd := command(t, run("--name-group", "one site", "--force-tickets", "--", "env")...)
	cmd.Env = append(cmd.Env, "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libc.so.6", "STEK_STORE=memory:", "OTHER=kept")
	out, err := cmd.Output()
	require.NoError(t, err)
	environ := "\n" + string(out)
	library, err := filepath.Abs(preload)
	require.NoError(t, err)
	require.Contains(t, environ, "\nLD_PRELOAD="+library+":/usr/lib/x86_64-linux-gnu/libc.so.6\n")
	require.Regexp(t, `\nSTEK_TABLE=fd:\d+,\d+@[0-9a-f]{16}:[0-9a-f]{32}\n`, environ)
	require.Contains(t, environ, "\nSTEK_NAME_GROUP=one site\n")
	require.Contains(t, environ, "\nSTEK_FORCE_TICKETS=1\n")
	require.Contains(t, environ, "\nOTHER=kept\n")
	require.NotContains(t, environ, "STEK_STORE")
}

// askForTable prints how many files it gets, and the answer.
func askForTable(where string) {
	name, says, _ := strings.Cut(where, ":")
	conn, err := net.Dial("unix", "@stek-table/"+name)
	if err == nil {
		_, _ = io.WriteString(conn, says)
		answer, rights := make([]byte, 100), make([]byte, 100)
		_ = conn.SetDeadline(time.Now().Add(patience))
		n, size, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(answer, rights)
		if err != nil { // closed before it had read
			n, size = 0, 0
		}
		messages, _ := syscall.ParseSocketControlMessage(rights[:size])
		files := 0
		for _, message := range messages {
			numbers, _ := syscall.ParseUnixRights(&message)
			files += len(numbers)
		}
		fmt.Printf("%d files, %q\n", files, answer[:n])
	} else {
		fmt.Println(err)
	}
}

// programs is a folder with this program and the library that every user can run.
func programs(t *testing.T) string {
	t.Helper()
	folder := tmpfs(t)
	require.NoError(t, exec.Command("cp", os.Args[0], filepath.Join(folder, "stek")).Run())
	require.NoError(t, exec.Command("cp", preload, folder).Run())
	require.NoError(t, os.Chmod(folder, 0o755))
	return folder
}

// A table is given to the user of its stek and to root, if they have the secret that is
// in the environment of its servers. The number of a user is no proof: a container may
// have a root of its own, and all users who are not mapped into a user namespace have
// one number in it.
func TestTableIsGivenToWhoHasTheSecretAlone(t *testing.T) {
	const overflow, games, daemon = "65534", 5, 1
	folder := programs(t)
	run := []string{filepath.Join(folder, "stek"), "run", "--preload", filepath.Join(folder, "libstek-preload.so"),
		"--", "sh", "-c", "echo table $STEK_TABLE; exec sleep 60"}
	mapped := append([]string{"unshare", "--user", "--map-user=" + overflow, "--map-group=" + overflow}, run...)
	for name, tt := range map[string]struct {
		stek  []string
		user  uint32 // of stek
		asker uint32
		says  func(question, answer string) string
		given bool
	}{
		"a server of root":           {run, 0, 0, func(q, _ string) string { return q }, true},
		"a server of a user":         {run, games, games, func(q, _ string) string { return q }, true},
		"root has all":               {run, games, 0, func(q, _ string) string { return q }, true},
		"root without the secret":    {run, 0, 0, func(q, a string) string { return a }, false},
		"another user":               {run, games, daemon, func(q, _ string) string { return q }, false},
		"a user who is not mapped":   {mapped, games, daemon, func(q, _ string) string { return q }, false},
		"that one has no secret":     {mapped, games, daemon, func(_, a string) string { return a }, false},
		"the user with their number": {mapped, games, games, func(q, _ string) string { return q }, false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tt.stek[0], tt.stek[1:]...)
			cmd.Env = append(os.Environ(), beStek)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.user, Gid: tt.user}, Setpgid: true}
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() }()
			var keys, counts int
			var socket string
			_, err = fmt.Fscanf(out, "table fd:%d,%d@%s\n", &keys, &counts, &socket)
			require.NoError(t, err)
			name, secret, _ := strings.Cut(socket, ":")
			require.Len(t, secret, 32)
			names, err := os.ReadFile("/proc/net/unix")
			require.NoError(t, err)
			require.Contains(t, string(names), "@stek-table/"+name)
			require.NotContains(t, string(names), secret[:16])

			ask := exec.CommandContext(t.Context(), filepath.Join(folder, "stek"))
			ask.Env = append(os.Environ(), asks+"="+name+":"+tt.says(secret[:16], secret[16:]))
			ask.Dir = "/"
			ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.asker, Gid: tt.asker}}
			got, err := ask.CombinedOutput()
			require.NoError(t, err, string(got))
			if tt.given {
				require.Equal(t, fmt.Sprintf("2 files, %q\n", secret[16:]), string(got))
			} else {
				require.Equal(t, "0 files, \"\"\n", string(got))
			}
		})
	}
}

func TestAgentGoesOnWithItsTable(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	args := []string{"agent", "--table", path, "--store", "memory:?rotation=1h"}
	first := start(t, args...)
	first.await("serving ticket keys")
	before := statusOfProcess(t, first.Process.Pid)
	require.Equal(t, "agent", before.Command)
	require.Equal(t, path, before.Tables[0].Table)
	require.Len(t, before.Tables[0].Keys, 1)

	code, _, errs := execute(t, args...)
	require.Equal(t, 1, code)
	require.Equal(t, "stek: table "+path+": another agent writes to it\n", errs)

	require.Zero(t, first.end(syscall.SIGTERM))
	second := start(t, args...)
	second.await("serving ticket keys")
	require.Equal(t, before.Tables[0].Keys, statusOfProcess(t, second.Process.Pid).Tables[0].Keys)

	require.NoError(t, second.Process.Kill())
	second.code()
	third := start(t, args...)
	third.await("serving ticket keys")
	require.Equal(t, before.Tables[0].Keys, statusOfProcess(t, third.Process.Pid).Tables[0].Keys)
	code, _, errs = execute(t, "rotate", fmt.Sprint(third.Process.Pid))
	require.Zero(t, code, errs)
	after := statusOfProcess(t, third.Process.Pid).Tables[0].Keys
	require.Len(t, after, 2)
	require.Equal(t, []string{"current", "previous"}, []string{after[0].State, after[1].State})
	require.Equal(t, before.Tables[0].Keys[0].Name, after[1].Name)
}

// Servers that have the table mapped judge its windows by their own boot clock.
func TestAgentLeavesATableOfAnotherTimeNamespaceAlone(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	first := start(t, "agent", "--table", path)
	first.await("serving ticket keys")
	before := statusOfProcess(t, first.Process.Pid).Tables[0].Keys
	require.Zero(t, first.end(syscall.SIGTERM))
	there := command(t)
	there.Args = []string{"unshare", "--time", "--fork", "--kill-child", "--boottime", "3600", "timeout", "10", os.Args[0], "agent", "--table", path}
	there.Path = "/usr/bin/unshare"
	out, err := there.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, there.ProcessState.ExitCode())
	require.Equal(t, "stek: table "+path+": map "+path+": it was written in another time namespace, with other clocks: "+
		"start the agent there, or remove the table and restart its servers\n", string(out))
	second := start(t, "agent", "--table", path)
	second.await("serving ticket keys")
	require.Equal(t, before, statusOfProcess(t, second.Process.Pid).Tables[0].Keys)
}

func TestTablesOfOneAgentHaveKeysOfTheirOwn(t *testing.T) {
	folder := tmpfs(t)
	s := start(t, "agent", "--table", folder+"/web", "--table", folder+"/mail",
		"--store", "memory:?rotation=1h", "--store", "memory:?rotation=2h",
		"--group", "daemon", "--group", "mail", "--owner", "nobody", "--mode", "0640")
	s.await("table=.*/mail")
	tables := statusOfProcess(t, s.Process.Pid).Tables
	require.Len(t, tables, 2)
	require.NotEqual(t, tables[0].Keys[0].Name, tables[1].Keys[0].Name)
	rotation := func(i int) time.Duration {
		k := tables[i].Keys[0]
		return k.NotAfter.Sub(*k.NotBefore)
	}
	require.Equal(t, 2*rotation(0), rotation(1))

	out, err := exec.Command("stat", "-c", "%n %a %U %G", folder+"/web", folder+"/web.counts", folder+"/web.lock", folder+"/mail").Output()
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll("FOLDER/web 640 nobody daemon\nFOLDER/web.counts 660 nobody daemon\nFOLDER/web.lock 600 nobody root\nFOLDER/mail 640 nobody mail\n", "FOLDER", folder), string(out))
}

func TestAgentSaysWhatIsWrong(t *testing.T) {
	folder := tmpfs(t)
	link := filepath.Join(folder, "link")
	require.NoError(t, os.Symlink("elsewhere", link))
	disk := filepath.Join(t.TempDir(), "table")
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no table":        {nil, 2, `required flag(s) "table" not set`},
		"a disk":          {[]string{"--table", disk}, 1, "table " + disk + ": it is on a disk, where keys must not be: use a folder of its own on a tmpfs, such as /run/stek"},
		"a relative path": {[]string{"--table", "x"}, 2, "table x: usage: it must be an absolute path, since servers open it from another folder"},
		"a link":          {[]string{"--table", link}, 1, "table " + link + ": open " + link + ": too many levels of symbolic links"},
		"no folder":       {[]string{"--table", folder + "/no/table"}, 1, "table " + folder + "/no/table: open " + folder + "/no: no such file or directory"},
		"a wide mode":     {[]string{"--table", folder + "/t", "--mode", "0644"}, 2, "table " + folder + "/t: usage: mode 0644 lets others at the keys, it is at most 0640"},
		"a bad mode":      {[]string{"--table", folder + "/t", "--mode", "rw"}, 2, `usage: --mode "rw" is not an octal number such as 0640`},
		"no such group":   {[]string{"--table", folder + "/t", "--group", "no-such"}, 2, "table " + folder + "/t: usage: group: unknown group no-such"},
		"too many stores": {[]string{"--table", folder + "/t", "--store", "memory:", "--store", "memory:"}, 2, "usage: 2 of --store and 1 of --table: give as many, or one for all"},
		"a bad store":     {[]string{"--table", folder + "/t", "--store", "file:/x"}, 2, "store URI file:..., it does not begin with a backend's name: memory:"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, append([]string{"agent"}, tt.args...)...)
			require.Equal(t, tt.code, code, stderr)
			require.Empty(t, stdout)
			require.Equal(t, "stek: "+tt.says, strings.TrimSuffix(stderr, "\n"), "one line")
		})
	}
	require.NoFileExists(t, disk)
}

func TestStatusIsATableOfKeysAndCounts(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	s := start(t, "agent", "--table", path)
	s.await("serving ticket keys")
	code, out, errs := execute(t, "status", fmt.Sprint(s.Process.Pid))
	require.Zero(t, code, errs)
	require.Regexp(t, `(?m)^stek agent, process \d+$`, out)
	require.Regexp(t, `(?m)^table `+path+`, store memory$`, out)
	require.Regexp(t, `(?m)^KEY +STATE +ENCRYPTS +DECRYPTS UNTIL +ISSUED +RENEWED +ACCEPTED +AS PREVIOUS$`, out)
	require.Regexp(t, `(?m)^[0-9a-f]{8}  current  .* 0 +0 +0 +0$`, out)
	require.Regexp(t, `(?m)^ +0  tickets refused: unknown key name$`, out)

	code, out, errs = execute(t, "status")
	require.Zero(t, code, errs)
	require.Contains(t, out, "table "+path)

	code, _, errs = execute(t, "status", "1")
	require.Equal(t, 1, code)
	require.Equal(t, "stek: process 1: no stek run or stek agent is running here that answers this user\n", errs)
	code, _, errs = execute(t, "status", "nginx")
	require.Equal(t, 2, code)
	require.Equal(t, "stek: \"nginx\" is not a process number\n", errs)
}

func TestStatusAnswersNobodyElse(t *testing.T) {
	s := start(t, "agent", "--table", filepath.Join(tmpfs(t), "table"))
	s.await("serving ticket keys")
	// A copy, since others may not read the folder of the test.
	program := filepath.Join(tmpfs(t), "stek")
	require.NoError(t, exec.Command("cp", os.Args[0], program).Run())
	require.NoError(t, os.Chmod(filepath.Dir(program), 0o755))
	for _, verb := range []string{"status", "rotate", "revoke"} {
		cmd := command(t, verb, fmt.Sprint(s.Process.Pid))
		cmd.Path, cmd.Dir = program, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.Contains(t, string(out), "no stek run or stek agent is running here that answers this user")
	}
	require.Len(t, statusOfProcess(t, s.Process.Pid).Tables[0].Keys, 1)
}

func TestProcessThatDoesNotAnswerHidesNoOther(t *testing.T) {
	silent, err := net.Listen("unix", "@stek/0123456789abcdef")
	require.NoError(t, err)
	defer silent.Close()
	s := start(t, "agent", "--table", filepath.Join(tmpfs(t), "table"))
	s.await("serving ticket keys")
	for _, verb := range []string{"status", "rotate"} {
		code, out, errs := execute(t, verb)
		require.Equal(t, 1, code)
		require.Contains(t, errs, fmt.Sprintf("process %d: ", os.Getpid()), verb)
		if verb == "status" {
			require.Contains(t, out, fmt.Sprintf("process %d\n", s.Process.Pid))
		}
	}
	require.Len(t, statusOfProcess(t, s.Process.Pid).Tables[0].Keys, 2, "rotated")
}

func TestRevokeMakesNewKeysInEveryTableOfAProcess(t *testing.T) {
	folder := tmpfs(t)
	s := start(t, "agent", "--table", folder+"/web", "--table", folder+"/mail")
	s.await("table=.*/mail")
	pid := fmt.Sprint(s.Process.Pid)
	code, _, errs := execute(t, "rotate", pid)
	require.Zero(t, code, errs)
	before := statusOfProcess(t, s.Process.Pid).Tables
	code, out, errs := execute(t, "revoke", pid)
	require.Zero(t, code, errs)
	require.Empty(t, out+errs)
	for i, table := range statusOfProcess(t, s.Process.Pid).Tables {
		require.Len(t, before[i].Keys, 2)
		require.Len(t, table.Keys, 1)
		require.Equal(t, "current", table.Keys[0].State)
		for _, k := range before[i].Keys {
			require.NotEqual(t, k.Name, table.Keys[0].Name)
		}
	}
	code, _, errs = execute(t, "revoke", "1")
	require.Equal(t, 1, code)
	require.Equal(t, "stek: process 1: no stek run or stek agent is running here that answers this user\n", errs)
}

// In a network namespace of its own, since it is about every stek there.
func TestRevokeWithoutAProcessIsForAll(t *testing.T) {
	folder := tmpfs(t)
	script := `"$0" agent --table ` + folder + `/web & "$0" agent --table ` + folder + `/mail &
	until "$0" status 2>&1 | grep -c '^table' | grep -qx 2; do sleep 0.05; done
	"$0" status | grep current && "$0" revoke && "$0" status | grep current; kill %1 %2; wait`
	cmd := exec.Command("unshare", "--net", "bash", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), beStek)
	out, err := cmd.Output()
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^[0-9a-f]{8}  current`).FindAllString(string(out), -1)
	slices.Sort(names)
	require.Len(t, slices.Compact(names), 4, string(out))
}

func TestWhatAProcessSaysIsNoCommandToTheTerminal(t *testing.T) {
	require.Equal(t, "a?b\nc??d", agent.Printable("a\x1bb\nc\x07\u009bd"))
}

// In a pod several containers have one network namespace, and each has a first
// process.
func TestSameProcessNumbersInOneNetworkNamespaceAreNoTrouble(t *testing.T) {
	for range 2 {
		args := append([]string{"--pid", "--fork", "--mount-proc", "--kill-child", os.Args[0]},
			run("--", "sh", "-c", "echo serving; exec sleep 60")...)
		cmd := exec.Command("unshare", args...)
		cmd.Env = append(os.Environ(), beStek)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		line := make([]byte, 8)
		_, err = io.ReadFull(out, line)
		require.NoError(t, err)
		require.Equal(t, "serving\n", string(line))
	}
}

func TestServerInTheBackgroundIsFoundAmongOthers(t *testing.T) {
	s := start(t, run("--", "sh", "-c",
		`(trap '' TERM; exec sleep 2) & setsid sh -c "trap 'echo told; exit 7' TERM; echo daemon; while :; do sleep 0.02; done" & exit 0`)...)
	s.await("daemon")
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	s.await("told")
	require.Equal(t, 7, s.code())
}

func TestAgentLivesOnWhenNobodyReadsWhatItSays(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	cmd := command(t, "agent", "--table", path)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stderr = write
	require.NoError(t, read.Close())
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	eventually(t, "it serves", func() bool { code, _, _ := execute(t, "status", fmt.Sprint(cmd.Process.Pid)); return code == 0 })
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}

func TestAgentRefusesWhatOthersPrepared(t *testing.T) {
	folder := tmpfs(t)
	make := func(name string, mode os.FileMode, uid int) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, mode))
		require.NoError(t, os.Chown(path, uid, uid))
		return path
	}
	open := filepath.Join(folder, "open")
	require.NoError(t, os.Mkdir(open, 0o777))
	require.NoError(t, os.Chmod(open, 0o777))
	inOpen := filepath.Join(open, "own")
	require.NoError(t, os.Mkdir(inOpen, 0o700))
	linked := filepath.Join(folder, "linked")
	require.NoError(t, os.Symlink("open/own", linked))
	foreign := filepath.Join(folder, "foreign")
	require.NoError(t, os.Mkdir(foreign, 0o755))
	require.NoError(t, os.Chown(foreign, 65534, 65534))
	text := filepath.Join(folder, "text")
	require.NoError(t, os.WriteFile(text, bytes.Repeat([]byte("text "), 10000), 0o600))
	for path, says := range map[string]string{
		make("of-another", 0o600, 65534): "it was made by others: its owner is user 65534 and its mode 0600",
		make("for-all", 0o606, 0):        "it was made by others: its owner is user 0 and its mode 0606",
		open + "/table":                  "others may replace files in " + open + ": it and the folders above it are to be root's or the table owner's, and writable by nobody else",
		inOpen + "/table":                "others may replace files in " + inOpen + ": it and the folders above it are to be root's or the table owner's, and writable by nobody else",
		linked + "/table":                "others may replace files in " + linked + ": it and the folders above it are to be root's or the table owner's, and writable by nobody else",
		foreign + "/table":               "others may replace files in " + foreign + ": it and the folders above it are to be root's or the table owner's, and writable by nobody else",
		text:                             text + ": it holds something else than a key table: remove it, or choose another path",
	} {
		code, _, errs := execute(t, "agent", "--table", path)
		require.Equal(t, 1, code)
		require.Equal(t, "stek: table "+path+": "+says+"\n", errs)
	}
}

func TestServerInTheTableGroupCannotEndTheAgent(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	s := start(t, "agent", "--table", path)
	s.await("serving ticket keys")
	for range 20 {
		require.NoError(t, os.Truncate(path+".counts", 0))
		require.Len(t, statusOfProcess(t, s.Process.Pid).Tables, 1)
	}
}

// as makes a command run as another user, with a group.
func as(cmd *exec.Cmd, uid, gid uint32) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	return cmd
}

// A server in the table's group, daemon here, can read the keys and write the counts.
func TestServerInTheTableGroupCannotKeepAnAgentOut(t *testing.T) {
	folder := tmpfs(t)
	require.NoError(t, os.Chmod(folder, 0o755))
	path := filepath.Join(folder, "table")
	args := []string{"agent", "--table", path, "--group", "daemon"}
	s := start(t, args...)
	s.await("serving ticket keys")
	require.Zero(t, s.end(syscall.SIGTERM))
	const lock = `
import fcntl, struct, sys
F_OFD_SETLK = 37
for name, flags, kinds in ("", "rb", "r"), (".counts", "r+b", "rw"), (".lock", "rb", "r"):
    try:
        file = open(sys.argv[1] + name, flags)
    except PermissionError:
        print("refused", name)
        continue
    globals()["keep" + name] = file
    for kind in kinds:
        fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", {"r": fcntl.F_RDLCK, "w": fcntl.F_WRLCK}[kind], 0, 0, 0, 0))
    fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
`
	cmd := as(exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", lock, path), 1, 1)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	defer func() { _ = stdin.Close(); _ = cmd.Wait() }()
	printed := make([]byte, 100)
	n, err := io.ReadAtLeast(out, printed, len("refused .lock\nlocked\n"))
	require.NoError(t, err)
	require.Equal(t, "refused .lock\nlocked\n", string(printed[:n]))

	second := start(t, args...)
	second.await("serving ticket keys")
	code, _, errs := execute(t, args...)
	require.Equal(t, 1, code)
	require.Equal(t, "stek: table "+path+": another agent writes to it\n", errs)
}

func TestServerInTheTableGroupCannotFillTheFileSystem(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, syscall.Mount("stek", folder, "tmpfs", 0, "size=1m,mode=755"))
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	path := filepath.Join(folder, "table")
	s := start(t, "agent", "--table", path, "--group", "daemon")
	s.await("serving ticket keys")
	counts, err := os.OpenFile(path+".counts", os.O_RDWR, 0)
	require.NoError(t, err)
	defer counts.Close()
	before, err := counts.Stat()
	require.NoError(t, err)

	// The folder of the test is closed to others, so its file is handed on, open.
	fill := as(exec.CommandContext(t.Context(), "sh", "-c", "head -c 3000000 /dev/zero >&3"), 1, 1)
	fill.ExtraFiles = []*os.File{counts}
	for range 3 {
		_, err = counts.Seek(0, io.SeekEnd)
		require.NoError(t, err)
		_ = fill.Run() // it may be refused room
		eventually(t, "there is room again", func() bool {
			return os.WriteFile(filepath.Join(folder, "other"), make([]byte, 500000), 0o600) == nil
		})
		require.NoError(t, os.Remove(filepath.Join(folder, "other")))
		after, err := counts.Stat()
		require.NoError(t, err)
		require.Equal(t, before.Size(), after.Size())
		fill = as(exec.CommandContext(t.Context(), "fallocate", "--length", "700000", "/proc/self/fd/3"), 1, 1)
		fill.ExtraFiles = []*os.File{counts}
	}
}

func TestTableWithoutRoomIsALineAndNoCrash(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, syscall.Mount("stek", folder, "tmpfs", 0, "size=16k,mode=755"))
	defer syscall.Unmount(folder, 0)
	path := filepath.Join(folder, "table")
	code, _, errs := execute(t, "agent", "--table", path)
	require.Equal(t, 1, code)
	require.Equal(t, "stek: table "+path+": map "+path+": no space left on device\n", errs)
}

func TestRemovedTableIsReported(t *testing.T) {
	path := filepath.Join(tmpfs(t), "table")
	s := start(t, "agent", "--table", path)
	s.await("serving ticket keys")
	require.Empty(t, statusOfProcess(t, s.Process.Pid).Tables[0].Error)
	require.NoError(t, os.Remove(path))
	require.Contains(t, statusOfProcess(t, s.Process.Pid).Tables[0].Error, "its file was removed or replaced")
}

func TestMetricsAreServed(t *testing.T) {
	address := "127.0.0.1:19464"
	path := filepath.Join(tmpfs(t), "table")
	s := start(t, "agent", "--table", path, "--metrics", address)
	s.await("serving ticket keys")
	response, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `stek_tickets_issued_total{table="`+path+`"} 0`)
}

func TestHelpHasExamplesAndVersionIsTold(t *testing.T) {
	_, out, _ := execute(t, "--version")
	require.Equal(t, "stek version 1.2.3\n", out)
	for _, verb := range []string{"run", "agent", "status", "rotate", "revoke", "doctor"} {
		code, out, _ := execute(t, verb, "--help")
		require.Zero(t, code)
		require.Contains(t, out, "Examples:\n  stek "+verb)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, _ := execute(t, "completion", shell)
		require.Zero(t, code)
		require.Contains(t, out, "stek")
	}
}

func TestDoctorSaysWhetherAndExitsSo(t *testing.T) {
	code, out, errs := execute(t, "doctor", "--", "openssl", "s_server")
	require.Zero(t, code, errs+out)
	require.Contains(t, out, "stek reaches this server.")
	code, out, _ = execute(t, "doctor", "--", "openssl", "s_server", "-no_ticket")
	require.Equal(t, 1, code)
	require.Contains(t, out, "-no_ticket")
	code, out, _ = execute(t, "doctor", "--json", "--", "openssl", "s_server")
	require.Zero(t, code)
	require.True(t, json.Valid([]byte(out)), out)
	code, _, errs = execute(t, "doctor", "nginx")
	require.Equal(t, 2, code)
	require.Equal(t, "stek: doctor takes a process number, or -- and a command: \"nginx\" is neither\n", errs)
	code, _, errs = execute(t, "doctor", "--", "no-such-server")
	require.Equal(t, 1, code)
	require.NotContains(t, strings.TrimSpace(errs), "\n")
}
