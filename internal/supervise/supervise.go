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
	main    int // the server: the command, or what took its place in the background
	status  syscall.WaitStatus
	signals chan os.Signal
	died    chan os.Signal
	ending  bool // a signal to end was forwarded
	tty     bool // the terminal sends signals to the server too
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
	p := &Process{signals: make(chan os.Signal, 64), died: make(chan os.Signal, 1), tty: inForeground()}
	signal.Notify(p.died, syscall.SIGCHLD)
	signal.Notify(p.signals, forwarded()...)
	child, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env:   environ,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return nil, &StartError{CannotRun, err}
	}
	p.main = child.Pid
	_ = child.Release()
	return p, nil
}

// forwarded is every signal that is meant for the server: not those that are
// about this process alone, nor those that it was told to ignore, as by nohup(1).
func forwarded() []os.Signal {
	own := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG,
		syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGSEGV, syscall.SIGBUS,
		syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGPROF}
	var all []os.Signal
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if !slices.Contains(own, s) && !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// PID is the process that is the server now.
func (p *Process) PID() int { return p.main }

// Wait returns when the server has ended, with the exit code that a shell gives:
// its own, or 128 and the number of the signal that killed it. A server that
// goes into the background lives on in a child of its own, which becomes a child
// of this process, and is followed.
func (p *Process) Wait() int {
	var grace <-chan time.Time
	for {
		select {
		case s := <-p.signals:
			p.forward(s.(syscall.Signal))
		case <-p.died:
			mainEnded, childrenLeft := p.reap()
			switch {
			case !childrenLeft:
				return exitCode(p.status)
			case mainEnded && exitCode(p.status) != 0:
				return exitCode(p.status)
			case mainEnded && p.ending && grace == nil:
				grace = time.After(lastGrace)
			case mainEnded:
				p.main = oldestChild()
			}
		case <-grace:
			return exitCode(p.status)
		}
	}
}

// reap collects every child that has ended.
func (p *Process) reap() (mainEnded, childrenLeft bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil: // ECHILD: none is left
			return mainEnded, false
		case pid == 0:
			return mainEnded, true
		case pid == p.main:
			p.status, mainEnded = status, true
		}
	}
}

// forward sends s to the server. What the keyboard sends reaches it anyway.
func (p *Process) forward(s syscall.Signal) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
		p.ending = true
	}
	if p.tty && (s == syscall.SIGINT || s == syscall.SIGQUIT || s == syscall.SIGTSTP || s == syscall.SIGWINCH) {
		return
	}
	if p.main > 0 {
		_ = syscall.Kill(p.main, s)
	}
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// inForeground reports whether this process is in the foreground of a terminal.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
