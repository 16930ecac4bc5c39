/*
 * agent.h - starts an agent for a server that has none.
 */
#ifndef STEK_AGENT_H
#define STEK_AGENT_H

#include "settings.h"

#include <stddef.h>

/*
 * agent_start starts settings->agent as a process of nobody's, which serves
 * settings->store in the table of the two files, and waits until there are keys,
 * 5 s at the most. name receives that of the socket on which it hands the table
 * over (receive.h). The agent ends when no process holds its lifeline, a pipe that
 * this one and its children keep open, or the table. The server gets no SIGCHLD,
 * and no child to wait for. *pulse receives the end of another pipe, which reads as
 * ended when the agent has. Returns 1, or 0 with one line in text.
 */
int agent_start(const struct settings *settings, int keys_file, int counts_file, char *name,
                int *pulse, char *text, size_t size);

#endif
