package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Way is how a server is started: alone, or with the keys of stek.
type Way interface {
	// command returns what to start, given the command of the server.
	command(t *testing.T, server []string) Command
	// keys returns the stek that has the keys of the server started as p.
	keys(p *Process) *Stek
}

// An Instance is one Server that runs.
type Instance struct {
	*Process
	Server *Server
	Site   *Site
	Stek   *Stek // that has its keys; nil when it is alone
	way    Way
	args   []string
}

// Serve starts a server on a site of its own and waits until it listens.
func Serve(t *testing.T, s *Server, way Way) *Instance {
	t.Helper()
	return ServeSite(t, s, newSite(t), way)
}

// ServeSite is Serve for a site that exists.
func ServeSite(t *testing.T, s *Server, site *Site, way Way) *Instance {
	t.Helper()
	requireProgram(t, s.Program, s.Package)
	require.Zero(t, os.Getuid(), "these tests start servers that change their user: run them as root")
	i := &Instance{Server: s, Site: site, way: way, args: append([]string{s.Program}, s.Configure(t, site)...)}
	i.start(t)
	return i
}

// requireProgram fails the test, with Debian's package, if a program is missing.
func requireProgram(t *testing.T, program, pkg string) {
	t.Helper()
	_, err := os.Stat(program)
	require.NoError(t, err, "%s is missing: install Debian's package %s", program, pkg)
}

func (i *Instance) start(t *testing.T) {
	t.Helper()
	i.Process = Start(t, i.way.command(t, i.args))
	Eventually(t, i.Server.Name+" listens", func() bool {
		require.True(t, i.Running(), "%s has ended:\n%q", i.Server.Name, i.Printed())
		conn, err := net.Dial("tcp", i.Site.Addr())
		if err != nil {
			return false
		}
		conn.Close()
		return i.First() != 0 && (i.Server.Workers == nil || len(i.Workers()) > 0)
	})
	i.Stek = i.way.keys(i.Process)
}

// Restart ends the server and starts it again on the same site.
func (i *Instance) Restart(t *testing.T) {
	t.Helper()
	i.End()
	i.start(t)
}

// First is the server's first process: what was started, or the child of stek
// that runs the program; 0 if there is none yet.
func (i *Instance) First() int {
	program, err := filepath.EvalSymlinks(i.Server.Program)
	if err != nil {
		return 0
	}
	for _, pid := range append([]int{i.PID()}, descendants(i.PID())...) {
		if executable(pid) == program {
			return pid
		}
	}
	return 0
}

// Workers are the processes that shake hands: the first alone unless the server
// has others.
func (i *Instance) Workers() []int {
	if i.Server.Workers == nil {
		return []int{i.First()}
	}
	return i.Server.Workers(i.First())
}

// Only stops all workers but one, and lets them go on when do is done.
func (i *Instance) Only(t *testing.T, worker int, do func()) {
	t.Helper()
	for _, other := range i.Workers() {
		if other == worker {
			continue
		}
		require.NoError(t, syscall.Kill(other, syscall.SIGSTOP))
		defer syscall.Kill(other, syscall.SIGCONT)
		Eventually(t, fmt.Sprintf("worker %d stops", other), func() bool { return state(other) == "T" })
	}
	do()
}

// Client returns a client of the server.
func (i *Instance) Client(t *testing.T, version uint16) Client {
	t.Helper()
	return newClient(t, i.Server, i.Site, version)
}

// Alone is the Way of a server without stek.
type Alone struct{}

func (Alone) command(_ *testing.T, server []string) Command { return Command{Args: server} }
func (Alone) keys(*Process) *Stek                           { return nil }

// signal sends a signal to the first process once that waits for it: HAProxy's
// master, for one, starts itself again while its worker already answers.
func (i *Instance) signal(signal syscall.Signal) {
	Eventually(i.t, i.Server.Name+" waits for signals", func() bool { return catches(i.First(), signal) })
	require.NoError(i.t, syscall.Kill(i.First(), signal))
}

// signalled returns a Reload function: it signals the first process and waits
// until all workers are new.
func signalled(signal syscall.Signal) func(*Instance) {
	return func(i *Instance) {
		before := i.Workers()
		i.signal(signal)
		Eventually(i.t, i.Server.Name+" has new workers", func() bool {
			for _, old := range before {
				if alive(old) {
					return false
				}
			}
			return len(i.Workers()) >= len(before)
		})
	}
}

// announced is signalled for a server without workers, that prints a line
// whenever it has read its configuration.
func announced(signal syscall.Signal, pattern string) func(*Instance) {
	return func(i *Instance) {
		before := i.Count(pattern)
		i.signal(signal)
		Eventually(i.t, fmt.Sprintf("%s prints %s", i.Server.Name, pattern), func() bool { return i.Count(pattern) > before })
	}
}
