package doctor

import (
	"path/filepath"
	"strings"
)

// dataConnections adds a note about an FTP server that wants a data connection
// to resume the session of its control connection: stek lets a ticket resume only
// under its server name, and some clients send none on data connections.
func (t *target) dataConnections(server string, places []Place, unless string) {
	if t.env["STEK_NAME_GROUP"] != "" {
		return
	}
	t.add(Finding{Note, "data-connections", "Some clients' data connections would fail: set a name group", places,
		server + " wants a data connection to resume the session of its control connection" + unless + ". " +
			"With stek a ticket resumes only under the server name that it was issued for, and there are clients that send one on the control connection alone. " +
			"Let tickets resume under every name, by stek run --name-group ftp or in the environment:", "STEK_NAME_GROUP=ftp"})
}

// checkVsftpd reads the files and -o options of the command line.
func (t *target) checkVsftpd() []string {
	var conf []string
	var all []directive
	f := files{target: t}
	for _, arg := range t.args() {
		if option, ok := strings.CutPrefix(arg, "-o"); ok {
			all = append(all, settings("command line", []string{option})...)
		} else if !strings.HasPrefix(arg, "-") {
			conf = append(conf, arg)
			all = append(all, settings(t.abs(arg), f.lines(arg, false))...)
		}
	}
	if len(conf) == 0 {
		all = append(settings("/etc/vsftpd.conf", f.lines("/etc/vsftpd.conf", false)), all...)
	}
	if f.failed {
		return nil
	}
	on := func(name string, otherwise bool) (directive, bool) {
		d, set := lastOf(all, name)
		if !set {
			return d, otherwise
		}
		return d, strings.EqualFold(d.args[0], "yes") || strings.EqualFold(d.args[0], "true") || d.args[0] == "1"
	}
	if _, tls := on("ssl_enable", false); !tls {
		t.noTLS("vsftpd does not offer TLS", "ssl_enable is not YES in the files that it would read.")
		return nil
	}
	if d, reuse := on("require_ssl_reuse", true); reuse {
		var places []Place
		if d.file != "" {
			places = []Place{d.place("")}
		}
		t.dataConnections("vsftpd", places, " unless require_ssl_reuse is NO")
	}
	return nil
}

// settings are the lines name=value of a file that has # in front of comments.
func settings(file string, lines []string) []directive {
	var found []directive
	for i, line := range lines {
		name, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") {
			found = append(found, directive{name: name, args: []string{strings.TrimSpace(value)}, file: file, line: i + 1, text: line})
		}
	}
	return found
}

// checkProFTPD reads the configuration and returns the TLS module.
func (t *target) checkProFTPD() []string {
	conf := "/etc/proftpd/proftpd.conf"
	for _, name := range []string{"-c", "--config"} {
		if c, ok := option(t.args(), name); ok {
			conf = c
		}
	}
	p := proftpdFiles{files: files{target: t}}
	p.parse(t.abs(conf), 0)
	if p.failed {
		return nil
	}
	module := p.module()
	on, reuse := false, true
	for _, d := range p.found {
		words := strings.ToLower(strings.Join(d.args, " "))
		switch d.name {
		case "tlsengine":
			on = on || words == "on"
		case "tlsoptions":
			reuse = reuse && !strings.Contains(words, "nosessionreuserequired")
		}
	}
	if module == "" || !on {
		t.noTLS("ProFTPD does not offer TLS", "It needs LoadModule mod_tls.c and TLSEngine on.")
		return nil
	}
	if reuse {
		t.dataConnections("ProFTPD", nil, " unless TLSOptions has NoSessionReuseRequired")
	}
	return []string{module}
}

type proftpdFiles struct {
	files
	found []directive // with names in lower case
}

func (p *proftpdFiles) parse(file string, depth int) {
	if depth > 10 {
		return
	}
	for i, text := range p.lines(file, depth > 0) {
		words := strings.Fields(withoutComment(text))
		if len(words) < 2 {
			continue
		}
		name := strings.ToLower(words[0])
		if name != "include" {
			p.found = append(p.found, directive{name: name, args: words[1:], file: file, line: i + 1, text: text})
			continue
		}
		found := append(p.glob(words[1]), p.glob(filepath.Join(words[1], "*"))...)
		for _, inside := range found {
			p.parse(inside, depth+1)
		}
	}
}

// module is the file of mod_tls, or "" if it is not loaded.
func (p *proftpdFiles) module() string {
	folder, loaded := "/usr/lib/proftpd", false
	for _, d := range p.found {
		switch d.name {
		case "modulepath":
			folder = d.args[0]
		case "loadmodule":
			loaded = loaded || d.args[0] == "mod_tls.c"
		}
	}
	if !loaded {
		return ""
	}
	return filepath.Join(folder, "mod_tls.so")
}
