package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
)

// A Handover gives the files of a table to servers that ask for them: one that
// executes itself again has closed those it inherited.
type Handover struct {
	Name     string // of the socket, as servers know it
	listener net.Listener
}

// HandOver gives the two files of a table to processes of root and of this
// process's user, until it is closed. lifeline is the pipe that says how long the
// agent of one server is wanted: who asks gets an end of it to hold. It may be
// nil.
func HandOver(table *stek.SharedTable, lifeline *os.File) (*Handover, error) {
	listener, name, err := listen(tableSockets)
	if err != nil {
		return nil, fmt.Errorf("listen for servers that ask for the table: %w", err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil: // no descriptor is free
				time.Sleep(100 * time.Millisecond)
				continue
			}
			_ = handOver(conn.(*net.UnixConn), table, lifeline)
			_ = conn.Close()
		}
	}()
	return &Handover{name, listener}, nil
}

// Close ends the giving.
func (h *Handover) Close() error { return h.listener.Close() }

func handOver(conn *net.UnixConn, table *stek.SharedTable, lifeline *os.File) error {
	keys, counts := table.Files()
	files := []int{int(keys.Fd()), int(counts.Fd())}
	if lifeline != nil {
		// This process never holds that end longer than it takes to send it.
		end, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", lifeline.Fd()), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer end.Close()
		files = append(files, int(end.Fd()))
	}
	_, _, err := conn.WriteMsgUnix([]byte{1}, unix.UnixRights(files...), nil)
	return err
}
