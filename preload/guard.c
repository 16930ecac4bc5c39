/*
 * guard.c - handles SIGBUS for the pages of one table.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct stekc_table *guarded;
/* The action that was there before; never freed: a handler may be reading it. */
static _Atomic(struct sigaction *) before;
static atomic_flag taking_over = ATOMIC_FLAG_INIT;

/* In this thread: a handler that was there calls the one that it replaced. */
static _Thread_local volatile sig_atomic_t passing __attribute__((tls_model("initial-exec")));

/* pass_on does with the signal what would have been done without the guard. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction *old = passing ? NULL : atomic_load(&before);

    passing = 1;
    if (old != NULL && old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(number, info, context);
    } else if (old != NULL && old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(number);
    } else {
        /* The fault comes again at once, and then ends the process. */
        signal(SIGBUS, SIG_DFL);
    }
    passing = 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    void *part;
    size_t size;
    int protection;

    if (info->si_code > 0 &&
        stekc_table_holds(guarded, info->si_addr, &part, &size, &protection) &&
        mmap(part, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        errno = saved;
    else
        pass_on(number, info, context);
}

static int is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_bus_error;
}

static void take_over(void)
{
    struct sigaction ours = {.sa_sigaction = on_bus_error,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct sigaction *old = calloc(1, sizeof *old);

    sigemptyset(&ours.sa_mask);
    if (old == NULL || sigaction(SIGBUS, NULL, old) != 0 || is_ours(old)) {
        free(old);
        return;
    }
    atomic_store(&before, old);
    sigaction(SIGBUS, &ours, NULL);
}

void guard_keep(const struct stekc_table *table)
{
    struct sigaction now;

    if (sigaction(SIGBUS, NULL, &now) == 0 && is_ours(&now))
        return;
    if (atomic_flag_test_and_set(&taking_over))
        return; /* another thread does it */
    guarded = table;
    take_over();
    atomic_flag_clear(&taking_over);
}
