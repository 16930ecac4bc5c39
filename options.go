package stek

import (
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"github.com/go-stek/stek/ticketkey"
)

// An Option changes how Open and OpenStore make a Keystore.
type Option func(*config)

type config struct {
	logger       *slog.Logger
	strictMemory bool
	table        unsafe.Pointer
	shared       *SharedTable
	clock        func() ticketkey.Now
}

// WithLogger sends the keystore's few messages to logger instead of
// slog.Default: protections that were refused, and when refreshing or asking
// keys begins to fail and works again. No message holds a secret.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.logger = logger }
}

// WithStrictMemory makes Open fail with a ProtectionError, instead of warning,
// when the system refuses to lock the keys in memory, to leave them out of core
// dumps or to wipe them in forked children. What is refused later, to a new
// key, shows in Stats.UnprotectedMemory.
func WithStrictMemory() Option {
	return func(c *config) { c.strictMemory = true }
}

// WithTable publishes the keys to the key table at address instead of one of
// the keystore's own. It is for C that serves handshakes from such a table, as
// libstek.so does: made by stekc_table_new of the same STEK_TABLE_LAYOUT, owned
// by the caller, not freed before Close has returned, and written by this
// keystore alone. Attach is not possible, and a KeyStore is not asked.
func WithTable(address unsafe.Pointer) Option {
	return func(c *config) { c.table = address }
}

// WithSharedTable publishes the keys to table, for servers in other processes,
// instead of to a table of the keystore's own. If table has keys already, which
// an earlier keystore left, and the source is a backend.Adopter, the source goes
// on with them. The keystore is the table's only one, and leaves its keys there
// when it is closed. Attach is not possible, and a KeyStore is not asked.
func WithSharedTable(table *SharedTable) Option {
	return func(c *config) { c.shared = table }
}

// A ProtectionError tells which protections of memory the system refused.
type ProtectionError struct {
	Refused []string
}

func (e *ProtectionError) Error() string {
	return "protect the memory of ticket keys: refused " + strings.Join(e.Refused, ", ")
}

// A Policy says when a client that resumes gets a fresh ticket.
type Policy int

const (
	// Capped renews on every TLS 1.3 resumption, as OpenSSL's built-in keys do,
	// until the client's authentication is older than the cap: then a full
	// handshake. The time of authentication travels in the ticket, in the
	// application data slot that SSL_CTX_set_session_ticket_cb(3) gives access
	// to: Attach replaces such a callback of the application's own, and the
	// application must not set one later. Use another policy if it needs it.
	Capped Policy = iota
	// RenewCurrent renews TLS 1.3 tickets under the current key (or one that is
	// upcoming here, and current elsewhere) only. A chain
	// of resumptions ends within a rotation and a lifetime, at the price of a
	// full handshake per client and rotation.
	RenewCurrent
	// RenewByAge renews once the ticket's key is not current, whatever the
	// version. A TLS 1.3 client that uses each ticket once resumes only every
	// other time.
	RenewByAge
)

// In TLS 1.2 every policy renews once the ticket's key is not current.

// A Kind is one of the two callbacks that OpenSSL has.
type Kind int

const (
	// FastestKind is HMACKind. It is EVPKind with WithLibraryContext, where libcrypto
	// has no HMAC_CTX, and where it takes its ciphers from another provider than
	// OpenSSL's default one, as for FIPS 140.
	FastestKind Kind = iota
	HMACKind         // SSL_CTX_set_tlsext_ticket_key_cb, every version
	EVPKind          // SSL_CTX_set_tlsext_ticket_key_evp_cb, since 3.0
)

// Bounds of the authentication-age cap.
const (
	DefaultAuthAgeCap = 24 * time.Hour
	MaxAuthAgeCap     = 72 * time.Hour
)

// An AttachOption changes how Attach connects a keystore to a context.
type AttachOption func(*attachConfig)

type attachConfig struct {
	policy         Policy
	kind           Kind
	soft           bool
	authAgeCap     time.Duration
	libraryContext unsafe.Pointer
	properties     string
	nameGroup      string
	grouped        bool
	clientAuth     string
	labelled       bool
	ticketData     string
	formed         bool
	verifies       bool
}

// WithPolicy chooses when tickets are renewed; the default is Capped.
func WithPolicy(p Policy) AttachOption {
	return func(c *attachConfig) { c.policy = p }
}

// WithAuthAgeCap limits, for Capped, how long after an authentication its
// sessions can be resumed: more than 0, at most 72 hours, by default 24.
func WithAuthAgeCap(limit time.Duration) AttachOption {
	return func(c *attachConfig) { c.authAgeCap = limit }
}

// WithSoftErrors makes a failure a full handshake instead of a fatal alert, as
// far as the library can do without a ticket: before OpenSSL 3.0.6 a TLS 1.3
// handshake still fails if there are no random bytes.
func WithSoftErrors() AttachOption {
	return func(c *attachConfig) { c.soft = true }
}

// WithKind chooses the callback that is registered; the default is FastestKind.
func WithKind(k Kind) AttachOption {
	return func(c *attachConfig) { c.kind = k }
}

// WithLibraryContext fetches AES-CBC and SHA-256 from an OSSL_LIB_CTX (nil is
// the default one) by a property query such as "fips=yes", and makes EVPKind
// the kind, whose HMAC OpenSSL fetches for the SSL_CTX in the same way. It needs
// OpenSSL 3.0 and must live as long as the SSL_CTX.
func WithLibraryContext(osslLibCtx unsafe.Pointer, properties string) AttachOption {
	return func(c *attachConfig) { c.libraryContext, c.properties = osslLibCtx, properties }
}

// WithNameGroup lets a ticket resume under every server name of contexts in the
// same group, instead of only the one it was issued for. Use it where all the
// names are one site. It has 1 to 255 bytes, none of them zero.
func WithNameGroup(group string) AttachOption {
	return func(c *attachConfig) { c.nameGroup, c.grouped = group, true }
}

// WithClientAuth says that all contexts with this label, in every process and on
// every host with the same keys, decide alike which clients they accept: a ticket of
// a verified client resumes at all of them. Without it such a ticket resumes only at
// the SSL_CTX that issued it, and in processes forked from the one that made it; a
// restart ends it. A session is not verified again when it resumes. So use another
// label, or [Keystore.Revoke], when what is accepted changes: a CA, a revocation
// list, a verify depth, a callback. Contexts that ask for no certificate ignore it.
// It has 1 to 255 bytes, none of them zero.
func WithClientAuth(label string) AttachOption {
	return func(c *attachConfig) { c.clientAuth, c.labelled = label, true }
}

// WithVerifiedClients says that a context verifies clients where its verify mode does not
// tell yet: in a certificate callback (SSL_CTX_set_cert_cb(3)), which OpenSSL leaves out in
// a resumption, or because the mode is set later. Its tickets then stay with the context, or
// with its label, for every client.
func WithVerifiedClients() AttachOption {
	return func(c *attachConfig) { c.verifies = true }
}

// WithTicketData names the form of the data that the application keeps in its tickets
// (SSL_CTX_set_session_ticket_cb(3), under another policy than Capped). A ticket then
// resumes only at contexts with the same name: one that reads such data otherwise never
// gets it. It has 1 to 255 bytes, none of them zero.
func WithTicketData(form string) AttachOption {
	return func(c *attachConfig) { c.ticketData, c.formed = form, true }
}

// A Warning is something in the configuration of an SSL_CTX that keeps the
// callback from being called, or tickets from being of use.
type Warning int

const (
	// WarnTicketsOff: SSL_OP_NO_TICKET is set.
	WarnTicketsOff Warning = iota + 1
	// WarnStatefulEarlyData: max_early_data is not 0 and SSL_OP_NO_ANTI_REPLAY
	// is not set.
	WarnStatefulEarlyData
	// WarnNoTickets13: SSL_CTX_set_num_tickets(ctx, 0) was called.
	WarnNoTickets13
	// WarnTimeout: the session timeout is longer than a ticket's lifetime here.
	WarnTimeout
	// WarnAsync: SSL_MODE_ASYNC is set, so that handshakes run on stacks on which
	// Go cannot be entered, and there is a KeyStore that would have to be asked. It
	// is not asked, and clients get full handshakes. A Lister is of use all the same,
	// as long as it has a current key.
	WarnAsync
)

// String is one sentence with what to change.
func (w Warning) String() string {
	switch w {
	case WarnTicketsOff:
		return "tickets are switched off by SSL_OP_NO_TICKET: clear it with SSL_CTX_clear_options"
	case WarnStatefulEarlyData:
		return "early data with replay protection makes TLS 1.3 tickets stateful: set SSL_OP_NO_ANTI_REPLAY or max_early_data 0"
	case WarnNoTickets13:
		return "no TLS 1.3 tickets are sent: SSL_CTX_set_num_tickets is 0"
	case WarnTimeout:
		return "sessions live longer than the keys decrypt their tickets: lower SSL_CTX_set_timeout or raise the lifetime"
	case WarnAsync:
		return "handshakes run on stacks on which no KeyStore can be asked: clear SSL_MODE_ASYNC, or implement a Lister that always lists a current key"
	}
	return "unknown warning"
}
