package backends

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/backend/memory"
)

func TestOpenUnderstandsURIs(t *testing.T) {
	for uri, lifetime := range map[string]time.Duration{
		"memory:":                           6 * time.Hour,
		"memory:?":                          6 * time.Hour,
		"memory:?rotation=1h":               time.Hour,
		"memory:?rotation=90m&lifetime=2h":  2 * time.Hour,
		"memory:?lifetime=2s&rotation=1.5s": 2 * time.Second,
	} {
		source, err := Open(uri)
		require.NoError(t, err, uri)
		require.Equal(t, lifetime, source.(*memory.Source).Lifetime(), uri)
		require.NoError(t, source.Close())
	}
}

func TestOpenSaysWhatIsWrongInAURI(t *testing.T) {
	for uri, says := range map[string]string{
		"":                                "does not begin with a backend's name",
		"memory":                          "does not begin with a backend's name",
		"MEMORY:":                         "does not begin with a backend's name",
		"etcd://host":                     "does not begin with a backend's name",
		"memory:6h":                       "takes parameters after a question mark, and nothing else",
		"memory://host":                   "takes parameters after a question mark, and nothing else",
		"memory:/path":                    "takes parameters after a question mark, and nothing else",
		"memory:?rotation":                "rotation is not a duration, such as 6h or 90m",
		"memory:?rotation=6":              "rotation is not a duration",
		"memory:?rotation=-6h":            "rotation is not a duration",
		"memory:?rotation=0s":             "rotation is not a duration",
		"memory:?rotation=1h&rotation=2h": "it has rotation twice",
		"memory:?rotate=6h":               `unknown parameter "rotate"`,
		"memory:?a=%zz":                   "its parameters cannot be read",
		"memory:?a;b":                     "its parameters cannot be read",
		"memory:\x7f":                     "it is no URI",
		"memory:?rotation=1h&lifetime=3h": "ticket lifetime of 3h0m0s is more than twice the rotation of 1h0m0s",
	} {
		_, err := Open(uri)
		require.ErrorContains(t, err, says, uri)
		require.IsType(t, &URIError{}, err, uri)
	}
}

func TestErrorsTellNoPassword(t *testing.T) {
	_, err := Open("redis://user:hunter2@host/0")
	require.EqualError(t, err, "store URI redis:..., it does not begin with a backend's name: memory:")
}

func FuzzOpen(f *testing.F) {
	f.Add("memory:?rotation=6h&lifetime=6h")
	f.Fuzz(func(t *testing.T, uri string) {
		source, err := Open(uri)
		if err != nil {
			require.IsType(t, &URIError{}, err)
			return
		}
		require.NoError(t, source.Close())
	})
}
