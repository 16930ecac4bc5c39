package doctor

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	opensslDir      = regexp.MustCompile(`OPENSSLDIR: "([^"]+)"`)
	opensslVariable = regexp.MustCompile(`\$(?:\{([\w:.]+)\}|\(([\w:.]+)\)|([\w:]+))`)
)

// checkOpenSSLConf reads the file that libcrypto reads by itself, config(5): what
// it says of TLS holds for every server.
func (t *target) checkOpenSSLConf(libcrypto *library) {
	file, named := t.env["OPENSSL_CONF"]
	application := "openssl_conf"
	if base := filepath.Base(t.program); base == "node" || base == "nodejs" {
		var own string
		if application, own = t.nodeConf(); own != "" {
			file, named = own, true
		}
	}
	if !named && libcrypto != nil {
		if data, err := t.read(libcrypto.path, maxProgram); err == nil {
			if m := opensslDir.FindSubmatch(data); m != nil {
				file = filepath.Join(string(m[1]), "openssl.cnf")
			}
		}
	}
	if file == "" {
		return
	}
	c := newOpensslConf(t)
	c.parse(t.abs(file), 0)
	var off, none []Place
	for _, d := range c.commands(application) {
		isOff, isNone := confCommand(d.name, d.args[0])
		if isOff {
			off = append(off, d.place("(take -SessionTicket out of the line)"))
		}
		if isNone {
			none = append(none, d.place("(delete the line)"))
		}
	}
	t.off("OpenSSL's own configuration switches session tickets off", off, "It holds for every program that reads this file.")
	t.noTickets13("OpenSSL's own configuration has no TLS 1.3 ticket issued", none, "It holds for every program that reads this file.")
}

// nodeConf returns the setting that Node.js begins with, which is one of its own
// unless it is told otherwise, and the file that its options name, or "".
func (t *target) nodeConf() (application, file string) {
	application = "nodejs_conf"
	for _, option := range append(strings.Fields(t.env["NODE_OPTIONS"]), t.args()...) {
		if option == "--openssl-shared-config" {
			application = "openssl_conf"
		}
		if path, ok := strings.CutPrefix(option, "--openssl-config="); ok {
			file = path
		}
	}
	return application, file
}

type opensslConf struct {
	files
	section string // the one that lines belong to now
	dir     string // of relative includes
	found   []directive
	values  map[opensslName]string
}

type opensslName struct{ section, name string }

func newOpensslConf(t *target) *opensslConf {
	return &opensslConf{files: files{target: t}, section: "default", dir: t.env["OPENSSL_CONF_INCLUDE"], values: map[opensslName]string{}}
}

// commands are those that libssl runs on every context: the section that
// system_default names, in the one that ssl_conf names, in the one that
// application names, which is openssl_conf for most.
func (c *opensslConf) commands(application string) []directive {
	modules, ok := c.values[opensslName{"default", application}]
	if !ok {
		return nil
	}
	for _, module := range c.in(modules) {
		if name, _, _ := strings.Cut(module.name, "."); name != "ssl_conf" {
			continue
		}
		section, ok := c.values[opensslName{module.args[0], "system_default"}]
		if !ok {
			continue
		}
		commands := c.in(section)
		for i := range commands { // 1.Options and 2.Options are two of a kind
			commands[i].name = commands[i].name[strings.LastIndexByte(commands[i].name, '.')+1:]
		}
		return commands
	}
	return nil
}

// in are the settings of a section. A later one replaces one of the same name.
func (c *opensslConf) in(section string) []directive {
	var list []directive
	seen := map[string]bool{}
	for _, d := range slices.Backward(c.found) {
		if d.context[0] == section && !seen[d.name] {
			seen[d.name] = true
			list = append(list, d)
		}
	}
	slices.Reverse(list)
	return list
}

// parse adds the settings of one file and of those that it includes. A section
// goes on after an include.
func (c *opensslConf) parse(file string, depth int) {
	if depth > 10 {
		return
	}
	lines := c.lines(file, true) // libcrypto goes on without one, too
	for i := 0; i < len(lines); i++ {
		first := i
		line := withoutComment(lines[i])
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + withoutComment(lines[i])
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			c.section = strings.TrimSpace(strings.Trim(line, "[]"))
			continue
		}
		name, value, assigned := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), c.expand(strings.Trim(strings.TrimSpace(value), `"'`))
		if path, ok := strings.CutPrefix(name, ".include"); ok {
			c.include(strings.TrimSpace(c.expand(path)+value), depth)
			continue
		}
		if pragma, ok := strings.CutPrefix(name, ".pragma"); ok {
			dir, ok := strings.CutPrefix(strings.TrimSpace(pragma+value), "includedir:")
			if ok && c.env["OPENSSL_CONF_INCLUDE"] == "" {
				c.dir = dir
			}
			continue
		}
		if !assigned {
			continue
		}
		section := c.section
		if other, rest, ok := strings.Cut(name, "::"); ok {
			section, name = other, rest
		}
		c.found = append(c.found, directive{name, []string{value}, []string{section}, file, first + 1, lines[first]})
		c.values[opensslName{section, name}] = value
	}
}

// include reads a file, or every .cnf and .conf in a folder.
func (c *opensslConf) include(path string, depth int) {
	if c.dir != "" {
		path = under(c.dir, path)
	}
	found := append(c.glob(filepath.Join(path, "*.cnf")), c.glob(filepath.Join(path, "*.conf"))...)
	if len(found) == 0 {
		found = []string{path}
	}
	for _, file := range found {
		c.parse(c.abs(file), depth+1)
	}
}

// opensslValue is how long a value may become, as for libcrypto.
const opensslValue = 65536

// expand replaces $name, ${section::name} and $ENV::NAME.
func (c *opensslConf) expand(text string) string {
	long := 0
	return opensslVariable.ReplaceAllStringFunc(text, func(v string) string {
		value := c.variable(strings.Trim(v, "${}()"))
		if long += len(value); long > opensslValue {
			return ""
		}
		return value
	})
}

func (c *opensslConf) variable(name string) string {
	section, name, ok := strings.Cut(name, "::")
	if !ok {
		section, name = c.section, section
	}
	if section == "ENV" {
		return c.env[name]
	}
	if value, ok := c.values[opensslName{section, name}]; ok {
		return value
	}
	return c.values[opensslName{"default", name}]
}
