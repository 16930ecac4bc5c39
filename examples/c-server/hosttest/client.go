package hosttest

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clientTimeout ends a client that hangs.
const clientTimeout = 20 * time.Second

// A Client visits one server by openssl s_client, with one version of TLS.
type Client struct {
	t       *testing.T
	server  *Server
	Version string // as s_client calls it: tls1_2 or tls1_3
	folder  string
}

// EachVersion runs test for TLS 1.2 and for TLS 1.3.
func EachVersion(t *testing.T, s *Server, test func(*testing.T, Client)) {
	t.Helper()
	for _, version := range []string{"tls1_2", "tls1_3"} {
		t.Run(version, func(t *testing.T) { test(t, NewClient(t, s, version)) })
	}
}

// NewClient returns a client for version tls1_2 or tls1_3.
func NewClient(t *testing.T, s *Server, version string) Client {
	t.Helper()
	return Client{t, s, version, t.TempDir()}
}

// A Visit is what one connection came to.
type Visit struct {
	Session string // New or Reused: the word of the client and of the server
	Process int    // that answered
	KeyName string // in front of the ticket that the client now has; 32 hex digits, or empty if it has none
}

var (
	sessionLine = regexp.MustCompile(`(?m)^(New|Reused), TLSv`)
	answerLine  = regexp.MustCompile(`(?m)^process (\d+), (TLSv1\.[23]), (New|Reused)$`)
	ticketStart = regexp.MustCompile(`TLS session ticket:\n +0000 - ((?:[0-9a-f]{2}[ -]){16})`)
)

// Visit offers the session called offer and keeps the one it gets as keep, each
// unless it is empty. In TLS 1.2 s_client keeps no ticket that was renewed.
func (c Client) Visit(offer, keep string) Visit {
	c.t.Helper()
	certFile, _ := Certificate(c.t)
	args := []string{"s_client", "-connect", c.server.Addr, "-servername", ServerName,
		"-CAfile", certFile, "-verify_return_error", "-" + c.Version, "-ign_eof"}
	if offer != "" {
		args = append(args, "-sess_in", c.file(offer))
	}
	if keep != "" {
		args = append(args, "-sess_out", c.file(keep))
	}
	output := c.run(args)

	session := sessionLine.FindStringSubmatch(output)
	answer := answerLine.FindStringSubmatch(output)
	require.NotNil(c.t, session, output)
	require.NotNil(c.t, answer, output)
	require.Equal(c.t, session[1], answer[3], "the server's word against the client's")
	require.Equal(c.t, strings.Replace(c.Version, "tls1_", "TLSv1.", 1), answer[2])
	visit := Visit{Session: session[1], Process: atoi(answer[1])}
	if tickets := ticketStart.FindAllStringSubmatch(output, -1); tickets != nil {
		newest := tickets[len(tickets)-1][1]
		visit.KeyName = strings.NewReplacer(" ", "", "-", "").Replace(newest)
	}
	return visit
}

// OmitsTickets tells whether a server without a key sends no ticket. Before
// OpenSSL 3.0.6 it cannot leave out a TLS 1.3 ticket: stek issues one under a
// key that it keeps nowhere (docs/openssl.md).
func (c Client) OmitsTickets() bool {
	c.t.Helper()
	if c.Version != "tls1_3" {
		return true
	}
	version, err := exec.CommandContext(c.t.Context(), "openssl", "version").Output()
	require.NoError(c.t, err)
	return !regexp.MustCompile(`^OpenSSL (1\.1\.1|3\.0\.[0-5] )`).Match(version)
}

// GetsNoTicket tells whether a connection now brings none, or one that is of no
// use: no two of those have the same key.
func (c Client) GetsNoTicket() bool {
	c.t.Helper()
	if c.OmitsTickets() {
		return c.Visit("", "").KeyName == ""
	}
	seen := map[string]bool{}
	for range 3 {
		seen[c.Visit("", "").KeyName] = true
	}
	return len(seen) == 3
}

func (c Client) file(session string) string { return filepath.Join(c.folder, session+".pem") }

func (c Client) run(args []string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	client := exec.CommandContext(ctx, "openssl", args...)
	client.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	client.Stdout, client.Stderr = &stdout, &stderr
	require.NoError(c.t, client.Run(), "%s%s", &stdout, &stderr)
	return stdout.String()
}

func atoi(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
