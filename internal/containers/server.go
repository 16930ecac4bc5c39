package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-stek/stek/internal/containers/visit"
)

// A Server is a server in an image, under stek run.
type Server struct {
	Folder  string
	Name    string
	Port    string // in the container
	Version string // shell command that prints it
	Reload  string // signal for stek, which hands it on; empty: it cannot

	NewOncePerName bool // a new context resumes after a full handshake: it has a certificate callback

	OwnTicketData bool // no TLS 1.3 ticket is renewed across a rotation

	// Options and Command of docker run, if not the image's own.
	Options func() []string
	Command []string
}

var sServer = &Server{
	Folder: "openssl", Name: "openssl s_server", Port: "8443", Version: "openssl version",
	Options: func() []string {
		return []string{"-v", made.path("install/usr/local") + ":/opt/stek:ro", "-e", "PATH=/opt/stek/bin:/usr/bin:/bin"}
	},
	Command: []string{"stek", "run", "--", "openssl", "s_server", "-accept", "8443", "-quiet", "-www",
		"-cert", "/etc/ssl/cert.pem", "-key", "/etc/ssl/key.pem"},
}

// servers are those of Debian's packages.
var servers = []*Server{
	{Folder: "nginx", Name: "nginx", Port: "8443", Version: "nginx -v 2>&1", Reload: "HUP"},
	{Folder: "haproxy", Name: "HAProxy", Port: "8443", Version: "haproxy -v", Reload: "USR2"},
	{Folder: "apache", Name: "Apache", Port: "8443", Version: "apache2 -v", Reload: "USR1"},
	{Folder: "lighttpd", Name: "lighttpd", Port: "8443", Version: "lighttpd -v", Reload: "USR1", NewOncePerName: true},
	{Folder: "stunnel", Name: "stunnel", Port: "8443", Version: "stunnel4 -version 2>&1", Reload: "HUP", OwnTicketData: true},
}

func serverClaims() (claims []*Claim) {
	for _, suite := range []string{"bookworm", "trixie"} {
		for _, s := range servers {
			claims = append(claims, serverClaim("servers", s, serverImage(s.Folder, suite)))
		}
	}
	return append(append(claims, agentClaim()), daemonClaims()...)
}

var serverImages = map[string]*Image{}

// serverImage is the image of a server; claims that share it build it once.
func serverImage(folder, suite string) *Image {
	key := folder + suite
	if serverImages[key] == nil {
		serverImages[key] = &Image{Folder: folder, Suite: suite}
	}
	return serverImages[key]
}

func serverClaim(part string, s *Server, image *Image) *Claim {
	return &Claim{
		Part: part, Image: image, Says: "under stek run: " + s.Name,
		Check: func(ctx context.Context, _ *Claim) (string, error) { return checkServer(ctx, s, image) },
	}
}

// checkServer starts a server and sees what a client of each version of TLS
// sees: on 8 connections, after a rotation, after a reload. Then it ends it.
func checkServer(ctx context.Context, s *Server, image *Image) (string, error) {
	c, err := startServer(ctx, s, image)
	if err != nil {
		return "", err
	}
	defer c.remove()
	if s != sServer {
		image.Is(c.version(ctx, s.Version))
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &visit.Client{Addr: c.addr, Version: version}
		if err := checkClient(ctx, c, s, client); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", tls.VersionName(version), err, c.logs())
		}
	}
	code, err := c.stop(ctx)
	if err != nil {
		return "", err
	}
	if code != "0" && s != sServer { // which dies of the signal
		return "", fmt.Errorf("the container ended with code %s\n%s", code, c.logs())
	}
	seen := "New, 7 Reused; Reused after rotation"
	if s.OwnTicketData {
		seen = "New, 7 Reused; after rotation Reused in TLS 1.2, one New in TLS 1.3: it keeps data of its own in tickets"
	}
	switch {
	case s.Reload != "" && s.NewOncePerName:
		seen += ", after reload New once, then Reused"
	case s.Reload != "":
		seen += ", Reused after reload"
	}
	return seen, nil
}

func checkClient(ctx context.Context, c *container, s *Server, client *visit.Client) error {
	for n := range 8 {
		want := visit.Reused
		if n == 0 {
			want = visit.New
		}
		if err := expect(client, want); err != nil {
			return fmt.Errorf("connection %d: %w", n+1, err)
		}
	}
	before, err := c.currentKey(ctx)
	if err != nil {
		return err
	}
	if client.KeyName() != before {
		return fmt.Errorf("the ticket is under key %q, the current key is %q", client.KeyName(), before)
	}
	if _, err := c.exec(ctx, "stek", "rotate"); err != nil {
		return err
	}
	after, err := c.currentKey(ctx)
	if err != nil {
		return err
	}
	if after == before {
		return fmt.Errorf("stek rotate left key %s current", before)
	}
	if err := expect(client, visit.Reused); err != nil {
		return fmt.Errorf("after the rotation: %w", err)
	}
	if s.OwnTicketData && client.Version == tls.VersionTLS13 {
		if err := expect(client, visit.New); err != nil {
			return fmt.Errorf("without a renewal: %w", err)
		}
	}
	if client.KeyName() != after {
		return fmt.Errorf("after the rotation the ticket is under key %q, the current key is %q", client.KeyName(), after)
	}
	if s.Reload == "" {
		return nil
	}
	return c.reload(ctx, s, client)
}

// reload tells the server to read its configuration again, and connects while
// it does and after.
func (c *container) reload(ctx context.Context, s *Server, client *visit.Client) error {
	if _, err := docker(ctx, "kill", "--signal", s.Reload, c.id); err != nil {
		return err
	}
	mayBeNew := s.NewOncePerName
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(300 * time.Millisecond) {
		session, err := client.Visit()
		if err != nil {
			continue // some close their listener for a moment
		}
		if session == visit.New && mayBeNew {
			mayBeNew = false
			continue
		}
		if session != visit.Reused {
			return fmt.Errorf("in a reload a ticket is %s", session)
		}
	}
	if err := expect(client, visit.Reused); err != nil {
		return fmt.Errorf("after a reload: %w", err)
	}
	return nil
}

func expect(client *visit.Client, want string) error {
	session, err := client.Visit()
	if err == nil && session != want {
		err = fmt.Errorf("%s, want %s", session, want)
	}
	return err
}

// A container is one that runs.
type container struct {
	id   string
	addr string // where it answers on this machine; empty without a port
}

func startServer(ctx context.Context, s *Server, image *Image) (*container, error) {
	args := []string{"--publish", "127.0.0.1::" + s.Port}
	if s.Options != nil {
		args = append(args, s.Options()...)
	}
	c, err := start(ctx, append(append(args, image.Tag()), s.Command...)...)
	if err != nil {
		return nil, err
	}
	return c, c.waitForPort(ctx, s.Port)
}

// start runs a container in the background. It is removed by remove, or at the
// end of everything.
func start(ctx context.Context, args ...string) (*container, error) {
	out, err := docker(ctx, append([]string{"run", "--detach", "--label", mark()}, args...)...)
	if err != nil {
		return nil, err
	}
	return &container{id: strings.TrimSpace(out)}, nil
}

// waitForPort waits until the server behind a published port shakes hands: the
// engine accepts connections before the server does.
func (c *container) waitForPort(ctx context.Context, port string) error {
	var err error
	if c.addr, err = c.published(ctx, port); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", c.addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nobody answers on %s: %w\n%s", c.addr, err, c.logs())
		}
	}
}

// published is where a port of the container is on this machine.
func (c *container) published(ctx context.Context, port string) (string, error) {
	out, err := docker(ctx, "port", c.id, port)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, c.logs())
	}
	addr, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return addr, nil
}

func (c *container) exec(ctx context.Context, args ...string) (string, error) {
	return docker(ctx, append([]string{"exec", c.id}, args...)...)
}

func (c *container) logs() string {
	out, err := command(context.Background(), nil, "sh", "-c", "docker logs --tail 20 "+c.id+" 2>&1")
	if err != nil {
		return err.Error()
	}
	return out
}

// version asks a server for its version: the first thing that looks like one.
func (c *container) version(ctx context.Context, script string) string {
	out, err := c.exec(ctx, "sh", "-c", script)
	if err != nil {
		return ""
	}
	return versionPattern.FindString(out)
}

// currentKey is the name of the key that encrypts, as stek status says.
func (c *container) currentKey(ctx context.Context) (string, error) {
	status, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	for _, key := range status.Keys {
		if key.State == "current" {
			return key.Name, nil
		}
	}
	return "", fmt.Errorf("no key is current: %+v", status)
}

// tableStatus is what stek status says of a table.
type tableStatus struct {
	Keys []struct {
		Name    string `json:"name"`
		State   string `json:"state"`
		Renewed int    `json:"renewed"`
	} `json:"keys"`
	Counts map[string]int `json:"counts"`
}

func (c *container) status(ctx context.Context) (tableStatus, error) {
	out, err := c.exec(ctx, "stek", "status", "--json")
	if err != nil {
		return tableStatus{}, fmt.Errorf("%w\n%s", err, c.logs())
	}
	var all struct {
		Agents []struct {
			Tables []tableStatus `json:"tables"`
		} `json:"agents"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return tableStatus{}, fmt.Errorf("read %q: %w", out, err)
	}
	if len(all.Agents) != 1 || len(all.Agents[0].Tables) != 1 {
		return tableStatus{}, fmt.Errorf("want one agent with one table: %s", out)
	}
	return all.Agents[0].Tables[0], nil
}

// stop ends a container as docker stop does, and returns its exit code.
func (c *container) stop(ctx context.Context) (string, error) {
	begin := time.Now()
	if _, err := docker(ctx, "stop", "--time", "20", c.id); err != nil {
		return "", err
	}
	if took := time.Since(begin); took > 15*time.Second {
		return "", fmt.Errorf("it did not end by itself in %.0f s\n%s", took.Seconds(), c.logs())
	}
	out, err := docker(ctx, "inspect", "--format", "{{.State.ExitCode}}", c.id)
	return strings.TrimSpace(out), err
}

func (c *container) remove() {
	_, _ = docker(context.Background(), "rm", "-fv", c.id)
}
