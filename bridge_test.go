package stek

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/ssltest"
	"github.com/go-stek/stek/ticketkey"
)

// eachCallback runs test for both kinds of callback and both TLS versions, on a
// fresh server and client.
func eachCallback(t *testing.T, test func(t *testing.T, p pair)) {
	kinds := map[string]Kind{"HMAC_CTX": HMACKind}
	if ssltest.HasEVPCallback() {
		kinds["EVP_MAC_CTX"] = EVPKind
	}
	for kindName, kind := range kinds {
		for _, version := range []ssltest.Version{ssltest.TLS12, ssltest.TLS13} {
			t.Run(fmt.Sprintf("%s/%v", kindName, version), func(t *testing.T) {
				p := pair{t, ssltest.NewServer(t), ssltest.NewClient(t), version, kind}
				p.client.SetVersion(version)
				test(t, p)
			})
		}
	}
}

// A pair is a server and a client of one TLS version, and the kind of callback
// that the server is to use.
type pair struct {
	t       *testing.T
	server  *ssltest.Context
	client  *ssltest.Context
	version ssltest.Version
	kind    Kind
}

func (p pair) attach(ks *Keystore, options ...AttachOption) {
	p.t.Helper()
	_, err := Attach(p.server.Pointer(), ks, append(options, WithKind(p.kind))...)
	require.NoError(p.t, err)
}

// connect connects without a session if session is nil.
func (p pair) connect(session ssltest.Session) ssltest.Result {
	return ssltest.Connect(p.server, p.client, ssltest.Options{ServerName: "a.example", Session: session})
}

// newSession makes a full handshake and returns the newest ticket.
func (p pair) newSession() ssltest.Session {
	p.t.Helper()
	r := p.connect(nil)
	require.Equal(p.t, "New", r.String())
	require.NotEmpty(p.t, r.Tickets)
	return newest(r)
}

func newest(r ssltest.Result) ssltest.Session { return r.Tickets[len(r.Tickets)-1] }

// tickets is how many a full handshake of p's version sends.
func (p pair) tickets() int {
	if p.version == ssltest.TLS12 {
		return 1
	}
	return 2
}

func openMemory(t *testing.T, config memory.Config) *Keystore {
	t.Helper()
	source, err := memory.New(config)
	require.NoError(t, err)
	ks, err := Open(source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ks.Close()) })
	return ks
}

func TestTicketCarriesCurrentKeyName(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks)
		r := p.connect(nil)
		require.Equal(t, "New", r.String())
		require.Len(t, r.Tickets, p.tickets())
		ivs := map[string]bool{}
		for _, ticket := range r.Tickets {
			require.EqualValues(t, ks.Keys()[0].Name, ticket.KeyName())
			ivs[string(ticket.Ticket()[16:32])] = true
		}
		require.Len(t, ivs, p.tickets(), "every ticket has an IV of its own")
		require.EqualValues(t, p.tickets(), ks.Stats().Issued)
	})
}

// The cells of the table "Verdicts on the wire" in docs/openssl.md that the
// callback can reach.

func TestVerdictRenewResumesWithOneNewTicket(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks)
		old := p.newSession()
		require.NoError(t, ks.Rotate())
		r := p.connect(old)
		require.Equal(t, "Reused", r.String())
		require.Len(t, r.NewSessionTickets, 1)
		require.EqualValues(t, ks.Keys()[0].Name, newest(r).KeyName())
		if p.version == ssltest.TLS12 {
			require.Zero(t, newest(r).Hint())
		}
		require.EqualValues(t, 1, ks.Stats().Renewed)
		require.EqualValues(t, 1, ks.Stats().AcceptedPrevious)
		require.Equal(t, "Reused", p.connect(newest(r)).String())
	})
}

func TestVerdictUseResumesWithoutNewTicket(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks, WithPolicy(RenewByAge))
		r := p.connect(p.newSession())
		require.Equal(t, "Reused", r.String())
		require.Empty(t, r.NewSessionTickets)
		require.EqualValues(t, 1, ks.Stats().Accepted)
		require.Zero(t, ks.Stats().Renewed)
	})
}

func TestVerdictIgnoreMakesFullHandshakeWithNewTickets(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks)
		session := p.newSession()
		foreign := session.Ticket()
		foreign[0] ^= 1
		r := p.connect(session.WithTicket(foreign))
		require.Equal(t, "New", r.String(), "the session-id cache is not tried")
		require.Len(t, r.NewSessionTickets, p.tickets())
		require.EqualValues(t, 1, ks.Stats().Unknown)
	})
}

func TestVerdictErrorOnDecryptEndsHandshake(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()
		store.failNamed.Store(true)
		r := p.connect(session)
		require.Equal(t, "Failed", r.Word())
		require.Contains(t, r.Alerts, "server: fatal internal_error")
		require.EqualValues(t, 1, ks.Stats().Errors)
		require.ErrorContains(t, ks.Err(), "ask KeyStore for key "+store.key().Name.String()+": the disk is gone")

		store.failNamed.Store(false)
		require.Equal(t, "Reused", p.connect(session).String())
		require.NoError(t, ks.Err())
	})
}

func TestVerdictErrorOnEncryptEndsHandshake(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks)
		store.failCurrent.Store(true)
		r := p.connect(nil)
		require.Contains(t, r.Alerts, "server: fatal internal_error")
		require.False(t, r.OK())
		if p.version == ssltest.TLS13 {
			require.True(t, r.ClientDone, "the client believes it is connected")
		}
		store.failCurrent.Store(false)
		require.Equal(t, "New", p.connect(nil).String())
	})
}

func TestVerdictIgnoreOnEncryptSendsNothingResumable(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		store.none.Store(true)
		ks := openStore(t, store)
		p.attach(ks)
		r := p.connect(nil)
		require.Equal(t, "New", r.String())
		require.EqualValues(t, p.tickets(), ks.Stats().Declined)
		require.Zero(t, ks.Stats().Issued)
		switch {
		case p.version == ssltest.TLS12:
			require.True(t, r.SentEmptyTicket)
			require.Equal(t, "New", p.connect(r.LastSession).String(), "not even by session id")
		case ssltest.LibraryVersion() >= 0x30000060:
			require.Empty(t, r.NewSessionTickets)
		default: // the library would send a malformed message: a throwaway key
			require.Len(t, r.Tickets, 2)
			require.NotEqual(t, r.Tickets[0].KeyName(), r.Tickets[1].KeyName())
			require.Equal(t, "New", p.connect(newest(r)).String())
		}
	})
}

func TestSoftErrorsAreFullHandshakes(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks, WithSoftErrors())
		session := p.newSession()
		store.failNamed.Store(true)
		require.Equal(t, "New", p.connect(session).String())
		store.failCurrent.Store(true)
		require.Equal(t, "New", p.connect(nil).String())
		require.EqualValues(t, 1+p.tickets(), ks.Stats().Errors)
	})
}

func TestErrorQueueIsAsFound(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks)
		session := p.newSession()
		foreign := session.Ticket()
		foreign[0] ^= 1
		for _, s := range []ssltest.Session{nil, session, session.WithTicket(foreign)} {
			r := p.connect(s)
			require.Zero(t, r.ServerQueue+r.ServerReadQueue+r.ServerWriteQueue)
		}
	})
}

func TestSingleUseClientIsReusedEveryTimeAfterTheFirst(t *testing.T) {
	for _, kind := range []Kind{HMACKind, FastestKind} {
		p := pair{t, ssltest.NewServer(t), ssltest.NewClient(t), ssltest.TLS13, kind}
		p.client.SetVersion(p.version)
		p.attach(openMemory(t, memory.Config{}))
		var seen []string
		var session ssltest.Session
		for range 8 {
			r := p.connect(session)
			seen = append(seen, r.String())
			session = newest(r)
		}
		require.Equal(t, "New", seen[0])
		require.Equal(t, slices.Repeat([]string{"Reused"}, 7), seen[1:])
	}
}

func TestChainOfResumptionsEndsAtAuthenticationAgeCap(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		t.Parallel()
		const limit = 2 * time.Second
		ks := openMemory(t, memory.Config{})
		p.attach(ks, WithAuthAgeCap(limit))
		begin := time.Now()
		session := p.newSession()
		authenticated := time.Now()
		reused := 0
		for {
			time.Sleep(limit / 8)
			require.NoError(t, ks.Rotate()) // so that TLS 1.2 renews too
			before := time.Now()
			r := p.connect(session)
			if r.Word() == "New" {
				require.GreaterOrEqual(t, time.Since(begin), limit)
				break
			}
			require.Equal(t, "Reused", r.String())
			require.Less(t, before.Sub(authenticated), limit)
			session = newest(r)
			reused++
		}
		require.GreaterOrEqual(t, reused, 2)
		require.EqualValues(t, 1, ks.Stats().Aged)
		require.Equal(t, "Reused", p.connect(p.newSession()).String(), "and a new chain begins")
	})
}

// A ticket of a context without the cap has no stamp. Its age counts all the
// same, from its issue, and is not lost when it is renewed.
func TestCapCountsTheAgeOfTicketsWithoutStamp(t *testing.T) {
	t.Parallel()
	const limit = 5 * time.Second
	ks := openMemory(t, memory.Config{})
	p := pair{t, ssltest.NewServer(t), ssltest.NewClient(t), ssltest.TLS13, FastestKind}
	p.client.SetVersion(p.version)
	capped := p
	capped.server = ssltest.NewServer(t)
	p.attach(ks, WithPolicy(RenewCurrent))
	capped.attach(ks, WithAuthAgeCap(limit))
	begin := time.Now()
	session := p.newSession()
	time.Sleep(limit / 2)
	r := capped.connect(session)
	require.Equal(t, "Reused", r.String())
	time.Sleep(time.Until(begin.Add(limit + time.Second)))
	require.Equal(t, "New", capped.connect(newest(r)).String())
}

func TestRenewCurrentPolicyEndsChainWithTheKey(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks, WithPolicy(RenewCurrent))
		r := p.connect(p.newSession())
		require.Equal(t, "Reused", r.String())
		if p.version == ssltest.TLS12 {
			require.Empty(t, r.NewSessionTickets)
			return
		}
		require.Len(t, r.NewSessionTickets, 1)
		require.NoError(t, ks.Rotate())
		r = p.connect(newest(r))
		require.Equal(t, "Reused", r.String())
		require.Empty(t, r.NewSessionTickets)
	})
}

func TestTicketPastItsWindowGetsFullHandshake(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{Rotation: 300 * time.Millisecond, Lifetime: 300 * time.Millisecond})
		p.attach(ks)
		session := p.newSession()
		old := Name(session.KeyName())
		require.Eventually(t, func() bool {
			return !slices.ContainsFunc(ks.Keys(), func(k KeyInfo) bool { return k.Name == old })
		}, 5*time.Second, 5*time.Millisecond)
		require.Equal(t, "New", p.connect(session).String())
		stats := ks.Stats()
		require.EqualValues(t, 1, stats.Unknown+stats.Expired)
	})
}

func TestMutilatedTicketsGetFullHandshakes(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		p.attach(openMemory(t, memory.Config{}))
		session := p.newSession()
		ticket := session.Ticket()
		mutilated := map[string][]byte{
			"empty":          {},
			"name alone":     ticket[:16],
			"no ciphertext":  ticket[:32],
			"cut by one":     ticket[:len(ticket)-1],
			"cut by a block": ticket[:len(ticket)-16],
			"longer by one":  append(slices.Clone(ticket), 0),
			"longer":         append(slices.Clone(ticket), make([]byte, 1000)...),
			"unknown name":   append(make([]byte, 16), ticket[16:]...),
			"zeros":          make([]byte, len(ticket)),
		}
		for bit := 0; bit < len(ticket)*8; bit += 7 {
			flipped := slices.Clone(ticket)
			flipped[bit/8] ^= 1 << (bit % 8)
			mutilated[fmt.Sprintf("bit %d", bit)] = flipped
		}
		for name, bytes := range mutilated {
			r := p.connect(session.WithTicket(bytes))
			require.Equal(t, "New", r.String(), name)
			require.Empty(t, r.Alerts, name)
		}
		require.Equal(t, "Reused", p.connect(session).String())
	})
}

// A servername callback may tell names apart by their bytes, and so does a ticket.
func TestTicketResumesUnderItsServerNameAlone(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks)
		words := func(s ssltest.Session) (list []string) {
			for _, name := range []string{"a.example", "A.Example", "b.example", "a.example.b", ""} {
				r := ssltest.Connect(p.server, p.client, ssltest.Options{ServerName: name, Session: s})
				require.Empty(t, r.Alerts)
				list = append(list, r.String())
			}
			return list
		}
		session := p.newSession() // a.example
		require.Equal(t, []string{"Reused", "New", "New", "New", "New"}, words(session))
		require.NoError(t, ks.Rotate())
		renewed := newest(p.connect(session))
		require.Equal(t, []string{"Reused", "New", "New", "New", "New"}, words(renewed))

		nameless := ssltest.Connect(p.server, p.client, ssltest.Options{})
		require.Equal(t, []string{"New", "New", "New", "New", "Reused"}, words(newest(nameless)))
	})
}

// What is authenticated is the ticket up to its MAC (RFC 5077 section 4), under the HMAC
// key and, behind it, what the ticket is bound to: 1 for a server name or 2 for a group, the
// size of the name, and the name.
func TestMACKeyOfATicketEndsWithItsName(t *testing.T) {
	const mac = sha256.Size
	for _, size := range []int{ticketkey.HMACSize, ticketkey.ImportedSize} {
		for bound, option := range map[string][]AttachOption{
			"\x01\x09a.example": nil, // as the client of a pair calls it
			"\x02\x04site":      {WithNameGroup("site")},
		} {
			eachCallback(t, func(t *testing.T, p pair) {
				key := randomKey(t)
				key.AESKey, key.HMACKey = randomSecret(t, size), randomSecret(t, size)
				p.attach(openStore(t, newListed(t, false, key)), option...)
				ticket := p.newSession().Ticket()
				h := hmac.New(sha256.New, append(slices.Clone(key.HMACKey.Bytes()), bound...))
				h.Write(ticket[:len(ticket)-mac])
				require.Equal(t, h.Sum(nil), ticket[len(ticket)-mac:])
			})
		}
	}
}

// Moving from keys shared with other software to keys of one's own.
func TestTicketRenewedFromAnUnboundKeyIsBound(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		imported, own := randomKey(t), randomKey(t)
		imported.AnyServerName = true
		own.NotBefore = time.Now()
		store := newListed(t, false, imported)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()
		store.setList(imported, own)
		require.Eventually(t, func() bool { return len(ks.Keys()) == 2 }, 5*time.Second, time.Millisecond)
		renewed := newest(p.connect(session))
		require.EqualValues(t, own.Name, renewed.KeyName())
		for name, want := range map[string]string{"a.example": "Reused", "b.example": "New", "": "New"} {
			o := ssltest.Options{ServerName: name, Session: renewed}
			require.Equal(t, want, ssltest.Connect(p.server, p.client, o).String(), name)
		}
	})
}

// A TLS 1.2 session resumed by its id may ask for a ticket. Nothing tells its
// server name then, so it gets none that could resume under another.
func TestTicketForASessionResumedByIDIsNeverBoundWrongly(t *testing.T) {
	for name, acknowledge := range map[string]bool{"no servername_cb": false, "servername_cb acknowledged": true} {
		t.Run(name, func(t *testing.T) {
			server, client := ssltest.NewServer(t), ssltest.NewClient(t)
			server.SetSessionIDContext([]byte("x"))
			if acknowledge {
				server.SwitchByServername(nil, ssltest.OK)
			}
			client.SetVersion(ssltest.TLS12)
			client.SetOptions(ssltest.OpNoTicket)
			_, err := Attach(server.Pointer(), openMemory(t, memory.Config{}))
			require.NoError(t, err)
			first := ssltest.Connect(server, client, ssltest.Options{ServerName: "a.example"})
			client.ClearOptions(ssltest.OpNoTicket)
			r := ssltest.Connect(server, client, ssltest.Options{ServerName: "a.example", Session: first.LastSession})
			require.Equal(t, "Reused", r.String())
			require.Equal(t, acknowledge, len(r.Tickets) > 0, "OpenSSL keeps the name with the session if it was acknowledged")
			for _, session := range r.Tickets {
				for name, want := range map[string]string{"a.example": "Reused", "b.example": "New", "": "New"} {
					o := ssltest.Options{ServerName: name, Session: session}
					require.Equal(t, want, ssltest.Connect(server, client, o).String(), name)
				}
			}
		})
	}
}

func TestNameGroupJoinsServerNames(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		p.attach(ks, WithNameGroup("example"))
		other := p
		other.server = ssltest.NewServer(t)
		other.attach(ks, WithNameGroup("elsewhere"))
		session := p.newSession()
		for _, name := range []string{"a.example", "b.example", ""} {
			o := ssltest.Options{ServerName: name, Session: session}
			require.Equal(t, "Reused", ssltest.Connect(p.server, p.client, o).String())
			require.Equal(t, "New", ssltest.Connect(other.server, p.client, o).String())
		}
	})
}

// Under SNI OpenSSL switches contexts in mid-handshake; the keys are those of
// the context that accepted the connection.
func TestSwitchedContextsResumeWithAcceptingContextsKeys(t *testing.T) {
	switches := map[string]func(server *ssltest.Context, to map[string]*ssltest.Context){
		"servername_cb acknowledged": func(s *ssltest.Context, to map[string]*ssltest.Context) {
			s.SwitchByServername(to, ssltest.OK)
		},
		"servername_cb not acknowledged": func(s *ssltest.Context, to map[string]*ssltest.Context) {
			s.SwitchByServername(to, ssltest.NoAck)
		},
		"client_hello_cb": func(s *ssltest.Context, to map[string]*ssltest.Context) {
			s.SwitchByClientHello(to)
		},
	}
	for name, set := range switches {
		t.Run(name, func(t *testing.T) {
			eachCallback(t, func(t *testing.T, p pair) {
				accepting, other := openMemory(t, memory.Config{}), openMemory(t, memory.Config{})
				second := ssltest.NewServer(t)
				p.attach(accepting)
				_, err := Attach(second.Pointer(), other, WithKind(p.kind))
				require.NoError(t, err)
				set(p.server, map[string]*ssltest.Context{"a.example": second})

				r := p.connect(nil)
				require.Equal(t, "New", r.String())
				require.Equal(t, second.Pointer(), r.ServedBy)
				require.EqualValues(t, accepting.Keys()[0].Name, newest(r).KeyName())
				require.Equal(t, "Reused", p.connect(newest(r)).String())

				require.NoError(t, accepting.Rotate())
				renewed := p.connect(newest(r))
				require.Equal(t, "Reused", renewed.String())
				require.EqualValues(t, accepting.Keys()[0].Name, newest(renewed).KeyName())
				require.Equal(t, "Reused", p.connect(newest(renewed)).String())
				require.Zero(t, other.Stats().Issued+other.Stats().Accepted)
			})
		})
	}
}

func TestHelloRetryRequestResumes(t *testing.T) {
	p := pair{t, ssltest.NewServer(t), ssltest.NewClient(t), ssltest.TLS13, FastestKind}
	p.client.SetVersion(p.version)
	p.client.SetGroups("P-256:X25519")
	p.server.SetGroups("X25519")
	p.attach(openMemory(t, memory.Config{}))
	r := p.connect(p.newSession())
	require.True(t, r.HelloRetry)
	require.Equal(t, "Reused", r.String())
}

func TestFloodOfTicketsCostsEightKeySetUps(t *testing.T) {
	server := ssltest.NewServer(t)
	ks := openMemory(t, memory.Config{})
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	flood := ssltest.Flood{Identities: 1700, TicketSize: 32, OneBinder: true, ServerName: "a.example"}
	require.True(t, ssltest.RawIdentityFlood(server, flood).ServerHello)
	require.EqualValues(t, 1700, ks.Stats().Unknown)

	flood.Name = ks.Keys()[0].Name
	require.True(t, ssltest.RawIdentityFlood(server, flood).ServerHello)
	require.EqualValues(t, 8, ks.Stats().Accepted)
	require.EqualValues(t, 1692, ks.Stats().Limited)

	require.True(t, ssltest.RawIdentityFlood(server, flood).ServerHello)
	require.EqualValues(t, 16, ks.Stats().Accepted, "the next ClientHello has a budget of its own")
}

func TestFloodAsksKeyStoreEightTimes(t *testing.T) {
	server := ssltest.NewServer(t)
	store := newAsked(t)
	ks := openStore(t, store)
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	flood := ssltest.Flood{Identities: 1700, TicketSize: 32, OneBinder: true}
	require.True(t, ssltest.RawIdentityFlood(server, flood).ServerHello)
	require.EqualValues(t, 8, store.namedCalls.Load())
	require.EqualValues(t, 1692, ks.Stats().Limited)
}

// Eight clients resume without a pause while a new key becomes current every
// 20 ms. Whoever presents a ticket within its lifetime is resumed. The lifetime
// counts from the time at which a rotation began: what it takes until readers
// see it, on a busy machine, is missing from it.
func TestRotationLosesNoHandshakeAndNoResumption(t *testing.T) {
	const lifetime = 600 * time.Millisecond
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{Rotation: time.Minute, Lifetime: lifetime})
		p.attach(ks)
		end := time.Now().Add(1500 * time.Millisecond)
		var wg sync.WaitGroup
		var slowest time.Duration // of the rotations
		wg.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				if err := ks.Rotate(); err != nil {
					t.Error(err)
				}
				slowest = max(slowest, time.Since(began))
				time.Sleep(20 * time.Millisecond)
			}
		})
		var fresh, reused atomic.Int64
		refused := make(chan time.Duration, 10000) // how old tickets were
		for range 8 {
			client := ssltest.NewClient(t)
			client.SetVersion(p.version)
			wg.Go(func() {
				var session ssltest.Session
				var got time.Time // not later than the ticket's issue
				for time.Now().Before(end) {
					began := time.Now()
					r := ssltest.Connect(p.server, client, ssltest.Options{ServerName: "a.example", Session: session})
					switch waited := time.Since(got); {
					case r.Word() == "Failed":
						t.Errorf("handshake failed: %v", r)
					case r.Word() == "Reused":
						reused.Add(1)
					case session == nil:
						fresh.Add(1)
					default:
						refused <- waited
					}
					if len(r.Tickets) > 0 {
						session, got = newest(r), began
					}
				}
			})
		}
		wg.Wait()
		close(refused)
		t.Logf("%d new, %d reused, %d refused; slowest rotation %v", fresh.Load(), reused.Load(), len(refused), slowest)
		for waited := range refused {
			require.GreaterOrEqual(t, waited, lifetime-slowest, "a ticket was not resumed")
		}
		require.EqualValues(t, 8, fresh.Load())
		require.Greater(t, reused.Load(), int64(100))
		require.Positive(t, ks.Stats().AcceptedPrevious)
		require.Zero(t, ks.Stats().Errors)
	})
}
