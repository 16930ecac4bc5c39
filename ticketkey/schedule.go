package ticketkey

import (
	"fmt"
	"time"
)

// Defaults and bounds of a Schedule. RFC 8446 section 4.6.1 limits a ticket's
// lifetime to 7 days.
const (
	DefaultRotation = 6 * time.Hour
	DefaultLifetime = 6 * time.Hour
	MinRotation     = 100 * time.Millisecond
	MaxLifetime     = 7 * 24 * time.Hour

	longestLead = 10 * time.Minute
)

// A Schedule says when keys rotate and how long tickets live. Zero fields mean
// the defaults.
type Schedule struct {
	Rotation time.Duration // a new key becomes current this often
	Lifetime time.Duration // a ticket can be decrypted at least this long after its issue
}

// Complete returns s with defaults filled in, or an error that says which
// field is out of range. Lifetime may be at most twice Rotation, else whoever
// steals the keys in force could open more than three rotations' tickets.
func (s Schedule) Complete() (Schedule, error) {
	if s.Rotation == 0 {
		s.Rotation = DefaultRotation
	}
	if s.Lifetime == 0 {
		s.Lifetime = min(DefaultLifetime, s.Rotation)
	}
	switch {
	case s.Rotation < MinRotation:
		return s, fmt.Errorf("rotation of %v is shorter than %v", s.Rotation, MinRotation)
	case s.Lifetime < MinRotation:
		return s, fmt.Errorf("ticket lifetime of %v is shorter than %v", s.Lifetime, MinRotation)
	case s.Lifetime > 2*s.Rotation:
		return s, fmt.Errorf("ticket lifetime of %v is more than twice the rotation of %v", s.Lifetime, s.Rotation)
	case s.Rotation+s.Lifetime > MaxLifetime:
		return s, fmt.Errorf("rotation of %v and ticket lifetime of %v are more than 7 days together", s.Rotation, s.Lifetime)
	}
	return s, nil
}

// Lead is how long before its NotBefore a key is made: 10 minutes, or half a
// rotation if that is shorter.
func (s Schedule) Lead() time.Duration { return min(longestLead, s.Rotation/2) }

// Overrun is how long a key goes on encrypting when no next key can be made.
func (s Schedule) Overrun() time.Duration { return s.Rotation / 2 }

// Window sets the window of a key that becomes current at notBefore, as it
// holds while no next key is known.
func (s Schedule) Window(k *Key, notBefore time.Time) {
	k.NotBefore = notBefore
	k.NotAfter = notBefore.Add(s.Rotation + s.Overrun())
	k.DecryptUntil = k.NotAfter.Add(s.Lifetime)
}

// Supersede ends the encryption window of k at the instant its successor
// begins; it decrypts for one lifetime more. A window that has ended is kept.
func (s Schedule) Supersede(k *Key, successor time.Time) {
	if successor.Before(k.NotAfter) {
		k.NotAfter = successor
		k.DecryptUntil = successor.Add(s.Lifetime)
	}
}
