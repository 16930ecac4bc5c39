// Package memory is the backend that keeps ticket keys in this process alone:
// random keys, rotated by time, never stored. A restart accepts no older
// ticket.
package memory

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/internal/securemem"
	"github.com/go-stek/stek/ticketkey"
)

// Config says how often keys rotate and how long tickets live. The zero Config
// means 6 hours each.
type Config = ticketkey.Schedule

// A Source makes random 256-bit keys on schedule. Its secrets lie in locked
// memory outside the Go heap. It belongs to one keystore.
type Source struct {
	schedule ticketkey.Schedule
	random   func([]byte) error
	keys     []heldKey // newest first
}

// heldKey is a key and the memory that its secrets lie in.
type heldKey struct {
	ticketkey.Key
	memory *securemem.Buffer
}

// New returns a Source for config, or an error that says what in it is out of
// range.
func New(config Config) (*Source, error) {
	schedule, err := config.Complete()
	if err != nil {
		return nil, err
	}
	return &Source{schedule: schedule, random: securemem.Random}, nil
}

// Clock is the boot clock: the keys mean nothing outside this process.
func (s *Source) Clock() backend.Clock { return backend.BootClock }

// Lifetime is how long a ticket can be decrypted after its issue.
func (s *Source) Lifetime() time.Duration { return s.schedule.Lifetime }

// Changed is nil: only time changes the keys.
func (s *Source) Changed() <-chan struct{} { return nil }

// Keys destroys the keys that have expired, makes the next key when its lead
// begins, and returns the keys in force. If the operating system has no random
// bytes it returns the error; the current key then encrypts for half a
// rotation more.
func (s *Source) Keys(now ticketkey.Now) (ticketkey.Set, time.Time, error) {
	s.destroyExpired(now)
	if next := s.nextBegin(now); !now.Low.Before(next.Add(-s.schedule.Lead())) {
		if err := s.add(next); err != nil {
			return ticketkey.Set{}, time.Time{}, err
		}
	}
	set, err := s.set()
	return set, s.nextEvent(), err
}

// Rotate makes the upcoming key current at now, or a new one if there is none.
// If there are 64 keys already the oldest is destroyed before its time.
func (s *Source) Rotate(now ticketkey.Now) error {
	s.destroyExpired(now)
	if len(s.keys) == 0 || !now.Low.Before(s.keys[0].NotBefore) {
		return s.add(now.Low)
	}
	s.schedule.Window(&s.keys[0].Key, now.Low)
	s.supersede(now.Low)
	return nil
}

// Revoke destroys all keys and makes a new one that is current at now. If the
// operating system has no random bytes it returns the error, and Keys makes that
// key later.
func (s *Source) Revoke(now ticketkey.Now) error {
	s.destroyAll()
	return s.add(now.Low)
}

// Adopt takes over those of keys that are current or previous at now, and goes
// on with the schedule where they are.
func (s *Source) Adopt(keys []ticketkey.Key, now ticketkey.Now) error {
	set, err := ticketkey.NewSet(keys...)
	if err != nil {
		return fmt.Errorf("adopt ticket keys: %w", err)
	}
	for _, key := range set.Keys() {
		state := set.StateAt(key.Name, now)
		if state != ticketkey.Current && state != ticketkey.Previous {
			continue // an upcoming key was never used
		}
		held, err := hold(key)
		if err != nil {
			return fmt.Errorf("adopt ticket keys: %w", err)
		}
		s.fit(&held.Key, state, now.High)
		s.keys = append(s.keys, held)
	}
	s.destroyExpired(now)
	return nil
}

// fit cuts the window of an adopted key to this schedule. A current key whose
// turn has ended by that encrypts no more, but decrypts for a lifetime from now;
// a previous one decrypts no longer than that.
func (s *Source) fit(k *ticketkey.Key, state ticketkey.State, now time.Time) {
	last := now.Add(s.schedule.Lifetime)
	if state == ticketkey.Current {
		s.schedule.Window(k, k.NotBefore)
		if !k.NotAfter.After(now) {
			k.NotAfter, k.DecryptUntil = now, last
		}
	} else if k.DecryptUntil.After(last) {
		k.DecryptUntil = last
	}
}

// hold copies k, secrets and all.
func hold(k ticketkey.Key) (heldKey, error) {
	aes, hmac := k.AESKey.Bytes(), k.HMACKey.Bytes()
	memory, err := securemem.New(len(aes) + len(hmac))
	if err != nil {
		return heldKey{}, err
	}
	secret := memory.Bytes()
	copy(secret[copy(secret, aes):], hmac)
	k.AESKey = ticketkey.SecretOf(secret[:len(aes):len(aes)])
	k.HMACKey = ticketkey.SecretOf(secret[len(aes):])
	return heldKey{memory: memory, Key: k}, nil
}

// Refused lists the protections that the system refuses to the keys' memory.
func (s *Source) Refused() []string {
	var refused []string
	for _, k := range s.keys {
		refused = append(refused, k.memory.Refused()...)
	}
	return refused
}

// Close wipes all keys.
func (s *Source) Close() error {
	s.destroyAll()
	return nil
}

func (s *Source) destroyAll() {
	for _, k := range s.keys {
		k.memory.Free()
	}
	s.keys = nil
}

func (s *Source) destroyExpired(now ticketkey.Now) {
	kept := s.keys[:0]
	for _, k := range s.keys {
		if k.StateAt(now) == ticketkey.Expired {
			k.memory.Free()
			continue
		}
		kept = append(kept, k)
	}
	clear(s.keys[len(kept):])
	s.keys = kept
}

// nextBegin is when the key after the newest begins: at once if that is none, if
// its turn has been missed, as after a suspend, or if the newest has ended.
func (s *Source) nextBegin(now ticketkey.Now) time.Time {
	if len(s.keys) == 0 || s.keys[0].StateAt(now) == ticketkey.Previous {
		return now.Low
	}
	next := s.keys[0].NotBefore.Add(s.schedule.Rotation)
	if next.Before(now.Low) {
		return now.Low
	}
	return next
}

// nextEvent is when Keys has something to do: make a key or destroy one.
func (s *Source) nextEvent() time.Time {
	next := s.keys[0].NotBefore.Add(s.schedule.Rotation - s.schedule.Lead())
	for _, k := range s.keys {
		if k.DecryptUntil.Before(next) {
			next = k.DecryptUntil
		}
	}
	return next
}

// add makes a random key that becomes current at begin.
func (s *Source) add(begin time.Time) error {
	memory, err := securemem.New(ticketkey.AESSize + ticketkey.HMACSize)
	if err != nil {
		return err
	}
	secret := memory.Bytes()
	k := heldKey{memory: memory, Key: ticketkey.Key{
		AESKey:  ticketkey.SecretOf(secret[:ticketkey.AESSize:ticketkey.AESSize]),
		HMACKey: ticketkey.SecretOf(secret[ticketkey.AESSize:]),
	}}
	if err := errors.Join(s.random(k.Name[:]), s.random(secret)); err != nil {
		memory.Free()
		return err
	}
	s.schedule.Window(&k.Key, begin)
	if last := len(s.keys) - 1; last+1 == ticketkey.MaxKeys {
		s.keys[last].memory.Free()
		s.keys = s.keys[:last]
	}
	s.keys = append([]heldKey{k}, s.keys...)
	if _, err := s.set(); err != nil { // a weak key, or a name in use
		s.keys = s.keys[1:]
		memory.Free()
		return err
	}
	s.supersede(begin)
	return nil
}

// supersede ends the encryption windows of all keys but the newest.
func (s *Source) supersede(begin time.Time) {
	for i := range s.keys[1:] {
		s.schedule.Supersede(&s.keys[1+i].Key, begin)
	}
}

func (s *Source) set() (ticketkey.Set, error) {
	keys := make([]ticketkey.Key, len(s.keys))
	for i, k := range s.keys {
		keys[i] = k.Key
	}
	return ticketkey.NewSet(keys...)
}
