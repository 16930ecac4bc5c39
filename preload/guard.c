/*
 * guard.c - handles SIGBUS for the pages of one table.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct stekc_table *guarded;
/* The action that was there before; never freed: a handler may be reading it. */
static _Atomic(struct sigaction *) before;
static atomic_flag taking_over = ATOMIC_FLAG_INIT;

/* What this thread hands on: a handler that was there may call the one that it
   replaced, which is this one. It may also leave by siglongjmp(3), so what is
   kept can be stale: a call from inside is deeper in the stack, with the same
   context. */
static _Thread_local struct {
    void *context;
    uintptr_t frame;
} passing __attribute__((tls_model("initial-exec")));

/* die does what the system does where no handler is. A fault comes again at once,
   a signal that was sent has to be sent again. */
static void die(const siginfo_t *info)
{
    signal(SIGBUS, SIG_DFL);
    if (info->si_code <= 0)
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGBUS);
}

/* pass_on does with the signal what would have been done without the guard. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction *old = atomic_load(&before);
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    int handled = old != NULL && (old->sa_flags & SA_SIGINFO ||
                                  (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN));

    if (passing.context == context && frame < passing.frame)
        handled = 0; /* called by the handler that was called below */
    else if (old != NULL && !(old->sa_flags & SA_SIGINFO) && old->sa_handler == SIG_IGN &&
             info->si_code <= 0)
        return; /* a fault cannot be ignored */
    if (!handled) {
        die(info);
        return;
    }
    if (old->sa_flags & (int)SA_RESETHAND)
        atomic_store(&before, NULL);
    passing.context = context;
    passing.frame = frame;
    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(number, info, context);
    else
        old->sa_handler(number);
    passing.context = NULL;
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
    struct sigaction *old = calloc(1, sizeof *old);
    struct sigaction ours = {.sa_sigaction = on_bus_error,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

    if (old == NULL || sigaction(SIGBUS, NULL, old) != 0 || is_ours(old)) {
        free(old);
        return;
    }
    ours.sa_mask = old->sa_mask;
    ours.sa_flags |= old->sa_flags & SA_NODEFER;
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
