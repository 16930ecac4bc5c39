package interop

import (
	"path/filepath"
	"testing"
)

// sServer makes its context by SSL_CTX_new_ex, sets no callback, and answers
// one client at a time.
var sServer = &Server{
	Name:    "openssl s_server",
	Package: "openssl",
	Program: "/usr/bin/openssl",
	Dialect: dialect{ask: overHTTP.ask, answer: " 200 ok"},
	Changed: "none",
	Configure: func(_ *testing.T, s *Site) []string {
		return []string{"s_server", "-accept", s.Addr(), "-quiet", "-www",
			"-cert", filepath.Join(s.Folder, "cert.pem"), "-key", filepath.Join(s.Folder, "key.pem")}
	},
}
