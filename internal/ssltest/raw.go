package ssltest

/*
#include "harness.h"
*/
import "C"

// RawKeyName is the key name of the tickets that SetRawVerdicts issues.
const RawKeyName = "raw ticket key.."

// HasEVPCallback reports whether SetRawVerdicts can be asked for evp: from
// OpenSSL 3.0 on.
func HasEVPCallback() bool { return C.ssltest_has_evp_callback() == 1 }

// SetRawVerdicts gives a server a ticket key callback with one constant key
// that returns encVerdict when it encrypts and decVerdict when it decrypts,
// whatever the ticket's key name. It sets up the cipher and the MAC as told.
// With evp it is of the EVP_MAC_CTX kind, else of the HMAC_CTX kind.
//
// It is there to see how OpenSSL behaves with nothing of ours in between.
func (c *Context) SetRawVerdicts(encVerdict, decVerdict int, setCipher, setMAC bool, evp bool) {
	c.tb.Helper()
	c.setRaw(C.struct_ssltest_raw{
		encrypt_verdict: C.int(encVerdict),
		decrypt_verdict: C.int(decVerdict),
		set_cipher:      cInt(setCipher),
		set_mac:         cInt(setMAC),
		evp:             cInt(evp),
	})
}

// SetRawVerdictsLeavingError is SetRawVerdicts(1, decVerdict, true, true, evp)
// with a callback that leaves an error in the thread's queue each time it
// decrypts.
func (c *Context) SetRawVerdictsLeavingError(decVerdict int, evp bool) {
	c.tb.Helper()
	c.setRaw(C.struct_ssltest_raw{
		encrypt_verdict: 1,
		decrypt_verdict: C.int(decVerdict),
		set_cipher:      1,
		set_mac:         1,
		evp:             cInt(evp),
		leave_error:     1,
	})
}

func (c *Context) setRaw(raw C.struct_ssltest_raw) {
	c.tb.Helper()
	c.check(C.ssltest_set_raw(c.live(), &raw), "set ticket key callback")
}

// RawCalls returns how often the callback of SetRawVerdicts was called. Any
// goroutine may ask.
func (c *Context) RawCalls() (encrypt, decrypt int) {
	c.tb.Helper()
	var e, d C.long
	C.ssltest_raw_calls(c.live(), &e, &d)
	return int(e), int(d)
}
