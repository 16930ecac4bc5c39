package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cost is the private memory of a worker in KiB, the median of all, and the
// number of threads of all processes of the server. Those of stek run itself
// are not counted.
func (p *serverProcess) cost() (memory, threads float64, err error) {
	pids := p.processes()
	if len(pids) != p.server.processes {
		return 0, 0, p.errProcesses(pids)
	}
	var ofWorkers []float64
	for n, pid := range pids {
		count, err := sumOf(pid, "status", "Threads")
		if err != nil {
			return 0, 0, err
		}
		threads += count
		if n == 0 {
			continue
		}
		private, err := sumOf(pid, "smaps_rollup", "Private_Clean", "Private_Dirty")
		if err != nil {
			return 0, 0, err
		}
		ofWorkers = append(ofWorkers, private)
	}
	return spread(ofWorkers).Median, threads, nil
}

// sumOf adds what a file of proc(5) says under some names.
func sumOf(pid int, file string, names ...string) (sum float64, err error) {
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		_, rest, found := strings.Cut(string(text), "\n"+name+":")
		value := 0.0
		if _, err := fmt.Sscan(rest, &value); !found || err != nil {
			return 0, fmt.Errorf("read %s of %s: %w", name, path, err)
		}
		sum += value
	}
	return sum, nil
}

// busy is the processor time that the processes of the server have used since
// they were started. That of stek run itself is not counted.
func (p *serverProcess) busy() (time.Duration, error) {
	pids := p.processes()
	if len(pids) != p.server.processes {
		return 0, p.errProcesses(pids)
	}
	var sum time.Duration
	for _, pid := range pids {
		used, err := processorTime(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

func (p *serverProcess) errProcesses(pids []int) error {
	return fmt.Errorf("%s, %s: %d processes, not %d", p.server.program.pkg, p.variant, len(pids), p.server.processes)
}

// processorTime is that of all threads of a process which have not ended: the
// first field of schedstat, see Documentation/scheduler/sched-stats.rst of Linux.
// That of stat has ticks of 10 ms.
func processorTime(pid int) (sum time.Duration, err error) {
	pattern := fmt.Sprintf("/proc/%d/task/*/schedstat", pid)
	files, _ := filepath.Glob(pattern)
	if len(files) == 0 {
		return 0, fmt.Errorf("no %s: the process has ended, or Linux lacks CONFIG_SCHED_INFO", pattern)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		var used time.Duration
		if _, err := fmt.Sscan(string(text), &used); err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		sum += used
	}
	return sum, nil
}
