//go:build !asan

// AddressSanitizer makes mlock(2) do nothing.

package stek

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/backend/memory"
)

// The table's pages are locked, left out of core dumps and wiped in a forked
// child (proc_pid_smaps(5): lo, dd, wf).
func TestKeyTableIsProtected(t *testing.T) {
	before, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	source, err := memory.New(memory.Config{})
	require.NoError(t, err)
	ks, err := Open(source, WithStrictMemory())
	require.NoError(t, err)
	defer ks.Close()
	after, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	// Three mappings: the source's secrets, the table, and its writer's own part.
	require.Equal(t, protectedMappings(before)+3, protectedMappings(after))
	require.Equal(t, "protect the memory of ticket keys: refused mlock, MADV_DONTDUMP",
		fmt.Sprint(&ProtectionError{[]string{"mlock", "MADV_DONTDUMP"}}))
}

func protectedMappings(smaps []byte) int {
	n := 0
	for line := range strings.Lines(string(smaps)) {
		if strings.HasPrefix(line, "VmFlags:") && strings.Contains(line, " lo ") &&
			strings.Contains(line, " dd") && strings.Contains(line, " wf") {
			n++
		}
	}
	return n
}
