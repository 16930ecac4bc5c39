package doctor

import (
	"path/filepath"
	"slices"
	"strings"
)

// forwarded are the variables that must survive where a server filters its
// environment.
var forwarded = []string{"LD_PRELOAD", "STEK_TABLE"}

// Postfix's own default of import_environment, see postconf(5).
const postfixEnvironment = "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME"

// checkPostfix reads main.cf and master.cf and returns the daemon that
// handshakes.
func (t *target) checkPostfix() []string {
	dir := "/etc/postfix"
	if d := t.env["MAIL_CONFIG"]; d != "" {
		dir = d
	}
	// The daemons have a -c too; it means chroot.
	if d, ok := option(t.args(), "-c"); ok && filepath.Base(t.argv[0]) == "postfix" {
		dir = t.abs(d)
	}
	f := files{target: t}
	main := postfixSettings(filepath.Join(dir, "main.cf"), f.lines(filepath.Join(dir, "main.cf"), false))
	if f.failed {
		return nil
	}
	overrides, served := postfixOverrides(filepath.Join(dir, "master.cf"), f.lines(filepath.Join(dir, "master.cf"), true))

	t.postfixEnvironment(main, filepath.Join(dir, "main.cf"))
	level, set := lastOf(main, "smtpd_tls_security_level")
	old, _ := lastOf(main, "smtpd_use_tls")
	if !served && (!set || level.args[0] == "none" || level.args[0] == "") && !(old.name != "" && old.args[0] == "yes") {
		t.noTLS("Postfix's server does not offer TLS", "smtpd_tls_security_level is not set, neither in main.cf nor for a service in master.cf.")
	}
	var off []Place
	for _, d := range append(effective(main), overrides...) {
		value := d.args[0]
		switch d.name {
		case "tls_ssl_options":
			if strings.Contains(strings.ToUpper(value), "NO_TICKET") {
				off = append(off, d.place("(take NO_TICKET out of the line)"))
			}
		case "smtpd_tls_session_cache_timeout":
			if value != "" && strings.Trim(value, "0smhdw") == "" && strings.Contains(value, "0") && !strings.ContainsAny(value, "123456789") {
				off = append(off, d.place("(delete the line; the default is 3600s)"))
			}
		}
	}
	t.off("Session tickets are switched off", off, "Postfix issues tickets only while it remembers sessions for a while and the option is not set.")

	daemons := []string{"/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/usr/lib/postfix"}
	if d, ok := lastOf(main, "daemon_directory"); ok && filepath.IsAbs(d.args[0]) {
		daemons = []string{d.args[0]}
	}
	for _, dir := range daemons {
		if file := filepath.Join(dir, "smtpd"); t.isFile(file) {
			return []string{file}
		}
	}
	return nil
}

// postfixEnvironment says whether LD_PRELOAD gets through to the daemons.
func (t *target) postfixEnvironment(main []directive, file string) {
	d, set := lastOf(main, "import_environment")
	value := postfixEnvironment
	if set {
		value = d.args[0]
	}
	missing := t.environmentIs(value)
	if len(missing) == 0 {
		return
	}
	f := Finding{Blocks, "environment-filtered", "Postfix keeps LD_PRELOAD from its daemons", nil,
		"master cleans the environment down to what import_environment names. It must name " + strings.Join(missing, " and ") + ", in " + file + ". " +
			"STEK_TABLE must be a path there, that of stek agent: master closes the files that stek run leaves open.", ""}
	line := "import_environment = " + strings.Join(append(strings.Fields(strings.ReplaceAll(value, ",", " ")), missing...), " ")
	switch {
	case set && isSecretName(value):
		f.Places = []Place{{File: d.file, Line: d.line, Change: "(add at the end: " + strings.Join(missing, " ") + ")"}}
	case set:
		f.Places = []Place{d.place(line)}
	default:
		f.Change = line
	}
	t.add(f)
}

// environmentIs takes in that a server cleans its environment down to a list of
// names or NAME=value, and returns the variables of stek that the list lacks.
func (t *target) environmentIs(list string) []string {
	if len(notNamed(list, "OPENSSL_CONF")) > 0 {
		delete(t.env, "OPENSSL_CONF")
	}
	return notNamed(list, forwarded...)
}

// notNamed returns the names that a list of names or NAME=value lacks.
func notNamed(list string, names ...string) []string {
	var missing []string
	for _, name := range names {
		if !slices.ContainsFunc(strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }), func(word string) bool {
			word, _, _ = strings.Cut(word, "=")
			return word == name
		}) {
			missing = append(missing, name)
		}
	}
	return missing
}

// postfixSettings reads main.cf: name = value, continued by lines that begin
// with a space.
func postfixSettings(file string, lines []string) []directive {
	var found []directive
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(found); n > 0 {
				found[n-1].args[0] = strings.TrimSpace(found[n-1].args[0] + " " + trimmed)
			}
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			found = append(found, directive{name: strings.TrimSpace(name), args: []string{strings.TrimSpace(value)}, file: file, line: i + 1, text: line})
		}
	}
	return found
}

// effective leaves out the settings that a later one replaces.
func effective(all []directive) []directive {
	var last []directive
	for _, d := range all {
		if l, ok := lastOf(all, d.name); ok && l.line == d.line {
			last = append(last, d)
		}
	}
	return last
}

func lastOf(all []directive, name string) (directive, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].name == name {
			return all[i], true
		}
	}
	return directive{}, false
}

// postfixOverrides returns the settings made by -o in master.cf. served
// reports that one of them makes a service offer TLS.
func postfixOverrides(file string, lines []string) (found []directive, served bool) {
	for i, line := range lines {
		words := strings.Fields(line)
		for j, word := range words {
			if strings.HasPrefix(word, "#") {
				break
			}
			if word != "-o" || j+1 == len(words) {
				continue
			}
			name, value, _ := strings.Cut(words[j+1], "=")
			found = append(found, directive{name: name, args: []string{value}, file: file, line: i + 1, text: line})
			served = served || name == "smtpd_tls_wrappermode" && value == "yes" || name == "smtpd_tls_security_level" && value != "none"
		}
	}
	return found, served
}
