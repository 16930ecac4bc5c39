// Package ctest builds the C part without Go, under the compiler's sanitizers,
// and runs its tests in src/.
package ctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// cFiles are the C files of the root package.
var cFiles = func() (names []string) {
	paths, _ := filepath.Glob("../*.c")
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}()

var strict = []string{"-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"}

// build compiles src/NAME.c with files of the root package and returns the
// program's path.
func build(t *testing.T, name string, root []string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	args := append(append(slices.Clone(strict), flags...), "-o", program, filepath.Join("src", name+".c"))
	for _, file := range root {
		args = append(args, object(t, file, flags))
	}
	args = append(args, "-lssl", "-lcrypto", "-ldl", "-lpthread")
	output(t, "gcc", args...)
	return program
}

var (
	scratch string
	objects sync.Map // those that are compiled, by file and flags
)

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "stek-ctest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// object is a file of the root package, compiled with flags, once for all tests: the
// sanitizers take long for attach.c.
func object(t *testing.T, file string, flags []string) string {
	t.Helper()
	compile, _ := objects.LoadOrStore(file+strings.Join(flags, " "), sync.OnceValues(func() (string, error) {
		folder, err := os.MkdirTemp(scratch, "")
		if err != nil {
			return "", err
		}
		path := filepath.Join(folder, file+".o")
		args := append(append(slices.Clone(strict), flags...), "-c", "-o", path, filepath.Join("..", file))
		out, err := exec.Command("gcc", args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("gcc %v: %w\n%s", args, err, out)
		}
		return path, err
	}))
	path, err := compile.(func() (string, error))()
	require.NoError(t, err)
	return path
}

func output(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	require.NoErrorf(t, err, "%s %v\n%s", command, args, out)
	return string(out)
}

func TestCUnderAddressSanitizer(t *testing.T) {
	for name, root := range map[string][]string{
		"table_test":       {"clock.c"},               // includes table.c
		"clock_test":       {"table.c", "tablemap.c"}, // includes clock.c
		"sharedtable_test": {"clock.c", "table.c", "tablemap.c"},
		"verdict_test":     cFiles,
		"handshake_test":   cFiles,
		"errors_test":      cFiles,
		"iv_test":          cFiles,
		"names_test":       cFiles,
		"scope_test":       cFiles,
		"stack_test":       cFiles,
		"quic_test":        cFiles,
		"ech_test":         cFiles,
	} {
		t.Run(name, func(t *testing.T) {
			program := build(t, name, root, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
			t.Log(output(t, program, "short"))
		})
	}
}

// What becomes of a ticket of a context with one policy for clients at a context with
// another, by each kind of callback and each renewal policy, and with OpenSSL alone.
func TestTicketOpensNothingThatAFullHandshakeWouldNot(t *testing.T) {
	t.Log(output(t, build(t, "scope_test", cFiles, "-O1")))
}

// In a process that has verified nobody, under the renewal policies that renew tickets of
// TLS 1.3 under the current key.
func TestVerifyModeThatIsSetLateCounts(t *testing.T) {
	program := build(t, "scope_test", cFiles, "-O1")
	for _, policy := range []string{"0", "1"} {
		t.Log(output(t, program, "late", policy))
	}
}

func TestMoreServerNamesThanAreRemembered(t *testing.T) {
	t.Log(output(t, build(t, "scope_test", cFiles, "-O1", "-DSTEKC_NAMES=4"), "few"))
}

// gcc's ThreadSanitizer needs an address space that is not randomised.
func TestCUnderThreadSanitizer(t *testing.T) {
	for name, root := range map[string][]string{"table_test": {"clock.c"}, "handshake_test": cFiles, "iv_test": cFiles} {
		t.Run(name, func(t *testing.T) {
			program := build(t, name, root, "-O1", "-fsanitize=thread")
			t.Log(output(t, "setarch", "-R", program))
		})
	}
}

// A ClientHello can carry 1,700 tickets, and each that is not refused at once has
// its contexts set up. Instructions do not depend on what else the machine does.
// Those of OpenSSL are in the second and the third: for OpenSSL 3.0 on x86-64,
// a fifth above what they were.
func TestCallbackCostsFewInstructions(t *testing.T) {
	program := build(t, "cost", cFiles, "-O2")
	instructions := func(what string, calls int) int {
		out := output(t, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
			"--toggle-collect=stekc_callback", program, what, strconv.Itoa(calls))
		match := regexp.MustCompile(`Collected : (\d+)`).FindStringSubmatch(out)
		require.NotNil(t, match, out)
		n, err := strconv.Atoi(match[1])
		require.NoError(t, err)
		return n
	}
	for what, limit := range map[string]int{"miss": 200, "decrypt": 8750, "encrypt": 8900} {
		perCall := (instructions(what, 2000) - instructions(what, 1000)) / 1000
		t.Logf("%s: %d instructions", what, perCall)
		require.Positive(t, perCall)
		require.Less(t, perCall, limit, what)
	}
}
