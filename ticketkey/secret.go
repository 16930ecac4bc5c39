package ticketkey

import "fmt"

// A Secret is bytes that nothing prints by accident: package fmt, the encoders
// and reflection see a function instead of them, also in a field that is not
// exported. The zero Secret is empty.
type Secret struct {
	reveal func() []byte
}

// SecretOf returns the Secret of b, which it does not copy.
func SecretOf(b []byte) Secret { return Secret{func() []byte { return b }} }

// Bytes returns the bytes themselves, not a copy.
func (s Secret) Bytes() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Format writes a placeholder, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(secret)")) }

// MarshalText is the same placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }
