package ticketkey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// secret returns n bytes that pass for random, different for each seed.
func secret(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func testKey(seed byte) Key {
	return Key{Name: Name{0xab, 0xcd, 0xef, 0x01, seed}, AESKey: SecretOf(secret(32, seed)), HMACKey: SecretOf(secret(32, seed+100))}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestWeakKeysAreRefused(t *testing.T) {
	counting := func(n int, from, step byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)*step
		}
		return b
	}
	for _, tt := range []struct {
		name string
		aes  []byte
		hmac []byte
		says string
	}{
		{"random", secret(32, 1), secret(32, 2), ""},
		{"imported", secret(16, 1), secret(16, 2), ""},
		{"zeros", make([]byte, 32), secret(32, 2), "its AES key is all zeros"},
		{"zero HMAC key", secret(32, 1), make([]byte, 32), "its HMAC key is all zeros"},
		{"half zeros", append(secret(16, 1), make([]byte, 16)...), secret(32, 2), "its AES key is half all zeros"},
		{"ones", bytes.Repeat([]byte{1}, 32), secret(32, 2), "one byte repeated"},
		{"debug pattern", bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 8), secret(32, 2), "a repeated pattern"},
		{"halves alike", append(secret(16, 1), secret(16, 1)...), secret(32, 2), "a repeated pattern"},
		{"counting up", counting(32, 0, 1), secret(32, 2), "a counting pattern"},
		{"counting down", counting(32, 255, 0xff), secret(32, 2), "a counting pattern"},
		{"counting by 17", counting(32, 0, 17), secret(32, 2), "pattern"},
		{"digits", []byte("0123456789abcdef"), secret(16, 2), "a counting pattern"},
		{"more digits", []byte("0123456789ABCDEFghijklmnopqrstuv"), secret(32, 2), "a counting pattern"},
		{"the same twice", secret(32, 1), secret(32, 1), "are the same"},
		{"sizes mixed", secret(32, 1), secret(16, 2), "AES key of 32 bytes and HMAC key of 16, want 32 and 32 (or 16 and 16)"},
		{"AES-192", secret(24, 1), secret(32, 2), "AES key of 24 bytes"},
		{"nothing", nil, nil, "AES key of 0 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Key{Name: Name{1}, AESKey: SecretOf(tt.aes), HMACKey: SecretOf(tt.hmac)}.Validate()
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestWindowsThatEndBeforeTheyBeginAreRefused(t *testing.T) {
	k := testKey(1)
	k.NotBefore, k.NotAfter, k.DecryptUntil = noon, noon.Add(time.Hour), noon.Add(2*time.Hour)
	require.NoError(t, k.Validate())
	k.NotAfter = noon.Add(-1)
	require.ErrorContains(t, k.Validate(), "NotAfter is before its NotBefore")
	k.NotAfter = noon.Add(3 * time.Hour)
	require.ErrorContains(t, k.Validate(), "DecryptUntil is before its NotAfter")
	k.NotAfter = time.Time{}
	require.ErrorContains(t, k.Validate(), "it has one of NotAfter and DecryptUntil, want both or neither")
	k.NotAfter, k.DecryptUntil = noon.Add(time.Hour), time.Time{}
	require.ErrorContains(t, k.Validate(), "it has one of NotAfter and DecryptUntil, want both or neither")
}

// Whatever prints a key prints its name alone.
func TestSecretsDoNotPrint(t *testing.T) {
	k := testKey(7)
	set, err := NewSet(k)
	require.NoError(t, err)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", &k)
		fmt.Fprintf(&out, verb+"\n", []Key{k})
		fmt.Fprintf(&out, verb+"\n", set)
		fmt.Fprintf(&out, verb+"\n", &struct{ hidden Key }{k})
		fmt.Fprintf(&out, verb+"\n", k.AESKey)
	}
	encoded, err := json.Marshal(map[string]any{"key": k, "set": set, "secret": k.AESKey})
	require.NoError(t, err)
	out.Write(encoded)
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", k, "pointer", &k)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", k, "set", set)
	fmt.Fprint(&out, k.Validate(), k.GoString())
	require.Contains(t, out.String(), "ticket key abcdef01")
	for _, b := range [][]byte{k.AESKey.Bytes(), k.HMACKey.Bytes()} {
		for _, form := range []string{"%x", "%X", "%d", "%s", "%q", "%v"} {
			shown := strings.Trim(fmt.Sprintf(form, b[:6]), "[]\"")
			require.NotContains(t, out.String(), shown)
		}
	}
}

func TestWipeReachesEveryCopy(t *testing.T) {
	k := testKey(1)
	set, err := NewSet(k)
	require.NoError(t, err)
	k.Wipe()
	require.Equal(t, make([]byte, 32), set.Keys()[0].AESKey.Bytes())
	require.Equal(t, make([]byte, 32), set.Keys()[0].HMACKey.Bytes())
}

func TestKeyMovesThroughItsStates(t *testing.T) {
	k := testKey(1)
	k.NotBefore, k.NotAfter, k.DecryptUntil = noon, noon.Add(time.Hour), noon.Add(2*time.Hour)
	for _, tt := range []struct {
		name string
		now  Now
		want State
	}{
		{"before its lead is over", At(noon.Add(-1)), Upcoming},
		{"at its first instant", At(noon), Current},
		{"at its last instant", At(noon.Add(time.Hour - 1)), Current},
		{"at its end", At(noon.Add(time.Hour)), Previous},
		{"while it decrypts", At(noon.Add(2*time.Hour - 1)), Previous},
		{"after its window", At(noon.Add(2 * time.Hour)), Expired},
		{"after a step forward", Now{noon.Add(-1), noon.Add(time.Minute)}, Upcoming},
		{"after a step back", Now{noon.Add(-1), noon.Add(2 * time.Hour)}, Expired},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, k.StateAt(tt.now)) })
	}
	require.Equal(t, Current, testKey(2).StateAt(At(noon)), "no window is always current")
}

func TestNewestKeyInItsWindowEncrypts(t *testing.T) {
	older, newer, next := testKey(1), testKey(2), testKey(3)
	older.NotBefore = noon.Add(-2 * time.Hour)
	newer.NotBefore = noon.Add(-time.Hour)
	next.NotBefore = noon.Add(time.Hour)
	set, err := NewSet(older, next, newer)
	require.NoError(t, err)
	current, ok := set.ForEncrypt(At(noon))
	require.True(t, ok)
	require.Equal(t, newer.Name, current.Name)
	require.Equal(t, Previous, set.StateAt(older.Name, At(noon)))
	require.Equal(t, Current, set.StateAt(newer.Name, At(noon)))
	require.Equal(t, Upcoming, set.StateAt(next.Name, At(noon)))
	require.Equal(t, Expired, set.StateAt(Name{9}, At(noon)))

	_, ok = Set{}.ForEncrypt(At(noon))
	require.False(t, ok)
}

func TestSetRefusesDuplicatesBadKeysAndTooMany(t *testing.T) {
	_, err := NewSet(testKey(1), testKey(1))
	require.ErrorContains(t, err, "ticket key abcdef01: its name occurs twice")
	_, err = NewSet(Key{Name: Name{1}})
	require.ErrorIs(t, err, ErrInvalid)
	many := make([]Key, MaxKeys+1)
	for i := range many {
		many[i] = testKey(byte(i))
	}
	_, err = NewSet(many...)
	require.EqualError(t, err, "65 ticket keys, and a key set holds 64")
	_, err = NewSet(many[:MaxKeys]...)
	require.NoError(t, err)
}

func TestScheduleFillsInDefaultsAndRefusesTheRest(t *testing.T) {
	for _, tt := range []struct {
		in   Schedule
		want Schedule
		says string
	}{
		{Schedule{}, Schedule{6 * time.Hour, 6 * time.Hour}, ""},
		{Schedule{Rotation: time.Hour}, Schedule{time.Hour, time.Hour}, ""},
		{Schedule{Rotation: 24 * time.Hour}, Schedule{24 * time.Hour, 6 * time.Hour}, ""},
		{Schedule{Lifetime: time.Hour}, Schedule{6 * time.Hour, time.Hour}, ""},
		{Schedule{Rotation: time.Millisecond}, Schedule{}, "rotation of 1ms is shorter than 100ms"},
		{Schedule{Rotation: -time.Hour}, Schedule{}, "rotation of -1h0m0s is shorter than 100ms"},
		{Schedule{Lifetime: -time.Hour}, Schedule{}, "ticket lifetime of -1h0m0s is shorter than 100ms"},
		{Schedule{time.Hour, 3 * time.Hour}, Schedule{}, "ticket lifetime of 3h0m0s is more than twice the rotation of 1h0m0s"},
		{Schedule{7 * 24 * time.Hour, time.Hour}, Schedule{}, "are more than 7 days together"},
	} {
		got, err := tt.in.Complete()
		if tt.says != "" {
			require.ErrorContains(t, err, tt.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
}
