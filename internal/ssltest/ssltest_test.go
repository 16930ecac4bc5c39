package ssltest

import (
	"bytes"
	"encoding/asn1"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBothVersions runs a test with a fresh server and client of each version.
func inBothVersions(t *testing.T, test func(t *testing.T, v Version, server, client *Context)) {
	for _, v := range []Version{TLS12, TLS13} {
		t.Run(v.String(), func(t *testing.T) {
			server, client := NewServer(t), NewClient(t)
			server.SetVersion(v)
			test(t, v, server, client)
		})
	}
}

// full makes a full handshake and returns its first ticket.
func full(t *testing.T, server, client *Context, o Options) Session {
	t.Helper()
	r := Connect(server, client, o)
	require.Equal(t, "New", r.String())
	require.NotEmpty(t, r.Tickets)
	return r.Tickets[0]
}

func TestLibraryIsAtLeast111(t *testing.T) {
	t.Log(LibraryText())
	assert.GreaterOrEqual(t, LibraryVersion(), uint64(0x10101000))
}

func TestBuiltInKeysResume(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		first := Connect(server, client, Options{ServerName: "localhost"})
		require.Equal(t, "New", first.String())
		assert.Equal(t, v, first.Version)
		assert.Empty(t, first.Alerts)
		want := 1
		if v == TLS13 {
			want = 2
		}
		require.Len(t, first.Tickets, want)
		require.Len(t, first.NewSessionTickets, want)
		for i, s := range first.Tickets {
			assert.Len(t, s.Ticket(), first.NewSessionTickets[i])
			assert.Equal(t, first.Tickets[0].KeyName(), s.KeyName())
			assert.Equal(t, 7200, s.Hint())
		}
		for range 2 { // a Session may be used again
			second := Connect(server, client, Options{ServerName: "localhost", Session: first.Tickets[0]})
			assert.Equal(t, "Reused", second.String())
			assert.Equal(t, v, second.Version)
		}
	})
}

func TestDecodedSessionKeepsItsTicket(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		s := full(t, server, client, Options{})
		assert.Equal(t, s, s.WithTicket(s.Ticket()))
	})
}

func TestChangedTicketMakesFullHandshake(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(ticket []byte) []byte {
			changed := bytes.Clone(ticket)
			changed[(at+len(changed))%len(changed)] ^= 1
			return changed
		}
	}
	resize := func(n int) func([]byte) []byte {
		return func(ticket []byte) []byte { return append(bytes.Clone(ticket), make([]byte, n)...)[:n] }
	}
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"name", flip(0)},
		{"iv", flip(16)},
		{"ciphertext", flip(40)},
		{"mac", flip(-1)},
		{"none", resize(0)},
		{"one byte", resize(1)},
		{"31 bytes", resize(31)},
		{"32 bytes", resize(32)},
		{"60000 bytes", resize(60000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
				server.SetSessionCache(false)
				s := full(t, server, client, Options{})
				require.Equal(t, "Reused", Connect(server, client, Options{Session: s}).String())
				changed := tt.change(s.Ticket())
				edited := s.WithTicket(changed)
				require.Equal(t, changed, edited.Ticket())
				require.Equal(t, s.Hint(), edited.Hint())
				r := Connect(server, client, Options{Session: edited})
				assert.Equal(t, "New", r.String())
				assert.NotEmpty(t, r.Tickets)
			})
		})
	}
}

func TestSessionWithoutTicketCanBeGivenOne(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS12)
	s := full(t, server, client, Options{})
	var outer asn1.RawValue
	_, err := asn1.Unmarshal(s, &outer)
	require.NoError(t, err)
	var bare []byte
	for _, f := range s.fields() {
		if f.Class != asn1.ClassContextSpecific || f.Tag != ticketTag {
			bare = append(bare, f.FullBytes...)
		}
	}
	without := Session(marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bare}))
	assert.Nil(t, without.Ticket())
	assert.Equal(t, s, without.WithTicket(s.Ticket()))
}

func TestNoTicketsWithoutTickets(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		server.SetOptions(OpNoTicket)
		server.SetRawVerdicts(1, 1, true, true, false)
		r := Connect(server, client, Options{})
		require.Equal(t, "New", r.String())
		if v == TLS12 {
			assert.Empty(t, r.Tickets)
			assert.Empty(t, r.NewSessionTickets)
		} else {
			assert.Len(t, r.Tickets, 2, "stateful ones")
		}
		encrypt, decrypt := server.RawCalls()
		assert.Zero(t, encrypt)
		assert.Zero(t, decrypt)

		server.ClearOptions(OpNoTicket)
		full(t, server, client, Options{})
		encrypt, _ = server.RawCalls()
		assert.NotZero(t, encrypt)
	})
}

func TestNumberAndHintOfTicketsAreTheServers(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	server.SetNumTickets(5)
	server.SetTimeout(300)
	r := Connect(server, client, Options{})
	require.Equal(t, "New", r.String())
	require.Len(t, r.Tickets, 5)
	assert.Equal(t, 300, r.Tickets[4].Hint())
	assert.Equal(t, -1, Session("no session").Hint())
}

func TestNoReadAfterLeavesTicketsUnread(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	r := Connect(server, client, Options{NoReadAfter: true})
	assert.Equal(t, "New", r.String())
	assert.False(t, r.Echo)
	assert.Empty(t, r.Tickets)
}

func TestServerNameSwitchesContext(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		b := NewServer(t)
		b.SetVersion(v)
		for name, attach := range map[string]func(){
			"servername":            func() { server.SwitchByServername(map[string]*Context{"b.test": b}, OK) },
			"servername, no ack":    func() { server.SwitchByServername(map[string]*Context{"b.test": b}, NoAck) },
			"servername, two names": func() { server.SwitchByServername(map[string]*Context{"a.test": server, "b.test": b}, OK) },
			"client hello":          func() { server.SwitchByClientHello(map[string]*Context{"b.test": b}) },
		} {
			t.Run(name, func(t *testing.T) {
				attach()
				assert.Equal(t, "New", Connect(server, client, Options{}).String())
				r := Connect(server, client, Options{ServerName: "a.test"})
				assert.Equal(t, "New", r.String())
				assert.Equal(t, server.Pointer(), r.ServedBy)
				r = Connect(server, client, Options{ServerName: "b.test"})
				require.Equal(t, "New", r.String())
				assert.Equal(t, b.Pointer(), r.ServedBy)
				r = Connect(server, client, Options{ServerName: "b.test", Session: r.Tickets[0]})
				assert.Equal(t, "Reused", r.String())
				if v == TLS12 && name == "servername, no ack" {
					return // the library may not know the name then
				}
				assert.Equal(t, b.Pointer(), r.ServedBy)
			})
		}
	})
}

func TestOtherGroupMakesHelloRetry(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	server.SetRawVerdicts(1, 2, true, true, false)
	s := full(t, server, client, Options{})

	client.SetGroups("P-256:X25519")
	r := Connect(server, client, Options{Session: s})
	assert.Equal(t, "Reused", r.String())
	assert.False(t, r.HelloRetry)
	_, before := server.RawCalls()

	server.SetGroups("X25519")
	r = Connect(server, client, Options{Session: s})
	assert.Equal(t, "Reused", r.String())
	assert.True(t, r.HelloRetry)
	_, after := server.RawCalls()
	assert.Equal(t, 2, after-before, "the same ticket is decrypted twice")
}

func TestClientCertificate(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		server.RequestClientCert()
		client.UseClientCert()
		s := full(t, server, client, Options{})
		r := Connect(server, client, Options{Session: s})
		assert.False(t, r.OK())
		assert.Equal(t, "session id context uninitialized", r.ServerErr)

		server.SetSessionIDContext([]byte("id"))
		s = full(t, server, client, Options{})
		assert.Equal(t, "Reused", Connect(server, client, Options{Session: s}).String())
		server.SetSessionIDContext([]byte("another id"))
		assert.Equal(t, "New", Connect(server, client, Options{Session: s}).String())
	})
}

func TestEarlyData(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	server.SetMaxEarlyData(1000)
	server.SetOptions(OpNoAntiReplay)
	server.SetRawVerdicts(1, 2, true, true, false)
	s := full(t, server, client, Options{})

	r := Connect(server, client, Options{Session: s, EarlyData: []byte("early")})
	assert.Equal(t, "Reused", r.String())
	assert.True(t, r.EarlyDataAccepted)
	r = Connect(server, client, Options{Session: s})
	assert.Equal(t, "Reused", r.String())
	assert.False(t, r.EarlyDataAccepted)

	server.SetMaxEarlyData(0)
	r = Connect(server, client, Options{Session: s, EarlyData: []byte("early")})
	assert.Equal(t, "Reused", r.String())
	assert.False(t, r.EarlyDataAccepted)
}

func TestAntiReplayBypassesTheCallback(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	server.SetMaxEarlyData(1000)
	server.SetRawVerdicts(1, 2, true, true, false)
	s := full(t, server, client, Options{})
	assert.Equal(t, "Reused", Connect(server, client, Options{Session: s}).String())
	encrypt, decrypt := server.RawCalls()
	assert.Zero(t, encrypt)
	assert.Zero(t, decrypt)
}

func TestVersionsWithoutOverlapFailOnBothSides(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	server.SetVersion(TLS13)
	client.SetVersion(TLS12)
	r := Connect(server, client, Options{})
	assert.False(t, r.OK())
	assert.Equal(t, "unsupported protocol", r.ServerErr)
	assert.NotEmpty(t, r.ClientErr)
	assert.Equal(t, []string{"server: fatal protocol_version"}, r.Alerts)
	assert.Contains(t, r.String(), "Failed")
}

func TestSessionThatDoesNotDecodeIsTheClientsError(t *testing.T) {
	r := Connect(NewServer(t), NewClient(t), Options{Session: Session("no session")})
	assert.False(t, r.OK())
	assert.Equal(t, "session refused", r.ClientErr)
}

func TestFreeMayBeCalledAgain(t *testing.T) {
	server, client := NewServer(t), NewClient(t)
	p := server.Pointer()
	server.Free()
	server.Free()
	assert.Equal(t, p, server.Pointer())
	assert.Equal(t, "context used after Free", Connect(server, client, Options{}).ServerErr)
}

func TestManyGoroutinesConnectAtOnce(t *testing.T) {
	inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
		b := NewServer(t)
		b.SetVersion(v)
		server.SwitchByServername(map[string]*Context{"b.test": b}, OK)
		server.SetRawVerdicts(1, 2, true, true, HasEVPCallback())
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				o := Options{ServerName: "b.test"}
				want := "New"
				for range 20 {
					r := Connect(server, client, o)
					assert.Equal(t, want, r.String())
					if !assert.NotEmpty(t, r.Tickets) {
						return
					}
					o.Session, want = r.Tickets[0], "Reused"
				}
			})
		}
		wg.Wait()
	})
}

func TestFloodAsksForEveryIdentityAndGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flood Flood
	}{
		{"one", Flood{Identities: 1}},
		{"usual size", Flood{Identities: 290, ServerName: "a.test"}},
		{"least size", Flood{Identities: 900, TicketSize: 32}},
		{"one binder", Flood{Identities: 1700, TicketSize: 32, OneBinder: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := NewServer(t)
			server.SetRawVerdicts(1, 0, true, true, HasEVPCallback())
			start := time.Now()
			r := RawIdentityFlood(server, tt.flood)
			t.Log(r.HelloSize, "bytes", time.Since(start))
			assert.True(t, r.ServerHello, "%+v", r)
			assert.Empty(t, r.Alerts)
			assert.Empty(t, r.ServerErr)
			_, decrypt := server.RawCalls()
			assert.Equal(t, tt.flood.Identities, decrypt)
		})
	}
}

func TestFloodWithKnownNameFailsEveryMAC(t *testing.T) {
	server := NewServer(t)
	server.SetRawVerdicts(1, 2, true, true, false)
	r := RawIdentityFlood(server, Flood{Identities: 290, Name: [16]byte([]byte(RawKeyName))})
	assert.True(t, r.ServerHello, "%+v", r)
	_, decrypt := server.RawCalls()
	assert.Equal(t, 290, decrypt)
}

func TestFloodWithVerdictErrorEndsInAlert(t *testing.T) {
	server := NewServer(t)
	server.SetRawVerdicts(1, -1, true, true, false)
	r := RawIdentityFlood(server, Flood{Identities: 3})
	assert.False(t, r.ServerHello)
	assert.Equal(t, []string{"server: fatal internal_error"}, r.Alerts)
	_, decrypt := server.RawCalls()
	assert.Equal(t, 1, decrypt)
}

func TestFloodThatDoesNotFitPanics(t *testing.T) {
	server := NewServer(t)
	assert.Panics(t, func() { RawIdentityFlood(server, Flood{Identities: 1800, TicketSize: 32}) })
}
