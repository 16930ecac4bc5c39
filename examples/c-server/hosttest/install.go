// Package hosttest installs libstek, builds C servers against it, runs them,
// and visits them by openssl s_client. It is for the tests of the C examples.
package hosttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is the root of the repository, seen from the package of the tests.
const repository = "../.."

// scratch holds the installation and what is built, for all tests of a package.
// Every user may read it.
var scratch string

// Main runs the tests of a package; its TestMain is to call it.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "stek-host-")
	if err == nil {
		err = os.Chmod(folder, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	scratch = folder
	return m.Run()
}

// Lib is the folder of the installed libraries, as LD_LIBRARY_PATH takes it.
func Lib(t *testing.T) string {
	t.Helper()
	prefix, err := installed()
	require.NoError(t, err)
	return filepath.Join(prefix, "lib")
}

// installed makes the library and installs it as a packager does: into DESTDIR,
// from where its files are moved to PREFIX.
var installed = sync.OnceValues(func() (prefix string, err error) {
	prefix = filepath.Join(scratch, "opt", "stek")
	stage := filepath.Join(scratch, "stage")
	if err := os.Mkdir(filepath.Dir(prefix), 0o755); err != nil {
		return "", err
	}

	// Tests of other packages make the library too.
	lock, err := os.Open(filepath.Join(repository, "Makefile"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"lib"},
		{"install", "DESTDIR=" + stage, "PREFIX=" + prefix, "LIBDIR=" + prefix + "/lib", "INCLUDEDIR=" + prefix + "/include"},
	} {
		if err := runMake(repository, args...); err != nil {
			return "", err
		}
	}
	return prefix, os.Rename(filepath.Join(stage, prefix), prefix)
})

// runMake runs make in folder. pkg-config finds what has been installed.
func runMake(folder string, args ...string) error {
	pkgConfig := filepath.Join(scratch, "opt", "stek", "lib", "pkgconfig")
	if others := os.Getenv("PKG_CONFIG_PATH"); others != "" {
		pkgConfig += ":" + others
	}
	cmd := exec.Command("make", append([]string{"-C", folder}, args...)...)
	// The tests may run under make; its flags and variables are not for this one.
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAKE") && !strings.HasPrefix(variable, "MFLAGS=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "PKG_CONFIG_PATH="+pkgConfig)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %v: %w\n%s", cmd.Args, err, output)
	}
	return nil
}
