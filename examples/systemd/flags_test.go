package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is the root of the repository, seen from here.
const repository = "../.."

// command makes the command stek and returns its path.
func command(t *testing.T) string {
	t.Helper()
	// Tests of other packages make it too.
	lock, err := os.Open(filepath.Join(repository, "Makefile"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))

	cmd := exec.Command("make", "-C", repository, "build/stek")
	// The tests may run under make; its flags and variables are not for this one.
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAKE") && !strings.HasPrefix(variable, "MFLAGS=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(repository, "build", "stek")
}

var flag = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

func TestFlagsAreThoseOfTheCommand(t *testing.T) {
	help, err := exec.Command(command(t), "agent", "--help").CombinedOutput()
	require.NoError(t, err, string(help))
	known := flag.FindAllString(string(help), -1)
	for _, file := range glob(t, "*.service") {
		used := flag.FindAllString(read(t, file), -1)
		require.NotEmpty(t, used, file)
		require.Subset(t, known, used, file)
	}
}
