package interop

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

// serversWithTicketsOff are those that have a setting that switches tickets off;
// Debian's configurations of HAProxy and Apache do.
func serversWithTicketsOff() []*Server {
	var off []*Server
	for _, s := range Servers {
		if s.TicketsOff {
			off = append(off, s)
		}
	}
	return off
}

func serveTicketsOff(t *testing.T, s *Server, way Way) *Instance {
	t.Helper()
	site := newSite(t)
	site.TicketsOff = true
	return ServeSite(t, s, site, way)
}

func TestTicketsSwitchedOffStayOff(t *testing.T) {
	for _, s := range serversWithTicketsOff() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			i := serveTicketsOff(t, s, Run{})
			for _, version := range versions {
				visit := i.Client(t, version).Visit(t, nil)
				if version == tls.VersionTLS12 {
					require.Empty(t, visit.Tickets)
				}
				// In TLS 1.3 OpenSSL hands out tickets that only name a
				// session in the server's memory.
				for _, ticket := range visit.Tickets {
					require.False(t, i.Stek.Has(t, ticket.KeyName))
				}
			}
			counts := i.Stek.Status(t).Counts
			require.Positive(t, counts["tickets_off"])
			require.Zero(t, counts["tickets_forced"])
			require.Zero(t, counts["issued"])
		})
	}
}

func TestForcedTicketsResume(t *testing.T) {
	for _, s := range serversWithTicketsOff() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			agent := StartAgent(t, "memory:", s.Group)
			agent.ForceTickets = true
			for name, way := range map[string]Way{"stek run": Run{ForceTickets: true}, "stek agent": agent} {
				t.Run(name, func(t *testing.T) {
					i := serveTicketsOff(t, s, way)
					for _, version := range versions {
						c := i.Client(t, version)
						first := c.Visit(t, nil)
						require.Equal(t, i.Stek.Current(t), first.KeyName())
						require.Equal(t, Reused, c.Visit(t, first.Newest()).Session)
						require.Equal(t, alwaysReused(), c.Walk(t))
					}
					require.Positive(t, i.Stek.Status(t).Counts["tickets_forced"])
				})
			}
		})
	}
}
