package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// A Report is what a run came to.
type Report struct {
	Machine Machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Rows    []Result `json:"rows"`
	Samples []Sample `json:"samples"`
}

// readReport reads what writeJSON wrote, and compares its samples anew.
func readReport(file string) (Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Report{}, err
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		return Report{}, fmt.Errorf("read report %s: %w", file, err)
	}
	if report.Rows = evaluate(rows, report.Samples); len(report.Rows) == 0 {
		return Report{}, fmt.Errorf("read report %s: no samples of any row", file)
	}
	return report, nil
}

func writeJSON(file string, report Report) error {
	text, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// printTable writes the report as a Markdown table.
func printTable(out io.Writer, report Report) {
	fmt.Fprintf(out, "%s\n\n| what | against | median (min to max) | stek, median (min to max) | ratio or added (min to max) | goal | |\n%s\n",
		report.Machine, "|"+strings.Repeat("---|", 7))
	met, goals := 0, 0
	for _, r := range report.Rows {
		word := "met"
		switch {
		case r.Goal.Kind == reported:
			word = ""
		case !r.Met:
			word = "NOT MET"
			goals++
		default:
			met, goals = met+1, goals+1
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", r.What, r.Base,
			r.BaseValue.text(r.Unit), r.OursValue.text(r.Unit), r.comparison(), r.Goal.text(r.Unit), word)
	}
	fmt.Fprintf(out, "\n%d of %d goals met, %d rounds each\n", met, goals, report.Rounds)
}

func (s Spread) text(unit string) string {
	return fmt.Sprintf("%s %s (%s to %s)", number(s.Median), unit, number(s.Min), number(s.Max))
}

func (r Result) comparison() string {
	if r.Goal.Kind == addedAtMost {
		return r.Compared.text(r.Unit)
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", r.Compared.Median, r.Compared.Min, r.Compared.Max)
}

func (g Goal) text(unit string) string {
	switch g.Kind {
	case ratioAtMost:
		return fmt.Sprintf("≤ %.2f", g.Limit)
	case ratioAtLeast:
		return fmt.Sprintf("≥ %.2f", g.Limit)
	case addedAtMost:
		return fmt.Sprintf("≤ %s %s", number(g.Limit), unit)
	default:
		return "reported"
	}
}

// number prints three digits or more, and nothing behind the point from 100 on.
func number(value float64) string {
	switch size := math.Abs(value); {
	case size >= 100:
		return fmt.Sprintf("%.0f", value)
	case size >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}
