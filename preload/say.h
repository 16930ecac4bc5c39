/*
 * say.h - the standard error with which the process was started.
 */
#ifndef STEK_SAY_H
#define STEK_SAY_H

#include <stddef.h>

/* say_start notes what the standard error is. Once, before the others. */
void say_start(void);

/* say_is_heard tells that the standard error is still what it was: a server may have
   closed it, and have opened a file of its own by that number. */
int say_is_heard(void);

/* say writes to the standard error if it is still what it was, and if somebody reads it
   now. No signal comes of it. Any thread. */
void say(const char *text, size_t length);

#endif
