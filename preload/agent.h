/*
 * agent.h - starts an agent for a server that has none.
 */
#ifndef STEK_AGENT_H
#define STEK_AGENT_H

#include "settings.h"

#include <stddef.h>

/* An agent of this process and of those forked from it. */
struct agent {
    int lifeline; /* the agent ends when all copies of it are closed */
    int ready;    /* the agent has the other end: its pid when there are keys */
    long pid;
};

/*
 * agent_start starts settings->agent as a process of nobody's, which serves
 * settings->store in the table of the two files, and waits until there are keys,
 * 5 s at the most. The server gets no SIGCHLD, and no child to wait for. Returns
 * 1, or 0 with one line in text.
 */
int agent_start(const struct settings *settings, int keys_file, int counts_file,
                struct agent *agent, char *text, size_t size);

/* agent_has_ended tells that it is worth starting another. */
int agent_has_ended(const struct agent *agent);

#endif
