// Package supervise runs one command as a container's first process does: it
// forwards signals, reaps what is orphaned, follows a server into the
// background, and ends as the server ends.
package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes of a command that cannot be started, as those of env(1).
const (
	CannotRun = 126
	NotFound  = 127
)

// A StartError says why the command does not run, and the exit code for it.
type StartError struct {
	Code int
	Err  error
}

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// lastSignal is the highest real-time signal.
const lastSignal = syscall.Signal(64)

// lastGrace is how long children that are left may go on when the server has
// ended after a signal to end.
const lastGrace = 5 * time.Second

// A Process is the command and all that is orphaned below this process.
type Process struct {
	main    int // the command; 0 once it has ended, and a server lives on in the background
	status  syscall.WaitStatus
	final   bool // status is the server's, whatever ends later
	signals chan os.Signal
	died    chan os.Signal
	ending  bool // a signal to end was forwarded
}

// Start starts argv with environ. Descriptors of this process without
// close-on-exec are inherited. From here on this process is the parent of every
// orphan below it (PR_SET_CHILD_SUBREAPER), and starts nothing else.
func Start(argv, environ []string) (*Process, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		code := CannotRun
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			code = NotFound
		}
		return nil, &StartError{code, err}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphans: %w", err)
	}
	p := &Process{signals: make(chan os.Signal, 64), died: make(chan os.Signal, 1)}
	signal.Notify(p.died, syscall.SIGCHLD)
	// A signal that is ignored here while the command starts is ignored there, too.
	ignored := ignoredAtStart()
	if len(ignored) > 0 { // none would mean all
		signal.Ignore(ignored...)
	}
	signal.Notify(p.signals, without(forwarded(), ignored)...)
	child, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env:   environ,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return nil, &StartError{CannotRun, err}
	}
	// From now on the server decides: it may have a handler by then.
	signal.Notify(p.signals, forwarded()...)
	p.main = child.Pid
	_ = child.Release()
	return p, nil
}

// forwarded is every signal that is meant for the server: not those that are
// about this process alone. The first three real-time signals are the C library's,
// and cannot be caught.
func forwarded() []os.Signal {
	own := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG,
		syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGSEGV, syscall.SIGBUS,
		syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGPROF}
	var all []os.Signal
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if !slices.Contains(own, s) {
			all = append(all, s)
		}
	}
	return all
}

// Wait returns when the server has ended, with the exit code that a shell gives:
// its own, or 128 and the number of the signal that killed it. A server that
// goes into the background lives on in a child that becomes one of this process:
// Wait returns when the last child has ended.
func (p *Process) Wait() int {
	var grace <-chan time.Time
	for {
		select {
		case s := <-p.signals:
			p.forward(s.(syscall.Signal))
		case <-p.died:
			mainEnded, childrenLeft := p.reap()
			if !childrenLeft || (mainEnded && exitCode(p.status) != 0) {
				return exitCode(p.status)
			}
			if p.final && p.ending && grace == nil {
				grace = time.After(lastGrace)
			}
		case <-grace:
			return exitCode(p.status)
		}
	}
}

// reap collects every child that has ended.
func (p *Process) reap() (mainEnded, childrenLeft bool) {
	for {
		pid, err := ended()
		switch {
		case err != nil: // ECHILD: none is left
			return mainEnded, false
		case pid == 0:
			return mainEnded, true
		}
		isServer := !p.final && p.isServer(pid) // what tells it is gone once it is collected
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			continue // interrupted
		}
		if isServer {
			mainEnded = mainEnded || pid == p.main
			p.main, p.status = 0, status
			p.final = p.ending || exitCode(status) != 0
		}
	}
}

// isServer reports that a child is the command, or the server that it left in the
// background: the first that has a session of its own (daemon(7)). Other orphans
// are what a server has started.
func (p *Process) isServer(pid int) bool {
	if p.main != 0 {
		return pid == p.main
	}
	own, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	first := child{}
	for _, c := range children() {
		if c.session != own && (first.pid == 0 || c.start < first.start) {
			first = c
		}
	}
	return first.pid == pid
}

// forward sends s to the command, or to every child if there is only a server in
// the background. In the foreground of a terminal the keyboard's signals reach the
// server anyway; but the first process of a session, as in a container, may get
// them from elsewhere.
func (p *Process) forward(s syscall.Signal) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
		p.ending = true
	}
	if keyboard(s) && inForeground() {
		if s == syscall.SIGTSTP { // the shell waits for this process to stop, too
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
		return
	}
	if p.main != 0 {
		_ = syscall.Kill(p.main, s)
		return
	}
	for _, c := range children() {
		_ = syscall.Kill(c.pid, s)
	}
}

func keyboard(s syscall.Signal) bool {
	return s == syscall.SIGINT || s == syscall.SIGQUIT || s == syscall.SIGTSTP || s == syscall.SIGWINCH
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// inForeground reports whether this process is in the foreground of a terminal,
// whose session another process leads.
func inForeground() bool {
	if session, err := unix.Getsid(0); err != nil || session == os.Getpid() {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
