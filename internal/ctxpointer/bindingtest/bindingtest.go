// Package bindingtest is the suite that every package which attaches keystores
// to a Go binding of OpenSSL passes: real handshakes between the binding's
// listener and Go's TLS client.
package bindingtest

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/ticketkey"
)

// A Server is a context of a binding and what the package under test does with
// it.
type Server struct {
	// Listener accepts TLS connections with the context. They say whether they
	// resumed a session by a method SessionReused() bool.
	Listener net.Listener
	Attach   func(*stek.Keystore, ...stek.AttachOption) ([]stek.Warning, error)
	Detach   func() error
}

// Run runs the suite. listen makes a new context with a certificate and its
// private key, both in PEM, and listens with it on 127.0.0.1.
func Run(t *testing.T, listen func(t *testing.T, certPEM, keyPEM []byte) Server) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			for _, tt := range []struct {
				name string
				test func(*testing.T, fixture)
			}{
				{"TicketsCarryTheCurrentKeysName", ticketsCarryTheCurrentKeysName},
				{"TicketsResumeAcrossARotation", ticketsResumeAcrossARotation},
				{"ManyClientsResumeAtOnce", manyClientsResumeAtOnce},
				{"DetachRefusesTheKeystoresTickets", detachRefusesTheKeystoresTickets},
				{"ClosedKeystoreLeavesFullHandshakes", closedKeystoreLeavesFullHandshakes},
			} {
				t.Run(tt.name, func(t *testing.T) { tt.test(t, newFixture(t, version, listen)) })
			}
		})
	}
}

// A fixture is a server that serves, not attached yet, and its keystore.
type fixture struct {
	Server
	keys    *stek.Keystore
	trusted certificate
	version uint16
}

func newFixture(t *testing.T, version uint16, listen func(*testing.T, []byte, []byte) Server) fixture {
	source, err := memory.New(memory.Config{Rotation: time.Hour, Lifetime: time.Hour})
	require.NoError(t, err)
	keys, err := stek.Open(source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keys.Close()) })

	trusted := newCertificate(t)
	server := listen(t, trusted.certPEM, trusted.keyPEM)
	var served sync.WaitGroup
	served.Go(func() { serve(server.Listener, &served) })
	t.Cleanup(func() {
		_ = server.Listener.Close()
		served.Wait()
	})
	return fixture{server, keys, trusted, version}
}

func (f fixture) attach(t *testing.T) {
	t.Helper()
	_, err := f.Attach(f.keys)
	require.NoError(t, err)
}

// current is the name of the key that encrypts.
func (f fixture) current(t *testing.T) ticketkey.Name {
	t.Helper()
	for _, k := range f.keys.Keys() {
		if k.State == ticketkey.Current {
			return k.Name
		}
	}
	require.Fail(t, "no current key")
	return ticketkey.Name{}
}

func ticketsCarryTheCurrentKeysName(t *testing.T, f fixture) {
	f.attach(t)
	client := f.newClient()

	require.Equal(t, "New", client.connect(t))
	require.Equal(t, f.current(t), client.ticketKeyName(t))
	require.Equal(t, "Reused", client.connect(t))
	require.Equal(t, f.current(t), client.ticketKeyName(t))
	require.NotZero(t, f.keys.Stats().Accepted)
}

func ticketsResumeAcrossARotation(t *testing.T, f fixture) {
	f.attach(t)
	client := f.newClient()
	require.Equal(t, "New", client.connect(t))
	before := f.current(t)

	require.NoError(t, f.keys.Rotate())

	require.NotEqual(t, before, f.current(t))
	require.Equal(t, "Reused", client.connect(t))
	require.Equal(t, f.current(t), client.ticketKeyName(t), "the renewed ticket")
	require.EqualValues(t, 1, f.keys.Stats().AcceptedPrevious)
	require.EqualValues(t, 1, f.keys.Stats().Renewed)
}

func manyClientsResumeAtOnce(t *testing.T, f fixture) {
	f.attach(t)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := f.newClient()
			got := make([]string, 0, 4)
			for range cap(got) {
				outcome, err := client.dial()
				if err != nil {
					outcome = err.Error()
				}
				got = append(got, outcome)
			}
			if want := []string{"New", "Reused", "Reused", "Reused"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	clients.Wait()
	require.Zero(t, f.keys.Stats().Errors)
}

func detachRefusesTheKeystoresTickets(t *testing.T, f fixture) {
	f.attach(t)
	client := f.newClient()
	require.Equal(t, "New", client.connect(t))

	require.NoError(t, f.Detach())

	require.Equal(t, "New", client.connect(t))
	require.NotEqual(t, f.current(t), client.ticketKeyName(t))
	require.Equal(t, "Reused", client.connect(t), "with OpenSSL's built-in keys")
	require.Zero(t, f.keys.Stats().Accepted)
}

func closedKeystoreLeavesFullHandshakes(t *testing.T, f fixture) {
	f.attach(t)
	client := f.newClient()
	require.Equal(t, "New", client.connect(t))

	require.NoError(t, f.keys.Close())

	require.Equal(t, "New", client.connect(t))
}
