package interop

import (
	"crypto/tls"
	"testing"
)

// The library starts an agent of its own for a server. HAProxy executes itself
// again in a reload, and asks that agent for the table.
func TestBareServerKeepsItsKeysOverAReload(t *testing.T) {
	for _, s := range []*Server{nginx, haproxy, apacheEvent} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			i := Serve(t, s, NewBare("memory:"))
			for _, version := range versions {
				t.Run(tls.VersionName(version), func(t *testing.T) {
					c := i.Client(t, version)
					ticketCarriesTheCurrentKey(t, i, c)
					reloadKeepsTickets(t, i, c)
					ticketFromBeforeRotateIsRenewed(t, i, c)
				})
			}
		})
	}
}
