package agent

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
)

// Pipes are those between the agent of one server and that server. Who asks for the
// table gets an end of each to hold.
type Pipes struct {
	Lifeline *os.File // read here: who holds the other end wants the agent
	Pulse    *os.File // written here: it ends with the agent
}

// A Handover gives the files of a table to servers that ask for them: one that
// executes itself again has closed those it inherited.
type Handover struct {
	Name     string // of the socket and, behind a colon, the secret, as servers have them
	listener net.Listener
}

// A password is what a server says to get the table, and what it is answered. A user's
// number is no proof: another namespace may have its own users of that number.
type password struct{ question, answer string }

// secretSize is the length of the question, and of the answer.
const secretSize = 16

func newPassword() password {
	random := make([]byte, secretSize)
	_, _ = rand.Read(random) // never fails
	text := hex.EncodeToString(random)
	return password{text[:secretSize], text[secretSize:]}
}

// patience is how long a server may take to say the password.
const patience = time.Second

// HandOver gives the two files of a table to processes of root and of this
// process's user that have the secret, until it is closed. A server of the same table
// has it in its environment. pipes are those of the agent of one server, or nil. Keys in
// a file of memfd_secret(2) can be written by who gets them: the kernel has no way to
// open such a file for reading alone.
func HandOver(table *stek.SharedTable, pipes *Pipes) (*Handover, error) {
	listener, name, err := listen(tableSockets)
	if err != nil {
		return nil, fmt.Errorf("listen for servers that ask for the table: %w", err)
	}
	secret := newPassword()
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
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				if secret.isSaidOn(conn) {
					_ = handOver(conn.(*net.UnixConn), secret.answer, table, pipes)
				}
			}()
		}
	}()
	return &Handover{name + ":" + secret.question + secret.answer, listener}, nil
}

// Close ends the giving.
func (h *Handover) Close() error { return h.listener.Close() }

// isSaidOn reports whether the other end knows the question.
func (p password) isSaidOn(conn net.Conn) bool {
	said := make([]byte, len(p.question))
	_, err := io.ReadFull(conn, said)
	return err == nil && subtle.ConstantTimeCompare(said, []byte(p.question)) == 1
}

func handOver(conn *net.UnixConn, answer string, table *stek.SharedTable, pipes *Pipes) error {
	keys, counts := table.Files()
	files := []int{int(keys.Fd()), int(counts.Fd())}
	if pipes != nil {
		// This process never holds these ends longer than it takes to send them.
		held, err := otherEnd(pipes.Lifeline, os.O_WRONLY)
		if err != nil {
			return err
		}
		defer held.Close()
		pulse, err := otherEnd(pipes.Pulse, os.O_RDONLY|unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		defer pulse.Close()
		files = append(files, int(held.Fd()), int(pulse.Fd()))
	}
	_, _, err := conn.WriteMsgUnix([]byte(answer), unix.UnixRights(files...), nil)
	return err
}

func otherEnd(pipe *os.File, flags int) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), flags, 0)
}
