// Package visit is a TLS client that keeps its ticket from one connection to
// the next, and tells whose key is in front of it.
package visit

import (
	"bytes"
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
	request     = "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)

// A Client visits one server with one version of TLS and offers the newest
// ticket it was given. In TLS 1.3 it offers each ticket once (RFC 8446,
// appendix C.4), or again if no handshake came of it. It does not look at the server's certificate.
type Client struct {
	Addr    string
	Version uint16 // such as tls.VersionTLS13

	ticket *tls.ClientSessionState
	key    string
}

// KeyName is the name of the key of the ticket that the client has, as 32 hex
// digits; empty if it has none.
func (c *Client) KeyName() string { return c.key }

// Visit makes a connection, asks for a page, and tells New or Reused.
func (c *Client) Visit() (string, error) {
	raw, err := net.DialTimeout("tcp", c.Addr, timeout)
	if err != nil {
		return "", err
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName:         "localhost",
		InsecureSkipVerify: true, // it is about tickets
		MinVersion:         c.Version,
		MaxVersion:         c.Version,
		ClientSessionCache: (*cache)(c),
	})
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	ticket, key := c.ticket, c.key
	if err := conn.Handshake(); err != nil {
		c.ticket, c.key = ticket, key // a port that is forwarded accepts without a server
		return "", fmt.Errorf("handshake with %s: %w", c.Addr, err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return "", err
	}
	// Some servers end without a close notify, and some reset.
	answer, err := io.ReadAll(conn)
	if !bytes.Contains(answer, []byte("ok")) {
		return "", fmt.Errorf("%s answers %q: %v", c.Addr, answer, err)
	}
	if conn.ConnectionState().DidResume {
		return Reused, nil
	}
	return New, nil
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
