package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// clientTimeout ends a client that hangs.
const clientTimeout = 10 * time.Second

// clients runs stock TLS clients against the server.
type clients struct {
	server *server
	cert   certificate
}

// A tlsVersion has its options for both clients.
type tlsVersion struct {
	name    string
	openssl string
	curl    []string
}

var (
	tls12 = tlsVersion{"TLS 1.2", "-tls1_2", []string{"--tlsv1.2", "--tls-max", "1.2"}}
	tls13 = tlsVersion{"TLS 1.3", "-tls1_3", []string{"--tlsv1.3"}}
)

// A visit is what a client says of one connection.
type visit struct {
	session string // New or Reused
	keyName string // first 4 bytes of the ticket the client now has, in hex; empty if it has none
}

var (
	sessionLine = regexp.MustCompile(`(?m)^(New|Reused), TLSv`)
	ticketStart = regexp.MustCompile(`TLS session ticket:\n +0000 - ((?:[0-9a-f]{2} ){4})`)
)

// sClient visits the server once by openssl s_client. It offers the session in
// the file offer and writes the one it gets to keep, each unless it is empty.
func (c clients) sClient(ctx context.Context, version tlsVersion, offer, keep string) (visit, error) {
	args := []string{"s_client", "-connect", net.JoinHostPort(c.server.endpoint()),
		"-servername", serverName, "-CAfile", c.cert.certFile, "-verify_return_error",
		version.openssl, "-ign_eof"}
	if offer != "" {
		args = append(args, "-sess_in", c.file(offer, version))
	}
	if keep != "" {
		args = append(args, "-sess_out", c.file(keep, version))
	}
	output, err := command(ctx, "GET / HTTP/1.0\r\n\r\n", "openssl", args...)
	if err != nil {
		return visit{}, err
	}

	session := sessionLine.FindStringSubmatch(output)
	if session == nil {
		return visit{}, fmt.Errorf("openssl s_client says neither New nor Reused:\n%s", output)
	}
	v := visit{session: session[1]}
	if !strings.Contains(output, "\n"+v.session+"\n") {
		return visit{}, fmt.Errorf("openssl s_client says %s, the server does not:\n%s", v.session, output)
	}
	if tickets := ticketStart.FindAllStringSubmatch(output, -1); tickets != nil {
		newest := tickets[len(tickets)-1][1]
		v.keyName = strings.ReplaceAll(newest, " ", "")
	}
	return v, nil
}

// curl fetches two pages over two connections of one curl process, and returns
// what the server saw: New or Reused for each.
func (c clients) curl(ctx context.Context, version tlsVersion) ([]string, error) {
	host, port := c.server.endpoint()
	page := "https://" + net.JoinHostPort(serverName, port) + "/"
	args := append([]string{"-q", "--silent", "--show-error", "--noproxy", "*", "--http1.1",
		"--cacert", c.cert.certFile, "--connect-to", "::" + bracketed(host) + ":" + port}, version.curl...)
	output, err := command(ctx, "", "curl", append(args, page, page)...)
	return strings.Fields(output), err
}

func (c clients) file(session string, version tlsVersion) string {
	return filepath.Join(c.cert.folder, session+version.openssl+".pem")
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// command runs a client and returns what it wrote to standard output. All it
// wrote is part of the error if it fails.
func command(ctx context.Context, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	child := exec.CommandContext(ctx, name, args...)
	child.Stdin, child.Stdout, child.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := child.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w\n%s%s", name, err, &stdout, &stderr)
	}
	return stdout.String(), nil
}
