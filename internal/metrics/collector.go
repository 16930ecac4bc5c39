package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A Collector collects the metrics of tables. It keeps nothing between scrapes.
type Collector struct {
	tables func() []Table
}

// NewCollector returns a Collector of the tables that tables returns at each
// scrape. It is safe for concurrent use, as tables has to be.
func NewCollector(tables func() []Table) *Collector { return &Collector{tables} }

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, s := range statistics {
		descs <- s.desc
	}
	describeHealth(descs)
	describeKeys(descs)
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, table := range c.tables() {
		// A label that is not UTF-8, or a series twice, would fail the scrape.
		name := valid(table.Name())
		if seen[name] {
			continue
		}
		seen[name] = true
		collectStatistics(metrics, name, table.Stats())
		collectHealth(metrics, name, table.Err())
		collectKeys(metrics, name, table.Keys(), table.Now().High)
	}
}

// valid is text as a label value has to be.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// describe returns what Prometheus has to know of a metric of a table.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"table"}, labels...), nil)
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func counter(desc *prometheus.Desc, value uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}
