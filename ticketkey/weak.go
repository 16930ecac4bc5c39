package ticketkey

import "bytes"

// weakness tells in words why secret is plainly not random, or returns "". A
// random secret is called weak with a probability below 2^-60.
func weakness(secret []byte) string {
	n := len(secret)
	if n == AESSize { // a short key may have been padded
		for _, half := range [][]byte{secret[:n/2], secret[n/2:]} {
			if why := weakness(half); why != "" && !bytes.Equal(secret, make([]byte, n)) {
				return "half " + why
			}
		}
	}
	if bytes.Equal(secret, make([]byte, n)) {
		return "all zeros"
	}
	if period := shortestPeriod(secret); period <= n/2 {
		if period == 1 {
			return "one byte repeated"
		}
		return "a repeated pattern"
	}
	if counts(secret) || bytes.HasPrefix(secret, []byte("0123456789abcdef")) ||
		bytes.HasPrefix(secret, []byte("0123456789ABCDEF")) {
		return "a counting pattern"
	}
	return ""
}

func shortestPeriod(b []byte) int {
	for period := 1; period < len(b); period++ {
		if b[period] == b[0] && bytes.Equal(b[period:], b[:len(b)-period]) {
			return period
		}
	}
	return len(b)
}

// counts reports whether every byte differs from the one before by the same step.
func counts(b []byte) bool {
	for i := 2; i < len(b); i++ {
		if b[i]-b[i-1] != b[1]-b[0] {
			return false
		}
	}
	return true
}
