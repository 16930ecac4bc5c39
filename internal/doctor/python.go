package doctor

import (
	"path/filepath"
	"regexp"
)

var pythonName = regexp.MustCompile(`^python(\d+\.\d+)`)

// checkPython returns Python's ssl module.
func (t *target) checkPython() []string {
	m := pythonName.FindStringSubmatch(filepath.Base(t.program))
	if m == nil {
		return nil
	}
	prefix := filepath.Dir(filepath.Dir(t.program))
	for _, lib := range []string{"lib", "lib64"} {
		found := t.glob(filepath.Join(prefix, lib, "python"+m[1], "lib-dynload", "_ssl.*.so"))
		if len(found) > 0 {
			return found[:1]
		}
	}
	return nil
}
