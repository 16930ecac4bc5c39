// Package cdlopen tests the HTTPS server in C that loads libstek by dlopen.
package cdlopen

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/examples/c-server/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// each runs test with the server as users build it and with AddressSanitizer.
func each(t *testing.T, test func(*testing.T, *hosttest.Build)) {
	t.Helper()
	t.Parallel()
	hosttest.Each(t, "all", test)
}

func start(t *testing.T, build *hosttest.Build, lib string, args ...string) *hosttest.Server {
	t.Helper()
	certFile, keyFile := hosttest.Certificate(t)
	return hosttest.Start(t, lib, build.Program("server"), append([]string{certFile, keyFile}, args...)...)
}

// reload makes the server rotate its key; it says whether it could.
func reload(s *hosttest.Server) (says string) {
	mark := s.Printed()
	s.Signal(syscall.SIGHUP)
	return s.Await(mark, `^reloaded.*$`)[0]
}

func TestServerDoesNotLinkTheLibrary(t *testing.T) {
	build := hosttest.Plain(t, "all")
	needed, err := exec.Command("ldd", build.Program("server")).Output()
	require.NoError(t, err)
	require.Contains(t, string(needed), "libssl")
	require.NotContains(t, string(needed), "stek")
}

func TestTicketKeysRotateWithTheLibrary(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		for _, found := range []struct{ name, lib, library string }{
			{"by the dynamic loader", hosttest.Lib(t), "libstek.so.0"},
			{"by its path", "", filepath.Join(hosttest.Lib(t), "libstek.so.0")},
		} {
			t.Run(found.name, func(t *testing.T) {
				s := start(t, build, found.lib, found.library)
				s.Await(0, `^with libstek$`)
				hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
					first := c.Visit("", "ticket")
					require.Equal(t, "New", first.Session)
					require.Equal(t, "reloaded, with a fresh ticket key", reload(s))
					renewed := c.Visit("ticket", "renewed")
					require.Equal(t, "Reused", renewed.Session)
					require.NotEqual(t, first.KeyName, renewed.KeyName)
					if c.Version == "tls1_3" {
						require.Equal(t, "Reused", c.Visit("renewed", "").Session)
					}
				})
				s.End()
			})
		}
	})
}

func TestTicketKeysExpireWithTheLibrary(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, hosttest.Lib(t), "libstek.so.0", "memory:?rotation=3s&lifetime=3s")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			c.Visit("", "ticket")
			require.Equal(t, "Reused", c.Visit("ticket", "").Session)
			hosttest.Eventually(t, "the key expires", func() bool { return c.Visit("ticket", "").Session == "New" })
		})
		s.End()
	})
}

func TestServerServesWithoutTheLibrary(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		// Another library under its name has none of the functions.
		other := t.TempDir()
		require.NoError(t, exec.Command("cc", "-shared", "-o", filepath.Join(other, "libstek.so.0"), "-x", "c", os.DevNull).Run())

		for _, without := range []struct {
			name, lib string
			args      []string
			says      string
		}{
			{"not installed", "", nil, `libstek\.so\.0: cannot open shared object file`},
			{"not where it should be", "", []string{"/nowhere/libstek.so.0"}, `/nowhere/libstek\.so\.0: cannot open`},
			{"not libstek", other, nil, `undefined symbol: stek_open`},
			{"wrong URI", hosttest.Lib(t), []string{"libstek.so.0", "nonsense:"}, `stek_open: .*nonsense`},
		} {
			t.Run(without.name, func(t *testing.T) {
				s := start(t, build, without.lib, without.args...)
				s.Await(0, `^without libstek: .*`+without.says)
				hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
					first := c.Visit("", "ticket")
					require.Equal(t, "New", first.Session)
					require.Equal(t, "reloaded", reload(s))
					again := c.Visit("ticket", "")
					require.Equal(t, "Reused", again.Session, "by OpenSSL's own key")
					require.Equal(t, first.KeyName, again.KeyName)
				})
				s.End()
			})
		}
	})
}
