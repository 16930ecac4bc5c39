package interop

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A revocation ends every ticket on every server of the table, also on one whose
// key had been superseded, and also if the agent was started again before or after.
func TestRevokedTicketsAreNewOnEveryServer(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			agent := StartAgent(t, "memory:", "")
			one, two := Serve(t, sServer, agent), Serve(t, sServer, agent)
			c, other := one.Client(t, version), two.Client(t, version)
			previous := c.Visit(t, nil)
			agent.Stek().Rotate(t)
			current := c.Visit(t, nil)
			require.Equal(t, Reused, other.Visit(t, previous.Newest()).Session)
			require.Equal(t, Reused, other.Visit(t, current.Newest()).Session)
			agent.Kill()
			agent.Restart(t)
			before := agent.Stek().Status(t).Counts["unknown"]

			began := time.Now()
			agent.Stek().Revoke(t)
			for _, ticket := range []*Ticket{previous.Newest(), current.Newest()} {
				require.Equal(t, New, c.Visit(t, ticket).Session)
				require.Equal(t, New, other.Visit(t, ticket).Session)
			}
			t.Logf("all %v after stek revoke began", time.Since(began))
			require.Equal(t, before+4, agent.Stek().Status(t).Counts["unknown"])
			fresh := c.Visit(t, nil)
			require.Equal(t, Reused, other.Visit(t, fresh.Newest()).Session, "under the fresh key")

			agent.Kill()
			agent.Restart(t)
			require.Equal(t, New, other.Visit(t, current.Newest()).Session, "no key has come back")
			require.Equal(t, Reused, other.Visit(t, fresh.Newest()).Session)
		})
	}
}
