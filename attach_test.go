package stek

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/ssltest"
)

func TestAttachRefusesWhatIsNoContext(t *testing.T) {
	ks := openMemory(t, memory.Config{})
	closed := openMemory(t, memory.Config{})
	require.NoError(t, closed.Close())
	good := ssltest.NewServer(t)
	freed := ssltest.NewServer(t)
	freed.Free()

	// Memory that is allocated but no SSL_CTX, and a page that is not mapped.
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	zeros := unsafe.Pointer(&page[0])
	gone, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)

	for _, tt := range []struct {
		name string
		ctx  unsafe.Pointer
		ks   *Keystore
		want error
		says string
	}{
		{"nil context", nil, ks, ErrNil, "attach keystore: nil argument: the SSL_CTX pointer is NULL"},
		{"nil keystore", good.Pointer(), nil, ErrNil, "attach keystore: nil argument: the keystore is nil"},
		{"closed keystore", good.Pointer(), closed, ErrClosed, "attach keystore: keystore is closed"},
		{"freed context", freed.Pointer(), ks, ErrNotContext, "freed"},
		{"zeros", zeros, ks, ErrNotContext, "is not an SSL_CTX of"},
		{"an odd address", unsafe.Add(good.Pointer(), 1), ks, ErrNotContext, "is not the address of an SSL_CTX"},
		{"an unmapped page", unsafe.Pointer(unsafe.SliceData(gone)), ks, ErrNotContext, "is not the address of an SSL_CTX"},
		{"another struct of libssl", ssltest.NewConnection(t, good), ks, ErrNotContext, "not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			warnings, err := Attach(tt.ctx, tt.ks)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, warnings)
		})
	}
	_, err = Attach(good.Pointer(), ks)
	require.NoError(t, err, "and nothing was spoilt")
}

func TestAttachTwiceIsRefused(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	first, second := openMemory(t, memory.Config{}), openMemory(t, memory.Config{})
	_, err := Attach(server.Pointer(), first)
	require.NoError(t, err)
	for _, ks := range []*Keystore{first, second} {
		_, err = Attach(server.Pointer(), ks)
		require.ErrorIs(t, err, ErrAttached)
	}
	r := ssltest.Connect(server, client, ssltest.Options{})
	require.EqualValues(t, first.Keys()[0].Name, newest(r).KeyName())
}

func TestDetachGivesBackOpenSSLsOwnKeys(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks := openMemory(t, memory.Config{})
		require.ErrorIs(t, Detach(p.server.Pointer()), ErrNotAttached)
		require.ErrorIs(t, Detach(nil), ErrNil)
		p.attach(ks)
		ours := p.newSession()
		require.NoError(t, Detach(p.server.Pointer()))
		require.ErrorIs(t, Detach(p.server.Pointer()), ErrNotAttached)
		r := p.connect(ours)
		require.Equal(t, "New", r.String())
		require.NotEqualValues(t, ks.Keys()[0].Name, newest(r).KeyName())
		require.Equal(t, "Reused", p.connect(newest(r)).String())

		p.attach(ks) // and again
		require.Equal(t, "Reused", p.connect(ours).String())
	})
}

func TestAttachOptionsOutOfRange(t *testing.T) {
	server := ssltest.NewServer(t)
	ks := openMemory(t, memory.Config{})
	for _, tt := range []struct {
		name   string
		option AttachOption
		says   string
	}{
		{"cap of nothing", WithAuthAgeCap(0), "authentication-age cap of 0s, want more than 0 and at most 72h0m0s"},
		{"cap too long", WithAuthAgeCap(73 * time.Hour), "authentication-age cap of 73h0m0s"},
		{"policy", WithPolicy(7), "the renewal policy is unknown"},
		{"kind", WithKind(7), "the callback kind is unknown"},
		{"empty group", WithNameGroup(""), "the name group is empty or longer than 255 bytes"},
		{"group with a zero byte", WithNameGroup("bank\x00a"), `"bank\x00a" has a zero byte`},
		{"properties with a zero byte", WithLibraryContext(nil, "fips=yes\x00"), "has a zero byte"},
		{"empty label", WithClientAuth(""), "the client authentication label is empty or longer than 255 bytes"},
		{"long label", WithClientAuth(strings.Repeat("a", 256)), "the client authentication label is empty or longer than 255 bytes"},
		{"label with a zero byte", WithClientAuth("a\x00"), "has a zero byte"},
		{"empty form of data", WithTicketData(""), "the form of ticket data is empty or longer than 255 bytes"},
		{"long group", WithNameGroup(strings.Repeat("a", 256)), "the name group is empty or longer than 255 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Attach(server.Pointer(), ks, tt.option)
			require.ErrorIs(t, err, ErrOption)
			require.ErrorContains(t, err, tt.says)
		})
	}
	_, err := Attach(server.Pointer(), ks, WithLibraryContext(nil, "provider=nobody"))
	require.ErrorIs(t, err, ErrOption)
	if ssltest.HasEVPCallback() {
		require.ErrorContains(t, err, "cannot be fetched")
		_, err = Attach(server.Pointer(), ks, WithLibraryContext(nil, "provider=default"), WithKind(HMACKind))
		require.ErrorContains(t, err, "an HMAC_CTX comes from no library context")
		_, err = Attach(server.Pointer(), ks, WithLibraryContext(nil, "provider=default"))
		require.NoError(t, err)
		r := ssltest.Connect(server, ssltest.NewClient(t), ssltest.Options{})
		require.EqualValues(t, ks.Keys()[0].Name, newest(r).KeyName())
	} else {
		require.ErrorContains(t, err, "needs OpenSSL 3.0")
		_, err = Attach(server.Pointer(), ks, WithKind(EVPKind))
		require.ErrorContains(t, err, "the EVP callback needs OpenSSL 3.0")
	}
}

func TestAttachReportsWhatBypassesTheCallback(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*ssltest.Context)
		want []Warning
	}{
		{"nothing", func(*ssltest.Context) {}, nil},
		{"no tickets", func(c *ssltest.Context) { c.SetOptions(ssltest.OpNoTicket) }, []Warning{WarnTicketsOff}},
		{"no TLS 1.3 tickets", func(c *ssltest.Context) { c.SetNumTickets(0) }, []Warning{WarnNoTickets13}},
		{"early data", func(c *ssltest.Context) { c.SetMaxEarlyData(1000) }, []Warning{WarnStatefulEarlyData}},
		{"early data without anti-replay", func(c *ssltest.Context) {
			c.SetMaxEarlyData(1000)
			c.SetOptions(ssltest.OpNoAntiReplay)
		}, nil},
		{"long sessions", func(c *ssltest.Context) { c.SetTimeout(7 * 3600) }, []Warning{WarnTimeout}},
		{"two at once", func(c *ssltest.Context) {
			c.SetOptions(ssltest.OpNoTicket)
			c.SetTimeout(7 * 3600)
		}, []Warning{WarnTicketsOff, WarnTimeout}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ks := openMemory(t, memory.Config{}) // 6 hours
			server := ssltest.NewServer(t)
			tt.set(server)
			warnings, err := Attach(server.Pointer(), ks)
			require.NoError(t, err)
			require.Equal(t, tt.want, warnings)
			again, err := Inspect(server.Pointer(), ks)
			require.NoError(t, err)
			require.Equal(t, tt.want, again)
			for _, w := range warnings {
				require.NotEqual(t, "unknown warning", w.String())
			}
		})
	}
}

func TestAttachWarnsOfJobsWhereAKeyStoreMayHaveToBeAsked(t *testing.T) {
	server := func() *ssltest.Context {
		c := ssltest.NewServer(t)
		c.SetAsync()
		return c
	}
	for _, ks := range []*Keystore{openStore(t, newAsked(t)), openStore(t, newListed(t, false, randomKey(t)))} {
		ctx := server()
		for range 2 {
			warnings, err := Inspect(ctx.Pointer(), ks)
			require.NoError(t, err)
			require.Equal(t, []Warning{WarnAsync}, warnings)
		}
		warnings, err := Attach(ctx.Pointer(), ks)
		require.NoError(t, err)
		require.Equal(t, []Warning{WarnAsync}, warnings)
		require.Contains(t, warnings[0].String(), "SSL_MODE_ASYNC")
		warnings, err = Inspect(ssltest.NewServer(t).Pointer(), ks)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
	warnings, err := Attach(server().Pointer(), openMemory(t, memory.Config{}))
	require.NoError(t, err)
	require.Empty(t, warnings, "a backend is never asked")
}

// What the warnings say is so: the callback is not called.
func TestBypassedCallbackIsNotCalled(t *testing.T) {
	for name, set := range map[string]func(*ssltest.Context){
		"no tickets":         func(c *ssltest.Context) { c.SetOptions(ssltest.OpNoTicket) },
		"no TLS 1.3 tickets": func(c *ssltest.Context) { c.SetNumTickets(0) },
		"early data":         func(c *ssltest.Context) { c.SetMaxEarlyData(1000) },
	} {
		t.Run(name, func(t *testing.T) {
			server, client := ssltest.NewServer(t), ssltest.NewClient(t)
			client.SetVersion(ssltest.TLS13)
			set(server)
			ks := openMemory(t, memory.Config{})
			_, err := Attach(server.Pointer(), ks)
			require.NoError(t, err)
			require.Equal(t, "New", ssltest.Connect(server, client, ssltest.Options{}).String())
			require.Zero(t, ks.Stats().Issued)
		})
	}
}

func TestContextOutlivesKeystoreAndKeystoreContext(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		ks, err := OpenStore(newAsked(t), quiet())
		require.NoError(t, err)
		p.attach(ks)
		session := p.newSession()
		require.NoError(t, ks.Close())
		require.NoError(t, ks.Close())
		before := ks.Stats()
		require.Positive(t, before.Issued)
		for range 3 {
			runtime.GC()
			require.Equal(t, "New", p.connect(session).String())
		}
		require.Equal(t, before, ks.Stats())
		require.Empty(t, ks.Keys())

		other := openMemory(t, memory.Config{})
		server := ssltest.NewServer(t)
		_, err = Attach(server.Pointer(), other)
		require.NoError(t, err)
		server.Free()
		require.NoError(t, other.Rotate())
	})
}

func TestClosedKeystoreAnswersWithoutItsTable(t *testing.T) {
	ks := openMemory(t, memory.Config{})
	require.NoError(t, ks.Close()) // nothing holds the table any more
	require.Empty(t, ks.Keys())
	require.ErrorIs(t, ks.Rotate(), ErrClosed)
	require.NoError(t, ks.Err())
	require.Zero(t, ks.Stats().Issued)
	_, err := Inspect(ssltest.NewServer(t).Pointer(), ks)
	require.NoError(t, err)
}

func TestAttachAndDetachCanAlternateForEver(t *testing.T) {
	server := ssltest.NewServer(t)
	ks, second := openMemory(t, memory.Config{}), openMemory(t, memory.Config{})
	for range 1500 {
		for _, ks := range []*Keystore{ks, second} {
			_, err := Attach(server.Pointer(), ks)
			require.NoError(t, err)
			require.NoError(t, Detach(server.Pointer()))
		}
	}
}
