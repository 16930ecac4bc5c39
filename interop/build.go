package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is the root of the repository, seen from the package of the tests.
const repository = ".."

// A build is what make has made, where every user can read it: absolute paths.
type build struct {
	stek, preload string
}

// built makes stek and its preload, once for all tests.
func built(t *testing.T) build {
	t.Helper()
	b, err := makeOnce()
	require.NoError(t, err)
	return b
}

var makeOnce = sync.OnceValues(func() (b build, err error) {
	// Tests of other packages make the library too.
	lock, err := os.Open(filepath.Join(repository, "Makefile"))
	if err != nil {
		return b, err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return b, err
	}
	cmd := exec.Command("make", "-C", repository, "build/stek", "build/libstek-preload.so")
	cmd.Env = plainEnvironment()
	if output, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("run %v: %w\n%s", cmd.Args, err, output)
	}
	// Servers drop to users who may not enter the folder of the repository.
	b = build{filepath.Join(scratch, "stek"), filepath.Join(scratch, "libstek-preload.so")}
	for _, file := range []string{b.stek, b.preload} {
		content, err := os.ReadFile(filepath.Join(repository, "build", filepath.Base(file)))
		if err != nil {
			return b, err
		}
		if err := os.WriteFile(file, content, 0o755); err != nil {
			return b, err
		}
	}
	return b, nil
})
