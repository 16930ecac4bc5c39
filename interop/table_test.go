package interop

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

// report is what TestTable has found.
var report Report

// TestTable fills the rows of the table: it measures every server alone, and
// with stek requires what is promised.
func TestTable(t *testing.T) {
	for _, s := range Servers {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			t.Run("alone", func(t *testing.T) { measureAlone(t, s) })
			t.Run("with stek", func(t *testing.T) { testWithStek(t, s) })
		})
	}
}

// measureAlone requires only that the server works.
func measureAlone(t *testing.T, s *Server) {
	i := Serve(t, s, Alone{})
	for _, version := range versions {
		c, side := i.Client(t, version), &Side{}
		first := c.Visit(t, nil)
		side.Key = ownKey(first, c.Visit(t, nil))
		side.Walk = c.Walk(t)

		side.Reload = "-"
		if s.Reload != nil {
			s.Reload(i)
			side.Reload = c.Visit(t, first.Newest()).Session
			first = c.Visit(t, nil)
		}
		i.Restart(t)
		side.Restart = c.Visit(t, first.Newest()).Session
		report.Row(s, s.Version(t), version).Without = side
	}
}

// ownKey says in the table whose keys two tickets of a server alone have.
func ownKey(one, two Visit) string {
	switch {
	case one.Newest() == nil:
		return "no ticket"
	case one.KeyName() == two.KeyName():
		return "its own"
	default:
		return "one per connection"
	}
}

// testWithStek tests each promise with both versions of TLS.
func testWithStek(t *testing.T, s *Server) {
	for _, version := range versions {
		side := &Side{Key: "stek's"}
		t.Run(tls.VersionName(version), func(t *testing.T) {
			i := Serve(t, s, usualWay(t, s, "memory:"))
			c := i.Client(t, version)
			t.Run("TicketCarriesTheCurrentKey", func(t *testing.T) { ticketCarriesTheCurrentKey(t, i, c) })
			t.Run("ResumesOnEveryWorker", func(t *testing.T) { resumesOnEveryWorker(t, i, c) })
			t.Run("ClientIsReusedEveryTime", func(t *testing.T) { side.Walk = clientIsReusedEveryTime(t, c) })
			t.Run("TicketFromBeforeRotateIsRenewed", func(t *testing.T) { ticketFromBeforeRotateIsRenewed(t, i, c) })
			t.Run("ReloadKeepsTickets", func(t *testing.T) { side.Reload = reloadKeepsTickets(t, i, c) })
		})
		t.Run(tls.VersionName(version)+" and restart", func(t *testing.T) {
			i := Serve(t, s, StartAgent(t, "memory:", s.Group))
			t.Run("RestartKeepsTickets", func(t *testing.T) { side.Restart = restartKeepsTickets(t, i, i.Client(t, version)) })
		})
		if !t.Failed() {
			report.Row(s, s.Version(t), version).With = side
		}
	}
	t.Run("TicketPastItsWindowIsNew", func(t *testing.T) { ticketPastItsWindowIsNew(t, s) })
}

// usualWay is stek run, unless the server keeps the environment from the
// processes that shake hands: those find a table by its path.
func usualWay(t *testing.T, s *Server, store string) Way {
	t.Helper()
	if s.FiltersEnvironment {
		return StartAgent(t, store, s.Group)
	}
	return Run{Store: store}
}

func TestRepeatedWordsAreCounted(t *testing.T) {
	require.Equal(t, "New, 7 Reused", alwaysReused().String())
	require.Equal(t, "4 (New, Reused)", walk{New, Reused, New, Reused, New, Reused, New, Reused}.String())
	require.Equal(t, "8 New", walk{New, New, New, New, New, New, New, New}.String())
}
