package supervise

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// oldestChild is the child of this process that started first: the server, if it
// has gone into the background. 0 if there is none.
func oldestChild() int {
	oldest, begun := 0, uint64(0)
	folders, _ := os.ReadDir("/proc")
	for _, folder := range folders {
		pid, err := strconv.Atoi(folder.Name())
		if err != nil {
			continue
		}
		parent, start, ok := lineage(pid)
		if ok && parent == os.Getpid() && (oldest == 0 || start < begun) {
			oldest, begun = pid, start
		}
	}
	return oldest
}

// lineage reads the parent of a process and when it started (proc_pid_stat(5)).
func lineage(pid int) (parent int, start uint64, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	// The name of the program, in brackets, may hold anything.
	_, rest, found := strings.Cut(string(stat), ") ")
	if last := strings.LastIndex(string(stat), ") "); found {
		rest = string(stat)[last+2:]
	}
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return 0, 0, false
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return parent, start, err == nil
}
