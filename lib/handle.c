/*
 * handle.c - the entries behind handles.
 */
#include "handle.h"

#include <stdint.h>

/* Low bits of a handle: no address of an allocated object ends like this. */
enum { MARK = 0x5, MARK_BITS = 4, INDEX_BITS = 8 };
_Static_assert(STEK_STORES_MAX == 1 << INDEX_BITS, "an index fits its bits");

static struct stek_entry entries[STEK_STORES_MAX];

struct stek_entry *stek_entry_free(void)
{
    for (int i = 0; i < STEK_STORES_MAX; i++)
        if (entries[i].uses % 2 == 0)
            return &entries[i];
    return NULL;
}

stek_store *stek_entry_open(struct stek_entry *entry)
{
    uintptr_t index = (uintptr_t)(entry - entries);

    entry->uses++;
    return (stek_store *)(entry->uses << (MARK_BITS + INDEX_BITS) | index << MARK_BITS | MARK);
}

void stek_entry_close(struct stek_entry *entry)
{
    entry->uses++;
}

struct stek_entry *stek_entry_of(const stek_store *handle)
{
    uintptr_t number = (uintptr_t)handle;
    struct stek_entry *entry = &entries[number >> MARK_BITS & (STEK_STORES_MAX - 1)];
    uintptr_t used_bits = UINTPTR_MAX >> (MARK_BITS + INDEX_BITS);

    if ((number & ((1 << MARK_BITS) - 1)) != MARK || entry->uses % 2 == 0 ||
        number >> (MARK_BITS + INDEX_BITS) != (entry->uses & used_bits))
        return NULL;
    return entry;
}
