package hosttest

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Build is a folder of C programs, as the Makefile of an example makes them.
type Build struct {
	name   string // plain or asan
	cflags string // "": the Makefile's own
	target string
	Folder string
	err    error
	once   sync.Once
}

const asan = "-std=c11 -O1 -g -fno-omit-frame-pointer -fsanitize=address -Wall -Wextra -Wpedantic -Werror"

var builds = []*Build{{name: "plain"}, {name: "asan", cflags: asan}}

// Plain returns the programs of the example as a user builds them.
func Plain(t *testing.T, target string) *Build {
	t.Helper()
	b := builds[0]
	b.make(t, target)
	return b
}

// Each runs test with the programs of the example as a user builds them, and
// with AddressSanitizer, which also looks for leaks when a process ends.
func Each(t *testing.T, target string, test func(*testing.T, *Build)) {
	t.Helper()
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.make(t, target)
			test(t, b)
		})
	}
}

// Program is the path of a program.
func (b *Build) Program(name string) string { return filepath.Join(b.Folder, name) }

func (b *Build) make(t *testing.T, target string) {
	t.Helper()
	Lib(t)
	b.once.Do(func() {
		b.target, b.Folder = target, filepath.Join(scratch, b.name)
		args := []string{target, "BUILD=" + b.Folder}
		if b.cflags != "" {
			args = append(args, "CFLAGS="+b.cflags)
		}
		b.err = runMake(".", args...)
	})
	require.NoError(t, b.err)
	require.Equal(t, b.target, target, "one target per package of tests")
}
