package cserver

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/examples/c-server/hosttest"
)

func TestForkedChildIsRefusedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, build *hosttest.Build) {
		status, output := hosttest.Run(t, hosttest.Lib(t), nil, build.Program("fork_check"))
		require.Empty(t, output)
		require.Zero(t, status)
	})
}

// unprivileged is a user of no other process, if the tests run as root: root
// knows no RLIMIT_NPROC, and that limit counts all processes of a user.
func unprivileged() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: 65432, Gid: 65432}
}

// A limit too small is an error of stek_open, and never the end of its host:
// neither at once nor later.
func TestLimitTooSmallIsAnErrorNotTheEnd(t *testing.T) {
	t.Parallel()
	build := hosttest.Plain(t, "check")
	for _, tt := range []struct {
		name    string
		option  string // of prlimit(1)
		unit    int
		threads string // that use the store; they take address space, and more once they allocate
		small   int    // too little
		large   int    // enough
		between []int  // one or the other
	}{
		{"RLIMIT_NPROC", "nproc", 1, "8", 1, 4096, []int{0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16}},
		{"RLIMIT_NOFILE", "nofile", 1, "8", 10, 64, []int{4, 5, 6, 7, 8, 9, 11, 12, 14, 16}},
		{"RLIMIT_AS", "as", 1 << 20, "0", 200, 4000, []int{50, 100, 400, 800, 1200, 1400, 1500, 1600, 1700, 1800, 1900, 2000, 2100, 2200, 2300, 2500, 3000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			under := func(n int, program string, args ...string) (status int, output string) {
				args = append([]string{fmt.Sprintf("--%s=%d", tt.option, n*tt.unit), program}, args...)
				return hosttest.Run(t, hosttest.Lib(t), unprivileged(), "prlimit", args...)
			}
			check := build.Program("limit_check")
			status, output := under(tt.small, check, tt.threads)
			require.Zero(t, status, output)
			require.Regexp(t, `^STEK_ERR_LIMIT .*`+tt.name+`.*\n$`, output)

			for range 10 { // whether Go wants another thread, and when, is chance
				status, output = under(tt.large, check, tt.threads)
				require.Zero(t, status, output)
				require.Equal(t, "STEK_OK\n", output)
			}
			for _, n := range tt.between {
				status, output = under(n, check, tt.threads)
				require.Zero(t, status, "%d: %s", n, output)
				if output != "STEK_OK\n" {
					require.True(t, strings.HasPrefix(output, "STEK_ERR_LIMIT "), "%d: %s", n, output)
				}
			}

			certFile, keyFile := hosttest.Certificate(t)
			status, output = under(tt.small, build.Program("server"), "--cert", certFile, "--key", keyFile, "--threads", "1")
			require.Equal(t, 1, status, output)
			require.Regexp(t, `^server: stek_open: .*`+tt.name, output)
		})
	}
}

// Go raises the soft limit of descriptors when it starts; hosts that use
// select(2), and programs they start, rely on it.
func TestOpenLeavesTheLimitsOfItsHostAlone(t *testing.T) {
	t.Parallel()
	build := hosttest.Plain(t, "check")
	status, output := hosttest.Run(t, hosttest.Lib(t), nil, "prlimit", "--nofile=64:1024", build.Program("limit_check"))
	require.Zero(t, status, output)
	require.Equal(t, "STEK_OK\n", output)
}
