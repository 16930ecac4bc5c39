package doctor

import (
	"path/filepath"
	"slices"
	"strings"
)

// checkDovecot reads the configuration and returns the module that Dovecot's
// login processes load for TLS.
func (t *target) checkDovecot() []string {
	conf := "/etc/dovecot/dovecot.conf"
	if c, ok := option(t.args(), "-c"); ok {
		conf = c
	}
	d := dovecotFiles{files: files{target: t}}
	d.parse(t.abs(conf), false, 0)
	if !d.failed {
		t.judgeDovecot(d)
	}
	for _, dir := range []string{"/usr/lib/dovecot/modules", "/usr/lib64/dovecot", "/usr/lib/dovecot", "/usr/local/lib/dovecot"} {
		if file := filepath.Join(dir, "libssl_iostream_openssl.so"); t.isFile(file) {
			return []string{file}
		}
	}
	return nil
}

func (t *target) judgeDovecot(d dovecotFiles) {
	if ssl, ok := lastOf(d.found, "ssl"); ok && ssl.args[0] == "no" {
		t.add(Finding{Off, codeNoTLS, "Dovecot does not offer TLS", []Place{ssl.place("ssl = yes")}, "", ""})
	}
	var off []Place
	for _, s := range d.found {
		if s.name == "ssl_options" && strings.Contains(strings.ToLower(s.args[0]), "no_ticket") {
			off = append(off, s.place("(take no_ticket out of the line)"))
		}
	}
	t.off("Session tickets are switched off", off, "")
	t.dovecotEnvironment(d)
}

// dovecotEnvironment says whether LD_PRELOAD gets through to the login
// processes. Dovecot 2.3 has a list of names, 2.4 a block of settings.
func (t *target) dovecotEnvironment(d dovecotFiles) {
	const blockName = "import_environment"
	list, hasList := lastOf(d.found, blockName)
	var names []string
	if hasList {
		names = strings.Fields(list.args[0])
	}
	for _, s := range d.found {
		if name, ok := strings.CutPrefix(s.name, blockName+"/"); ok {
			names = append(names, name)
		} else if s.in(blockName) {
			names = append(names, s.name)
		}
	}
	missing := t.environmentIs(strings.Join(names, " "))
	if len(missing) == 0 {
		return
	}
	f := Finding{Blocks, "environment-filtered", "Dovecot keeps LD_PRELOAD from its login processes", nil,
		"It cleans the environment down to what import_environment names, in " + d.read[0] + " or a file it includes:", ""}
	_, isNew := lastOf(d.found, "dovecot_config_version")
	switch {
	case isNew:
		f.Change = blockName + " {\n"
		for _, name := range missing {
			f.Change += "  " + name + " = %{env:" + name + "}\n"
		}
		f.Change += "}"
	case hasList && isSecretName(list.args[0]):
		f.Places = []Place{{File: list.file, Line: list.line, Change: "(add at the end: " + strings.Join(missing, " ") + ")"}}
	case hasList:
		f.Places = []Place{list.place(strings.TrimSpace(withoutComment(list.text)) + " " + strings.Join(missing, " "))}
	default:
		f.Change = blockName + " = $import_environment " + strings.Join(missing, " ")
	}
	t.add(f)
}

type dovecotFiles struct {
	files
	found []directive
}

func (d *dovecotFiles) parse(file string, optional bool, depth int) {
	if depth > 10 {
		return
	}
	var blocks []string
	for i, text := range d.lines(file, optional) {
		line := strings.TrimSpace(withoutComment(text))
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && (words[0] == "!include" || words[0] == "!include_try"):
			d.include(file, words[1], words[0] == "!include_try", depth)
		case strings.HasSuffix(line, "{"):
			blocks = append(blocks, words[0])
		case line == "}":
			blocks = blocks[:max(len(blocks)-1, 0)]
		default:
			if name, value, ok := strings.Cut(line, "="); ok {
				d.found = append(d.found, directive{strings.TrimSpace(name), []string{strings.TrimSpace(value)}, slices.Clone(blocks), file, i + 1, text})
			}
		}
	}
}

func (d *dovecotFiles) include(from, pattern string, optional bool, depth int) {
	pattern = under(filepath.Dir(from), pattern)
	found := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		found = d.glob(pattern)
	}
	for _, file := range found {
		d.parse(file, optional, depth+1)
	}
}
