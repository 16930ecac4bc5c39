// Package visit is a TLS client that keeps its ticket from one connection to
// the next, and tells whose key is in front of it.
package visit

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"time"
)

// What a connection came to.
const (
	New    = "New"    // a full handshake
	Reused = "Reused" // a resumption
)

const (
	keyNameSize = 16 // the key's name is in front of a ticket
	timeout     = 15 * time.Second
)

// A Client visits one server with one version of TLS and offers the newest
// ticket it was given. In TLS 1.3 it offers each ticket once (RFC 8446,
// appendix C.4), or again if no handshake came of it. It does not look at the server's certificate.
type Client struct {
	Addr     string
	Version  uint16   // such as tls.VersionTLS13
	Protocol Protocol // the zero value asks for a page by HTTP

	// Certificate is what the client shows if the server asks for one.
	Certificate *tls.Certificate

	// DataAddr is where an FTP server has its data connections.
	DataAddr string

	ticket *tls.ClientSessionState
	key    string
}

// KeyName is the name of the key of the ticket that the client has, as 32 hex
// digits; empty if it has none.
func (c *Client) KeyName() string { return c.key }

// Forget makes the client one that has no ticket.
func (c *Client) Forget() { c.ticket, c.key = nil, "" }

// Visit makes a connection, asks a question, and tells New or Reused.
func (c *Client) Visit() (string, error) {
	conn, err := c.dial(c.Addr, c.Protocol.Start)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ask := c.Protocol.Ask
	if ask == nil {
		ask = askForPage
	}
	if err := ask(c, conn); err != nil {
		return "", fmt.Errorf("%s: %w", c.Addr, err)
	}
	if conn.ConnectionState().DidResume {
		return Reused, nil
	}
	return New, nil
}

// dial connects, says what the protocol says before TLS, and shakes hands.
func (c *Client) dial(addr string, start func(io.ReadWriter) error) (*tls.Conn, error) {
	raw, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(timeout))
	if start != nil {
		if err := start(raw); err != nil {
			raw.Close()
			return nil, fmt.Errorf("before TLS, %s: %w", addr, err)
		}
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName:           "localhost",
		InsecureSkipVerify:   true, // it is about tickets
		MinVersion:           c.Version,
		MaxVersion:           c.Version,
		ClientSessionCache:   (*cache)(c),
		GetClientCertificate: c.certificate,
	})
	ticket, key := c.ticket, c.key
	if err := conn.Handshake(); err != nil {
		conn.Close()
		c.ticket, c.key = ticket, key // a port that is forwarded accepts without a server
		return nil, fmt.Errorf("handshake with %s: %w", addr, err)
	}
	return conn, nil
}

func (c *Client) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if c.Certificate == nil {
		return &tls.Certificate{}, nil
	}
	return c.Certificate, nil
}

// A cache is the Client as crypto/tls sees it.
type cache Client

func (c *cache) Get(string) (*tls.ClientSessionState, bool) {
	ticket := c.ticket
	if c.Version == tls.VersionTLS13 {
		c.ticket, c.key = nil, ""
	}
	return ticket, ticket != nil
}

// Put is called with nil when the session is used up: Get decides that.
func (c *cache) Put(_ string, state *tls.ClientSessionState) {
	if state == nil {
		return
	}
	ticket, _, err := state.ResumptionState()
	if err != nil || len(ticket) < keyNameSize {
		return
	}
	c.ticket, c.key = state, hex.EncodeToString(ticket[:keyNameSize])
}
