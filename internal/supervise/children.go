package supervise

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child is one of this process, also one that has ended and is not collected.
type child struct {
	pid     int
	session int
	start   uint64 // in ticks since the machine has been up
}

// children are those of this process.
func children() []child {
	var found []child
	folders, _ := os.ReadDir("/proc")
	for _, folder := range folders {
		pid, err := strconv.Atoi(folder.Name())
		if err != nil {
			continue
		}
		// From the state on, the third field of proc_pid_stat(5).
		fields := statOf(pid)
		if len(fields) < 20 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		c := child{pid: pid}
		c.session, _ = strconv.Atoi(fields[3])
		c.start, _ = strconv.ParseUint(fields[19], 10, 64)
		found = append(found, c)
	}
	return found
}

// statOf is what follows the name of the program, which may hold anything, in
// /proc/PID/stat; nil if the process is gone.
func statOf(pid int) []string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
}

// ended returns a child that has ended and leaves it to be collected, 0 if none
// has, and ECHILD if there is no child.
func ended() (int, error) {
	// The beginning of siginfo_t, where the kernel aligns the union of its fields
	// like a pointer: see sigaction(2).
	var info struct {
		signal, errno, code int32
		_                   [0]uintptr
		pid                 int32
		_                   [128]byte
	}
	for {
		_, _, err := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch err {
		case 0:
			return int(info.pid), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}
