// Package ssltest lets tests make real TLS handshakes through OpenSSL's
// SSL_CTX objects, in one process and over memory, without cgo of their own.
//
// A test sets up a server and a client context, attaches what it tests to
// [Context.Pointer] and connects them; [Result] tells what an application and
// a man on the wire would have seen:
//
//	server, client := ssltest.NewServer(t), ssltest.NewClient(t)
//	first := ssltest.Connect(server, client, ssltest.Options{})
//	second := ssltest.Connect(server, client, ssltest.Options{Session: first.Tickets[0]})
//	require.Equal(t, "Reused", second.String())
//
// Set a context up in one goroutine; then any number may connect at once.
package ssltest

/*
#cgo CFLAGS: -std=c11 -Wall -Wextra -Werror -DOPENSSL_SUPPRESS_DEPRECATED
#cgo LDFLAGS: -lssl -lcrypto
#include "harness.h"
#include <openssl/crypto.h>
*/
import "C"

// LibraryVersion returns the number of the OpenSSL in use, as
// OpenSSL_version_num does: 0x300000d0 is 3.0.13.
func LibraryVersion() uint64 { return uint64(C.OpenSSL_version_num()) }

// LibraryText returns the version of the OpenSSL in use in words.
func LibraryText() string { return C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION)) }
