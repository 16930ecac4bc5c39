package interop

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func ticketCarriesTheCurrentKey(t *testing.T, i *Instance, c Client) {
	visit := c.Visit(t, nil)
	require.Equal(t, New, visit.Session)
	require.Equal(t, i.Stek.Current(t), visit.KeyName())

	counts := i.Stek.Status(t).Counts
	require.Positive(t, counts["issued"])
	require.Positive(t, counts["contexts"])
	require.Zero(t, counts["errors"])
}

func resumesOnEveryWorker(t *testing.T, i *Instance, c Client) {
	ticket := c.Visit(t, nil).Newest()
	workers := i.Workers()
	if len(workers) == 1 {
		// Threads, or processes that come and go: visit many.
		for range connections {
			require.Equal(t, Reused, c.Visit(t, ticket).Session)
		}
		return
	}
	for _, worker := range workers {
		i.Only(t, worker, func() {
			require.Equal(t, Reused, c.Visit(t, ticket).Session, "worker %d", worker)
		})
	}
}

func clientIsReusedEveryTime(t *testing.T, c Client) walk {
	walk := c.Walk(t)
	require.Equal(t, alwaysReused(), walk)
	return walk
}

func ticketFromBeforeRotateIsRenewed(t *testing.T, i *Instance, c Client) {
	first := c.Visit(t, nil)
	before := i.Stek.Status(t).Counts
	i.Stek.Rotate(t)
	current := i.Stek.Current(t)
	require.NotEqual(t, first.KeyName(), current)

	renewed := c.Visit(t, first.Newest())
	require.Equal(t, Reused, renewed.Session)
	after := i.Stek.Status(t).Counts
	require.Greater(t, after["accepted_previous"], before["accepted_previous"])
	if i.Server.OwnTicketData && c.config.MaxVersion == tls.VersionTLS13 {
		require.Empty(t, renewed.Tickets)
		require.Equal(t, before["renewed"], after["renewed"])
		return
	}
	require.Equal(t, current, renewed.KeyName(), "the ticket is renewed")
	require.Equal(t, Reused, c.Visit(t, renewed.Newest()).Session)
	require.Greater(t, after["renewed"], before["renewed"])
}

func reloadKeepsTickets(t *testing.T, i *Instance, c Client) string {
	if i.Server.Reload == nil {
		return "-"
	}
	first := c.Visit(t, nil)
	i.Server.Reload(i)
	again := visitNewContext(t, i, c, first.Newest())
	i.Stek.Rotate(t)
	require.Equal(t, i.Stek.Current(t), c.Visit(t, nil).KeyName(), "the new processes see a rotation")
	return again
}

// visitNewContext offers a ticket to a server that has made its contexts anew, and returns
// what came of it: Reused, but for servers that are New once.
func visitNewContext(t *testing.T, i *Instance, c Client, ticket *Ticket) string {
	if !i.Server.NewOncePerName {
		require.Equal(t, Reused, c.Visit(t, ticket).Session)
		return Reused
	}
	require.Equal(t, New, c.Visit(t, ticket).Session)
	require.Equal(t, Reused, c.Visit(t, ticket).Session)
	return "New once, Reused"
}

func restartKeepsTickets(t *testing.T, i *Instance, c Client) string {
	first := c.Visit(t, nil)
	require.Equal(t, i.Stek.Current(t), first.KeyName())
	i.Restart(t)
	again := visitNewContext(t, i, c, first.Newest())
	i.Stek.Rotate(t)
	require.Equal(t, Reused, c.Visit(t, first.Newest()).Session, "after a rotation")
	return again
}

func ticketPastItsWindowIsNew(t *testing.T, s *Server) {
	i := Serve(t, s, usualWay(t, s, "memory:?rotation=3s&lifetime=3s"))
	first := map[uint16]Visit{}
	for _, version := range versions {
		first[version] = i.Client(t, version).Visit(t, nil)
	}
	Eventually(t, "the keys are destroyed", func() bool {
		return !i.Stek.Has(t, first[tls.VersionTLS12].KeyName()) && !i.Stek.Has(t, first[tls.VersionTLS13].KeyName())
	})
	for _, version := range versions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			c := i.Client(t, version)
			visit := c.Visit(t, first[version].Newest())
			require.Equal(t, New, visit.Session)
			require.NotEqual(t, first[version].KeyName(), visit.KeyName())
			require.Equal(t, Reused, c.Visit(t, visit.Newest()).Session, "the new ticket resumes")
		})
	}
}
