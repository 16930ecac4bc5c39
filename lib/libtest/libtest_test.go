// Package libtest tests libstek.so as C programs meet it: its exports, its
// header, and its functions in src/, with libstek-go.so behind them.
package libtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	header = root + "/lib/stek.h"
)

// sources are the C files of libstek.so, as the Makefile has them.
func sources(t *testing.T) (files []string) {
	t.Helper()
	for _, folder := range []string{root, root + "/lib"} {
		found, err := filepath.Glob(folder + "/*.c")
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.Greater(t, len(files), 10)
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func run(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput()
	require.NoErrorf(t, err, "%s %v\n%s", command, args, out)
	return string(out)
}

// library makes the two libraries and returns their folder.
func library(t *testing.T) string {
	t.Helper()
	run(t, "make", "-C", root, "lib")
	folder, err := filepath.Abs(root + "/build")
	require.NoError(t, err)
	return folder
}

// exports lists the functions that a library offers, without versions.
func exports(t *testing.T, file string) []string {
	t.Helper()
	var names []string
	for _, line := range regexp.MustCompile(`(?m)^\S+ [TDBRVW] ([^@\n]+)`).FindAllStringSubmatch(run(t, "nm", "-D", "--defined-only", file), -1) {
		names = append(names, line[1])
	}
	slices.Sort(names)
	return names
}

// named lists the names in a version script.
func named(t *testing.T, file string) []string {
	t.Helper()
	var names []string
	for _, line := range regexp.MustCompile(`(?m)^    (stek\w+);$`).FindAllStringSubmatch(read(t, file), -1) {
		names = append(names, line[1])
	}
	return names
}

func TestExportsAreThePublicList(t *testing.T) {
	folder := library(t)
	public := named(t, root+"/lib/libstek.map")
	require.Equal(t, public, exports(t, folder+"/libstek.so.0"))

	var declared []string
	for _, f := range regexp.MustCompile(`(?m)^(?:stek_status|const char \*) ?(stek_\w+)\(`).FindAllStringSubmatch(read(t, header), -1) {
		declared = append(declared, f[1])
	}
	slices.Sort(declared)
	require.Equal(t, public, declared, "what stek.h declares")

	require.Equal(t, named(t, root+"/cgo/exports.map"), exports(t, folder+"/libstek-go.so"))
}

func TestLibraryNeedsNoLibsslAndBindsAtStart(t *testing.T) {
	folder := library(t)
	for file, soname := range map[string]string{"libstek.so.0": "libstek.so.0", "libstek-go.so": "libstek-go.so"} {
		dynamic := run(t, "readelf", "-d", folder+"/"+file)
		require.Contains(t, dynamic, "Library soname: ["+soname+"]")
		require.NotContains(t, dynamic, "libssl")
		require.NotContains(t, dynamic, "libcrypto")
		require.Contains(t, dynamic, "BIND_NOW")
	}
}

func TestHeaderCompilesAlone(t *testing.T) {
	strict := []string{"-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"}
	run(t, "gcc", append(strict, "-std=c11", "-x", "c", header)...)
	run(t, "g++", append(strict, "-std=c++17", "-x", "c++", header)...)
}

func TestSourcesCompileWithoutWarnings(t *testing.T) {
	for _, file := range sources(t) {
		run(t, "gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "-o", "/dev/null", file)
	}
}

// build makes a program of src/NAME.c and the sources of the library, beside a
// libstek-go.so.
func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	folder := t.TempDir()
	run(t, "cp", library(t)+"/libstek-go.so", folder)
	program := filepath.Join(folder, name)
	args := append([]string{"-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-o", program}, flags...)
	args = append(append(args, filepath.Join("src", name+".c")), sources(t)...)
	run(t, "gcc", append(args, "-lssl", "-lcrypto", "-ldl", "-lpthread")...)
	return program
}

func TestFunctionsKeepTheirPromises(t *testing.T) {
	t.Log(run(t, build(t, "api_test")))
}

func TestFunctionsUnderAddressSanitizer(t *testing.T) {
	t.Log(run(t, build(t, "api_test", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")))
}

// As in ctest, by the functions of stek.h.
func TestTicketOpensNothingThatAFullHandshakeWouldNot(t *testing.T) {
	t.Log(run(t, build(t, "scope_test")))
}

func TestLibraryMayBeLoadedByARelativePathAndUnloaded(t *testing.T) {
	folder := library(t)
	program := filepath.Join(t.TempDir(), "relative")
	run(t, "gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, "src/relative.c", "-lssl", "-lcrypto", "-ldl")
	cmd := exec.CommandContext(t.Context(), program, "./libstek.so.0")
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// A Go program that loads libstek.so has two Go runtimes. It works: both go on
// collecting, preempting and sleeping.
func TestGoProgramCanLoadTheLibrary(t *testing.T) {
	folder := library(t)
	program := filepath.Join(t.TempDir(), "gohost")
	run(t, "go", "build", "-o", program, "./gohost")
	cmd := exec.CommandContext(t.Context(), program, folder+"/libstek.so.0")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "two Go runtimes: rotated 20 times")
}
