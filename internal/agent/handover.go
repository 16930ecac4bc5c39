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
// the Closer is closed: a server that executes itself again may have closed
// those it inherited. It gives them to root and to the user of this process.
func HandOver(table *stek.SharedTable) (io.Closer, error) {
	listener, err := net.Listen("unix", fmt.Sprintf("@stek-table/%d", os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("listen for servers that ask for the table: %w", err)
	}
	keys, counts := table.Files()
	rights := unix.UnixRights(int(keys.Fd()), int(counts.Fd()))
	go func() {
		for {
			conn, err := peerListener{listener}.Accept()
			if err != nil {
				return
			}
			_, _, _ = conn.(*net.UnixConn).WriteMsgUnix([]byte{1}, rights, nil)
			_ = conn.Close()
		}
	}()
	return listener, nil
}
