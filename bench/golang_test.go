package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchmarkResultIsReadByItsUnits(t *testing.T) {
	const before = "goos: linux\ncpu: Some Processor @ 2.40GHz\n"
	const result = "BenchmarkAsked64Threads/key=asked-2   \t   20000\t       511.5 p50-ns\t     41499 p99.9-ns\n"
	values, err := parseBenchmark(before + result + "PASS\n")
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"p50-ns": 511.5, "p99.9-ns": 41499}, values)

	for name, tt := range map[string]struct{ output, says string }{
		"nothing matched":   {before + "PASS\n", "no result"},
		"only the name":     {"BenchmarkAsked\nPASS\n", "no result"},
		"two results":       {result + result, "more than one result"},
		"not a number":      {"BenchmarkAsked 10 fast ns/op\n", `result "BenchmarkAsked 10 fast ns/op": strconv.ParseFloat`},
		"a value, no unit":  {"BenchmarkAsked 10 12\n", "no result"},
		"in some other log": {"--- BENCH: BenchmarkAsked-2 10 12 ns/op\n", "no result"},
	} {
		_, err := parseBenchmark(tt.output)
		require.ErrorContains(t, err, tt.says, name)
	}
}

func TestGoMeasuresThatAreNotWantedAreNotRun(t *testing.T) {
	samples, err := measureGo(t.Context(), 3, func(string) bool { return false })
	require.NoError(t, err)
	require.Empty(t, samples)

	both := goBenchmark{units: []goUnit{{"a", "p50-ns"}, {"b", "p99.9-ns"}}}
	require.Equal(t, []goUnit{{"b", "p99.9-ns"}}, both.wantedUnits(func(m string) bool { return m == "b" }))
}
