/*
 * loader.h - the Go keystore, libstek-go.so, and how it gets into a process.
 */
#ifndef STEK_LOADER_H
#define STEK_LOADER_H

#include "stek.h"

#include <stddef.h>
#include <stdint.h>

/* Results of the functions of libstek-go.so; cgo/main.go has the same list. */
enum { STEK_GO_OK = 0, STEK_GO_BAD_URI = 1, STEK_GO_BACKEND = 2, STEK_GO_PANIC = 3 };

/* The exported functions of libstek-go.so, described in cgo/main.go. text
   receives one line when the result is not STEK_GO_OK. */
struct stek_go {
    int (*layout)(void);
    int (*open)(char *uri, void *table, uintptr_t *handle, int64_t *lifetime, char *text,
                size_t size);
    int (*rotate)(uintptr_t handle, char *text, size_t size);
    int (*revoke)(uintptr_t handle, char *text, size_t size);
    int (*close)(uintptr_t handle, char *text, size_t size);
};

/*
 * stek_load_go loads libstek-go.so at its first call and writes its functions
 * to *go. It starts the Go runtime from a thread of its own with all signals
 * blocked, and gives back the host's handlers for those that Go takes. Where
 * threads, descriptors or address space would not do, it says so instead: Go
 * would end the process. The caller serialises calls.
 */
stek_status stek_load_go(const struct stek_go **go, char *text, size_t size);

/*
 * stek_in_go_thread calls work(argument) in the thread that loaded Go, and
 * returns when that has. All calls into Go are made there: Go leaves traces in
 * each thread that calls it, which a host's thread could carry into a fork. The
 * caller serialises calls, and has called stek_load_go in this process.
 */
void stek_in_go_thread(void (*work)(void *), void *argument);

#endif
