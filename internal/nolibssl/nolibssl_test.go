// Package nolibssl holds the one test that must run in a process without
// libssl: nothing here links it, and stek never does.
package nolibssl

import (
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
)

func TestWithoutLibsslEverythingButAttachWorks(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	require.NotContains(t, string(maps), "libssl.so")

	source, err := memory.New(memory.Config{})
	require.NoError(t, err)
	ks, err := stek.Open(source)
	require.NoError(t, err)
	require.NoError(t, ks.Rotate())
	require.Len(t, ks.Keys(), 2)

	notAContext := make([]uint64, 64)
	_, err = stek.Attach(unsafe.Pointer(&notAContext[0]), ks)
	require.ErrorIs(t, err, stek.ErrNoLibssl)
	require.EqualError(t, err, "attach keystore: no libssl in this process: none is loaded, or it is linked in statically without -rdynamic")
	require.ErrorIs(t, stek.Detach(unsafe.Pointer(&notAContext[0])), stek.ErrNoLibssl)
	require.NoError(t, ks.Close())
}
