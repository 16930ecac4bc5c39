package cserver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/examples/c-server/hosttest"
)

const (
	sigReload = syscall.SIGHUP
	sigCounts = syscall.SIGUSR1
)

var modes = []string{"threads", "prefork"}

func eachMode(t *testing.T, test func(*testing.T, *hosttest.Server)) {
	t.Helper()
	each(t, func(t *testing.T, build *hosttest.Build) {
		for _, mode := range modes {
			t.Run(mode, func(t *testing.T) {
				// Rotations keep the library's threads busy meanwhile.
				test(t, start(t, build, mode, "--store", "memory:?rotation=200ms&lifetime=200ms"))
			})
		}
	})
}

// A Go runtime in the process must neither take a signal nor delay it.
func TestNoSignalIsLost(t *testing.T) {
	eachMode(t, func(t *testing.T, s *hosttest.Server) {
		for i := range 50 {
			mark := s.Printed()
			s.Signal(syscall.SIGPIPE)
			s.Signal(sigReload)
			s.Await(mark, fmt.Sprintf(`^\[%d\] reloaded %d$`, s.PID(), i+1))
			mark = s.Printed()
			s.Signal(sigCounts)
			s.Await(mark, fmt.Sprintf(`^\[%d\] stats .* errors=0$`, s.PID()))
		}
		s.End()
	})
}

func TestClientThatGoesAwayDoesNotEndTheServer(t *testing.T) {
	eachMode(t, func(t *testing.T, s *hosttest.Server) {
		for range 20 {
			conn := dial(t, s)
			require.NoError(t, conn.NetConn().(*net.TCPConn).SetLinger(0))
			_, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
			require.NoError(t, err)
			require.NoError(t, conn.NetConn().Close()) // with a reset: the server's write fails
		}
		require.Equal(t, "New", hosttest.NewClient(t, s, "tls1_3").Visit("", "").Session)
		s.End()
	})
}

func TestTermFinishesTheRequestUnderWay(t *testing.T) {
	eachMode(t, func(t *testing.T, s *hosttest.Server) {
		conn := dial(t, s)
		_, err := io.WriteString(conn, "GET / HTTP/1.0\r\n")
		require.NoError(t, err)
		s.Signal(syscall.SIGTERM)
		time.Sleep(200 * time.Millisecond) // the server has time to do wrong
		_, err = io.WriteString(conn, "\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Regexp(t, `^HTTP/1\.1 200 OK\r\n(?s:.*)\r\n\r\nprocess \d+, TLSv1\.3, New\n$`, string(answer))

		s.AwaitEnd()
		for _, child := range s.Children() {
			require.False(t, hosttest.Alive(child))
		}
		_, err = net.Dial("tcp", s.Addr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestKilledChildIsReplacedByOneThatResumes(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork")
		hosttest.EachVersion(t, s, func(t *testing.T, c hosttest.Client) {
			require.Equal(t, "New", c.Visit("", "ticket").Session)
			for range 10 {
				mark, killed := s.Printed(), s.Children()[0]
				require.NoError(t, syscall.Kill(killed, syscall.SIGKILL))
				s.Await(mark, fmt.Sprintf(`^\[%d\] child %d killed by signal 9$`, s.PID(), killed))
				s.Await(mark, fmt.Sprintf(`^\[%d\] child \d+ started$`, s.PID()))
			}
			children := s.Children()
			require.Len(t, children, workers)
			newest := children[workers-1]
			s.OnlyChild(newest, func() {
				visit := c.Visit("ticket", "")
				require.Equal(t, "Reused", visit.Session)
				require.Equal(t, newest, visit.Process)
			})
			mark := s.Printed()
			s.Signal(sigReload)
			s.Await(mark, `reloaded`)
			s.OnlyChild(newest, func() {
				require.Equal(t, "Reused", c.Visit("ticket", "").Session, "after a rotation, too")
			})
		})
		s.End()
	})
}

func TestChildrenOutliveTheParentAndThenItsKeys(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		s := start(t, build, "prefork", "--store", "memory:?rotation=6s&lifetime=6s")
		tls12, tls13 := hosttest.NewClient(t, s, "tls1_2"), hosttest.NewClient(t, s, "tls1_3")
		clients := []hosttest.Client{tls12, tls13}
		for _, c := range clients {
			require.Equal(t, "New", c.Visit("", "ticket").Session)
		}
		s.Kill()
		for _, c := range clients {
			require.Equal(t, "Reused", c.Visit("ticket", "").Session)
		}
		for _, c := range clients {
			hosttest.Eventually(t, "the keys expire", func() bool { return c.Visit("ticket", "").Session == "New" })
			hosttest.Eventually(t, "no ticket is issued", c.GetsNoTicket)
		}
		for _, child := range s.Children() {
			s.OnlyChild(child, func() {
				for _, c := range clients {
					visit := c.Visit("ticket", "")
					require.Equal(t, "New", visit.Session)
					require.Equal(t, child, visit.Process)
					require.True(t, c.GetsNoTicket())
				}
			})
		}
	})
}

// dial makes a TLS 1.3 connection from Go, for what s_client cannot do.
func dial(t *testing.T, s *hosttest.Server) *tls.Conn {
	t.Helper()
	certFile, _ := hosttest.Certificate(t)
	pem, err := os.ReadFile(certFile)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	conn, err := tls.Dial("tcp", s.Addr, &tls.Config{RootCAs: roots, ServerName: hosttest.ServerName})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}
