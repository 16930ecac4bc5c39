package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/ticketkey"
)

// The metrics of the keys of a table together.
var (
	keysByState = describe("stek_keys",
		"Keys in force, by state: upcoming, current or previous.", "state")
	currentAge = describe("stek_current_key_age_seconds",
		"Seconds since the current key began to encrypt.")
	currentRemaining = describe("stek_current_key_remaining_seconds",
		"Seconds until the current key ends to encrypt, as planned now. After a rotation that failed, a key goes on beyond its turn.")
	rotationDue = describe("stek_rotation_due_seconds",
		"Seconds until an upcoming key becomes current.")
)

// The metrics of one key.
var (
	keyInfo = describe("stek_key_info",
		"The constant 1, labelled with the name and the state of a key in force.", "key", "state")
	keyCounts = []keyCount{
		{describe("stek_key_tickets_issued_total", "Tickets encrypted with a key in force.", "key"),
			func(c stek.KeyCounts) uint64 { return c.Issued }},
		{describe("stek_key_tickets_accepted_total", "Offered tickets under a key in force.", "key"),
			func(c stek.KeyCounts) uint64 { return c.Accepted }},
		{describe("stek_key_tickets_accepted_previous_total", "Offered tickets under a key in force, after the key was superseded.", "key"),
			func(c stek.KeyCounts) uint64 { return c.AcceptedPrevious }},
		{describe("stek_key_tickets_renewed_total", "Offered tickets under a key in force whose client is to get a fresh ticket.", "key"),
			func(c stek.KeyCounts) uint64 { return c.Renewed }},
	}
)

// A keyCount is one field of stek.KeyCounts as a metric.
type keyCount struct {
	desc *prometheus.Desc
	of   func(stek.KeyCounts) uint64
}

// states are those that a key in force can have.
var states = []ticketkey.State{ticketkey.Upcoming, ticketkey.Current, ticketkey.Previous}

func describeKeys(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{keysByState, currentAge, currentRemaining, rotationDue, keyInfo} {
		descs <- desc
	}
	for _, c := range keyCounts {
		descs <- c.desc
	}
}

func collectKeys(metrics chan<- prometheus.Metric, table string, keys []stek.KeyInfo, now time.Time) {
	collectStates(metrics, table, keys)
	collectTimes(metrics, table, keys, now)
	collectEach(metrics, table, keys)
}

func collectStates(metrics chan<- prometheus.Metric, table string, keys []stek.KeyInfo) {
	number := map[ticketkey.State]int{}
	for _, k := range keys {
		number[k.State]++
	}
	for _, state := range states {
		metrics <- gauge(keysByState, float64(number[state]), table, state.String())
	}
}

// collectTimes leaves out what is not known: a zero time is no instant.
func collectTimes(metrics chan<- prometheus.Metric, table string, keys []stek.KeyInfo, now time.Time) {
	var next time.Time
	for _, k := range keys {
		switch k.State {
		case ticketkey.Current: // there is only one
			if !k.NotBefore.IsZero() {
				metrics <- gauge(currentAge, now.Sub(k.NotBefore).Seconds(), table)
			}
			if !k.NotAfter.IsZero() {
				metrics <- gauge(currentRemaining, k.NotAfter.Sub(now).Seconds(), table)
			}
		case ticketkey.Upcoming:
			if next.IsZero() || k.NotBefore.Before(next) {
				next = k.NotBefore
			}
		}
	}
	if !next.IsZero() {
		metrics <- gauge(rotationDue, next.Sub(now).Seconds(), table)
	}
}

// collectEach adds up the counts of keys whose names begin alike, as names that
// were not made at random may.
func collectEach(metrics chan<- prometheus.Metric, table string, keys []stek.KeyInfo) {
	type labels struct{ name, state string }
	known := map[labels]bool{}
	counts := map[string][]uint64{}
	for _, k := range keys {
		name := k.Name.String()
		if info := (labels{name, k.State.String()}); !known[info] {
			known[info] = true
			metrics <- gauge(keyInfo, 1, table, info.name, info.state)
		}
		if counts[name] == nil {
			counts[name] = make([]uint64, len(keyCounts))
		}
		for i, c := range keyCounts {
			counts[name][i] += c.of(k.Counts)
		}
	}
	for name, sums := range counts {
		for i, c := range keyCounts {
			metrics <- counter(c.desc, sums[i], table, name)
		}
	}
}
