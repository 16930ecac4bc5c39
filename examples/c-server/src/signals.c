#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "signals.h"

static int ends[2] = {-1, -1}; /* of the pipe: read, write */

/*
 * note may run on any thread, one of libstek's included. A flag would not do:
 * the loop's poll goes on sleeping if the signal interrupts another thread.
 */
static void note(int signal)
{
    int before = errno;
    unsigned char event = (unsigned char)signal;
    ssize_t written = write(ends[1], &event, 1);
    (void)written; /* a full pipe has events enough */
    errno = before;
}

static bool open_pipe(void)
{
    signals_close();
    if (pipe(ends) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0 || fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0)
            return false;
    }
    return true;
}

int signals_open(void)
{
    static const int events[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR1};
    struct sigaction catch = {.sa_handler = note};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (!open_pipe() || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return -1;
    /* SA_ONSTACK, as stek.h asks: SIGCHLD may come on a thread with a small stack. */
    catch.sa_flags = SA_ONSTACK | SA_RESTART | SA_NOCLDSTOP;
    sigfillset(&catch.sa_mask);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (sigaction(events[i], &catch, NULL) != 0)
            return -1;
    }
    return ends[0];
}

int signals_next(void)
{
    unsigned char event;
    ssize_t n;

    do
        n = read(ends[0], &event, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? event : 0;
}

int signals_wait(void)
{
    for (;;) {
        struct pollfd events = {.fd = ends[0], .events = POLLIN};
        int signal = signals_next();
        if (signal != 0)
            return signal;
        poll(&events, 1, -1);
    }
}

pid_t signals_fork(void)
{
    sigset_t all, before;
    pid_t child;

    /* No signal for the child may end up in the parent's pipe. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    child = fork();
    if (child == 0 && !open_pipe())
        _exit(EXIT_FAILURE);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return child;
}

void signals_close(void)
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
        ends[i] = -1;
    }
}
