package interop

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"testing"
)

// A Load is clients that connect without a pause.
type Load struct {
	visits  atomic.Int64
	reused  atomic.Int64
	stop    chan struct{}
	clients sync.WaitGroup

	mutex  sync.Mutex
	failed []error
}

// StartLoad starts clients of both versions of TLS. Each offers the newest
// ticket it has.
func StartLoad(t *testing.T, i *Instance, clients int) *Load {
	t.Helper()
	l := &Load{stop: make(chan struct{})}
	for n := range clients {
		c := i.Client(t, versions[n%len(versions)])
		l.clients.Go(func() { l.connect(c) })
	}
	t.Cleanup(func() { l.End() })
	return l
}

func (l *Load) connect(c Client) {
	var ticket *Ticket
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		visit, err := c.Try(ticket)
		l.visits.Add(1)
		if err != nil {
			l.mutex.Lock()
			l.failed = append(l.failed, err)
			l.mutex.Unlock()
			ticket = nil
			continue
		}
		if visit.Session == Reused {
			l.reused.Add(1)
		}
		if newest := visit.Newest(); newest != nil || c.config.MaxVersion == tls.VersionTLS13 {
			ticket = newest
		}
	}
}

// Await waits until there have been more visits.
func (l *Load) Await(t *testing.T, more int64) {
	t.Helper()
	want := l.visits.Load() + more
	Eventually(t, "clients come", func() bool { return l.visits.Load() >= want })
}

// End stops the clients and returns the errors they met. Calls after the first
// return the same.
func (l *Load) End() []error {
	l.mutex.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mutex.Unlock()
	l.clients.Wait()
	return l.failed
}
