package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-stek/stek/internal/containers/visit"
)

// The load of both variants in one round.
const (
	loadClients = 16 // of each
	loadTurns   = 4
	loadSeconds = 2  // of a turn; wrk takes whole ones
	loadRuns    = 10 // of a turn at most, on a machine so busy that clients come only once
)

// wrk resumes in both versions of TLS: each of its clients keeps one SSL, which
// SSL_clear leaves the session, so that it offers the newest ticket it was
// given. openssl s_time -reuse does too if it asks for a page, but is one
// client, and so leaves most workers idle.
var wrk = debianProgram{"/usr/bin/wrk", "wrk"}

// A load is what connections with one request each came to.
type load struct {
	resumed uint64
	took    time.Duration // by the clock
	busy    time.Duration // processor time of the server
}

func (l *load) add(more load) {
	l.resumed += more.resumed
	l.took += more.took
	l.busy += more.busy
}

// perBusySecond is what the server can do, whatever wrk takes of the processors.
func (l load) perBusySecond() float64 { return float64(l.resumed) / l.busy.Seconds() }

func (l load) perSecond() float64 { return float64(l.resumed) / l.took.Seconds() }

// runLoad has clients connect to a server without a pause. It is an error if
// more than the first connection of each client was a full handshake.
// While clients come, *clients is the process of wrk.
func runLoad(ctx context.Context, addr, script string, clients *atomic.Int64) (load, error) {
	var all load
	for range loadRuns {
		one, err := runWrk(ctx, addr, script, clients)
		if err != nil {
			return load{}, err
		}
		all.add(one)
		if all.resumed >= loadClients {
			return all, nil
		}
	}
	return load{}, fmt.Errorf("only %d connections were resumed in %v", all.resumed, all.took)
}

func runWrk(ctx context.Context, addr, script string, clients *atomic.Int64) (load, error) {
	cmd := exec.CommandContext(ctx, wrk.path,
		"--threads", strconv.Itoa(min(runtime.NumCPU(), loadClients)),
		"--connections", strconv.Itoa(loadClients),
		"--duration", strconv.Itoa(loadSeconds),
		"--timeout", "10",
		"--header", "Connection: close",
		"--script", script,
		"https://"+addr+"/")
	cmd.Env = plainEnvironment()
	output, err := outputOf(cmd, clients)
	if err != nil {
		return load{}, fmt.Errorf("run wrk: %w\n%s", err, output)
	}
	var answers, microseconds, full, failed uint64
	_, counts, _ := strings.Cut(string(output), "\ncounts ")
	if _, err := fmt.Sscan(counts, &answers, &microseconds, &full, &failed); err != nil {
		return load{}, fmt.Errorf("read what wrk counted: %w\n%s", err, output)
	}
	// A client that loses a connection begins anew.
	if full > loadClients+failed || failed > answers/100 {
		return load{}, fmt.Errorf("of %d connections %d were full handshakes and %d failed: want one of each of %d clients, and none",
			answers, full, failed, loadClients)
	}
	return load{resumed: answers - full, took: time.Duration(microseconds) * time.Microsecond}, nil
}

// outputOf is what a command prints, whose process is in *running until it ends.
func outputOf(cmd *exec.Cmd, running *atomic.Int64) ([]byte, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running.Store(int64(cmd.Process.Pid))
	err := cmd.Wait()
	running.Store(0)
	return output.Bytes(), err
}

// keyOfTickets is the name of the key in front of the tickets of a server, which
// have to resume.
func keyOfTickets(addr string, version uint16) (string, error) {
	client := visit.Client{Addr: addr, Version: version}
	for _, want := range []string{visit.New, visit.Reused} {
		if got, err := client.Visit(); err != nil {
			return "", err
		} else if got != want {
			return "", fmt.Errorf("a client is %s, not %s", got, want)
		}
	}
	return client.KeyName(), nil
}
