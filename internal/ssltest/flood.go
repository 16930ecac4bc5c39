package ssltest

/*
#include "harness.h"
*/
import "C"

// A Flood is a TLS 1.3 ClientHello that offers many tickets. The server has
// to look for the key of each before it can check a binder.
type Flood struct {
	Identities int
	TicketSize int      // bytes of each; 0 is 180. OpenSSL ignores those under 32
	Name       [16]byte // key name in front of each ticket; the rest is random
	ServerName string

	// OneBinder sends a single binder in place of one for each identity. It
	// makes room for more: OpenSSL looks only for the binder of a ticket it
	// has accepted.
	OneBinder bool
}

// A FloodResult is the server's answer to a Flood.
type FloodResult struct {
	HelloSize   int  // bytes of the ClientHello
	ServerHello bool // the server goes on, with a full handshake
	HelloRetry  bool
	Alerts      []string
	ServerErr   string
}

// RawIdentityFlood sends f to the server as one ClientHello and returns how
// it answers. A hello has room for 900 identities of 32 bytes, or for 1,700
// with OneBinder; RawIdentityFlood panics if f does not fit. Any number of
// goroutines may call it at once.
func RawIdentityFlood(server *Context, f Flood) FloodResult {
	if server.freed.Load() {
		return FloodResult{ServerErr: "context used after Free"}
	}
	hello := f.clientHello()
	var arena arena
	defer arena.free()
	p, n := arena.bytes(records(hello))
	r := C.ssltest_feed(server.ctx, p, n)
	defer C.ssltest_result_free(r)
	if r == nil {
		return FloodResult{ServerErr: "out of memory"}
	}
	return FloodResult{
		HelloSize:   len(hello),
		ServerHello: r.server_hello != 0,
		HelloRetry:  r.hello_retry != 0,
		Alerts:      alertsFrom(r),
		ServerErr:   C.GoString(&r.server_error[0]),
	}
}
