package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
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

// harnessSources are linked together.
var harnessSources = []string{"bench/src/*.c", "*.c"}

// measureHarness compiles the C harness and runs it: everything is in memory,
// without Go and without a network. Each round has the objects linked in another
// order: where functions lie moves a ticket's time by 5 %, and no order is the one.
func measureHarness(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error) {
	folder, err := os.MkdirTemp("", "stek-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	measures := map[int][]string{} // names by the keys of the harness
	for _, m := range harnessMeasures {
		if slices.ContainsFunc(m.yields, wanted) {
			measures[m.keys] = append(measures[m.keys], m.name)
		}
	}
	var samples []Sample
	for _, keys := range slices.Sorted(maps.Keys(measures)) {
		objects, err := compileHarness(ctx, filepath.Join(folder, strconv.Itoa(keys)), keys)
		if err != nil {
			return nil, err
		}
		program := filepath.Join(folder, "harness")
		for round := range rounds {
			if err := linkHarness(ctx, program, objects, round); err != nil {
				return nil, err
			}
			for _, name := range measures[keys] {
				of, err := runHarness(exec.CommandContext(ctx, program, strconv.Itoa(round), name))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				samples = append(samples, of...)
			}
		}
	}
	return samples, nil
}

// compileHarness makes, in folder, the objects of a harness with key tables that
// hold so many keys.
func compileHarness(ctx context.Context, folder string, keys int) ([]string, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	var objects []string
	for _, pattern := range harnessSources {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no %s here: run it in the root of the repository", pattern)
		}
		for _, file := range files {
			object := filepath.Join(folder, strings.ReplaceAll(file, "/", "-")+".o")
			err := gcc(ctx, "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
				fmt.Sprintf("-DSTEKC_MAX_KEYS=%d", keys), "-c", "-o", object, file)
			if err != nil {
				return nil, err
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// linkHarness makes program of the objects, in the order of the round.
func linkHarness(ctx context.Context, program string, objects []string, round int) error {
	objects = slices.Clone(objects)
	order := rand.New(rand.NewPCG(uint64(round), 0))
	order.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	args := append([]string{"-o", program}, objects...)
	return gcc(ctx, append(args, "-lssl", "-lcrypto", "-ldl", "-lpthread")...)
}

func gcc(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the harness: %w\n%s", err, out)
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
