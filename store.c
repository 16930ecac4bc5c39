/*
 * store.c - the store: a key table and whom to ask, with a count of those who
 * hold it.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>

struct stekc_store *stekc_store_on(struct stekc_table *table)
{
    struct stekc_store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return NULL;
    store->table = table;
    store->maker = stekc_process();
    atomic_init(&store->references, 1);
    return store;
}

struct stekc_store *stekc_store_new(enum stek_sharing sharing, const struct stekc_ask *ask,
                                    unsigned *refused)
{
    struct stekc_table *table = stekc_table_new(sharing, refused);
    struct stekc_store *store = table != NULL ? stekc_store_on(table) : NULL;

    if (store == NULL) {
        int cause = errno;

        stekc_table_free(table);
        errno = cause;
        return NULL;
    }
    if (ask != NULL)
        store->ask = *ask;
    return store;
}

struct stekc_table *stekc_store_table(struct stekc_store *store)
{
    return store->table;
}

void stekc_store_hold(struct stekc_store *store)
{
    atomic_fetch_add(&store->references, 1);
}

void stekc_store_release(struct stekc_store *store)
{
    struct stekc_ask ask = store->ask;
    int inherited;

    if (atomic_fetch_sub(&store->references, 1) != 1)
        return;
    inherited = stekc_store_inherited(store);
    if (inherited)
        stekc_table_forget(store->table);
    else
        stekc_table_free(store->table);
    free(store);
    if (!inherited && ask.released != NULL && stekc_stack() != STEKC_STACK_OTHER)
        ask.released(ask.handle); /* Go must not be entered on another stack */
}

int stekc_store_inherited(const struct stekc_store *store)
{
    return !stekc_is_this_process(store->maker);
}

int stekc_store_closed(const struct stekc_store *store)
{
    return atomic_load(&store->closed);
}

void stekc_store_close(struct stekc_store *store)
{
    if (store == NULL || atomic_exchange(&store->closed, 1))
        return;
    if (!stekc_store_inherited(store))
        stekc_table_publish(store->table, 0);
    stekc_store_release(store);
}
