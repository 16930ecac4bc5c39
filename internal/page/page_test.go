package page

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextGoesBetweenItsMarks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte("a\n<!-- x -->\nold\n<!-- /x -->\nb\n"), 0o644))
	require.NoError(t, Write(file, "x", "new\n"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n", string(text))
}

func TestPageWithoutMarksIsLeftAlone(t *testing.T) {
	for _, text := range []string{"no marks\n", "<!-- x -->\nno end\n", "<!-- /x -->\n<!-- x -->\nthe wrong way round\n"} {
		file := filepath.Join(t.TempDir(), "page.md")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		require.ErrorContains(t, Write(file, "x", "new\n"), "has no lines")
		left, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, text, string(left))
	}
}
