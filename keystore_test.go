package stek

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/ticketkey"
)

// withTestClock makes the keystore live by the clock of a synctest bubble.
func withTestClock() Option {
	return func(c *config) { c.clock = func() ticketkey.Now { return ticketkey.At(time.Now()) } }
}

// openBubble opens a memory keystore inside a synctest bubble.
func openBubble(t *testing.T, config memory.Config, options ...Option) *Keystore {
	t.Helper()
	source, err := memory.New(config)
	require.NoError(t, err)
	ks, err := Open(source, append(options, withTestClock())...)
	require.NoError(t, err)
	return ks
}

func states(ks *Keystore) []ticketkey.State {
	var list []ticketkey.State
	for _, k := range ks.Keys() {
		list = append(list, k.State)
	}
	return list
}

// inTable is how many keys the table holds, expired ones included.
func inTable(ks *Keystore) int {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return len(ks.published)
}

func TestKeystoreRotatesAndDestroysOnTimeWhileIdle(t *testing.T) {
	const u, c, p = ticketkey.Upcoming, ticketkey.Current, ticketkey.Previous
	synctest.Test(t, func(t *testing.T) {
		ks := openBubble(t, memory.Config{Rotation: time.Hour, Lifetime: 90 * time.Minute})
		defer ks.Close()
		for _, step := range []struct {
			at   time.Duration // after the keystore was opened
			want []ticketkey.State
		}{
			{0, []ticketkey.State{c}},
			{50*time.Minute - time.Second, []ticketkey.State{c}},
			{50*time.Minute + time.Second, []ticketkey.State{u, c}},
			{60*time.Minute - time.Second, []ticketkey.State{u, c}},
			{60*time.Minute + time.Second, []ticketkey.State{c, p}},
			{119 * time.Minute, []ticketkey.State{u, c, p}},
			{121 * time.Minute, []ticketkey.State{c, p, p}},
			{150*time.Minute - time.Second, []ticketkey.State{c, p, p}},
			{150*time.Minute + time.Second, []ticketkey.State{c, p}},
		} {
			time.Sleep(time.Until(bubbleStart.Add(step.at)))
			synctest.Wait()
			require.Equal(t, step.want, states(ks), "at %v", step.at)
			require.Equal(t, len(step.want), inTable(ks), "at %v: the table holds no more", step.at)
		}
	})
}

// bubbleStart is when every synctest bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRotateNowWakesTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ks := openBubble(t, memory.Config{Rotation: 5 * time.Hour, Lifetime: time.Second})
		defer ks.Close()
		old := ks.Keys()[0].Name
		require.NoError(t, ks.Rotate())
		require.Equal(t, old, ks.Keys()[1].Name)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, inTable(ks), "destroyed at the end of its window, not at the next look")
	})
}

// flaky is a memory source whose Keys can fail.
type flaky struct {
	*memory.Source
	mu     sync.Mutex
	broken error
	closed int
}

func (f *flaky) Keys(now ticketkey.Now) (ticketkey.Set, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return ticketkey.Set{}, time.Time{}, f.broken
	}
	return f.Source.Keys(now)
}

func (f *flaky) breakWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = err
}

func (f *flaky) Close() error { f.closed++; return f.Source.Close() }

// A source that fails costs no key before its time and keeps none beyond it;
// the loop goes on and works again when the source does.
func TestFailingSourceKeepsKeysToTheEndOfTheirWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		source, err := memory.New(memory.Config{Rotation: time.Hour})
		require.NoError(t, err)
		f := &flaky{Source: source}
		ks, err := Open(f, withTestClock(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.NoError(t, err)
		defer ks.Close()

		f.breakWith(errors.New("storage is away"))
		time.Sleep(89 * time.Minute)
		synctest.Wait()
		require.Equal(t, []ticketkey.State{ticketkey.Current}, states(ks), "overrun")
		require.ErrorContains(t, ks.Err(), "storage is away")
		time.Sleep(2 * time.Minute)
		require.Equal(t, []ticketkey.State{ticketkey.Previous}, states(ks))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(t, inTable(ks), "destroyed without the source")

		f.breakWith(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []ticketkey.State{ticketkey.Current}, states(ks))
		require.NoError(t, ks.Err())
		require.Greater(t, ks.Stats().RefreshErrors, uint64(1000))
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 2, "one line when it begins, one when it ends")
		require.Contains(t, lines[0], "storage is away")
		require.Contains(t, lines[1], "working again")
	})
}

func TestOpenFailsWithTheSourcesErrorAndClosesIt(t *testing.T) {
	source, err := memory.New(memory.Config{})
	require.NoError(t, err)
	f := &flaky{Source: source, broken: errors.New("storage is away")}
	_, err = Open(f, quiet())
	require.EqualError(t, err, "storage is away")
	require.Equal(t, 1, f.closed)
	_, err = Open(nil)
	require.EqualError(t, err, "open keystore: the source is nil")
	_, err = OpenStore(nil)
	require.EqualError(t, err, "open keystore: the KeyStore is nil")
}

func TestChangedChannelThatCloses(t *testing.T) {
	store := newListed(t, false, randomKey(t))
	ks := openStore(t, store)
	close(store.changed)
	require.Never(t, func() bool { return ks.Stats().RefreshErrors > 0 }, 20*time.Millisecond, 5*time.Millisecond)
	require.Len(t, ks.Keys(), 1)
}

func TestRevokeDestroysEveryKeyAndMakesAFreshOneCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ks := openBubble(t, memory.Config{Rotation: time.Hour})
		defer ks.Close()
		time.Sleep(119 * time.Minute)
		synctest.Wait()
		before := ks.Keys()
		require.Equal(t, []ticketkey.State{ticketkey.Upcoming, ticketkey.Current, ticketkey.Previous}, states(ks))
		require.NoError(t, ks.Revoke())
		require.Equal(t, []ticketkey.State{ticketkey.Current}, states(ks))
		for _, k := range before {
			require.NotEqual(t, k.Name, ks.Keys()[0].Name)
		}
		require.Equal(t, 1, inTable(ks))
		require.Equal(t, time.Now(), ks.Keys()[0].NotBefore.Local(), "the schedule begins here")
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		require.Equal(t, []ticketkey.State{ticketkey.Current, ticketkey.Previous}, states(ks))
	})
}

// unready is a memory source that cannot make a key.
type unready struct{ *flaky }

func (u unready) Revoke(now ticketkey.Now) error {
	_ = u.flaky.Source.Revoke(now)
	u.breakWith(errors.New("no random bytes"))
	return u.broken
}

func TestRevokeThatCannotMakeAKeyDestroysTheOthersAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, err := memory.New(memory.Config{Rotation: time.Hour})
		require.NoError(t, err)
		u := unready{&flaky{Source: source}}
		ks, err := Open(u, withTestClock(), quiet())
		require.NoError(t, err)
		defer ks.Close()
		require.EqualError(t, ks.Revoke(), "revoke tickets: all keys are destroyed, and there is no new one yet: no random bytes")
		require.Zero(t, inTable(ks))
		require.Empty(t, ks.table.keyCounts(), "nor does the table that servers read hold any")
		u.breakWith(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []ticketkey.State{ticketkey.Current}, states(ks))
	})
}

func TestRevokeNeedsASourceThatCan(t *testing.T) {
	listed := newListed(t, false, randomKey(t))
	for _, ks := range []*Keystore{openStore(t, newAsked(t)), openStore(t, listed)} {
		require.EqualError(t, ks.Revoke(),
			"revoke tickets: this keystore's source cannot destroy its keys on demand; remove them where they come from")
	}
	var _ backend.Revoker = (*memory.Source)(nil)
	ks := openMemory(t, memory.Config{})
	require.NoError(t, ks.Close())
	require.ErrorIs(t, ks.Revoke(), ErrClosed)
}

func TestRotateNeedsASourceThatCan(t *testing.T) {
	ks := openStore(t, newAsked(t))
	require.EqualError(t, ks.Rotate(), "rotate ticket keys: this keystore's source rotates by itself alone")
	var _ backend.Rotator = (*memory.Source)(nil)
}

func TestRotatingOftenNeverStopsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ks := openBubble(t, memory.Config{Rotation: time.Hour})
		defer ks.Close()
		for range 200 {
			require.NoError(t, ks.Rotate())
		}
		require.Len(t, ks.Keys(), 64)
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		require.NoError(t, ks.Err())
		require.Equal(t, ticketkey.Current, ks.Keys()[0].State)
	})
}

// Every method at once, for the race detector: pure Go and the table.
func TestKeystoreIsSafeForConcurrentUse(t *testing.T) {
	ks := openMemory(t, memory.Config{Rotation: 100 * time.Millisecond})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				_ = ks.Keys()
				_ = ks.Stats()
				_ = ks.Err()
				if err := ks.Rotate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
