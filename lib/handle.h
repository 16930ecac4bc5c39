/*
 * handle.h - which stores are open. A stek_store pointer is a number that names
 * an entry and how often it was used before; it is never followed, so a stale
 * or foreign one can be told.
 */
#ifndef STEK_HANDLE_H
#define STEK_HANDLE_H

#include "../callback.h"
#include "../process.h"
#include "stek.h"

/* How many stores can be open at a time. */
enum { STEK_STORES_MAX = 256 };

struct stek_entry {
    uintptr_t uses; /* odd while it is open */
    struct stekc_store *store;
    uintptr_t keystore; /* Go's handle */
    int64_t lifetime;   /* of tickets, seconds */
    unsigned refused; /* protections of the table's memory, as bits */
    struct stekc_process opener;
};

/* The caller of these holds the lock of stek.c. */

/* stek_entry_free returns an entry that is not open, or NULL. */
struct stek_entry *stek_entry_free(void);

/* stek_entry_open marks entry open and returns its handle. */
stek_store *stek_entry_open(struct stek_entry *entry);

/* stek_entry_close ends the handle of entry. */
void stek_entry_close(struct stek_entry *entry);

/* stek_entry_of returns the open entry of handle, or NULL. */
struct stek_entry *stek_entry_of(const stek_store *handle);

#endif
