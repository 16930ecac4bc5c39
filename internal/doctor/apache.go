package doctor

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	apacheRoot     = regexp.MustCompile(`-D HTTPD_ROOT="([^"]+)"`)
	apacheFile     = regexp.MustCompile(`-D SERVER_CONFIG_FILE="([^"]+)"`)
	apacheVariable = regexp.MustCompile(`\$\{(\w+)\}`)
	apacheOff      = regexp.MustCompile(`(?i)(SSLSessionTickets\s+)"?off"?`)
	apacheExport   = regexp.MustCompile(`(?m)^\s*(?:export\s+)?([A-Z_]+)=["']?([^\s"'$]+)`)
)

// checkApache reads the configuration as Apache httpd would with these
// arguments, and returns the TLS module.
func (t *target) checkApache() []string {
	a, ok := t.apacheDirectives()
	if !ok {
		return nil
	}
	var off, none, keys, engine []Place
	var modules []string
	for _, d := range a.found {
		arg := func(i int) string {
			if i < len(d.args) {
				return strings.ToLower(d.args[i])
			}
			return ""
		}
		switch strings.ToLower(d.name) {
		case "loadmodule":
			if len(d.args) < 2 {
				break
			}
			module := under(a.root, d.args[1])
			switch arg(0) {
			case "ssl_module":
				modules = append(modules, module)
			case "gnutls_module", "nss_module", "tls_module":
				t.add(Finding{Note, "other-tls-module", "Another TLS module is loaded as well", []Place{d.place("")},
					"Tickets of connections that it serves are out of reach: it does not use OpenSSL.", ""})
			}
		case "sslengine":
			if arg(0) != "off" {
				engine = append(engine, d.place(""))
			}
		case "sslsessiontickets":
			if arg(0) == "off" {
				off = append(off, d.place(apacheOff.ReplaceAllString(d.text, "${1}on")))
			}
		case "sslopensslconfcmd":
			isOff, isNone := confCommand(arg(0), arg(1))
			if isOff {
				off = append(off, d.place("(take -SessionTicket out of the line)"))
			}
			if isNone {
				none = append(none, d.place("(delete the line)"))
			}
		case "sslsessionticketkeyfile":
			keys = append(keys, d.place(""))
		}
	}
	if len(modules) == 0 {
		t.noTLS("mod_ssl is not loaded by this configuration", a.whenEnabled())
		return nil
	}
	if len(engine) == 0 {
		t.noTLS("No virtual host in this configuration serves TLS", "mod_ssl is loaded, but SSLEngine is on nowhere.")
	}
	t.off("Session tickets are switched off", off, "Debian's Apache comes with this line.")
	t.noTickets13("No TLS 1.3 ticket is issued", none, "")
	t.ownKeys(keys)
	t.context("Apache", "the virtual host's name and port",
		"Hosts share tickets only if ServerName and port of the virtual host are the same on each. A renewed certificate changes nothing.")
	return modules
}

// whenEnabled tells what a2enmod ssl would bring with it.
func (a *apacheFiles) whenEnabled() string {
	file := filepath.Join(a.root, "mods-available", "ssl.conf")
	lines, err := a.place.lines(file)
	if err != nil {
		return "So this server has no TLS."
	}
	for i, line := range lines {
		if apacheOff.MatchString(withoutComment(line)) {
			p := Place{File: file, Line: i + 1}
			return "So this server has no TLS. a2enmod ssl loads it, and brings a line that switches tickets off: " + p.String() + " (change it to SSLSessionTickets on)."
		}
	}
	return "So this server has no TLS. a2enmod ssl loads it."
}

type apacheFiles struct {
	files
	root    string // ServerRoot
	env     map[string]string
	defined map[string]bool
	found   []directive
}

// apacheDirectives reports false, after a finding, if the main file cannot be
// read.
func (t *target) apacheDirectives() (*apacheFiles, bool) {
	root, conf := "/usr/local/apache2", "conf/httpd.conf"
	if data, err := t.readProgram(); err == nil {
		if m := apacheRoot.FindSubmatch(data); m != nil {
			root = string(m[1])
		}
		if m := apacheFile.FindSubmatch(data); m != nil {
			conf = string(m[1])
		}
	}
	if d, ok := option(t.args(), "-d"); ok {
		root = t.abs(d)
	}
	if f, ok := option(t.args(), "-f"); ok {
		conf = f
	}
	a := &apacheFiles{files: files{target: t}, root: root, env: map[string]string{}, defined: map[string]bool{}}
	for _, name := range options(t.args(), "-D") {
		a.defined[name] = true
	}
	// Debian's control script reads this file before it starts the server.
	if data, err := t.read(under(root, "envvars"), maxConfig); err == nil {
		for _, m := range apacheExport.FindAllSubmatch(data, -1) {
			a.env[string(m[1])] = string(m[2])
		}
	}
	for name, value := range t.env {
		a.env[name] = value
	}
	for _, c := range options(t.args(), "-C") {
		a.parse("command line (-C)", []string{c}, 0)
	}
	conf = under(root, conf)
	lines := a.lines(conf, false)
	if lines == nil {
		return nil, false
	}
	a.parse(conf, lines, 0)
	for _, c := range options(t.args(), "-c") {
		a.parse("command line (-c)", []string{c}, 0)
	}
	return a, true
}

// parse adds the directives of one file and of those that it includes.
func (a *apacheFiles) parse(file string, lines []string, depth int) {
	skipping := 0 // blocks around us whose condition does not hold
	var blocks []bool
	for i := 0; i < len(lines); i++ {
		first := i
		line := lines[i]
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + lines[i]
		}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := apacheWords(a.expand(line))
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(words[0])
		switch {
		case strings.HasPrefix(name, "</"):
			if n := len(blocks); n > 0 {
				if blocks[n-1] {
					skipping--
				}
				blocks = blocks[:n-1]
			}
		case strings.HasPrefix(name, "<"):
			skip := !a.holds(name, words[1:])
			if skip {
				skipping++
			}
			blocks = append(blocks, skip)
		case skipping > 0:
		case (name == "include" || name == "includeoptional") && len(words) > 1:
			a.include(words[1], name == "includeoptional", depth)
		case name == "define" && len(words) > 1:
			a.defined[words[1]] = true
			if len(words) > 2 {
				a.env[words[1]] = words[2]
			}
		case name == "undefine" && len(words) > 1:
			delete(a.defined, words[1])
			delete(a.env, words[1])
		case name == "serverroot" && len(words) > 1:
			a.root = words[1]
		default:
			a.found = append(a.found, directive{name: words[0], args: words[1:], file: file, line: first + 1, text: lines[first]})
		}
	}
}

// holds reports whether the server looks into a block. Blocks that only say
// where their directives apply always hold.
func (a *apacheFiles) holds(block string, args []string) bool {
	if len(args) == 0 {
		return true
	}
	what := strings.TrimSuffix(args[0], ">")
	what, negated := strings.CutPrefix(what, "!")
	switch strings.TrimSuffix(block, ">") {
	case "<ifdefine":
		return a.defined[what] != negated
	case "<ifmodule":
		return a.hasModule(what) != negated
	case "<iffile":
		return a.isFile(under(a.root, what)) != negated
	}
	return true
}

// hasModule knows the modules loaded so far. One we do not know may be built
// in, except the TLS modules.
func (a *apacheFiles) hasModule(name string) bool {
	name = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(name, "_module"), "mod_"), ".c")
	for _, d := range a.found {
		if strings.EqualFold(d.name, "LoadModule") && len(d.args) > 0 && strings.TrimSuffix(d.args[0], "_module") == name {
			return true
		}
	}
	return !slices.Contains([]string{"ssl", "gnutls", "nss", "tls"}, name)
}

func (a *apacheFiles) include(pattern string, optional bool, depth int) {
	if depth > 20 {
		return
	}
	pattern = under(a.root, pattern)
	found := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		found = a.glob(pattern)
		optional = true
	}
	for _, name := range found {
		if inside := a.glob(filepath.Join(name, "*")); len(inside) > 0 {
			for _, file := range inside {
				a.include(file, optional, depth+1)
			}
			continue
		}
		if lines := a.lines(name, optional); lines != nil {
			a.parse(name, lines, depth+1)
		}
	}
}

func (a *apacheFiles) expand(line string) string {
	return apacheVariable.ReplaceAllStringFunc(line, func(v string) string {
		if value, ok := a.env[v[2:len(v)-1]]; ok {
			return value
		}
		return v
	})
}

// apacheWords splits a line at spaces outside quotes.
func apacheWords(line string) []string {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word string
		if q := line[0]; q == '"' || q == '\'' {
			word, line, _ = strings.Cut(line[1:], string(q))
		} else if i := strings.IndexAny(line, " \t"); i >= 0 {
			word, line = line[:i], line[i:]
		} else {
			word, line = line, ""
		}
		words = append(words, word)
	}
	return words
}
