package main

import "slices"

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
