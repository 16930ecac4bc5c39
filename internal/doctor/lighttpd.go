package doctor

import (
	"path/filepath"
	"regexp"
	"strings"
)

var (
	lighttpdInclude  = regexp.MustCompile(`^\s*include\s+(.+)$`)
	lighttpdVariable = regexp.MustCompile(`^\s*(?:var\.)?([\w.]+)\s*:?=\s*("[^"]*"(?:\s*\+\s*\S+)*)\s*$`)
	lighttpdModule   = regexp.MustCompile(`"(mod_openssl|mod_gnutls|mod_mbedtls|mod_nss|mod_wolfssl)"`)
	lighttpdOff      = regexp.MustCompile(`"[^"]*-SessionTicket[^"]*"`)
	lighttpdNone     = regexp.MustCompile(`(?i)"NumTickets"\s*=>\s*"0"`)
	lighttpdEngine   = regexp.MustCompile(`ssl\.engine\s*=\s*"enable"`)
	lighttpdStek     = regexp.MustCompile(`ssl\.stek-file\s*=`)
)

// checkLighttpd reads the file that -f names and returns the TLS module.
// What include_shell would print is not seen.
func (t *target) checkLighttpd() []string {
	conf, ok := option(t.args(), "-f")
	if !ok {
		t.add(Finding{Unknown, "config-unknown", "The command names no configuration file", nil,
			"Give the command as it is started, for example: stek doctor -- lighttpd -D -f /etc/lighttpd/lighttpd.conf", ""})
		return nil
	}
	l := lighttpdFiles{files: files{target: t}, variables: map[string]string{}}
	l.parse(t.abs(conf), false, 0)
	if l.failed {
		return nil
	}
	if len(l.engine) == 0 {
		t.noTLS("Nothing in this configuration serves TLS", `There is no ssl.engine = "enable" in the files that lighttpd would read.`)
	}
	for _, module := range l.modules {
		if module.name != "mod_openssl" {
			t.add(Finding{Blocks, "foreign-tls", "This server does its TLS with " + module.name + ", not with OpenSSL", []Place{module.place("")},
				"Its ticket keys are out of reach. Load mod_openssl instead.", ""})
			return nil
		}
	}
	t.off("Session tickets are switched off", l.off, "")
	t.noTickets13("No TLS 1.3 ticket is issued", l.none, "")
	t.ownKeys(l.keys)
	if len(l.engine) == 0 && len(l.modules) == 0 {
		return nil
	}
	dirs := []string{"/usr/lib/lighttpd", "/usr/lib64/lighttpd", "/usr/local/lib/lighttpd", "/usr/local/lib64/lighttpd"}
	if m, ok := option(t.args(), "-m"); ok {
		dirs = []string{t.abs(m)}
	}
	for _, dir := range dirs {
		// lighttpd loads it by itself when ssl.engine is on.
		if file := filepath.Join(dir, "mod_openssl.so"); t.isFile(file) {
			return []string{file}
		}
	}
	t.add(Finding{Unknown, "module-unreadable", "lighttpd's module for OpenSSL was not found", nil,
		"On Debian it is in the package lighttpd-mod-openssl. The command line option -m tells where modules are.", ""})
	return nil
}

type lighttpdFiles struct {
	files
	variables               map[string]string
	modules                 []directive
	engine, off, none, keys []Place
}

func (l *lighttpdFiles) parse(file string, optional bool, depth int) {
	if depth > 20 {
		return
	}
	for i, text := range l.lines(file, optional) {
		line := withoutComment(text)
		here := Place{File: file, Line: i + 1, Text: text}
		if m := lighttpdInclude.FindStringSubmatch(line); m != nil {
			l.include(file, l.value(m[1]), depth)
			continue
		}
		if m := lighttpdVariable.FindStringSubmatch(line); m != nil {
			l.variables[m[1]] = l.value(m[2])
		}
		for _, m := range lighttpdModule.FindAllStringSubmatch(line, -1) {
			l.modules = append(l.modules, directive{name: m[1], file: file, line: i + 1, text: text})
		}
		if lighttpdEngine.MatchString(line) {
			l.engine = append(l.engine, here)
		}
		if lighttpdStek.MatchString(line) {
			l.keys = append(l.keys, here)
		}
		if lighttpdNone.MatchString(line) {
			here.Change = lighttpdNone.ReplaceAllString(text, `"NumTickets" => "2"`)
			l.none = append(l.none, here)
		}
		if lighttpdOff.MatchString(line) {
			here.Change = strings.Replace(text, "-SessionTicket", "SessionTicket", 1)
			l.off = append(l.off, here)
		}
	}
}

func (l *lighttpdFiles) include(from, pattern string, depth int) {
	pattern = under(filepath.Dir(from), pattern)
	found := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		found = l.glob(pattern)
	}
	for _, file := range found {
		l.parse(file, false, depth+1)
	}
}

// value joins the strings and variables of an expression such as
// conf_dir + "/mime.conf".
func (l *lighttpdFiles) value(expression string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(expression, "+") {
		part = strings.TrimSpace(part)
		if text, quoted := strings.CutPrefix(part, `"`); quoted {
			text, _, _ = strings.Cut(text, `"`)
			b.WriteString(text)
		} else {
			b.WriteString(l.variables[strings.TrimPrefix(part, "var.")])
		}
	}
	return b.String()
}
