package doctor

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgramThatTakesLibsslFromTheSystemIsReached(t *testing.T) {
	r := examine(t, build(t, "server", "-lssl", "-lcrypto"))
	require.Equal(t, Good, r.Verdict())
	require.Equal(t, "stek reaches this server.", r.Summary())
	require.Regexp(t, `/libssl\.so\.\S+, OpenSSL \d+\.\d+\.\d+`, r.Library)
	require.Contains(t, finding(t, r, "reachable").Detail, "SSL_CTX_new is called by "+r.Program)
}

func TestProgramsOutOfReach(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for _, tt := range []struct {
		name, program string
		code, title   string
	}{
		{"nothing, static", build(t, "nothing", "-static"), "static", "This program is linked statically"},
		{"OpenSSL in a static program", build(t, "server", "-static", "-lssl", "-lcrypto"), "static-tls", "OpenSSL is linked into this program statically"},
		{"OpenSSL in a dynamic program, stripped", build(t, "server", "-s", "-l:libssl.a", "-l:libcrypto.a"), "static-tls", "OpenSSL is linked into this program statically"},
		{"GnuTLS", build(t, "gnutls", "-lgnutls"), "foreign-tls", "This server does its TLS with GnuTLS, not with OpenSSL"},
		{"Go", self, "go", "This is a Go program with Go's own TLS"},
		{"musl", build(t, "nothing", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"), "musl", "The preload is built for another kind of program"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := examine(t, tt.program)
			require.Equal(t, Blocks, r.Verdict(), text(t, r))
			require.Contains(t, finding(t, r, tt.code).Title, tt.title)
			require.Empty(t, r.Library)
		})
	}
}

func TestProgramWithoutTLSIsUnknown(t *testing.T) {
	r := examine(t, build(t, "nothing"))
	require.Equal(t, Unknown, r.Verdict())
	finding(t, r, "no-tls")
}

func TestFileThatIsNoProgramIsUnknown(t *testing.T) {
	r := examine(t, write(t, "data", "no program"))
	require.Equal(t, Unknown, r.Verdict())
	finding(t, r, "not-elf")
}

func TestLibrariesAreKnownByWhatTheyHold(t *testing.T) {
	const label = "\x00TLS 1.3, server CertificateVerify\x00"
	for _, tt := range []struct {
		data    string
		defines bool
		want    string
	}{
		{"OpenSSL 3.0.19 27 Jan 2026" + label, false, "OpenSSL 3.0.19"},
		{"OpenSSL 1.1.1w  11 Sep 2023" + label, false, "OpenSSL 1.1.1w"},
		{"OpenSSL 1.1.1 (compatible; BoringSSL)" + label, false, "BoringSSL"},
		{"OpenSSL 1.1.1 (compatible; AWS-LC 1.29.0)" + label, true, "AWS-LC"},
		{"LibreSSL 3.9.2" + label, false, "LibreSSL"},
		{"rustls/src" + label, false, "rustls"},
		{label, false, "A TLS library we do not know"},
		{"OpenSSL 1.0.2u  20 Dec 2019", true, "OpenSSL 1.0.2u"},
		{"OpenSSL 3.0.19 27 Jan 2026", false, ""}, // says only with what it was built
	} {
		require.Equal(t, tt.want, embedded([]byte(tt.data), tt.defines), tt.data)
	}
}

func TestLibraryVersionsThatFit(t *testing.T) {
	for _, tt := range []struct {
		text string
		fit  bool
		code string
	}{
		{"OpenSSL 1.0.2u  20 Dec 2019", false, "openssl-old"},
		{"OpenSSL 1.1.0l  10 Sep 2019", false, "openssl-old"},
		{"OpenSSL 1.1.1w  11 Sep 2023", true, ""},
		{"OpenSSL 3.0.13+quic 30 Jan 2024", true, ""},
		{"OpenSSL 4.0.2 1 Sep 2026", true, ""},
		{"OpenSSL 5.0.0 1 Sep 2027", true, "openssl-new"},
		{"OpenSSL 1.1.1 (compatible; BoringSSL)", false, "openssl-relative"},
		{"LibreSSL 3.9.2", false, "openssl-relative"},
	} {
		tg := &target{report: &Report{}}
		file := write(t, "libssl.so", tt.text)
		_, fit := tg.libraryVersion(linkage{}, &library{object: object{path: file}})
		require.Equal(t, tt.fit, fit, tt.text)
		require.Equal(t, tt.code != "", len(tg.report.Findings) == 1, tt.text)
		if tt.code != "" {
			finding(t, *tg.report, tt.code)
		}
	}
}
