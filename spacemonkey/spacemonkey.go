// Package spacemonkey attaches keystores to the contexts of
// github.com/spacemonkeygo/openssl, whose listeners then issue and accept
// tickets with rotating keys:
//
//	warnings, err := spacemonkey.Attach(ctx, keys)
//
// That module asks for a function which OpenSSL 3 no longer has. This package
// brings a header and a libssl.pc that supply it; point pkg-config at them
// with one line before go build, and the module compiles as it is, with
// OpenSSL 1.1.1 to 3.x:
//
//	export PKG_CONFIG_PATH=$(go list -m -f '{{.Dir}}' github.com/go-stek/stek)/spacemonkey/pkgconfig
//
// or, with a vendor folder:
//
//	export PKG_CONFIG_PATH=$PWD/vendor/github.com/go-stek/stek/spacemonkey/pkgconfig
//
// A program cannot hold both this module and its fork
// github.com/libp2p/go-openssl, see package libp2p.
package spacemonkey

import (
	"fmt"
	"runtime"

	"github.com/spacemonkeygo/openssl"

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
