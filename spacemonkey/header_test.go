package spacemonkey_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spacemonkeygo/openssl"
	"github.com/stretchr/testify/require"
)

func TestFIPSModeSetTellsTheTruth(t *testing.T) {
	require.NoError(t, openssl.FIPSModeSet(false))
	require.Error(t, openssl.FIPSModeSet(true), "no FIPS module is there to be switched on")
}

// The files that tell the header who is asking, and how each asks.
const (
	caller = "#include <openssl/ssl.h>\nint off(void) { return FIPS_mode_set(0); }\n"
	fork   = "#include <openssl/ssl.h>\nint FIPS_mode_set(int on) { return 0; }\n"
	twice  = "#include <openssl/ssl.h>\n" + caller
)

// Headers as OpenSSL 1.1.1 has them, as far as matters here.
var oldOpenSSL = map[string]string{
	"old/openssl/opensslv.h": "#define OPENSSL_VERSION_NUMBER 0x1010117fL\n",
	"old/openssl/crypto.h":   "int FIPS_mode_set(int on);\n",
	"old/openssl/ssl.h":      "#include <openssl/opensslv.h>\n#include <openssl/crypto.h>\n",
}

func TestHeaderAddsWhatIsMissingAndNoMore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string // of the package that is compiled
		old   bool              // with OpenSSL 1.1.1
	}{
		{"the module", map[string]string{"fips.go": "", "main.c": caller}, false},
		{"the module, includes repeated", map[string]string{"fips.go": "", "main.c": twice}, false},
		{"the fork, which has its own", map[string]string{"fips.go": "", "extension.c": "", "main.c": fork}, false},
		{"any other package, with its own", map[string]string{"main.c": fork}, false},
		{"the module on 1.1.1", map[string]string{"fips.go": "", "main.c": caller}, true},
		{"the fork on 1.1.1", map[string]string{"fips.go": "", "extension.c": "", "main.c": caller}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, tt.files)
			// The order of cgo: the package's folder, then what pkg-config says.
			args := []string{"-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wno-unused-parameter", "-Werror", "-fsyntax-only", "-I", ".", "-I", abs(t, "include")}
			if tt.old {
				writeFiles(t, dir, oldOpenSSL)
				args = append(args, "-I", "old")
			}
			compiler := exec.Command("cc", append(args, "main.c")...)
			compiler.Dir = dir
			output, err := compiler.CombinedOutput()
			require.NoError(t, err, "%s", output)
		})
	}
}

func TestModuleCachePathSuitsCgo(t *testing.T) {
	// As in the module cache: a version with @, and nothing may be written.
	dir := filepath.Join(t.TempDir(), "!stek@v0.1.0-rc.1+incompatible")
	for _, file := range []string{"include/openssl/ssl.h", "pkgconfig/libssl.pc"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		writeFiles(t, dir, map[string]string{file: string(content)})
		require.NoError(t, os.Chmod(filepath.Join(dir, file), 0o444))
	}
	module := t.TempDir()
	writeFiles(t, module, map[string]string{
		"go.mod": "module example.com/small\n\ngo 1.26\n",
		"fips.go": `package main

// #cgo pkg-config: libssl
// #include <openssl/ssl.h>
import "C"

func main() {
	println("FIPS_mode_set(0) =", C.FIPS_mode_set(0), "linked", C.SSL_CTX_new(nil) == nil)
}
`,
	})

	program := exec.Command("go", "run", ".")
	program.Dir = module
	program.Env = append(os.Environ(), "PKG_CONFIG_PATH="+filepath.Join(dir, "pkgconfig"), "GOFLAGS=-buildvcs=false")
	output, err := program.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "FIPS_mode_set(0) = 1 linked true")
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
}
