package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The sockets of stek are names that are in no folder (unix(7), abstract), in a
// network namespace that processes of other process namespaces and other users
// may share: so the names are random, and a process is told by who holds the
// other end.
const (
	statusSockets = "@stek/"       // answer stek status and stek rotate
	tableSockets  = "@stek-table/" // hand a table over
)

// listen listens on a name that nobody can take before.
func listen(kind string) (net.Listener, string, error) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	name := hex.EncodeToString(random)
	listener, err := net.Listen("unix", kind+name)
	return peerListener{listener}, name, err
}

// statusNames are the names of all sockets that answer, of whoever.
func statusNames() ([]string, error) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("look for running agents: %w", err)
	}
	var names []string
	seen := map[string]bool{}
	for _, name := range regexp.MustCompile(`(?m)`+statusSockets+`[0-9a-f]{16}$`).FindAllString(string(table), -1) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// dial connects to a socket, and waits while others keep it busy.
func dial(ctx context.Context, name string) (net.Conn, error) {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", name)
		if !errors.Is(err, unix.EAGAIN) || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// peer is the process and the user at the other end. The process is 0 if it is
// of another process namespace.
func peer(conn net.Conn) (pid, uid int, err error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var credentials *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || failed != nil {
		return 0, 0, errors.Join(err, failed)
	}
	return int(credentials.Pid), int(credentials.Uid), nil
}

// A peerListener accepts connections of root and of this process's user alone.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if _, uid, err := peer(conn); err == nil && (uid == 0 || uid == os.Geteuid()) && uid != unmapped() {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// unmapped is the number that every user has who is none of this user namespace, also
// if one in it has the same; -1 where there are no such users.
var unmapped = sync.OnceValue(func() int {
	users, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && slices.Equal(strings.Fields(string(users)), []string{"0", "0", "4294967295"}) {
		return -1
	}
	number, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if uid, bad := strconv.Atoi(strings.TrimSpace(string(number))); err == nil && bad == nil {
		return uid
	}
	return 65534
})

// Printable is lines of text without what a terminal obeys.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n') || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}
