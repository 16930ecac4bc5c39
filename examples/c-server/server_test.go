// Package cserver tests the HTTPS server in C, and what it relies on in
// libstek: it is built and started as its users do, and visited by s_client.
package cserver

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/examples/c-server/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// each runs test with the server as users build it and with AddressSanitizer.
func each(t *testing.T, test func(*testing.T, *hosttest.Build)) {
	t.Helper()
	t.Parallel()
	hosttest.Each(t, "check", test)
}

// workers is the number of threads or children of each server.
const workers = 4

// start runs the server in a mode, threads or prefork, until all workers are there.
func start(t *testing.T, build *hosttest.Build, mode string, args ...string) *hosttest.Server {
	t.Helper()
	certFile, keyFile := hosttest.Certificate(t)
	args = append([]string{"--cert", certFile, "--key", keyFile, "--" + mode, strconv.Itoa(workers)}, args...)
	s := hosttest.Start(t, hosttest.Lib(t), build.Program("server"), args...)
	if mode == "prefork" {
		hosttest.Eventually(t, "all children start", func() bool { return len(s.Children()) == workers })
	}
	return s
}

// counts has the server print what stek_get_stats and stek_get_keys say.
func counts(t *testing.T, s *hosttest.Server) (stats map[string]int, keys []key) {
	t.Helper()
	mark := s.Printed()
	s.Signal(sigCounts)
	s.Await(mark, `^\[\d+\] stats `)
	stats = map[string]int{}
	for _, line := range s.After(mark) {
		var k key
		if n, _ := fmt.Sscanf(line, "[%d] key %s %s issued=%d accepted=%d", new(int), &k.name, &k.state, &k.issued, &k.accepted); n == 5 {
			keys = append(keys, k)
			continue
		}
		for _, field := range regexp.MustCompile(` (\w+)=(\d+)`).FindAllStringSubmatch(line, -1) {
			var n int
			_, err := fmt.Sscan(field[2], &n)
			require.NoError(t, err)
			stats[field[1]] = n
		}
	}
	require.NotEmpty(t, stats)
	return stats, keys
}

type key struct {
	name, state      string
	issued, accepted int
}

func currentKey(t *testing.T, s *hosttest.Server) key {
	t.Helper()
	_, keys := counts(t, s)
	for _, k := range keys {
		if k.state == "current" {
			return k
		}
	}
	require.Fail(t, "no key is current", keys)
	return key{}
}

func TestTicketResumesOnWhicheverThreadAnswers(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "threads")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			first := c.Visit("", "ticket")
			require.Equal(t, "New", first.Session)
			require.Equal(t, currentKey(t, s).name, first.KeyName)
			for range 8 {
				require.Equal(t, "Reused", c.Visit("ticket", "").Session)
			}
			require.Equal(t, s.PID(), first.Process)
		})
		s.End()
	})
}

func TestTicketResumesOnWhicheverChildAnswers(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			require.Equal(t, "New", c.Visit("", "ticket").Session)
			for _, child := range s.Children() {
				s.OnlyChild(child, func() {
					visit := c.Visit("ticket", "")
					require.Equal(t, "Reused", visit.Session)
					require.Equal(t, child, visit.Process)
				})
			}
		})
		s.End()
	})
}

func TestRotationInTheParentReachesTheChildren(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			old := c.Visit("", "ticket").KeyName
			mark := s.Printed()
			s.Signal(sigReload)
			s.Await(mark, `^\[\d+\] reloaded \d+$`)
			current := currentKey(t, s).name
			require.NotEqual(t, old, current)

			for _, child := range s.Children() {
				s.OnlyChild(child, func() {
					renewed := c.Visit("ticket", "renewed")
					require.Equal(t, "Reused", renewed.Session)
					require.Equal(t, current, renewed.KeyName, "the ticket is renewed")
					if c.Version == "tls1_3" {
						require.Equal(t, "Reused", c.Visit("renewed", "").Session)
					}
					require.Equal(t, current, c.Visit("", "").KeyName)
				})
			}
		})
		s.End()
	})
}

func TestCountsAreOfAllChildren(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork")
		tls12, tls13 := hosttest.NewClient(t, s, "tls1_2"), hosttest.NewClient(t, s, "tls1_3")
		tls12.Visit("", "ticket") // 1 ticket
		tls13.Visit("", "ticket") // 2 tickets
		for _, child := range s.Children() {
			s.OnlyChild(child, func() {
				tls12.Visit("ticket", "") // goes on with its ticket
				tls13.Visit("ticket", "") // gets another
			})
		}
		stats, keys := counts(t, s)
		require.Equal(t, map[string]int{"issued": 7, "renewed": 4, "accepted": 8, "accepted_previous": 0,
			"unknown": 0, "expired": 0, "declined": 0, "errors": 0}, stats)
		before := keys[len(keys)-1]
		require.Equal(t, key{before.name, "current", 7, 8}, before)

		mark := s.Printed()
		s.Signal(sigReload)
		s.Await(mark, `reloaded`)
		for _, child := range s.Children() {
			s.OnlyChild(child, func() { tls12.Visit("ticket", "") }) // renewed
		}
		stats, keys = counts(t, s)
		require.Equal(t, map[string]int{"issued": 11, "renewed": 8, "accepted": 12, "accepted_previous": 4,
			"unknown": 0, "expired": 0, "declined": 0, "errors": 0}, stats)
		require.Contains(t, keys, key{before.name, "previous", 7, 12})
		require.Contains(t, keys, key{currentKey(t, s).name, "current", 4, 0})
		s.End()
	})
}

func TestTicketOfAnExpiredKeyIsAFullHandshake(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			each(t, func(t *testing.T, build *hosttest.Build) {
				s := start(t, build, mode, "--store", "memory:?rotation=3s&lifetime=3s")
				hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
					old := c.Visit("", "ticket").KeyName
					require.Equal(t, "Reused", c.Visit("ticket", "").Session)
					var last hosttest.Visit
					hosttest.Eventually(t, "the key expires", func() bool {
						last = c.Visit("ticket", "")
						return last.Session == "New"
					})
					require.NotEqual(t, old, last.KeyName)
					require.Len(t, last.KeyName, 32, "with a fresh ticket")
				})
				stats, _ := counts(t, s)
				require.NotZero(t, stats["expired"]+stats["unknown"])
				require.Zero(t, stats["errors"])
				s.End()
			})
		})
	}
}

func TestEachChildCanOpenAStoreOfItsOwn(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork", "--open-late")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			var tickets, keyNames []string
			for i, child := range s.Children() {
				ticket := fmt.Sprintf("ticket%d", i)
				s.OnlyChild(child, func() {
					first := c.Visit("", ticket)
					require.Equal(t, "New", first.Session)
					require.Equal(t, "Reused", c.Visit(ticket, "").Session)
					for _, foreign := range tickets {
						require.Equal(t, "New", c.Visit(foreign, "").Session)
					}
					keyNames = append(keyNames, first.KeyName)
				})
				tickets = append(tickets, ticket)
			}

			mark := s.Printed()
			s.Signal(sigReload)
			for i, child := range s.Children() {
				s.Await(mark, fmt.Sprintf(`^\[%d\] reloaded`, child))
				s.OnlyChild(child, func() {
					renewed := c.Visit(tickets[i], "")
					require.Equal(t, "Reused", renewed.Session)
					require.NotEqual(t, keyNames[i], renewed.KeyName)
					require.Equal(t, c.Visit("", "").KeyName, renewed.KeyName)
				})
			}
		})
		mark := s.Printed()
		s.Signal(sigCounts)
		for _, child := range s.Children() {
			s.Await(mark, fmt.Sprintf(`^\[%d\] stats issued=\d+ .* errors=0$`, child))
		}
		s.End()
	})
}

func TestWrongStoreIsSaid(t *testing.T) {
	t.Parallel()
	build := hosttest.Plain(t, "check")
	for _, args := range [][]string{
		{"--threads", "1", "--store", "nonsense:"},
		{"--prefork", "2", "--store", "nonsense:"},
		{"--prefork", "2", "--store", "nonsense:", "--open-late"},
	} {
		certFile, keyFile := hosttest.Certificate(t)
		args = append([]string{"--cert", certFile, "--key", keyFile}, args...)
		status, output := hosttest.Run(t, hosttest.Lib(t), nil, build.Program("server"), args...)
		require.Equal(t, 1, status, output)
		require.Regexp(t, `server: stek_open: .*nonsense`, output)
	}
}
