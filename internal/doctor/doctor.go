// Package doctor tells in plain words whether stek's preload reaches a server,
// and what stands in the way: a TLS library that is linked in statically, a
// setuid bit, session tickets that are switched off in the configuration, an
// environment that is filtered on the way to the process that handshakes.
//
// It runs no other program, not the server and not the tools that come with
// it: it reads ELF files, the dynamic linker's cache, configuration files and
// /proc. So it is harmless on a machine in production, and works on a process
// in a container whose programs are not ours to run. The price is that it
// reads each configuration language just far enough; what a server computes
// (Lua, templates, include_shell) it does not see.
package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A target is what is examined: a command that somebody wants to run, or one
// that runs already.
type target struct {
	place
	argv    []string
	env     map[string]string
	program string // path of the file that will run, inside place
	image   string // where to read that file if not there: /proc/PID/exe
	report  *Report
}

// forced reports that the preload is told to switch tickets on where the
// server has them off.
func (t *target) forced() bool { return t.env["STEK_FORCE_TICKETS"] == "1" }

func (t *target) add(f Finding) { t.report.Findings = append(t.report.Findings, f) }

// readProgram returns the program file. A process may run one that its place
// no longer has.
func (t *target) readProgram() ([]byte, error) {
	if t.image != "" {
		return place{}.read(t.image, maxProgram)
	}
	return t.read(t.program, maxProgram)
}

// args returns what follows the program's name.
func (t *target) args() []string {
	if len(t.argv) == 0 {
		return nil
	}
	return t.argv[1:]
}

// Command examines the server that argv would start in the environment
// environ (as in os.Environ) and the current directory. Wrappers such as env
// and nice are followed as far as their words tell. The error says that there
// is no such program; whatever is found out about one is in the Report.
func Command(argv []string, environ []string) (Report, error) {
	if len(argv) == 0 {
		return Report{}, errors.New("examine command: no command")
	}
	dir, err := os.Getwd()
	if err != nil {
		return Report{}, fmt.Errorf("examine %s: %w", argv[0], err)
	}
	report := Report{Subject: shownCommand(argv)}
	t := &target{place: place{dir: dir}, argv: slices.Clone(argv), env: envMap(environ), report: &report}
	known, err := t.follow()
	if err != nil {
		return Report{}, err
	}
	if !known {
		report.arrange()
		return report, nil
	}
	report.Program = t.program
	t.checkPrivileges()
	t.checkFile(nil)
	t.hintUnit()
	report.arrange()
	return report, nil
}

// checkFile examines the program file, its libraries and its configuration.
// mapped are the libraries of a process that runs.
func (t *target) checkFile(mapped []library) {
	data, err := t.readProgram()
	var obj object
	if err == nil {
		obj, err = readObject(bytes.NewReader(data), t.program)
	}
	if err != nil {
		t.add(Finding{Unknown, "not-elf", "This is no program of a kind we can read", nil, err.Error(), ""})
		return
	}
	if t.foreignLoader(obj) {
		return
	}
	modules := t.checkConfiguration()
	all := append([]object{obj}, modules...)
	l := linkage{program: obj, modules: modules, libraries: mapped}
	if l.find("libssl.so") == nil {
		l.libraries, l.missing = t.closure(all)
		l.libraries = append(l.libraries, mapped...)
	}
	t.judge(l)
}

// checkConfiguration reads the configuration of a server we know. It returns
// the modules in which that server keeps TLS.
func (t *target) checkConfiguration() []object {
	s := serverOf(t.program)
	if s == nil {
		return nil
	}
	var modules []object
	for _, path := range s.check(t) {
		obj, err := t.object(path)
		if err != nil {
			t.add(Finding{Unknown, "module-unreadable", "A module of this server cannot be read", []Place{{File: path}}, err.Error(), ""})
			continue
		}
		modules = append(modules, obj)
	}
	return modules
}

// A server is one whose configuration we can read.
type server struct {
	name     string
	programs []string // base names, a trailing * stands for anything
	// check adds findings about the configuration and returns the files of
	// the modules in which this server keeps TLS, if not in the program.
	check func(*target) []string
}

var servers = []server{
	{"nginx", []string{"nginx", "nginx-debug", "openresty", "angie", "freenginx"}, (*target).checkNginx},
	{"HAProxy", []string{"haproxy"}, (*target).checkHAProxy},
	{"Apache", []string{"apache2", "httpd", "apache2ctl", "apachectl"}, (*target).checkApache},
	{"lighttpd", []string{"lighttpd", "lighttpd-angel"}, (*target).checkLighttpd},
	{"stunnel", []string{"stunnel", "stunnel4", "stunnel5"}, (*target).checkStunnel},
	{"Dovecot", []string{"dovecot", "imap-login", "pop3-login", "submission-login", "managesieve-login", "lmtp"}, (*target).checkDovecot},
	{"Postfix", []string{"postfix", "master", "smtpd", "tlsproxy", "tlsmgr"}, (*target).checkPostfix},
	{"openssl s_server", []string{"openssl"}, (*target).checkSServer},
	{"Python", []string{"python*"}, (*target).checkPython},
	{"PostgreSQL", []string{"postgres", "postmaster"}, (*target).checkPostgreSQL},
	{"OpenVPN", []string{"openvpn"}, (*target).checkOpenVPN},
	{"FreeRADIUS", []string{"freeradius", "radiusd"}, (*target).checkFreeRADIUS},
	{"OpenSMTPD", []string{"smtpd"}, (*target).checkOpenSMTPD},
	{"Traffic Server", []string{"traffic_manager"}, (*target).checkTrafficManager},
	{"vsftpd", []string{"vsftpd"}, (*target).checkVsftpd},
	{"ProFTPD", []string{"proftpd", "in.proftpd"}, (*target).checkProFTPD},
	{"BIND", []string{"named"}, (*target).checkBIND},
	{"MariaDB", []string{"mariadbd"}, (*target).checkMariaDB},
	{"Ruby", []string{"ruby*"}, (*target).checkRuby},
	{"OpenLDAP", []string{"slapd"}, (*target).checkSlapd},
}

// tooCommon are names that mean a server only in a folder that is called like it:
// OpenSMTPD has a smtpd, too.
var tooCommon = map[string][]string{
	"Postfix": {"master", "smtpd", "tlsproxy", "tlsmgr"},
	"Dovecot": {"lmtp"},
}

// serverOf returns nil for a program whose configuration we cannot read.
func serverOf(program string) *server {
	base := filepath.Base(program)
	for i, s := range servers {
		for _, p := range s.programs {
			prefix, any := strings.CutSuffix(p, "*")
			if base != p && (!any || !strings.HasPrefix(base, prefix)) {
				continue
			}
			if slices.Contains(tooCommon[s.name], base) && !strings.Contains(strings.ToLower(program), strings.ToLower(s.name)) {
				continue
			}
			return &servers[i]
		}
	}
	return nil
}

func envMap(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = value
		}
	}
	return env
}
