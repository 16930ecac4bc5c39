package stek

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-stek/stek/backend/memory"
)

// tableFiles opens two files on a tmpfs, as another process would, each time anew.
func tableFiles(t *testing.T, folder string) *SharedTable {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		return f
	}
	table, err := SharedTableOf(open("keys"), open("counts"))
	require.NoError(t, err)
	return table
}

func tmpfs(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "stek-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func openOn(t *testing.T, table *SharedTable, config memory.Config) *Keystore {
	t.Helper()
	source, err := memory.New(config)
	require.NoError(t, err)
	ks, err := Open(source, WithSharedTable(table))
	require.NoError(t, err)
	return ks
}

func TestNextKeystoreGoesOnWithTheKeysInTheTable(t *testing.T) {
	folder := tmpfs(t)
	table := tableFiles(t, folder)
	ks := openOn(t, table, memory.Config{Rotation: time.Hour})
	require.NoError(t, ks.Rotate())
	before := ks.Keys()
	require.Len(t, before, 2)
	require.NoError(t, ks.Close())
	require.NoError(t, table.Close())

	table = tableFiles(t, folder)
	defer table.Close()
	ks = openOn(t, table, memory.Config{Rotation: time.Hour})
	defer ks.Close()
	require.Equal(t, before, ks.Keys(), "the same keys, in the same states and windows")
	require.NoError(t, ks.Rotate())
	after := ks.Keys()
	require.Len(t, after, 3)
	require.NotEqual(t, before[0].Name, after[0].Name)
	require.Equal(t, before[0].Name, after[1].Name)
}

func TestTableOfAnotherFormIsOverwritten(t *testing.T) {
	for name, content := range map[string][]byte{
		"random bytes":    bytes.Repeat([]byte("as long as a key table, "), 1024),
		"a later version": append([]byte{99, 'b', 'a', 't', 'k', 'e', 't', 's'}, make([]byte, 40000)...),
		"cut off":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			folder := tmpfs(t)
			require.NoError(t, os.WriteFile(filepath.Join(folder, "keys"), content, 0o600))
			table := tableFiles(t, folder)
			defer table.Close()
			ks := openOn(t, table, memory.Config{})
			defer ks.Close()
			require.Len(t, ks.Keys(), 1)
			require.Zero(t, ks.Stats().Issued)
		})
	}
}

func TestFileOfOthersIsNotOverwritten(t *testing.T) {
	for _, name := range []string{"keys", "counts"} {
		folder := tmpfs(t)
		path := filepath.Join(folder, name)
		content := bytes.Repeat([]byte("A page that somebody wrote. "), 2000)
		require.NoError(t, os.WriteFile(path, content, 0o644))
		open := func(name string) *os.File {
			f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(t, err)
			return f
		}
		_, err := SharedTableOf(open("keys"), open("counts"))
		require.ErrorIs(t, err, ErrNotTable)
		require.ErrorContains(t, err, path)
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, now)
	}
}

func TestKeystoreRepairsItsTable(t *testing.T) {
	folder := tmpfs(t)
	table := tableFiles(t, folder)
	defer table.Close()
	ks := openOn(t, table, memory.Config{Rotation: time.Hour})
	defer ks.Close()
	for _, damage := range []func(string) error{
		func(path string) error { return os.Truncate(path, 0) },
		func(path string) error { return os.WriteFile(path, make([]byte, 30000), 0o600) }, // cuts it off first
	} {
		for _, name := range []string{"keys", "counts"} {
			require.NoError(t, damage(filepath.Join(folder, name)))
		}
		_, _ = ks.Stats(), ks.Keys()
		require.NoError(t, ks.Rotate())
		reader := tableFiles(t, folder)
		found := openOn(t, reader, memory.Config{Rotation: time.Hour})
		require.Equal(t, ks.Keys()[0].Name, found.Keys()[0].Name)
		require.NoError(t, found.Close())
		require.NoError(t, reader.Close())
	}
}

func TestSharedTableInMemoryIsInheritedAndNotWritable(t *testing.T) {
	for _, secret := range []bool{true, false} {
		t.Run(fmt.Sprintf("secret=%v", secret), func(t *testing.T) {
			table, err := newMemoryTable(secret)
			if secret && err != nil {
				require.ErrorIs(t, err, unix.ENOSYS, "a kernel that has no memfd_secret")
				return
			}
			require.NoError(t, err)
			defer table.Close()
			require.Equal(t, secret, table.Secret())
			require.Empty(t, table.refused)
			keys, counts := table.Files()
			for _, f := range []*os.File{keys, counts} {
				flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
				require.NoError(t, err)
				require.Zero(t, flags&unix.FD_CLOEXEC)
			}
			if secret {
				_, err = os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", keys.Fd()))
				require.Error(t, err, "no way to the keys but a mapping")
				return
			}
			_, err = unix.Mmap(int(keys.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			require.ErrorIs(t, err, unix.EACCES)
			again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", keys.Fd()), unix.O_RDWR, 0)
			require.NoError(t, err)
			defer unix.Close(again)
			_, err = unix.Mmap(again, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			require.ErrorIs(t, err, unix.EPERM)
		})
	}
}
