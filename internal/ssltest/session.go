package ssltest

/*
#include "harness.h"
#include <stdlib.h>
*/
import "C"

import (
	"encoding/asn1"
	"fmt"
)

// A Session is the DER of a client's SSL_SESSION, ticket included. It is a
// value: each connection decodes it anew, so it may be used many times.
type Session []byte

// ticketTag is the context tag of the ticket in SSL_SESSION_ASN1, see
// OpenSSL's ssl/ssl_asn1.c.
const ticketTag = 10

// Ticket returns the session's ticket, nil if it has none.
func (s Session) Ticket() []byte {
	for _, field := range s.fields() {
		if field.Class != asn1.ClassContextSpecific || field.Tag != ticketTag {
			continue
		}
		var ticket []byte
		if _, err := asn1.Unmarshal(field.Bytes, &ticket); err != nil {
			panic(fmt.Sprintf("ssltest: decode ticket of session: %v", err))
		}
		return ticket
	}
	return nil
}

// WithTicket returns the session with another ticket, of any length.
func (s Session) WithTicket(ticket []byte) Session {
	replacement := explicit(ticketTag, ticket)
	var body []byte
	placed := false
	for _, field := range s.fields() {
		context := field.Class == asn1.ClassContextSpecific
		if !placed && context && field.Tag >= ticketTag {
			body = append(body, replacement...)
			placed = true
		}
		if !context || field.Tag != ticketTag {
			body = append(body, field.FullBytes...)
		}
	}
	if !placed {
		body = append(body, replacement...)
	}
	return marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body})
}

// KeyName returns the first 16 bytes of the ticket. It panics if the ticket
// is shorter.
func (s Session) KeyName() [16]byte { return [16]byte(s.Ticket()[:16]) }

// Hint returns the ticket's lifetime hint in seconds, -1 if OpenSSL does not
// take s for a session.
func (s Session) Hint() int {
	p := C.CBytes(s)
	defer C.free(p)
	return int(C.ssltest_session_hint((*C.uchar)(p), C.size_t(len(s))))
}

// fields returns the parts of the SSL_SESSION. It panics if s is not one.
func (s Session) fields() []asn1.RawValue {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(s, &outer); err != nil {
		panic(fmt.Sprintf("ssltest: decode session: %v", err))
	}
	var fields []asn1.RawValue
	for rest := outer.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			panic(fmt.Sprintf("ssltest: decode session: %v", err))
		}
		fields = append(fields, field)
	}
	return fields
}

// explicit encodes an OCTET STRING under an explicit context tag.
func explicit(tag int, value []byte) []byte {
	return marshal(asn1.RawValue{
		Class:      asn1.ClassContextSpecific,
		Tag:        tag,
		IsCompound: true,
		Bytes:      marshal(asn1.RawValue{Tag: asn1.TagOctetString, Bytes: value}),
	})
}

func marshal(v asn1.RawValue) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ssltest: encode session: %v", err))
	}
	return der
}
