package interop

import (
	"syscall"
	"testing"
)

// dovecot starts one process per connection, that makes its context after it
// has entered a chroot.
var dovecot = &Server{
	Name:    "Dovecot imaps",
	Package: "dovecot-imapd",
	Program: "/usr/sbin/dovecot",
	Dialect: overIMAP,
	Changed: "`import_environment` names the preload's variables, with `stek agent`: Dovecot gives its processes a new environment",
	Configure: func(t *testing.T, s *Site) []string {
		return []string{"-F", "-c", s.write(t, "dovecot.conf", dovecotConfig)}
	},
	Reload:             announced(syscall.SIGHUP, `SIGHUP received`),
	Group:              "dovenull",
	FiltersEnvironment: true,
}

const dovecotConfig = `
base_dir = FOLDER/run
state_dir = FOLDER/state
log_path = /dev/stderr
listen = 127.0.0.1
protocols = imap
ssl = required
ssl_cert = <FOLDER/cert.pem
ssl_key = <FOLDER/key.pem
import_environment = $import_environment LD_PRELOAD STEK_TABLE
mail_location = maildir:FOLDER/mail
passdb {
	driver = static
	args = nopassword=y
}
userdb {
	driver = static
	args = uid=nobody gid=nogroup home=FOLDER/home
}
service imap-login {
	inet_listener imap {
		port = 0
	}
	inet_listener imaps {
		port = PORT
		ssl = yes
	}
}
`
