package metrics_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type alertFile struct {
	Groups []struct {
		Name  string
		Rules []alert
	}
}

type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.Open(grafana + "alerts.yml")
	require.NoError(t, err)
	defer text.Close()
	decoder := yaml.NewDecoder(text)
	decoder.KnownFields(true)
	var file alertFile
	require.NoError(t, decoder.Decode(&file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

func TestAlertsAskForMetricsThatExist(t *testing.T) {
	scraped := scrapeOf(t, everything())
	seen := map[string]bool{}
	for _, a := range readAlerts(t) {
		require.Regexp(t, `^Stek[A-Za-z]+$`, a.Alert)
		require.False(t, seen[a.Alert], a.Alert)
		seen[a.Alert] = true
		_, err := time.ParseDuration(a.For)
		require.NoError(t, err, a.Alert)
		require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		if a.Alert != "StekDown" { // which is about a stek that answers nothing
			require.NotEmpty(t, namesIn(a.Expr), a.Alert)
		}
		requireKnown(t, scraped, a.Expr)
	}
	require.GreaterOrEqual(t, len(seen), 4)
}

// testdata/alerts.yml has series for each alert, and when it is to fire.
func TestAlertsFire(t *testing.T) {
	promtool(t, "check", "rules", grafana+"alerts.yml")
	promtool(t, "test", "rules", "testdata/alerts.yml")
}

func TestEveryAlertIsSeenToFire(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	text, err := os.ReadFile("testdata/alerts.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &file))
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				rests[a.Alertname] = true
			}
		}
	}
	for _, a := range readAlerts(t) {
		require.True(t, fires[a.Alert] && rests[a.Alert], "%s is not tested both ways", a.Alert)
	}
}
