package bindingtest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/ticketkey"
)

// A client is one browser, so to speak: Go's TLS client with a session cache of
// its own, which holds the newest ticket.
type client struct {
	address string
	config  *tls.Config
	newest  *tls.ClientSessionState
}

func (f fixture) newClient() *client {
	c := &client{address: f.Listener.Addr().String()}
	c.config = &tls.Config{
		RootCAs:            f.trusted.pool,
		ServerName:         serverName,
		MinVersion:         f.version,
		MaxVersion:         f.version,
		ClientSessionCache: c,
	}
	return c
}

// Get and Put make the client its own tls.ClientSessionCache.
func (c *client) Get(string) (*tls.ClientSessionState, bool) { return c.newest, c.newest != nil }

func (c *client) Put(_ string, session *tls.ClientSessionState) { c.newest = session }

// connect visits the server once and returns New or Reused, on which both
// sides agree.
func (c *client) connect(t *testing.T) string {
	t.Helper()
	outcome, err := c.dial()
	require.NoError(t, err)
	return outcome
}

func (c *client) dial() (string, error) {
	dialer := &net.Dialer{Timeout: ioTimeout}
	conn, err := tls.DialWithDialer(dialer, "tcp", c.address, c.config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(ioTimeout))
	if _, err := io.WriteString(conn, "?"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn) // and the tickets before it
	if err != nil {
		return "", err
	}
	outcome := "New"
	if conn.ConnectionState().DidResume {
		outcome = "Reused"
	}
	if outcome != string(answer) {
		return "", fmt.Errorf("the client says %s, the server %q", outcome, answer)
	}
	return outcome, nil
}

// ticketKeyName is the key name in front of the newest ticket.
func (c *client) ticketKeyName(t *testing.T) ticketkey.Name {
	t.Helper()
	require.NotNil(t, c.newest, "the client has no ticket")
	ticket, _, err := c.newest.ResumptionState()
	require.NoError(t, err)
	require.Greater(t, len(ticket), ticketkey.NameSize)
	return ticketkey.Name(ticket[:ticketkey.NameSize])
}
