package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests need no Docker engine.

// What the pages tell people to type is what the claims about the image type, but
// for names and ports.
func TestCommandsOfThePagesAreThoseOfTheClaims(t *testing.T) {
	demo := "docker-compose -f " + newScenario("demo").file + " " + strings.Join(demoUp, " ") + "\n"
	for _, page := range []string{"README.md", "docker/README.md"} {
		text, err := os.ReadFile("../../" + page)
		require.NoError(t, err)
		require.Contains(t, string(text), demo, page)
	}
	text, err := os.ReadFile("../../docker/README.md")
	require.NoError(t, err)
	require.Contains(t, string(text), "docker run -d "+strings.Join(userOptions, " ")+" "+userImage+"\n")
}

func TestEveryClaimHasItsFolder(t *testing.T) {
	claims := chosen(nil, regexp.MustCompile(""))
	require.Greater(t, len(claims), 40)
	seen := map[string]bool{}
	for _, c := range claims {
		require.FileExists(t, filepath.Join("../../docker", c.Image.Folder, "Dockerfile"))
		row := c.subject() + c.Says
		require.False(t, seen[row], "two rows are alike: %s", row)
		seen[row] = true
	}
}

func TestPartIsChosenByItsName(t *testing.T) {
	for _, part := range parts {
		claims := chosen([]string{part}, regexp.MustCompile(""))
		require.NotEmpty(t, claims, part)
		for _, c := range claims {
			require.Equal(t, part, c.Part)
		}
	}
}

func TestRowIsChosenByAnExpression(t *testing.T) {
	claims := chosen(nil, regexp.MustCompile("nginx, trixie"))
	require.Len(t, claims, 1)
	require.Equal(t, "under stek run: nginx", claims[0].Says)
}

func TestPageGetsTheTableWithoutTimes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte("<!-- containers -->\n<!-- /containers -->\n"), 0o644))
	claim := &Claim{On: "nginx", Says: "resumes"}
	require.NoError(t, writePage(file, []Result{{Claim: claim, Seen: "Reused"}}))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "<!-- containers -->\n| image | claim | result |\n|---|---|---|\n| nginx | resumes | Reused |\n<!-- /containers -->\n", string(text))
}

func TestWithoutAnEngineOnlyCIFails(t *testing.T) {
	claims, reason := []*Claim{{On: "nginx", Says: "resumes"}}, os.ErrNotExist
	t.Setenv("CI", "true")
	require.Equal(t, 1, withoutEngine(claims, reason))
	t.Setenv("CI", "")
	require.Zero(t, withoutEngine(claims, reason))
}

func TestFailureIsNamedInTheTable(t *testing.T) {
	var b strings.Builder
	table(&b, []Result{{Claim: &Claim{On: "nginx", Says: "resumes"}, Err: os.ErrNotExist}}, true)
	require.Contains(t, b.String(), "| nginx | resumes | FAILED | 0 |\n")
}
