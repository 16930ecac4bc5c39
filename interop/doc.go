// Package interop runs the TLS servers that Debian packages, unmodified, alone
// and under stek, and compares what a client sees of their session tickets.
//
// Its tests start every server on loopback, with a configuration of its own in
// a temporary folder, and need root, because servers change their user. With
// all tests passed, the package prints the table of compatibility.
package interop
