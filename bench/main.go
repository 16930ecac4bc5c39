// Bench measures what tickets cost with stek and without, side by side, and says
// which goals are met.
//
//	go run ./bench [-rounds N] [-run REGEXP] [-json FILE]
//
// Rounds of one measure alternate between its variants, so that what else the
// machine does falls on all of them; a row's ratio is the median of the ratios
// of the rounds. It runs in the root of the repository.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each variant is measured")
	only := flag.String("run", "", "only the measures whose name matches this regular expression")
	file := flag.String("json", "", "write every sample to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rounds, *only, *file); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only, file string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if rounds < 3 {
		return errors.New("-rounds: a median needs 3 or more")
	}
	wanted := pattern.MatchString
	var all []Sample
	for _, bed := range beds {
		samples, err := bed.measure(ctx, rounds, wanted)
		if err != nil {
			return fmt.Errorf("%s: %w", bed.name, err)
		}
		all = append(all, samples...)
	}
	results := evaluate(rows, all)
	if len(results) == 0 {
		return errors.New("no row matches")
	}
	report := Report{Machine: machine(ctx), Rounds: rounds, Samples: all, Rows: results}
	printTable(os.Stdout, report)
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

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
