package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A goBenchmark is a benchmark of Go's own kind in one of the packages, and the
// measures that it makes.
type goBenchmark struct {
	folder   string
	name     string // without Benchmark, and up to the variant
	variants []string
	times    int // b.N, in each round
	units    []goUnit
}

type goUnit struct{ measure, unit string }

var (
	answered = []string{"published", "asked"}
	crossing = []string{"published", "crossing", "asked"} // an empty call of Go, too
	goPeers  = []string{"spacemonkey", "stek"}

	goBenchmarks = []goBenchmark{
		{".", "Asked/key=", crossing, 200_000, []goUnit{{"asked", "p50-ns"}}},
		{".", "AskedAfterWork/key=", answered, 2_000, []goUnit{{"asked-after-work", "p50-ns"}}},
		{".", "Asked64Threads/key=", answered, 20_000, []goUnit{
			{"asked-64-threads", "p50-ns"},
			{"asked-64-threads-p999", "p99.9-ns"},
		}},
		{"spacemonkey", "Callback/goroutines=1/keys=", goPeers, 100_000, []goUnit{{"peer-1", "callbacks/s"}}},
		{"spacemonkey", "Callback/goroutines=8/keys=", goPeers, 100_000, []goUnit{{"peer-8", "callbacks/s"}}},
	}
)

// measureGo runs benchmarks written in Go, whose packages it compiles once.
func measureGo(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error) {
	dir, err := os.MkdirTemp("", "stek-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	programs := map[string]string{} // by folder
	var all []Sample
	for _, benchmark := range goBenchmarks {
		benchmark.units = benchmark.wantedUnits(wanted)
		if len(benchmark.units) == 0 {
			continue
		}
		program := programs[benchmark.folder]
		if program == "" {
			program = filepath.Join(dir, strconv.Itoa(len(programs)))
			if err := compileTests(ctx, benchmark.folder, program); err != nil {
				return nil, err
			}
			programs[benchmark.folder] = program
		}
		samples, err := benchmark.alternate(ctx, program, rounds)
		if err != nil {
			return nil, err
		}
		all = append(all, samples...)
	}
	return all, nil
}

func (g goBenchmark) wantedUnits(wanted func(string) bool) (units []goUnit) {
	for _, u := range g.units {
		if wanted(u.measure) {
			units = append(units, u)
		}
	}
	return units
}

// compileTests compiles the tests of the package in folder. A header of ours lets
// github.com/spacemonkeygo/openssl compile.
func compileTests(ctx context.Context, folder, program string) error {
	config, err := filepath.Abs("spacemonkey/pkgconfig")
	if err != nil {
		return err
	}
	if more := os.Getenv("PKG_CONFIG_PATH"); more != "" {
		config += ":" + more
	}
	compile := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./"+folder)
	compile.Env = append(os.Environ(), "CGO_ENABLED=1", "PKG_CONFIG_PATH="+config)
	if output, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", compile, err, output)
	}
	return nil
}

// alternate runs every variant in each round. The round decides who is first.
func (g goBenchmark) alternate(ctx context.Context, program string, rounds int) ([]Sample, error) {
	var samples []Sample
	for round := range rounds {
		for i := range g.variants {
			variant := g.variants[(i+round)%len(g.variants)]
			values, err := g.run(ctx, program, variant)
			if err != nil {
				return nil, err
			}
			for _, u := range g.units {
				samples = append(samples, Sample{u.measure, variant, round, values[u.unit]})
			}
		}
	}
	return samples, nil
}

// run runs one variant and returns its values by their units.
func (g goBenchmark) run(ctx context.Context, program, variant string) (map[string]float64, error) {
	path := strings.ReplaceAll(g.name+variant, "/", "$/^")
	benchmark := exec.CommandContext(ctx, program, "-test.run=^$",
		"-test.bench=^Benchmark"+path+"$", fmt.Sprintf("-test.benchtime=%dx", g.times))
	benchmark.Dir = g.folder
	output, err := benchmark.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmark %s: %w\n%s", g.name+variant, err, output)
	}
	values, err := parseBenchmark(string(output))
	if err != nil {
		return nil, fmt.Errorf("benchmark %s: %w\n%s", g.name+variant, err, output)
	}
	for _, u := range g.units {
		if _, found := values[u.unit]; !found {
			return nil, fmt.Errorf("benchmark %s: no %s\n%s", g.name+variant, u.unit, output)
		}
	}
	return values, nil
}

// parseBenchmark reads the one result in the output of a benchmark: its name,
// b.N, and pairs of a value and a unit, see
// https://go.googlesource.com/proposal/+/master/design/14313-benchmark-format.md.
func parseBenchmark(output string) (map[string]float64, error) {
	var values map[string]float64
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "Benchmark") || len(fields) < 4 || len(fields)%2 != 0 {
			continue
		}
		if values != nil {
			return nil, errors.New("more than one result")
		}
		values = map[string]float64{}
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("result %q: %w", strings.TrimSpace(line), err)
			}
			values[fields[i+1]] = value
		}
	}
	if values == nil {
		return nil, errors.New("no result")
	}
	return values, nil
}
