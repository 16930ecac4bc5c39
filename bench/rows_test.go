package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func samples(measure, variant string, values ...float64) (all []Sample) {
	for round, value := range values {
		all = append(all, Sample{measure, variant, round, value})
	}
	return all
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	row := Row{What: "x", Measure: "m", Base: "a", Ours: "b", Unit: "ns", Goal: Goal{ratioAtMost, 0.5}}
	// The second round was slow for both; the ratio of the medians would be 0.8.
	all := append(samples("m", "a", 10, 100, 20), samples("m", "b", 8, 50, 10)...)
	results := evaluate([]Row{row}, all)
	require.Len(t, results, 1)
	require.InDelta(t, 0.5, results[0].Compared.Median, 1e-9)
	require.True(t, results[0].Met)
	require.Equal(t, Spread{20, 10, 100}, results[0].BaseValue)
}

func TestGoalsOfEachKind(t *testing.T) {
	for _, tt := range []struct {
		goal Goal
		ours float64
		met  bool
	}{
		{Goal{ratioAtMost, 0.9}, 9, true}, {Goal{ratioAtMost, 0.9}, 9.1, false},
		{Goal{ratioAtLeast, 1}, 10, true}, {Goal{ratioAtLeast, 1}, 9.9, false},
		{Goal{addedAtMost, 2}, 12, true}, {Goal{addedAtMost, 2}, 12.1, false},
		{Goal{reported, 0}, 1e9, true},
	} {
		row := Row{Measure: "m", Base: "a", Ours: "b", Goal: tt.goal}
		results := evaluate([]Row{row}, append(samples("m", "a", 10), samples("m", "b", tt.ours)...))
		require.Equal(t, tt.met, results[0].Met, "%+v", tt)
	}
}

func TestRowWithoutSamplesIsLeftOut(t *testing.T) {
	require.Empty(t, evaluate(rows, samples("m", "a", 1)))
}

// Every measure that a row names is one that something measures.
func TestEveryRowIsMeasured(t *testing.T) {
	measured := map[string]bool{}
	for _, m := range harnessMeasures {
		for _, name := range m.yields {
			measured[name] = true
		}
	}
	for _, b := range goBenchmarks {
		for _, unit := range b.units {
			measured[unit.measure] = true
		}
	}
	for _, row := range rows {
		require.True(t, measured[row.Measure] || strings.HasPrefix(row.Measure, "nginx-") ||
			strings.HasPrefix(row.Measure, "haproxy-"), row.Measure)
	}
}

func TestSamplesAreRead(t *testing.T) {
	got, err := readSamples(strings.NewReader("issue\tstek, EVP\t2\t12.5\n"))
	require.NoError(t, err)
	require.Equal(t, []Sample{{"issue", "stek, EVP", 2, 12.5}}, got)
	for _, bad := range []string{"issue\tstek\t2\n", "issue\tstek\tx\t1\n", "issue\tstek\t1\tx\n"} {
		_, err := readSamples(strings.NewReader(bad))
		require.ErrorContains(t, err, "not a sample")
	}
}
