package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// measured is a report with three rounds of all that rows compare, and of p50,
// where ours is twice of base.
func measured(t *testing.T) Report {
	t.Helper()
	var all []Sample
	for _, row := range append(rows, Row{Measure: "rotation-p50", Base: "no rotation", Ours: "every 100 ms"}) {
		all = append(all, samples(row.Measure, row.Base, 100, 110, 105)...)
		all = append(all, samples(row.Measure, row.Ours, 200, 220, 210)...)
	}
	report := Report{Machine: Machine{"Some Processor", 2, "OpenSSL 3.0.19", "go1.26.0"}, Rounds: 3, Samples: all, Rows: evaluate(rows, all)}
	require.Len(t, report.Rows, len(rows))
	return report
}

func TestReportIsReadAsItWasWritten(t *testing.T) {
	report := measured(t)
	file := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, writeJSON(file, report))
	got, err := options{from: file, rounds: defaultRounds}.report(t.Context())
	require.NoError(t, err)
	require.Equal(t, report, got)
}

func TestRowsAreComparedAnewWhenReportIsRead(t *testing.T) {
	report := measured(t)
	report.Rows = []Result{{Row: Row{What: "a goal of last year"}}}
	file := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, writeJSON(file, report))
	got, err := readReport(file)
	require.NoError(t, err)
	require.Equal(t, measured(t).Rows, got.Rows)
}

func TestPageIsWrittenFromReport(t *testing.T) {
	folder := t.TempDir()
	file, page := filepath.Join(folder, "bench.json"), filepath.Join(folder, "page.md")
	require.NoError(t, writeJSON(file, measured(t)))
	require.NoError(t, os.WriteFile(page, []byte("<!-- bench -->\n<!-- /bench -->\n"), 0o644))
	require.NoError(t, run(t.Context(), options{from: file, rounds: defaultRounds, page: page}))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "OpenSSL 3.0.19; 2 x Some Processor; go1.26.0\n")
	require.Contains(t, string(text), "goals met, 3 rounds each\n")
}

func TestReportThatCannotBeReadIsOneLine(t *testing.T) {
	for name, tt := range map[string]struct{ text, says string }{
		"not JSON":      {"rounds: 3\n", "invalid character 'r'"},
		"cut off":       {`{"rounds": 3, "samples": [`, "unexpected end of JSON input"},
		"of other type": {`{"rounds": "three"}`, "cannot unmarshal string"},
		"empty":         {`{}`, "no samples of any row"},
		"other samples": {`{"samples": [{"measure": "m", "variant": "stek", "round": 0, "value": 1}]}`, "no samples of any row"},
	} {
		file := filepath.Join(t.TempDir(), "bench.json")
		require.NoError(t, os.WriteFile(file, []byte(tt.text), 0o644))
		_, err := readReport(file)
		require.ErrorContains(t, err, tt.says, name)
		require.ErrorContains(t, err, file, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
	_, err := readReport(filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, 1, strings.Count(err.Error(), "absent.json"))
}

func TestFromMeasuresNothing(t *testing.T) {
	for _, o := range []options{{from: "bench.json", rounds: 3}, {from: "bench.json", rounds: defaultRounds, only: "issue"}} {
		_, err := o.report(t.Context())
		require.ErrorContains(t, err, "-from measures nothing")
	}
}
