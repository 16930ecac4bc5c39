// Bench measures what tickets cost with stek and without, side by side, and says
// which goals are met.
//
//	go run ./bench [-rounds N] [-run REGEXP] [-json FILE] [-page FILE]
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
	"strings"
	"syscall"

	"github.com/go-stek/stek/internal/page"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each variant is measured")
	only := flag.String("run", "", "only the measures whose name matches this regular expression")
	file := flag.String("json", "", "write every sample to this file")
	toPage := flag.String("page", "", "put the table into this page, between its marks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := run(ctx, *rounds, *only)
	if err == nil && *file != "" {
		err = writeJSON(*file, report)
	}
	if err == nil && *toPage != "" {
		var table strings.Builder
		printTable(&table, report)
		err = page.Write(*toPage, "bench", table.String())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only string) (Report, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return Report{}, fmt.Errorf("-run: %w", err)
	}
	if rounds < 3 {
		return Report{}, errors.New("-rounds: a median needs 3 or more")
	}
	wanted := pattern.MatchString
	var all []Sample
	for _, bed := range beds {
		samples, err := bed.measure(ctx, rounds, wanted)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", bed.name, err)
		}
		all = append(all, samples...)
	}
	results := evaluate(rows, all)
	if len(results) == 0 {
		return Report{}, errors.New("no row matches")
	}
	report := Report{Machine: machine(ctx), Rounds: rounds, Samples: all, Rows: results}
	printTable(os.Stdout, report)
	return report, nil
}

func writeJSON(file string, report Report) error {
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
