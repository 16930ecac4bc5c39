package interop

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServersOnOneAgentResumeEachOthersTickets(t *testing.T) {
	t.Parallel()
	agent := StartAgent(t, "memory:", "")
	one, two := Serve(t, nginx, agent), Serve(t, nginx, agent)
	for _, version := range versions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			first := one.Client(t, version).Visit(t, nil)
			require.Equal(t, Reused, two.Client(t, version).Visit(t, first.Newest()).Session)
		})
	}
}

// Different programs know each other's tickets by their key, but OpenSSL
// compares the session id context that each has set for itself.
func TestServersOfTwoKindsOnOneAgentKnowEachOthersTickets(t *testing.T) {
	t.Parallel()
	agent := StartAgent(t, "memory:", "")
	web, proxy := Serve(t, nginx, agent), Serve(t, haproxy, agent)
	for _, version := range versions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			first := web.Client(t, version).Visit(t, nil)
			before := agent.Stek().Status(t).Counts
			visit := proxy.Client(t, version).Visit(t, first.Newest())
			after := agent.Stek().Status(t).Counts
			require.Equal(t, before["accepted"]+1, after["accepted"], "the key is known")
			require.Equal(t, before["unknown"], after["unknown"])
			require.Equal(t, New, visit.Session, "the session id contexts differ")
			require.Equal(t, first.KeyName(), visit.KeyName())
		})
	}
}
