package hosttest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
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

// A Server is a running C server, and all that it and its children print.
type Server struct {
	t     *testing.T
	cmd   *exec.Cmd
	Addr  string // where it listens
	ended chan error

	mutex sync.Mutex
	lines []string
}

// Start runs the program and waits until it listens. lib is its
// LD_LIBRARY_PATH. When the test ends, so do the program and its children.
func Start(t *testing.T, lib, program string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, cmd: exec.Command(program, args...), ended: make(chan error, 1)}
	s.cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+lib)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	s.cmd.Stdout, s.cmd.Stderr = write, write
	require.NoError(t, s.cmd.Start())
	require.NoError(t, write.Close())

	allRead := make(chan struct{})
	go func() {
		defer close(allRead)
		scanner := bufio.NewScanner(read)
		for scanner.Scan() {
			s.mutex.Lock()
			s.lines = append(s.lines, scanner.Text())
			s.mutex.Unlock()
		}
	}()
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.PID(), syscall.SIGKILL)
		<-allRead
		read.Close()
		if t.Failed() {
			t.Logf("the server printed:\n%s", strings.Join(s.lines, "\n"))
		}
	})

	s.Addr = s.Await(0, `^listening on (127\.0\.0\.1:\d+)$`)[1]
	return s
}

// PID is the process that was started.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Signal sends the signal to the process that was started.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(signal))
}

// Printed is the number of lines so far: a mark for Await and After.
func (s *Server) Printed() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.lines)
}

// After returns the lines after the mark.
func (s *Server) After(mark int) []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.lines[mark:])
}

// Await waits for a line after the mark that matches, and returns its submatches.
func (s *Server) Await(mark int, pattern string) (match []string) {
	s.t.Helper()
	line := regexp.MustCompile(pattern)
	Eventually(s.t, fmt.Sprintf("the server prints %s", pattern), func() bool {
		for _, text := range s.After(mark) {
			if match = line.FindStringSubmatch(text); match != nil {
				return true
			}
		}
		return false
	})
	return match
}

// AwaitEnd waits until the process that was started has ended, by exit(0).
func (s *Server) AwaitEnd() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		require.NoError(s.t, err)
	case <-time.After(Patience):
		require.Fail(s.t, "the server does not end")
	}
}

// End ends the server by SIGTERM and expects it to end well, with all children.
func (s *Server) End() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	s.AwaitEnd()
	for _, child := range s.Children() {
		require.False(s.t, Alive(child), "child %d is left", child)
	}
}

// Kill ends the process that was started by SIGKILL. Its children live on.
func (s *Server) Kill() {
	s.t.Helper()
	s.Signal(syscall.SIGKILL)
	select {
	case err := <-s.ended:
		require.ErrorContains(s.t, err, "killed")
	case <-time.After(Patience):
		require.Fail(s.t, "the server does not end")
	}
}

var childLine = regexp.MustCompile(`^\[\d+\] child (\d+) (started|killed)`)

// Children returns the children that were started and not yet killed.
func (s *Server) Children() []int {
	var children []int
	for _, text := range s.After(0) {
		if match := childLine.FindStringSubmatch(text); match != nil {
			child := atoi(match[1])
			if match[2] == "started" {
				children = append(children, child)
			} else {
				children = slices.DeleteFunc(children, func(c int) bool { return c == child })
			}
		}
	}
	return children
}

// OnlyChild stops all children but one, and lets them go on when do is done.
func (s *Server) OnlyChild(child int, do func()) {
	s.t.Helper()
	for _, other := range s.Children() {
		if other == child {
			continue
		}
		require.NoError(s.t, syscall.Kill(other, syscall.SIGSTOP))
		defer syscall.Kill(other, syscall.SIGCONT)
		Eventually(s.t, "the child stops", func() bool { return state(other) == "T" })
	}
	do()
}

// Alive tells whether a process exists and is not a zombie.
func Alive(process int) bool {
	s := state(process)
	return s != "" && s != "Z"
}

// state is that of proc(5), "" if there is no such process.
func state(process int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

// Eventually waits until what holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		require.False(t, time.Now().After(deadline), "waited %v in vain: %s", Patience, what)
	}
}
