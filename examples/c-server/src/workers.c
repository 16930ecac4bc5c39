#define _XOPEN_SOURCE 700

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "https.h"
#include "signals.h"
#include "workers.h"

static bool ends_server(int signal) { return signal == SIGTERM || signal == SIGINT; }

/* Threads */

struct pool {
    const struct host *host;
    int until; /* hangs up when the threads are to end */
};

static void *serve(void *argument)
{
    const struct pool *pool = argument;
    https_serve(pool->host->context, pool->host->listener, pool->until);
    OPENSSL_thread_stop();
    return NULL;
}

bool workers_run_threads(const struct host *host)
{
    pthread_t *threads = calloc((size_t)host->workers, sizeof(*threads));
    struct pool pool = {.host = host};
    int started = 0, ends[2], signal;

    if (threads == NULL || pipe(ends) != 0) {
        free(threads);
        return false;
    }
    pool.until = ends[0];
    while (started < host->workers && pthread_create(&threads[started], NULL, serve, &pool) == 0)
        started++;

    while (started == host->workers && !ends_server(signal = signals_wait())) {
        if (signal == SIGHUP || signal == SIGUSR1)
            host->on_signal(signal);
    }

    close(ends[1]);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    close(ends[0]);
    free(threads);
    return started == host->workers;
}

/* Processes */

static _Noreturn void be_child(const struct host *host)
{
    bool begun = host->child_begins == NULL || host->child_begins();
    bool end = !begun;

    while (!end) {
        int signal;
        https_serve(host->context, host->listener, host->events);
        while ((signal = signals_next()) != 0) {
            if (ends_server(signal))
                end = true;
            else if (host->child_begins != NULL && (signal == SIGHUP || signal == SIGUSR1))
                host->on_signal(signal);
        }
    }
    if (host->child_ends != NULL)
        host->child_ends();
    SSL_CTX_free(host->context);
    exit(begun ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* start makes a child and returns its process id, or 0. */
static pid_t start(const struct host *host)
{
    pid_t child = signals_fork();

    if (child == 0)
        be_child(host);
    if (child < 0) {
        perror("server: fork");
        return 0;
    }
    printf("[%ld] child %ld started\n", (long)getpid(), (long)child);
    return child;
}

static void signal_all(const pid_t *children, int count, int signal)
{
    for (int i = 0; i < count; i++) {
        if (children[i] != 0)
            kill(children[i], signal);
    }
}

static int number_of(const pid_t *children, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++)
        number += children[i] != 0;
    return number;
}

/*
 * bury waits for the children that have ended, and for no other process. Those
 * that were killed it replaces unless the server is ending. It returns false if
 * a child gave up: the next would too.
 */
static bool bury(const struct host *host, pid_t *children, bool ending)
{
    bool good = true;

    for (int i = 0; i < host->workers; i++) {
        int status;
        if (children[i] == 0 || waitpid(children[i], &status, WNOHANG) != children[i])
            continue;
        if (WIFSIGNALED(status))
            printf("[%ld] child %ld killed by signal %d\n", (long)getpid(), (long)children[i], WTERMSIG(status));
        else if (WEXITSTATUS(status) != EXIT_SUCCESS)
            good = false;
        children[i] = ending || !good ? 0 : start(host);
        if (children[i] == 0 && !ending)
            good = false;
    }
    return good;
}

bool workers_run_processes(const struct host *host)
{
    pid_t *children = calloc((size_t)host->workers, sizeof(*children)); /* 0: none */
    bool good = children != NULL, ending = false;

    for (int i = 0; good && i < host->workers; i++) {
        children[i] = start(host);
        good = children[i] != 0;
    }
    while (children != NULL && number_of(children, host->workers) > 0) {
        int signal = good || ending ? signals_wait() : SIGTERM;

        if (ends_server(signal)) {
            ending = true;
            signal_all(children, host->workers, SIGTERM);
        } else if (signal == SIGCHLD) {
            good = bury(host, children, ending) && good;
        } else if (host->child_begins != NULL) {
            signal_all(children, host->workers, signal);
        } else {
            host->on_signal(signal);
        }
    }
    free(children);
    return good;
}
