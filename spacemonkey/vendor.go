package spacemonkey

import "embed"

// What pkg-config and the C compiler read is embedded so that go mod vendor
// copies it too; no program uses it from here.
//
//go:embed include/openssl/ssl.h pkgconfig/libssl.pc
var _ embed.FS
