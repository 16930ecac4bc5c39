package ssltest

/*
#include "harness.h"
#include <stdlib.h>
*/
import "C"

import (
	"sync/atomic"
	"testing"
	"unsafe"
)

// A Version is a TLS protocol version, with its number on the wire.
type Version int

// The versions that have session tickets.
const (
	TLS12 Version = C.TLS1_2_VERSION
	TLS13 Version = C.TLS1_3_VERSION
)

// String returns the version as OpenSSL writes it.
func (v Version) String() string {
	switch v {
	case TLS12:
		return "TLSv1.2"
	case TLS13:
		return "TLSv1.3"
	}
	return "unknown version"
}

// Options of an SSL_CTX, for SetOptions and ClearOptions.
const (
	OpNoTicket     uint64 = C.SSL_OP_NO_TICKET
	OpNoAntiReplay uint64 = C.SSL_OP_NO_ANTI_REPLAY
)

// A Context owns an SSL_CTX. Its setters end the test if OpenSSL refuses, and
// are for the test's goroutine before the first Connect.
type Context struct {
	tb    testing.TB
	ctx   *C.SSL_CTX
	freed atomic.Bool
}

// NewServer returns a server for any TLS version with a self-signed P-256
// certificate for localhost. It is freed when the test ends.
func NewServer(tb testing.TB) *Context {
	tb.Helper()
	c := newContext(tb, C.ssltest_server_new())
	c.useCertificate()
	return c
}

// NewClient returns a client for any TLS version that trusts every server and
// stores no session by itself: [Result] has the tickets. It is freed when the
// test ends.
func NewClient(tb testing.TB) *Context {
	tb.Helper()
	return newContext(tb, C.ssltest_client_new())
}

// NewConnection returns the SSL of a connection that c could make: a struct of
// libssl that is no SSL_CTX. It is freed when the test ends.
func NewConnection(tb testing.TB, c *Context) unsafe.Pointer {
	tb.Helper()
	ssl := C.SSL_new(c.ctx)
	if ssl == nil {
		tb.Fatal("ssltest: no SSL")
	}
	tb.Cleanup(func() { C.SSL_free(ssl) })
	return unsafe.Pointer(ssl)
}

func newContext(tb testing.TB, ctx *C.SSL_CTX) *Context {
	tb.Helper()
	if ctx == nil {
		tb.Fatal("ssltest: no SSL_CTX")
	}
	c := &Context{tb: tb, ctx: ctx}
	tb.Cleanup(c.Free)
	return c
}

// Pointer returns the SSL_CTX. It is c's; after Free the address is stale.
func (c *Context) Pointer() unsafe.Pointer { return unsafe.Pointer(c.ctx) }

// Free gives up c's reference to the SSL_CTX. Only the first call does
// anything. No connection may be under way.
func (c *Context) Free() {
	if c.freed.CompareAndSwap(false, true) {
		C.SSL_CTX_free(c.ctx)
	}
}

// SetVersion makes v the only version.
func (c *Context) SetVersion(v Version) {
	c.tb.Helper()
	c.check(C.ssltest_set_version(c.live(), C.int(v)), "set version")
}

// SetOptions adds options, see SSL_CTX_set_options(3).
func (c *Context) SetOptions(options uint64) {
	c.tb.Helper()
	C.ssltest_set_options(c.live(), C.uint64_t(options))
}

// ClearOptions removes options.
func (c *Context) ClearOptions(options uint64) {
	c.tb.Helper()
	C.ssltest_clear_options(c.live(), C.uint64_t(options))
}

// SetAsync makes the handshakes of c, and what is read and written, jobs of OpenSSL's,
// which run on stacks of their own (SSL_MODE_ASYNC).
func (c *Context) SetAsync() {
	c.tb.Helper()
	C.ssltest_set_async(c.live())
}

// SetNumTickets sets how many tickets a full TLS 1.3 handshake sends.
func (c *Context) SetNumTickets(n int) {
	c.tb.Helper()
	c.check(C.SSL_CTX_set_num_tickets(c.live(), C.size_t(n)), "set number of tickets")
}

// SetMaxEarlyData sets how much early data a server accepts. Without
// OpNoAntiReplay it makes the server's TLS 1.3 tickets stateful.
func (c *Context) SetMaxEarlyData(n uint32) {
	c.tb.Helper()
	c.check(C.SSL_CTX_set_max_early_data(c.live(), C.uint32_t(n)), "set early data")
}

// SetTimeout sets how long sessions last, and with it the tickets' hint.
func (c *Context) SetTimeout(seconds int) {
	c.tb.Helper()
	C.ssltest_set_timeout(c.live(), C.long(seconds))
}

// SetSessionCache turns the server's session id cache on or off; it starts on.
func (c *Context) SetSessionCache(on bool) {
	c.tb.Helper()
	C.ssltest_set_session_cache(c.live(), cInt(on))
}

// SetSessionIDContext sets what a session must have been made with to resume.
func (c *Context) SetSessionIDContext(id []byte) {
	c.tb.Helper()
	p := C.CBytes(id)
	defer C.free(p)
	c.check(C.SSL_CTX_set_session_id_context(c.live(), (*C.uchar)(p), C.uint(len(id))), "set session id context")
}

// SetGroups sets the groups for key exchange, such as "P-256:X25519". A client
// sends a share for its first group: a server that takes only another one of
// them asks for a second hello.
func (c *Context) SetGroups(list string) {
	c.tb.Helper()
	s := C.CString(list)
	defer C.free(unsafe.Pointer(s))
	c.check(C.ssltest_set_groups(c.live(), s), "set groups "+list)
}

// live returns the SSL_CTX, and ends the test if it is freed.
func (c *Context) live() *C.SSL_CTX {
	c.tb.Helper()
	if c.freed.Load() {
		c.tb.Fatal("ssltest: context used after Free")
	}
	return c.ctx
}

func (c *Context) check(ok C.int, what string) {
	c.tb.Helper()
	if ok != 1 {
		c.tb.Fatalf("ssltest: %s: refused by %s", what, LibraryText())
	}
}

func cInt(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
