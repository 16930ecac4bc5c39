package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// exchangeTime is how long a server has its half of the processors.
const exchangeTime = 50 * time.Millisecond

// exchangeProcessors gives two servers and their clients a half of the processors each,
// and exchanges the halves all the time: a processor can be slower than another for
// seconds, as when its other hyper-thread is busy. The function that it returns ends
// that, and gives all to both.
func exchangeProcessors(servers [2]*serverProcess) (end func() error, err error) {
	var all unix.CPUSet // that this process may use
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, fmt.Errorf("find processors: %w", err)
	}
	half, n := [2]*unix.CPUSet{{}, {}}, all.Count()
	if n < 2 {
		return func() error { return nil }, nil
	}
	for cpu, seen := 0, 0; seen < n; cpu++ {
		if all.IsSet(cpu) {
			half[seen*2/n].Set(cpu)
			seen++
		}
	}
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- exchangeUntil(done, servers, half) }()
	return func() error {
		close(done)
		return errors.Join(<-ended, servers[0].runOn(&all), servers[1].runOn(&all))
	}, nil
}

// exchangeUntil exchanges halves until done is closed. Each server is moved first, to
// either half, as often as the other: for a moment both are on the half that it goes to.
func exchangeUntil(done <-chan struct{}, servers [2]*serverProcess, half [2]*unix.CPUSet) error {
	ticker := time.NewTicker(exchangeTime)
	defer ticker.Stop()
	for i := 0; ; i++ {
		for _, n := range alternating(i/2, 0, 1) {
			if err := servers[n].runOn(half[(n+i)%2]); err != nil {
				return err
			}
		}
		select {
		case <-done:
			return nil
		case <-ticker.C:
		}
	}
}

// runOn lets every thread of a server and of its clients run on some processors alone.
func (p *serverProcess) runOn(set *unix.CPUSet) error {
	pids := p.processes()
	if clients := p.clients.Load(); clients != 0 {
		pids = append(pids, int(clients))
	}
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				return err
			}
			// It may have ended meanwhile.
			if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("give %s, %s, its processors: %w", p.server.program.pkg, p.variant, err)
			}
		}
	}
	return nil
}
