package ticketkey

import (
	"fmt"
	"slices"
)

// MaxKeys is how many keys a set may hold: the room of the key table.
const MaxKeys = 64

// A Set is the keys in force, newest NotBefore first. Sets are immutable and
// safe for concurrent use, but for the secrets, which whoever made the keys
// may wipe; the zero Set is empty and finds nothing.
type Set struct {
	keys []Key
}

// NewSet returns the set of keys. It refuses a key that is not valid, a name
// that occurs twice, and more than MaxKeys keys.
func NewSet(keys ...Key) (Set, error) {
	if len(keys) > MaxKeys {
		return Set{}, fmt.Errorf("%d ticket keys, and a key set holds %d", len(keys), MaxKeys)
	}
	seen := make(map[Name]bool, len(keys))
	for _, k := range keys {
		if err := k.Validate(); err != nil {
			return Set{}, err
		}
		if seen[k.Name] {
			return Set{}, fmt.Errorf("%w %v: its name occurs twice in the set", ErrInvalid, k.Name)
		}
		seen[k.Name] = true
	}
	sorted := slices.Clone(keys)
	slices.SortStableFunc(sorted, func(a, b Key) int { return b.NotBefore.Compare(a.NotBefore) })
	return Set{sorted}, nil
}

// Keys returns a copy of the list, newest first; the secrets are shared.
func (s Set) Keys() []Key { return slices.Clone(s.keys) }

// Len returns how many keys s holds.
func (s Set) Len() int { return len(s.keys) }

// ForEncrypt returns the key that encrypts at now: of all keys within their
// encryption window the one that began last. It reports false when there is
// none; no resumable ticket is issued then.
func (s Set) ForEncrypt(now Now) (Key, bool) {
	for _, k := range s.keys {
		if k.StateAt(now) == Current {
			return k, true
		}
	}
	return Key{}, false
}

// StateAt returns the state at now of the key called name: Previous also for a
// key that a newer one has superseded, Expired for one that s does not hold.
func (s Set) StateAt(name Name, now Now) State {
	i := slices.IndexFunc(s.keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Expired
	}
	state := s.keys[i].StateAt(now)
	if current, ok := s.ForEncrypt(now); ok && state == Current && current.Name != name {
		return Previous
	}
	return state
}

// InForce returns s without the keys that have expired at now.
func (s Set) InForce(now Now) Set {
	return Set{slices.DeleteFunc(s.Keys(), func(k Key) bool { return k.StateAt(now) == Expired })}
}
