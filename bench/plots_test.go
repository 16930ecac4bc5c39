package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// textsOf returns the texts of an SVG file, which is an error if it is not
// well-formed.
func textsOf(t *testing.T, file string) (texts []string) {
	t.Helper()
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, texts, file)
			return texts
		}
		require.NoError(t, err, file)
		if text, isText := token.(xml.CharData); isText {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
}

// filesOf returns the files of a folder by their names.
func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob(folder + "/*")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[filepath.Base(file)] = string(text)
	}
	return all
}

func TestPlotsNameWhatTheyShow(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "docs", "plots")
	report := measured(t)
	require.NoError(t, drawPlots(t.Context(), folder, report))
	require.Len(t, filesOf(t, folder), len(plots))

	ratios := textsOf(t, folder+"/ratios.svg")
	for _, r := range report.Rows {
		if r.Goal.Kind == ratioAtMost || r.Goal.Kind == ratioAtLeast {
			require.Contains(t, ratios, r.What)
		} else {
			require.NotContains(t, ratios, r.What)
		}
	}
	require.Contains(t, ratios, "≤ 0.45, not met")
	require.Contains(t, ratios, "≥ 2.00")
	require.Subset(t, textsOf(t, folder+"/callback.svg"), []string{"built-in keys", "man page", "stek, EVP", "stek", "keyed anew", "floor", "encrypt", "decrypt", "105", "210"})
	require.Subset(t, textsOf(t, folder+"/keys.svg"), []string{"1", "256", "encrypt", "decrypt"})
	require.Subset(t, textsOf(t, folder+"/rotation.svg"), []string{"p50", "p99", "p99.9", "no rotation", "a rotation every 100 ms"})
}

func TestSameReportGivesSamePlots(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	require.NoError(t, drawPlots(t.Context(), one, measured(t)))
	require.NoError(t, drawPlots(t.Context(), other, measured(t)))
	require.Equal(t, filesOf(t, one), filesOf(t, other))
}

func TestKeysAreThoseThatWereMeasuredByNumber(t *testing.T) {
	var report Report
	for _, variant := range []string{"256 keys", "3 keys", "16 keys"} {
		report.Samples = append(report.Samples, samples("keys-encrypt", variant, 7, 9, 8)...)
		report.Samples = append(report.Samples, samples("keys-decrypt", variant, 5, 6)...)
	}
	report.Samples = append(report.Samples, samples("keys-encrypt", "1 keys", 1)...) // no decrypt
	const values = "\t8\t7\t9\t5.5\t5\t6"
	require.Equal(t, []string{"3" + values, "16" + values, "256" + values}, keysLines(report))
}

func TestPlotWithoutSamplesIsLeftOut(t *testing.T) {
	for measure, file := range map[string]string{"alone-": "callback.svg", "keys-": "keys.svg", "rotation-": "rotation.svg"} {
		report := measured(t)
		all := report.Samples
		report.Rows, report.Samples = nil, nil
		for _, s := range all {
			if strings.HasPrefix(s.Measure, measure) {
				report.Samples = append(report.Samples, s)
			}
		}
		folder := t.TempDir()
		require.NoError(t, drawPlots(t.Context(), folder, report))
		drawn := filesOf(t, folder)
		require.Len(t, drawn, 1)
		require.Contains(t, drawn, file)
	}
	require.ErrorContains(t, drawPlots(t.Context(), t.TempDir(), Report{}), "no plot can be drawn")
}

// One row, or goals that are all met, are plots, too.
func TestRatiosOfAnyGoals(t *testing.T) {
	for _, limit := range []float64{1, 3} {
		row := Row{What: "x", Measure: "m", Base: "a", Ours: "b", Unit: "ns", Goal: Goal{ratioAtMost, limit}}
		report := Report{Rows: evaluate([]Row{row}, append(samples("m", "a", 1), samples("m", "b", 2)...))}
		folder := t.TempDir()
		require.NoError(t, drawPlots(t.Context(), folder, report))
		require.Contains(t, textsOf(t, folder+"/ratios.svg"), "x")
	}
}

// See bench/plots/ratios.gp.
func TestNamesOfRatiosFitIntoTheirPlot(t *testing.T) {
	for _, row := range rows {
		if row.Goal.Kind == ratioAtMost || row.Goal.Kind == ratioAtLeast {
			require.LessOrEqual(t, utf8.RuneCountInString(row.What), 60, row.What)
		}
	}
}

func TestPlotsWithoutGnuplotNameItsPackage(t *testing.T) {
	defer func(p debianProgram) { gnuplot = p }(gnuplot)
	gnuplot.path = filepath.Join(t.TempDir(), "gnuplot")
	err := run(t.Context(), options{plots: t.TempDir()})
	require.EqualError(t, err, gnuplot.path+" is missing: install Debian's package gnuplot-nox")
}

func TestWhatGnuplotSaysIsInTheError(t *testing.T) {
	_, err := plot{"x", []string{"style", "keys"}, nil}.draw(t.Context(), []string{"no number"})
	require.ErrorContains(t, err, "exit status 1")
	require.ErrorContains(t, err, "line ")
}
