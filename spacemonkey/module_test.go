package spacemonkey_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A user's program that has only the line of the package comment to compile the
// module with.
const program = `package main

import (
	"fmt"

	"github.com/spacemonkeygo/openssl"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/spacemonkey"
)

func main() {
	source, err := memory.New(memory.Config{})
	check(err)
	keys, err := stek.Open(source)
	check(err)
	defer keys.Close()
	ctx, err := openssl.NewCtx()
	check(err)
	_, err = spacemonkey.Attach(ctx, keys)
	check(err)
	check(spacemonkey.Detach(ctx))
	fmt.Println("attached")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
`

func TestOneLineBuildsAUsersModule(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the openssl module")
	}
	line := documentedLine(t, `^//\t(export PKG_CONFIG_PATH=\$\(go list .*)$`)

	// The compiler flag is new every time: go build does not see that
	// pkg-config answers differently and would take the last result.
	output := runShell(t, newUserModule(t), line+`
		go build -gcflags=github.com/spacemonkeygo/openssl=-trimpath="$PWD" -o program .
		./program`)

	require.Contains(t, output, "attached")
}

func TestVendoredModuleBringsTheHeader(t *testing.T) {
	line := documentedLine(t, `^//\t(export PKG_CONFIG_PATH=\$PWD/vendor/.*)$`)

	runShell(t, newUserModule(t), `go mod vendor
		`+line+`
		include=$(pkg-config --cflags libssl | sed 's/^-I\([^ ]*\) .*/\1/')
		cmp "$include/openssl/ssl.h" "`+abs(t, "include/openssl/ssl.h")+`"`)
}

// documentedLine is the line of the package comment that matches pattern.
func documentedLine(t *testing.T, pattern string) string {
	t.Helper()
	source, err := os.ReadFile("spacemonkey.go")
	require.NoError(t, err)
	match := regexp.MustCompile("(?m)" + pattern).FindSubmatch(source)
	require.NotNil(t, match, "the package comment has no line %s", pattern)
	return string(match[1])
}

func newUserModule(t *testing.T) string {
	t.Helper()
	sums, err := os.ReadFile("../go.sum")
	require.NoError(t, err)

	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"main.go": program,
		"go.sum":  string(sums),
		"go.mod":  "module example.com/user\n\ngo 1.26.0\n\nrequire github.com/go-stek/stek v0.0.0\n\nreplace github.com/go-stek/stek => " + abs(t, "..") + "\n",
	})
	runShell(t, dir, "go get .")
	return dir
}

// runShell runs script in dir as a user would, without a PKG_CONFIG_PATH of
// this process.
func runShell(t *testing.T, dir, script string) string {
	t.Helper()
	shell := exec.Command("sh", "-ec", script)
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PKG_CONFIG_PATH=", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	output, err := shell.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, output)
	return string(output)
}

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	return path
}
