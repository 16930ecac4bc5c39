package ssltest

import "C"

// ssltest_empty_crossing is what it costs to enter Go, without anything to do there.
//
//export ssltest_empty_crossing
func ssltest_empty_crossing() {}
