package visit

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTicketOutlivesAConnectionWithoutAHandshake(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer server.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer nobody.Close()
	go func() {
		for {
			conn, err := nobody.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := Client{Addr: server.Listener.Addr().String(), Version: version}
		session, err := client.Visit()
		require.NoError(t, err)
		require.Equal(t, New, session)

		client.Addr = nobody.Addr().String()
		_, err = client.Visit()
		require.Error(t, err)

		client.Addr = server.Listener.Addr().String()
		session, err = client.Visit()
		require.NoError(t, err)
		require.Equal(t, Reused, session, tls.VersionName(version))
	}
}

func TestCertificateIsShownToAServerThatAsks(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := Client{Addr: server.Listener.Addr().String(), Version: version}
		_, err := client.Visit()
		require.Error(t, err)

		client.Certificate = &server.TLS.Certificates[0]
		for _, want := range []string{New, Reused} {
			session, err := client.Visit()
			require.NoError(t, err)
			require.Equal(t, want, session, tls.VersionName(version))
		}
		client.Forget()
		session, err := client.Visit()
		require.NoError(t, err)
		require.Equal(t, New, session)
	}
}

func TestQuestionsBeforeTLSAndAnswersAreChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		ask            func(net.Conn) error
		answers, wrong string
	}{
		"PostgreSQL without TLS": {func(conn net.Conn) error { return PostgreSQL.Start(conn) }, "S", "N"},
		"FTP without TLS":        {func(conn net.Conn) error { return FTP.Start(conn) }, "220 hello\r\n234 go on\r\n", "220 hello\r\n500 no\r\n"},
		"PostgreSQL, login":      {func(conn net.Conn) error { return PostgreSQL.Ask(nil, conn) }, "R\x00\x00\x00\x08\x00\x00\x00\x00", "E\x00\x00\x00\x08\x00\x00\x00\x00"},
		"MariaDB, login":         {func(conn net.Conn) error { return MariaDB.Ask(nil, conn) }, "\x01\x00\x00\x03\x00", "\x03\x00\x00\x03\xff\x15\x04"},
		"MQTT":                   {func(conn net.Conn) error { return MQTT.Ask(nil, conn) }, "\x20\x02\x00\x00", "\x20\x02\x00\x05"},
		"Redis":                  {func(conn net.Conn) error { return Redis.Ask(nil, conn) }, "+PONG\r\n", "-NOAUTH\r\n"},
		"DNS":                    {func(conn net.Conn) error { return DNS.Ask(nil, conn) }, "\x00\x0cOK\x80\x00", "\x00\x0cNO\x80\x00"},
	} {
		require.NoError(t, answered(tt.ask, tt.answers), name)
		require.Error(t, answered(tt.ask, tt.wrong), name)
		require.Error(t, answered(tt.ask, ""), name)
	}
}

// answered asks a server that answers something. One that has no answer ends.
func answered(ask func(net.Conn) error, answers string) error {
	client, server := net.Pipe()
	defer server.Close()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	go func() {
		_, _ = io.WriteString(server, answers)
		if answers == "" {
			server.Close()
		}
	}()
	err := ask(client)
	return errors.Join(err, client.Close())
}
