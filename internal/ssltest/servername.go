package ssltest

/*
#include "harness.h"
#include <stdlib.h>
*/
import "C"

import "unsafe"

// A ServernameAnswer is what a servername callback returns.
type ServernameAnswer int

// OK acknowledges the name to the client; NoAck does not, as if the server
// had ignored it. A TLS 1.2 session made under NoAck knows no name, so its
// resumption is not switched by SwitchByServername: SSL_get_servername, which
// then asks the session, has none.
const (
	OK    ServernameAnswer = C.SSL_TLSEXT_ERR_OK
	NoAck ServernameAnswer = C.SSL_TLSEXT_ERR_NOACK
)

// SwitchByServername makes a server's connections change to the context of
// the server name in OpenSSL's servername callback, as most servers do. Other
// names stay with c and get the same answer. It replaces an earlier switch,
// takes at most 8 names, and does not keep their contexts alive.
func (c *Context) SwitchByServername(to map[string]*Context, answer ServernameAnswer) {
	c.tb.Helper()
	C.ssltest_switch_by_servername(c.live(), C.int(answer))
	c.addSwitches(to)
}

// SwitchByClientHello is SwitchByServername in OpenSSL's client hello
// callback, which comes before the ticket is decrypted.
func (c *Context) SwitchByClientHello(to map[string]*Context) {
	c.tb.Helper()
	C.ssltest_switch_by_client_hello(c.live())
	c.addSwitches(to)
}

func (c *Context) addSwitches(to map[string]*Context) {
	c.tb.Helper()
	for name, target := range to {
		s := C.CString(name)
		ok := C.ssltest_switch_add(c.live(), s, target.live())
		C.free(unsafe.Pointer(s))
		c.check(ok, "switch to "+name)
	}
}
