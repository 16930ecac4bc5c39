package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// A bed measures variants in alternating rounds. It skips the measures that are
// not wanted.
type bed struct {
	name    string
	measure func(ctx context.Context, rounds int, wanted func(string) bool) ([]Sample, error)
}

var beds = []bed{
	{"C harness", measureHarness},
	{"Go", measureGo},
	{"servers", measureServers},
}

// measure measures on all beds.
func measure(ctx context.Context, rounds int, only string) (Report, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return Report{}, fmt.Errorf("-run: %w", err)
	}
	if rounds < 3 {
		return Report{}, errors.New("-rounds: a median needs 3 or more")
	}
	var all []Sample
	for _, bed := range beds {
		samples, err := bed.measure(ctx, rounds, pattern.MatchString)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", bed.name, err)
		}
		all = append(all, samples...)
	}
	results := evaluate(rows, all)
	if len(results) == 0 {
		return Report{}, errors.New("no row matches")
	}
	return Report{Machine: machine(ctx), Rounds: rounds, Samples: all, Rows: results}, nil
}
