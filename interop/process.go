package interop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience is how long a test waits for what has to come, on a busy machine.
const Patience = 20 * time.Second

// A Command is what to start, and how.
type Command struct {
	Args []string            // Args[0] is the program
	Env  []string            // besides a plain environment
	As   *syscall.Credential // nil: as who runs the test
}

// A Process is a running program, and all that it and its children print.
type Process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed once the process has been waited for

	mutex sync.Mutex
	lines []string
}

// Start starts a program in a process group of its own. When the test ends, so
// do the program and all processes that descend from it.
func Start(t *testing.T, command Command) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(command.Args[0], command.Args[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(plainEnvironment(), command.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true,
		// If the tests die, a server ends its children and itself.
		Pdeathsig:  syscall.SIGTERM,
		Credential: command.As,
	}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = write, write
	err = onStarter(p.cmd.Start)
	write.Close()
	require.NoError(t, err)

	allRead := make(chan struct{})
	go func() {
		defer close(allRead)
		scanner := bufio.NewScanner(read)
		for scanner.Scan() {
			p.mutex.Lock()
			p.lines = append(p.lines, scanner.Text())
			p.mutex.Unlock()
		}
	}()
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.killAll()
		<-p.ended
		read.Close()
		<-allRead
		if t.Failed() {
			t.Logf("%v printed:\n%s", p.cmd.Args, strings.Join(p.Printed(), "\n"))
		}
	})
	return p
}

// plainEnvironment is that of the tests without what is for stek or make.
func plainEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "STEK_") || strings.HasPrefix(variable, "LD_") || strings.HasPrefix(variable, "MAKE")
	})
}

// onStarter calls start on a thread that lives as long as the tests: the
// kernel sends the death signal when the thread that started a process ends.
func onStarter(start func() error) error {
	starterOnce.Do(func() {
		go func() {
			runtime.LockOSThread()
			for do := range starter {
				do()
			}
		}()
	})
	result := make(chan error)
	starter <- func() { result <- start() }
	return <-result
}

var (
	starter     = make(chan func())
	starterOnce sync.Once
)

// PID is the process that was started.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the signal to the process that was started.
func (p *Process) Signal(signal syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
}

// Printed returns the lines so far, of the program and its children.
func (p *Process) Printed() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.lines)
}

// Count is the number of lines so far that match.
func (p *Process) Count(pattern string) int {
	line, n := regexp.MustCompile(pattern), 0
	for _, text := range p.Printed() {
		if line.MatchString(text) {
			n++
		}
	}
	return n
}

// Running tells whether the process that was started has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// End ends the process by SIGTERM, and expects that it takes all its children
// along.
func (p *Process) End() {
	p.t.Helper()
	family := append(descendants(p.PID()), p.PID())
	if p.Running() {
		p.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.ended:
	case <-time.After(Patience):
		require.Fail(p.t, "the process does not end", "%v", p.cmd.Args)
	}
	Eventually(p.t, fmt.Sprintf("the children of %v end", p.cmd.Args), func() bool {
		return !slices.ContainsFunc(family, alive)
	})
}

// Kill ends the process that was started by SIGKILL. Its children live on.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// killAll leaves nothing of the process: it asks first, so that a server takes
// along what is no longer below it.
func (p *Process) killAll() {
	family := append(descendants(p.PID()), p.PID())
	if p.Running() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(2 * time.Second):
		}
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	for _, process := range family {
		if alive(process) {
			_ = syscall.Kill(process, syscall.SIGKILL)
		}
	}
}

// Eventually waits until what holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		require.False(t, time.Now().After(deadline), "waited %v in vain: %s", Patience, what)
	}
}
