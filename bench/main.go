// Bench measures what tickets cost with stek and without, side by side, and says
// which goals are met.
//
//	go run ./bench [-rounds N] [-run REGEXP] [-json FILE] [-page FILE] [-plots FOLDER]
//	go run ./bench -from FILE [-page FILE] [-plots FOLDER]
//
// Rounds of one measure alternate between its variants, so that what else the
// machine does falls on all of them; a row's ratio is the median of the ratios
// of the rounds. With -from it measures nothing: FILE is what -json has written.
// It runs in the root of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-stek/stek/internal/page"
)

const defaultRounds = 15

// options are the flags; a name that is empty leaves out what it is for.
type options struct {
	rounds                  int
	only                    string
	from, json, page, plots string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", defaultRounds, "how often each variant is measured")
	flag.StringVar(&o.only, "run", "", "only the measures whose name matches this regular expression")
	flag.StringVar(&o.from, "from", "", "measure nothing, take the samples from this file that -json has written")
	flag.StringVar(&o.json, "json", "", "write every sample to this file")
	flag.StringVar(&o.page, "page", "", "put the table into this page, between its marks")
	flag.StringVar(&o.plots, "plots", "", "draw plots into this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.plots != "" {
		if err := gnuplot.find(); err != nil {
			return err
		}
	}
	report, err := o.report(ctx)
	if err != nil {
		return err
	}
	var table strings.Builder
	printTable(&table, report)
	fmt.Print(table.String())
	if o.json != "" {
		if err := writeJSON(o.json, report); err != nil {
			return err
		}
	}
	if o.page != "" {
		if err := page.Write(o.page, "bench", table.String()); err != nil {
			return err
		}
	}
	if o.plots != "" {
		return drawPlots(ctx, o.plots, report)
	}
	return nil
}

// report measures, or reads what was measured.
func (o options) report(ctx context.Context) (Report, error) {
	if o.from == "" {
		return measure(ctx, o.rounds, o.only)
	}
	if o.only != "" || o.rounds != defaultRounds {
		return Report{}, errors.New("-from measures nothing: leave out -run and -rounds")
	}
	return readReport(o.from)
}
