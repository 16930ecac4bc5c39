package stek

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/ticketkey"
)

// A userStore is a KeyStore of the user's own: the backend.Source of what it
// lists, and what the exported functions ask, which stop its panics there.
type userStore struct {
	store      KeyStore
	lister     Lister // nil if store only answers questions
	changed    <-chan struct{}
	asksOnMiss bool // about a name that is not in the table
	panics     atomic.Uint64
	valid      valid
}

// newUserStore asks store, once, what it can do.
func newUserStore(store KeyStore) (*userStore, error) {
	u := &userStore{store: store, asksOnMiss: true}
	lister, ok := store.(Lister)
	if !ok {
		return u, nil
	}
	u.lister, u.asksOnMiss = lister, false
	var err error
	if err = u.guard(func() error { u.changed = lister.Changed(); return nil }); err != nil {
		return nil, err
	}
	if finder, ok := store.(Finder); ok {
		err = u.guard(func() error { u.asksOnMiss = finder.FindsKeys(); return nil })
	}
	return u, err
}

// errExited: a method called runtime.Goexit, as testing.T.FailNow does.
var errExited = errors.New("KeyStore ended its goroutine (runtime.Goexit)")

// guard calls f in a goroutine of its own, and makes a panic an error, and also that
// f ends that goroutine.
func (u *userStore) guard(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errExited
		defer func() {
			if cause := recover(); cause != nil {
				err = u.panicked(cause)
			} else if err == errExited {
				err = u.panicked(errExited)
			}
			result <- err
		}()
		err = f()
	}()
	return <-result
}

// panicked counts a panic that was stopped, and makes it an error.
func (u *userStore) panicked(cause any) error {
	u.panics.Add(1)
	if cause == errExited {
		return errExited
	}
	return fmt.Errorf("KeyStore panicked: %v", cause)
}

// questions counts those under way. The zero value is open.
type questions struct{ n atomic.Int64 }

// closedQuestions is what n counts from after close.
const closedQuestions = math.MinInt64

// begin reports whether a question may be asked; if so, end follows.
func (q *questions) begin() bool {
	if q.n.Add(1) > 0 {
		return true
	}
	q.n.Add(-1)
	return false
}

func (q *questions) end() { q.n.Add(-1) }

// close lets no more questions begin, and waits for the end of those that have.
func (q *questions) close() {
	for q.n.Add(closedQuestions); q.n.Load() != closedQuestions; {
		time.Sleep(time.Millisecond)
	}
}

// Clock: the windows are wall-clock times.
func (u *userStore) Clock() backend.Clock { return backend.BothClocks }

// Keys returns what the KeyStore lists.
func (u *userStore) Keys(ticketkey.Now) (ticketkey.Set, time.Time, error) {
	if u.lister == nil {
		return ticketkey.Set{}, time.Time{}, nil
	}
	var keys []Key
	err := u.guard(func() (err error) { keys, err = u.lister.Keys(); return err })
	if err != nil {
		return ticketkey.Set{}, time.Time{}, fmt.Errorf("list keys of KeyStore: %w", err)
	}
	set, err := ticketkey.NewSet(keys...)
	return set, time.Time{}, err
}

// Changed is the KeyStore's, if it lists keys.
func (u *userStore) Changed() <-chan struct{} {
	return u.changed
}

// Close leaves the KeyStore alone: it is its owner's.
func (u *userStore) Close() error { return nil }

// A valid remembers keys that are valid, so that those of a KeyStore are looked at
// once, and not for every ticket. It keeps no key: of each, a sum of 64 bits over all
// that C gets of it. A key in which anything has changed has another sum, as surely as
// 64 bits can tell. It is safe for concurrent use; the zero value knows none.
type valid struct{ sums [16]atomic.Uint64 }

// sumSeeds are random, and of this process alone.
var sumSeeds = func() (seeds [keyWords]uint64) {
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	return seeds
}()

var _ = [1]struct{}{}[1-keyWords%2] // an odd number, see sumOf

// sumOf is the sum of a key, as C has it: products of pairs of words, as NH has them
// (RFC 4418 section 5.2.2), folded, and that of the last word. hash/maphash is slower,
// and this is on the way of a ticket (docs/performance.md).
func sumOf(key *[keyWords]uint64) uint64 {
	const last = keyWords - 1
	sum := key[last] * (sumSeeds[last] | 1)
	for i := 0; i < last; i += 2 {
		high, low := bits.Mul64(key[i]+sumSeeds[i], key[i+1]+sumSeeds[i+1])
		sum += high ^ low
	}
	return sum
}

func (v *valid) place(sum uint64) *atomic.Uint64 { return &v.sums[sum%uint64(len(v.sums))] }

func (v *valid) has(sum uint64) bool { return v != nil && v.place(sum).Load() == sum }

func (v *valid) add(sum uint64) {
	if v != nil {
		v.place(sum).Store(sum)
	}
}
