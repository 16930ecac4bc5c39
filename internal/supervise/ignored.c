/*
 * ignored.c - notes which signals are ignored when the program starts: Go's runtime,
 * which starts after this, sets handlers of its own on most of them.
 */
#define _GNU_SOURCE
#include "ignored.h"

#include <signal.h>
#include <stddef.h>

static uint64_t ignored;

__attribute__((constructor)) static void note_ignored(void)
{
    struct sigaction action;

    for (int s = 1; s <= 64; s++)
        if (sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            ignored |= UINT64_C(1) << (s - 1);
}

uint64_t supervise_ignored(void)
{
    return ignored;
}
