/* Who serves: threads of one process, or processes. */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>

#include <openssl/ssl.h>

/* A host is what workers need to serve. */
struct host {
    SSL_CTX *context;
    int listener; /* of https_listen */
    int events;   /* of signals_open */
    int workers;  /* how many */

    /* on_signal is called for each SIGHUP and SIGUSR1. */
    void (*on_signal)(int signal);

    /* For processes. If they are not NULL, each child calls child_begins after
       the fork, and child_ends at its end; and SIGHUP and SIGUSR1 are passed on
       to the children. false from child_begins ends the server. */
    bool (*child_begins)(void);
    void (*child_ends)(void);
};

/*
 * workers_run_threads and workers_run_processes serve until SIGTERM or SIGINT.
 * Then they stop accepting, finish what is under way, and return; false if they
 * ended for another reason. Children that are killed are replaced. A child
 * frees the context and exits; it does not return.
 */
bool workers_run_threads(const struct host *host);
bool workers_run_processes(const struct host *host);

#endif
