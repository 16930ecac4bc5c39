package interop

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
)

// A Side is what a client sees of one server in one way and one version of TLS.
type Side struct {
	Key     string // whose key is in front of a ticket
	Walk    walk
	Reload  string // New or Reused, "-" if the server cannot
	Restart string // New or Reused
}

// A row is one line of the table.
type row struct {
	Server        *Server
	Release       string // version of the server
	TLS           uint16
	Without, With *Side
}

// A Report is what the tests have found so far. It is safe for concurrent use;
// the zero Report is empty.
type Report struct {
	mutex sync.Mutex
	rows  []*row
}

// Row returns the row of a server and a version of TLS, for one test to fill.
func (r *Report) Row(s *Server, release string, version uint16) *row {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, row := range r.rows {
		if row.Server == s && row.TLS == version {
			return row
		}
	}
	added := &row{Server: s, Release: release, TLS: version}
	r.rows = append(r.rows, added)
	return added
}

// outOfReach are servers that have no row of their own, and why.
var outOfReach = [][2]string{
	{"exim4 (Debian)", "speaks TLS by GnuTLS, which has no such callback"},
	{"Caddy, any Go program with crypto/tls", "no OpenSSL in the process"},
	{"Envoy, nginx or HAProxy with BoringSSL or AWS-LC", "the TLS library is linked statically and under other rules: nothing to interpose"},
	{"a server with libssl linked statically", "nothing to interpose; use libstek or another backend"},
	{"setuid programs and those with file capabilities", "the dynamic linker ignores LD_PRELOAD"},
}

// Table is the report as a Markdown table, or false if a row is missing.
func (r *Report) Table() (string, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| server | version | TLS | alone: ticket key | %d connections | reload | restart | with stek: ticket key | %[1]d connections | reload | restart | changed in Debian's configuration |\n", connections)
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range Servers {
		for _, version := range versions {
			row := r.find(s, version)
			if row == nil || row.Without == nil || row.With == nil {
				return "", false
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", s.Name, row.Release,
				strings.TrimPrefix(tls.VersionName(version), "TLS "), row.Without, row.With, s.Changed)
		}
	}
	for _, s := range outOfReach {
		fmt.Fprintf(&b, "| %s | | | | | | | cannot | | | | %s |\n", s[0], s[1])
	}
	return b.String(), true
}

func (r *Report) find(s *Server, version uint16) *row {
	for _, row := range r.rows {
		if row.Server == s && row.TLS == version {
			return row
		}
	}
	return nil
}

// String is the four cells of the table, without the bars around them.
func (s *Side) String() string {
	return strings.Join([]string{s.Key, s.Walk.String(), s.Reload, s.Restart}, " | ")
}

// versions are those of TLS that have session tickets.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}
