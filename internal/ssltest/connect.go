package ssltest

/*
#include "harness.h"
#include <stdlib.h>
*/
import "C"

import "unsafe"

// Options say what a connection is to do. The zero value makes a full
// handshake without a server name and exchanges data.
type Options struct {
	ServerName string
	Session    Session // to resume
	EarlyData  []byte  // sent with the hello; the session must allow it

	// NoReadAfter leaves out the exchange of data, so that the client sees
	// nothing sent after the handshake: TLS 1.3 tickets among it.
	NoReadAfter bool
}

// Connect makes one connection: a handshake, the client's data echoed by the
// server, and an orderly shutdown. It blocks on nothing and stays on one
// thread; any number of goroutines may connect the same contexts. It never
// fails the test: what goes wrong is in the Result.
func Connect(server, client *Context, o Options) Result {
	if server.freed.Load() || client.freed.Load() {
		return Result{ServerErr: "context used after Free"}
	}
	var arena arena
	defer arena.free()
	options := C.struct_ssltest_options{no_read_after: cInt(o.NoReadAfter)}
	if o.ServerName != "" {
		options.server_name = arena.string(o.ServerName)
	}
	if o.Session != nil {
		options.session, options.session_len = arena.bytes(o.Session)
	}
	if o.EarlyData != nil {
		options.early, options.early_len = arena.bytes(o.EarlyData)
	}
	r := C.ssltest_connect(server.ctx, client.ctx, &options)
	defer C.ssltest_result_free(r)
	result := resultFrom(r)
	result.silent = o.NoReadAfter
	return result
}

// An arena holds C copies of Go values for the length of a call.
type arena struct{ copies []unsafe.Pointer }

func (a *arena) string(s string) *C.char {
	p := C.CString(s)
	a.copies = append(a.copies, unsafe.Pointer(p))
	return p
}

func (a *arena) bytes(b []byte) (*C.uchar, C.size_t) {
	p := C.CBytes(b)
	a.copies = append(a.copies, p)
	return (*C.uchar)(p), C.size_t(len(b))
}

func (a *arena) free() {
	for _, p := range a.copies {
		C.free(p)
	}
}
