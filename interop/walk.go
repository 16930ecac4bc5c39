package interop

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// connections is the length of a walk.
const connections = 8

// A walk is what the connections of one client came to, one after the other.
type walk []string

// Walk connects again and again, as a browser does: in TLS 1.3 it uses each
// ticket once (RFC 8446, appendix C.4), in TLS 1.2 it goes on with the one it
// has. It always keeps the newest.
func (c Client) Walk(t *testing.T) (w walk) {
	t.Helper()
	var ticket *Ticket
	for range connections {
		visit := c.Visit(t, ticket)
		w = append(w, visit.Session)
		if c.config.MaxVersion == tls.VersionTLS13 {
			ticket = nil
		}
		if newest := visit.Newest(); newest != nil {
			ticket = newest
		}
	}
	return w
}

// alwaysReused is the walk of a client that never has to start again.
func alwaysReused() walk {
	return append(walk{New}, slices.Repeat(walk{Reused}, connections-1)...)
}

// String shortens repetition: "New, 7 Reused", "4 (New, Reused)".
func (w walk) String() string {
	if len(w) == connections && slices.Equal(w, slices.Repeat(walk{New, Reused}, connections/2)) {
		return fmt.Sprintf("%d (%s, %s)", connections/2, New, Reused)
	}
	var runs []string
	for i := 0; i < len(w); {
		n := 1
		for i+n < len(w) && w[i+n] == w[i] {
			n++
		}
		if n == 1 {
			runs = append(runs, w[i])
		} else {
			runs = append(runs, fmt.Sprintf("%d %s", n, w[i]))
		}
		i += n
	}
	return strings.Join(runs, ", ")
}
