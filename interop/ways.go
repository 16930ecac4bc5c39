package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Run is the Way of a server that stek run starts.
type Run struct {
	Store        string // empty: the default
	ForceTickets bool
	NameGroup    string
	ClientAuth   string
}

func (r Run) command(t *testing.T, server []string) Command {
	args := []string{built(t).stek, "run"}
	if r.Store != "" {
		args = append(args, "--store", r.Store)
	}
	if r.ForceTickets {
		args = append(args, "--force-tickets")
	}
	if r.NameGroup != "" {
		args = append(args, "--name-group", r.NameGroup)
	}
	if r.ClientAuth != "" {
		args = append(args, "--client-auth", r.ClientAuth)
	}
	return Command{Args: append(append(args, "--"), server...)}
}

func (r Run) keys(p *Process) *Stek { return &Stek{p.PID} }

// Bare is the Way of a server that has only the preload: it starts its agent.
type Bare struct {
	Store string
	mark  string // in the environment of the server, and so of its agent
}

// NewBare returns the Way of one server.
func NewBare(store string) Bare { return Bare{store, fmt.Sprintf("INTEROP_MARK=%x", rand.Uint64())} }

func (b Bare) command(t *testing.T, server []string) Command {
	return Command{Args: server, Env: []string{
		"LD_PRELOAD=" + built(t).preload, "STEK_STORE=" + b.Store, "STEK_AGENT=" + built(t).stek, b.mark,
	}}
}

// keys finds the agent, which is no child of the server's.
func (b Bare) keys(*Process) *Stek {
	return &Stek{func() int {
		for _, pid := range descendants(os.Getpid()) {
			if filepath.Base(executable(pid)) == "stek" && strings.Contains(environment(pid), b.mark) {
				return pid
			}
		}
		return 0
	}}
}

// An Agent is stek agent with its table; it is the Way of servers that share
// its keys and outlives them.
type Agent struct {
	*Process
	Table        string
	ForceTickets bool                // for the servers started from now on
	As           *syscall.Credential // user of those servers; nil: as the tests
	label        string              // where clients are verified
	args         []string
}

// StartAgent starts an agent and waits until it answers. Its table may be read
// by group, unless that is empty.
func StartAgent(t *testing.T, store, group string) *Agent {
	t.Helper()
	a := &Agent{Table: filepath.Join(newFolder(t, "/dev/shm"), "table")}
	a.args = []string{built(t).stek, "agent", "--store", store, "--table", a.Table}
	if group != "" {
		a.args = append(a.args, "--group", group, "--mode", "0640")
	}
	a.start(t)
	return a
}

func (a *Agent) start(t *testing.T) {
	t.Helper()
	a.Process = Start(t, Command{Args: a.args})
	Eventually(t, "stek agent answers", func() bool {
		require.True(t, a.Running(), "stek agent has ended: %q", a.Printed())
		_, err := a.Stek().Try(t)
		return err == nil
	})
}

// Restart starts an agent that has ended again, on the same table.
func (a *Agent) Restart(t *testing.T) {
	t.Helper()
	require.False(t, a.Running())
	a.start(t)
}

// Labelled gives a label to the servers that are started from now on.
func (a *Agent) Labelled(label string) *Agent {
	a.label = label
	return a
}

// Stek asks the agent.
func (a *Agent) Stek() *Stek { return &Stek{func() int { return a.PID() }} }

func (a *Agent) command(t *testing.T, server []string) Command {
	env := []string{"LD_PRELOAD=" + built(t).preload, "STEK_TABLE=" + a.Table}
	if a.ForceTickets {
		env = append(env, "STEK_FORCE_TICKETS=1")
	}
	if a.label != "" {
		env = append(env, "STEK_CLIENT_AUTH="+a.label)
	}
	return Command{Args: server, Env: env, As: a.As}
}

func (a *Agent) keys(*Process) *Stek { return a.Stek() }
