package stek

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// block returns the code block of README.md that begins with the line after
// fence and holds part.
func block(t *testing.T, fence, part string) string {
	t.Helper()
	for _, b := range regexp.MustCompile("(?s)```"+fence+"\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if strings.Contains(b[1], part) {
			return b[1]
		}
	}
	t.Fatalf("README.md has no %s block with %q", fence, part)
	return ""
}

// withoutNames replaces what differs from run to run by its order: key names
// and the port.
func withoutNames(text string) string {
	seen := map[string]string{}
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "ADDRESS")
	return regexp.MustCompile(`\b[0-9a-f]{8}\b`).ReplaceAllStringFunc(text, func(name string) string {
		if seen[name] == "" {
			seen[name] = "KEY" + string(rune('1'+len(seen)))
		}
		return seen[name]
	})
}

func TestReadmeSessionIsWhatMakeRunPrints(t *testing.T) {
	session, ok := strings.CutPrefix(block(t, "console", "make run"), "$ make run\n")
	require.True(t, ok)
	require.Regexp(t, `Reused\n$`, session)
	out, err := exec.Command("make", "--no-print-directory", "run").CombinedOutput()
	require.NoError(t, err, string(out))
	// A rotation may fall between the last two steps; the story is the same.
	require.Equal(t, withoutNames(session), withoutNames(string(out)))
}

// make test is what runs this; the rest of the README's commands run in tests
// of the packages they are about.
func TestReadmeCommandsAreTheOnesThatAreTested(t *testing.T) {
	require.Equal(t, 2, strings.Count(block(t, "sh", "make run"), "make "))
	makefile := read(t, "Makefile")
	for _, target := range []string{"run:", "test:"} {
		require.Contains(t, makefile, "\n"+target)
	}
	require.Contains(t, read(t, ".ci/run"), "\nmake test\nmake test-containers\n")
	require.Contains(t, makefile, "\ntest-containers:")

	require.Contains(t, read(t, "lib/stek.h"), "stek_open(\"memory:\", &store) != STEK_OK")
	require.Contains(t, makefile, "\nlib:")
	require.Contains(t, makefile, "\ncommand:")
	require.Contains(t, makefile, "\ninstall:")

	export := strings.TrimSpace(block(t, "sh", "PKG_CONFIG_PATH"))
	require.Contains(t, read(t, "spacemonkey/spacemonkey.go"), "//\t"+export+"\n", "the line that package spacemonkey tests")
	require.Contains(t, read(t, "spacemonkey/example_test.go"), block(t, "go", "memory.New"), "compiled and run as an example")
}

// In namespaces of their own: Debian's nginx listens on port 80, and has files in
// /run and /var.
func TestReadmeCommandsForServersWork(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(block(t, "sh", "build/stek run")), "\n")
	require.Len(t, lines, 4)
	var commands []string
	for _, line := range lines {
		command, _, _ := strings.Cut(line, "  ")
		commands = append(commands, command)
	}
	require.Equal(t, "make command", commands[0], "make test has made it")
	script := "mount -t tmpfs stek /run && mount -t tmpfs stek /var/log/nginx && mount -t tmpfs stek /var/lib/nginx\n" +
		commands[1] + " && echo reached\n" +
		commands[2] + " &\n" +
		"until test -s /run/nginx.pid || ! kill -0 $!; do sleep 0.05; done\n" +
		commands[3] + "\n" +
		"kill $!; wait $!; echo exit $?\n"
	out, err := exec.Command("unshare", "--net", "--mount", "sh", "-c", script).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "No listener in this configuration serves TLS", "what doctor says of Debian's nginx.conf")
	require.Regexp(t, `(?m)^[0-9a-f]{8}  current `, string(out))
	require.Contains(t, string(out), "contexts seen (SSL_CTX)")
	require.Contains(t, string(out), "exit 0\n")
}

func TestReadmeLinksLead(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	for _, file := range append(pages, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		folder := file[:strings.LastIndex(file, "/")+1]
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(read(t, file), -1) {
			_, err := os.Stat(folder + link[1])
			require.NoError(t, err, file)
		}
	}
}

// Imports point down to values; see docs/architecture.md.
func TestImportRules(t *testing.T) {
	const module = "github.com/go-stek/stek"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		pkg = strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
		for _, path := range strings.Fields(imports) {
			ours, ok := strings.CutPrefix(path, module)
			if !ok {
				mayUseC := pkg == "" || slices.Contains([]string{"cgo", "internal/ssltest", "internal/supervise", "lib/libtest/gohost"}, pkg)
				require.True(t, mayUseC || path != "C", "%s must not use cgo", pkg)
				continue
			}
			ours = strings.TrimPrefix(ours, "/")
			switch {
			case pkg == "ticketkey":
				t.Errorf("ticketkey imports %s", path)
			case strings.HasPrefix(pkg, "backend"):
				require.NotEmpty(t, ours, "%s imports the root", pkg)
			case pkg == "":
				require.False(t, strings.HasPrefix(ours, "backend/"), "the root names %s", ours)
				require.NotEqual(t, "internal/ssltest", ours)
			}
		}
	}
}

// OpenSSL's versions meet in openssl.h alone.
func TestOnlyOneFileKnowsOpenSSLVersions(t *testing.T) {
	files, err := filepath.Glob("*.[ch]")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasPrefix(file, "openssl.") {
			continue
		}
		text := read(t, file)
		require.NotRegexp(t, `OPENSSL_VERSION|OSSL_[0-9]|0x[13]0[0-9a-f]{6}`, text, file)
		require.NotRegexp(t, `(?m)^#\s*if\b`, text, file)
	}
}
