package stek

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/internal/securemem"
	"github.com/go-stek/stek/internal/ssltest"
	"github.com/go-stek/stek/ticketkey"
)

var errDisk = errors.New("the disk is gone")

func quiet() Option { return WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))) }

func openStore(t *testing.T, store KeyStore) *Keystore {
	t.Helper()
	ks, err := OpenStore(store, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ks.Close()) })
	return ks
}

func randomKey(t *testing.T) Key {
	t.Helper()
	k := Key{AESKey: randomSecret(t, ticketkey.AESSize), HMACKey: randomSecret(t, ticketkey.HMACSize)}
	require.NoError(t, securemem.Random(k.Name[:]))
	return k
}

func randomSecret(t *testing.T, size int) Secret {
	t.Helper()
	b := make([]byte, size)
	require.NoError(t, securemem.Random(b))
	return ticketkey.SecretOf(b)
}

// asked is a KeyStore that is asked for every ticket, and can fail.
type asked struct {
	mu   sync.Mutex
	keys []Key // the first encrypts

	none, failCurrent, failNamed, panics, exits atomic.Bool
	delay                                       atomic.Int64 // ns
	namedCalls                                  atomic.Int64
}

func newAsked(t *testing.T) *asked { return &asked{keys: []Key{randomKey(t)}} }

func (a *asked) key() Key {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[0]
}

func (a *asked) put(k Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append([]Key{k}, a.keys...)
}

func (a *asked) CurrentKey() (Key, error) {
	time.Sleep(time.Duration(a.delay.Load()))
	switch {
	case a.panics.Load():
		panic("index out of range")
	case a.exits.Load():
		runtime.Goexit()
	case a.failCurrent.Load():
		return Key{}, errDisk
	case a.none.Load():
		return Key{}, ErrNoKeys
	}
	return a.key(), nil
}

func (a *asked) KeyNamed(name Name) (Key, error) {
	a.namedCalls.Add(1)
	time.Sleep(time.Duration(a.delay.Load()))
	switch {
	case a.panics.Load():
		panic("index out of range")
	case a.failNamed.Load():
		return Key{}, errDisk
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.keys {
		if k.Name == name {
			return k, nil
		}
	}
	return Key{}, ErrNotFound
}

// listed is a Lister, and a Finder if finds is set.
type listed struct {
	asked
	list    []Key
	changed chan struct{}
	finds   bool
}

func newListed(t *testing.T, finds bool, keys ...Key) *listed {
	return &listed{asked: asked{keys: keys}, list: keys, changed: make(chan struct{}, 1), finds: finds}
}

func (l *listed) Keys() ([]Key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.panics.Load() {
		panic("no list")
	}
	if l.exits.Load() {
		runtime.Goexit()
	}
	return l.list, nil
}

func (l *listed) Changed() <-chan struct{} { return l.changed }
func (l *listed) FindsKeys() bool          { return l.finds }

func (l *listed) setList(keys ...Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = keys
	l.changed <- struct{}{}
}

func TestAskedKeyStoreRenewsWhenItsCurrentKeyChanges(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks, WithPolicy(RenewByAge))
		session := p.newSession()
		require.EqualValues(t, store.key().Name, session.KeyName())
		require.Empty(t, p.connect(session).NewSessionTickets)

		store.put(randomKey(t))
		r := p.connect(session)
		require.Equal(t, "Reused", r.String())
		require.EqualValues(t, store.key().Name, newest(r).KeyName())
	})
}

// OpenSSL runs the handshakes of such a context, and the callback, on stacks on
// which Go ends the process.
func TestKeyStoreIsNotAskedOnTheStackOfAJob(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()
		require.Equal(t, "Reused", p.connect(session).String())
		p.server.SetAsync()
		before := ks.Stats()
		for range 3 {
			r := p.connect(session)
			require.Equal(t, "New", r.String())
			require.Empty(t, r.Alerts)
		}
		after := ks.Stats()
		require.Equal(t, before.Asked, after.Asked)
		require.GreaterOrEqual(t, after.NotAsked, before.NotAsked+6, "for an offered ticket and for a fresh one, three times")
		require.Equal(t, before.Unknown+3, after.Unknown)
		require.Equal(t, before.Errors, after.Errors)
		require.NoError(t, ks.Err())
	})
}

func TestListerServesOnTheStackOfAJobAsLongAsItHasACurrentKey(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newListed(t, false, randomKey(t))
		ks := openStore(t, store)
		p.server.SetAsync()
		p.attach(ks)
		session := p.newSession()
		require.Equal(t, "Reused", p.connect(session).String())
		require.Zero(t, ks.Stats().NotAsked)

		ended := store.key()
		ended.NotAfter, ended.DecryptUntil = time.Now(), time.Now().Add(time.Hour)
		store.setList(ended)
		require.Eventually(t, func() bool { return ks.Keys()[0].State == ticketkey.Previous }, 5*time.Second, time.Millisecond)
		before := ks.Stats()
		r := p.connect(session)
		require.Equal(t, "Reused", r.String())
		require.Empty(t, r.NewSessionTickets, "a fresh ticket has no key, and is not promised")
		require.Equal(t, "New", p.connect(nil).String())
		require.Greater(t, ks.Stats().NotAsked, before.NotAsked)
		require.Zero(t, ks.Stats().Asked)
	})
}

func TestKeyStoreThatPanicsFailsOneHandshake(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()
		store.panics.Store(true)
		r := p.connect(session)
		require.Contains(t, r.Alerts, "server: fatal internal_error")
		require.ErrorContains(t, ks.Err(), "KeyStore panicked: index out of range")
		require.EqualValues(t, 1, ks.Stats().Panics)
		store.panics.Store(false)
		require.Equal(t, "Reused", p.connect(session).String())
	})
}

// C cannot go on then: what the caller deferred runs, and the rest of the program does.
func TestKeyStoreThatEndsTheGoroutineOfAHandshakeIsReported(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks, err := OpenStore(store, quiet())
		require.NoError(t, err)
		p.attach(ks)
		store.exits.Store(true)
		var handshake sync.WaitGroup
		for range 3 {
			handshake.Go(func() {
				p.connect(nil)
				t.Error("it ended")
			})
		}
		handshake.Wait()
		require.EqualValues(t, 3, ks.Stats().Panics)
		require.ErrorContains(t, ks.Err(), "ask KeyStore for the current key: KeyStore ended its goroutine (runtime.Goexit)")
		store.exits.Store(false)
		require.Equal(t, "Reused", p.connect(p.newSession()).String())
		require.NoError(t, ks.Close(), "it waits for no question that has ended so")
	})
}

func TestKeyStoreThatBlocksDelaysTheHandshake(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		p.attach(openStore(t, store))
		session := p.newSession()
		store.delay.Store(int64(50 * time.Millisecond))
		begin := time.Now()
		require.Equal(t, "Reused", p.connect(session).String())
		require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
		store.delay.Store(0)
		require.Equal(t, "Reused", p.connect(session).String())
	})
}

func TestKeyStoreWithBadKeyFailsWithClearError(t *testing.T) {
	short := randomKey(t)
	short.AESKey = randomSecret(t, 24)
	zeros := randomKey(t)
	clear(zeros.AESKey.Bytes())
	same := randomKey(t)
	same.HMACKey = same.AESKey
	nameless := randomKey(t)
	nameless.Name = Name{}
	for _, tt := range []struct {
		name string
		key  Key
		want string
	}{
		{"wrong size", short, "AES key of 24 bytes and HMAC key of 32, want 32 and 32 (or 16 and 16)"},
		{"no secrets", Key{Name: short.Name}, "AES key of 0 bytes"},
		{"all zeros", zeros, "its AES key is all zeros"},
		{"one secret twice", same, "its AES key and HMAC key are the same"},
		{"no name", nameless, "its name is all zeros"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachCallback(t, func(t *testing.T, p pair) {
				good := randomKey(t)
				store := &asked{keys: []Key{good}}
				ks := openStore(t, store)
				p.attach(ks)
				store.put(tt.key)
				r := p.connect(nil)
				require.Contains(t, r.Alerts, "server: fatal internal_error")
				require.ErrorIs(t, ks.Err(), ticketkey.ErrInvalid)
				require.ErrorContains(t, ks.Err(), tt.want)
				store.put(good)
				require.Equal(t, "Reused", p.connect(p.newSession()).String())
			})
		})
	}
}

func TestKeyStoreThatAnswersWithAnotherKeyFails(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	store := &mistaken{newAsked(t)}
	ks := openStore(t, store)
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	session := newest(ssltest.Connect(server, client, ssltest.Options{}))
	store.put(randomKey(t))
	r := ssltest.Connect(server, client, ssltest.Options{Session: session})
	require.Contains(t, r.Alerts, "server: fatal internal_error")
	require.ErrorContains(t, ks.Err(), "it answered with "+store.key().Name.String())
}

type mistaken struct{ *asked }

func (m *mistaken) KeyNamed(Name) (Key, error) { return m.key(), nil }

func TestListedKeysArePublishedWhenTheyChange(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		now := time.Now()
		first, second := randomKey(t), randomKey(t)
		store := newListed(t, false, first)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()

		second.NotBefore = now
		store.setList(first, second)
		require.Eventually(t, func() bool { return len(ks.Keys()) == 2 }, 5*time.Second, time.Millisecond)
		r := p.connect(session)
		require.Equal(t, "Reused", r.String())
		require.EqualValues(t, second.Name, newest(r).KeyName())

		store.setList(second)
		require.Eventually(t, func() bool { return len(ks.Keys()) == 1 }, 5*time.Second, time.Millisecond)
		require.Equal(t, "New", p.connect(session).String(), "first was taken out")
		require.Zero(t, ks.Stats().Asked, "a Lister is not asked")
		require.Zero(t, store.namedCalls.Load())
	})
}

func TestFinderIsAskedForNamesItDidNotList(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		first, second := randomKey(t), randomKey(t)
		store := newListed(t, true, first)
		ks := openStore(t, store)
		p.attach(ks)
		session := p.newSession()
		require.Zero(t, ks.Stats().Asked)

		store.put(second)
		store.setList(second)
		require.Eventually(t, func() bool { return ks.Keys()[0].Name == second.Name }, 5*time.Second, time.Millisecond)
		require.Equal(t, "Reused", p.connect(session).String())
		require.EqualValues(t, 1, ks.Stats().Asked)
		require.EqualValues(t, 1, store.namedCalls.Load())
	})
}

func TestEmptyTableTurnsToCurrentKey(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	store := newListed(t, false, randomKey(t))
	store.list = nil
	ks := openStore(t, store)
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	r := ssltest.Connect(server, client, ssltest.Options{})
	require.EqualValues(t, store.key().Name, newest(r).KeyName())
	require.Positive(t, ks.Stats().Asked)
}

func TestListThatFailsKeepsThePublishedKeys(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	store := newListed(t, false, randomKey(t))
	ks := openStore(t, store)
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	session := newest(ssltest.Connect(server, client, ssltest.Options{}))

	store.panics.Store(true)
	store.changed <- struct{}{}
	require.Eventually(t, func() bool { return ks.Stats().RefreshErrors == 1 }, 5*time.Second, time.Millisecond)
	require.ErrorContains(t, ks.Err(), "list keys of KeyStore: KeyStore panicked: no list")
	require.Equal(t, "Reused", ssltest.Connect(server, client, ssltest.Options{Session: session}).String())

	duplicate := store.key()
	store.panics.Store(false)
	store.setList(duplicate, duplicate)
	require.Eventually(t, func() bool { return ks.Stats().RefreshErrors == 2 }, 5*time.Second, time.Millisecond)
	require.ErrorContains(t, ks.Err(), "its name occurs twice")
}

// testing.T.FailNow ends a goroutine so.
func TestListThatEndsItsGoroutineIsAFailure(t *testing.T) {
	store := newListed(t, false, randomKey(t))
	store.exits.Store(true)
	_, err := OpenStore(store, quiet())
	require.EqualError(t, err, "list keys of KeyStore: KeyStore ended its goroutine (runtime.Goexit)")
	store.exits.Store(false)
	ks := openStore(t, store)
	store.exits.Store(true)
	store.changed <- struct{}{}
	require.Eventually(t, func() bool { return ks.Stats().RefreshErrors >= 1 }, 5*time.Second, time.Millisecond)
	require.ErrorContains(t, ks.Err(), "KeyStore ended its goroutine (runtime.Goexit)")
	require.EqualValues(t, ks.Stats().RefreshErrors, ks.Stats().Panics)
	require.Len(t, ks.Keys(), 1)
	store.exits.Store(false)
	require.Eventually(t, func() bool { return ks.Err() == nil }, 5*time.Second, time.Millisecond)
}

func TestOpenStoreFailsIfAMethodEndsItsGoroutine(t *testing.T) {
	_, err := OpenStore(&exitsAtOnce{}, quiet())
	require.EqualError(t, err, "open keystore: KeyStore ended its goroutine (runtime.Goexit)")
}

// exitsAtOnce is a Lister that cannot be opened.
type exitsAtOnce struct{ listed }

func (*exitsAtOnce) Changed() <-chan struct{} { runtime.Goexit(); return nil }

func TestLoggerThatEndsItsGoroutineStopsNothing(t *testing.T) {
	store := newListed(t, false, randomKey(t))
	ks, err := OpenStore(store, WithLogger(slog.New(exitingHandler{})))
	require.NoError(t, err)
	defer ks.Close()
	store.panics.Store(true)
	store.changed <- struct{}{}
	require.Eventually(t, func() bool { return ks.Stats().RefreshErrors >= 1 }, 5*time.Second, time.Millisecond)
	store.panics.Store(false)
	require.Eventually(t, func() bool { return ks.Err() == nil }, 5*time.Second, time.Millisecond)
}

type exitingHandler struct{ slog.Handler }

func (exitingHandler) Enabled(context.Context, slog.Level) bool { runtime.Goexit(); return false }

func TestCloseWaitsForAQuestionAndThereIsNoneAfterIt(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := &slow{asked: newAsked(t), begun: make(chan struct{}, 1), end: make(chan struct{})}
		ks, err := OpenStore(store, quiet())
		require.NoError(t, err)
		p.attach(ks)
		var ended, closed atomic.Bool
		var both sync.WaitGroup
		both.Go(func() {
			assert.True(t, p.connect(nil).OK())
			ended.Store(true)
		})
		<-store.begun
		both.Go(func() {
			assert.NoError(t, ks.Close())
			assert.True(t, store.ended.Load(), "no method runs any more")
			closed.Store(true)
		})
		require.Never(t, closed.Load, 50*time.Millisecond, time.Millisecond)
		close(store.end)
		both.Wait()
		require.True(t, ended.Load() && closed.Load())
		before := store.calls.Load()
		require.True(t, p.connect(nil).OK())
		require.Equal(t, before, store.calls.Load())
	})
}

// slow is a KeyStore whose first answer is waited for.
type slow struct {
	*asked
	begun, end chan struct{}
	ended      atomic.Bool
	calls      atomic.Int64
}

func (s *slow) CurrentKey() (Key, error) {
	if s.calls.Add(1) == 1 {
		s.begun <- struct{}{}
		<-s.end
		time.Sleep(20 * time.Millisecond)
		s.ended.Store(true)
	}
	return s.asked.CurrentKey()
}

// A KeyStore that reuses its buffers can wipe a secret while it is copied. What
// counts is the copy: no zero key ever encrypts.
func TestSecretThatChangesWhileItIsCopiedIsRefused(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	ks := openStore(t, &wipesOnReturn{newAsked(t)})
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	r := ssltest.Connect(server, client, ssltest.Options{})
	require.False(t, r.OK())
	require.ErrorIs(t, ks.Err(), ticketkey.ErrInvalid)
}

// wipesOnReturn returns a key whose secret is gone by the time it is copied.
type wipesOnReturn struct{ *asked }

func (w *wipesOnReturn) CurrentKey() (Key, error) {
	key := w.key()
	defer key.Wipe()
	return key, nil
}

// A key that was valid is not looked at for every ticket, but for every change.
func TestKeyThatWasValidIsRefusedOnceItHasChanged(t *testing.T) {
	for name, change := range map[string]func(*Key){
		"AES key wiped":         func(k *Key) { clear(k.AESKey.Bytes()) },
		"HMAC key wiped":        func(k *Key) { clear(k.HMACKey.Bytes()) },
		"half of a key wiped":   func(k *Key) { clear(k.AESKey.Bytes()[ticketkey.AESSize/2:]) },
		"one secret twice":      func(k *Key) { copy(k.HMACKey.Bytes(), k.AESKey.Bytes()) },
		"no name":               func(k *Key) { k.Name = Name{} },
		"a secret cut":          func(k *Key) { k.AESKey = ticketkey.SecretOf(k.AESKey.Bytes()[:16]) },
		"the other secret cut":  func(k *Key) { k.HMACKey = ticketkey.SecretOf(k.HMACKey.Bytes()[:16]) },
		"a window turned round": func(k *Key) { k.NotAfter, k.DecryptUntil = time.Now().Add(2*time.Hour), time.Now().Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			server, client := ssltest.NewServer(t), ssltest.NewClient(t)
			key := randomKey(t)
			store := &asked{keys: []Key{key}}
			ks := openStore(t, store)
			_, err := Attach(server.Pointer(), ks)
			require.NoError(t, err)
			for range 2 {
				require.True(t, ssltest.Connect(server, client, ssltest.Options{}).OK())
			}
			change(&key)
			store.put(key)
			require.False(t, ssltest.Connect(server, client, ssltest.Options{}).OK())
			require.ErrorIs(t, ks.Err(), ticketkey.ErrInvalid)
		})
	}
}

// Handles of several keystores are told apart, also when one is released.
func TestEachContextAsksItsOwnKeyStore(t *testing.T) {
	client := ssltest.NewClient(t)
	var kept []*ssltest.Context
	var stores []*asked
	for range 3 {
		server, store := ssltest.NewServer(t), newAsked(t)
		_, err := Attach(server.Pointer(), openStore(t, store))
		require.NoError(t, err)
		kept, stores = append(kept, server), append(stores, store)
	}
	for range 2 {
		for i, server := range kept {
			r := ssltest.Connect(server, client, ssltest.Options{})
			require.EqualValues(t, stores[i].key().Name, newest(r).KeyName())
		}
	}
	t.Run("released", func(t *testing.T) {
		server, store := ssltest.NewServer(t), newAsked(t)
		_, err := Attach(server.Pointer(), openStore(t, store))
		require.NoError(t, err)
		r := ssltest.Connect(server, client, ssltest.Options{})
		require.EqualValues(t, store.key().Name, newest(r).KeyName())
	})
	for i, server := range kept {
		r := ssltest.Connect(server, client, ssltest.Options{})
		require.EqualValues(t, stores[i].key().Name, newest(r).KeyName())
	}
}

// A KeyStore that has the key but panics when it is asked whether that is current
// does not fail the handshake.
func TestPanicOfTheSecondQuestionLeavesTheKey(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := &panicsInCurrentKey{asked: newAsked(t)}
		ks := openStore(t, store)
		p.attach(ks, WithPolicy(RenewByAge))
		session := p.newSession()
		store.now.Store(true)
		require.Equal(t, "Reused", p.connect(session).String())
		require.EqualValues(t, 1, ks.Stats().Panics)
		require.NoError(t, ks.Err())
	})
}

type panicsInCurrentKey struct {
	*asked
	now atomic.Bool
}

func (p *panicsInCurrentKey) CurrentKey() (Key, error) {
	if p.now.Load() {
		panic("no current key")
	}
	return p.asked.CurrentKey()
}

// The memory that a key goes to has anything in it: C's stack.
func TestFilledKeyHasNothingOfWhatWasThere(t *testing.T) {
	ks := openStore(t, newAsked(t))
	stage := ks.table.stage()
	fresh, used := &stage[0], &stage[1]
	words := func(i int) *[keyWords]uint64 { return (*[keyWords]uint64)(unsafe.Pointer(&stage[i])) }
	for _, size := range []int{ticketkey.AESSize, ticketkey.ImportedSize} {
		key := benchmarkKey()
		key.AESKey = ticketkey.SecretOf(key.AESKey.Bytes()[:size])
		key.HMACKey = ticketkey.SecretOf(key.HMACKey.Bytes()[:size])
		*words(0) = [keyWords]uint64{}
		for i := range words(1) {
			words(1)[i] = ^uint64(0)
		}
		require.NoError(t, fillKey(fresh, &key, nil))
		require.NoError(t, fillKey(used, &key, nil))
		require.Equal(t, *words(0), *words(1))
	}
}

// A key that is not the same in every bit is looked at again.
func TestSumOfAKeyIsOfEveryBit(t *testing.T) {
	var known valid
	var key [keyWords]uint64
	for i := range key {
		key[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	known.add(sumOf(&key))
	require.True(t, known.has(sumOf(&key)))
	for i := range key {
		for bit := range 64 {
			key[i] ^= 1 << bit
			require.False(t, known.has(sumOf(&key)), "word %d, bit %d", i, bit)
			key[i] ^= 1 << bit
		}
	}
}

func TestFailuresAreLoggedOnceNotPerHandshake(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	var log bytes.Buffer
	store := newAsked(t)
	ks, err := OpenStore(store, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	defer ks.Close()
	_, err = Attach(server.Pointer(), ks, WithSoftErrors())
	require.NoError(t, err)
	session := newest(ssltest.Connect(server, client, ssltest.Options{}))
	store.failNamed.Store(true)
	for range 50 {
		require.Equal(t, "New", ssltest.Connect(server, client, ssltest.Options{Session: session}).String())
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.ErrorContains(t, ks.Err(), "the disk is gone", "though CurrentKey works")
}

func TestKeyByNameIsUsedThoughThereIsNoCurrentKey(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		store := newAsked(t)
		ks := openStore(t, store)
		p.attach(ks, WithPolicy(RenewByAge))
		session := p.newSession()
		store.failCurrent.Store(true)
		require.Equal(t, "Reused", p.connect(session).String())
	})
}

func TestCurrentKeyPastItsWindowIsReportedAndNotUsed(t *testing.T) {
	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
	key := randomKey(t)
	key.NotAfter, key.DecryptUntil = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ks := openStore(t, &asked{keys: []Key{key}})
	_, err := Attach(server.Pointer(), ks)
	require.NoError(t, err)
	require.Equal(t, "New", ssltest.Connect(server, client, ssltest.Options{}).String())
	require.Zero(t, ks.Stats().Issued)
	require.ErrorContains(t, ks.Err(), "ask for the current key: "+key.String()+" is previous")
}

// Whatever of the user's panics, the process lives.
func TestUserCodeThatPanicsElsewhere(t *testing.T) {
	for name, store := range map[string]KeyStore{
		"Changed":   &panicsInChanged{newListed(t, false, randomKey(t))},
		"FindsKeys": &panicsInFindsKeys{newListed(t, false, randomKey(t))},
	} {
		_, err := OpenStore(store)
		require.ErrorContains(t, err, "open keystore: KeyStore panicked", name)
	}
	for name, logger := range map[string]*slog.Logger{"no logger": nil, "a handler that panics": slog.New(panicsInHandle{})} {
		store := newListed(t, false, randomKey(t))
		ks, err := OpenStore(store, WithLogger(logger))
		require.NoError(t, err, name)
		store.panics.Store(true)
		store.changed <- struct{}{}
		require.Eventually(t, func() bool { return ks.Stats().RefreshErrors == 1 }, 5*time.Second, time.Millisecond)
		require.NoError(t, ks.Close())
	}
}

type panicsInChanged struct{ *listed }

func (panicsInChanged) Changed() <-chan struct{} { panic("no channel") }

type panicsInFindsKeys struct{ *listed }

func (panicsInFindsKeys) FindsKeys() bool { panic("no idea") }

type panicsInHandle struct{ slog.Handler }

func (panicsInHandle) Enabled(context.Context, slog.Level) bool  { return true }
func (panicsInHandle) Handle(context.Context, slog.Record) error { panic("no disk") }

// A change between the first list and the wait for changes is not missed.
func TestChangeDuringOpeningIsNotLost(t *testing.T) {
	first, second := randomKey(t), randomKey(t)
	store := &changesWhenListed{listed: newListed(t, false, first), next: second}
	ks := openStore(t, store)
	require.Eventually(t, func() bool { return ks.Keys()[0].Name == second.Name }, 5*time.Second, time.Millisecond)
}

// changesWhenListed tells of a change only whoever listens already.
type changesWhenListed struct {
	*listed
	next      Key
	listening bool
}

func (c *changesWhenListed) Changed() <-chan struct{} { c.listening = true; return c.changed }

func (c *changesWhenListed) Keys() ([]Key, error) {
	list, err := c.listed.Keys()
	if c.listening && c.next.Name != list[0].Name {
		c.setList(c.next)
	}
	return list, err
}

// Tickets that other software must read are not bound to a server name, and
// imported 48-byte keys are AES-128 with a 16-byte HMAC key.
func TestImportedKeysIssuePlainTickets(t *testing.T) {
	eachCallback(t, func(t *testing.T, p pair) {
		k := randomKey(t)
		k.AESKey, k.HMACKey, k.AnyServerName = randomSecret(t, 16), randomSecret(t, 16), true
		p.attach(openStore(t, newListed(t, false, k)))
		session := p.newSession()
		o := ssltest.Options{ServerName: "b.example", Session: session}
		require.Equal(t, "Reused", ssltest.Connect(p.server, p.client, o).String())
	})
}
