package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	startTime = 15 * time.Second // within which a server listens
	endTime   = 10 * time.Second // within which it ends
)

//go:embed servers
var serverFiles embed.FS

// A serverProcess is a tlsServer that runs, below stek run or not.
type serverProcess struct {
	server  *tlsServer
	variant string
	folder  string            // of its own
	addr    map[uint16]string // by version of TLS
	clients atomic.Int64      // the process of wrk while clients come, else 0

	cmd     *exec.Cmd
	printed bytes.Buffer // may be read once it has ended
	stop    context.CancelFunc
	ended   chan struct{}
}

// start starts a server behind a command, which may be none, and waits until it
// has all its processes and listens. Whoever has it calls end.
func (s *tlsServer) start(ctx context.Context, variant string, command ...string) (*serverProcess, error) {
	folder, err := os.MkdirTemp("", "stek-bench-servers-")
	if err != nil {
		return nil, err
	}
	p := &serverProcess{server: s, variant: variant, folder: folder, ended: make(chan struct{})}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	args := slices.Concat(command, []string{s.program.path}, s.args)
	ctx, p.stop = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Env = folder, plainEnvironment()
	p.cmd.Stdout, p.cmd.Stderr = &p.printed, &p.printed
	// A group of its own, to find what a server leaves behind. Should the
	// benchmark be killed, the server ends with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = endTime
	if err := p.cmd.Start(); err != nil {
		p.stop()
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.await(); err != nil {
		err = errors.Join(err, p.end())
		return nil, fmt.Errorf("start %v: %w\n%s", args, err, &p.printed)
	}
	return p, nil
}

// prepare writes the files of the server's folder.
func (p *serverProcess) prepare(ctx context.Context) error {
	p.addr = map[uint16]string{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		listener, err := freePort()
		if err != nil {
			return err
		}
		defer listener.Close() // when both are found
		p.addr[version] = listener.Addr().String()
	}
	for _, name := range []string{p.server.config, "counts.lua"} {
		text, err := serverFiles.ReadFile("servers/" + name)
		if err != nil {
			return err
		}
		filled := strings.NewReplacer("ADDR12", p.addr[tls.VersionTLS12], "ADDR13", p.addr[tls.VersionTLS13]).Replace(string(text))
		if err := os.WriteFile(filepath.Join(p.folder, name), []byte(filled), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, opensslCommand.path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-nodes", "-subj", "/CN=localhost", "-days", "1", "-keyout", "both.pem", "-out", "both.pem")
	cmd.Dir = p.folder
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a certificate: %w\n%s", err, output)
	}
	return nil
}

// freePort listens on a port below those that the kernel gives to clients.
func freePort() (net.Listener, error) {
	for range 100 {
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			return listener, nil
		}
	}
	return nil, errors.New("find a free port: none in 100")
}

func (p *serverProcess) await() error {
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return errors.New("it has ended")
		default:
		}
		if len(p.processes()) != p.server.processes {
			continue
		}
		conn, err := net.Dial("tcp", p.addr[p.server.rates[0].version])
		if err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("%d processes after %v, or it does not listen", len(p.processes()), startTime)
}

// end ends the server and removes its folder. It is an error if processes are
// left, which it kills.
func (p *serverProcess) end() error {
	p.stop()
	<-p.ended
	var left error
	if syscall.Kill(-p.pid(), syscall.SIGKILL) == nil {
		left = fmt.Errorf("%v left processes behind, which were killed", p.cmd.Args)
	}
	return errors.Join(left, os.RemoveAll(p.folder))
}

// pid is the process that was started: stek, or the server.
func (p *serverProcess) pid() int { return p.cmd.Process.Pid }

// processes lists those that run the server's program, parents first.
func (p *serverProcess) processes() []int {
	program, err := filepath.EvalSymlinks(p.server.program.path)
	if err != nil {
		return nil
	}
	var pids []int
	for generation := []int{p.pid()}; len(generation) > 0; {
		var next []int
		for _, pid := range generation {
			if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe == program {
				pids = append(pids, pid)
			}
			next = append(next, childrenOf(pid)...)
		}
		generation = next
	}
	return pids
}

// childrenOf lists the children of a process. Any of its threads may have
// started them.
func childrenOf(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// haveLoaded tells whether a process of the server has loaded a library.
func (p *serverProcess) haveLoaded(library string) bool {
	return slices.ContainsFunc(p.processes(), func(pid int) bool {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		return bytes.Contains(maps, []byte("/"+library+"\n"))
	})
}

// plainEnvironment is that of the benchmark without what is for stek, the
// dynamic linker or make.
func plainEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "STEK_") || strings.HasPrefix(variable, "LD_") || strings.HasPrefix(variable, "MAKE")
	})
}
