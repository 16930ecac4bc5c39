package doctor

import (
	"path/filepath"
	"slices"
	"strings"
)

// checkHAProxy reads the files and folders that -f and -- name.
func (t *target) checkHAProxy() []string {
	if dir, ok := option(t.args(), "-C"); ok {
		t.dir = t.abs(dir)
	}
	named := options(t.args(), "-f")
	if i := slices.Index(t.args(), "--"); i >= 0 {
		named = append(named, t.args()[i+1:]...)
	}
	if len(named) == 0 {
		t.add(Finding{Unknown, "config-unknown", "The command names no configuration file", nil,
			"HAProxy has no default. Give the command as it is started, for example: stek doctor -- haproxy -f /etc/haproxy/haproxy.cfg", ""})
		return nil
	}
	f := files{target: t}
	var all []directive
	for _, name := range named {
		list := []string{name}
		if found := t.glob(filepath.Join(name, "*.cfg")); len(found) > 0 {
			list = found
		}
		for _, file := range list {
			all = append(all, haproxyDirectives(t.abs(file), f.lines(file, false))...)
		}
	}
	if f.failed {
		return nil
	}
	t.judgeHAProxy(all)
	return nil
}

// haproxyDirectives has the section's keyword as the context of each.
func haproxyDirectives(file string, lines []string) []directive {
	sections := []string{"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "cache", "program", "ring", "log-forward", "mailers", "http-errors", "fcgi-app", "crt-store", "log-profile", "acme", "traces"}
	var found []directive
	section := ""
	for i, line := range lines {
		words := strings.Fields(withoutComment(line))
		if len(words) == 0 {
			continue
		}
		if slices.Contains(sections, words[0]) {
			section = words[0]
			continue
		}
		found = append(found, directive{words[0], words[1:], []string{section}, file, i + 1, line})
	}
	return found
}

func (t *target) judgeHAProxy(all []directive) {
	var everywhere, here, keys, early []Place
	listeners, switchedOn := 0, 0
	for _, d := range all {
		off := slices.Contains(d.args, "no-tls-tickets")
		switch d.name {
		case "ssl-default-bind-options":
			if off {
				everywhere = append(everywhere, d.place(withoutWord(d.text, "no-tls-tickets")))
			}
		case "bind":
			if !slices.Contains(d.args, "ssl") {
				continue
			}
			listeners++
			if slices.Contains(d.args, "tls-tickets") {
				switchedOn++
			}
			if off {
				here = append(here, d.place(withoutWord(d.text, "no-tls-tickets")))
			}
			if slices.Contains(d.args, "tls-ticket-keys") {
				keys = append(keys, d.place(""))
			}
			if slices.Contains(d.args, "allow-0rtt") {
				early = append(early, d.place(""))
			}
		}
	}
	if listeners == 0 {
		t.noTLS("No bind line in this configuration serves TLS", "There is no bind ... ssl in the files that HAProxy would read.")
	}
	if listeners == 0 || switchedOn < listeners {
		t.off("Session tickets are switched off for all bind lines", everywhere, "Debian's HAProxy comes with this line.")
	}
	t.off("Session tickets are switched off for some bind lines", here, "")
	t.ownKeys(keys)
	t.earlyData("HAProxy", "2.6.12", early)
	if listeners == 0 {
		return
	}
	t.context("HAProxy", "the certificate since August 2026",
		"Releases from then on put issuer, subject and serial number of the certificate into the session: after a renewal every client makes one full handshake, and hosts share tickets only if they share certificates. Older releases do not.")
}

// withoutWord takes one word and the space before it out of a line. A line
// that has nothing left to say is gone.
func withoutWord(line, word string) string {
	i := strings.Index(line, word)
	if i < 0 {
		return line
	}
	left := strings.TrimRight(line[:i], " \t") + line[i+len(word):]
	if len(strings.Fields(withoutComment(left))) < 2 {
		return "(delete the line)"
	}
	return left
}
