package interop

import (
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// stunnel makes its contexts by SSL_CTX_new_ex alone, and answers on threads.
var stunnel = &Server{
	Name:    "stunnel",
	Package: "stunnel4",
	Program: "/usr/bin/stunnel4",
	Dialect: overHTTP,
	Changed: "none; keeps data of its own in tickets: in TLS 1.3 one New per rotation",
	Configure: func(t *testing.T, s *Site) []string {
		config := strings.ReplaceAll(stunnelConfig, "BACKEND", plainBackend(t))
		return []string{s.write(t, "stunnel.conf", config)}
	},
	OwnTicketData: true,
	Reload:        announced(syscall.SIGHUP, `Configuration successful`),
}

const stunnelConfig = `
foreground = yes
syslog = no
debug = notice
pid =
[https]
accept = ADDR
connect = BACKEND
cert = FOLDER/cert.pem
key = FOLDER/key.pem
sessionResume = yes
`

// plainBackend starts an HTTP server without TLS and returns its address.
func plainBackend(t *testing.T) string {
	backend := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = io.WriteString(w, "ok\n")
	}))
	t.Cleanup(backend.Close)
	return fmt.Sprint(backend.Listener.Addr())
}
