package preloadtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server of OpenSSL's own QUIC: no callback of its chooses another context.
func TestQUICTicketOpensNothingThatAFullHandshakeWouldNot(t *testing.T) {
	quic := program(t, "quic")
	for name, r := range map[string]result{
		"OpenSSL alone": start(t, nil, quic, "alone"),
		"with stek":     start(t, nil, made(t, "stek"), "run", "--", quic, "stek"),
		"with a label":  start(t, nil, made(t, "stek"), "run", "--client-auth", "a label", "--", quic, "label"),
	} {
		require.Zero(t, r.code, "%s: %s%s", name, r.stdout, r.stderr)
		require.Regexp(t, `^(\d+ squares|this OpenSSL has no QUIC server)\n$`, r.stdout)
		t.Logf("%s: %s", name, r.stdout)
	}
}

// The options of a context are complete when its listener is made.
func TestQUICListenerIsTheFirstConnection(t *testing.T) {
	r := start(t, nil, made(t, "stek"), "run", "--force-tickets", "--", program(t, "quic"), "late")
	require.Zero(t, r.code, r.stdout+r.stderr)
}
