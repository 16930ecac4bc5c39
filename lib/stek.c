/*
 * stek.c - the functions of stek.h.
 */
#define _GNU_SOURCE
#include "handle.h"
#include "loader.h"
#include "stek.h"
#include "text.h"

#include <pthread.h>
#include <string.h>

/* Guards the entries and the loader. A fork waits for it, so that the child
   finds it free. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* A thread that is cancelled must not take the lock with it. */
static _Thread_local int cancel_state;

static void take_lock(void)
{
    int old;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_mutex_lock(&lock);
    cancel_state = old;
}

static void give_lock(void)
{
    int old = cancel_state;

    pthread_mutex_unlock(&lock);
    pthread_setcancelstate(old, NULL);
}

static void survive_fork(void)
{
    stekc_survive_fork(); /* its lock is taken inside this one */
    pthread_atfork(take_lock, give_lock, give_lock);
}

/* A call into Go, made by its thread. */
struct go_call {
    const struct stek_go *go;
    enum { GO_OPEN, GO_ROTATE, GO_REVOKE, GO_CLOSE } function;
    const char *uri;          /* of GO_OPEN */
    struct stekc_table *table;
    struct stek_entry *entry;
    int result;
    char text[512];
};

static void make_call(void *argument)
{
    struct go_call *call = argument;
    struct stek_entry *entry = call->entry;

    switch (call->function) {
    case GO_OPEN:
        call->result = call->go->open((char *)call->uri, call->table, &entry->keystore,
                                      &entry->lifetime, call->text, sizeof call->text);
        break;
    case GO_ROTATE:
        call->result = call->go->rotate(entry->keystore, call->text, sizeof call->text);
        break;
    case GO_REVOKE:
        call->result = call->go->revoke(entry->keystore, call->text, sizeof call->text);
        break;
    case GO_CLOSE:
        call->result = call->go->close(entry->keystore, call->text, sizeof call->text);
        break;
    }
}

/* in_go makes a call into Go. */
static stek_status in_go(struct go_call *call)
{
    stek_status status = stek_load_go(&call->go, call->text, sizeof call->text);

    if (status != STEK_OK)
        return stek_fail(status, "%s", call->text);
    stek_in_go_thread(make_call, call);
    switch (call->result) {
    case STEK_GO_OK:
        return STEK_OK;
    case STEK_GO_BAD_URI:
        return stek_fail(STEK_ERR_URI, "%s", call->text);
    default:
        return stek_fail(STEK_ERR_BACKEND, "%s", call->text);
    }
}

/* entry_of finds the entry of a store that this process opened. */
static stek_status entry_of(const stek_store *store, struct stek_entry **entry)
{
    struct stek_entry *found = stek_entry_of(store);

    if (store == NULL)
        return stek_fail(STEK_ERR_ARG, "the store is NULL");
    if (found == NULL)
        return stek_fail(STEK_ERR_HANDLE, "%p is no open store", (const void *)store);
    if (!stekc_is_this_process(found->opener))
        return stek_fail(STEK_ERR_FORKED, "the store was opened by process %ld, not by this one",
                         (long)found->opener.pid);
    *entry = found;
    return STEK_OK;
}

/* ---- open and close ---- */

static stek_status open_locked(const char *uri, stek_store **store)
{
    struct go_call call = {.function = GO_OPEN, .uri = uri, .entry = stek_entry_free()};
    struct stekc_store *keys;
    unsigned refused;
    stek_status status;

    if (call.entry == NULL)
        return stek_fail(STEK_ERR_LIMIT, "%d stores are open already", STEK_STORES_MAX);
    keys = stekc_store_new(STEK_INHERITED, NULL, &refused);
    if (keys == NULL)
        return stek_fail(STEK_ERR_SYSTEM, "no memory for a key table");
    call.table = stekc_store_table(keys);
    status = in_go(&call);
    if (status != STEK_OK) {
        stekc_store_close(keys);
        return status;
    }
    call.entry->store = keys;
    call.entry->refused = refused;
    call.entry->opener = stekc_process();
    *store = stek_entry_open(call.entry);
    return STEK_OK;
}

stek_status stek_open(const char *uri, stek_store **store)
{
    stek_status status;

    if (uri == NULL || store == NULL)
        return stek_fail(STEK_ERR_ARG, "the %s is NULL", uri == NULL ? "URI" : "output");
    pthread_once(&fork_once, survive_fork);
    take_lock();
    status = open_locked(uri, store);
    give_lock();
    return status;
}

static stek_status close_locked(stek_store *store)
{
    struct go_call call = {.function = GO_CLOSE};
    stek_status status = entry_of(store, &call.entry);

    if (status != STEK_OK)
        return status;
    status = in_go(&call);
    stekc_store_close(call.entry->store);
    stek_entry_close(call.entry);
    return status;
}

stek_status stek_close(stek_store *store)
{
    stek_status status;

    if (store == NULL)
        return STEK_OK;
    take_lock();
    status = close_locked(store);
    give_lock();
    return status;
}

/* in_go_for makes a call into Go for an open store. */
static stek_status in_go_for(stek_store *store, struct go_call *call)
{
    stek_status status;

    take_lock();
    status = entry_of(store, &call->entry);
    if (status == STEK_OK)
        status = in_go(call);
    give_lock();
    return status;
}

stek_status stek_rotate(stek_store *store)
{
    struct go_call call = {.function = GO_ROTATE};

    return in_go_for(store, &call);
}

stek_status stek_revoke(stek_store *store)
{
    struct go_call call = {.function = GO_REVOKE};

    return in_go_for(store, &call);
}

/* ---- contexts ---- */

static stek_status of_result(enum stekc_result result, const struct stekc_report *report)
{
    stek_status status = STEK_ERR_SYSTEM;

    switch (result) {
    case STEKC_OK:
        return STEK_OK;
    case STEKC_ERR_NULL:
    case STEKC_ERR_OPTION:
    case STEKC_ERR_KIND:
        status = STEK_ERR_ARG;
        break;
    case STEKC_ERR_NO_LIBSSL:
    case STEKC_ERR_LIBRARY:
    case STEKC_ERR_FOREIGN:
        status = STEK_ERR_LIBSSL;
        break;
    case STEKC_ERR_NOT_CTX:
        status = STEK_ERR_CONTEXT;
        break;
    case STEKC_ERR_ATTACHED:
        status = STEK_ERR_ATTACHED;
        break;
    case STEKC_ERR_NOT_ATTACHED:
        status = STEK_ERR_DETACHED;
        break;
    case STEKC_ERR_CLOSED:
        status = STEK_ERR_HANDLE;
        break;
    case STEKC_ERR_FULL:
        status = STEK_ERR_LIMIT;
        break;
    case STEKC_ERR_FETCH:
    case STEKC_ERR_OPENSSL:
    case STEKC_ERR_MEMORY:
        break;
    }
    return stek_fail(status, "%s", report->detail);
}

/* The authentication-age cap, in seconds: a day by default, three at most. */
enum { CAP_DEFAULT = 86400, CAP_MAX = 259200 };

/* The size that the options had at first. */
enum { FIRST_SIZE = offsetof(stek_attach_options, client_auth) };

static stek_status read_options(const stek_attach_options *given, struct stekc_options *options)
{
    stek_attach_options all;

    memset(&all, 0, sizeof all);
    if (given != NULL) {
        if (given->size != sizeof all && given->size != FIRST_SIZE)
            return stek_fail(STEK_ERR_ARG, "the size of the options is %zu, want %zu", given->size,
                             sizeof all);
        memcpy(&all, given, given->size);
    }
    if (all.auth_age_cap_seconds > CAP_MAX)
        return stek_fail(STEK_ERR_ARG, "auth_age_cap_seconds is %u, and at most %d",
                         (unsigned)all.auth_age_cap_seconds, CAP_MAX);
    if (all.auth_age_cap_seconds == 0)
        all.auth_age_cap_seconds = CAP_DEFAULT;
    memset(options, 0, sizeof *options);
    options->policy = (int)all.renewal;
    options->kind = (int)all.callback;
    options->soft = all.soft_errors != 0;
    options->auth_age_cap = (int64_t)all.auth_age_cap_seconds * 1000000000;
    options->name_group = all.name_group;
    options->client_auth = all.client_auth;
    options->data_form = all.ticket_data;
    options->verifies_clients = all.verifies_clients != 0;
    return STEK_OK;
}

stek_status stek_attach(struct ssl_ctx_st *ctx, stek_store *store,
                        const stek_attach_options *given)
{
    struct stekc_options options;
    struct stekc_report report;
    struct stek_entry *entry;
    stek_status status = read_options(given, &options);

    if (status != STEK_OK)
        return status;
    take_lock();
    status = entry_of(store, &entry);
    if (status == STEK_OK)
        status = of_result(stekc_attach(ctx, entry->store, &options, &report), &report);
    give_lock();
    return status;
}

stek_status stek_detach(struct ssl_ctx_st *ctx)
{
    struct stekc_report report;

    return of_result(stekc_detach(ctx, &report), &report);
}

stek_status stek_inspect(struct ssl_ctx_st *ctx, stek_store *store, unsigned *warnings)
{
    struct stekc_report report;
    struct stek_entry *entry;
    stek_status status;

    if (warnings == NULL)
        return stek_fail(STEK_ERR_ARG, "the output is NULL");
    take_lock();
    status = entry_of(store, &entry);
    if (status == STEK_OK)
        status = of_result(stekc_inspect(ctx, entry->lifetime, &report), &report);
    give_lock();
    if (status == STEK_OK)
        *warnings = report.warnings & ~(unsigned)STEKC_WARN_ASYNC; /* nobody is asked */
    return status;
}

/* ---- counts and keys ---- */

/* put copies an item to the caller's, which may be of an older or newer
   header: shorter, or longer and then ended with zeros. */
static void put(void *out, size_t size, const void *item, size_t item_size)
{
    memset(out, 0, size);
    memcpy(out, item, size < item_size ? size : item_size);
}

static uint64_t bits_in(unsigned bits)
{
    uint64_t count = 0;

    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

stek_status stek_get_stats(stek_store *store, size_t size, stek_stats *stats)
{
    struct stek_entry *entry;
    stek_status status;

    if (stats == NULL || size < sizeof(uint64_t))
        return stek_fail(STEK_ERR_ARG, "the output is NULL or of size %zu", size);
    take_lock();
    status = entry_of(store, &entry);
    if (status == STEK_OK) {
        const struct stekc_table *table = stekc_store_table(entry->store);
        struct stek_key_counts of_keys = stekc_table_counted_all(table);
        stek_stats now = {
            .issued = of_keys.issued,
            .renewed = of_keys.renewed,
            .accepted = of_keys.accepted,
            .accepted_previous = of_keys.accepted_previous,
            .unknown = stekc_table_counted(table, STEK_COUNT_UNKNOWN),
            .expired = stekc_table_counted(table, STEK_COUNT_EXPIRED),
            .declined = stekc_table_counted(table, STEK_COUNT_DECLINED),
            .limited = stekc_table_counted(table, STEK_COUNT_LIMITED),
            .aged = stekc_table_counted(table, STEK_COUNT_AGED),
            .errors = stekc_table_counted(table, STEK_COUNT_ERRORS),
            .unprotected_memory = bits_in(entry->refused),
            .refused = stekc_table_counted(table, STEK_COUNT_REFUSED),
            .unplaced = stekc_table_counted(table, STEK_COUNT_UNPLACED),
            .misplaced = stekc_table_counted(table, STEK_COUNT_MISPLACED),
            .marked = stekc_table_counted(table, STEK_COUNT_MARKED),
        };

        put(stats, size, &now, sizeof now);
    }
    give_lock();
    return status;
}

/* seconds rounds down, also before 1970. */
static int64_t seconds(int64_t nanoseconds)
{
    return nanoseconds / 1000000000 - (nanoseconds % 1000000000 < 0);
}

/* describe fills info for a key that is in table; false if it has expired. */
static int describe(const struct stekc_table *table, const struct stek_key *key,
                    stek_key_info *info)
{
    struct stek_key copy;
    struct stek_key_counts counts = stekc_table_counted_of(table, key);
    enum stek_state state = stekc_table_find(table, key->name, stekc_table_now(table), &copy);

    stekc_wipe(&copy, sizeof copy);
    memset(info, 0, sizeof *info);
    switch (state) {
    case STEK_UPCOMING:
        info->state = STEK_KEY_UPCOMING;
        break;
    case STEK_CURRENT:
        info->state = STEK_KEY_CURRENT;
        break;
    case STEK_PREVIOUS:
        info->state = STEK_KEY_PREVIOUS;
        break;
    default:
        return 0;
    }
    memcpy(info->name, key->name, sizeof info->name);
    info->not_before_seconds = seconds(key->not_before);
    info->not_after_seconds = seconds(key->not_after);
    info->decrypt_until_seconds = seconds(key->decrypt_until);
    info->issued = counts.issued;
    info->accepted = counts.accepted;
    info->renewed = counts.renewed;
    info->accepted_previous = counts.accepted_previous;
    return 1;
}

stek_status stek_get_keys(stek_store *store, size_t size, stek_key_info *keys, size_t capacity,
                          size_t *count)
{
    struct stek_key listed[STEK_MAX_KEYS];
    struct stek_entry *entry;
    stek_key_info infos[STEK_MAX_KEYS];
    size_t found = 0, described = 0;
    stek_status status;

    if (count == NULL || (keys == NULL && capacity > 0) || size < sizeof infos[0].name)
        return stek_fail(STEK_ERR_ARG, "an output is NULL or of size %zu", size);
    take_lock();
    status = entry_of(store, &entry);
    if (status == STEK_OK) {
        const struct stekc_table *table = stekc_store_table(entry->store);

        found = stekc_table_list(table, listed);
        for (size_t i = 0; i < found; i++)
            described += (size_t)describe(table, &listed[i], &infos[described]);
        stekc_wipe(listed, sizeof listed);
    }
    give_lock();
    if (status != STEK_OK)
        return status;
    if (described > capacity)
        return stek_fail(STEK_ERR_SPACE, "there are %zu keys, and room for %zu", described,
                         capacity);
    for (size_t i = 0; i < described; i++)
        put((unsigned char *)keys + i * size, size, &infos[i], sizeof infos[i]);
    *count = described;
    return STEK_OK;
}
