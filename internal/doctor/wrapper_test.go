package doctor

import (
	"os"
	"path/filepath"
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
	} {
		r := examine(t, argv...)
		require.Equal(t, openssl, r.Program, "%s", argv)
		require.Equal(t, Good, r.Verdict(), text(t, r))
	}
}

func TestWrappersThatLeadElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sudo", "systemctl", "docker", "start.sh", "su"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec nginx\n"), 0o755))
	}
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
