// Package ticketkey holds the values of TLS session-ticket encryption: keys,
// their names, windows and schedules. It reads no clock and does no I/O.
package ticketkey

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Sizes in bytes, fixed by OpenSSL's ticket callback and by AES-256-CBC with
// HMAC-SHA-256, see SSL_CTX_set_tlsext_ticket_key_cb(3).
const (
	NameSize     = 16 // public key name, first bytes of every ticket
	AESSize      = 32 // AES-256
	HMACSize     = 32 // HMAC-SHA-256
	ImportedSize = 16 // AES-128 and a 16-byte HMAC key: imported 48-byte keys only
)

// ErrInvalid is what every error about a key that must not be used wraps.
var ErrInvalid = errors.New("invalid ticket key")

// A Name is the public name of a ticket key. It is sent in clear in front of
// every ticket.
type Name [NameSize]byte

// String returns the first 4 bytes in hexadecimal, which is what logs show.
func (n Name) String() string { return hex.EncodeToString(n[:4]) }

// A Key is one session-ticket encryption key (STEK) with its window.
//
// It encrypts tickets from NotBefore until NotAfter and decrypts them from the
// moment it is known until DecryptUntil; windows are half-open. A zero
// NotBefore means always; NotAfter and DecryptUntil both zero, without end.
//
// The two secrets are 32 bytes each; both are 16 bytes for a key imported from
// software that uses 48-byte keys. Copies of a Key share the secrets' memory.
type Key struct {
	Name    Name
	AESKey  Secret
	HMACKey Secret

	NotBefore    time.Time
	NotAfter     time.Time
	DecryptUntil time.Time

	// AnyServerName lets a ticket resume under another server name than the one
	// it was issued for. Leave it false, unless other software must read the
	// tickets: binding a ticket to its server name is not part of any standard.
	AnyServerName bool
}

// Validate reports, as an error that wraps ErrInvalid and tells no secret, why
// k must not be used: a name or secret that is missing, of a wrong size or
// plainly not random, or a window that ends before it begins.
func (k Key) Validate() error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w %v: %s", ErrInvalid, k.Name, fmt.Sprintf(format, args...))
	}
	if k.Name == (Name{}) {
		return fault("its name is all zeros")
	}
	aes, hmac := k.AESKey.Bytes(), k.HMACKey.Bytes()
	full := len(aes) == AESSize && len(hmac) == HMACSize
	imported := len(aes) == ImportedSize && len(hmac) == ImportedSize
	if !full && !imported {
		return fault("AES key of %d bytes and HMAC key of %d, want %d and %d (or %d and %d)",
			len(aes), len(hmac), AESSize, HMACSize, ImportedSize, ImportedSize)
	}
	if why := weakness(aes); why != "" {
		return fault("its AES key is %s", why)
	}
	if why := weakness(hmac); why != "" {
		return fault("its HMAC key is %s", why)
	}
	if subtle.ConstantTimeCompare(aes, hmac) == 1 {
		return fault("its AES key and HMAC key are the same")
	}
	if !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore) {
		return fault("its NotAfter is before its NotBefore")
	}
	if k.NotAfter.IsZero() != k.DecryptUntil.IsZero() {
		return fault("it has one of NotAfter and DecryptUntil, want both or neither")
	}
	if k.DecryptUntil.Before(k.NotAfter) {
		return fault("its DecryptUntil is before its NotAfter")
	}
	return nil
}

// Wipe overwrites the two secrets in place, for every copy of k. Go may have
// copied them before; Wipe cannot reach such copies.
func (k Key) Wipe() {
	clear(k.AESKey.Bytes())
	clear(k.HMACKey.Bytes())
}

// String, GoString, Format, LogValue and MarshalText give the name only: a key
// does not print.
func (k Key) String() string { return "ticket key " + k.Name.String() }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format writes String, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue is String, for log/slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, for encoding/json and its like.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
