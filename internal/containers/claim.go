package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A Claim is one row of the table.
type Claim struct {
	Part  string // matrix, servers, clients or image
	Image *Image
	On    string // what it is about, if that is not the image's name
	Says  string // the claim

	// Check returns what was seen, or why the claim does not hold.
	Check func(ctx context.Context, c *Claim) (seen string, err error)
}

// patience ends a claim that hangs.
const patience = 10 * time.Minute

// A Result is what became of a claim.
type Result struct {
	*Claim
	Seen string
	Err  error
	Took time.Duration
}

// subject is the first column.
func (c *Claim) subject() string {
	if c.On != "" {
		return c.On
	}
	return c.Image.String()
}

// check builds the image of a claim and checks it.
func (c *Claim) check(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := Result{Claim: c}
	start := time.Now()
	if r.Err = c.Image.Build(ctx); r.Err == nil {
		r.Seen, r.Err = c.Check(ctx, c)
	}
	r.Took = time.Since(start)
	return r
}

// atOnce is how many claims are checked at the same time: compilers work, but
// servers and clients mostly wait.
const atOnce = 2

// checkAll checks claims and says each result as it comes. The results are in
// the order of the claims.
func checkAll(ctx context.Context, claims []*Claim, progress io.Writer) []Result {
	results := make([]Result, len(claims))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	var mutex sync.Mutex
	for n, claim := range claims {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			r := claim.check(ctx)
			results[n] = r
			mutex.Lock()
			defer mutex.Unlock()
			fmt.Fprintf(progress, "%-28s %-44s %s (%.0f s)\n", claim.subject(), claim.Says, r.word(), r.Took.Seconds())
			if r.Err != nil {
				fmt.Fprintln(progress, indent(r.Err.Error()))
			}
		})
	}
	wait.Wait()
	return results
}

func (r Result) word() string {
	if r.Err != nil {
		return "FAILED"
	}
	return r.Seen
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// table writes results as a Markdown table.
func table(out io.Writer, results []Result, times bool) {
	head := []string{"image", "claim", "result"}
	if times {
		head = append(head, "seconds")
	}
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range results {
		cells := []string{r.subject(), r.Says, r.word()}
		if times {
			cells = append(cells, fmt.Sprintf("%.0f", r.Took.Seconds()))
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
}
