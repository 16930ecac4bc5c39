package supervise

import (
	"os"
	"strconv"
	"strings"
)

// children are the children of this process.
func children() []int {
	var found []int
	folders, _ := os.ReadDir("/proc")
	for _, folder := range folders {
		pid, err := strconv.Atoi(folder.Name())
		if err == nil && parentOf(pid) == os.Getpid() {
			found = append(found, pid)
		}
	}
	return found
}

// parentOf is the parent of a process (proc_pid_stat(5)), 0 if it has ended.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
