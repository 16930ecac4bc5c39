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
	store  KeyStore
	lister Lister // nil if store only answers questions
	panics atomic.Uint64
}

func newUserStore(store KeyStore) *userStore {
	lister, _ := store.(Lister)
	return &userStore{store: store, lister: lister}
}

// asksOnMiss reports whether a name that is not in the table is asked about.
func (u *userStore) asksOnMiss() bool {
	if u.lister == nil {
		return true
	}
	finder, ok := u.store.(Finder)
	return ok && finder.FindsKeys()
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
	if u.lister == nil {
		return nil
	}
	return u.lister.Changed()
}

// Close leaves the KeyStore alone: it is its owner's.
func (u *userStore) Close() error { return nil }

// current asks for the key that encrypts. found is false if there is none.
func (u *userStore) current() (key Key, found bool, err error) {
	key, err = guard(u, u.store.CurrentKey)
	switch {
	case errors.Is(err, ErrNoKeys):
		return Key{}, false, nil
	case err != nil:
		return Key{}, false, fmt.Errorf("ask KeyStore for the current key: %w", err)
	}
	if err := key.Validate(); err != nil {
		return Key{}, false, fmt.Errorf("ask KeyStore for the current key: %w", err)
	}
	return key, true, nil
}

// named asks for the key called name. superseded tells that it is not the one
// that encrypts now.
func (u *userStore) named(name Name) (key Key, superseded, found bool, err error) {
	key, err = guard(u, func() (Key, error) { return u.store.KeyNamed(name) })
	switch {
	case errors.Is(err, ErrNotFound):
		return Key{}, false, false, nil
	case err != nil:
		return Key{}, false, false, fmt.Errorf("ask KeyStore for key %v: %w", name, err)
	case key.Name != name:
		return Key{}, false, false, fmt.Errorf("ask KeyStore for key %v: it answered with %v", name, key.Name)
	}
	if err := key.Validate(); err != nil {
		return Key{}, false, false, fmt.Errorf("ask KeyStore for key %v: %w", name, err)
	}
	current, found, err := u.current()
	return key, found && current.Name != name, true, err
}
