// Package metrics shows what keystores do to Prometheus.
//
// Every metric of ours begins with stek_. All but stek_build_info have the
// label table, and those of one key also key, the first 8 hexadecimal digits of
// its name: names are public, and no metric holds a secret. Only keys in force
// have metrics, at most 64 of a table.
//
// The tickets that clients offer are accepted, missed or errors:
//
//   - stek_tickets_accepted_total had a key in force. Its renewed, aged and
//     previous tickets are counted again, each in a metric of its own.
//   - stek_tickets_missed_total had none, or were not looked at. Its label cause
//     splits it, so that its sum is what got a full handshake for want of a key.
//
// Counts are those of [stek.Stats] and [stek.KeyCounts]. Ages and times to go
// are gauges by the clock of the keys' windows, and missing where the answer would be no
// number: there is no such key, or its window has no such end.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/ticketkey"
)

// A Table is a keystore and the name that it has in metrics. Its methods are
// called by every scrape, many at once; all but Name are those of
// [stek.Keystore].
type Table interface {
	Name() string
	Stats() stek.Stats
	Keys() []stek.KeyInfo
	Err() error
	Now() ticketkey.Now
}

// mostScrapes is how many scrapes are answered at once; more get status 503.
const mostScrapes = 8

// Handler answers scrapes with the metrics of the tables that tables returns at
// that moment, of this process, and of the Go runtime. It is safe for concurrent
// use, as tables has to be. Of tables with the same name only the first is
// shown.
func Handler(tables func() []Table, version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		NewCollector(tables),
		newBuildInfo(version),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes})
}
