package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Severity says what a Finding means for the server.
type Severity int

const (
	Good    Severity = iota // as it should be
	Note                    // works; know this
	Unknown                 // cannot be told from here
	Off                     // the preload is there, but tickets are not used
	Blocks                  // the preload cannot reach the server
)

var severityNames = [...]string{"good", "note", "unknown", "off", "blocks"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText makes JSON carry the name, not the number.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Finding is one fact about a server.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`             // stable, for programs
	Title    string   `json:"title"`            // one line in plain words
	Places   []Place  `json:"places,omitempty"` // where it was found
	Detail   string   `json:"detail,omitempty"` // why, and what it means
	Change   string   `json:"change,omitempty"` // lines to add or to run, exactly
}

// A Place is a line of a file. Text and Change never hold a secret: a line
// that may is not quoted.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`   // 0 is the whole file
	Text   string `json:"text,omitempty"`   // the line as it is
	Change string `json:"change,omitempty"` // the line as it should be
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// A Report is what there is to say about one server, most serious first.
type Report struct {
	Subject  string    `json:"subject"`           // "nginx -c /etc/..." or "process 612"
	Program  string    `json:"program"`           // the file that runs
	Library  string    `json:"library,omitempty"` // "/usr/lib/.../libssl.so.3, OpenSSL 3.0.19"
	Findings []Finding `json:"findings"`
}

// Verdict is the most serious of the findings. A note does not spoil a good
// verdict: Note is never returned.
func (r Report) Verdict() Severity {
	worst := Good
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	if worst == Note {
		return Good
	}
	return worst
}

// Summary is the verdict in a sentence.
func (r Report) Summary() string {
	switch r.Verdict() {
	case Blocks:
		return "stek cannot reach this server."
	case Off:
		if r.onlyNotLoaded() {
			return "stek is not in this process, but would reach it after a restart."
		}
		return "stek can reach this server, but its tickets are not used."
	case Unknown:
		return "Whether stek reaches this server cannot be told from here."
	}
	return "stek reaches this server."
}

// onlyNotLoaded reports that nothing but a start without stek is in the way.
func (r Report) onlyNotLoaded() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Off && f.Code != codeNotLoaded }) &&
		r.Find(codeNotLoaded) != nil
}

// Find returns the first finding with code, or nil.
func (r Report) Find(code string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].Code == code {
			return &r.Findings[i]
		}
	}
	return nil
}

// arrange puts the most serious first and otherwise keeps the order in which
// things were found.
func (r *Report) arrange() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return int(b.Severity - a.Severity) })
}

// maxPlaces is how many places of one finding are printed.
const maxPlaces = 8

// Write prints the report in plain words, at most 78 columns wide except for
// lines quoted from files.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Subject)
	if r.Program != "" {
		fmt.Fprintf(&b, "  program  %s\n", r.Program)
	}
	if r.Library != "" {
		fmt.Fprintf(&b, "  library  %s\n", r.Library)
	}
	fmt.Fprintf(&b, "\n%s\n", r.Summary())
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%-8s %s\n", f.Severity, wrap(f.Title))
		for i, p := range f.Places {
			if i == maxPlaces {
				fmt.Fprintf(&b, "%sand %d more\n", indent, len(f.Places)-i)
				break
			}
			fmt.Fprintf(&b, "%s%s", indent, p)
			if p.Text != "" {
				fmt.Fprintf(&b, ": %s", strings.TrimSpace(p.Text))
			}
			b.WriteByte('\n')
			if p.Change != "" {
				fmt.Fprintf(&b, "%s  change to: %s\n", indent, strings.TrimSpace(p.Change))
			}
		}
		if f.Detail != "" {
			fmt.Fprintf(&b, "%s%s\n", indent, wrap(f.Detail))
		}
		if f.Change != "" {
			fmt.Fprintf(&b, "%s    %s\n", indent, strings.ReplaceAll(f.Change, "\n", "\n"+indent+"    "))
		}
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

// printable keeps what a file or a process says about itself from driving the
// reader's terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '?'
	}, text)
}

const (
	indent = "         "
	width  = 78 - len(indent)
)

// wrap breaks text between words and indents what follows the first line.
func wrap(text string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + indent)
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
