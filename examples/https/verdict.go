package main

import (
	"fmt"

	"github.com/go-stek/stek"
)

// notAsked stands for the verdict when the client offered no ticket.
const notAsked = -2

// A verdict is what the callback returned for the ticket that a client offered.
type verdict int

// verdictBetween tells it from the keystore's counts before and after.
func verdictBetween(before, after stek.Stats) verdict {
	switch {
	case after.Errors > before.Errors:
		return -1
	case after.Renewed > before.Renewed:
		return 2
	case after.Accepted > before.Accepted:
		return 1
	case after.Unknown > before.Unknown, after.Expired > before.Expired:
		return 0
	}
	return notAsked
}

func (v verdict) String() string {
	meaning := map[verdict]string{
		-1: "failed",
		0:  "key gone, full handshake",
		1:  "resumed",
		2:  "resumed, renew the ticket",
	}[v]
	if v == notAsked {
		return "no ticket offered"
	}
	return fmt.Sprintf("verdict %d (%s)", int(v), meaning)
}
