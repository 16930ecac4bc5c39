package ticketkey

import "time"

// A State is where a key stands in its life. A key only moves down the list.
type State int

const (
	Upcoming State = iota // known and decrypts; does not encrypt yet
	Current               // encrypts new tickets
	Previous              // only decrypts
	Expired               // its window is over
)

// String returns the state's word.
func (s State) String() string {
	switch s {
	case Upcoming:
		return "upcoming"
	case Current:
		return "current"
	case Previous:
		return "previous"
	}
	return "expired"
}

// A Now is an instant on two clocks: the wall clock, and the wall clock at the
// start plus the boot clock since. Low is the earlier of both and decides what
// begins, High the later and decides what ends: a wall clock that steps back
// revives no key, and one that steps forward activates none early.
type Now struct {
	Low, High time.Time
}

// At returns the Now of a single clock.
func At(t time.Time) Now { return Now{t, t} }

// StateAt returns the state of k at now by its own window alone; a key that
// another one has superseded still says Current here, see Set.StateAt.
func (k Key) StateAt(now Now) State {
	switch {
	case ended(k.DecryptUntil, now):
		return Expired
	case ended(k.NotAfter, now):
		return Previous
	case now.Low.Before(k.NotBefore):
		return Upcoming
	}
	return Current
}

// ended reports whether end, zero for never, has come.
func ended(end time.Time, now Now) bool {
	return !end.IsZero() && !now.High.Before(end)
}
