package interop

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerHasNoThreadMoreThanAlone(t *testing.T) {
	for _, s := range []*Server{nginx, haproxy, apacheEvent, stunnel, python} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			alone := threadsOf(t, Serve(t, s, Alone{}))
			require.Equal(t, alone, threadsOf(t, Serve(t, s, Run{})), "stek run")
			require.Equal(t, alone, threadsOf(t, Serve(t, s, StartAgent(t, "memory:", ""))), "stek agent")
			require.Equal(t, alone, threadsOf(t, Serve(t, s, NewBare("memory:"))), "the preload's own agent")
		})
	}
}

// threadsOf returns the threads of the first process and of each worker, once
// those that answered a client have ended or wait.
func threadsOf(t *testing.T, i *Instance) (counts []int) {
	t.Helper()
	for _, version := range versions {
		i.Client(t, version).Walk(t)
	}
	now := func() (counts []int) {
		for _, process := range append([]int{i.First()}, i.Workers()...) {
			counts = append(counts, threads(process))
		}
		return counts
	}
	Eventually(t, "the number of threads stays the same", func() bool {
		counts = now()
		time.Sleep(100 * time.Millisecond)
		return slices.Equal(counts, now())
	})
	i.End()
	return counts
}

func TestServerHasLittleMoreMemoryThanAlone(t *testing.T) {
	const limitKB = 128 // per process
	agent := StartAgent(t, "memory:", "")
	var alone, with [2][]int // first process, worker
	for range 7 {
		for n, kb := range memoryOf(t, Serve(t, nginx, Alone{})) {
			alone[n] = append(alone[n], kb)
		}
		for n, kb := range memoryOf(t, Serve(t, nginx, agent)) {
			with[n] = append(with[n], kb)
		}
	}
	for n, process := range []string{"master", "worker"} {
		more := median(with[n]) - median(alone[n])
		t.Logf("nginx %s: private memory %d kB alone, %+d kB with stek", process, median(alone[n]), more)
		require.Less(t, more, limitKB)
	}
}

// memoryOf visits one worker only and returns what the master and the worker
// have written.
func memoryOf(t *testing.T, i *Instance) (kb [2]int) {
	t.Helper()
	worker := i.Workers()[0]
	i.Only(t, worker, func() {
		for _, version := range versions {
			i.Client(t, version).Walk(t)
		}
		kb = [2]int{privateKB(i.First()), privateKB(worker)}
	})
	i.End()
	return kb
}

func TestPreloadStartsAtOnce(t *testing.T) {
	const limit = 20 * time.Millisecond
	agent := StartAgent(t, "memory:", "")
	site := newSite(t)
	nginx.Configure(t, site)
	for _, command := range [][]string{{sServer.Program, "version"}, nginxTest(site)} {
		var alone, with, run []time.Duration
		for range 30 {
			alone = append(alone, timeOf(t, Alone{}.command(t, command)))
			with = append(with, timeOf(t, agent.command(t, command)))
			run = append(run, timeOf(t, Run{}.command(t, command)))
		}
		more := median(with) - median(alone)
		t.Logf("%s %s: %v alone, %+v with the preload, %+v by stek run",
			command[0], command[1], median(alone), more, median(run)-median(alone))
		require.Less(t, more, limit)
	}
}

func timeOf(t *testing.T, command Command) time.Duration {
	t.Helper()
	cmd := exec.Command(command.Args[0], command.Args[1:]...)
	cmd.Env = append(plainEnvironment(), command.Env...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	require.NoError(t, err, "%v: %s", command.Args, out)
	return took
}

func median[T int | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
