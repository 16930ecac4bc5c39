package spacemonkey_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/spacemonkeygo/openssl"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/ctxpointer"
	"github.com/go-stek/stek/internal/ctxpointer/bindingtest"
	"github.com/go-stek/stek/spacemonkey"
)

func TestBinding(t *testing.T) { bindingtest.Run(t, listen) }

func listen(t *testing.T, certPEM, keyPEM []byte) bindingtest.Server {
	ctx, err := openssl.NewCtx()
	require.NoError(t, err)
	cert, err := openssl.LoadCertificateFromPEM(certPEM)
	require.NoError(t, err)
	require.NoError(t, ctx.UseCertificate(cert))
	key, err := openssl.LoadPrivateKeyFromPEM(keyPEM)
	require.NoError(t, err)
	require.NoError(t, ctx.UsePrivateKey(key))
	listener, err := openssl.Listen("tcp", "127.0.0.1:0", ctx)
	require.NoError(t, err)

	return bindingtest.Server{
		Listener: listener,
		Attach: func(ks *stek.Keystore, options ...stek.AttachOption) ([]stek.Warning, error) {
			return spacemonkey.Attach(ctx, ks, options...)
		},
		Detach: func() error { return spacemonkey.Detach(ctx) },
	}
}

func TestAttachPassesOptionsAndWarningsOn(t *testing.T) {
	ctx, err := openssl.NewCtx()
	require.NoError(t, err)
	ctx.SetOptions(openssl.NoTicket)
	ctx.SetTimeout(time.Minute)

	_, err = spacemonkey.Attach(ctx, newKeystore(t), stek.WithAuthAgeCap(-1))
	require.ErrorIs(t, err, stek.ErrOption)

	warnings, err := spacemonkey.Attach(ctx, newKeystore(t))
	require.NoError(t, err)
	require.Equal(t, []stek.Warning{stek.WarnTicketsOff}, warnings)
}

func TestNilContextIsAnError(t *testing.T) {
	for _, ctx := range []*openssl.Ctx{nil, {}} {
		_, err := spacemonkey.Attach(ctx, newKeystore(t))
		require.ErrorIs(t, err, ctxpointer.ErrNil)
		require.ErrorIs(t, spacemonkey.Detach(ctx), ctxpointer.ErrNil)
	}
}

func TestAttachedContextsAreCollected(t *testing.T) {
	ks := newKeystore(t)
	collected := make(chan struct{})
	func() {
		ctx, err := openssl.NewCtx()
		require.NoError(t, err)
		_, err = spacemonkey.Attach(ctx, ks)
		require.NoError(t, err)
		runtime.AddCleanup(ctx, func(c chan struct{}) { close(c) }, collected)
	}()

	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-collected:
			return true
		default:
			return false
		}
	}, 10*time.Second, 10*time.Millisecond, "something keeps the context")
}

func newKeystore(t *testing.T) *stek.Keystore {
	source, err := memory.New(memory.Config{Rotation: time.Hour, Lifetime: time.Hour})
	require.NoError(t, err)
	ks, err := stek.Open(source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ks.Close()) })
	return ks
}
