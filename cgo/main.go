// Command cgo is libstek-go.so: the keystore for libstek.so, which loads it.
// It publishes keys to a table in the memory of libstek.so and makes no
// OpenSSL call. Built with -buildmode=c-shared; its exports are named in
// exports.map.
package main

/*
#include "../callback.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/cgo"
	"sync"
	"time"
	"unsafe"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/internal/backends"
)

// Results of the exported functions; lib/loader.h has the same list.
const (
	ok         = 0
	badURI     = 1
	badBackend = 2
	panicked   = 3
)

// spareThreads is how many threads wait for work from the start. Go ends the
// process when it wants a thread and can have none, so it is given them while
// the limits are known to allow it.
const spareThreads = 6

// One processor is plenty for a key every few hours, and it keeps the number of
// threads in somebody else's process small.
func init() {
	runtime.GOMAXPROCS(1)
	startThreads(spareThreads)
	time.Sleep(time.Millisecond) // the first timer opens Go's descriptors
}

func main() {}

// startThreads makes the runtime start n threads, and keep them.
func startThreads(n int) {
	var begun, done sync.WaitGroup
	hold := make(chan struct{})
	for range n {
		begun.Add(1)
		done.Go(func() {
			runtime.LockOSThread() // to a thread of its own
			begun.Done()
			<-hold
			runtime.UnlockOSThread() // which then waits for other work
		})
	}
	begun.Wait()
	close(hold)
	done.Wait()
}

// stekgo_layout tells which layout of the key table this library writes.
//
//export stekgo_layout
func stekgo_layout() C.int { return C.STEK_TABLE_LAYOUT }

// stekgo_open opens a keystore on uri that publishes to table, and writes its
// handle and the lifetime of tickets in seconds. C owns all pointers; Go keeps
// table until stekgo_close. text receives what went wrong, in one line.
//
//export stekgo_open
func stekgo_open(uri *C.char, table unsafe.Pointer, handle *C.uintptr_t, lifetime *C.int64_t, text *C.char, size C.size_t) (result C.int) {
	defer stopPanic(&result, text, size)
	source, err := backends.Open(C.GoString(uri))
	if err != nil {
		return fail(err, text, size)
	}
	*lifetime = 0
	if lasting, ok := source.(interface{ Lifetime() time.Duration }); ok {
		*lifetime = C.int64_t((lasting.Lifetime() + time.Second - 1) / time.Second)
	}
	// The host's standard error is the host's: nothing is logged there.
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ks, err := stek.Open(source, stek.WithTable(table), stek.WithLogger(quiet))
	if err != nil {
		return fail(err, text, size)
	}
	*handle = C.uintptr_t(cgo.NewHandle(ks))
	return ok
}

// stekgo_rotate makes a fresh key current.
//
//export stekgo_rotate
func stekgo_rotate(handle C.uintptr_t, text *C.char, size C.size_t) (result C.int) {
	defer stopPanic(&result, text, size)
	return fail(cgo.Handle(handle).Value().(*stek.Keystore).Rotate(), text, size)
}

// stekgo_revoke destroys all keys and makes a fresh one current.
//
//export stekgo_revoke
func stekgo_revoke(handle C.uintptr_t, text *C.char, size C.size_t) (result C.int) {
	defer stopPanic(&result, text, size)
	return fail(cgo.Handle(handle).Value().(*stek.Keystore).Revoke(), text, size)
}

// stekgo_close empties the table and ends the handle. Nothing writes to the
// table after it.
//
//export stekgo_close
func stekgo_close(handle C.uintptr_t, text *C.char, size C.size_t) (result C.int) {
	defer stopPanic(&result, text, size)
	ks := cgo.Handle(handle).Value().(*stek.Keystore)
	cgo.Handle(handle).Delete()
	return fail(ks.Close(), text, size)
}

func fail(err error, text *C.char, size C.size_t) C.int {
	if err == nil {
		return ok
	}
	put(err.Error(), text, size)
	if uri := (*backends.URIError)(nil); errors.As(err, &uri) {
		return badURI
	}
	return badBackend
}

func stopPanic(result *C.int, text *C.char, size C.size_t) {
	if cause := recover(); cause != nil {
		put(fmt.Sprintf("panic: %v", cause), text, size)
		*result = panicked
	}
}

// put copies message to text, cut to size bytes with a NUL at the end.
func put(message string, text *C.char, size C.size_t) {
	if size == 0 {
		return
	}
	out := unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size))
	out[copy(out[:size-1], message)] = 0
}
