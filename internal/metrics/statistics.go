package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-stek/stek"
)

// A statistic is one field of stek.Stats as a metric. cause is the value of the
// label of that name, if the metric has it.
type statistic struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	of    func(stek.Stats) uint64
	cause string
}

var missed = describe("stek_tickets_missed_total",
	"Offered tickets for which no key was used, so that the client got a full handshake, by cause. "+
		"unknown: the key name is not known, or the server name is unreadable. "+
		"expired: the window of the key is over, and the key is not destroyed yet. "+
		"limited: the ticket was not looked at, because one ClientHello had more than 8. "+
		"unplaced: clients are verified, and it cannot be told where the ticket may resume; tickets not issued for that reason count too. "+
		"marked: the server name of the ticket has led to different contexts.", "cause")

// The metrics of stek.Stats, every field once.
var statistics = []statistic{
	count("stek_tickets_issued_total", "Tickets encrypted.",
		func(s stek.Stats) uint64 { return s.Issued }),
	count("stek_tickets_accepted_total", "Offered tickets under a key in force, before OpenSSL checks their MAC and session.",
		func(s stek.Stats) uint64 { return s.Accepted }),
	count("stek_tickets_accepted_previous_total", "Accepted tickets under a key that is no longer current.",
		func(s stek.Stats) uint64 { return s.AcceptedPrevious }),
	count("stek_tickets_renewed_total", "Accepted tickets whose client is to get a fresh ticket.",
		func(s stek.Stats) uint64 { return s.Renewed }),
	count("stek_tickets_aged_total", "Accepted tickets refused afterwards, because the client authenticated too long ago.",
		func(s stek.Stats) uint64 { return s.Aged }),
	count("stek_tickets_refused_total", "Accepted tickets that OpenSSL decrypted and did not resume, as far as known: another session id context, a session that timed out, a cipher that is not permitted.",
		func(s stek.Stats) uint64 { return s.Refused }),
	count("stek_handshakes_misplaced_total", "Handshakes ended by an alert, because a session was resumed and then led to a context whose tickets it may not use.",
		func(s stek.Stats) uint64 { return s.Misplaced }),
	countBy("unknown", func(s stek.Stats) uint64 { return s.Unknown }),
	countBy("expired", func(s stek.Stats) uint64 { return s.Expired }),
	countBy("limited", func(s stek.Stats) uint64 { return s.Limited }),
	countBy("unplaced", func(s stek.Stats) uint64 { return s.Unplaced }),
	countBy("marked", func(s stek.Stats) uint64 { return s.Marked }),
	count("stek_tickets_declined_total", "Tickets not issued, for want of a current key or a known server name, or because of an error.",
		func(s stek.Stats) uint64 { return s.Declined }),
	count("stek_callback_errors_total", "Ticket callbacks that failed.",
		func(s stek.Stats) uint64 { return s.Errors }),

	count("stek_keystore_questions_total", "Times a handshake entered Go to ask a KeyStore.",
		func(s stek.Stats) uint64 { return s.Asked }),
	count("stek_keystore_questions_left_out_total", "Times no KeyStore was asked, because the handshake ran on a stack on which Go cannot be entered.",
		func(s stek.Stats) uint64 { return s.NotAsked }),
	count("stek_keystore_panics_total", "Panics of a KeyStore.",
		func(s stek.Stats) uint64 { return s.Panics }),
	count("stek_keystore_refresh_errors_total", "Refreshes of the key set in which its source failed.",
		func(s stek.Stats) uint64 { return s.RefreshErrors }),

	count("stek_contexts_attached_total", "SSL_CTX objects of servers under the preload library that were attached.",
		func(s stek.Stats) uint64 { return s.Contexts }),
	count("stek_callbacks_displaced_total", "Ticket callbacks that servers under the preload library set, and that stek answers instead.",
		func(s stek.Stats) uint64 { return s.Displaced }),
	count("stek_contexts_tickets_off_total", "Attached SSL_CTX objects with tickets switched off by SSL_OP_NO_TICKET.",
		func(s stek.Stats) uint64 { return s.TicketsOff }),
	count("stek_contexts_tickets_forced_total", "Attached SSL_CTX objects with tickets switched off, where stek switched them on again.",
		func(s stek.Stats) uint64 { return s.TicketsForced }),
	count("stek_contexts_tickets_stateful_total", "Attached SSL_CTX objects whose TLS 1.3 tickets are stateful, as early data with replay protection makes them.",
		func(s stek.Stats) uint64 { return s.TicketsStateful }),
	count("stek_contexts_tickets_none13_total", "Attached SSL_CTX objects that send no TLS 1.3 ticket.",
		func(s stek.Stats) uint64 { return s.TicketsNone13 }),

	{
		desc: describe("stek_unprotected_memory_kinds", "Kinds of protection that the system refuses to the memory of keys now."),
		kind: prometheus.GaugeValue,
		of:   func(s stek.Stats) uint64 { return s.UnprotectedMemory },
	},
}

func count(name, help string, of func(stek.Stats) uint64) statistic {
	return statistic{desc: describe(name, help), kind: prometheus.CounterValue, of: of}
}

func countBy(cause string, of func(stek.Stats) uint64) statistic {
	return statistic{desc: missed, kind: prometheus.CounterValue, of: of, cause: cause}
}

func collectStatistics(metrics chan<- prometheus.Metric, table string, stats stek.Stats) {
	for _, s := range statistics {
		labels := []string{table}
		if s.cause != "" {
			labels = append(labels, s.cause)
		}
		metrics <- prometheus.MustNewConstMetric(s.desc, s.kind, float64(s.of(stats)), labels...)
	}
}
