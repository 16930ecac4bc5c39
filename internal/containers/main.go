// Containers checks what stek claims about versions of OpenSSL, servers and
// clients, each in a container of its own, and prints one table.
//
//	go run ./internal/containers [flags] [PART...]
//
// Parts are matrix, servers, clients and image; without one, all. The part clean
// removes the images that were made. It runs in the root of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-stek/stek/internal/page"
)

func main() {
	file := flag.String("page", "", "put the table into this page, between its marks, if all parts have passed")
	rows := flag.String("run", "", "only the rows that match this regular expression")
	list := flag.Bool("list", false, "print the claims, and check none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	only, err := regexp.Compile(*rows)
	if err != nil {
		os.Exit(report(fmt.Errorf("-run: %w", err)))
	}
	os.Exit(run(ctx, flag.Args(), only, *file, *list))
}

var parts = []string{"matrix", "servers", "clients", "image"}

func run(ctx context.Context, names []string, only *regexp.Regexp, file string, list bool) int {
	for _, name := range names {
		if !slices.Contains(parts, name) && name != "clean" {
			fmt.Fprintf(os.Stderr, "containers: no part %q: it is one of %s, clean\n", name, strings.Join(parts, ", "))
			return 2
		}
	}
	claims := chosen(names, only)
	if list {
		for _, c := range claims {
			fmt.Printf("%-8s %-28s %s\n", c.Part, c.subject(), c.Says)
		}
		return 0
	}
	if err := engineAnswers(ctx); err != nil {
		return withoutEngine(claims, err)
	}
	if slices.Contains(names, "clean") {
		return report(removeImages(ctx))
	}
	if file != "" && len(names)+len(only.String()) > 0 {
		return report(errors.New("a page is written of all rows, not of some"))
	}
	if len(claims) == 0 {
		return report(errors.New("no row matches"))
	}
	start := time.Now()
	results, err := check(ctx, claims)
	if err != nil {
		return report(err)
	}
	failed := 0
	for _, r := range results {
		if r.Err != nil {
			failed++
		}
	}
	fmt.Println()
	table(os.Stdout, results, true)
	if failed == 0 && file != "" {
		if err := writePage(file, results); err != nil {
			return report(err)
		}
	}
	fmt.Printf("\n%.0f s in all\n%d passed, %d failed\n", time.Since(start).Seconds(), len(results)-failed, failed)
	return min(failed, 1)
}

// chosen are the claims of the parts, or of all, whose rows match only.
func chosen(names []string, only *regexp.Regexp) (claims []*Claim) {
	for _, c := range slices.Concat(imageClaims(), matrixClaims(), serverClaims(), clientClaims()) {
		row := c.subject() + " " + c.Says
		if (len(names) == 0 || slices.Contains(names, c.Part)) && only.MatchString(row) {
			claims = append(claims, c)
		}
	}
	return claims
}

// check checks claims and leaves nothing behind but images and a cache.
func check(ctx context.Context, claims []*Claim) ([]Result, error) {
	defer removeEverything()
	defer func() { os.RemoveAll(made.folder) }()
	start := time.Now()
	if err := buildOnce(ctx); err != nil {
		return nil, fmt.Errorf("build stek on the oldest Debian: %w", err)
	}
	fmt.Printf("stek and its libraries are built on %s (%.0f s)\n", builder.Suite, time.Since(start).Seconds())
	return checkAll(ctx, claims, os.Stdout), nil
}

// writePage puts results into a page, between its marks, without their times.
func writePage(file string, results []Result) error {
	var b strings.Builder
	table(&b, results, false)
	return page.Write(file, "containers", b.String())
}

// withoutEngine says what is not checked, and why. In CI that is a failure.
func withoutEngine(claims []*Claim, reason error) int {
	if os.Getenv("CI") == "true" {
		fmt.Fprintf(os.Stderr, "containers: no Docker engine answers, and CI needs one: %v\n", reason)
		fmt.Printf("0 passed, %d failed\n", len(claims))
		return 1
	}
	for _, c := range claims {
		fmt.Printf("skipped: %s, %s\n", c.subject(), c.Says)
	}
	fmt.Printf("No Docker engine answers (%v).\n0 passed, 0 failed, %d skipped\n", reason, len(claims))
	return 0
}

func report(err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "containers: %v\n", err)
		return 1
	}
	return 0
}
