package visit

import (
	"crypto/tls"
	"io"
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
