package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// harnessMeasures are the measures of bench/src/harness.c, with those of a Row
// that each yields.
var harnessMeasures = []struct {
	name   string
	yields []string
}{
	{"issue", []string{"issue"}},
	{"reject", []string{"reject"}},
	{"unknown", []string{"unknown"}},
	{"flood", []string{"flood"}},
	{"alone", []string{"alone-encrypt", "alone-decrypt"}},
	{"keys", []string{"keys-encrypt", "keys-decrypt"}},
	{"resume", []string{"resume12-1", "resume12-2", "resume13-1", "resume13-2"}},
	{"rotation", []string{"rotation-p50", "rotation-p99", "rotation-p999"}},
}

// harnessSources are compiled together.
var harnessSources = []string{"bench/src/*.c", "callback.c", "iv.c", "table.c", "tablemap.c", "store.c", "attach.c", "openssl.c", "process.c"}

// measureHarness compiles the C harness and runs it: everything is in memory,
// without Go and without a network.
func measureHarness(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error) {
	args := []string{strconv.Itoa(rounds)}
	for _, m := range harnessMeasures {
		if slices.ContainsFunc(m.yields, wanted) {
			args = append(args, m.name)
		}
	}
	if len(args) == 1 {
		return nil, nil
	}
	folder, err := os.MkdirTemp("", "stek-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "harness")
	if err := compileHarness(ctx, program); err != nil {
		return nil, err
	}
	return runHarness(exec.CommandContext(ctx, program, args...))
}

func compileHarness(ctx context.Context, program string) error {
	args := []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-o", program}
	for _, pattern := range harnessSources {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("no %s here: run it in the root of the repository", pattern)
		}
		args = append(args, files...)
	}
	args = append(args, "-lssl", "-lcrypto", "-ldl", "-lpthread")
	if out, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile the harness: %w\n%s", err, out)
	}
	return nil
}

func runHarness(cmd *exec.Cmd) ([]Sample, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	samples, err := readSamples(stdout)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, stderr.String())
	}
	return samples, nil
}

// readSamples reads lines of measure, variant, round and value, between tabs.
func readSamples(in io.Reader) (samples []Sample, err error) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("not a sample: %q", lines.Text())
		}
		s := Sample{Measure: fields[0], Variant: fields[1]}
		var value, round error
		s.Round, round = strconv.Atoi(fields[2])
		s.Value, value = strconv.ParseFloat(fields[3], 64)
		if err := errors.Join(round, value); err != nil {
			return nil, fmt.Errorf("not a sample: %q", lines.Text())
		}
		samples = append(samples, s)
	}
	return samples, lines.Err()
}
