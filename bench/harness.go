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

	"github.com/go-stek/stek/ticketkey"
)

// harnessMeasures are the measures of bench/src/harness.c, with those of a Row
// that each yields, and how many keys its tables hold.
var harnessMeasures = []struct {
	name   string
	yields []string
	keys   int
}{
	{"issue", []string{"issue"}, ticketkey.MaxKeys},
	{"reject", []string{"reject"}, ticketkey.MaxKeys},
	{"unknown", []string{"unknown"}, ticketkey.MaxKeys},
	{"flood", []string{"flood"}, ticketkey.MaxKeys},
	{"alone", []string{"alone-encrypt", "alone-decrypt"}, ticketkey.MaxKeys},
	{"keys", []string{"keys-encrypt", "keys-decrypt"}, 256},
	{"resume", []string{"resume12-1", "resume12-2", "resume13-1", "resume13-2"}, ticketkey.MaxKeys},
	{"rotation", []string{"rotation-p50", "rotation-p99", "rotation-p999"}, ticketkey.MaxKeys},
}

// harnessSources are compiled together.
var harnessSources = []string{"bench/src/*.c", "callback.c", "iv.c", "clock.c", "table.c", "tablemap.c", "store.c", "attach.c", "openssl.c", "process.c"}

// measureHarness compiles the C harness and runs it: everything is in memory,
// without Go and without a network.
func measureHarness(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error) {
	folder, err := os.MkdirTemp("", "stek-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	var samples []Sample
	for _, m := range harnessMeasures {
		if !slices.ContainsFunc(m.yields, wanted) {
			continue
		}
		program := filepath.Join(folder, fmt.Sprintf("harness-%d", m.keys))
		if _, err := os.Stat(program); err != nil {
			if err := compileHarness(ctx, program, m.keys); err != nil {
				return nil, err
			}
		}
		of, err := runHarness(exec.CommandContext(ctx, program, strconv.Itoa(rounds), m.name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		samples = append(samples, of...)
	}
	return samples, nil
}

// compileHarness makes the harness with key tables that hold so many keys.
func compileHarness(ctx context.Context, program string, keys int) error {
	args := []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-o", program, fmt.Sprintf("-DSTEKC_MAX_KEYS=%d", keys)}
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
