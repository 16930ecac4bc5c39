package doctor

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	nginxPrefix = regexp.MustCompile(` --prefix=(\S+)`)
	nginxConf   = regexp.MustCompile(` --conf-path=(\S+)`)
)

// checkNginx reads the configuration as nginx would with these arguments.
func (t *target) checkNginx() []string {
	all, ok := t.nginxDirectives()
	var listens, off, none, keys, early []Place
	preserved := map[string]bool{}
	for _, d := range all {
		on := len(d.args) > 0 && d.args[0] == "on"
		switch d.name {
		case "listen":
			if slices.Contains(d.args, "ssl") || slices.Contains(d.args, "quic") {
				listens = append(listens, d.place(""))
			}
		case "ssl":
			if on {
				listens = append(listens, d.place(""))
			}
		case "ssl_session_tickets":
			if len(d.args) > 0 && d.args[0] == "off" {
				off = append(off, d.place("ssl_session_tickets on;"))
			}
		case "ssl_conf_command":
			if len(d.args) < 2 {
				break
			}
			isOff, isNone := confCommand(d.args[0], d.args[1])
			if isOff {
				off = append(off, d.place("(take -SessionTicket out of the line)"))
			}
			if isNone {
				none = append(none, d.place("(delete the line)"))
			}
		case "ssl_session_ticket_key":
			keys = append(keys, d.place(""))
		case "ssl_early_data":
			if on {
				early = append(early, d.place(""))
			}
		case "env":
			if len(d.args) > 0 && len(d.context) == 0 {
				name, _, _ := strings.Cut(d.args[0], "=")
				preserved[name] = true
			}
		}
	}
	if !ok {
		return nil
	}
	if len(listens) == 0 {
		t.noTLS("No listener in this configuration serves TLS", "There is no listen ... ssl in the files that nginx would read.")
	}
	t.off("Session tickets are switched off", off,
		"For a listening address, the server block that is its default decides.")
	t.noTickets13("No TLS 1.3 ticket is issued", none, "")
	t.ownKeys(keys)
	t.earlyData("nginx", "1.22.1", early)
	if len(listens) == 0 {
		return nil
	}
	t.context("nginx", "the certificate",
		"A ticket resumes only where the server block has the same certificates: after a renewal every client makes one full handshake, and hosts share tickets only if they share certificates.")
	if !preserved["LD_PRELOAD"] || !preserved["STEK_TABLE"] {
		t.add(Finding{Note, "upgrade-drops-preload", "A binary upgrade (USR2) would start nginx without stek", nil,
			"nginx passes its environment on only as far as it is told. If you upgrade in this way, add at the top of the main file:", "env LD_PRELOAD;\nenv STEK_TABLE;"})
	}
	return nil
}

// nginxDirectives reports false, after a finding, if the main file cannot be
// read.
func (t *target) nginxDirectives() ([]directive, bool) {
	prefix, conf := "/usr/local/nginx", ""
	if data, err := t.readProgram(); err == nil {
		if m := nginxPrefix.FindSubmatch(data); m != nil {
			prefix = string(m[1])
		}
		if m := nginxConf.FindSubmatch(data); m != nil {
			conf = string(m[1])
		}
	}
	if p, ok := option(t.args(), "-p"); ok {
		prefix = t.abs(p)
	}
	if c, ok := option(t.args(), "-c"); ok {
		conf = c
	}
	if conf == "" {
		conf = "conf/nginx.conf"
	}
	conf = under(prefix, conf)
	n := nginxFiles{files: files{target: t}, dir: filepath.Dir(conf)}
	if g, ok := option(t.args(), "-g"); ok {
		n.parse("command line (-g)", strings.Split(g, "\n"), nil, 0)
	}
	lines := n.lines(conf, false)
	if lines == nil {
		return nil, false
	}
	n.parse(t.abs(conf), lines, nil, 0)
	return n.found, true
}

type nginxFiles struct {
	files
	dir   string // relative includes are relative to the main file's folder
	found []directive
}

// parse adds the directives of one file and of those that it includes.
func (n *nginxFiles) parse(file string, lines []string, context []string, depth int) {
	var words []nginxWord
	s := nginxScanner{lines: lines}
	for {
		w, end := s.next()
		switch end {
		case 0:
			words = append(words, w)
			continue
		case ';', '{':
			if len(words) > 0 {
				d := directive{name: words[0].text, context: slices.Clone(context), file: file, line: words[0].line}
				for _, a := range words[1:] {
					d.args = append(d.args, a.text)
				}
				d.text = strings.Join(append([]string{d.name}, d.args...), " ") + ";"
				if d.name == "include" && len(d.args) == 1 && depth < 20 {
					n.include(d.args[0], context, depth)
				} else {
					n.found = append(n.found, d)
				}
			}
			if end == '{' {
				name := ""
				if len(words) > 0 {
					name = words[0].text
				}
				if strings.HasSuffix(name, "_by_lua_block") {
					s.skipBlock()
				} else {
					context = append(slices.Clone(context), name)
				}
			}
		case '}':
			if len(context) > 0 {
				context = context[:len(context)-1]
			}
		default:
			return
		}
		words = nil
	}
}

func (n *nginxFiles) include(pattern string, context []string, depth int) {
	pattern = under(n.dir, pattern)
	found := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		found = n.glob(pattern)
	}
	for _, file := range found {
		if lines := n.lines(file, false); lines != nil {
			n.parse(file, lines, context, depth+1)
		}
	}
}

type nginxWord struct {
	text string
	line int
}

// A nginxScanner cuts a file into words and the marks ; { }.
type nginxScanner struct {
	lines []string
	row   int
	col   int
}

const endOfFile = 1

// next returns a word and 0, or no word and the mark that came instead.
func (s *nginxScanner) next() (nginxWord, byte) {
	for s.row < len(s.lines) {
		line := s.lines[s.row]
		if s.col >= len(line) || line[s.col] == '#' {
			s.row, s.col = s.row+1, 0
			continue
		}
		switch c := line[s.col]; c {
		case ' ', '\t', '\r':
			s.col++
		case ';', '{', '}':
			s.col++
			return nginxWord{}, c
		case '"', '\'':
			s.col++
			return s.quoted(c), 0
		default:
			return s.bare(), 0
		}
	}
	return nginxWord{}, endOfFile
}

func (s *nginxScanner) quoted(quote byte) nginxWord {
	w := nginxWord{line: s.row + 1}
	var b strings.Builder
	for s.row < len(s.lines) {
		line := s.lines[s.row]
		for s.col < len(line) {
			c := line[s.col]
			s.col++
			if c == '\\' && s.col < len(line) {
				c = line[s.col]
				s.col++
			} else if c == quote {
				w.text = b.String()
				return w
			}
			b.WriteByte(c)
		}
		b.WriteByte('\n')
		s.row, s.col = s.row+1, 0
	}
	w.text = b.String()
	return w
}

func (s *nginxScanner) bare() nginxWord {
	line, start := s.lines[s.row], s.col
	for s.col < len(line) {
		switch c := line[s.col]; {
		case c == '\\':
			s.col++
		case c == '$' && s.col+1 < len(line) && line[s.col+1] == '{':
			s.col++ // ${name} is one word
			for s.col < len(line) && line[s.col] != '}' {
				s.col++
			}
		case strings.IndexByte(" \t\r;{", c) >= 0:
			return nginxWord{line[start:s.col], s.row + 1}
		}
		s.col++
	}
	s.col = min(s.col, len(line))
	return nginxWord{line[start:s.col], s.row + 1}
}

// skipBlock passes over Lua code up to the brace that closes it.
func (s *nginxScanner) skipBlock() {
	for depth := 1; s.row < len(s.lines); s.row, s.col = s.row+1, 0 {
		line := s.lines[s.row]
		var quote byte
		for ; s.col < len(line); s.col++ {
			c := line[s.col]
			if quote != 0 {
				if c == '\\' {
					s.col++
				} else if c == quote {
					quote = 0
				}
				continue
			}
			if strings.HasPrefix(line[s.col:], "--") {
				break
			}
			switch c {
			case '"', '\'':
				quote = c
			case '{':
				depth++
			case '}':
				if depth--; depth == 0 {
					s.col++
					return
				}
			}
		}
	}
}
