// Command gohost is a Go program that loads libstek.so, and with it a second Go
// runtime, and keeps both busy.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../..
#cgo LDFLAGS: -ldl

#include <dlfcn.h>
#include <stdlib.h>
#include "stek.h"

static void *library;
static stek_store *store;

static const char *load(const char *path)
{
    stek_status (*open)(const char *, stek_store **);
    const char *(*error)(void);

    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return dlerror();
    *(void **)&open = dlsym(library, "stek_open");
    *(void **)&error = dlsym(library, "stek_error");
    return open("memory:?rotation=1s", &store) == STEK_OK ? NULL : error();
}

static int rotate(void)
{
    stek_status (*rotate)(stek_store *);

    *(void **)&rotate = dlsym(library, "stek_rotate");
    return rotate(store) == STEK_OK;
}

static size_t keys(void)
{
    stek_status (*get_keys)(stek_store *, size_t, stek_key_info *, size_t, size_t *);
    stek_key_info infos[STEK_KEYS_MAX];
    size_t count = 0;

    *(void **)&get_keys = dlsym(library, "stek_get_keys");
    if (get_keys(store, sizeof infos[0], infos, STEK_KEYS_MAX, &count) != STEK_OK)
        return 0;
    return count;
}

static int close_store(void)
{
    stek_status (*close)(stek_store *);

    *(void **)&close = dlsym(library, "stek_close");
    return close(store) == STEK_OK;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gohost:", err)
		os.Exit(1)
	}
}

func run(library string) error {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	if text := C.load(path); text != nil {
		return fmt.Errorf("load: %s", C.GoString(text))
	}

	// Loops that only preemption interrupts, garbage, and a nil dereference,
	// which need this program's own signal handlers.
	var spins atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for n := 0; ; n++ {
				if n == 1<<30 {
					spins.Add(1)
					n = 0
				}
			}
		}()
	}
	for range 20 {
		if C.rotate() == 0 {
			return fmt.Errorf("rotate failed")
		}
		garbage := make([][]byte, 0, 100)
		for range 100 {
			garbage = append(garbage, make([]byte, 1<<16))
		}
		runtime.KeepAlive(garbage)
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		if !recovers() {
			return fmt.Errorf("a nil dereference was not recovered")
		}
	}
	count := C.keys()
	if count < 2 {
		return fmt.Errorf("%d keys", count)
	}
	if C.close_store() == 0 {
		return fmt.Errorf("close failed")
	}
	fmt.Println("two Go runtimes: rotated 20 times,", int(count), "keys")
	return nil
}

func recovers() (ok bool) {
	defer func() { ok = recover() != nil }()
	var nowhere *int
	return *nowhere == 0
}
