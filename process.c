/*
 * process.c - a page that the kernel wipes in a forked child holds the number
 * of this process. The child gives itself a number above every one that its
 * ancestors had when they were forked from: so pids may be used again. And where
 * the stack of a thread is.
 */
#define _GNU_SOURCE
#include "process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t *_Atomic wiped; /* NULL if there is no such page: pids must do */
static _Atomic uint64_t given;          /* numbers given, here and in the ancestors */

static void map_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return;
    /* Some emulators grant every advice and do nothing: ask for one that is none. */
    if (madvise(page, size, -1) == 0 || madvise(page, size, MADV_WIPEONFORK) != 0) {
        munmap(page, size);
        return;
    }
    wiped = page;
}

uint64_t stekc_process_number(void)
{
    _Atomic uint64_t *page = atomic_load_explicit(&wiped, memory_order_acquire);
    uint64_t number, next;

    if (page == NULL) {
        pthread_once(&once, map_page);
        page = wiped;
    }
    if (page == NULL)
        return 0;
    number = atomic_load(page);
    if (number != 0)
        return number;
    next = atomic_fetch_add(&given, 1) + 1;
    return atomic_compare_exchange_strong(page, &number, next) ? next : number;
}

struct stekc_process stekc_process(void)
{
    return (struct stekc_process){getpid(), stekc_process_number()};
}

int stekc_is_this_process(struct stekc_process process)
{
    uint64_t number = stekc_process_number();

    return number != 0 ? number == process.number : getpid() == process.pid;
}

/* This thread's stack; its size is 0 until it is found. */
static _Thread_local struct {
    uintptr_t low, size;
    int looked;
} own_stack;

/* find_stack needs /proc for a process's first thread. */
static void find_stack(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;

    own_stack.looked = 1;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        own_stack.low = (uintptr_t)low;
        own_stack.size = size;
    }
    pthread_attr_destroy(&attributes);
}

enum stekc_stack stekc_stack(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (here - own_stack.low < own_stack.size)
        return STEKC_STACK_OWN;
    if (!own_stack.looked)
        find_stack();
    if (own_stack.size == 0)
        return STEKC_STACK_UNKNOWN;
    return here - own_stack.low < own_stack.size ? STEKC_STACK_OWN : STEKC_STACK_OTHER;
}
