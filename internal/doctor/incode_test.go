package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// called is a copy of a program under another name.
func called(t *testing.T, program, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	data, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o755))
	return path
}

func TestServersThatNeverHaveTickets(t *testing.T) {
	server := build(t, "server", "-lssl", "-lcrypto")
	for program, name := range map[string]string{
		"postgres": "PostgreSQL", "postmaster": "PostgreSQL", "openvpn": "OpenVPN", "freeradius": "FreeRADIUS", "radiusd": "FreeRADIUS", "smtpd": "OpenSMTPD",
	} {
		path := called(t, server, program)
		r := examine(t, path)
		require.Equal(t, Off, r.Verdict(), text(t, r))
		f := finding(t, r, "tickets-off-in-code")
		require.Equal(t, name+" switches session tickets off in its program", f.Title)
		require.Contains(t, f.Detail, "There is nothing here for stek to do")
		require.NotContains(t, text(t, r), "STEK_FORCE_TICKETS")

		// They are not to be forced either.
		r = examineWith(t, []string{"STEK_FORCE_TICKETS=1"}, path)
		require.Equal(t, Off, r.Verdict(), text(t, r))
		require.Contains(t, finding(t, r, "tickets-off-in-code").Detail, "Take STEK_FORCE_TICKETS out of its environment")
	}
}

func TestTrafficManagerIsOutOfReach(t *testing.T) {
	r := examine(t, called(t, build(t, "nothing"), "traffic_manager"))
	require.Equal(t, Blocks, r.Verdict(), text(t, r))
	require.Equal(t, "stek run -- traffic_server", finding(t, r, "secure-mode").Change)
	require.Nil(t, r.Find("no-tls"))
	require.Equal(t, Good, examine(t, called(t, build(t, "server", "-lssl", "-lcrypto"), "traffic_server")).Verdict())
}

func TestAddressSanitizerWantsToBeFirst(t *testing.T) {
	for _, program := range []string{build(t, "server", "-fsanitize=address", "-lssl", "-lcrypto"), build(t, "nothing", "-fsanitize=address")} {
		r := examine(t, program)
		require.Equal(t, Blocks, r.Verdict(), text(t, r))
		require.Equal(t, "ASAN_OPTIONS=verify_asan_link_order=0", finding(t, r, "sanitizer").Change)
		r = examineWith(t, []string{"ASAN_OPTIONS=detect_leaks=0"}, program)
		change := finding(t, r, "sanitizer").Change
		require.Equal(t, "ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0", change)
		require.Nil(t, examineWith(t, []string{change}, program).Find("sanitizer"))

		// The program itself is the judge.
		library := build(t, "table", "-shared", "-fPIC")
		for _, tt := range []struct {
			env    string
			starts bool
		}{{"ASAN_OPTIONS=detect_leaks=0", false}, {change, true}} {
			cmd := exec.Command(program)
			cmd.Env = []string{"LD_PRELOAD=" + library, tt.env}
			out, err := cmd.CombinedOutput()
			require.Equal(t, tt.starts, err == nil, string(out))
		}
	}
	// Where its runtime is in the program, there is no such wish.
	require.Equal(t, Good, examine(t, build(t, "server", "-fsanitize=address", "-static-libasan", "-lssl", "-lcrypto")).Verdict())
	require.Equal(t, Good, examine(t, build(t, "server", "-fsanitize=thread", "-lssl", "-lcrypto")).Verdict())
}

// slapd does its TLS with libldap, which Debian builds with GnuTLS.
func TestTLSThatComesWithALibrary(t *testing.T) {
	for _, tt := range []struct {
		libldap []string // what it is linked with
		code    string
		want    Severity
		title   string
		program string
	}{
		{[]string{"gnutls", "-lgnutls"}, "foreign-tls", Blocks, "This server does its TLS with GnuTLS, not with OpenSSL", "slapd"},
		{[]string{"stub", "-lssl"}, "reachable", Good, "It gets its TLS contexts from OpenSSL through the dynamic linker", "slapd"},
		{[]string{"gnutls", "-lgnutls"}, "foreign-indirect", Unknown, "GnuTLS is here because libldap-2.5.so.0 needs it, and there is no OpenSSL", "other"},
	} {
		dir := t.TempDir()
		library := build(t, tt.libldap[0], append(tt.libldap[1:], "-shared", "-fPIC", "-Dmain=stub")...)
		require.NoError(t, os.Rename(library, filepath.Join(dir, "libldap-2.5.so.0")))
		program := build(t, "indirect", "-L"+dir, "-l:libldap-2.5.so.0", "-Wl,-rpath,"+dir)
		r := examine(t, called(t, program, tt.program))
		require.Equal(t, tt.want, r.Verdict(), text(t, r))
		require.Equal(t, tt.title, finding(t, r, tt.code).Title)
	}
}

func TestNamesThatSeveralServersHave(t *testing.T) {
	for program, name := range map[string]string{
		"/usr/sbin/smtpd": "OpenSMTPD", "/usr/lib/postfix/sbin/smtpd": "Postfix", "/usr/lib/postfix/sbin/master": "Postfix", "/usr/lib/dovecot/lmtp": "Dovecot",
	} {
		require.Equal(t, name, serverOf(program).name, program)
	}
	for _, program := range []string{"/usr/sbin/master", "/usr/sbin/tlsproxy", "/usr/sbin/tlsmgr", "/usr/sbin/lmtp"} {
		require.Nil(t, serverOf(program), program)
	}
}

// Each of these tells how to find out.
func TestWhatCannotBeToldSaysHowToFindOut(t *testing.T) {
	start := write(t, "start.sh", "#!/bin/sh\n")
	require.NoError(t, os.Chmod(start, 0o755))
	program := build(t, "module", "-ldl")
	for _, argv := range [][]string{
		{program}, // opens a module that brings libssl
		{build(t, "module", "-Wl,--no-as-needed", "-lssl")}, // looks functions up by itself
		{start}, {"sh", "-c", "a && b"}, {"nice"},
	} {
		r := examine(t, argv...)
		require.Equal(t, Unknown, r.Verdict(), text(t, r))
		require.Contains(t, strings.Join(strings.Fields(text(t, r)), " "), ask)
	}
}

func TestServersWithANewContextAtEachStart(t *testing.T) {
	server := build(t, "server", "-lssl", "-lcrypto")
	ruby := called(t, server, "ruby3.1")
	puma := filepath.Join(t.TempDir(), "puma")
	require.NoError(t, os.WriteFile(puma, []byte("#!"+ruby+"\n"), 0o755))
	for name, argv := range map[string][]string{
		"BIND": {called(t, server, "named"), "-f"}, "MariaDB": {called(t, server, "mariadbd")}, "Puma": {puma, "-b", "ssl://127.0.0.1:9292"},
	} {
		r := examine(t, argv...)
		require.Equal(t, Good, r.Verdict(), text(t, r))
		f := finding(t, r, "session-context")
		require.Equal(t, name+" binds tickets to a value that is new at each start", f.Title)
		require.Contains(t, f.Detail, "After a restart every client makes one full handshake")
	}
	require.Nil(t, examine(t, ruby, "other.rb").Find("session-context"))
}
