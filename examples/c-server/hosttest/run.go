package hosttest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// notSuspended is what LeakSanitizer says in a forked child of the threads that
// only its parent has.
var notSuspended = regexp.MustCompile(`(?m)^==\d+==Running thread \d+ was not suspended\. False leaks are possible\.\n`)

// Run runs a program to its end, as another user unless that is nil, and
// returns its exit status and all that it printed. A program that hangs or is
// killed fails the test.
func Run(t *testing.T, lib string, user *syscall.Credential, program string, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+lib)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "%v hangs:\n%s", cmd.Args, out)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	require.True(t, cmd.ProcessState.Exited(), "%v: %v\n%s", cmd.Args, cmd.ProcessState, out)
	return cmd.ProcessState.ExitCode(), notSuspended.ReplaceAllString(string(out), "")
}
