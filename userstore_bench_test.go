package stek

import (
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/internal/ssltest"
	"github.com/go-stek/stek/ticketkey"
)

// BenchmarkAsked is what it costs to find the key of a ticket in the table, and
// what to ask a KeyStore written in Go, in a loop that does nothing else.
func BenchmarkAsked(b *testing.B) { benchmarkAsked(b, 1, 0) }

// BenchmarkAskedAfterWork lets C work before each ticket for about as long as a
// handshake takes: time for Go to give the thread's processor to others.
func BenchmarkAskedAfterWork(b *testing.B) { benchmarkAsked(b, 1, 300*time.Microsecond) }

// BenchmarkAsked64Threads has more threads that ask than there are processors.
func BenchmarkAsked64Threads(b *testing.B) { benchmarkAsked(b, 64, 60*time.Microsecond) }

func benchmarkAsked(b *testing.B, threads int, work time.Duration) {
	eachAnswer(b, func(b *testing.B, server *ssltest.Context, crosses bool, begin func()) {
		took := make([][]time.Duration, threads)
		var group sync.WaitGroup
		ready := make(chan struct{})
		for i := range threads {
			caller := ssltest.NewTicketCaller(b, server.Pointer())
			if crosses {
				caller.AlsoEnterGo()
			}
			group.Go(func() {
				<-ready
				took[i] = caller.Decrypt(work, (b.N+i)/threads)
			})
		}
		begin()
		close(ready)
		group.Wait()
		reportLatency(b, slices.Concat(took...))
	})
}

// eachAnswer runs benchmark with a key that is published, with the same key in a
// KeyStore that is asked for it, and, crosses, with a published key and a call
// of a Go function that does nothing: the floor of a question. Each of the b.N
// tickets that benchmark has after begin must be accepted, and asked for or not.
func eachAnswer(b *testing.B, benchmark func(b *testing.B, server *ssltest.Context, crosses bool, begin func())) {
	answers := &answers{benchmarkKey()}
	for _, tt := range []struct {
		name    string
		store   KeyStore
		crosses bool
		asks    int // for each ticket
	}{
		{"key=published", publishes{answers}, false, 0},
		{"key=crossing", publishes{answers}, true, 0},
		{"key=asked", answers, false, 1},
	} {
		b.Run(tt.name, func(b *testing.B) {
			server := ssltest.NewServer(b)
			ks, err := OpenStore(tt.store, quiet())
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, ks.Close()) })
			_, err = Attach(server.Pointer(), ks)
			require.NoError(b, err)

			var before Stats
			benchmark(b, server, tt.crosses, func() { before = ks.Stats() })
			after := ks.Stats()
			require.EqualValues(b, b.N, after.Accepted-before.Accepted)
			require.EqualValues(b, b.N*tt.asks, after.Asked-before.Asked)
		})
	}
}

func benchmarkKey() Key {
	var key Key
	aes, hmac := make([]byte, ticketkey.AESSize), make([]byte, ticketkey.HMACSize)
	for _, random := range [][]byte{key.Name[:], aes, hmac} {
		_, _ = rand.Read(random) // never fails
	}
	key.AESKey, key.HMACKey = ticketkey.SecretOf(aes), ticketkey.SecretOf(hmac)
	return key
}

// answers is the least that a KeyStore does when it is asked.
type answers struct{ key Key }

func (a *answers) CurrentKey() (Key, error) { return a.key, nil }

func (a *answers) KeyNamed(name Name) (Key, error) {
	if name != a.key.Name {
		return Key{}, ErrNotFound
	}
	return a.key, nil
}

// publishes has the same key in the table.
type publishes struct{ *answers }

func (p publishes) Keys() ([]Key, error)     { return []Key{p.key}, nil }
func (p publishes) Changed() <-chan struct{} { return nil }

// reportLatency reports quantiles of what calls took, and no mean.
func reportLatency(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	quantile := func(q float64) float64 { return float64(took[int(q*float64(len(took)))]) }
	b.ReportMetric(quantile(0.5), "p50-ns")
	b.ReportMetric(quantile(0.999), "p99.9-ns")
	b.ReportMetric(0, "ns/op")
}
