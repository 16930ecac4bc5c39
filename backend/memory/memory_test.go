package memory

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/internal/securemem"
	"github.com/go-stek/stek/ticketkey"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newSource(t *testing.T, config Config) *Source {
	t.Helper()
	s, err := New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func keysAt(t *testing.T, s *Source, at time.Time) (ticketkey.Set, time.Time) {
	t.Helper()
	set, again, err := s.Keys(ticketkey.At(at))
	require.NoError(t, err)
	return set, again
}

// Follows the source from event to event for three days of 1-hour rotations.
func TestKeysRotateOnSchedule(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour, Lifetime: 90 * time.Minute})
	require.Equal(t, backend.BootClock, s.Clock())
	seen := map[ticketkey.Name]time.Time{} // key to its first instant as the current one
	var last ticketkey.Name
	for at := noon; at.Before(noon.Add(72 * time.Hour)); {
		set, again := keysAt(t, s, at)
		require.LessOrEqual(t, set.Len(), 4)
		current, ok := set.ForEncrypt(ticketkey.At(at))
		require.True(t, ok, "there is always a current key")
		if current.Name != last {
			require.NotContains(t, seen, current.Name, "a key is current once")
			seen[current.Name], last = at, current.Name
		}
		for _, k := range set.Keys() {
			require.NotEqual(t, ticketkey.Expired, k.StateAt(ticketkey.At(at)))
		}
		// Whatever was issued until now is decrypted for a lifetime more.
		for name, since := range seen {
			if at.Before(since.Add(90 * time.Minute)) {
				require.NotEqual(t, ticketkey.Expired, set.StateAt(name, ticketkey.At(at)))
			}
		}
		require.True(t, again.After(at))
		at = again
		if next := current.NotBefore.Add(time.Hour); at.After(next) {
			at = next
		}
	}
	require.InDelta(t, 72, len(seen), 1)
}

func TestNextKeyIsKnownBeforeItEncrypts(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	set, again := keysAt(t, s, noon)
	require.Equal(t, 1, set.Len())
	require.Equal(t, noon.Add(50*time.Minute), again, "10 minutes of lead")
	set, _ = keysAt(t, s, again)
	require.Equal(t, 2, set.Len())
	require.Equal(t, ticketkey.Upcoming, set.StateAt(set.Keys()[0].Name, ticketkey.At(again)))
	require.Equal(t, noon.Add(time.Hour), set.Keys()[0].NotBefore)
	require.Equal(t, noon.Add(time.Hour), set.Keys()[1].NotAfter)
	require.Equal(t, noon.Add(2*time.Hour), set.Keys()[1].DecryptUntil)
}

func TestSecretsAreDestroyedAtTheEndOfTheirWindow(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	keysAt(t, s, noon)
	held := s.keys[0].memory
	require.NotEmpty(t, held.Bytes())
	keysAt(t, s, noon.Add(50*time.Minute))
	keysAt(t, s, noon.Add(2*time.Hour-1))
	require.NotEmpty(t, held.Bytes())
	keysAt(t, s, noon.Add(2*time.Hour))
	require.Empty(t, held.Bytes(), "given back to the system")
}

func TestRotateNowStartsTheScheduleAnew(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	first, _ := keysAt(t, s, noon)
	at := noon.Add(20 * time.Minute)
	require.NoError(t, s.Rotate(ticketkey.At(at)))
	set, again := keysAt(t, s, at)
	require.Equal(t, 2, set.Len())
	require.Equal(t, at, set.Keys()[0].NotBefore)
	require.Equal(t, ticketkey.Previous, set.StateAt(first.Keys()[0].Name, ticketkey.At(at)))
	require.Equal(t, at.Add(time.Hour), set.Keys()[1].DecryptUntil)
	require.Equal(t, at.Add(50*time.Minute), again)

	// With an upcoming key, that one is taken.
	set, _ = keysAt(t, s, again)
	upcoming := set.Keys()[0].Name
	require.NoError(t, s.Rotate(ticketkey.At(again)))
	set, _ = keysAt(t, s, again)
	current, ok := set.ForEncrypt(ticketkey.At(again))
	require.True(t, ok)
	require.Equal(t, upcoming, current.Name)

	// Twice at one instant, too.
	require.NoError(t, s.Rotate(ticketkey.At(again)))
	keysAt(t, s, again)
}

func TestRevokeDestroysAllKeysAlsoIfNoneCanBeMade(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	keysAt(t, s, noon)
	keysAt(t, s, noon.Add(55*time.Minute)) // with an upcoming one
	at := noon.Add(56 * time.Minute)
	old := slices.Clone(s.keys)
	require.Len(t, old, 2)
	require.NoError(t, s.Revoke(ticketkey.At(at)))
	set, again := keysAt(t, s, at)
	require.Equal(t, 1, set.Len())
	require.Equal(t, at, set.Keys()[0].NotBefore)
	require.Equal(t, at.Add(50*time.Minute), again)
	for _, k := range old {
		require.Empty(t, k.memory.Bytes(), "given back to the system")
		require.NotEqual(t, k.Name, set.Keys()[0].Name)
	}

	held := s.keys[0].memory
	s.random = func([]byte) error { return errors.New("no random bytes") }
	require.EqualError(t, s.Revoke(ticketkey.At(at)), "no random bytes\nno random bytes")
	require.Empty(t, held.Bytes())
	require.Empty(t, s.keys)
	s.random = securemem.Random
	set, _ = keysAt(t, s, at.Add(time.Second))
	_, ok := set.ForEncrypt(ticketkey.At(at.Add(time.Second)))
	require.True(t, ok)
}

func TestSuspendedMachineWakesWithAFreshKey(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	before, _ := keysAt(t, s, noon)
	at := noon.Add(30 * time.Hour)
	set, _ := keysAt(t, s, at)
	require.Equal(t, 1, set.Len())
	require.NotEqual(t, before.Keys()[0].Name, set.Keys()[0].Name)
	require.Equal(t, at, set.Keys()[0].NotBefore)
}

// Without random bytes the current key goes on for half a rotation, then
// nothing encrypts; its tickets are decrypted to the end of their lifetime.
func TestFailingRandomSourceOverrunsThenDeclines(t *testing.T) {
	s := newSource(t, Config{Rotation: time.Hour})
	set, _ := keysAt(t, s, noon)
	only := set.Keys()[0]
	random, broken := s.random, errors.New("getrandom: broken")
	s.random = func([]byte) error { return broken }
	for _, at := range []time.Duration{50 * time.Minute, time.Hour, 80 * time.Minute} {
		_, _, err := s.Keys(ticketkey.At(noon.Add(at)))
		require.ErrorIs(t, err, broken)
	}
	require.Len(t, s.keys, 1)
	for _, tt := range []struct {
		at   time.Duration
		want ticketkey.State
	}{
		{90*time.Minute - 1, ticketkey.Current},
		{90 * time.Minute, ticketkey.Previous},
		{150*time.Minute - 1, ticketkey.Previous},
		{150 * time.Minute, ticketkey.Expired},
	} {
		require.Equal(t, tt.want, only.StateAt(ticketkey.At(noon.Add(tt.at))))
	}
	s.random = random
	at := noon.Add(100 * time.Minute)
	set, _ = keysAt(t, s, at)
	require.Equal(t, 2, set.Len())
	require.Equal(t, at, set.Keys()[0].NotBefore)
	require.Equal(t, noon.Add(150*time.Minute), set.Keys()[1].DecryptUntil, "its last tickets keep their lifetime")
}

func TestWeakRandomBytesAreNotUsed(t *testing.T) {
	s := newSource(t, Config{})
	s.random = func(b []byte) error { clear(b); b[0] = 1; return nil }
	_, _, err := s.Keys(ticketkey.At(noon))
	require.ErrorIs(t, err, ticketkey.ErrInvalid)
	require.Empty(t, s.keys)
}

func TestNewRefusesBadConfig(t *testing.T) {
	_, err := New(Config{Rotation: time.Hour, Lifetime: 3 * time.Hour})
	require.EqualError(t, err, "ticket lifetime of 3h0m0s is more than twice the rotation of 1h0m0s")
}

func TestAdoptedKeysGoOnWhereTheyAre(t *testing.T) {
	config := Config{Rotation: time.Hour}
	old := newSource(t, config)
	keysAt(t, old, noon)
	keysAt(t, old, noon.Add(50*time.Minute))
	at := noon.Add(110 * time.Minute) // a previous key, the current one, and an upcoming one
	left, _ := keysAt(t, old, at)
	require.Equal(t, 3, left.Len())

	s := newSource(t, config)
	require.NoError(t, s.Adopt(left.Keys(), ticketkey.At(at)))
	for _, k := range left.Keys() {
		k.Wipe() // Adopt has copied them
	}
	set, again := keysAt(t, s, at)
	require.Equal(t, 3, set.Len())
	upcoming, current, previous := set.Keys()[0], set.Keys()[1], set.Keys()[2]
	require.NotEqual(t, left.Keys()[0].Name, upcoming.Name, "a key that was never used is made anew")
	require.Equal(t, noon.Add(2*time.Hour), upcoming.NotBefore, "at the old turn")
	require.Equal(t, left.Keys()[1].Name, current.Name)
	require.Equal(t, left.Keys()[2].Name, previous.Name)
	require.NotEqual(t, make([]byte, ticketkey.AESSize), current.AESKey.Bytes())
	require.Equal(t, noon.Add(time.Hour), previous.NotAfter)
	require.Equal(t, noon.Add(2*time.Hour), previous.DecryptUntil)
	require.Equal(t, previous.DecryptUntil, again)
}

func TestAdoptedKeyIsFitToAShorterSchedule(t *testing.T) {
	old := newSource(t, Config{Rotation: 10 * time.Hour})
	left, _ := keysAt(t, old, noon)

	s := newSource(t, Config{Rotation: time.Hour})
	at := noon.Add(5 * time.Hour) // by the new schedule its window is long over
	require.NoError(t, s.Adopt(left.Keys(), ticketkey.At(at)))
	set, _ := keysAt(t, s, at)
	require.Equal(t, 2, set.Len())
	require.Equal(t, at, set.Keys()[0].NotBefore, "a new key is current")
	require.Equal(t, left.Keys()[0].Name, set.Keys()[1].Name)
	require.Equal(t, at.Add(time.Hour), set.Keys()[1].DecryptUntil, "tickets issued a moment ago live on")
}

func TestAdoptRevivesNoKey(t *testing.T) {
	old := newSource(t, Config{Rotation: time.Hour})
	left, _ := keysAt(t, old, noon)

	// With a longer rotation the key would still encrypt, had it not ended.
	s := newSource(t, Config{Rotation: 3 * time.Hour})
	at := noon.Add(100 * time.Minute)
	require.NoError(t, s.Adopt(left.Keys(), ticketkey.At(at)))
	set, _ := keysAt(t, s, at)
	require.Equal(t, 2, set.Len())
	require.Equal(t, ticketkey.Previous, set.StateAt(left.Keys()[0].Name, ticketkey.At(at)))

	s = newSource(t, Config{Rotation: time.Hour})
	at = noon.Add(3 * time.Hour)
	require.NoError(t, s.Adopt(left.Keys(), ticketkey.At(at)))
	set, _ = keysAt(t, s, at)
	require.Equal(t, ticketkey.Expired, set.StateAt(left.Keys()[0].Name, ticketkey.At(at)))
	require.Equal(t, 1, set.Len())
}
