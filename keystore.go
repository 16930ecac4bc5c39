// Package stek answers OpenSSL's session-ticket callback from a Go keystore:
// random, rotating ticket keys instead of the one key that OpenSSL makes at
// start and never changes.
//
//	source, err := memory.New(memory.Config{Rotation: 6 * time.Hour})
//	...
//	keys, err := stek.Open(source)
//	...
//	defer keys.Close()
//	warnings, err := stek.Attach(sslCtxPointer, keys)
//
// A Go type of your own can be the keystore: implement KeyStore and use
// OpenStore.
package stek

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/ticketkey"
)

// Key, Name and Secret are ticketkey's, for KeyStore implementations.
type (
	Key    = ticketkey.Key
	Name   = ticketkey.Name
	Secret = ticketkey.Secret
)

// What a KeyStore returns when it has no answer. Neither is a failure.
var (
	ErrNoKeys   = errors.New("no current ticket key")
	ErrNotFound = errors.New("no ticket key of that name")
)

// A KeyStore is a Go type that has ticket keys. Its methods are called on
// handshake threads, many at once, and the handshake waits for them, before
// the client is authenticated: answer from memory. Entering Go costs a loaded
// server more than all the rest of the callback; a Lister does without.
//
// If a method fails, panics, or returns a key that is not valid, the verdict is
// -1 and the handshake fails (with WithSoftErrors: a full handshake). The
// secrets are copied after a method has returned and stay the KeyStore's own,
// which leaves them unchanged as long as the key is in use. A method must not
// call Close, Rotate or Revoke of its Keystore, nor runtime.Goexit, as
// testing.T.FailNow does: C waits for its end, and the handshake would have none.
type KeyStore interface {
	// CurrentKey returns the key that encrypts new tickets, or ErrNoKeys.
	CurrentKey() (Key, error)
	// KeyNamed returns the key called name, or ErrNotFound.
	KeyNamed(name Name) (Key, error)
}

// A Lister is a KeyStore that knows all its keys. They are published to the
// key table, in C memory, and no handshake enters Go while the table has a
// current key.
type Lister interface {
	KeyStore
	// Keys returns the keys in force, upcoming ones included, at most 64.
	Keys() ([]Key, error)
	// Changed delivers a value whenever Keys would return something new. It is
	// called once, before Keys; closing the channel ends the changes.
	Changed() <-chan struct{}
}

// A Finder is a Lister that has more keys than it lists. FindsKeys, called
// once, reports whether KeyNamed is asked about a name that Keys did not list:
// at most 8 times for one ClientHello, which may carry 1,700 names.
type Finder interface {
	Lister
	FindsKeys() bool
}

// How long the keystore waits at the most before it looks at the clock again
// (timers stand still while the machine is suspended), and before it asks a
// backend that failed again.
const (
	longestWait = time.Minute
	retryWait   = time.Second
)

// A Keystore is the live object that answers OpenSSL. It publishes the keys of
// its source to a key table in C memory, when the source says so and when a
// window ends. All methods are safe for concurrent use.
type Keystore struct {
	source backend.Source
	user   *userStore // who is asked, nil for a backend
	window time.Duration
	clock  func() ticketkey.Now
	health *health

	refreshing    sync.Mutex // held by the one who calls source and writes the table
	questions     questions  // to user, that are under way
	refreshErrors atomic.Uint64
	unprotected   atomic.Uint64
	wake          chan struct{}
	stop          chan struct{}
	done          chan struct{}

	mu        sync.Mutex // guards what follows; taken after refreshing
	table     *table
	published []publishedKey // changed only with refreshing held too
	closed    bool
	final     Stats // as it was at Close

	closing  sync.Once
	closeErr error
}

// publishedKey is what the keystore remembers of a key in the table: its
// window. The secrets are in the table alone.
type publishedKey = ticketkey.Key

// Open starts a keystore on source, which it closes with itself, also when
// Open fails.
func Open(source backend.Source, options ...Option) (*Keystore, error) {
	return open(source, nil, options)
}

// OpenStore starts a keystore on a KeyStore of your own. If store is a Lister
// its keys are published to the key table; if not, or if it is a Finder, it is
// asked during handshakes.
func OpenStore(store KeyStore, options ...Option) (*Keystore, error) {
	if store == nil {
		return nil, errors.New("open keystore: the KeyStore is nil")
	}
	user, err := newUserStore(store)
	if err != nil {
		return nil, fmt.Errorf("open keystore: %w", err)
	}
	return open(user, user, options)
}

func open(source backend.Source, user *userStore, options []Option) (*Keystore, error) {
	if source == nil {
		return nil, errors.New("open keystore: the source is nil")
	}
	ks := &Keystore{
		source: source,
		user:   user,
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	if err := ks.start(options); err != nil {
		_ = source.Close()
		return nil, err
	}
	return ks, nil
}

func (ks *Keystore) start(options []Option) error {
	config := config{logger: slog.Default()}
	for _, option := range options {
		option(&config)
	}
	if config.logger == nil {
		config.logger = slog.Default()
	}
	ks.health = newHealth(config.logger)
	if lasting, ok := ks.source.(interface{ Lifetime() time.Duration }); ok {
		ks.window = lasting.Lifetime()
	}

	table, err := ks.makeTable(&config)
	if err != nil {
		return err
	}
	ks.table = table
	ks.clock = table.now
	if config.clock != nil {
		ks.clock = config.clock
	}

	changed := ks.source.Changed()
	wait, err := ks.refresh()
	if err == nil {
		err = ks.protect(&config)
	}
	if err != nil {
		table.close()
		return err
	}
	go ks.run(changed, wait)
	return nil
}

func (ks *Keystore) makeTable(config *config) (*table, error) {
	if config.shared != nil {
		return config.shared.table(ks.source, ks.health)
	}
	if config.table != nil {
		return tableAt(config.table, ks.source.Clock()), nil
	}
	return newTable(ks)
}

// protect complains of protections of memory that the system refused.
func (ks *Keystore) protect(config *config) error {
	refused := ks.refused()
	if len(refused) == 0 {
		return nil
	}
	if config.strictMemory {
		return &ProtectionError{Refused: refused}
	}
	ks.health.say(slog.LevelWarn, "memory of ticket keys is not fully protected", "refused", refused)
	return nil
}

// refused lists the protections of memory that the table and the source lack.
func (ks *Keystore) refused() []string {
	refused := slices.Clone(ks.table.refused)
	if holder, ok := ks.source.(interface{ Refused() []string }); ok {
		refused = append(refused, holder.Refused()...)
	}
	slices.Sort(refused)
	return slices.Compact(refused)
}

// run refreshes the table when the source changes and when time says so.
func (ks *Keystore) run(changed <-chan struct{}, wait time.Duration) {
	defer close(ks.done)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ks.stop:
			timer.Stop()
			return
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-ks.wake:
		case <-timer.C:
		}
		timer.Stop()
		wait, _ = ks.refresh()
	}
}

func (ks *Keystore) refresh() (time.Duration, error) {
	ks.refreshing.Lock()
	defer ks.refreshing.Unlock()
	return ks.refreshLocked()
}

// refreshLocked publishes what the source has now, without what has expired,
// and returns how long to wait for the next time. If the source fails it keeps
// the keys that are in the table to the end of their windows.
func (ks *Keystore) refreshLocked() (time.Duration, error) {
	ks.table.holdTime()
	now := ks.clock()
	set, again, err := ks.source.Keys(now)
	keys := set.InForce(now).Keys()
	if err == nil {
		err = ks.table.publish(keys)
	}
	if err != nil {
		ks.refreshErrors.Add(1)
		ks.dropExpired(now)
		again = now.High.Add(retryWait)
	} else {
		ks.setPublished(withoutSecrets(keys))
	}
	ks.unprotected.Store(uint64(len(ks.refused())))
	ks.health.note("refresh", err)
	return ks.waitFor(now, again), err
}

// dropExpired destroys the expired keys in the table.
func (ks *Keystore) dropExpired(now ticketkey.Now) {
	kept := slices.DeleteFunc(slices.Clone(ks.published), func(k publishedKey) bool {
		return k.StateAt(now) == ticketkey.Expired
	})
	if len(kept) == len(ks.published) {
		return
	}
	ks.table.keep(kept, now)
	ks.setPublished(kept)
}

func (ks *Keystore) setPublished(keys []publishedKey) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	ks.published = keys
}

// waitFor is the time from now to again, or to the first instant at which a
// window begins or ends.
func (ks *Keystore) waitFor(now ticketkey.Now, again time.Time) time.Duration {
	wait := longestWait
	until := func(event, from time.Time) {
		if event.After(from) {
			wait = min(wait, event.Sub(from))
		}
	}
	for _, k := range ks.published {
		until(k.NotBefore, now.Low)
		until(k.NotAfter, now.High)
		until(k.DecryptUntil, now.High)
	}
	if !again.IsZero() {
		wait = min(wait, again.Sub(now.High))
	}
	return max(wait, time.Millisecond)
}

func withoutSecrets(keys []Key) []publishedKey {
	published := make([]publishedKey, len(keys))
	for i, k := range keys {
		k.AESKey, k.HMACKey = ticketkey.Secret{}, ticketkey.Secret{}
		published[i] = k
	}
	return published
}

// Rotate makes a fresh key current at once; the one before it decrypts for a
// ticket lifetime more. The schedule goes on from here. It is an error if the
// source cannot rotate on demand.
func (ks *Keystore) Rotate() error {
	rotator, ok := ks.source.(backend.Rotator)
	if !ok {
		return errors.New("rotate ticket keys: this keystore's source rotates by itself alone")
	}
	ks.refreshing.Lock()
	defer ks.refreshing.Unlock()
	if ks.isClosed() {
		return fmt.Errorf("rotate ticket keys: %w", ErrClosed)
	}
	if err := rotator.Rotate(ks.clock()); err != nil {
		return err
	}
	_, err := ks.refreshLocked()
	ks.wakeUp() // the times to wait for have changed
	return err
}

// Revoke makes all tickets that were issued until now worthless at once, in every
// process that reads the key table: it destroys all keys, upcoming ones too, and a
// fresh one is current. Connections that are open stay open. With an error there
// may be no current key until a refresh succeeds, but no key of before is left,
// unless the source cannot revoke on demand or the keystore is closed. A KeyStore
// of your own cannot: there, remove the keys from what it lists and answers.
func (ks *Keystore) Revoke() error {
	revoker, ok := ks.source.(backend.Revoker)
	if !ok {
		return errors.New("revoke tickets: this keystore's source cannot destroy its keys on demand; remove them where they come from")
	}
	ks.refreshing.Lock()
	defer ks.refreshing.Unlock()
	if ks.isClosed() {
		return fmt.Errorf("revoke tickets: %w", ErrClosed)
	}
	err := revoker.Revoke(ks.clock())
	if err == nil {
		_, err = ks.refreshLocked()
	}
	if err != nil { // what the table holds is of before
		_ = ks.table.publish(nil)
		ks.setPublished(nil)
		err = fmt.Errorf("revoke tickets: all keys are destroyed, and there is no new one yet: %w", err)
	}
	ks.wakeUp()
	return err
}

func (ks *Keystore) wakeUp() {
	select {
	case ks.wake <- struct{}{}:
	default:
	}
}

func (ks *Keystore) isClosed() bool {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return ks.closed
}

// KeyInfo is what may be shown of a key in force.
type KeyInfo struct {
	Name         Name
	State        ticketkey.State
	NotBefore    time.Time // begins to encrypt
	NotAfter     time.Time // ends to encrypt
	DecryptUntil time.Time // is destroyed
	Counts       KeyCounts
}

// Keys lists the keys in the key table, newest first. It is empty for a
// KeyStore that is only asked, and after Close.
func (ks *Keystore) Keys() []KeyInfo {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.closed { // the table is gone, and with it the clock
		return nil
	}
	counts := ks.table.keyCounts()
	if len(counts) < len(ks.published) { // somebody has damaged the table
		ks.wakeUp()
	}
	now := ks.clock()
	var list []KeyInfo
	current := false
	for _, k := range ks.published {
		info := KeyInfo{k.Name, k.StateAt(now), k.NotBefore, k.NotAfter, k.DecryptUntil, counts[k.Name]}
		if info.State == ticketkey.Current && current {
			info.State = ticketkey.Previous // superseded by a newer one
		}
		current = current || info.State == ticketkey.Current
		if info.State != ticketkey.Expired {
			list = append(list, info)
		}
	}
	return list
}

// Now is the time by which the keys' windows begin and end. It may differ from
// the wall clock, if that was set since; see ticketkey.Now. It is the zero Now
// after Close.
func (ks *Keystore) Now() ticketkey.Now {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.closed {
		return ticketkey.Now{}
	}
	return ks.clock()
}

// Err returns why the last refresh failed, the last question to a KeyStore for
// its current key and the last for a key by name; nil if none did.
func (ks *Keystore) Err() error { return ks.health.err() }

// Close destroys the keys. Contexts that are still attached go on with full
// handshakes and no tickets. It waits for a refresh and for questions
// to a KeyStore that are under way; none is asked after it. Every call
// returns what the first returned.
func (ks *Keystore) Close() error {
	ks.closing.Do(func() { ks.closeErr = ks.close() })
	return ks.closeErr
}

func (ks *Keystore) close() error {
	ks.mu.Lock()
	ks.final = ks.statsLocked()
	ks.closed = true
	ks.mu.Unlock()

	close(ks.stop)
	<-ks.done
	ks.refreshing.Lock()
	defer ks.refreshing.Unlock()
	ks.questions.close()
	ks.setPublished(nil)
	ks.table.close()
	return ks.source.Close()
}
