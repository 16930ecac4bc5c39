// Package libp2p attaches keystores to the contexts of
// github.com/libp2p/go-openssl, the fork of github.com/spacemonkeygo/openssl
// that compiles with OpenSSL 3 as it is:
//
//	warnings, err := libp2p.Attach(ctx, keys)
//
// The two modules define the same C symbols: a program holds one of them, and
// imports this package or package spacemonkey.
package libp2p

import (
	"fmt"
	"runtime"

	"github.com/libp2p/go-openssl"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/internal/ctxpointer"
)

// Attach makes ctx issue and accept tickets with the keys of ks. Call it before
// the first connection of ctx, and not together with ctx.SetTicketStore, which
// takes the same callback. The SSL_CTX holds the keys until it is freed with
// ctx, so neither value needs to be kept for them.
func Attach(ctx *openssl.Ctx, ks *stek.Keystore, options ...stek.AttachOption) ([]stek.Warning, error) {
	defer runtime.KeepAlive(ctx)
	pointer, err := ctxpointer.Of(ctx)
	if err != nil {
		return nil, fmt.Errorf("attach keystore: %w", err)
	}
	return stek.Attach(pointer, ks, options...)
}

// Detach gives ctx back to OpenSSL's built-in keys. No handshake may run on ctx
// meanwhile.
func Detach(ctx *openssl.Ctx) error {
	defer runtime.KeepAlive(ctx)
	pointer, err := ctxpointer.Of(ctx)
	if err != nil {
		return fmt.Errorf("detach keystore: %w", err)
	}
	return stek.Detach(pointer)
}
