package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrappersAreFollowedToTheServer(t *testing.T) {
	openssl := need(t, "openssl", "openssl")
	script := write(t, "served", "#!"+openssl+" s_server\n")
	require.NoError(t, os.Chmod(script, 0o755))
	for _, argv := range [][]string{
		{"openssl", "s_server"},
		{"env", "-u", "HOME", "A=b", "openssl", "s_server"},
		{"nice", "-n", "5", "nohup", "openssl", "s_server"},
		{"timeout", "-k", "5", "10", "openssl", "s_server"},
		{"stdbuf", "-oL", "openssl", "s_server"},
		{"sh", "-c", "exec openssl s_server -accept 443"},
		{script},
		{"env", "-i", "LD_PRELOAD=/usr/lib/stek/libstek-preload.so", "STEK_TABLE=/run/stek/table", "openssl", "s_server"},
		{"env", "-S", "A=b openssl s_server"},
		{"ip", "netns", "exec", "blue", "openssl", "s_server"},
		{"start-stop-daemon", "--start", "--exec", "/bin/false", "--startas=openssl", "--", "s_server"},
		{"stek", "run", "--name-group", "one", "--force-tickets", "--", "openssl", "s_server", "-no_ticket"},
		{"sudo", "-u", "root", "stek", "run", "--", "openssl", "s_server"},
	} {
		r := examineBehind(t, argv...)
		require.Equal(t, openssl, r.Program, "%s", argv)
		require.Equal(t, Good, r.Verdict(), text(t, r))
	}
}

// examineBehind examines a command whose wrapper need not be on this machine.
func examineBehind(t *testing.T, argv ...string) Report {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{filepath.Base(argv[0]), "stek"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/false\n"), 0o755))
	}
	r, err := Command(argv, []string{"PATH=" + serverPath + ":" + dir})
	require.NoError(t, err, "%s", argv)
	return r
}

// The wrapper itself is the judge of which of its words is the command.
func TestWrappersStartWhatWeThink(t *testing.T) {
	require.Zero(t, os.Getuid(), "setpriv, runuser and su are for root")
	file := write(t, "lock", "")
	for _, wrapper := range []string{
		"nice -n 5", "nice --adjustment 5", "nice -5", "ionice -c 2 -n 7", "ionice -c2", "ionice --class 3", "setsid -w", "choom -n 0 --",
		"prlimit --nofile=1024", "unshare --net", "unshare -w /", "stdbuf -o L", "stdbuf --output L", "timeout -k 5 60", "timeout --signal INT 60", "taskset -c 0",
		"chrt -o 0", "flock -w 5 " + file, "flock --timeout 5 " + file,
		"setpriv --reuid 0 --regid=0 --clear-groups --no-new-privs", "setpriv --reuid root --init-groups --regid root",
		"runuser -u root", "runuser -u root --", "env -C / -u HOME A=b", "env --chdir=/ --unset HOME", "env -uHOME",
	} {
		argv := strings.Fields(wrapper)
		cmd := exec.Command(need(t, argv[0], "util-linux coreutils"), append(argv[1:], "printenv", "STEK_TABLE")...)
		cmd.Env = []string{"PATH=" + serverPath, "STEK_TABLE=/run/stek/table"}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", wrapper, out)
		require.Equal(t, "/run/stek/table\n", string(out), wrapper)
		r := examine(t, append(argv, "openssl", "s_server")...)
		require.Equal(t, need(t, "openssl", "openssl"), r.Program, wrapper)
		require.Equal(t, Good, r.Verdict(), text(t, r))
	}
	for _, wrapper := range []string{"su -s /bin/sh -c", "su --command", "runuser -c", "runuser -s/bin/sh -g root -c"} {
		argv := strings.Fields(wrapper)
		cmd := exec.Command(need(t, argv[0], "util-linux"), append(argv[1:], "printenv STEK_TABLE", "root")...)
		cmd.Env = []string{"PATH=" + serverPath, "STEK_TABLE=/run/stek/table"}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", wrapper, out)
		require.Equal(t, "/run/stek/table\n", string(out), wrapper)
		r := examine(t, append(argv, "openssl s_server", "root")...)
		require.Equal(t, need(t, "openssl", "openssl"), r.Program, wrapper)
	}
}

func TestWrappersThatLeadElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sudo", "systemctl", "docker", "start.sh", "su", "supervisord"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec nginx\n"), 0o755))
	}
	root := filepath.Dir(called(t, build(t, "nothing"), "server"))
	for _, tt := range []struct {
		argv   []string
		code   string
		want   Severity
		change string
	}{
		{[]string{"sudo", "-u", "www", "nginx", "-g", "daemon off;"}, "env-cleared", Blocks, "sudo stek run -- nginx -g 'daemon off;'"},
		{[]string{"env", "-i", "openssl", "s_server"}, "env-cleared", Blocks, ""},
		{[]string{"env", "LD_PRELOAD=/x.so", "openssl", "s_server"}, "env-replaced", Blocks, ""},
		{[]string{"systemctl", "start", "nginx"}, "systemd-starts-it", Blocks, dropIn("nginx")},
		{[]string{"docker", "run", "nginx"}, "container", Blocks, ""},
		{[]string{"start.sh"}, "shell-script", Unknown, ""},
		{[]string{"sh", "-c", "cd /srv && nginx"}, "shell-script", Unknown, ""},
		{[]string{"nice"}, "no-command", Unknown, ""},
		{[]string{"env", "-uLD_PRELOAD", "openssl", "s_server"}, "env-cleared", Blocks, ""},
		{[]string{"env", "--unset=LD_PRELOAD", "openssl", "s_server"}, "env-cleared", Blocks, ""},
		{[]string{"sh", "-c", "LD_PRELOAD= exec openssl s_server"}, "env-replaced", Blocks, ""},
		{[]string{"setpriv", "--reset-env", "openssl", "s_server"}, "env-cleared", Blocks, ""},
		{[]string{"setpriv", "--euid", "33", "openssl", "s_server"}, "secure-mode", Blocks, ""},
		{[]string{"su", "-", "www", "-c", "openssl s_server"}, "env-cleared", Blocks, ""},
		{[]string{"runuser", "-l", "www", "-c", "openssl s_server"}, "env-cleared", Blocks, ""},
		{[]string{"sh", "-c", "OPENSSL_CONF=" + testdata(t, "openssl", "openssl.cnf") + " exec openssl s_server"}, "tickets-off", Off, ""},
		{[]string{"env", "OPENSSL_CONF=" + testdata(t, "openssl", "openssl.cnf"), "openssl", "s_server"}, "tickets-off", Off, ""},
		{[]string{"chroot", root, "/server"}, "not-in-root", Blocks, "install -D " + Preload + " " + root + Preload},
		{[]string{"supervisord", "-n"}, "no-command", Unknown, ""},
	} {
		r, err := Command(tt.argv, []string{"PATH=" + dir + ":" + serverPath})
		require.NoError(t, err)
		f := finding(t, r, tt.code)
		require.Equal(t, tt.want, r.Verdict(), text(t, r))
		require.Equal(t, tt.change, f.Change)
	}
}

func TestCommandIsShownWithoutSecrets(t *testing.T) {
	require.Equal(t, "env TOKEN=*** openssl s_server -pass *** -psk *** -cert c.pem --api-token=*** 'a b'",
		shownCommand([]string{"env", "TOKEN=t", "openssl", "s_server", "-pass", "pass:secret", "-psk", "00ff", "-cert", "c.pem", "--api-token=t", "a b"}))
}
