package doctor

import (
	"bytes"
	"debug/buildinfo"
	"regexp"
)

// Marks by which a TLS library is known in a file that contains it.
var (
	// Every TLS 1.3 implementation holds this label, RFC 8446, section 4.4.3.
	tls13Label = []byte("TLS 1.3, server CertificateVerify")

	libreSSL = regexp.MustCompile(`LibreSSL \d+\.\d+`)
	openSSL  = regexp.MustCompile(`OpenSSL \d+\.\d+\.\d+[a-z]*`)
)

// relative names the library that is called libssl and is not OpenSSL, or "".
func relative(data []byte) string {
	switch {
	case bytes.Contains(data, []byte("AWS-LC")):
		return "AWS-LC"
	case bytes.Contains(data, []byte("BoringSSL")):
		return "BoringSSL"
	case libreSSL.Match(data):
		return "LibreSSL"
	}
	return ""
}

// embedded names the TLS library that is linked into the file data, or "".
// defines says that the file has an SSL_CTX_new of its own.
func embedded(data []byte, defines bool) string {
	tls13 := bytes.Contains(data, tls13Label)
	if !tls13 && !defines {
		return ""
	}
	if name := relative(data); name != "" {
		return name
	}
	for _, other := range []struct{ mark, name string }{
		{"rustls", "rustls"}, {"wolfSSL", "wolfSSL"}, {"wolfssl", "wolfSSL"}, {"mbedtls", "Mbed TLS"}, {"s2n_", "s2n-tls"},
	} {
		if !defines && bytes.Contains(data, []byte(other.mark)) {
			return other.name
		}
	}
	if version := openSSL.Find(data); version != nil {
		return string(version)
	}
	// A program that never asks for the version may not contain it.
	if defines || bytes.Contains(data, []byte("ssl/statem/")) {
		return "OpenSSL"
	}
	return "A TLS library we do not know"
}

// judgeEmbedded adds a finding if the program does TLS within itself, or is
// static, so that no library of ours can come between.
func (t *target) judgeEmbedded(l linkage, libssl *library) bool {
	place := []Place{{File: t.program}}
	data, err := t.readProgram()
	if err != nil {
		return false
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	const rebuild = "The preload takes the place of functions in a shared library. Link the server with the shared libssl, or build stek into it (stek.h)."
	if err == nil && libssl == nil {
		if bytes.Contains(data, []byte("crypto/tls.(*Conn)")) {
			t.add(Finding{Blocks, "go", "This is a Go program with Go's own TLS", place,
				"Built with " + info.GoVersion + ". OpenSSL takes no part in it, so there is nothing to preload. In Go, tls.Config.SetSessionTicketKeys is the place.", ""})
		} else {
			t.add(Finding{Blocks, "go", "This is a Go program without TLS", place, "Built with " + info.GoVersion + ".", ""})
		}
		return true
	}
	name := ""
	if err != nil { // Go programs that use OpenSSL hold the label too
		name = embedded(data, l.program.defines && !l.program.imports)
	}
	switch {
	case name != "":
		t.add(Finding{Blocks, "static-tls", name + " is linked into this program statically", place, rebuild, ""})
	case l.program.isStatic():
		t.add(Finding{Blocks, "static", "This program is linked statically", place, "LD_PRELOAD is read by the dynamic linker, which this program does without. " + rebuild, ""})
	default:
		return false
	}
	return true
}
