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
/* What was there before: the newest, and before that what was there when the guard
   was put in front of an older handler, which the newest may call. Never freed: a
   handler may be reading them. */
struct replaced {
    struct sigaction action;
    struct replaced *older;
    atomic_int spent; /* SA_RESETHAND, and it has run */
};

static _Atomic(struct replaced *) newest;
static atomic_flag taking_over = ATOMIC_FLAG_INIT;

/* What this thread hands on: a handler that was there may call the one that it
   replaced, which is this one. It may also leave by siglongjmp(3), so what is
   kept can be stale: a call from inside is deeper in the stack, with the same
   context. */
static _Thread_local struct {
    struct replaced *running;
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

static int is_handler(const struct replaced *old)
{
    return old->action.sa_flags & SA_SIGINFO ||
           (old->action.sa_handler != SIG_DFL && old->action.sa_handler != SIG_IGN);
}

/* next_in_turn is what would get the signal without the guard: the newest, or
   what was there before the handler that is calling this one. */
static struct replaced *next_in_turn(const void *context, uintptr_t frame)
{
    if (passing.running != NULL && passing.context == context && frame < passing.frame)
        return passing.running->older;
    return atomic_load(&newest);
}

/* pass_on does with the signal what would have been done without the guard. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    struct replaced *old = next_in_turn(context, frame);
    struct replaced *caller = passing.running;

    if (old == NULL || atomic_load(&old->spent)) {
        die(info);
        return;
    }
    if (!is_handler(old)) {
        if (old->action.sa_handler == SIG_DFL || info->si_code > 0)
            die(info); /* a fault cannot be ignored */
        return;
    }
    if (old->action.sa_flags & (int)SA_RESETHAND)
        atomic_store(&old->spent, 1);
    passing.running = old;
    passing.context = context;
    passing.frame = frame;
    if (old->action.sa_flags & SA_SIGINFO)
        old->action.sa_sigaction(number, info, context);
    else
        old->action.sa_handler(number);
    passing.running = caller;
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
    struct replaced *old = calloc(1, sizeof *old);
    struct sigaction ours = {.sa_sigaction = on_bus_error,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

    if (old == NULL || sigaction(SIGBUS, NULL, &old->action) != 0 || is_ours(&old->action)) {
        free(old);
        return;
    }
    ours.sa_mask = old->action.sa_mask;
    ours.sa_flags |= old->action.sa_flags & SA_NODEFER;
    old->older = atomic_load(&newest);
    atomic_store(&newest, old);
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
