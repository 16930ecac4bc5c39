package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-stek/stek/internal/agent"
)

// preloadName is the library that stek run loads into a server.
const preloadName = "libstek-preload.so"

// Variants of a server.
const (
	ownTickets = "own tickets" // of OpenSSL's own key
	underStek  = "stek"        // the same under stek run
)

// A tlsServer is a server as Debian packages it, and what is measured of it.
type tlsServer struct {
	program   debianProgram
	args      []string
	config    string // in the folder servers
	processes int    // that the program consists of, the workers last
	rates     []rate

	memory, threads string // measures of the processes after the load; empty: none
}

// A rate is the measure of resumed connections per second.
type rate struct {
	measure string
	version uint16 // of TLS
}

var tlsServers = []*tlsServer{
	{
		program:   debianProgram{"/usr/sbin/nginx", "nginx"},
		args:      []string{"-e", "stderr", "-p", ".", "-c", "nginx.conf"},
		config:    "nginx.conf",
		processes: 1 + 4,
		rates:     []rate{{"nginx-tls13", tls.VersionTLS13}, {"nginx-tls12", tls.VersionTLS12}},
		memory:    "nginx-memory",
		threads:   "nginx-threads",
	},
	{
		program:   debianProgram{"/usr/sbin/haproxy", "haproxy"},
		args:      []string{"-W", "-f", "haproxy.cfg"},
		config:    "haproxy.cfg",
		processes: 1 + 1,
		rates:     []rate{{"haproxy-tls13", tls.VersionTLS13}},
	},
}

// measureServers runs servers alone and under stek run. In each round both are
// started anew, so that no round has the memory of another's, and clients come
// to one at a time. A round is an error if connections were not resumed, or not
// by the tickets of the variant.
func measureServers(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error) {
	var samples []Sample
	var stek string
	for _, s := range tlsServers {
		if !slices.ContainsFunc(s.measures(), wanted) {
			continue
		}
		for _, p := range []debianProgram{s.program, wrk, opensslCommand} {
			if err := p.find(); err != nil {
				return nil, err
			}
		}
		if stek == "" {
			var err error
			if stek, err = makeStek(ctx); err != nil {
				return nil, err
			}
		}
		for round := range rounds {
			of, err := s.round(ctx, round, stek, wanted)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w", round, s.program.pkg, err)
			}
			samples = append(samples, of...)
		}
	}
	return samples, nil
}

func (s *tlsServer) measures() []string {
	var all []string
	for _, r := range s.rates {
		all = append(all, r.measure)
	}
	if s.memory != "" {
		all = append(all, s.memory, s.threads)
	}
	return all
}

// round starts both variants, measures them and ends them.
func (s *tlsServer) round(ctx context.Context, round int, stek string, wanted func(string) bool) (samples []Sample, err error) {
	own, err := s.start(ctx, ownTickets)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.end()) }()
	ours, err := s.start(ctx, underStek, stek, "run", "--")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	variants := []*serverProcess{own, ours}
	if round%2 == 1 {
		slices.Reverse(variants)
	}

	// Memory is measured after the same load, whatever else is wanted.
	ofProcesses := s.memory != "" && (wanted(s.memory) || wanted(s.threads))
	for _, r := range s.rates {
		if !wanted(r.measure) && !ofProcesses {
			continue
		}
		for _, p := range variants {
			perSecond, err := p.resume(ctx, r.version, ours)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", r.measure, p.variant, err)
			}
			if wanted(r.measure) {
				samples = append(samples, Sample{r.measure, p.variant, round, perSecond})
			}
		}
	}
	if !ofProcesses {
		return samples, nil
	}
	for _, p := range variants {
		memory, threads, err := p.cost()
		if err != nil {
			return nil, err
		}
		if wanted(s.memory) {
			samples = append(samples, Sample{s.memory, p.variant, round, memory})
		}
		if wanted(s.threads) {
			samples = append(samples, Sample{s.threads, p.variant, round, threads})
		}
	}
	return samples, nil
}

// resume has clients come to p and returns how many connections were resumed
// per second. It is an error if p is ours and the tickets do not bear a key of
// its stek, or if p is not and they do.
func (p *serverProcess) resume(ctx context.Context, version uint16, ours *serverProcess) (perSecond float64, err error) {
	before, err := ours.table(ctx)
	if err != nil {
		return 0, err
	}
	came, err := runLoad(ctx, p.addr[version], filepath.Join(p.folder, "counts.lua"))
	if err != nil {
		return 0, err
	}
	key, err := keyOfTickets(p.addr[version], version)
	if err != nil {
		return 0, err
	}
	after, err := ours.table(ctx)
	if err != nil {
		return 0, err
	}
	if loaded := p.haveLoaded(preloadName); loaded != (p == ours) {
		return 0, fmt.Errorf("%s is loaded: %t", preloadName, loaded)
	}
	isOurs := slices.ContainsFunc(after.Keys, func(k agent.KeyStatus) bool { return k.Name == key })
	accepted := after.Counts.Accepted - before.Counts.Accepted
	switch {
	case p == ours && !isOurs:
		return 0, fmt.Errorf("tickets bear the key %s, which is not stek's", key)
	case p == ours && accepted < came.resumed:
		return 0, fmt.Errorf("stek counts %d tickets accepted, of %d connections resumed", accepted, came.resumed)
	case p != ours && (isOurs || accepted > 0):
		return 0, fmt.Errorf("tickets bear the key %s, and stek accepted %d: they should be the server's own", key, accepted)
	}
	return float64(came.resumed) / came.took.Seconds(), nil
}

// table is what stek status says of the stek run that started p.
func (p *serverProcess) table(ctx context.Context) (agent.TableStatus, error) {
	peers, err := agent.Peers(ctx, p.pid())
	if err != nil {
		return agent.TableStatus{}, fmt.Errorf("find stek run: %w", err)
	}
	status, err := peers[0].Status(ctx)
	if err != nil {
		return agent.TableStatus{}, err
	}
	if len(status.Tables) != 1 {
		return agent.TableStatus{}, fmt.Errorf("stek run has %d tables", len(status.Tables))
	}
	return status.Tables[0], nil
}

// A debianProgram is a program of a package of Debian's.
type debianProgram struct{ path, pkg string }

var opensslCommand = debianProgram{"/usr/bin/openssl", "openssl"}

func (p debianProgram) find() error {
	if _, err := os.Stat(p.path); err != nil {
		return fmt.Errorf("%s is missing: install Debian's package %s", p.path, p.pkg)
	}
	return nil
}

// makeStek makes the command and its preload, and returns the command's path.
func makeStek(ctx context.Context) (string, error) {
	files := []string{"build/stek", "build/" + preloadName}
	cmd := exec.CommandContext(ctx, "make", files...)
	cmd.Env = plainEnvironment()
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make %s: %w\n%s", strings.Join(files, " "), err, output)
	}
	return filepath.Abs(files[0])
}
