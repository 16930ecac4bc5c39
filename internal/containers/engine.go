package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// label is on whatever this program makes, with the number of its process: by
// it things are found again and removed.
const label = "io.github.go-stek.test"

func mark() string { return fmt.Sprintf("%s=%d", label, os.Getpid()) }

// engineAnswers returns an error if there is no Docker engine to talk to.
func engineAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("the command docker is not installed")
	}
	if _, err := docker(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return errors.New(lastLines(err.Error(), 1))
	}
	return nil
}

// docker runs a command of docker's and returns what it prints on its standard
// output. The error has the end of what it printed on both.
func docker(ctx context.Context, args ...string) (string, error) {
	return command(ctx, nil, "docker", args...)
}

func command(ctx context.Context, environ []string, name string, args ...string) (string, error) {
	var stdout bytes.Buffer
	var all printed
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, &all), &all
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(all.text.String(), 200))
	}
	return stdout.String(), nil
}

// printed keeps what a command prints on both outputs.
type printed struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.Write(text)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// removeEverything removes what this process has left: containers, networks,
// volumes, and images that a newer one has replaced. Images with a name stay:
// their layers are the cache of the next run.
func removeEverything() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "-aq"}, []string{"rm", "-fv"}},
		{[]string{"network", "ls", "-q"}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "-q"}, []string{"volume", "rm"}},
	} {
		out, err := docker(ctx, append(kind.list, "--filter", "label="+mark())...)
		if names := strings.Fields(out); err == nil && len(names) > 0 {
			_, err = docker(ctx, append(kind.remove, names...)...)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "containers:", err)
		}
	}
	if _, err := docker(ctx, "image", "prune", "-f", "--filter", "label="+label+"=image"); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
	}
}

// removeImages removes the images that this program has made, and so their
// layers. Debian's stay.
func removeImages(ctx context.Context) error {
	for _, which := range []string{"reference=stek-test/*", "label=" + label + "=image"} {
		out, err := docker(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", which)
		if names := strings.Fields(out); err == nil && len(names) > 0 {
			_, err = docker(ctx, append([]string{"rmi"}, names...)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// get returns the page at a URL.
func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
