package doctor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkPrivileges adds a finding if the kernel will start the program in
// secure mode (AT_SECURE, see ld.so(8)): LD_PRELOAD is ignored then.
func (t *target) checkPrivileges() {
	f, err := t.open(t.program)
	if err != nil {
		return
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return
	}
	n, err := unix.Fgetxattr(int(f.Fd()), "security.capability", nil)
	p := privileges{
		setuid: st.Mode&unix.S_ISUID != 0, setgid: st.Mode&unix.S_ISGID != 0,
		owner: int(st.Uid), group: int(st.Gid),
		capabilities: err == nil && n > 0,
	}
	t.findings(p.judge(t.program, os.Getuid(), os.Getgid()))
}

func (t *target) findings(list []Finding) {
	for _, f := range list {
		t.add(f)
	}
}

// privileges are what a program file gives to whoever starts it.
type privileges struct {
	setuid, setgid bool
	owner, group   int
	capabilities   bool
}

// judge says what that means if uid and gid start the program. The kernel asks
// for secure mode only if the start really changes what the process may do.
func (p privileges) judge(file string, uid, gid int) []Finding {
	var found []Finding
	say := func(code, what, fix string, gains bool, unless string) {
		f := Finding{Blocks, code, what + ": LD_PRELOAD is ignored", []Place{{File: file}},
			"The dynamic linker ignores LD_PRELOAD in programs that give privileges.", fix}
		if !gains {
			f.Severity, f.Title = Note, what+": LD_PRELOAD works only for "+unless
		}
		found = append(found, f)
	}
	if p.setuid {
		say("setuid", "The file is setuid", "chmod u-s "+file, p.owner != uid, fmt.Sprintf("uid %d", p.owner))
	}
	if p.setgid {
		say("setgid", "The file is setgid", "chmod g-s "+file, p.group != gid, fmt.Sprintf("gid %d", p.group))
	}
	if p.capabilities {
		say("file-capabilities", "The file has capabilities", "setcap -r "+file+"\n"+
			"and in the unit, for ports below 1024: AmbientCapabilities=CAP_NET_BIND_SERVICE", uid != 0, "root")
	}
	return found
}
