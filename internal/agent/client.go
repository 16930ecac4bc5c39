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
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNoAgent: no stek run or stek agent that answers this user, in this network
// namespace.
var ErrNoAgent = errors.New("no stek run or stek agent is running here that answers this user")

// How long a process may take to answer, and how much it may say: it may be a
// program of another user's.
const (
	dialTime   = 500 * time.Millisecond
	answerTime = 3 * time.Second
	answerSize = 1 << 20
)

// A Peer is a process that answers stek status, stek rotate and stek revoke.
type Peer struct {
	PID  int // 0: of another process namespace
	UID  int
	name string
}

// Peers lists the processes that answer this user in this network namespace: all
// for root, else the user's own. With a pid that is not 0, that process alone.
func Peers(ctx context.Context, pid int) ([]Peer, error) {
	names, err := statusNames()
	if err != nil {
		return nil, err
	}
	var mutex sync.Mutex
	var peers []Peer
	var asking sync.WaitGroup
	slots := make(chan struct{}, 64)
	for _, name := range names {
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p, err := identify(ctx, name)
			if err != nil || (os.Geteuid() != 0 && p.UID != os.Geteuid()) || (pid != 0 && p.PID != pid) {
				return
			}
			mutex.Lock()
			defer mutex.Unlock()
			peers = append(peers, p)
		})
	}
	asking.Wait()
	if len(peers) == 0 {
		return nil, ErrNoAgent
	}
	slices.SortStableFunc(peers, func(a, b Peer) int { return a.PID - b.PID })
	return peers, nil
}

func identify(ctx context.Context, name string) (Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := dial(ctx, name)
	if err != nil {
		return Peer{}, err
	}
	defer conn.Close()
	pid, uid, err := peer(conn)
	return Peer{pid, uid, name}, err
}

// Status asks for the status. The process is told by its socket, not by what it
// says of itself.
func (p Peer) Status(ctx context.Context) (Status, error) {
	var status Status
	body, err := p.ask(ctx, http.MethodGet, "/status")
	if err == nil {
		err = json.Unmarshal(body, &status)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask process %d: %w", p.PID, err)
	}
	if p.PID != 0 {
		status.PID = p.PID
	}
	return status, nil
}

// Rotate makes a fresh key current in every table of the process.
func (p Peer) Rotate(ctx context.Context) error { return p.tell(ctx, "rotate") }

// Revoke destroys all keys in every table of the process, and makes a fresh one
// current in each.
func (p Peer) Revoke(ctx context.Context) error { return p.tell(ctx, "revoke") }

func (p Peer) tell(ctx context.Context, verb string) error {
	if _, err := p.ask(ctx, http.MethodPost, "/"+verb); err != nil {
		return fmt.Errorf("%s in process %d: %w", verb, p.PID, err)
	}
	return nil
}

func (p Peer) ask(ctx context.Context, method, path string) ([]byte, error) {
	client := &http.Client{Timeout: answerTime, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, p.name) },
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://stek"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerSize))
	if err == nil && response.StatusCode >= 300 {
		err = errors.New(Printable(strings.ReplaceAll(string(bytes.TrimSpace(body)), "\n", "; ")))
	}
	return body, err
}
