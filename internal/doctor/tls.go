package doctor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A linkage is everything that is, or will be, in one process.
type linkage struct {
	program   object
	modules   []object // loaded because the configuration says so
	libraries []library
	missing   []string
}

// foreignLibraries are the TLS libraries whose tickets are not OpenSSL's.
var foreignLibraries = []struct{ soname, name string }{
	{"libgnutls.so", "GnuTLS"},
	{"libssl3.so", "NSS"},
	{"libwolfssl.so", "wolfSSL"},
	{"libmbedtls.so", "Mbed TLS"},
	{"libs2n.so", "s2n-tls"},
	{"librustls.so", "rustls"},
}

func foreignName(soname string) string {
	for _, f := range foreignLibraries {
		if strings.HasPrefix(filepath.Base(soname), f.soname) {
			return f.name
		}
	}
	return ""
}

// clientLibraries bring OpenSSL into many servers as clients of something
// else. A server whose OpenSSL comes only with one of these may do its own TLS
// in another way.
var clientLibraries = []string{"libcurl", "libpq", "libldap", "libmariadb", "libmysqlclient", "libneon", "libmongoc", "librdkafka", "libsasl2", "libnetsnmp", "libsnmp", "libssh", "libopentracing"}

func isClientLibrary(path string) bool {
	return slices.ContainsFunc(clientLibraries, func(c string) bool { return strings.HasPrefix(filepath.Base(path), c) })
}

// judge says which TLS library the process has and whether the preload comes
// between it and the server.
func (t *target) judge(l linkage) {
	own := append([]object{l.program}, l.modules...)
	callers, direct := l.callers(own)
	libssl := l.find("libssl.so")

	if !direct || l.program.isStatic() {
		if t.judgeEmbedded(l, libssl) {
			return
		}
	}
	t.checkSanitizer(l)
	foreign := ""
	for _, o := range own {
		for _, name := range o.needed {
			if f := foreignName(name); f != "" {
				foreign = f
			}
		}
	}
	switch {
	case libssl == nil && foreign != "":
		t.add(Finding{Blocks, "foreign-tls", "This server does its TLS with " + foreign + ", not with OpenSSL", []Place{{File: t.program}},
			"Its ticket keys are out of reach.", ""})
		return
	case libssl == nil:
		t.noLibrary(l)
		return
	}

	version, fit := t.libraryVersion(l, libssl)
	t.report.Library = t.real(libssl.path) + ", " + version
	if !fit {
		return
	}
	t.checkOpenSSLConf(l.find("libcrypto.so"))
	switch {
	case len(callers) == 0:
		t.add(Finding{Unknown, "no-caller", "OpenSSL's TLS library is loaded, but nothing here takes SSL_CTX_new from it", nil,
			"It may look the function up by itself (dlsym), or not serve TLS at all. " + ask, ""})
	case !direct && (foreign != "" || !slices.ContainsFunc(callers, func(c string) bool { return !isClientLibrary(c) })):
		title := "OpenSSL is here only because " + filepath.Base(callers[0]) + " needs it"
		detail := "That library is a client of something else. The server's own TLS may be done in another way."
		if foreign != "" {
			detail = "The server's own TLS is most likely done with " + foreign + ", which is out of reach."
		}
		t.add(Finding{Unknown, "openssl-indirect", title, nil, detail, ""})
	default:
		t.add(Finding{Good, "reachable", "It gets its TLS contexts from OpenSSL through the dynamic linker", nil,
			"SSL_CTX_new is called by " + strings.Join(callers, " and ") + ".", ""})
		if foreign != "" {
			t.add(Finding{Note, "also-foreign", "It links " + foreign + " as well", nil, "Connections that use it have tickets that stek does not reach.", ""})
		}
	}
}

// callers returns the files that take SSL_CTX_new from another, and whether
// the program or one of its modules is among them.
func (l linkage) callers(own []object) (files []string, direct bool) {
	for _, o := range own {
		if o.imports && !o.defines {
			files, direct = append(files, o.path), true
		}
	}
	if !direct {
		for _, lib := range l.libraries {
			if lib.imports && !lib.defines {
				files = append(files, lib.path)
			}
		}
	}
	// A library that is the server in all but name counts like the program.
	direct = direct || slices.ContainsFunc(files, func(f string) bool { return !isClientLibrary(f) && len(l.modules) > 0 })
	return files, direct
}

// find returns the first library whose name begins so.
func (l linkage) find(soname string) *library {
	for i, lib := range l.libraries {
		if strings.HasPrefix(filepath.Base(lib.path), soname) || strings.HasPrefix(lib.name, soname) {
			return &l.libraries[i]
		}
	}
	return nil
}

// noLibrary speaks about a process in which we saw no TLS library.
func (t *target) noLibrary(l linkage) {
	if i := slices.IndexFunc(l.missing, func(name string) bool { return strings.HasPrefix(name, "libssl.so") }); i >= 0 {
		t.add(Finding{Unknown, "library-missing", "It needs " + l.missing[i] + ", which is not found", []Place{{File: t.program}},
			"As it stands the program does not start.", ""})
		return
	}
	if l.find("libjli.so") != nil || l.find("libjvm.so") != nil {
		t.add(Finding{Blocks, "java", "Java does TLS by itself", []Place{{File: t.program}},
			"A program that uses Tomcat Native with the system's OpenSSL is the exception. " + ask, ""})
		return
	}
	if t.report.Find(codeNoTLS) != nil || t.report.Verdict() == Blocks {
		return // the configuration has said it already
	}
	for _, lib := range l.libraries {
		for _, name := range lib.needed {
			if foreign := foreignName(name); foreign != "" {
				t.add(Finding{Unknown, "foreign-indirect", foreign + " is here because " + filepath.Base(lib.path) + " needs it, and there is no OpenSSL", []Place{{File: t.program}},
					"If the server does its own TLS with it, its ticket keys are out of reach. If it loads a module for TLS: " + ask, ""})
				return
			}
		}
	}
	t.add(Finding{Unknown, "no-tls", "No TLS library was found in this program", []Place{{File: t.program}},
		"It may load one while it runs, as Ruby, Perl, ProFTPD and rsyslog do with a module. " + ask, ""})
}

// ask is what to do where only the running server can tell.
const ask = "Start it with stek run and make a TLS connection: stek doctor PID and stek status then tell, by the contexts that stek has seen."

// checkSanitizer adds a finding about a program that does not start unless the
// runtime of AddressSanitizer is the first library.
func (t *target) checkSanitizer(l linkage) {
	const option = "verify_asan_link_order=0"
	runtime := l.find("libasan.so")
	if runtime == nil {
		runtime = l.find("libclang_rt.asan")
	}
	if runtime == nil || strings.Contains(t.env["ASAN_OPTIONS"], option) {
		return
	}
	t.add(Finding{Blocks, "sanitizer", "With stek this program does not start: AddressSanitizer wants to be the first library", []Place{{File: runtime.path}},
		"Tell it that another may be. Set in the server's environment:", "ASAN_OPTIONS=" + strings.TrimPrefix(t.env["ASAN_OPTIONS"]+":"+option, ":")})
}

var versionPattern = regexp.MustCompile(`OpenSSL (\d+)\.(\d+)\.(\d+)[-+.0-9A-Za-z]* {1,2}\d?\d? ?[A-Z][a-z]{2} \d{4}`)

// libraryVersion names the OpenSSL behind libssl. It reports false, after a
// finding, if that is one the preload does not know.
func (t *target) libraryVersion(l linkage, libssl *library) (string, bool) {
	files := []string{libssl.path}
	if libcrypto := l.find("libcrypto.so"); libcrypto != nil {
		files = append(files, libcrypto.path)
	}
	for _, file := range files {
		data, err := t.read(file, maxProgram)
		if err != nil {
			continue
		}
		if name := relative(data); name != "" {
			t.add(Finding{Blocks, "openssl-relative", "Its libssl is " + name + ", not OpenSSL", []Place{{File: libssl.path}},
				"Its tickets work in another way; stek supports OpenSSL 1.1.1 to 4.x.", ""})
			return name, false
		}
		m := versionPattern.FindSubmatch(data)
		if m == nil {
			continue
		}
		words := strings.Fields(string(m[0]))
		version := words[0] + " " + words[1]
		var v [3]int
		fmt.Sscan(string(m[1])+" "+string(m[2])+" "+string(m[3]), &v[0], &v[1], &v[2])
		switch {
		case slices.Compare(v[:], []int{1, 1, 1}) < 0:
			t.add(Finding{Blocks, "openssl-old", version + " is too old", []Place{{File: libssl.path}}, "stek supports OpenSSL 1.1.1 to 4.x.", ""})
			return version, false
		case v[0] > 4:
			t.add(Finding{Unknown, "openssl-new", version + " is newer than what stek was tested with", []Place{{File: libssl.path}}, "stek supports OpenSSL 1.1.1 to 4.x.", ""})
		}
		return version, true
	}
	return "version unknown", true
}
