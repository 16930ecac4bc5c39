package securemem

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// flagsOf returns the kernel's flags of the mapping that holds b: "lo" locked,
// "dd" not dumped, "wf" wiped on fork (proc_pid_smaps(5)).
func flagsOf(t *testing.T, b []byte) []string {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	inside := false
	address := uint64(uintptr(unsafe.Pointer(&b[0])))
	for line := range strings.Lines(string(smaps)) {
		var begin, end uint64
		if n, _ := fmt.Sscanf(line, "%x-%x", &begin, &end); n == 2 {
			inside = begin <= address && address < end
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return strings.Fields(flags)
		}
	}
	t.Fatal("mapping not found")
	return nil
}

func TestBufferIsLockedUndumpableAndWipedOnFork(t *testing.T) {
	b, err := New(64)
	require.NoError(t, err)
	require.Empty(t, b.Refused())
	flags := flagsOf(t, b.Bytes())
	for _, flag := range []string{"lo", "dd", "wf"} {
		require.Contains(t, flags, flag)
	}
	require.Len(t, b.Bytes(), 64)
	require.Equal(t, 64, cap(b.Bytes()))
	b.Free()
	b.Free()
	require.Empty(t, b.Bytes())
}

func TestWipeOverwrites(t *testing.T) {
	b := bytes.Repeat([]byte{7}, 100)
	Wipe(b)
	require.Equal(t, make([]byte, 100), b)
}

func TestRandomFillsAndDiffers(t *testing.T) {
	a, b := make([]byte, 1000), make([]byte, 1000)
	require.NoError(t, Random(a))
	require.NoError(t, Random(b))
	require.NotEqual(t, a, b)
	require.NotEqual(t, make([]byte, 100), a[900:])
	require.NoError(t, Random(nil))
}
