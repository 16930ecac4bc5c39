package libp2p_test

import (
	"testing"
	"time"

	"github.com/libp2p/go-openssl"
	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/internal/ctxpointer"
	"github.com/go-stek/stek/internal/ctxpointer/bindingtest"
	"github.com/go-stek/stek/libp2p"
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
			return libp2p.Attach(ctx, ks, options...)
		},
		Detach: func() error { return libp2p.Detach(ctx) },
	}
}

func TestAttachPassesOptionsAndWarningsOn(t *testing.T) {
	ctx, err := openssl.NewCtx()
	require.NoError(t, err)
	ctx.SetOptions(openssl.NoTicket)
	ctx.SetTimeout(time.Minute)

	_, err = libp2p.Attach(ctx, newKeystore(t), stek.WithAuthAgeCap(-1))
	require.ErrorIs(t, err, stek.ErrOption)

	warnings, err := libp2p.Attach(ctx, newKeystore(t))
	require.NoError(t, err)
	require.Equal(t, []stek.Warning{stek.WarnTicketsOff}, warnings)
}

func TestNilContextIsAnError(t *testing.T) {
	for _, ctx := range []*openssl.Ctx{nil, {}} {
		_, err := libp2p.Attach(ctx, newKeystore(t))
		require.ErrorIs(t, err, ctxpointer.ErrNil)
		require.ErrorIs(t, libp2p.Detach(ctx), ctxpointer.ErrNil)
	}
}

func newKeystore(t *testing.T) *stek.Keystore {
	source, err := memory.New(memory.Config{Rotation: time.Hour, Lifetime: time.Hour})
	require.NoError(t, err)
	ks, err := stek.Open(source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ks.Close()) })
	return ks
}
