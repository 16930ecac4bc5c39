package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// socketName is the socket of the process in its network namespace, a name that
// is in no folder (unix(7), abstract).
func socketName(pid int) string { return fmt.Sprintf("@stek/%d", pid) }

// socketLine is a line of /proc/net/unix with such a socket, that listens.
var socketLine = regexp.MustCompile(`(?m)@stek/(\d+)$`)

// ErrNoAgent: no stek run or stek agent with that number in this network namespace.
var ErrNoAgent = errors.New("no stek run or stek agent is running here")

// A Control answers stek status and stek rotate, for root and for the user that
// the process runs as.
type Control struct {
	server *http.Server
}

// Serve answers for tables until Close.
func Serve(command, version string, tables []*Table) (*Control, error) {
	listener, err := net.Listen("unix", socketName(os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("listen for stek status: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		status := Status{PID: os.Getpid(), Command: command, Version: version, Tables: []TableStatus{}}
		for _, t := range tables {
			status.Tables = append(status.Tables, t.Status())
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status)
	})
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, _ *http.Request) {
		for _, t := range tables {
			if err := t.Rotate(); err != nil {
				http.Error(w, fmt.Sprintf("table %s: %v", t.Name(), err), http.StatusInternalServerError)
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	c := &Control{&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = c.server.Serve(peerListener{listener}) }()
	return c, nil
}

// Close stops answering.
func (c *Control) Close() error { return c.server.Close() }

// Running lists the processes that answer in this network namespace.
func Running() ([]int, error) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("look for running agents: %w", err)
	}
	var pids []int
	for _, match := range socketLine.FindAllSubmatch(table, -1) {
		if pid, err := strconv.Atoi(string(match[1])); err == nil && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// StatusOf asks the process for its status.
func StatusOf(ctx context.Context, pid int) (Status, error) {
	var status Status
	body, err := ask(ctx, pid, http.MethodGet, "/status")
	if err == nil {
		err = json.Unmarshal(body, &status)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask process %d: %w", pid, err)
	}
	return status, nil
}

// RotateIn makes a fresh key current in every table of the process.
func RotateIn(ctx context.Context, pid int) error {
	if _, err := ask(ctx, pid, http.MethodPost, "/rotate"); err != nil {
		return fmt.Errorf("rotate in process %d: %w", pid, err)
	}
	return nil
}

// dial refuses an answer of another user than root and ours: anybody can take
// the name of a socket.
func dial(ctx context.Context, pid int) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socketName(pid))
	if err != nil || os.Geteuid() == 0 {
		return conn, err
	}
	if uid, err := peer(conn); err != nil || (uid != 0 && uid != os.Geteuid()) {
		_ = conn.Close()
		return nil, fmt.Errorf("its user is %d, not root nor this one", uid)
	}
	return conn, nil
}

// ask makes one request. A process that is not there is ErrNoAgent.
func ask(ctx context.Context, pid int, method, path string) ([]byte, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, pid)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://stek"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, ErrNoAgent
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return nil, errors.New("it answers root and its own user alone")
	case err != nil:
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = errors.New(string(bytes.TrimSpace(body)))
	}
	return body, err
}
