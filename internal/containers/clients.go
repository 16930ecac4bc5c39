package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-stek/stek/internal/containers/visit"
)

// A Program is a client in the image of clients. It prints New or Reused for
// each connection, and waits for a line before the second, or a while.
type Program struct {
	Name    string
	Command []string
	Want    []string

	// NoTicket12 is why the client asks for no ticket in TLS 1.2.
	NoTicket12 string
}

var thrice = []string{visit.New, visit.Reused, visit.Reused}

var programs = []*Program{
	{Name: "openssl s_client", Command: []string{"./s_client.sh"}, Want: thrice},
	{Name: "curl", Command: []string{"./curl.sh"}, Want: thrice,
		NoTicket12: "curl on OpenSSL asks for no ticket in TLS 1.2 (SSL_OP_NO_TICKET)"},
	{Name: "Go crypto/tls", Command: []string{"/visitor"}, Want: thrice},
	{Name: "GnuTLS (gnutls-cli)", Command: []string{"./gnutls.sh"}, Want: thrice[:2]},
	{Name: "Python ssl", Command: []string{"python3", "python.py"}, Want: thrice},
	{Name: "Chromium, headless", Command: []string{"./chromium.sh"}, Want: thrice},
	{Name: "wolfSSL", Command: []string{"./wolfssl"}, Want: thrice},
}

var clientsImage = &Image{Folder: "clients", Suite: "trixie"}

func clientClaims() (claims []*Claim) {
	for _, p := range programs {
		claims = append(claims, &Claim{
			Part: "clients", Image: clientsImage, Says: "resumes across a rotation: " + p.Name,
			Check: func(ctx context.Context, _ *Claim) (string, error) { return checkProgram(ctx, p) },
		})
	}
	return claims
}

// checkProgram connects a client to nginx under stek run, in a network of their
// own, and rotates after its first connection.
func checkProgram(ctx context.Context, p *Program) (string, error) {
	image := serverImage("nginx", "trixie")
	if err := image.Build(ctx); err != nil {
		return "", err
	}
	network, err := newNetwork(ctx)
	if err != nil {
		return "", err
	}
	defer network.remove()

	var seen []string
	for _, version := range []string{"1.2", "1.3"} {
		words, err := network.rotateBetween(ctx, p, image, version)
		if err != nil {
			return "", fmt.Errorf("TLS %s: %w", version, err)
		}
		seen = append(seen, "TLS "+version+": "+words)
	}
	return strings.Join(seen, "; "), nil
}

// rotateBetween runs a client against a fresh server and tells what it saw.
func (n network) rotateBetween(ctx context.Context, p *Program, server *Image, version string) (string, error) {
	c, err := start(ctx, "--network", string(n), "--network-alias", "server", "--publish", "127.0.0.1::8443", server.Tag())
	if err != nil {
		return "", err
	}
	defer c.remove()
	if err := c.waitForPort(ctx, "8443"); err != nil {
		return "", err
	}
	before, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	words, err := n.runProgram(ctx, p, version, func() error {
		_, err := c.exec(ctx, "stek", "rotate")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, c.logs())
	}
	after, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	if version == "1.2" && p.NoTicket12 != "" {
		if slices.Contains(words, visit.Reused) || after.Counts["issued"] != before.Counts["issued"] {
			return "", fmt.Errorf("it uses tickets now: %q, %v", words, after.Counts)
		}
		return "New each time: " + p.NoTicket12, nil
	}
	if !slices.Equal(words, p.Want) {
		return "", fmt.Errorf("%q, want %q\n%s", words, p.Want, c.logs())
	}
	if renewed := after.renewed(); renewed == 0 {
		return "", fmt.Errorf("no ticket was renewed: %+v", after)
	}
	return strings.Join(words, ", "), nil
}

// runProgram runs a client. Between its first connection and its second it calls
// rotate.
func (n network) runProgram(ctx context.Context, p *Program, version string, rotate func() error) (words []string, err error) {
	args := append([]string{"run", "--rm", "--interactive", "--label", mark(), "--network", string(n),
		"-v", made.path("src/build/visitor") + ":/visitor:ro", clientsImage.Tag()}, p.Command...)
	cmd := exec.CommandContext(ctx, "docker", append(args, "server", version)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		words = append(words, lines.Text())
		if len(words) == 1 {
			err = rotate()
			_, writeErr := io.WriteString(stdin, "\n")
			err = errors.Join(err, writeErr, stdin.Close())
		}
	}
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return words, fmt.Errorf("%s: %w\n%s", p.Name, err, lastLines(stderr.String(), 20))
	}
	return words, nil
}

// renewed counts the tickets that were replaced by one under a newer key.
func (t tableStatus) renewed() (n int) {
	for _, key := range t.Keys {
		n += key.Renewed
	}
	return n
}

// networks numbers them.
var networks atomic.Int32

// A network is one that containers of a claim share.
type network string

func newNetwork(ctx context.Context) (network, error) {
	out, err := docker(ctx, "network", "create", "--label", mark(), fmt.Sprintf("stek-test-%d-%d", os.Getpid(), networks.Add(1)))
	return network(strings.TrimSpace(out)), err
}

func (n network) remove() { _, _ = docker(context.Background(), "network", "rm", string(n)) }
