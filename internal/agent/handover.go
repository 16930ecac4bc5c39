package agent

import (
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
)

// HandOver gives the two files of a table to servers that ask for them, until
// the Closer is closed: a server that executes itself again has closed those it
// inherited. It gives them to root and to the user of this process. lifeline is
// the pipe that says how long the agent of one server is wanted: who asks gets
// an end of it to hold. It may be nil.
func HandOver(table *stek.SharedTable, lifeline *os.File) (io.Closer, error) {
	listener, err := net.Listen("unix", fmt.Sprintf("@stek-table/%d", os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("listen for servers that ask for the table: %w", err)
	}
	go func() {
		for {
			conn, err := peerListener{listener}.Accept()
			if err != nil {
				return
			}
			_ = handOver(conn.(*net.UnixConn), table, lifeline)
			_ = conn.Close()
		}
	}()
	return listener, nil
}

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
