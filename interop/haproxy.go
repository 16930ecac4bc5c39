package interop

import (
	"strings"
	"syscall"
	"testing"
)

// haproxy shakes hands on the threads of a worker that is in a chroot, has
// another user and may not make processes.
var haproxy = &Server{
	Name:       "HAProxy",
	Package:    "haproxy",
	Program:    "/usr/sbin/haproxy",
	Dialect:    overHTTP,
	Changed:    "`no-tls-tickets` removed: Debian switches tickets off",
	TicketsOff: true,
	Configure: func(t *testing.T, s *Site) []string {
		s.folder(t, "empty")
		config := haproxyConfig
		if s.TicketsOff {
			config = strings.Replace(config, "ssl-min-ver TLSv1.2", "ssl-min-ver TLSv1.2 no-tls-tickets", 1)
		}
		return []string{"-W", "-f", s.write(t, "haproxy.cfg", config)}
	},
	Workers: children,
	Reload:  signalled(syscall.SIGUSR2),
}

const haproxyConfig = `
global
	chroot FOLDER/empty
	user haproxy
	group haproxy
	nbthread 4
	ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
	mode http
	timeout connect 5s
	timeout client 15s
	timeout server 15s
frontend tls
	bind ADDR ssl crt FOLDER/both.pem
	http-request return status 200 content-type text/plain string ok
`
