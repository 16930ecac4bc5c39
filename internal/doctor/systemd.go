package doctor

import (
	"path/filepath"
	"regexp"
	"strings"
)

// Preload is where the library is installed that servers are to load. Whoever
// changes it does so before any report is made.
var Preload = "/usr/lib/stek/libstek-preload.so"

// dropIn is what to type and to write so that systemd starts unit with the
// preload.
func dropIn(unit string) string {
	return "systemctl edit " + unit + "\n" +
		"[Service]\n" +
		"Environment=LD_PRELOAD=" + Preload + "\n" +
		"Environment=STEK_TABLE=/run/stek/table"
}

// hintUnit adds a note if systemd has a unit with the program's name: a server
// that it starts does not see the environment of a shell.
func (t *target) hintUnit() {
	if t.root != "" || t.report.Verdict() == Blocks {
		return
	}
	base := filepath.Base(t.program)
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		for _, unit := range []string{base + ".service", base + "@-.service"} {
			if t.isFile(filepath.Join(dir, unit)) {
				t.add(Finding{Note, "systemd-unit", "systemd has a unit for it, " + unit, nil,
					"What is set in a shell does not get there. To start it with stek:", dropIn(unit)})
				return
			}
		}
	}
}

var cgroupUnit = regexp.MustCompile(`(?m)/([\w:.@\\-]+\.service)(?:/[^\n]*)?$`)

// unitOf finds the system's service in the text of /proc/PID/cgroup, or "".
func unitOf(cgroup string) string {
	m := cgroupUnit.FindStringSubmatch(cgroup)
	if m == nil || strings.HasPrefix(m[1], "user@") {
		return ""
	}
	return m[1]
}
