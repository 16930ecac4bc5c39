/*
 * text.h - how a function of the library fails.
 */
#ifndef STEK_TEXT_H
#define STEK_TEXT_H

#include "stek.h"

/* stek_fail sets what stek_error returns in this thread, and returns status. */
__attribute__((format(printf, 2, 3))) stek_status stek_fail(stek_status status,
                                                            const char *format, ...);

#endif
