package main

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessorTimeIsThatOfAllThreads(t *testing.T) {
	before, err := processorTime(os.Getpid())
	require.NoError(t, err)
	var threads sync.WaitGroup
	for range 2 {
		threads.Go(func() {
			for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
			}
		})
	}
	threads.Wait()
	after, err := processorTime(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, after-before, 10*time.Millisecond)
}

func TestProcessorTimeOfNoProcessIsAnError(t *testing.T) {
	_, err := processorTime(-1)
	require.EqualError(t, err, "no /proc/-1/task/*/schedstat: the process has ended, or Linux lacks CONFIG_SCHED_INFO")
}

func TestLoadIsPerSecondOfEachTime(t *testing.T) {
	var all load
	all.add(load{resumed: 100, took: time.Second, busy: 200 * time.Millisecond})
	all.add(load{resumed: 200, took: time.Second, busy: 400 * time.Millisecond})
	require.InDelta(t, 150, all.perSecond(), 1e-9)
	require.InDelta(t, 500, all.perBusySecond(), 1e-9)
}
