package interop

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Server is a program that speaks TLS, as Debian packages it.
type Server struct {
	Name    string // in the table and in the names of tests
	Package string // Debian's, that brings the program
	Program string // absolute path
	Dialect dialect

	// Changed is what differs from Debian's configuration, and why.
	Changed string

	// TicketsOff tells that Configure knows how to switch tickets off.
	TicketsOff bool

	// Configure writes the configuration for a site and returns the arguments
	// of the program. The program stays in the foreground.
	Configure func(t *testing.T, site *Site) (args []string)

	// Workers lists the processes that shake hands, given the server's first
	// process. Nil stands for that process itself, or for one per connection.
	Workers func(first int) []int

	// Reload tells a running server to read its configuration again and waits
	// until it has. Nil: the server cannot.
	Reload func(i *Instance)

	// OwnTicketData tells that the server keeps data of its own in its tickets,
	// where stek would keep when the client authenticated. To end a chain of
	// resumptions all the same, stek then renews no TLS 1.3 ticket of a key
	// that is no longer current.
	OwnTicketData bool

	// NewOncePerName tells that the server has a certificate callback, which may ask for a
	// client certificate. A new context of it resumes under a name after a full handshake
	// by that name.
	NewOncePerName bool

	// Group is who has to read the table, if a process opens it that is
	// neither root nor started by root. Empty: nobody.
	Group string

	// FiltersEnvironment tells that the server hands on only the variables
	// that its configuration names.
	FiltersEnvironment bool
}

// Servers are all that the tests start, in the order of the table.
var Servers = []*Server{
	nginx, haproxy, apachePrefork, apacheEvent, lighttpd, stunnel, sServer, python, dovecot, postfix,
}

// Version is the upstream version of the package that is installed.
func (s *Server) Version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", s.Package).Output()
	require.NoError(t, err, "%s needs Debian's package %s", s.Name, s.Package)
	version := regexp.MustCompile(`^\d+:`).ReplaceAllString(string(out), "")
	version, _, _ = strings.Cut(version, "-")
	version, _, _ = strings.Cut(version, "+")
	return version
}
