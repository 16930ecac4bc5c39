/*
 * say.c - writes to the standard error in a way that the server does not notice.
 */
#define _GNU_SOURCE
#include "say.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct stat at_start;
static int was_open;

void say_start(void)
{
    was_open = fstat(STDERR_FILENO, &at_start) == 0;
}

int say_is_heard(void)
{
    struct stat now;

    return was_open && fstat(STDERR_FILENO, &now) == 0 && now.st_dev == at_start.st_dev &&
           now.st_ino == at_start.st_ino;
}

/* has_room tells that a write does not wait for a reader who may never come. */
static int has_room(void)
{
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&standard_error, 1, 0) == 1 && standard_error.revents == POLLOUT;
}

/* write_quietly is write(2) without the signals of a pipe that nobody reads, of a file
   that has reached its limit, and of a terminal that stops what writes to it in the
   background. They come to this thread. */
static void write_quietly(const char *text, size_t length)
{
    const struct timespec at_once = {0, 0};
    sigset_t signals, pending, before;

    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    sigaddset(&signals, SIGTTOU);
    if (pthread_sigmask(SIG_BLOCK, &signals, &before) != 0)
        return;
    sigpending(&pending);
    if (write(STDERR_FILENO, text, length) < 0 && (errno == EPIPE || errno == EFBIG) &&
        !sigismember(&pending, errno == EPIPE ? SIGPIPE : SIGXFSZ))
        sigtimedwait(&signals, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void say(const char *text, size_t length)
{
    if (!say_is_heard())
        return;
    if (S_ISSOCK(at_start.st_mode))
        send(STDERR_FILENO, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    else if (has_room())
        write_quietly(text, length);
}
