package ssltest

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
)

// Numbers on the wire, see RFC 8446 section 4 and appendix B.
const (
	recordHandshake  = 22
	maxRecord        = 1 << 14
	helloType        = 1
	binderSize       = 32 // of SHA-256
	defaultTicket    = 180
	suiteAES128GCM   = 0x1301
	groupX25519      = 0x001d
	groupP256        = 0x0017
	sigP256          = 0x0403
	sigRSAPSS        = 0x0804
	modePSKWithDHE   = 1
	nameTypeHostName = 0

	extServerName        = 0
	extSupportedGroups   = 10
	extSignatureAlgs     = 13
	extPreSharedKey      = 41
	extSupportedVersions = 43
	extPSKModes          = 45
	extKeyShare          = 51
)

// clientHello returns the handshake message, valid but for its binders.
func (f Flood) clientHello() []byte {
	var extensions []byte
	if f.ServerName != "" {
		entry := append([]byte{nameTypeHostName}, vector(2, []byte(f.ServerName))...)
		extensions = append(extensions, extension(extServerName, vector(2, entry))...)
	}
	extensions = append(extensions, extension(extSupportedGroups, vector(2, uint16s(groupX25519, groupP256)))...)
	extensions = append(extensions, extension(extSignatureAlgs, vector(2, uint16s(sigP256, sigRSAPSS)))...)
	extensions = append(extensions, extension(extSupportedVersions, vector(1, uint16s(int(TLS13))))...)
	extensions = append(extensions, extension(extPSKModes, vector(1, []byte{modePSKWithDHE}))...)
	shares := append(keyShare(groupX25519, ecdh.X25519()), keyShare(groupP256, ecdh.P256())...)
	extensions = append(extensions, extension(extKeyShare, vector(2, shares))...)
	// RFC 8446 section 4.2.11: pre_shared_key is the last one.
	extensions = append(extensions, extension(extPreSharedKey, f.preSharedKey())...)

	body := uint16s(int(TLS12)) // legacy_version
	body = append(body, random(32)...)
	body = append(body, vector(1, random(32))...) // legacy_session_id
	body = append(body, vector(2, uint16s(suiteAES128GCM))...)
	body = append(body, vector(1, []byte{0})...) // legacy_compression_methods
	body = append(body, vector(2, extensions)...)
	return append([]byte{helloType}, vector(3, body)...)
}

func (f Flood) preSharedKey() []byte {
	size := f.TicketSize
	if size == 0 {
		size = defaultTicket
	}
	binder := vector(1, make([]byte, binderSize))
	var identities, binders []byte
	for range f.Identities {
		ticket := random(size)
		copy(ticket, f.Name[:])
		identities = append(identities, vector(2, ticket)...)
		identities = append(identities, random(4)...) // obfuscated_ticket_age
		if len(binders) == 0 || !f.OneBinder {
			binders = append(binders, binder...)
		}
	}
	return append(vector(2, identities), vector(2, binders)...)
}

// records splits a handshake message over TLS records.
func records(msg []byte) []byte {
	var out []byte
	for len(msg) > 0 {
		n := min(len(msg), maxRecord)
		out = append(out, recordHandshake, 3, 1) // legacy_record_version
		out = append(out, vector(2, msg[:n])...)
		msg = msg[n:]
	}
	return out
}

func extension(number int, data []byte) []byte {
	return append(uint16s(number), vector(2, data)...)
}

func keyShare(group int, curve ecdh.Curve) []byte {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("ssltest: make key share: %v", err))
	}
	return append(uint16s(group), vector(2, key.PublicKey().Bytes())...)
}

// vector puts the length of data in front of it, in size bytes.
func vector(size int, data []byte) []byte {
	if len(data)>>(8*size) != 0 {
		panic(fmt.Sprintf("ssltest: %d bytes do not fit in a vector with a length of %d bytes", len(data), size))
	}
	out := make([]byte, 0, size+len(data))
	for i := size - 1; i >= 0; i-- {
		out = append(out, byte(len(data)>>(8*i)))
	}
	return append(out, data...)
}

func uint16s(numbers ...int) []byte {
	var out []byte
	for _, n := range numbers {
		out = append(out, byte(n>>8), byte(n))
	}
	return out
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails, see crypto/rand
	return b
}
