package visit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// A Protocol is what is said on a connection. Start comes before TLS, if it is
// not nil. Ask asks a question after the handshake, so that the server has sent
// its tickets once the answer is there; it is nil for HTTP.
type Protocol struct {
	Start func(io.ReadWriter) error
	Ask   func(*Client, net.Conn) error
}

const request = "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

func askForPage(_ *Client, conn net.Conn) error {
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	// Some servers end without a close notify, and some reset.
	answer, err := io.ReadAll(conn)
	if !bytes.Contains(answer, []byte("ok")) {
		return fmt.Errorf("the answer is %q: %v", answer, err)
	}
	return nil
}

// Redis asks for a PONG.
var Redis = Protocol{Ask: func(_ *Client, conn net.Conn) error {
	return exchange(conn, []byte("PING\r\n"), "+PONG")
}}

// DNS asks for a server's version, over TLS (RFC 7858).
var DNS = Protocol{Ask: func(_ *Client, conn net.Conn) error {
	query := "\x00\x1e" + "OK\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" + "\x07version\x04bind\x00" + "\x00\x10\x00\x03"
	length := make([]byte, 2)
	if _, err := io.WriteString(conn, query); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, length); err != nil {
		return err
	}
	return exchange(conn, nil, "OK")
}}

// MQTT connects to a broker (MQTT 3.1.1).
var MQTT = Protocol{Ask: func(_ *Client, conn net.Conn) error {
	return exchange(conn, []byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"), "\x20\x02\x00\x00")
}}

// Syslog sends a message (RFC 5425). There is no answer to it, so the client
// waits a moment for the tickets of TLS 1.3.
var Syslog = Protocol{Ask: func(_ *Client, conn net.Conn) error {
	if _, err := io.WriteString(conn, "26 <13>1 - host test - - - ok"); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(moment))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("it does not wait for more: %d bytes, %w", n, err)
	}
	return nil
}}

const moment = 200 * time.Millisecond

// PostgreSQL asks for TLS, and then to log in without a password.
var PostgreSQL = Protocol{
	Start: func(conn io.ReadWriter) error {
		return exchange(conn, []byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"), "S")
	},
	Ask: func(_ *Client, conn net.Conn) error {
		login := "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
		message := binary.BigEndian.AppendUint32(nil, uint32(4+len(login)))
		return exchange(conn, append(message, login...), "R\x00\x00\x00\x08\x00\x00\x00\x00")
	},
}

// MariaDB asks for TLS in answer to the greeting, and then to log in as client
// without a password.
var MariaDB = Protocol{
	Start: func(conn io.ReadWriter) error {
		if _, err := packet(conn); err != nil {
			return err
		}
		return exchange(conn, append([]byte{byte(len(capabilities)), 0, 0, 1}, capabilities...), "")
	},
	Ask: func(_ *Client, conn net.Conn) error {
		login := capabilities + "client\x00\x00mysql_native_password\x00"
		if err := exchange(conn, append([]byte{byte(len(login)), 0, 0, 2}, login...), ""); err != nil {
			return err
		}
		answer, err := packet(conn)
		if err == nil && answer[0] != 0 {
			err = fmt.Errorf("the answer is %q", answer)
		}
		return err
	},
}

// Capabilities are protocol 4.1, TLS, authentication by a plugin; then the
// greatest packet, the character set and 23 zeros.
var capabilities = "\x00\x8a\x08\x00" + "\x00\x00\x00\x01" + "\x21" + strings.Repeat("\x00", 23)

// packet reads a packet of MariaDB: 3 bytes of length, a number, and the rest.
func packet(conn io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	body := make([]byte, max(1, int(head[0])+int(head[1])<<8))
	_, err := io.ReadFull(conn, body)
	return body, err
}

// FTP asks for TLS, and then for a file. Its data connection must resume the
// session of the control connection, or the server refuses it.
var FTP = Protocol{
	Start: func(conn io.ReadWriter) error {
		return talk(conn, "220", "AUTH TLS", "234")
	},
	Ask: func(c *Client, conn net.Conn) error {
		err := talk(conn, "", "USER anonymous", "230", "PBSZ 0", "200", "PROT P", "200", "PASV", "227", "RETR ok")
		if err != nil {
			return err
		}
		data, err := c.dial(c.DataAddr, nil)
		if err != nil {
			return fmt.Errorf("data connection: %w", err)
		}
		defer data.Close()
		if !data.ConnectionState().DidResume {
			return fmt.Errorf("the data connection is %s", New)
		}
		content, err := io.ReadAll(data)
		data.Close() // which the server waits for
		if string(content) != "ok\n" {
			return fmt.Errorf("the file is %q: %v", content, err)
		}
		return talk(conn, "150", "", "226")
	},
}

// talk waits for the code of an answer, gives a command, waits for a code, and
// so on. An empty code or command is left out.
func talk(conn io.ReadWriter, words ...string) error {
	answers := bufio.NewReader(conn)
	for n, word := range words {
		switch {
		case word == "":
		case n%2 == 1:
			if _, err := io.WriteString(conn, word+"\r\n"); err != nil {
				return err
			}
		default:
			line, err := answers.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, word+" ") {
				return fmt.Errorf("the answer is %q, want %s: %v", line, word, err)
			}
		}
	}
	return nil
}

// exchange sends a question and reads as much as the answer that is wanted.
func exchange(conn io.ReadWriter, question []byte, want string) error {
	if _, err := conn.Write(question); err != nil {
		return err
	}
	answer := make([]byte, len(want))
	if n, err := io.ReadFull(conn, answer); err != nil || string(answer) != want {
		return fmt.Errorf("the answer is %q, want %q: %v", answer[:n], want, err)
	}
	return nil
}
