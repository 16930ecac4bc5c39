/*
 * process.c - a page that the kernel wipes in a forked child holds the number
 * of this process. The child gives itself a number above every one that its
 * ancestors had when they were forked from: so pids may be used again.
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
