package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spacemonkeygo/openssl"
)

// A server answers every request with New or Reused, as its side of the TLS
// connection sees it, and closes the connection: the next request needs another.
type server struct {
	http   *http.Server
	listen net.Listener
	done   chan error
}

func listen(addr string, sslContext *openssl.Ctx) (*server, error) {
	listener, err := openssl.Listen("tcp", addr, sslContext)
	if err != nil {
		return nil, err
	}
	s := &server{
		http: &http.Server{
			Handler:           http.HandlerFunc(tellSession),
			ConnContext:       withConnection,
			ReadHeaderTimeout: 10 * time.Second,
		},
		listen: listener,
		done:   make(chan error, 1),
	}
	s.http.SetKeepAlivesEnabled(false)
	go func() { s.done <- s.http.Serve(listener) }()
	return s, nil
}

// endpoint is the host and port where clients on this machine find the server.
func (s *server) endpoint() (host, port string) {
	addr := s.listen.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	host, port, _ = net.SplitHostPort(addr.String())
	return host, port
}

// close lets requests under way finish.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

func tellSession(w http.ResponseWriter, r *http.Request) {
	answer := "New\n"
	if conn, ok := r.Context().Value(connectionKey{}).(*openssl.Conn); ok && conn.SessionReused() {
		answer = "Reused\n"
	}
	_, _ = io.WriteString(w, answer)
}
