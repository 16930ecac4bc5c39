package stek

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/ticketkey"
)

// A userStore is a KeyStore of the user's own: the backend.Source of what it
// lists, and what the exported functions ask. It lets no panic out.
type userStore struct {
	store      KeyStore
	lister     Lister // nil if store only answers questions
	changed    <-chan struct{}
	asksOnMiss bool // about a name that is not in the table
	panics     atomic.Uint64
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
	if u.changed, err = guard(u, func() (<-chan struct{}, error) { return lister.Changed(), nil }); err != nil {
		return nil, err
	}
	if finder, ok := store.(Finder); ok {
		u.asksOnMiss, err = guard(u, func() (bool, error) { return finder.FindsKeys(), nil })
	}
	return u, err
}

// guard calls f and makes a panic an error.
func guard[T any](u *userStore, f func() (T, error)) (value T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			u.panics.Add(1)
			err = fmt.Errorf("KeyStore panicked: %v", cause)
		}
	}()
	return f()
}

// Clock: the windows are wall-clock times.
func (u *userStore) Clock() backend.Clock { return backend.BothClocks }

// Keys returns what the KeyStore lists.
func (u *userStore) Keys(ticketkey.Now) (ticketkey.Set, time.Time, error) {
	if u.lister == nil {
		return ticketkey.Set{}, time.Time{}, nil
	}
	keys, err := guard(u, u.lister.Keys)
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

// current asks for the key that encrypts. found is false if there is none.
// Neither it nor named looks at the secrets, which may change until they are
// copied: answer in bridge.go does, at the copy.
func (u *userStore) current() (key Key, found bool, err error) {
	key, err = guard(u, u.store.CurrentKey)
	switch {
	case errors.Is(err, ErrNoKeys):
		return Key{}, false, nil
	case err != nil:
		return Key{}, false, fmt.Errorf("ask KeyStore for the current key: %w", err)
	}
	return key, true, nil
}

// named asks for the key called name.
func (u *userStore) named(name Name) (key Key, found bool, err error) {
	key, err = guard(u, func() (Key, error) { return u.store.KeyNamed(name) })
	switch {
	case errors.Is(err, ErrNotFound):
		return Key{}, false, nil
	case err != nil:
		return Key{}, false, fmt.Errorf("ask KeyStore for key %v: %w", name, err)
	case key.Name != name:
		return Key{}, false, fmt.Errorf("ask KeyStore for key %v: it answered with %v", name, key.Name)
	}
	return key, true, nil
}

// supersedes reports whether another key than the one called name encrypts now.
// Without an answer the key counts as current: it only is not renewed then.
func (u *userStore) supersedes(name Name) bool {
	current, found, err := u.current()
	return err == nil && found && current.Name != name
}
