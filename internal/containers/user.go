package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-stek/stek/internal/containers/visit"
)

// imageClaims are about the image that people take.
func imageClaims() []*Claim {
	return []*Claim{
		{Part: "image", Image: stekImage, On: "stek", Says: "small, not root, read-only, no capabilities, healthy", Check: checkUserImage},
		{Part: "image", Image: serverImage("nginx", "bookworm"), On: "docker/demo", Says: "compose: a client resumes across rotations; metrics", Check: checkDemo},
	}
}

// agentClaim is about keys in one container and a server in another.
func agentClaim() *Claim {
	return &Claim{
		Part: "servers", Image: serverImage("nginx", "bookworm"), On: "docker/agent, bookworm",
		Says: "compose: stek agent beside nginx, table on a tmpfs", Check: checkAgent,
	}
}

// mostMegabytes is what the image may have beside Debian's.
const mostMegabytes = 40

// userOptions are those of docker run for the image.
var userOptions = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
	"--tmpfs", "/run/stek:uid=10464,gid=10464,mode=0755"}

func checkUserImage(ctx context.Context, _ *Claim) (string, error) {
	var sizes [2]int
	for n, tag := range []string{userImage, base(stekImage.Suite)} {
		out, err := docker(ctx, "image", "inspect", "--format", "{{.Size}}", tag)
		if err != nil {
			return "", err
		}
		if sizes[n], err = strconv.Atoi(strings.TrimSpace(out)); err != nil {
			return "", err
		}
	}
	more := (sizes[0] - sizes[1]) / 1_000_000
	if more > mostMegabytes {
		return "", fmt.Errorf("it is %d MB more than Debian's, want at most %d", more, mostMegabytes)
	}
	c, err := start(ctx, append(append([]string{"--health-interval", "1s"}, userOptions...), userImage)...)
	if err != nil {
		return "", err
	}
	defer c.remove()
	err = eventually(ctx, "it is healthy", func() bool {
		out, err := docker(ctx, "inspect", "--format", "{{.State.Health.Status}}", c.id)
		return err == nil && strings.TrimSpace(out) == "healthy"
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, c.logs())
	}
	if out, err := c.exec(ctx, "id", "-u"); err != nil || strings.TrimSpace(out) == "0" {
		return "", fmt.Errorf("it runs as user %q: %v", out, err)
	}
	if code, err := c.stop(ctx); err != nil || code != "0" {
		return "", fmt.Errorf("it ends with code %s: %v", code, err)
	}
	return fmt.Sprintf("%d MB and Debian's %d", more, sizes[1]/1_000_000), nil
}

// A scenario is a compose file, up under a name of its own.
type scenario struct {
	file, name string
	environ    []string
}

func newScenario(folder string, environ ...string) scenario {
	return scenario{
		file:    "docker/" + folder + "/compose.yaml",
		name:    fmt.Sprintf("stek-test-%s-%d", folder, os.Getpid()),
		environ: environ,
	}
}

// compose runs Compose, as a command or as a plugin.
func (s scenario) compose(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"--project-name", s.name, "--file", s.file}, args...)
	if _, err := exec.LookPath("docker-compose"); err != nil {
		return command(ctx, s.environ, "docker", append([]string{"compose"}, args...)...)
	}
	return command(ctx, s.environ, "docker-compose", args...)
}

// container is the container of a service, once it runs.
func (s scenario) container(ctx context.Context, service string) (*container, error) {
	out, err := s.compose(ctx, "ps", "-q", service)
	if err != nil {
		return nil, err
	}
	return &container{id: strings.TrimSpace(out)}, nil
}

// down takes a scenario away, with its network and its volume.
func (s scenario) down() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := s.compose(ctx, "down", "--volumes", "--timeout", "5"); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
	}
}

func checkAgent(ctx context.Context, c *Claim) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	s := newScenario("agent", "STEK_IMAGE="+userImage, "NGINX_IMAGE="+c.Image.Tag(), "PORT="+port)
	defer s.down()
	if _, err := s.compose(ctx, "up", "--no-build", "--detach"); err != nil {
		return "", err
	}
	agent, err := s.container(ctx, "agent")
	if err != nil {
		return "", err
	}
	nginx, err := s.container(ctx, "nginx")
	if err != nil {
		return "", err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := nginx.waitForPort(ctx, "8443"); err != nil {
			return "", err
		}
		client := &visit.Client{Addr: nginx.addr, Version: version}
		if err := expect(client, visit.New); err != nil {
			return "", err
		}
		if _, err := agent.exec(ctx, "stek", "rotate"); err != nil {
			return "", err
		}
		if err := expect(client, visit.Reused); err != nil {
			return "", fmt.Errorf("after the rotation: %w", err)
		}
		if key, err := agent.currentKey(ctx); err != nil || client.KeyName() != key {
			return "", fmt.Errorf("the ticket is under key %q, the agent's is %q: %v", client.KeyName(), key, err)
		}
		if _, err := s.compose(ctx, "restart", "nginx"); err != nil {
			return "", err
		}
		if err := nginx.waitForPort(ctx, "8443"); err != nil {
			return "", err
		}
		if err := expect(client, visit.Reused); err != nil {
			return "", fmt.Errorf("after nginx was started again: %w", err)
		}
	}
	return "Reused after rotation, Reused after nginx was started again", nil
}

var demoUp = []string{"up", "--build"}

var demoLine = regexp.MustCompile(`(New|Reused) +ticket under key ([0-9a-f]{8})`)

// checkDemo is about the demo as a user starts it, but for names and a port.
func checkDemo(ctx context.Context, _ *Claim) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	s := newScenario("demo", "NGINX_IMAGE=stek-test/demo-nginx", "METRICS_PORT="+port)
	defer s.down()
	if _, err := s.compose(ctx, append(demoUp, "--detach")...); err != nil {
		return "", err
	}
	keys := map[string]bool{}
	var out string
	err = eventually(ctx, "the client has seen three keys", func() bool {
		var err error
		out, err = s.compose(ctx, "logs", "--no-color", "client")
		for _, match := range demoLine.FindAllStringSubmatch(out, -1) {
			keys[match[2]] = true
		}
		return err == nil && len(keys) >= 3
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	for n, match := range demoLine.FindAllStringSubmatch(out, -1) {
		if (n == 0) != (match[1] == visit.New) {
			return "", fmt.Errorf("connection %d is %s\n%s", n+1, match[1], out)
		}
	}
	metrics, err := get(ctx, "http://127.0.0.1:"+port+"/metrics")
	if err != nil || !strings.Contains(metrics, "stek_") {
		return "", fmt.Errorf("metrics: %q: %v", metrics, err)
	}
	return "New once, then Reused under 3 keys; metrics are served", nil
}

// eventually waits for a condition, at most a minute.
func eventually(ctx context.Context, what string, condition func() bool) error {
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(200 * time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("never: %s", what)
		}
	}
	return nil
}

// freePort is a port that nobody listens on just now.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
