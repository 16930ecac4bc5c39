package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The dynamic linker itself is the judge of what it would load.
func TestLibrariesAreThoseTheDynamicLinkerFinds(t *testing.T) {
	for _, file := range []string{
		need(t, "nginx", "nginx"), need(t, "haproxy", "haproxy"), need(t, "openssl", "openssl"),
		need(t, "apache2", "apache2"), build(t, "nothing"),
	} {
		tt := &target{env: map[string]string{}, report: &Report{}}
		obj, err := tt.object(file)
		require.NoError(t, err)
		libs, missing := tt.closure([]object{obj})
		require.Empty(t, missing, file)
		var got []string
		for _, l := range libs {
			if l.path != obj.interp && filepath.Base(l.path) != filepath.Base(obj.interp) {
				got = append(got, tt.real(l.path))
			}
		}
		out, err := exec.Command(obj.interp, "--list", file).Output()
		require.NoError(t, err)
		var want []string
		for _, m := range regexp.MustCompile(`=> (/\S+)`).FindAllStringSubmatch(string(out), -1) {
			want = append(want, tt.real(m[1]))
		}
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got, file)
	}
}

func TestLibraryPathAndRunpathCount(t *testing.T) {
	stub := build(t, "stub", "-shared", "-fPIC", "-lssl")
	dir := t.TempDir()
	lib := filepath.Join(dir, "libneon-test.so")
	data, err := os.ReadFile(stub)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(lib, data, 0o755))
	// Linked by its file name: no soname, so DT_NEEDED has no directory.
	program := build(t, "indirect", "-L"+dir, "-l:libneon-test.so", "-Wl,-rpath,"+dir)
	r := examine(t, program)
	f := finding(t, r, "openssl-indirect")
	require.Equal(t, Unknown, f.Severity)
	require.Equal(t, "OpenSSL is here only because libneon-test.so needs it", f.Title)

	program = build(t, "indirect", "-L"+dir, "-l:libneon-test.so")
	require.Nil(t, examine(t, program).Find("openssl-indirect"))
	finding(t, examineWith(t, []string{"LD_LIBRARY_PATH=" + dir}, program), "openssl-indirect")
}

func TestDamagedLinkerCacheIsEmpty(t *testing.T) {
	require.Empty(t, parseCache(nil))
	require.Empty(t, parseCache([]byte(cacheMagic)))
	require.Empty(t, parseCache(append([]byte(cacheMagic), make([]byte, 100)...)))
}
