package stek

// Stats counts what a keystore did since it was opened. Every count only grows.
type Stats struct {
	Issued           uint64 // tickets encrypted
	Renewed          uint64 // verdicts 2: a resumption and a fresh ticket
	Accepted         uint64 // tickets with a key in force, verdicts 1 and 2; OpenSSL checks the MAC after that
	AcceptedPrevious uint64 // of Accepted, those under a key no longer current
	Unknown          uint64 // tickets under a key name that is not known
	Expired          uint64 // tickets under a key whose window is over and that is not destroyed yet
	Declined         uint64 // tickets not issued: no current key, or an error
	Limited          uint64 // tickets not looked at: more than 8 in one ClientHello
	Aged             uint64 // of Accepted, those refused by the authentication-age cap
	Errors           uint64 // verdicts -1, or 0 with WithSoftErrors
	Asked            uint64 // questions to a KeyStore during handshakes
	Panics           uint64 // panics of a KeyStore
	RefreshErrors    uint64 // refreshes in which the source failed
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
	if ks.user != nil {
		s.Panics = ks.user.panics.Load()
	}
	return s
}
