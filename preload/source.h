/*
 * source.h - how a process comes by a key table.
 */
#ifndef STEK_SOURCE_H
#define STEK_SOURCE_H

#include "settings.h"

#include "../callback.h"

/* What the environment asked for, and in fault why there is no table. Constant
   but for fault. */
extern struct settings source_settings;

/* source_start copies the environment, and maps the table if there is one. Once,
   when the library is loaded: later the process may lack privileges, or the way to
   the file. */
void source_start(void);

/* source_is_asked tells that the environment asks for anything. */
int source_is_asked(void);

/*
 * source_store is the store for a context that is to serve; it may start an
 * agent. It closes the files that were inherited. NULL if there is no table:
 * source_settings.fault says why. The caller serialises calls, and makes none
 * from a signal handler.
 *
 * From the second call on it makes no system call that OpenSSL does not make for a
 * context: a server may allow itself few once it has started (seccomp(2)). An agent
 * that has ended is the exception, since there is another to start.
 */
struct stekc_store *source_store(void);

/* source_say writes one line to the server's standard error. Any thread. */
void source_say(const char *text);

#endif
