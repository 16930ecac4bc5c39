package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var gnuplot = debianProgram{"/usr/bin/gnuplot", "gnuplot-nox"}

//go:embed plots/*.gp
var plotScripts embed.FS

// A plot is drawn by scripts that gnuplot reads one after the other. They find
// the lines of data in $data, with tabs between fields.
type plot struct {
	name    string
	scripts []string
	data    func(Report) []string // none if their samples were not measured
}

var plots = []plot{
	{"ratios", []string{"style", "ratios"}, ratioLines},
	{"callback", []string{"style", "callback", "bars"}, callbackLines},
	{"keys", []string{"style", "keys"}, keysLines},
	{"rotation", []string{"style", "rotation", "bars"}, rotationLines},
}

// drawPlots writes NAME.svg into the folder for each plot whose samples were
// measured. It is an error if there is none.
func drawPlots(ctx context.Context, folder string, report Report) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	drawn := 0
	for _, p := range plots {
		lines := p.data(report)
		if len(lines) == 0 {
			continue
		}
		svg, err := p.draw(ctx, lines)
		if err != nil {
			return fmt.Errorf("plot %s: %w", p.name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, p.name+".svg"), svg, 0o644); err != nil {
			return err
		}
		drawn++
	}
	if drawn == 0 {
		return errors.New("no plot can be drawn: none of their measures was measured")
	}
	return nil
}

func (p plot) draw(ctx context.Context, lines []string) ([]byte, error) {
	var input, stdout, stderr bytes.Buffer
	fmt.Fprintf(&input, "$data << END\n%s\nEND\n", strings.Join(lines, "\n"))
	for _, name := range p.scripts {
		text, err := plotScripts.ReadFile("plots/" + name + ".gp")
		if err != nil {
			return nil, err
		}
		input.Write(text)
	}
	cmd := exec.CommandContext(ctx, gnuplot.path, "--default-settings", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &input, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, &stderr)
	}
	return stdout.Bytes(), nil
}

// ratioLines are of the rows whose goal is a ratio: name, goal, whether it is
// met, its limit; median, minimum and maximum of the ratio.
func ratioLines(report Report) (lines []string) {
	for _, r := range report.Rows {
		if r.Goal.Kind != ratioAtMost && r.Goal.Kind != ratioAtLeast {
			continue
		}
		goal, met := r.Goal.text(r.Unit)+", not met", 0
		if r.Met {
			goal, met = r.Goal.text(r.Unit), 1
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%g%s", r.What, goal, met, r.Goal.Limit, r.Compared.fields()))
	}
	return lines
}

// callbackLines are of the peers: name, encrypt, decrypt.
func callbackLines(report Report) (lines []string) {
	for _, peer := range []string{"built-in keys", "man page", "stek, EVP", "stek", "keyed anew", "floor"} {
		lines = report.appendLine(lines, peer, series{"alone-encrypt", peer}, series{"alone-decrypt", peer})
	}
	return lines
}

// keysLines are of the numbers of keys in the table: number, encrypt, decrypt.
func keysLines(report Report) (lines []string) {
	var numbers []int
	for _, s := range report.Samples {
		number, isKeys := strings.CutSuffix(s.Variant, " keys")
		if n, err := strconv.Atoi(number); s.Measure == "keys-encrypt" && isKeys && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		variant := fmt.Sprintf("%d keys", n)
		lines = report.appendLine(lines, strconv.Itoa(n), series{"keys-encrypt", variant}, series{"keys-decrypt", variant})
	}
	return lines
}

// rotationLines are of percentiles: name, without rotation, with.
func rotationLines(report Report) (lines []string) {
	for _, p := range []struct{ name, measure string }{
		{"p50", "rotation-p50"}, {"p99", "rotation-p99"}, {"p99.9", "rotation-p999"},
	} {
		lines = report.appendLine(lines, p.name, series{p.measure, "no rotation"}, series{p.measure, "every 100 ms"})
	}
	return lines
}

// A series is the samples of a variant.
type series struct{ measure, variant string }

// appendLine appends a line of a name and two times median, minimum and maximum,
// if there are samples of both.
func (r Report) appendLine(lines []string, name string, first, second series) []string {
	a, b := r.values(first), r.values(second)
	if len(a) == 0 || len(b) == 0 {
		return lines
	}
	return append(lines, name+spread(a).fields()+spread(b).fields())
}

func (r Report) values(of series) (values []float64) {
	for _, s := range r.Samples {
		if s.Measure == of.measure && s.Variant == of.variant {
			values = append(values, s.Value)
		}
	}
	return values
}

// fields are those of a line, each behind a tab.
func (s Spread) fields() string {
	return fmt.Sprintf("\t%g\t%g\t%g", s.Median, s.Min, s.Max)
}
