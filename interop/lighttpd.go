package interop

import (
	"syscall"
	"testing"
)

// lighttpd always sets a ticket callback of its own.
var lighttpd = &Server{
	Name:    "lighttpd",
	Package: "lighttpd-mod-openssl",
	Program: "/usr/sbin/lighttpd",
	Dialect: overHTTP,
	Changed: "none",

	TicketsOff:     true,
	NewOncePerName: true,
	Configure: func(t *testing.T, s *Site) []string {
		s.folder(t, "www")
		s.write(t, "www/index.html", "ok\n")
		config := lighttpdConfig
		if s.TicketsOff {
			config += `ssl.openssl.ssl-conf-cmd = ("Options" => "-SessionTicket")`
		}
		return []string{"-D", "-f", s.write(t, "lighttpd.conf", config)}
	},
	Reload: announced(syscall.SIGUSR1, `server started`),
}

const lighttpdConfig = `
server.modules = ( "mod_openssl" )
server.document-root = "FOLDER/www"
server.username = "www-data"
server.groupname = "www-data"
server.bind = "127.0.0.1"
server.port = PORT
mimetype.assign = ( ".html" => "text/html" )
ssl.engine = "enable"
ssl.pemfile = "FOLDER/cert.pem"
ssl.privkey = "FOLDER/key.pem"
`
