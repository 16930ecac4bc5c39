package ssltest

/*
#include "harness.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// A Result is what one connection did.
type Result struct {
	Version      Version
	ClientDone   bool // the client's handshake ended well
	ServerDone   bool // the server's handshake ended well
	Reused       bool // resumed, as the client sees it
	ServerReused bool // resumed, as the server sees it

	// ServedBy is the server's SSL_CTX at the end: that of another Context
	// than the one connected to if there was a switch.
	ServedBy unsafe.Pointer

	// Tickets are the sessions with a ticket that the client got in this
	// connection, in order. In TLS 1.2 there is at most one.
	Tickets []Session

	// LastSession is the client's session at the end, with or without a
	// ticket; nil if its handshake failed.
	LastSession Session

	// NewSessionTickets are the ticket lengths of the NewSessionTicket
	// messages the client got; -1 is a message that does not parse.
	NewSessionTickets []int
	SentEmptyTicket   bool // one of them was 0

	// Alerts are those sent, such as "server: fatal internal_error".
	// close_notify is left out.
	Alerts []string

	// ServerErr and ClientErr are the reasons OpenSSL gives for the first
	// failure of each side, in the handshake or after it; "" is none.
	ServerErr, ClientErr string

	// ServerQueue is how many errors the server's handshake calls left in
	// the thread's queue though they did not fail. ServerReadQueue and
	// ServerWriteQueue are the same for reading and writing data.
	ServerQueue, ServerReadQueue, ServerWriteQueue int

	HelloRetry        bool // the server asked for a second hello
	Echo              bool // data went both ways after the handshake
	EarlyDataAccepted bool // the server read all early data as such

	silent bool // no data was to be exchanged
}

// OK reports whether both handshakes went well and the data came back, if
// there was to be any.
func (r Result) OK() bool {
	return r.ClientDone && r.ServerDone && r.ServerErr == "" && r.ClientErr == "" &&
		r.Reused == r.ServerReused && (r.Echo || r.silent)
}

// Word returns "New" or "Reused" for a connection that went well, as openssl
// s_client prints, and "Failed" for any other.
func (r Result) Word() string {
	switch {
	case !r.OK():
		return "Failed"
	case r.Reused:
		return "Reused"
	}
	return "New"
}

// String returns Word, and what went wrong if it is "Failed".
func (r Result) String() string {
	if r.OK() {
		return r.Word()
	}
	return fmt.Sprintf("Failed (server: %q, client: %q, alerts: %q)", r.ServerErr, r.ClientErr, r.Alerts)
}

// resultFrom copies r.
func resultFrom(r *C.struct_ssltest_result) Result {
	if r == nil {
		return Result{ServerErr: "out of memory", ClientErr: "out of memory"}
	}
	result := Result{
		Version:           Version(r.version),
		ClientDone:        r.client_done != 0,
		ServerDone:        r.server_done != 0,
		Reused:            r.client_reused != 0,
		ServerReused:      r.server_reused != 0,
		ServedBy:          unsafe.Pointer(r.served_by),
		Alerts:            alertsFrom(r),
		ServerErr:         C.GoString(&r.server_error[0]),
		ClientErr:         C.GoString(&r.client_error[0]),
		ServerQueue:       int(r.handshake_queue),
		ServerReadQueue:   int(r.read_queue),
		ServerWriteQueue:  int(r.write_queue),
		HelloRetry:        r.hello_retry != 0,
		Echo:              r.echo != 0,
		EarlyDataAccepted: r.early_accepted != 0,
	}
	for _, session := range r.sessions[:r.session_count] {
		result.Tickets = append(result.Tickets, sessionFrom(session))
	}
	if r.last_session.data != nil {
		result.LastSession = sessionFrom(r.last_session)
	}
	for _, length := range r.messages[:r.message_count] {
		result.NewSessionTickets = append(result.NewSessionTickets, int(length))
	}
	result.SentEmptyTicket = slices.Contains(result.NewSessionTickets, 0)
	return result
}

func sessionFrom(b C.struct_ssltest_blob) Session {
	return C.GoBytes(unsafe.Pointer(b.data), C.int(b.len))
}

func alertsFrom(r *C.struct_ssltest_result) []string {
	var alerts []string
	for _, a := range r.alerts[:r.alert_count] {
		side, level := "client", "fatal"
		if a.from_server != 0 {
			side = "server"
		}
		if a.level == C.SSL3_AL_WARNING {
			level = "warning"
		}
		text := C.GoString(C.SSL_alert_desc_string_long(a.description))
		alerts = append(alerts, fmt.Sprintf("%s: %s %s", side, level, strings.ReplaceAll(text, " ", "_")))
	}
	return alerts
}
