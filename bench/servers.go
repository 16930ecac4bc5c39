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
	"sync"

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

// A rate has two measures of resumed connections: per second of the server's
// processor time, and per second as wrk gets them.
type rate struct {
	measure, wrk string
	version      uint16 // of TLS
}

var tlsServers = []*tlsServer{
	{
		program:   debianProgram{"/usr/sbin/nginx", "nginx"},
		args:      []string{"-e", "stderr", "-p", ".", "-c", "nginx.conf"},
		config:    "nginx.conf",
		processes: 1 + 4,
		rates: []rate{
			{"nginx-tls13", "nginx-tls13-wrk", tls.VersionTLS13},
			{"nginx-tls12", "nginx-tls12-wrk", tls.VersionTLS12},
		},
		memory:  "nginx-memory",
		threads: "nginx-threads",
	},
	{
		program:   debianProgram{"/usr/sbin/haproxy", "haproxy"},
		args:      []string{"-W", "-f", "haproxy.cfg"},
		config:    "haproxy.cfg",
		processes: 1 + 1,
		rates:     []rate{{"haproxy-tls13", "haproxy-tls13-wrk", tls.VersionTLS13}},
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
		all = append(all, r.measure, r.wrk)
	}
	if s.memory != "" {
		all = append(all, s.memory, s.threads)
	}
	return all
}

// round starts both variants, measures them and ends them. Which is started first
// alternates: it matters by a percent.
func (s *tlsServer) round(ctx context.Context, round int, stek string, wanted func(string) bool) (samples []Sample, failed error) {
	commands := map[string][]string{ownTickets: nil, underStek: {stek, "run", "--"}}
	started := map[string]*serverProcess{}
	for _, variant := range alternating(round, ownTickets, underStek) {
		p, err := s.start(ctx, variant, commands[variant]...)
		if err != nil {
			return nil, err
		}
		defer func() { failed = errors.Join(failed, p.end()) }()
		started[variant] = p
	}
	own, ours := started[ownTickets], started[underStek]
	add := func(measure string, p *serverProcess, round int, value float64) {
		if wanted(measure) {
			samples = append(samples, Sample{measure, p.variant, round, value})
		}
	}
	// Memory is measured after the same load, whatever else is wanted.
	ofProcesses := s.memory != "" && (wanted(s.memory) || wanted(s.threads))
	for _, r := range s.rates {
		if !wanted(r.measure) && !wanted(r.wrk) && !ofProcesses {
			continue
		}
		for turn := range loadTurns { // each is a round of these measures
			came, err := resume(ctx, r.version, own, ours)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.measure, err)
			}
			for p, l := range came {
				add(r.measure, p, round*loadTurns+turn, l.perBusySecond())
				add(r.wrk, p, round*loadTurns+turn, l.perSecond())
			}
		}
	}
	if !ofProcesses {
		return samples, nil
	}
	for _, p := range []*serverProcess{own, ours} {
		memory, threads, err := p.cost()
		if err != nil {
			return nil, err
		}
		add(s.memory, p, round, memory)
		add(s.threads, p, round, threads)
	}
	return samples, nil
}

// alternating is both, in another order each time.
func alternating[T any](time int, a, b T) []T {
	if time%2 == 0 {
		return []T{a, b}
	}
	return []T{b, a}
}

// resume has clients come to both servers, at the same time, so that whatever else the
// machine does falls on both, and returns what their resumed connections came to. It is
// an error if tickets of ours do not bear a key of its stek, or those of own do.
func resume(ctx context.Context, version uint16, own, ours *serverProcess) (map[*serverProcess]load, error) {
	before, err := ours.table(ctx)
	if err != nil {
		return nil, err
	}
	endExchange, err := exchangeProcessors([2]*serverProcess{own, ours})
	if err != nil {
		return nil, err
	}
	var ofOwn, ofOurs load
	var ownErr, oursErr error
	var group sync.WaitGroup
	group.Go(func() { ofOwn, ownErr = own.load(ctx, version) })
	group.Go(func() { ofOurs, oursErr = ours.load(ctx, version) })
	group.Wait()
	if err := errors.Join(ownErr, oursErr, endExchange()); err != nil {
		return nil, err
	}
	after, err := ours.table(ctx)
	if err != nil {
		return nil, err
	}
	// A handshake of each client may be unfinished when wrk ends.
	accepted := after.Counts.Accepted - before.Counts.Accepted
	if accepted < ofOurs.resumed || accepted > ofOurs.resumed+2*loadClients {
		return nil, fmt.Errorf("stek counts %d tickets accepted, of %d connections resumed", accepted, ofOurs.resumed)
	}
	for _, p := range []*serverProcess{own, ours} {
		key, err := keyOfTickets(p.addr[version], version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.variant, err)
		}
		isOurs := slices.ContainsFunc(after.Keys, func(k agent.KeyStatus) bool { return k.Name == key })
		if isOurs != (p == ours) {
			return nil, fmt.Errorf("%s: tickets bear the key %s: one of stek's: %t", p.variant, key, isOurs)
		}
		if loaded := p.haveLoaded(preloadName); loaded != (p == ours) {
			return nil, fmt.Errorf("%s: %s is loaded: %t", p.variant, preloadName, loaded)
		}
	}
	return map[*serverProcess]load{own: ofOwn, ours: ofOurs}, nil
}

// load has clients come to p, and counts its processor time.
func (p *serverProcess) load(ctx context.Context, version uint16) (load, error) {
	before, err := p.busy()
	if err != nil {
		return load{}, err
	}
	came, err := runLoad(ctx, p.addr[version], filepath.Join(p.folder, "counts.lua"), &p.clients)
	if err != nil {
		return load{}, err
	}
	after, err := p.busy()
	if err != nil {
		return load{}, err
	}
	if came.busy = after - before; came.busy <= 0 {
		return load{}, fmt.Errorf("schedstat says that %d connections took no processor time", came.resumed)
	}
	return came, nil
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
