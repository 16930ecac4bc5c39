package interop

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// children lists the processes that a process started and that have not ended.
func children(process int) []int {
	var pids []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", process))
	for _, task := range tasks {
		list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", process, task.Name()))
		for _, field := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil && alive(pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// descendants lists the children of a process, their children and so on, the
// elders first.
func descendants(process int) []int {
	var all []int
	generation := children(process)
	for len(generation) > 0 {
		all = append(all, generation...)
		var next []int
		for _, pid := range generation {
			next = append(next, children(pid)...)
		}
		generation = next
	}
	return all
}

// childrenCalled returns a Workers function: the children whose command line
// has a part.
func childrenCalled(part string) func(int) []int {
	return func(first int) []int {
		var pids []int
		for _, pid := range children(first) {
			if strings.Contains(commandLine(pid), part) {
				pids = append(pids, pid)
			}
		}
		return pids
	}
}

// commandLine is the command of a process, as the process may have rewritten it.
func commandLine(process int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", process))
	return string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
}

// environment is what a process was started with.
func environment(process int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", process))
	return string(text)
}

// executable is the program that a process runs.
func executable(process int) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", process))
	return path
}

// alive tells whether a process exists and is not a zombie.
func alive(process int) bool {
	s := state(process)
	return s != "" && s != "Z" && s != "X"
}

// state is that of proc(5), "" if there is no such process.
func state(process int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

// catches tells whether a process has a handler for a signal and lets it in.
func catches(process int, signal syscall.Signal) bool {
	bit := uint64(1) << (signal - 1)
	return mask(process, "SigCgt")&bit != 0 && mask(process, "SigBlk")&bit == 0
}

// mask is one of the sets of signals in the status of a process.
func mask(process int, name string) (set uint64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	_, _ = fmt.Sscanf(rest, "%x", &set)
	return set
}

// threads is the number of threads of a process.
func threads(process int) int { return number("status", process, `(?m)^Threads:\s+(\d+)$`) }

// privateKB is the memory that a process has written and shares with none.
func privateKB(process int) int {
	return number("smaps_rollup", process, `(?m)^Private_Dirty:\s+(\d+) kB$`)
}

// number finds a number in a file of proc(5); -1 if it is not there.
func number(file string, process int, pattern string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", process, file))
	match := regexp.MustCompile(pattern).FindSubmatch(text)
	if match == nil {
		return -1
	}
	n, _ := strconv.Atoi(string(match[1]))
	return n
}
