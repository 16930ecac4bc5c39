package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
)

// codeNoTLS is the finding of a server that is configured without TLS.
const codeNoTLS = "no-tls-configured"

// A directive is one setting in a configuration file.
type directive struct {
	name    string
	args    []string
	context []string // names of the blocks around it, outermost first
	file    string
	line    int
	text    string // it, or the first line of it, as it stands in the file
}

func (d directive) place(change string) Place {
	return Place{File: d.file, Line: d.line, Text: d.text, Change: change}
}

// in reports whether a block called name is around the directive.
func (d directive) in(name string) bool {
	for _, c := range d.context {
		if c == name {
			return true
		}
	}
	return false
}

// files are the configuration files of one server, as far as they were read.
type files struct {
	*target
	read   []string
	failed bool // one could not be read, and that was said
}

// lines reads one more file. If that cannot be done it returns nil, after a
// finding unless the file is optional.
func (f *files) lines(path string, optional bool) []string {
	if len(f.read) >= maxFiles {
		return nil
	}
	lines, err := f.place.lines(path)
	if err != nil {
		if !optional {
			f.failed = true
			f.add(Finding{Unknown, "config-unreadable", "A configuration file cannot be read", []Place{{File: f.abs(path)}}, err.Error() + ".", ""})
		}
		return nil
	}
	f.read = append(f.read, f.abs(path))
	return lines
}

// off adds the finding that session tickets are switched off, in a way that
// the preload can undo.
func (t *target) off(title string, places []Place, detail string) {
	if len(places) == 0 {
		return
	}
	f := Finding{Off, "tickets-off", title, places, detail, ""}
	if t.forced() {
		f.Severity, f.Code = Note, "tickets-forced"
		f.Title += ", and stek will switch them on"
		f.Detail = "because STEK_FORCE_TICKETS is 1."
	} else {
		f.Detail = strings.TrimSpace(f.Detail + " If the line must stay, STEK_FORCE_TICKETS=1 in the environment makes stek switch them on.")
	}
	t.add(f)
}

// noTickets13 adds the finding that OpenSSL is told to issue no TLS 1.3 ticket,
// which the preload can undo as well.
func (t *target) noTickets13(title string, places []Place, detail string) {
	if len(places) == 0 {
		return
	}
	f := Finding{Off, "num-tickets", title, places, detail, ""}
	if t.forced() {
		f.Severity, f.Code = Note, "tickets-forced"
		f.Title += ", and stek will have them issued"
		f.Detail = "because STEK_FORCE_TICKETS is 1."
	}
	t.add(f)
}

// confCommand says what a command of SSL_CONF_cmd(3), as configuration files
// have them, does to tickets: it switches them off, or has none issued in TLS 1.3.
func confCommand(name, value string) (off, none bool) {
	switch strings.ToLower(name) {
	case "options":
		for option := range strings.SplitSeq(strings.ToLower(value), ",") {
			switch strings.TrimPrefix(strings.TrimSpace(option), "+") {
			case "-sessionticket":
				off = true
			case "sessionticket":
				off = false
			}
		}
	case "numtickets":
		none = strings.TrimSpace(value) == "0"
	}
	return off, none
}

// noTLS adds the finding that nothing in the configuration serves TLS.
func (t *target) noTLS(title, detail string) {
	t.add(Finding{Off, codeNoTLS, title, nil, detail, ""})
}

// ownKeys adds a note about keys that stek's will replace.
func (t *target) ownKeys(places []Place) {
	if len(places) > 0 {
		t.add(Finding{Note, "own-keys", "Ticket keys set here are not used while stek is loaded", places,
			"stek's keys take their place. Tickets under the old keys are refused, so each client makes one full handshake after the change.", ""})
	}
}

// context adds a note about what a ticket is bound to besides its key.
func (t *target) context(server, boundTo, effect string) {
	t.add(Finding{Note, "session-context", server + " binds tickets to " + boundTo, nil, effect, ""})
}

// earlyData adds a note about 0-RTT in a server that switches OpenSSL's replay
// protection off.
func (t *target) earlyData(server, seen string, places []Place) {
	if len(places) > 0 {
		t.add(Finding{Note, "early-data", "0-RTT is on", places,
			fmt.Sprintf("%s switches OpenSSL's replay protection off with it (seen with %s), so tickets stay in use. "+
				"Were it on, OpenSSL would keep TLS 1.3 sessions on the server and never ask stek. "+
				"Early data can be replayed, on every host that has the same keys.", server, seen), ""})
	}
}

// option returns the value of a command line option with a word of its own or
// in the same word ("-c FILE", "-cFILE"), the last one if there are several.
func option(args []string, name string) (value string, found bool) {
	values := options(args, name)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

func options(args []string, name string) []string {
	var values []string
	for i := 0; i < len(args); i++ {
		if args[i] == name && i+1 < len(args) {
			i++
			values = append(values, args[i])
		} else if v, ok := strings.CutPrefix(args[i], name); ok && v != "" && !strings.HasPrefix(name, "--") && len(name) == 2 {
			values = append(values, v)
		}
	}
	return values
}

// under returns path, or path inside dir if it is relative.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// withoutComment cuts a line at a # outside quotes.
func withoutComment(line string) string {
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\\':
			i++
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return line[:i]
		}
	}
	return line
}
