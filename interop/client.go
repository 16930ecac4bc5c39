package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Words that a user of TLS sees: what a handshake came to.
const (
	New    = "New"
	Reused = "Reused"
)

// keyNameSize is that of a ticket key's name, the first bytes of every ticket;
// see SSL_CTX_set_tlsext_ticket_key_cb(3).
const keyNameSize = 16

// A dialect is the shortest conversation in which a server answers after the
// handshake, so that a TLS 1.3 client has read its tickets.
type dialect struct {
	greeting bool   // the server speaks first, one line
	ask      string // after which the server ends the connection
	answer   string // is in what the server sends
}

var (
	overHTTP = dialect{ask: "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", answer: " 200 "}
	overIMAP = dialect{greeting: true, ask: "a LOGOUT\r\n", answer: "a OK"}
	overSMTP = dialect{greeting: true, ask: "QUIT\r\n", answer: "221 "}
)

// A Client visits one server with one version of TLS. It keeps nothing between
// visits; Walk is a client that does.
type Client struct {
	addr    string
	dialect dialect
	config  *tls.Config
}

// newClient returns a client of the server at the site.
func newClient(t *testing.T, s *Server, site *Site, version uint16) Client {
	t.Helper()
	return Client{site.Addr(), s.Dialect, &tls.Config{
		ServerName: serverName,
		RootCAs:    trusted(t),
		MinVersion: version,
		MaxVersion: version,
	}}
}

// Asking is the client when it asks for another server name.
func (c Client) Asking(name string) Client {
	c.config = c.config.Clone()
	c.config.ServerName = name
	return c
}

// A Ticket is a session that a client can offer.
type Ticket struct {
	KeyName string // 32 hex digits: the name of the key in front of it
	state   *tls.ClientSessionState
}

// A Visit is what one connection came to.
type Visit struct {
	Session string    // New or Reused
	Tickets []*Ticket // that the client was given, newest last
}

// Newest is the ticket to keep, nil if the client was given none.
func (v Visit) Newest() *Ticket {
	if len(v.Tickets) == 0 {
		return nil
	}
	return v.Tickets[len(v.Tickets)-1]
}

// KeyName is that of the newest ticket, empty if there is none.
func (v Visit) KeyName() string {
	if v.Newest() == nil {
		return ""
	}
	return v.Newest().KeyName
}

// visitTimeout ends a conversation that hangs.
const visitTimeout = 15 * time.Second

// Try makes one connection, offers a ticket unless it is nil, and has one
// conversation.
func (c Client) Try(offer *Ticket) (Visit, error) {
	cache := &oneOffer{offer: offer}
	config := c.config.Clone()
	config.ClientSessionCache = cache
	raw, err := net.DialTimeout("tcp", c.addr, visitTimeout)
	if err != nil {
		return Visit{}, err
	}
	conn := tls.Client(raw, config)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(visitTimeout))
	if err := conn.Handshake(); err != nil {
		return Visit{}, fmt.Errorf("handshake with %s: %w", c.addr, err)
	}
	if err := c.dialect.talk(conn); err != nil {
		return Visit{}, fmt.Errorf("talk to %s: %w", c.addr, err)
	}
	if cache.err != nil {
		return Visit{}, cache.err
	}
	visit := Visit{Session: New, Tickets: cache.given}
	if conn.ConnectionState().DidResume {
		visit.Session = Reused
	}
	return visit, nil
}

// Visit is Try for a server that has to answer. stunnel, for one, does not listen
// for a moment while it takes its new configuration.
func (c Client) Visit(t *testing.T, offer *Ticket) Visit {
	t.Helper()
	visit, err := c.Try(offer)
	for deadline := time.Now().Add(visitTimeout); errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
		visit, err = c.Try(offer)
	}
	require.NoError(t, err)
	return visit
}

func (d dialect) talk(conn *tls.Conn) error {
	reader := bufio.NewReader(conn)
	if d.greeting {
		if _, err := reader.ReadString('\n'); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, d.ask); err != nil {
		return err
	}
	answer, err := io.ReadAll(reader)
	// Some servers end without a close notify, and some reset.
	if !bytes.Contains(answer, []byte(d.answer)) {
		return fmt.Errorf("the answer is %q: %w", answer, err)
	}
	return nil
}

// A oneOffer is the session cache of one connection.
type oneOffer struct {
	offer *Ticket
	given []*Ticket
	err   error
}

func (c *oneOffer) Get(string) (*tls.ClientSessionState, bool) {
	if c.offer == nil {
		return nil, false
	}
	return c.offer.state, true
}

// Put is called with nil when crypto/tls has used the session up; whoever
// offers a ticket decides that here.
func (c *oneOffer) Put(_ string, state *tls.ClientSessionState) {
	if state == nil {
		return
	}
	ticket, _, err := state.ResumptionState()
	if err != nil {
		c.err = err
		return
	}
	if len(ticket) == 0 {
		return // in TLS 1.2, how a server says that it has none after all
	}
	if len(ticket) < keyNameSize {
		c.err = fmt.Errorf("a ticket of %d bytes", len(ticket))
		return
	}
	c.given = append(c.given, &Ticket{hex.EncodeToString(ticket[:keyNameSize]), state})
}
