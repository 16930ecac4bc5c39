/* Signals as events: a handler writes them to a pipe, a loop reads them. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * signals_open catches SIGHUP, SIGTERM, SIGINT, SIGCHLD and SIGUSR1 from now
 * on, and ignores SIGPIPE. It returns a descriptor that is readable while
 * there is an event, or -1.
 */
int signals_open(void);

/* signals_next takes the next event; 0 if there is none. It does not block. */
int signals_next(void);

/* signals_wait takes the next event, and blocks until there is one. */
int signals_wait(void);

/* signals_fork is fork; the child's events are its own. */
pid_t signals_fork(void);

/* signals_close gives the descriptors back. Signals that come later are lost. */
void signals_close(void);

#endif
