package metrics_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the tests look at in the model of a dashboard, see
// https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type panel struct {
	ID         int
	Type       string
	Title      string
	GridPos    struct{ X, Y, W, H int }
	Datasource struct{ Type, UID string }
	Targets    []struct {
		RefID      string
		Expr       string
		Datasource struct{ Type, UID string }
	}
}

type variable struct {
	Name, Type, Definition string
	Query                  any
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(grafana + "stek.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.NewDecoder(bytes.NewReader(text)).Decode(&d))
	require.NotEmpty(t, d.Panels)
	return d
}

func (d dashboard) expressions() []string {
	var all []string
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

func TestDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	scraped := scrapeOf(t, everything())
	left := scraped.ours()
	for _, e := range readDashboard(t).expressions() {
		require.NotEmpty(t, namesIn(e), e)
		requireKnown(t, scraped, e)
		for _, name := range namesIn(e) {
			delete(left, name)
		}
	}
	require.Empty(t, left, "on no panel")
}

func TestDashboardPanelsAreSound(t *testing.T) {
	d := readDashboard(t)
	require.NotEmpty(t, d.UID)
	require.GreaterOrEqual(t, d.SchemaVersion, 39)
	ids, titles := map[int]bool{}, map[string]bool{}
	for i, p := range d.Panels {
		require.False(t, ids[p.ID] || titles[p.Title+p.Type], "%d %s comes twice", p.ID, p.Title)
		ids[p.ID], titles[p.Title+p.Type] = true, true
		at := p.GridPos
		require.True(t, at.X >= 0 && at.Y >= 0 && at.W > 0 && at.H > 0 && at.X+at.W <= 24, "%s is off the grid", p.Title)
		for _, other := range d.Panels[:i] {
			o := other.GridPos
			apart := at.X >= o.X+o.W || o.X >= at.X+at.W || at.Y >= o.Y+o.H || o.Y >= at.Y+at.H
			require.True(t, apart, "%q overlaps %q", p.Title, other.Title)
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			require.False(t, refs[target.RefID], p.Title)
			refs[target.RefID] = true
			require.Equal(t, "${datasource}", target.Datasource.UID, p.Title)
			require.Contains(t, target.Expr, `instance=~"$instance"`, "%s does not follow the variable", p.Title)
		}
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
	}
}

func TestDashboardVariablesAreFilledFromMetrics(t *testing.T) {
	scraped := scrapeOf(t, everything())
	types := map[string]string{}
	for _, v := range readDashboard(t).Templating.List {
		types[v.Name] = v.Type
		if v.Type == "query" {
			require.NotEmpty(t, namesIn(v.Definition), v.Name)
			requireKnown(t, scraped, v.Definition)
		}
	}
	require.Equal(t, map[string]string{"datasource": "datasource", "instance": "query", "table": "query"}, types)
}

func TestDashboardExpressionsArePromQL(t *testing.T) {
	values := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$table", ".*")
	var expressions []string
	for _, e := range readDashboard(t).expressions() {
		expressions = append(expressions, values.Replace(e))
	}
	promtool(t, "check", "rules", writeRules(t, expressions))
}
