package preloadtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The matrix of ctest/src/matrix.h: what becomes of a ticket of a context with one policy
// for clients at a context with another, in a server that knows nothing of stek. The
// expectations for OpenSSL alone are checked beside it.
func TestTicketOpensNothingThatAFullHandshakeWouldNot(t *testing.T) {
	matrix := program(t, "matrix")
	for _, data := range []string{"", "data"} {
		args := func(mode string) []string {
			if data == "" {
				return []string{mode}
			}
			return []string{mode, data}
		}
		under := func(mode string, options ...string) result {
			argv := append(append([]string{"run"}, options...), "--", matrix)
			return start(t, nil, made(t, "stek"), append(argv, args(mode)...)...)
		}
		for name, r := range map[string]result{
			"OpenSSL alone": start(t, nil, matrix, args("alone")...),
			"with stek":     under("stek"),
			"with a label":  under("label", "--client-auth", "a label"),
		} {
			require.Zero(t, r.code, "%s: %s%s", name, r.stdout, r.stderr)
			require.Regexp(t, `^\d+ squares\n$`, r.stdout)
			t.Logf("%s: %s", name, r.stdout)
		}
	}
}

// Each case is a process that has verified nobody before.
func TestPlacesThatAreEasilyForgotten(t *testing.T) {
	places := program(t, "places")
	r := start(t, nil, places, "list")
	require.Zero(t, r.code, r.stderr)
	names := strings.Fields(r.stdout)
	require.Greater(t, len(names), 10)
	for _, name := range names {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(name+"/"+version, func(t *testing.T) {
				r := start(t, nil, made(t, "stek"), "run", "--", places, name, version)
				require.Zero(t, r.code, r.stdout+r.stderr)
				require.Equal(t, "ok\n", r.stdout)
			})
		}
	}
}

// The verify mode can come from openssl.cnf, of which no call of the server tells.
func TestVerifyModeOfTheConfigurationCounts(t *testing.T) {
	configuration := filepath.Join(t.TempDir(), "openssl.cnf")
	require.NoError(t, os.WriteFile(configuration, []byte(`openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
VerifyMode = Request
`), 0o600))
	places := program(t, "places")
	for _, version := range []string{"1.2", "1.3"} {
		r := start(t, []string{"OPENSSL_CONF=" + configuration}, made(t, "stek"), "run", "--", places,
			"contexts_that_a_file_makes_verify", version)
		require.Zero(t, r.code, r.stdout+r.stderr)
	}
}
