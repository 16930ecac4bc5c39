package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func testdata(t *testing.T, path ...string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(append([]string{"testdata"}, path...)...))
	require.NoError(t, err)
	return dir
}

func TestNginxSettingsAreFoundWithTheirLines(t *testing.T) {
	nginx := need(t, "nginx", "nginx")
	r := examine(t, nginx, "-p", testdata(t, "nginx"), "-c", "nginx.conf", "-g", "daemon off;")
	require.Equal(t, Off, r.Verdict())
	require.Regexp(t, `/libssl\.so\.3, OpenSSL 3\.`, r.Library)
	require.Equal(t, []string{
		"a.conf:12 ssl_session_tickets off; => ssl_session_tickets on;",
		"a.conf:15 ssl_conf_command Options -SessionTicket; => (take -SessionTicket out of the line)",
		"nginx.conf:6 ssl_session_tickets off; => ssl_session_tickets on;",
	}, places(finding(t, r, "tickets-off")))
	require.Equal(t, []string{"a.conf:16 ssl_conf_command NumTickets 0; => (delete the line)"}, places(finding(t, r, "num-tickets")))
	require.Equal(t, []string{"a.conf:5 ssl_session_ticket_key /etc/nginx/ticket.key;"}, places(finding(t, r, "own-keys")))
	require.Equal(t, []string{"a.conf:4 ssl_early_data on;"}, places(finding(t, r, "early-data")))
	require.Equal(t, Note, finding(t, r, "early-data").Severity)
	require.Contains(t, finding(t, r, "session-context").Title, "nginx binds tickets to the certificate")
	require.Equal(t, "env LD_PRELOAD;\nenv STEK_TABLE;", finding(t, r, "upgrade-drops-preload").Change)

	require.Nil(t, examine(t, nginx, "-p", testdata(t, "nginx"), "-c", "nginx.conf", "-g", "env STEK_TABLE;").Find("upgrade-drops-preload"))

	r = examine(t, nginx, "-c", "/no/such/nginx.conf")
	require.Equal(t, Unknown, r.Verdict())
	require.Equal(t, []string{"nginx.conf "}, places(finding(t, r, "config-unreadable")))
}

func TestForcedTicketsAreNotOff(t *testing.T) {
	r := examineWith(t, []string{"STEK_FORCE_TICKETS=1"}, need(t, "nginx", "nginx"), "-p", testdata(t, "nginx"), "-c", "nginx.conf")
	require.Equal(t, Good, r.Verdict())
	require.Equal(t, Note, finding(t, r, "tickets-forced").Severity)
}

// nginx itself is the judge of which files it reads.
func TestNginxReadsTheFilesThatNginxReads(t *testing.T) {
	nginx := need(t, "nginx", "nginx")
	conf := nginxConfig(t, freePort(t), "include /etc/nginx/mime.types; include *.inc;")
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(conf), "b.inc"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(conf), "a.inc"), []byte("charset utf-8;"), 0o644))
	out, err := exec.Command(nginx, "-T", "-c", conf).CombinedOutput()
	require.NoError(t, err, string(out))
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^# configuration file (.+):$`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, m[1])
	}
	require.Len(t, want, 4)
	n := nginxFiles{files: files{target: &target{report: &Report{}}}, dir: filepath.Dir(conf)}
	n.parse(conf, n.lines(conf, false), nil, 0)
	slices.Sort(want)
	slices.Sort(n.read)
	require.Equal(t, want, n.read)
}

func TestDebiansHAProxyHasTicketsOff(t *testing.T) {
	r := examine(t, need(t, "haproxy", "haproxy"), "-f", "/etc/haproxy/haproxy.cfg")
	require.Equal(t, Off, r.Verdict())
	f := finding(t, r, "tickets-off")
	require.Regexp(t, `^haproxy\.cfg:\d+ ssl-default-bind-options (.*) no-tls-tickets => ssl-default-bind-options .*[^s]$`, places(f)[0])
	require.NotContains(t, f.Places[0].Change, "no-tls-tickets")
}

func TestHAProxySettingsAreFoundWithTheirLines(t *testing.T) {
	haproxy := need(t, "haproxy", "haproxy")
	r := examine(t, haproxy, "-W", "-f", testdata(t, "haproxy"))
	require.Equal(t, Off, r.Verdict())
	var off []string
	for _, f := range r.Findings {
		if f.Code == "tickets-off" {
			off = append(off, places(f)...)
		}
	}
	require.Equal(t, []string{
		"1.cfg:2 ssl-default-bind-options no-tls-tickets   # all of it => (delete the line)",
		"2.cfg:2 bind :444 ssl crt /etc/site.pem no-tls-tickets allow-0rtt => bind :444 ssl crt /etc/site.pem allow-0rtt",
	}, off)
	require.Equal(t, []string{"2.cfg:2 bind :444 ssl crt /etc/site.pem no-tls-tickets allow-0rtt"}, places(finding(t, r, "early-data")))
	require.Equal(t, []string{"2.cfg:3 bind :445 ssl crt /etc/site.pem tls-ticket-keys /etc/keys"}, places(finding(t, r, "own-keys")))
	finding(t, r, "session-context")

	finding(t, examine(t, haproxy, "-db"), "config-unknown")
}

// The notes about 0-RTT say that these servers switch OpenSSL's replay
// protection off.
func TestServersSwitchReplayProtectionOff(t *testing.T) {
	options := build(t, "options", "-shared", "-fPIC")
	pem := certificate(t)
	cfg := write(t, "h.cfg", "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n mode http\n bind "+freePort(t)+" ssl crt "+pem+" allow-0rtt\n")
	for _, argv := range [][]string{
		{need(t, "nginx", "nginx"), "-t", "-c", nginxConfig(t, freePort(t), "ssl_early_data on;")},
		{need(t, "haproxy", "haproxy"), "-c", "-f", cfg},
	} {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = []string{"LD_PRELOAD=" + options, "PATH=" + serverPath}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "NO_ANTI_REPLAY", argv[0])
	}
}

func TestDebiansApacheHasNoTLSAndWouldHaveTicketsOff(t *testing.T) {
	need(t, "apache2", "apache2")
	for _, argv := range [][]string{{"apache2", "-D", "FOREGROUND"}, {"apache2ctl", "start"}} {
		r := examine(t, argv...)
		require.Equal(t, "/usr/sbin/apache2", r.Program)
		require.Equal(t, Off, r.Verdict(), text(t, r))
		require.Regexp(t, `mods-available/ssl\.conf:\d+ \(change it to SSLSessionTickets on\)`, finding(t, r, codeNoTLS).Detail)
	}
}

func TestDebiansApacheWithSSLHasTicketsOff(t *testing.T) {
	apache := need(t, "apache2", "apache2")
	conf := write(t, "apache2.conf", `
Include /etc/apache2/mods-available/ssl.load
Include /etc/apache2/mods-available/ssl.conf
Include /etc/apache2/sites-available/default-ssl.conf
`)
	r := examine(t, apache, "-f", conf)
	require.Regexp(t, `^ssl\.conf:\d+ SSLSessionTickets off => SSLSessionTickets on$`, places(finding(t, r, "tickets-off"))[0])
	require.Regexp(t, `/libssl\.so\.3, OpenSSL 3\.`, r.Library)
	require.Equal(t, "SSL_CTX_new is called by /usr/lib/apache2/modules/mod_ssl.so.", finding(t, r, "reachable").Detail)
}

func TestApacheSettingsAreFoundWithTheirLines(t *testing.T) {
	apache := need(t, "apache2", "apache2")
	env := []string{"ROOT=" + testdata(t, "apache"), "MODULES=/usr/lib/apache2/modules"}
	argv := []string{apache, "-f", testdata(t, "apache", "httpd.conf")}
	r := examineWith(t, env, argv...)
	require.Equal(t, []string{"extra.conf:3 sslsessiontickets Off => sslsessiontickets on"}, places(finding(t, r, "tickets-off")))
	require.Equal(t, []string{"extra.conf:4 SSLSessionTicketKeyFile /etc/ticket.key"}, places(finding(t, r, "own-keys")))
	require.Contains(t, finding(t, r, "session-context").Title, "virtual host's name and port")

	r = examineWith(t, env, append(argv, "-D", "MORE")...)
	require.Contains(t, places(finding(t, r, "tickets-off")), "more.conf:1 SSLOpenSSLConfCmd Options -SessionTicket => (take -SessionTicket out of the line)")
	require.Equal(t, []string{"more.conf:2 SSLOpenSSLConfCmd NumTickets 0 => (delete the line)"}, places(finding(t, r, "num-tickets")))
}

// Apache itself is the judge of which files it reads.
func TestApacheReadsTheFilesThatApacheReads(t *testing.T) {
	need(t, "apache2", "apache2")
	out, err := exec.Command(need(t, "apache2ctl", "apache2"), "-t", "-D", "DUMP_INCLUDES").Output()
	require.NoError(t, err)
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\s+\([\d*]+\) (/.+)$`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, m[1])
	}
	require.NotEmpty(t, want)
	tt := &target{argv: []string{"apache2"}, program: "/usr/sbin/apache2", report: &Report{}}
	a, ok := tt.apacheDirectives()
	require.True(t, ok)
	slices.Sort(want)
	slices.Sort(a.read)
	require.Equal(t, want, a.read)
}

func TestLighttpdSettingsAreFoundWithTheirLines(t *testing.T) {
	lighttpd := need(t, "lighttpd", "lighttpd")
	need(t, "../lib/lighttpd/mod_openssl.so", "lighttpd-mod-openssl")
	r := examine(t, lighttpd, "-D", "-f", testdata(t, "lighttpd", "lighttpd.conf"))
	require.Equal(t, []string{`tls.conf:4 "Options" => "-SessionTicket") => "Options" => "SessionTicket")`}, places(finding(t, r, "tickets-off")))
	finding(t, r, "own-keys")
	require.Contains(t, finding(t, r, "reachable").Detail, "mod_openssl.so")

	finding(t, examine(t, lighttpd, "-D", "-f", "/etc/lighttpd/lighttpd.conf"), codeNoTLS)
	conf := write(t, "l.conf", `server.modules = ("mod_gnutls")`+"\n"+`ssl.engine = "enable"`)
	require.Equal(t, Blocks, examine(t, lighttpd, "-f", conf).Verdict())
	finding(t, examine(t, lighttpd), "config-unknown")
}

func TestStunnelSettingsAreFoundWithTheirLines(t *testing.T) {
	r := examine(t, need(t, "stunnel4", "stunnel4"), testdata(t, "stunnel", "stunnel.conf"))
	require.Equal(t, []string{
		"stunnel.conf:2 options = NO_TICKET => (delete the line)",
		"stunnel.conf:8 config = Options:-SessionTicket => (take -SessionTicket out of the line)",
	}, places(finding(t, r, "tickets-off")))
	require.Equal(t, []string{"stunnel.conf:6 sessionResume = no => sessionResume = yes"}, places(finding(t, r, "num-tickets")))
	require.Equal(t, []string{"stunnel.conf:7 "}, places(finding(t, r, "own-keys")))
	require.NotContains(t, text(t, r), "0123456789abcdef")
	finding(t, r, "reachable")
}

func TestDovecotSettingsAreFoundWithTheirLines(t *testing.T) {
	dovecot := need(t, "dovecot", "dovecot-core")
	r := examine(t, dovecot, "-F", "-c", testdata(t, "dovecot", "dovecot.conf"))
	require.Equal(t, []string{"10-ssl.conf:3 ssl_options = no_compression no_ticket => (take no_ticket out of the line)"}, places(finding(t, r, "tickets-off")))
	f := finding(t, r, "environment-filtered")
	require.Equal(t, Blocks, f.Severity)
	require.Equal(t, []string{"10-ssl.conf:5 import_environment = TZ LD_PRELOAD # more => import_environment = TZ LD_PRELOAD STEK_TABLE"}, places(f))
	require.Contains(t, finding(t, r, "reachable").Detail, "libssl_iostream_openssl.so")

	// As Debian ships it; dovecot itself is the judge of the setting.
	r = examine(t, dovecot)
	require.Equal(t, "import_environment = $import_environment LD_PRELOAD STEK_TABLE", finding(t, r, "environment-filtered").Change)
	out, err := exec.Command(need(t, "doveconf", "dovecot-core"), "-h", "import_environment").Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), "LD_PRELOAD")

	r = examine(t, dovecot, "-c", testdata(t, "dovecot24", "dovecot.conf"))
	require.Equal(t, "import_environment {\n  STEK_TABLE = %{env:STEK_TABLE}\n}", finding(t, r, "environment-filtered").Change)
}

func TestPostfixSettingsAreFoundWithTheirLines(t *testing.T) {
	postfix := need(t, "postfix", "postfix")
	r := examine(t, postfix, "-c", testdata(t, "postfix"), "start")
	require.Equal(t, []string{"main.cf:2 import_environment = TZ, => import_environment = TZ LANG=C LD_PRELOAD STEK_TABLE"}, places(finding(t, r, "environment-filtered")))
	require.Equal(t, []string{
		"main.cf:5 tls_ssl_options = NO_COMPRESSION, NO_TICKET => (take NO_TICKET out of the line)",
		"master.cf:3 -o smtpd_tls_session_cache_timeout=0s => (delete the line; the default is 3600s)",
	}, places(finding(t, r, "tickets-off")))
	require.Contains(t, finding(t, r, "reachable").Detail, "libpostfix-tls.so")

	require.Equal(t, Good, examine(t, postfix, "-c", testdata(t, "postfix-ready"), "start").Verdict())

	// As Debian ships it; the default is Postfix's own.
	out, err := exec.Command(need(t, "postconf", "postfix"), "-dh", "import_environment").Output()
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(out)), postfixEnvironment)
	require.Equal(t, "import_environment = "+postfixEnvironment+" LD_PRELOAD STEK_TABLE", finding(t, examine(t, postfix, "start"), "environment-filtered").Change)
}

func TestSServerOptionsAreFound(t *testing.T) {
	for _, tt := range []struct {
		args string
		code string
	}{
		{"s_server", "reachable"},
		{"s_server -no_ticket", "tickets-off"},
		{"s_server -num_tickets 0", "num-tickets"},
		{"s_server -early_data", "early-data"},
		{"s_server -max_early_data 16384", "early-data"},
		{"s_server -early_data -no_anti_replay", "reachable"},
		{"s_server -max_early_data 0", "reachable"},
		{"s_client", codeNoTLS},
	} {
		r := examine(t, append([]string{need(t, "openssl", "openssl")}, strings.Fields(tt.args)...)...)
		require.Equal(t, tt.code, r.Findings[0].Code, tt.args)
		require.Equal(t, tt.code == "reachable", r.Verdict() == Good, tt.args)
	}
}

func TestPythonsModuleIsFound(t *testing.T) {
	script := write(t, "app.py", "#!/usr/bin/python3\n")
	require.NoError(t, os.Chmod(script, 0o755))
	need(t, "python3", "python3")
	r := examine(t, script)
	require.Equal(t, Good, r.Verdict(), text(t, r))
	require.Regexp(t, `_ssl\.\S+\.so\.$`, finding(t, r, "reachable").Detail)
}

func TestOpenSSLsOwnConfigurationIsRead(t *testing.T) {
	program := build(t, "server", "-lssl", "-lcrypto")
	file := testdata(t, "openssl", "openssl.cnf")
	r := examineWith(t, []string{"OPENSSL_CONF=" + file}, program)
	require.Equal(t, Off, r.Verdict(), text(t, r))
	require.Equal(t, []string{"tls.cnf:3 Options = ServerPreference, -SessionTicket => (take -SessionTicket out of the line)"}, places(finding(t, r, "tickets-off")))
	require.Equal(t, []string{"openssl.cnf:11 2.NumTickets = 0 => (delete the line)"}, places(finding(t, r, "num-tickets")))

	r = examineWith(t, []string{"OPENSSL_CONF=" + file, "STEK_FORCE_TICKETS=1"}, program)
	require.Equal(t, Good, r.Verdict(), text(t, r))

	for name, conf := range map[string]string{
		"empty":                   "",
		"another section":         "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[e]\nOptions = -SessionTicket\n",
		"not of this application": "other_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n",
		"replaced":                "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n[d]\nOptions = SessionTicket\n",
		"a comment":               "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\n# Options = -SessionTicket\n",
		"it grows":                "a = x\n" + strings.Repeat("a = $a$a\n", 100),
		"it includes itself":      ".include = ${ENV::OPENSSL_CONF}\n",
	} {
		r := examineWith(t, []string{"OPENSSL_CONF=" + write(t, "openssl.cnf", conf)}, program)
		require.Equal(t, Good, r.Verdict(), "%s: %s", name, text(t, r))
	}
	require.Equal(t, Good, examineWith(t, []string{"OPENSSL_CONF="}, program).Verdict())
	require.Equal(t, Good, examineWith(t, []string{"OPENSSL_CONF=/no/such/file"}, program).Verdict())
}

// OpenSSL itself is the judge of what such files do.
func TestOpenSSLsOwnConfigurationDoesWhatWeRead(t *testing.T) {
	probe := build(t, "tickets", "-lssl", "-lcrypto")
	file := testdata(t, "openssl", "openssl.cnf")
	folder, other := filepath.Join(filepath.Dir(file), "more"), t.TempDir()
	const start = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\n"
	for _, tt := range []struct{ file, want string }{
		{file, "off, 0 in TLS 1.3\n"},
		{write(t, "c.cnf", ".pragma includedir:"+folder+"\n"+start+".include tls.cnf\n"), "off, 2 in TLS 1.3\n"},
		{write(t, "d.cnf", ".pragma = includedir:"+other+"\n"+start+".include tls.cnf\n"), "on, 2 in TLS 1.3\n"},
		{write(t, "e.cnf", start+".include "+folder+"\nNumTickets = \"0\" # none\n"), "off, 0 in TLS 1.3\n"},
		{write(t, "f.cnf", start+"o = -SessionTicket\nOptions = $d::o\n"), "off, 2 in TLS 1.3\n"},
		{write(t, "g.cnf", "[x]\no = -SessionTicket\n[default]\n"+start+"Options = $(x::o)\n"), "off, 2 in TLS 1.3\n"},
		{write(t, "a.cnf", "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n[d]\nOptions = SessionTicket\n"), "on, 2 in TLS 1.3\n"},
		{write(t, "b.cnf", "openssl_conf = init\n[init]\nssl_conf.x = ssl\n[ssl]\nsystem_default = d\n[d]\nserver.options = sessionticket,-SESSIONTICKET\n"), "off, 2 in TLS 1.3\n"},
	} {
		cmd := exec.Command(probe)
		cmd.Env = []string{"OPENSSL_CONF=" + tt.file}
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, tt.want, string(out), tt.file)
		r := examineWith(t, cmd.Env, probe)
		require.Equal(t, strings.HasPrefix(tt.want, "off"), r.Find("tickets-off") != nil, text(t, r))
		require.Equal(t, strings.Contains(tt.want, " 0 in"), r.Find("num-tickets") != nil, text(t, r))
	}

	cmd := exec.Command(probe) // the environment goes before the file
	cmd.Env = []string{"OPENSSL_CONF_INCLUDE=" + folder, "OPENSSL_CONF=" + write(t, "h.cnf", ".pragma includedir:"+other+"\n"+start+".include tls.cnf\n")}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "off, 2 in TLS 1.3\n", string(out))
	finding(t, examineWith(t, cmd.Env, probe), "tickets-off")
}

// Without OPENSSL_CONF libcrypto reads the file in the folder it was built for.
func TestDefaultConfigurationIsThatOfItsLibcrypto(t *testing.T) {
	out, err := exec.Command(need(t, "openssl", "openssl"), "version", "-d").Output()
	require.NoError(t, err)
	m := opensslDir.FindStringSubmatch(string(out))
	require.NotNil(t, m, string(out))
	root := t.TempDir()
	conf := filepath.Join(root, m[1], "openssl.cnf")
	require.NoError(t, os.MkdirAll(filepath.Dir(conf), 0o755))
	require.NoError(t, os.WriteFile(conf, []byte("openssl_conf = i\n[i]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n"), 0o644))
	libcrypto := "/libcrypto.so.3"
	require.NoError(t, os.WriteFile(root+libcrypto, out, 0o644))
	tt := &target{place: place{root: root}, env: map[string]string{}, report: &Report{}}
	tt.checkOpenSSLConf(&library{object: object{path: libcrypto}})
	require.Equal(t, []string{"openssl.cnf:7 Options = -SessionTicket => (take -SessionTicket out of the line)"}, places(finding(t, *tt.report, "tickets-off")))
}

// A server that gives its processes a new environment keeps OPENSSL_CONF from
// them as well.
func TestConfigurationInAFilteredEnvironmentIsNotRead(t *testing.T) {
	env := []string{"OPENSSL_CONF=" + testdata(t, "openssl", "openssl.cnf")}
	r := examineWith(t, env, need(t, "postfix", "postfix"), "-c", testdata(t, "postfix-ready"), "start")
	require.Equal(t, Good, r.Verdict(), text(t, r))
	r = examineWith(t, env, need(t, "dovecot", "dovecot-core"))
	require.Nil(t, r.Find("tickets-off"), text(t, r))
}

// As seen with Debian's Node.js 18.
func TestNodeHasASettingOfItsOwnInOpenSSLsConfiguration(t *testing.T) {
	const rest = " = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\nOptions = -SessionTicket\n"
	shared, own := write(t, "openssl.cnf", "openssl_conf"+rest), write(t, "node.cnf", "nodejs_conf"+rest)
	node := called(t, build(t, "server", "-lssl", "-lcrypto"), "node")
	for _, tt := range []struct {
		env  []string
		args []string
		want Severity
	}{
		{[]string{"OPENSSL_CONF=" + shared}, nil, Good},
		{[]string{"OPENSSL_CONF=" + shared}, []string{"--openssl-shared-config", "app.js"}, Off},
		{[]string{"OPENSSL_CONF=" + shared, "NODE_OPTIONS=--no-warnings --openssl-shared-config"}, nil, Off},
		{[]string{"OPENSSL_CONF=" + own}, nil, Off},
		{nil, []string{"--openssl-config=" + own}, Off},
		{[]string{"OPENSSL_CONF=" + own}, []string{"--openssl-shared-config"}, Good},
	} {
		r := examineWith(t, tt.env, append([]string{node}, tt.args...)...)
		require.Equal(t, tt.want, r.Verdict(), "%s %s: %s", tt.env, tt.args, text(t, r))
	}
}
