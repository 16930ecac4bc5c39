package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A Sample is what one round of one variant came to.
type Sample struct {
	Measure string  `json:"measure"`
	Variant string  `json:"variant"`
	Round   int     `json:"round"`
	Value   float64 `json:"value"`
}

// A Goal is what a row has to reach.
type Goal struct {
	Kind  string  `json:"kind"` // ratioAtMost, ratioAtLeast or addedAtMost
	Limit float64 `json:"limit"`
}

const (
	ratioAtMost  = "ratio at most"
	ratioAtLeast = "ratio at least"
	addedAtMost  = "added at most"
	reported     = "reported" // no goal
)

// A Row compares two variants of a measure.
type Row struct {
	What    string `json:"what"`
	Measure string `json:"measure"`
	Base    string `json:"base"`
	Ours    string `json:"ours"`
	Unit    string `json:"unit"`
	Goal    Goal   `json:"goal"`
}

// A Spread is the median of values, and their extremes.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(values []float64) Spread {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return Spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}
}

// A Result is a row with its numbers. Compared is by the row's goal: the ratio
// ours/base, or what ours adds to base, round by round.
type Result struct {
	Row
	BaseValue Spread `json:"base_value"`
	OursValue Spread `json:"ours_value"`
	Compared  Spread `json:"compared"`
	Met       bool   `json:"met"`
}

// evaluate makes results of the rows that have samples.
func evaluate(rows []Row, samples []Sample) (results []Result) {
	type key struct{ measure, variant string }
	values := map[key]map[int]float64{}
	for _, s := range samples {
		k := key{s.Measure, s.Variant}
		if values[k] == nil {
			values[k] = map[int]float64{}
		}
		values[k][s.Round] = s.Value
	}
	for _, row := range rows {
		base, ours := values[key{row.Measure, row.Base}], values[key{row.Measure, row.Ours}]
		var b, o, compared []float64
		for round, value := range base {
			if mine, found := ours[round]; found {
				b, o = append(b, value), append(o, mine)
				compared = append(compared, row.Goal.compare(value, mine))
			}
		}
		if len(compared) == 0 {
			continue
		}
		r := Result{Row: row, BaseValue: spread(b), OursValue: spread(o), Compared: spread(compared)}
		r.Met = row.Goal.met(r.Compared.Median)
		results = append(results, r)
	}
	return results
}

func (g Goal) compare(base, ours float64) float64 {
	if g.Kind == addedAtMost {
		return ours - base
	}
	return ours / base
}

func (g Goal) met(value float64) bool {
	switch g.Kind {
	case ratioAtMost, addedAtMost:
		return value <= g.Limit
	case ratioAtLeast:
		return value >= g.Limit
	default:
		return true
	}
}

// A Report is what a run came to.
type Report struct {
	Machine Machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Rows    []Result `json:"rows"`
	Samples []Sample `json:"samples"`
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
