package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/metrics"
	"github.com/go-stek/stek/ticketkey"
)

// A keystore is a real one with a name.
type keystore struct {
	*stek.Keystore
	name string
}

func (k keystore) Name() string { return k.name }

func openKeystore(t *testing.T, name string, config memory.Config) keystore {
	t.Helper()
	source, err := memory.New(config)
	require.NoError(t, err)
	ks, err := stek.Open(source)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ks.Close() })
	return keystore{ks, name}
}

// A state is a table that stands still.
type state struct {
	name  string
	stats stek.Stats
	keys  []stek.KeyInfo
	err   error
}

func (s state) Name() string         { return s.name }
func (s state) Stats() stek.Stats    { return s.stats }
func (s state) Keys() []stek.KeyInfo { return s.keys }
func (s state) Err() error           { return s.err }
func (s state) Now() ticketkey.Now   { return ticketkey.At(time.Now()) }

// these is the function that returns tables.
func these(tables ...metrics.Table) func() []metrics.Table {
	return func() []metrics.Table { return tables }
}

// A scrape is what Prometheus gets, by the name of the family.
type scrape map[string]*dto.MetricFamily

func scrapeOf(t *testing.T, tables ...metrics.Table) scrape {
	t.Helper()
	answer := httptest.NewRecorder()
	metrics.Handler(these(tables...), "1.2.3").ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, answer.Code, answer.Body)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	require.NoError(t, err)
	return families
}

// series is the values of family by their labels, table left out:
// "key=01020304 state=current".
func (s scrape) series(family string) map[string]float64 {
	values := map[string]float64{}
	for _, m := range s[family].GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			if l.GetName() != "table" {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
		}
		values[strings.Join(labels, " ")] = valueOf(m)
	}
	return values
}

// value is the only sample of family.
func (s scrape) value(t *testing.T, family string) float64 {
	t.Helper()
	require.Len(t, s[family].GetMetric(), 1, family)
	return valueOf(s[family].GetMetric()[0])
}

// ours is the names of the families that are not of the Go runtime or the
// process.
func (s scrape) ours() map[string]bool {
	names := map[string]bool{}
	for name := range s {
		if strings.HasPrefix(name, "stek_") {
			names[name] = true
		}
	}
	return names
}

func valueOf(m *dto.Metric) float64 {
	if m.Counter != nil {
		return m.Counter.GetValue()
	}
	return m.Gauge.GetValue()
}
