/*
 * ignored.h - which signals were ignored when the program started.
 */
#ifndef SUPERVISE_IGNORED_H
#define SUPERVISE_IGNORED_H

#include <stdint.h>

/* supervise_ignored has bit s - 1 set if signal s was ignored. */
uint64_t supervise_ignored(void);

#endif
