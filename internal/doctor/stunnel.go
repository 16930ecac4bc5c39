package doctor

import "strings"

// checkStunnel reads the configuration file that the command names.
func (t *target) checkStunnel() []string {
	conf := "/etc/stunnel/stunnel.conf"
	for i, a := range t.args() {
		if a == "-fd" {
			t.add(Finding{Unknown, "config-unknown", "stunnel reads its configuration from a descriptor", nil, "So we cannot read it.", ""})
			return nil
		}
		if i == 0 && !strings.HasPrefix(a, "-") {
			conf = a
		}
	}
	s := stunnelFiles{files: files{target: t}, section: "global"}
	s.parse(t.abs(conf), 0)
	if s.failed {
		return nil
	}
	off, resume, keys := s.inServers("options"), s.inServers("sessionresume"), s.inServers("ticketkeysecret")
	var places []Place
	for _, d := range off {
		if strings.EqualFold(d.args[0], "NO_TICKET") {
			places = append(places, d.place("(delete the line)"))
		}
	}
	var none13 []Place
	for _, d := range s.inServers("config") { // COMMAND:PARAMETER
		command, value, _ := strings.Cut(d.args[0], ":")
		isOff, isNone := confCommand(strings.TrimSpace(command), value)
		if isOff {
			places = append(places, d.place("(take -SessionTicket out of the line)"))
		}
		if isNone {
			none13 = append(none13, d.place("(delete the line)"))
		}
	}
	t.off("Session tickets are switched off", places, "")
	t.noTickets13("No TLS 1.3 ticket is issued", none13, "")
	var none []Place
	for _, d := range resume {
		if strings.EqualFold(d.args[0], "no") {
			none = append(none, d.place(strings.Replace(d.text, d.args[0], "yes", 1)))
		}
	}
	t.noTickets13("Sessions are not to be resumed", none,
		"With this line stunnel switches tickets off and tells OpenSSL to issue none in TLS 1.3.")
	var own []Place
	for _, d := range keys {
		own = append(own, Place{File: d.file, Line: d.line}) // the line is a secret
	}
	t.ownKeys(own)
	return nil
}

type stunnelFiles struct {
	files
	section string
	found   []directive
}

func (s *stunnelFiles) parse(file string, depth int) {
	if depth > 5 {
		return
	}
	for i, text := range s.lines(file, false) {
		line := strings.TrimSpace(text)
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			s.section = strings.Trim(line, "[]")
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "include" {
			for _, inside := range s.glob(value + "/*") {
				s.parse(inside, depth+1)
			}
			continue
		}
		s.found = append(s.found, directive{name, []string{value}, []string{s.section}, file, i + 1, text})
	}
}

// inServers returns the settings called name that apply to services which
// accept TLS, those for every service among them.
func (s *stunnelFiles) inServers(name string) []directive {
	client := map[string]bool{}
	for _, d := range s.found {
		if d.name == "client" {
			client[d.context[0]] = strings.EqualFold(d.args[0], "yes")
		}
	}
	var settings []directive
	for _, d := range s.found {
		isClient, said := client[d.context[0]]
		if d.name == name && !(isClient || !said && client["global"]) {
			settings = append(settings, d)
		}
	}
	return settings
}
