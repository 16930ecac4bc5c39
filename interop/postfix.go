package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// postfix shakes hands in smtpd processes that master starts by exec, with an
// environment that it chooses, and that enter a chroot.
var postfix = &Server{
	Name:    "Postfix smtps",
	Package: "postfix",
	Program: "/usr/lib/postfix/sbin/master",
	Dialect: overSMTP,
	Changed: "`smtps` in wrapper mode; `import_environment` names the preload's variables, with `stek agent`: Postfix gives its processes a new environment",
	Configure: func(t *testing.T, s *Site) []string {
		configurePostfix(t, s)
		return []string{"-c", filepath.Join(s.Folder, "etc"), "-d"}
	},
	Group:              "postfix",
	FiltersEnvironment: true,
	Reload:             reloadPostfix,
}

// reloadPostfix waits until no process is left that has the old configuration.
func reloadPostfix(i *Instance) {
	before := children(i.First())
	i.signal(syscall.SIGHUP)
	Eventually(i.t, "the processes of Postfix end", func() bool {
		return !slices.ContainsFunc(before, alive)
	})
}

func configurePostfix(t *testing.T, s *Site) {
	t.Helper()
	for _, folder := range []string{"etc", "queue", "data"} {
		s.folder(t, folder)
	}
	s.write(t, "etc/main.cf", postfixMain)
	s.write(t, "etc/master.cf", postfixMaster)
	require.NoError(t, os.WriteFile(filepath.Join(s.Folder, "etc", "dynamicmaps.cf"), nil, 0o644))
	out, err := exec.Command("chown", "postfix", filepath.Join(s.Folder, "data")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, folder := range []string{"pid", "private", "public", "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "saved", "trace"} {
		s.folder(t, filepath.Join("queue", folder))
	}
	for _, folder := range []string{"private", "public", "maildrop"} {
		out, err := exec.Command("chown", "postfix", filepath.Join(s.Folder, "queue", folder)).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

const postfixMain = `
compatibility_level = 3.6
queue_directory = FOLDER/queue
data_directory = FOLDER/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
maillog_file =
smtpd_tls_cert_file = FOLDER/cert.pem
smtpd_tls_key_file = FOLDER/key.pem
smtpd_relay_restrictions = permit_mynetworks reject_unauth_destination
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C LD_PRELOAD STEK_TABLE
`

const postfixMaster = `
ADDR      inet  n - y - - smtpd -o smtpd_tls_wrappermode=yes
tlsmgr    unix  - - y 1000? 1 tlsmgr
rewrite   unix  - - y - - trivial-rewrite
proxymap  unix  - - n - - proxymap
anvil     unix  - - y - 1 anvil
cleanup   unix  n - y - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
postlog   unix-dgram n - n - 1 postlogd
`
