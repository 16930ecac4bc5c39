// Package backend says what a keystore needs of a backend: a package that
// provides key sets. A backend knows storage and time, not OpenSSL.
package backend

import (
	"time"

	"github.com/go-stek/stek/ticketkey"
)

// A Clock says by which clock a Source's windows are meant.
type Clock int

const (
	// BothClocks: windows are wall-clock times that other hosts or processes
	// share, guarded against steps of the wall clock, see ticketkey.Now.
	BothClocks Clock = iota
	// BootClock: windows mean nothing outside this process. A step of the wall
	// clock does not touch them.
	BootClock
)

// A Source provides the key sets of one keystore, which makes all calls one
// at a time.
type Source interface {
	// Clock says by which clock the windows are meant. It never changes.
	Clock() Clock

	// Keys returns the keys in force at now, upcoming ones included, and the
	// time at which it wants to be asked again at the latest; zero leaves that
	// to Changed. The secrets stay valid until the next call. With an error
	// the keystore keeps the keys it has, to the end of their windows, and
	// asks again soon.
	Keys(now ticketkey.Now) (set ticketkey.Set, again time.Time, err error)

	// Changed delivers a value when Keys should be called before that time. It
	// may be nil.
	Changed() <-chan struct{}

	// Close wipes the secrets. Keys is not called after it.
	Close() error
}

// A Rotator is a Source that can rotate on demand.
type Rotator interface {
	// Rotate makes a fresh key current at now; Keys then returns it.
	Rotate(now ticketkey.Now) error
}

// A Revoker is a Source that can make all tickets worthless on demand.
type Revoker interface {
	// Revoke destroys every key, upcoming ones too, and makes a fresh one
	// current at now; Keys then returns that alone. With an error no key of
	// before may be left in the Source: it makes the fresh key at a later call
	// of Keys.
	Revoke(now ticketkey.Now) error
}

// An Adopter is a Source that can go on with keys that it did not make, as those
// that an agent left in a table which servers still read.
type Adopter interface {
	// Adopt copies those of keys that are current or previous at now; Keys has
	// not been called. It keeps their secrets no longer than the call.
	Adopt(keys []ticketkey.Key, now ticketkey.Now) error
}
