package interop

import (
	"crypto/tls"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKilledAgentFailsNoHandshake(t *testing.T) {
	t.Parallel()
	agent := StartAgent(t, "memory:", "")
	i := Serve(t, nginx, agent)
	before := agent.Stek().Current(t)
	load := StartLoad(t, i, 8)
	load.Await(t, 1000)
	agent.Kill()
	load.Await(t, 3000)
	agent.Restart(t)
	load.Await(t, 1000)
	require.Empty(t, load.End())
	require.Positive(t, load.reused.Load())
	t.Logf("%d handshakes, %d resumed", load.visits.Load(), load.reused.Load())

	require.True(t, agent.Stek().Has(t, before), "the agent goes on with the keys in the table")
	for _, version := range versions {
		agent.Stek().Rotate(t)
		c := i.Client(t, version)
		visit := c.Visit(t, nil)
		require.Equal(t, agent.Stek().Current(t), visit.KeyName(), "the running server sees the new agent's keys")
		require.Equal(t, Reused, c.Visit(t, visit.Newest()).Session)
	}
}

func TestKilledWorkerDisturbsNoOther(t *testing.T) {
	t.Parallel()
	i := Serve(t, nginx, Run{})
	for _, version := range versions {
		c := i.Client(t, version)
		ticket := c.Visit(t, nil).Newest()
		workers := i.Workers()
		require.Len(t, workers, nginxWorkerCount)
		require.NoError(t, syscall.Kill(workers[0], syscall.SIGKILL))
		Eventually(t, "the master starts another worker", func() bool {
			now := i.Workers()
			return len(now) == nginxWorkerCount && !slices.Contains(now, workers[0])
		})
		for _, worker := range i.Workers() {
			i.Only(t, worker, func() {
				require.Equal(t, Reused, c.Visit(t, ticket).Session, "worker %d", worker)
			})
		}
	}
}

func TestKilledStekRunLeavesTheServerWithItsKeys(t *testing.T) {
	t.Parallel()
	i := Serve(t, nginx, Run{})
	first, ticket := i.First(), map[uint16]*Ticket{}
	for _, version := range versions {
		ticket[version] = i.Client(t, version).Visit(t, nil).Newest()
	}
	load := StartLoad(t, i, 4)
	load.Await(t, 200)
	i.Kill()
	load.Await(t, 1000)
	require.Empty(t, load.End())
	require.True(t, alive(first))
	for _, version := range versions {
		require.Equal(t, Reused, i.Client(t, version).Visit(t, ticket[version]).Session)
	}
}

func TestPreloadAloneStartsAnAgentThatEndsWithTheServer(t *testing.T) {
	t.Parallel()
	i := Serve(t, nginx, NewBare("memory:"))
	agent := i.Stek.pid()
	require.NotZero(t, agent)
	for _, version := range versions {
		c := i.Client(t, version)
		first := c.Visit(t, nil)
		require.Equal(t, i.Stek.Current(t), first.KeyName())
		require.Equal(t, Reused, c.Visit(t, first.Newest()).Session)
	}
	i.End()
	Eventually(t, "the agent ends", func() bool { return !alive(agent) })
}

func TestPreloadAloneReplacesAnAgentThatWasKilled(t *testing.T) {
	t.Parallel()
	i := Serve(t, nginx, NewBare("memory:"))
	c := i.Client(t, tls.VersionTLS13)
	ticket := c.Visit(t, nil).Newest()
	killed := i.Stek.pid()
	require.NoError(t, syscall.Kill(killed, syscall.SIGKILL))
	Eventually(t, "the agent has ended", func() bool { return !alive(killed) })
	require.Equal(t, Reused, c.Visit(t, ticket).Session)

	nginx.Reload(i) // makes contexts
	require.NotZero(t, i.Stek.pid())
	first := c.Visit(t, ticket)
	require.Equal(t, New, first.Session, "it has keys of its own")
	require.Equal(t, i.Stek.Current(t), first.KeyName())
	i.Stek.Rotate(t)
	again := c.Visit(t, first.Newest())
	require.Equal(t, Reused, again.Session)
	require.Equal(t, i.Stek.Current(t), again.KeyName())
}
