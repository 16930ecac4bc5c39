package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No configuration file makes the doctor panic or hang.
func FuzzConfigurations(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.c*f*", "testdata/*/*/*.conf"} {
		found, _ := filepath.Glob(pattern)
		for _, file := range found {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			return // would read other files
		}
		lines := strings.Split(text, "\n")
		tt := &target{place: place{dir: "/nonexistent"}, argv: []string{"x"}, env: map[string]string{}, report: &Report{}}
		n := nginxFiles{files: files{target: tt}}
		n.parse("f", lines, nil, 0)
		a := apacheFiles{files: files{target: tt}, env: map[string]string{}, defined: map[string]bool{}}
		a.parse("f", lines, 0)
		tt.judgeHAProxy(haproxyDirectives("f", lines))
		effective(postfixSettings("f", lines))
		postfixOverrides("f", lines)
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		(&lighttpdFiles{files: files{target: tt}, variables: map[string]string{}}).parse(file, false, 0)
		(&stunnelFiles{files: files{target: tt}}).parse(file, 0)
		settings("f", lines)
		(&proftpdFiles{files: files{target: tt}}).parse(file, 0)
		o := newOpensslConf(tt)
		o.parse(file, 0)
		o.commands("openssl_conf")
		d := dovecotFiles{files: files{target: tt}}
		d.parse(file, false, 0)
		tt.dovecotEnvironment(d)
		tt.report.arrange()
	})
}

// Nor does the linker's cache, or what /proc says of a process.
func FuzzFilesOfTheSystem(f *testing.F) {
	f.Add([]byte(cacheMagic + "\x01\x00\x00\x00" + strings.Repeat("\x30\x00\x00\x00", 12)))
	f.Add([]byte("7f00-7f01 r--p 00000000 08:01 1 /usr/lib/libssl.so.3 (deleted)\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseCache(data)
		parseMaps(string(data))
		secureMode(data)
		unitOf(string(data))
		printable(string(data))
	})
}
