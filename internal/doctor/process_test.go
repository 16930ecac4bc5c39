package doctor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nginxConfig writes a configuration in a folder of its own and returns it.
func nginxConfig(t *testing.T, listen, more string) string {
	t.Helper()
	dir := t.TempDir()
	pem := certificate(t)
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `
error_log %[1]s/error.log; pid %[1]s/pid;
events { }
http {
    access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi; scgi_temp_path %[1]s/scgi; uwsgi_temp_path %[1]s/uwsgi;
    server { listen %[2]s ssl; ssl_certificate %[3]s; ssl_certificate_key %[3]s; ssl_session_tickets off; }
    %[4]s
}
`, dir, listen, pem, more), 0o644))
	return conf
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// run starts a server and waits until it accepts connections at addr.
func run(t *testing.T, addr string, environ []string, argv ...string) int {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{"PATH=" + serverPath}, environ...)
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	require.NoError(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "%s does not listen at %s", argv[0], addr)
	return cmd.Process.Pid
}

func runSServer(t *testing.T, environ []string, more ...string) int {
	t.Helper()
	addr, pem := freePort(t), certificate(t)
	argv := append([]string{need(t, "openssl", "openssl"), "s_server", "-accept", addr, "-cert", pem, "-key", pem, "-quiet"}, more...)
	return run(t, addr, environ, argv...)
}

func inspect(t *testing.T, pid int) Report {
	t.Helper()
	r, err := Process(pid, nil)
	require.NoError(t, err)
	return r
}

func TestProcessWithoutStek(t *testing.T) {
	pid := runSServer(t, nil, "-num_tickets", "2", "-pass", "pass:secret")
	r := inspect(t, pid)
	require.Equal(t, fmt.Sprintf("process %d (openssl), uid %d", pid, os.Getuid()), r.Subject)
	require.Equal(t, need(t, "openssl", "openssl"), r.Program)
	require.Regexp(t, `/libssl\.so\.3, OpenSSL 3\.`, r.Library)
	f := finding(t, r, codeNotLoaded)
	require.Regexp(t, `^stek run -- /usr/bin/openssl s_server -accept .*`, f.Change)
	require.Equal(t, "stek is not in this process, but would reach it after a restart.", r.Summary())
	require.NotContains(t, text(t, r), "pass:secret")
	finding(t, r, "reachable")
}

func TestProcessConfigurationIsRead(t *testing.T) {
	r := inspect(t, runSServer(t, nil, "-no_ticket"))
	finding(t, r, "tickets-off")
	require.Equal(t, "stek can reach this server, but its tickets are not used.", r.Summary())
}

func TestOpenSSLsConfigurationIsThatOfTheProcess(t *testing.T) {
	t.Setenv("OPENSSL_CONF", "/no/such/file") // ours is another matter
	file := write(t, "openssl.cnf", "openssl_conf = i\n[i]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n")
	r := inspect(t, runSServer(t, []string{"OPENSSL_CONF=" + file}))
	require.Equal(t, file, finding(t, r, "tickets-off").Places[0].File)
	require.Nil(t, inspect(t, runSServer(t, nil)).Find("tickets-off"))
}

// preload builds a library called like ours, which maps the table it is given.
func preload(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lib := filepath.Join(dir, "libstek-preload.so")
	require.NoError(t, os.Rename(build(t, "table", "-shared", "-fPIC"), lib))
	return lib
}

func TestProcessWithStekNamesItsTable(t *testing.T) {
	lib := preload(t)
	table := write(t, "table", strings.Repeat("x", 4096))
	r := inspect(t, runSServer(t, []string{"LD_PRELOAD=" + lib, "STEK_TABLE=" + table}))
	require.Equal(t, Good, r.Verdict(), text(t, r))
	require.Equal(t, lib, finding(t, r, "loaded").Places[0].File)
	require.Equal(t, table, finding(t, r, "table").Places[0].File)
}

func TestProcessWhoseCountsCannotBeRead(t *testing.T) {
	cmd := exec.Command(build(t, "module", "-ldl"))
	cmd.Env = []string{"LD_PRELOAD=" + preload(t), "STEK_TABLE=" + write(t, "table", strings.Repeat("x", 4096))}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	_, err = out.Read(make([]byte, 8))
	require.NoError(t, err)
	r := inspect(t, cmd.Process.Pid)
	require.Equal(t, Unknown, r.Verdict(), text(t, r))
	require.Contains(t, finding(t, r, "no-counts").Detail, "Ask as root")
}

func TestProcessWhoseTableWasReplaced(t *testing.T) {
	table := write(t, "table", strings.Repeat("x", 4096))
	pid := runSServer(t, []string{"LD_PRELOAD=" + preload(t), "STEK_TABLE=" + table})
	require.NoError(t, os.Remove(table))
	r := inspect(t, pid)
	require.Equal(t, Off, r.Verdict())
	require.Equal(t, table, finding(t, r, "table-replaced").Places[0].File)
}

func TestProcessWithoutTable(t *testing.T) {
	lib := preload(t)
	for _, tt := range []struct {
		env  string
		want Severity
	}{{"STEK_TABLE=/no/such/table", Off}, {"NOTHING=1", Off}, {"STEK_STORE=etcd://user:secret@host/keys", Unknown}} {
		r := inspect(t, runSServer(t, []string{"LD_PRELOAD=" + lib, tt.env}))
		require.Equal(t, tt.want, finding(t, r, "no-table").Severity, tt.env)
		require.NotContains(t, text(t, r), "secret")
	}
}

func TestNginxProcessesLeadToTheirMaster(t *testing.T) {
	addr := freePort(t)
	conf := nginxConfig(t, addr, "")
	master := run(t, addr, nil, need(t, "nginx", "nginx"), "-c", conf, "-g", "daemon off; worker_processes 1;")

	r := inspect(t, master)
	require.Nil(t, r.Find("worker"))
	require.Equal(t, []string{"nginx.conf:7 ssl_session_tickets off; => ssl_session_tickets on;"}, places(finding(t, r, "tickets-off")))
	require.Contains(t, finding(t, r, codeNotLoaded).Change, "nginx -c "+conf+" -g 'daemon off; worker_processes 1;'")

	var worker int
	require.Eventually(t, func() bool {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
		require.NoError(t, err)
		worker, err = strconv.Atoi(strings.TrimSpace(string(children)))
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	r = inspect(t, worker)
	require.Equal(t, fmt.Sprintf("This is a worker of process %d", master), finding(t, r, "worker").Title)
	finding(t, r, "tickets-off")
}

func TestProcessInSecureModeIsOutOfReach(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a program another user")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	sleep := filepath.Join(dir, "sleep")
	data, err := os.ReadFile(need(t, "sleep", "coreutils"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(sleep, data, 0o755))
	require.NoError(t, os.Chown(sleep, 65534, -1))
	require.NoError(t, os.Chmod(sleep, 0o755|os.ModeSetuid))
	cmd := exec.Command(sleep, "60")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.Eventually(t, func() bool {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
		auxv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", cmd.Process.Pid))
		return exe == sleep && len(auxv) > 16 // until it is written, there is only its end
	}, 5*time.Second, 10*time.Millisecond)
	r := inspect(t, cmd.Process.Pid)
	require.Equal(t, Blocks, r.Verdict(), text(t, r))
	finding(t, r, "secure-mode")
}

func TestNoSuchProcessIsAnError(t *testing.T) {
	_, err := Process(1<<30, nil)
	require.EqualError(t, err, "examine process 1073741824: no such process")
}

func TestUnitIsReadFromTheControlGroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/nginx.service\n":                                   "nginx.service",
		"1:name=systemd:/system.slice/postfix@-.service\n0::/\n":             "postfix@-.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                      "",
		"0::/system.slice/docker-0123.scope\n":                               "",
		"0::/system.slice/system-postfix.slice/postfix@-.service/control\n":  "postfix@-.service",
		"0::/user.slice/user-0.slice/user@0.service/app.slice/web.service\n": "",
		"0::/\n": "",
		"":       "",
	} {
		require.Equal(t, want, unitOf(text), text)
	}
}

// Some servers write over their environment: the files in memory tell then.
func TestTableIsFoundWithoutTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "table")
	require.NoError(t, os.WriteFile(table+".counts", nil, 0o600))
	for _, tt := range []struct {
		name string
		file mappedFile
		code string
		want Severity
	}{
		{"the counts lie beside it", mappedFile{path: table}, "table", Good},
		{"it was deleted", mappedFile{path: table, deleted: true}, "table-replaced", Off},
		{"it is in memory", mappedFile{path: "/memfd:stek-keys"}, "table", Good},
		{"it is in secret memory", mappedFile{path: "/secretmem"}, "table", Good},
		{"there is none", mappedFile{path: "/usr/lib/libc.so.6"}, "no-table", Unknown},
	} {
		tg := &target{report: &Report{}}
		tg.checkTable(&process{files: []mappedFile{tt.file}})
		require.Equal(t, tt.want, finding(t, *tg.report, tt.code).Severity, tt.name)
	}
}

func TestMapsOfAProcessAreReadOnce(t *testing.T) {
	require.Equal(t, []mappedFile{
		{"/usr/lib/libssl.so.3", false, "08:01 12"}, {"/run/a b", true, "08:01 13"}, {"/memfd:stek-keys", false, "00:01 14"}, {"/secretmem", false, "00:01 15"}}, parseMaps(
		"7f00-7f01 r--p 00000000 08:01 12                 /usr/lib/libssl.so.3\n"+
			"7f01-7f02 r-xp 00001000 08:01 12                 /usr/lib/libssl.so.3\n"+
			"7f02-7f03 r--s 00000000 08:01 13                 /run/a b (deleted)\n"+
			"7f03-7f04 r--s 00000000 00:01 14                 /memfd:stek-keys (deleted)\n"+
			"7f04-7f05 r--s 00000000 00:01 15                 /secretmem (deleted)\n"+
			"7ffc-7ffd rw-p 00000000 00:00 0                  [stack]\n"))
}
