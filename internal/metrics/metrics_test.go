package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/metrics"
	"github.com/go-stek/stek/internal/ssltest"
	"github.com/go-stek/stek/ticketkey"
)

// everything is a table with a sample of every metric.
func everything() state {
	now := time.Now()
	key := func(name byte, s ticketkey.State, begin time.Duration) stek.KeyInfo {
		return stek.KeyInfo{
			Name:         stek.Name{name, 2, 3, 4, 5},
			State:        s,
			NotBefore:    now.Add(begin),
			NotAfter:     now.Add(begin + time.Hour),
			DecryptUntil: now.Add(begin + 2*time.Hour),
		}
	}
	return state{name: "/run/stek/table", keys: []stek.KeyInfo{
		key(0xaa, ticketkey.Upcoming, 10*time.Minute),
		key(0xbb, ticketkey.Current, -50*time.Minute),
		key(0xcc, ticketkey.Previous, -70*time.Minute),
	}}
}

// fill gives each field of the struct at s a number of its own, from first on,
// and returns how many.
func fill(t *testing.T, s any, first uint64) int {
	fields := reflect.ValueOf(s).Elem()
	for i := range fields.NumField() {
		require.Equal(t, reflect.Uint64, fields.Field(i).Kind())
		fields.Field(i).SetUint(first + uint64(i))
	}
	return fields.NumField()
}

func TestEveryCountIsShownOnce(t *testing.T) {
	table := everything()
	ofTable := fill(t, &table.stats, 1000)
	ofKey := fill(t, &table.keys[1].Counts, 2000)

	shown := map[float64]int{}
	scraped := scrapeOf(t, table)
	for name := range scraped.ours() {
		for _, value := range scraped.series(name) {
			shown[value]++
		}
	}
	for i := range ofTable {
		require.Equal(t, 1, shown[float64(1000+i)], "%s of Stats", reflect.TypeFor[stek.Stats]().Field(i).Name)
	}
	for i := range ofKey {
		require.Equal(t, 1, shown[float64(2000+i)], "%s of KeyCounts", reflect.TypeFor[stek.KeyCounts]().Field(i).Name)
	}
}

func TestCountsAreUnderTheirNames(t *testing.T) {
	table := everything()
	table.stats = stek.Stats{
		Issued: 1, Renewed: 2, Accepted: 3, AcceptedPrevious: 4, Unknown: 5, Expired: 6, Declined: 7, Limited: 8, Aged: 9,
		Errors: 10, Asked: 11, Panics: 12, RefreshErrors: 13, Contexts: 14, Displaced: 15, TicketsOff: 16,
		TicketsStateful: 17, TicketsNone13: 18, TicketsForced: 19, UnprotectedMemory: 20, NotAsked: 29,
		Refused: 25, Unplaced: 26, Misplaced: 27, Marked: 28,
	}
	table.keys[1].Counts = stek.KeyCounts{Issued: 21, Renewed: 22, Accepted: 23, AcceptedPrevious: 24}
	scraped := scrapeOf(t, table)
	for name, want := range map[string]float64{
		"stek_tickets_issued_total":              1,
		"stek_tickets_renewed_total":             2,
		"stek_tickets_accepted_total":            3,
		"stek_tickets_accepted_previous_total":   4,
		"stek_tickets_declined_total":            7,
		"stek_tickets_aged_total":                9,
		"stek_callback_errors_total":             10,
		"stek_keystore_questions_total":          11,
		"stek_keystore_panics_total":             12,
		"stek_keystore_questions_left_out_total": 29,
		"stek_keystore_refresh_errors_total":     13,
		"stek_contexts_attached_total":           14,
		"stek_callbacks_displaced_total":         15,
		"stek_contexts_tickets_off_total":        16,
		"stek_contexts_tickets_stateful_total":   17,
		"stek_contexts_tickets_none13_total":     18,
		"stek_contexts_tickets_forced_total":     19,
		"stek_unprotected_memory_kinds":          20,
		"stek_tickets_refused_total":             25,
		"stek_handshakes_misplaced_total":        27,
	} {
		require.Equal(t, want, scraped.value(t, name), name)
	}
	require.Equal(t, map[string]float64{"cause=unknown": 5, "cause=expired": 6, "cause=limited": 8, "cause=unplaced": 26, "cause=marked": 28},
		scraped.series("stek_tickets_missed_total"))
	for name, want := range map[string]float64{
		"stek_key_tickets_issued_total":            21,
		"stek_key_tickets_renewed_total":           22,
		"stek_key_tickets_accepted_total":          23,
		"stek_key_tickets_accepted_previous_total": 24,
	} {
		require.Equal(t, want, scraped.series(name)["key=bb020304"], name)
	}
}

func TestMetricsPassPrometheusLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(metrics.NewCollector(these(everything())))
	require.NoError(t, err)
	require.Empty(t, problems)
	for name, family := range scrapeOf(t, everything()) {
		if strings.HasPrefix(name, "stek_") {
			require.Regexp(t, `^[A-Z1].*\.$`, family.GetHelp(), name)
		}
	}
}

func TestOnlyKeysInForceAreShown(t *testing.T) {
	scraped := scrapeOf(t, everything())
	require.Equal(t, map[string]float64{"state=upcoming": 1, "state=current": 1, "state=previous": 1}, scraped.series("stek_keys"))
	require.Equal(t, map[string]float64{
		"key=aa020304 state=upcoming": 1,
		"key=bb020304 state=current":  1,
		"key=cc020304 state=previous": 1,
	}, scraped.series("stek_key_info"))

	scraped = scrapeOf(t, state{name: "none"})
	require.Equal(t, map[string]float64{"state=upcoming": 0, "state=current": 0, "state=previous": 0}, scraped.series("stek_keys"))
	require.Empty(t, scraped.series("stek_key_info"))
}

func TestTimesAreLeftOutWhereNoneIsKnown(t *testing.T) {
	table := everything()
	scraped := scrapeOf(t, table)
	require.InDelta(t, 50*60, scraped.value(t, "stek_current_key_age_seconds"), 5)
	require.InDelta(t, 10*60, scraped.value(t, "stek_current_key_remaining_seconds"), 5)
	require.InDelta(t, 10*60, scraped.value(t, "stek_rotation_due_seconds"), 5)

	table.keys = table.keys[1:]
	require.NotContains(t, scrapeOf(t, table), "stek_rotation_due_seconds", "no key is upcoming")

	table.keys[0].NotBefore, table.keys[0].NotAfter, table.keys[0].DecryptUntil = time.Time{}, time.Time{}, time.Time{}
	scraped = scrapeOf(t, table)
	require.NotContains(t, scraped, "stek_current_key_age_seconds", "the key encrypts since ever")
	require.NotContains(t, scraped, "stek_current_key_remaining_seconds", "the key encrypts without end")
	require.Equal(t, 1.0, scraped.series("stek_keys")["state=current"])
}

func TestFailuresShow(t *testing.T) {
	table := everything()
	require.Equal(t, 1.0, scrapeOf(t, table).value(t, "stek_keystore_up"))
	table.err = errors.New("refresh: no route")
	require.Equal(t, 0.0, scrapeOf(t, table).value(t, "stek_keystore_up"))
}

func TestBuildInfoTellsTheVersion(t *testing.T) {
	for labels := range scrapeOf(t).series("stek_build_info") {
		require.Regexp(t, `^goversion=go1\.\d+.* version=1\.2\.3$`, labels)
	}
	require.Contains(t, scrapeOf(t), "go_goroutines")
	require.Contains(t, scrapeOf(t), "process_resident_memory_bytes")
}

// A series twice, or a label that is not UTF-8, would cost the whole scrape.
func TestNoNameSpoilsTheScrape(t *testing.T) {
	table := everything()
	alike := table.keys[2]
	alike.Name[15]++
	table.keys[2].Counts.Accepted, alike.Counts.Accepted = 3, 4
	table.keys = append(table.keys, alike)
	other := state{name: "/run/\xff"}
	scraped := scrapeOf(t, table, everything(), other)
	require.Equal(t, 7.0, scraped.series("stek_key_tickets_accepted_total")["key=cc020304"], "names that begin alike are added up")
	require.Len(t, scraped["stek_keystore_up"].GetMetric(), 2, "the second table of a name is left out")
}

func TestHandshakesShow(t *testing.T) {
	table := openKeystore(t, "real", memory.Config{})
	other := openKeystore(t, "other", memory.Config{})
	server, foreign, client := ssltest.NewServer(t), ssltest.NewServer(t), ssltest.NewClient(t)
	_, err := stek.Attach(server.Pointer(), table.Keystore)
	require.NoError(t, err)
	_, err = stek.Attach(foreign.Pointer(), other.Keystore)
	require.NoError(t, err)

	first := ssltest.Connect(server, client, ssltest.Options{})
	require.Equal(t, "New", first.Word(), first)
	require.Equal(t, "Reused", ssltest.Connect(server, client, ssltest.Options{Session: first.Tickets[0]}).Word())
	require.Equal(t, "New", ssltest.Connect(foreign, client, ssltest.Options{Session: first.Tickets[1]}).Word())

	scraped := scrapeOf(t, table)
	require.Equal(t, 3.0, scraped.value(t, "stek_tickets_issued_total"), "two, and a fresh one")
	require.Equal(t, 1.0, scraped.value(t, "stek_tickets_accepted_total"))
	require.Equal(t, 1.0, scraped.value(t, "stek_tickets_renewed_total"))
	require.Equal(t, 0.0, scraped.series("stek_tickets_missed_total")["cause=unknown"])
	require.Equal(t, 1.0, scrapeOf(t, other).series("stek_tickets_missed_total")["cause=unknown"])
}

func TestScrapesBesideRotationsAreWhole(t *testing.T) {
	table := openKeystore(t, "busy", memory.Config{Rotation: time.Minute})
	server := httptest.NewServer(metrics.Handler(these(table), "1.2.3"))
	defer server.Close()

	var done atomic.Bool
	var scrapers sync.WaitGroup
	defer scrapers.Wait()
	defer done.Store(true)
	for range 4 {
		scrapers.Go(func() {
			for !done.Load() {
				lintScrape(t, server.URL)
			}
		})
	}
	names := map[string]bool{}
	for range 20 {
		require.NoError(t, table.Rotate())
		scraped := scrapeOf(t, table)
		require.Equal(t, 1.0, scraped.series("stek_keys")["state=current"])
		for labels := range scraped.series("stek_key_info") {
			if name, ok := strings.CutSuffix(labels, " state=current"); ok {
				names[name] = true
			}
		}
	}
	require.Len(t, names, 20, "each rotation shows")

	require.NoError(t, table.Close())
	require.Equal(t, 0.0, scrapeOf(t, table).series("stek_keys")["state=current"], "closed while it is scraped")
}

// lintScrape makes one scrape, from any goroutine.
func lintScrape(t *testing.T, url string) {
	answer, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer answer.Body.Close()
	problems, err := promlint.New(answer.Body).Lint()
	if err != nil || len(problems) > 0 || answer.StatusCode != http.StatusOK {
		t.Error(answer.Status, problems, err)
	}
}
