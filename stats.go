package stek

// Stats counts what was done with a keystore's table since that was made: with
// WithSharedTable it can be older than the keystore. Panics and RefreshErrors are of
// this keystore alone. Every count only grows, unless somebody who may write the counts
// of a shared table damages them. Counts of offered tickets are of what the callback
// said; OpenSSL checks their MAC after that.
type Stats struct {
	Issued           uint64 // tickets encrypted
	Renewed          uint64 // of Accepted, verdicts 2: a resumption is to bring a fresh ticket
	Accepted         uint64 // tickets with a key in force, verdicts 1 and 2
	AcceptedPrevious uint64 // of Accepted, those under a key no longer current
	Unknown          uint64 // tickets under a key name that is not known, or that no KeyStore was asked for, or with an unreadable server name
	Expired          uint64 // tickets under a key whose window is over and that is not destroyed yet
	Declined         uint64 // tickets not issued: no current key, no known server name, or an error
	Limited          uint64 // tickets not looked at: more than 8 in one ClientHello
	Aged             uint64 // of Accepted, those refused by the authentication-age cap
	Refused          uint64 // of Accepted, at least those that OpenSSL decrypted and did not resume: another session id context, a session that timed out, a cipher that is not permitted. Under Capped alone
	Unplaced         uint64 // tickets not looked at, or not issued, since clients are verified and it cannot be told where the ticket may resume
	Misplaced        uint64 // handshakes ended by an alert, since a session was resumed and then led to a context whose tickets it may not use
	Marked           uint64 // tickets not looked at, since their server name has led to different contexts
	Errors           uint64 // verdicts -1, or 0 with WithSoftErrors
	Asked            uint64 // times a handshake entered Go to ask a KeyStore
	NotAsked         uint64 // times no KeyStore was asked, because the handshake ran on a stack that is not its thread's own
	Panics           uint64 // panics of a KeyStore
	RefreshErrors    uint64 // refreshes in which the source failed

	// Of servers under the preload library alone. Each process counts the options of
	// a context once, at its first connection.
	Contexts        uint64 // SSL_CTX attached
	Displaced       uint64 // ticket callbacks that servers set, and that stek answers instead
	TicketsOff      uint64 // contexts with tickets switched off, SSL_OP_NO_TICKET
	TicketsStateful uint64 // contexts whose TLS 1.3 tickets are stateful, as early data with replay protection makes them
	TicketsNone13   uint64 // contexts that send no TLS 1.3 ticket, SSL_CTX_set_num_tickets(ctx, 0)
	TicketsForced   uint64 // of TicketsOff, those where tickets were switched on again

	// UnprotectedMemory is not a count: how many kinds of protection the system
	// refuses to the memory of keys now, see WithStrictMemory.
	UnprotectedMemory uint64
}

// KeyCounts counts what was done with one key. Every count only grows while the
// key is in force.
type KeyCounts struct {
	Issued           uint64 // tickets encrypted
	Renewed          uint64 // of Accepted, those that are to bring a fresh ticket
	Accepted         uint64 // tickets under this key
	AcceptedPrevious uint64 // of Accepted, those after the key was superseded
}

// Stats returns the counts; after Close, those at Close.
func (ks *Keystore) Stats() Stats {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.closed {
		return ks.final
	}
	return ks.statsLocked()
}

func (ks *Keystore) statsLocked() Stats {
	s := ks.table.counts()
	s.RefreshErrors = ks.refreshErrors.Load()
	s.UnprotectedMemory = ks.unprotected.Load()
	if ks.user != nil {
		s.Panics = ks.user.panics.Load()
	}
	return s
}
