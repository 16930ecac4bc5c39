package spacemonkey_test

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/spacemonkeygo/openssl"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/ctxpointer"
	"github.com/go-stek/stek/internal/ssltest"
	"github.com/go-stek/stek/spacemonkey"
)

// BenchmarkCallback is how many ticket callbacks a server makes in a second,
// one that encrypts for one that decrypts: with the module's own ticket store,
// and with stek.
func BenchmarkCallback(b *testing.B) {
	for _, goroutines := range []int{1, 8} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			b.Run("keys=spacemonkey", func(b *testing.B) { callSpacemonkey(b, goroutines) })
			b.Run("keys=stek", func(b *testing.B) { callStek(b, goroutines) })
		})
	}
}

func callSpacemonkey(b *testing.B, goroutines int) {
	ctx, store, keys := newContext(b), newStore(b), newOneKey()
	store.Keys = keys
	ctx.SetTicketStore(store)
	before := *keys
	callBack(b, ctx, goroutines, func() { before = *keys })
	require.Equal(b, b.N, keys.issued-before.issued)
	require.Equal(b, b.N, keys.accepted-before.accepted)
}

func callStek(b *testing.B, goroutines int) {
	ctx, keys := newContext(b), openMemory(b)
	_, err := spacemonkey.Attach(ctx, keys)
	require.NoError(b, err)
	var before stek.Stats
	callBack(b, ctx, goroutines, func() { before = keys.Stats() })
	after := keys.Stats()
	require.EqualValues(b, b.N, after.Issued-before.Issued)
	require.EqualValues(b, b.N, after.Accepted-before.Accepted)
}

// callBack makes two callbacks b.N times, from so many goroutines, after begin.
func callBack(b *testing.B, ctx *openssl.Ctx, goroutines int, begin func()) {
	defer runtime.KeepAlive(ctx) // the module's callback needs it
	pointer, err := ctxpointer.Of(ctx)
	require.NoError(b, err)
	var group sync.WaitGroup
	ready := make(chan struct{})
	for i := range goroutines {
		caller := ssltest.NewTicketCaller(b, pointer)
		group.Go(func() {
			<-ready
			caller.EncryptAndDecrypt((b.N + i) / goroutines)
		})
	}
	begin()
	b.ResetTimer()
	close(ready)
	group.Wait()
	b.StopTimer()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "callbacks/s")
}

func newContext(b *testing.B) *openssl.Ctx {
	ctx, err := openssl.NewCtx()
	require.NoError(b, err)
	return ctx
}

func openMemory(b *testing.B) *stek.Keystore {
	source, err := memory.New(memory.Config{Rotation: time.Hour, Lifetime: time.Hour})
	require.NoError(b, err)
	keys, err := stek.Open(source)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, keys.Close()) })
	return keys
}

func newStore(b *testing.B) *openssl.TicketStore {
	cipher, err := openssl.GetCipherByName("aes-256-cbc")
	require.NoError(b, err)
	digest, err := openssl.GetDigestByName("sha256")
	require.NoError(b, err)
	return &openssl.TicketStore{
		CipherCtx: openssl.TicketCipherCtx{Cipher: cipher},
		DigestCtx: openssl.TicketDigestCtx{Digest: digest},
	}
}

// oneKey is the least that a TicketKeyManager does. Calls to it are serialized.
type oneKey struct {
	key              openssl.TicketKey
	issued, accepted int
}

func newOneKey() *oneKey {
	key := openssl.TicketKey{CipherKey: make([]byte, 32), HMACKey: make([]byte, 32), IV: make([]byte, 16)}
	for _, random := range [][]byte{key.Name[:], key.CipherKey, key.HMACKey, key.IV} {
		_, _ = rand.Read(random) // never fails
	}
	return &oneKey{key: key}
}

func (k *oneKey) New() *openssl.TicketKey { return nil }

func (k *oneKey) Current() *openssl.TicketKey {
	k.issued++
	return &k.key
}

func (k *oneKey) Lookup(name openssl.TicketName) *openssl.TicketKey {
	if name != k.key.Name {
		return nil
	}
	return &k.key
}

func (k *oneKey) Expired(openssl.TicketName) bool { return false }

// ShouldRenew says what stek says in TLS 1.3.
func (k *oneKey) ShouldRenew(openssl.TicketName) bool {
	k.accepted++
	return true
}
