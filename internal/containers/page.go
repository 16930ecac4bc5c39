package main

import (
	"fmt"
	"os"
	"strings"
)

// The marks of a page, between which the table is.
const (
	pageBegin = "<!-- containers -->\n"
	pageEnd   = "<!-- /containers -->\n"
)

// writePage puts results into a page, between its marks.
func writePage(file string, results []Result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, begin := strings.Cut(string(text), pageBegin)
	_, tail, end := strings.Cut(rest, pageEnd)
	if !begin || !end {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	var b strings.Builder
	table(&b, results, false)
	return os.WriteFile(file, []byte(head+pageBegin+b.String()+pageEnd+tail), 0o644)
}
