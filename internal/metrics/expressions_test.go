package metrics_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// grafana is where the files for Grafana and Prometheus are.
const grafana = "../../docs/grafana/"

// namesIn returns the metrics of ours that an expression names.
func namesIn(expression string) []string {
	return regexp.MustCompile(`\bstek_[a-z0-9_]+`).FindAllString(expression, -1)
}

// The labels that our metrics have, those that Prometheus adds, and what else
// may stand before a matcher's operator.
var matcher = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)

// requireKnown fails if expression names a metric that no scrape has, or asks
// one for a label, or for a value of state or cause, that it never has.
func requireKnown(t *testing.T, scraped scrape, expression string) {
	t.Helper()
	names := namesIn(expression)
	for _, name := range names {
		require.Contains(t, scraped, name, expression)
	}
	for _, m := range matcher.FindAllStringSubmatch(expression, -1) {
		label, value := m[1], m[3]
		if label == "instance" || label == "job" {
			continue
		}
		require.True(t, hasLabel(scraped, names, label, value), "no metric has %s in: %s", m[0], expression)
	}
}

func hasLabel(scraped scrape, names []string, label, value string) bool {
	for _, name := range names {
		for _, sample := range scraped[name].GetMetric() {
			for _, l := range sample.GetLabel() {
				if l.GetName() == label && (strings.HasPrefix(value, "$") || l.GetValue() == value) {
					return true
				}
			}
		}
	}
	return false
}

// promtool runs Prometheus's own tool (Debian: prometheus).
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("promtool", args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// writeRules writes a file of recording rules, one for each expression.
func writeRules(t *testing.T, expressions []string) string {
	t.Helper()
	type rule struct {
		Record, Expr string
		Labels       map[string]string
	}
	type group struct {
		Name  string
		Rules []rule
	}
	rules := group{Name: "dashboard"}
	for i, e := range expressions {
		rules.Rules = append(rules.Rules, rule{"recorded", e, map[string]string{"panel": string(rune('A' + i))}})
	}
	text, err := yaml.Marshal(map[string][]group{"groups": {rules}})
	require.NoError(t, err)
	file := t.TempDir() + "/rules.yml"
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}
