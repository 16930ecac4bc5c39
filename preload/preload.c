/*
 * preload.c - libstek-preload.so: stands in front of functions of libssl, and so
 * gives an unmodified server the keys of a shared table.
 *
 * No Go and no libssl is linked. Whatever is wrong, the server runs as it does
 * without this library, but for one line on its standard error.
 */
#define _GNU_SOURCE
#include "next.h"
#include "servername.h"
#include "source.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of OpenSSL's binary interface, in all versions. */
enum { CTRL_SET_SERVERNAME_CB = 53, CTRL_SET_TICKET_KEY_CB = 72, EX_INDEX_SSL_CTX = 1 };
#define OP_NO_TICKET (UINT64_C(1) << 14)

/* How long the authentication of a client is good for, in nanoseconds: a day. */
#define AUTH_AGE_CAP (INT64_C(24) * 3600 * 1000000000)

/* Where a context has its algorithms from, as SSL_CTX_new_ex was told; NULL if it was
   not. */
struct origin {
    struct ossl_lib_ctx_st *library;
    const char *properties;
};

/* What a context of ours carries in its ex_data. */
struct mark {
    atomic_int looked_at; /* its options, at its first connection */
    atomic_int callback_of_its_own; /* SSL_CTX_set_session_ticket_cb */
    struct origin origin;
};

static pthread_once_t started = PTHREAD_ONCE_INIT;
static int wanted; /* constant once started */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct stekc_store *_Atomic store; /* of the newest context */
static int given_up;                      /* the line was said */
static atomic_int mark_index = -1;     /* read without the lock, as is what follows */
static const struct next *_Atomic ours; /* the libssl that is served */

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static void start(void)
{
    source_start();
    wanted = source_is_asked();
    if (!wanted)
        return;
    stekc_trust_contexts();
    stekc_survive_fork(); /* its lock is taken inside this one */
    stekc_scope_watch();
    pthread_atfork(take_lock, give_lock, give_lock);
}

/* Also runs at the first call, which may come from another constructor. */
__attribute__((constructor)) static void constructor(void)
{
    pthread_once(&started, start);
}

static int is_wanted(void)
{
    pthread_once(&started, start);
    return wanted;
}

/* give_up says once why the server goes without stek. */
static void give_up(const char *why)
{
    char text[600];

    if (given_up)
        return;
    given_up = 1;
    snprintf(text, sizeof text, "%s: this server goes on with its own ticket keys", why);
    source_say(text);
}

/* ---- contexts ---- */

static void drop(struct mark *mark)
{
    if (mark != NULL)
        free((char *)mark->origin.properties);
    free(mark);
}

static void free_mark(void *context, void *mark, void *data, int index, long number,
                      void *pointer)
{
    (void)context;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    drop(mark);
}

static struct mark *mark_of(const struct next *next, const struct ssl_ctx_st *ctx)
{
    return next == ours && next != NULL && mark_index >= 0 && ctx != NULL
               ? next->SSL_CTX_get_ex_data(ctx, mark_index)
               : NULL;
}

/* A form of data that the server keeps in tickets; NULL if it keeps none. */
struct form {
    const char *text;
    int own; /* of one context alone */
};

static enum stekc_result attach(struct ssl_ctx_st *ctx, int policy, const struct origin *origin,
                                struct form form, struct stekc_report *report)
{
    struct stekc_options options = {
        .policy = policy,
        .soft = 1,
        .auth_age_cap = AUTH_AGE_CAP,
        .library_context = origin->library,
        .properties = origin->properties,
        .name_group = source_settings.name_group[0] != '\0' ? source_settings.name_group : NULL,
        .client_auth = source_settings.client_auth[0] != '\0' ? source_settings.client_auth : NULL,
        .data_form = form.text,
        .own_data = form.own,
    };

    return stekc_attach(ctx, store, &options, report);
}

static int put_mark(const struct next *next, struct ssl_ctx_st *ctx, const struct origin *origin)
{
    struct mark *mark;

    if (mark_index < 0)
        mark_index = stekc_ex_index(EX_INDEX_SSL_CTX, (any_function *)free_mark);
    mark = mark_index >= 0 ? calloc(1, sizeof *mark) : NULL;
    if (mark == NULL)
        return 0;
    mark->origin.library = origin->library;
    if (origin->properties != NULL)
        mark->origin.properties = strdup(origin->properties);
    if ((origin->properties != NULL && mark->origin.properties == NULL) ||
        next->SSL_CTX_set_ex_data(ctx, mark_index, mark) != 1) {
        drop(mark);
        return 0;
    }
    return 1;
}

/* say_what_is_forced does so at the first context, while the process may still make all
   system calls. */
static void say_what_is_forced(void)
{
    static int said;

    if (!source_settings.force_tickets || said)
        return;
    said = 1;
    source_say("session tickets are on, also where this server's configuration has them off");
}

/* serve attaches the table to a new context, or says why not. */
static void serve(const struct next *next, struct ssl_ctx_st *ctx, const struct origin *origin)
{
    struct stekc_report report;
    struct stekc_store *newest = source_store();

    if (newest == NULL) {
        give_up(source_settings.fault);
        return;
    }
    atomic_store(&store, newest);
    if (attach(ctx, STEK_POLICY_CAPPED, origin, (struct form){NULL, 0}, &report) != STEKC_OK) {
        give_up(report.detail);
        return;
    }
    ours = next;
    if (!put_mark(next, ctx, origin)) {
        stekc_detach(ctx, &report);
        give_up("no memory for a context");
        return;
    }
    stekc_table_count(stekc_store_table(store), STEK_COUNT_CONTEXTS, NULL);
    say_what_is_forced();
}

/* made is called with every context that libssl has made. */
static struct ssl_ctx_st *made(const struct next *next, const struct ssl_method_st *method,
                               const struct origin *origin, struct ssl_ctx_st *ctx)
{
    int saved = errno;
    struct stekc_report report;
    enum stekc_result prepared;

    if (ctx == NULL || !is_wanted() || next_serves_only_clients(next, method))
        return ctx;
    prepared = stekc_prepare(ctx, &report);
    take_lock();
    if (prepared != STEKC_OK)
        give_up(report.detail);
    else if (mark_of(next, ctx) == NULL) /* SSL_CTX_new may call SSL_CTX_new_ex */
        serve(next, ctx, origin);
    give_lock();
    errno = saved;
    return ctx;
}

static uint64_t count(enum stek_counter counter)
{
    return stekc_table_count(stekc_store_table(store), counter, NULL);
}

/* switch_on clears what keeps ctx from using tickets. */
static void switch_on(const struct next *next, struct ssl_ctx_st *ctx)
{
    next->SSL_CTX_clear_options(ctx, OP_NO_TICKET);
    count(STEK_COUNT_FORCED);
}

/* look_at sets our callback again, should the server have set one past us, and counts
   what in the configuration of ctx keeps tickets from being used: once, at its first
   connection, when it is complete. */
static void look_at(const struct next *next, struct ssl_ctx_st *ctx)
{
    struct stekc_report report;

    if (stekc_insist(ctx, &report) != STEKC_OK)
        source_say(report.detail);
    if (stekc_inspect(ctx, 0, &report) != STEKC_OK)
        return;
    if (report.warnings & STEKC_WARN_NO_TICKET) {
        count(STEK_COUNT_TICKETS_OFF);
        if (source_settings.force_tickets)
            switch_on(next, ctx);
    }
    if (report.warnings & STEKC_WARN_ANTI_REPLAY)
        count(STEK_COUNT_STATEFUL);
    if (report.warnings & STEKC_WARN_NUM_TICKETS) {
        count(STEK_COUNT_NONE13);
        if (source_settings.force_tickets && next->SSL_CTX_set_num_tickets != NULL)
            next->SSL_CTX_set_num_tickets(ctx, 2);
    }
}

/* displaces tells that ctx is ours, and counts the callback that it keeps. */
static int displaces(const struct next *next, struct ssl_ctx_st *ctx, any_function *callback)
{
    if (mark_of(next, ctx) == NULL)
        return 0;
    if (callback != NULL)
        count(STEK_COUNT_DISPLACED);
    return 1;
}

/* ---- the functions of libssl ---- */

struct ssl_ctx_st *SSL_CTX_new(const struct ssl_method_st *method)
{
    const struct next *next = next_for_method(method);

    if (next == NULL)
        next = next_for_context(NULL);
    return next != NULL && next->SSL_CTX_new != NULL
               ? made(next, method, &(struct origin){NULL, NULL}, next->SSL_CTX_new(method))
               : NULL;
}

struct ssl_ctx_st *SSL_CTX_new_ex(struct ossl_lib_ctx_st *library, const char *properties,
                                  const struct ssl_method_st *method)
{
    const struct next *next = next_for_method(method);
    struct origin origin = {library, properties};

    if (next == NULL)
        next = next_for_context(NULL);
    return next != NULL && next->SSL_CTX_new_ex != NULL
               ? made(next, method, &origin, next->SSL_CTX_new_ex(library, properties, method))
               : NULL;
}

/* look_once is called when ctx is about to have a connection. */
static void look_once(const struct next *next, struct ssl_ctx_st *ctx)
{
    struct mark *mark = mark_of(next, ctx);

    /* The first look costs most connections less than an exchange. */
    if (mark != NULL && !atomic_load_explicit(&mark->looked_at, memory_order_relaxed) &&
        !atomic_exchange(&mark->looked_at, 1)) {
        int saved = errno;

        look_at(next, ctx);
        errno = saved;
    }
}

struct ssl_st *SSL_new(struct ssl_ctx_st *ctx)
{
    const struct next *next = next_for_context(ctx);

    look_once(next, ctx);
    return next != NULL && next->SSL_new != NULL ? next->SSL_new(ctx) : NULL;
}

/* A server of OpenSSL's own QUIC has its connections from a listener, and that from a
   context or a domain. */
struct ssl_st *SSL_new_listener(struct ssl_ctx_st *ctx, uint64_t flags)
{
    const struct next *next = next_for_context(ctx);

    look_once(next, ctx);
    return next != NULL && next->SSL_new_listener != NULL ? next->SSL_new_listener(ctx, flags)
                                                          : NULL;
}

struct ssl_st *SSL_new_domain(struct ssl_ctx_st *ctx, uint64_t flags)
{
    const struct next *next = next_for_context(ctx);

    look_once(next, ctx);
    return next != NULL && next->SSL_new_domain != NULL ? next->SSL_new_domain(ctx, flags) : NULL;
}

static void count_misplaced(void)
{
    count(STEK_COUNT_MISPLACED);
}

/* The HMAC_CTX callback and the servername callback are set by commands that take a
   function. */
long SSL_CTX_callback_ctrl(struct ssl_ctx_st *ctx, int command, any_function *callback)
{
    const struct next *next = next_for_context(ctx);

    if (command == CTRL_SET_TICKET_KEY_CB && displaces(next, ctx, callback))
        return 1;
    if (command == CTRL_SET_SERVERNAME_CB && mark_of(next, ctx) != NULL)
        callback = servername_stand_before(callback, count_misplaced);
    return next != NULL && next->SSL_CTX_callback_ctrl != NULL
               ? next->SSL_CTX_callback_ctrl(ctx, command, callback)
               : 0;
}

int SSL_CTX_set_tlsext_ticket_key_evp_cb(struct ssl_ctx_st *ctx, any_function *callback)
{
    const struct next *next = next_for_context(ctx);

    if (displaces(next, ctx, callback))
        return 1;
    return next != NULL && next->SSL_CTX_set_tlsext_ticket_key_evp_cb != NULL
               ? next->SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, callback)
               : 0;
}

/* know_clients is called with each callback that tells ctx who its clients are, and returns
   the libssl that made ctx. */
static const struct next *know_clients(struct ssl_ctx_st *ctx, any_function *callback)
{
    const struct next *next = next_for_context(ctx);

    if (callback != NULL && mark_of(next, ctx) != NULL)
        stekc_scope_know_clients(ctx);
    return next;
}

/* A certificate callback may ask for a certificate, and OpenSSL calls it in full handshakes
   alone. */
void SSL_CTX_set_cert_cb(struct ssl_ctx_st *ctx, any_function *callback, void *argument)
{
    const struct next *next = next_for_context(ctx);

    if (callback != NULL && mark_of(next, ctx) != NULL)
        stekc_scope_may_ask(ctx);
    if (next != NULL && next->SSL_CTX_set_cert_cb != NULL)
        next->SSL_CTX_set_cert_cb(ctx, callback, argument);
}

void SSL_CTX_set_psk_server_callback(struct ssl_ctx_st *ctx, any_function *callback)
{
    const struct next *next = know_clients(ctx, callback);

    if (next != NULL && next->SSL_CTX_set_psk_server_callback != NULL)
        next->SSL_CTX_set_psk_server_callback(ctx, callback);
}

void SSL_CTX_set_psk_find_session_callback(struct ssl_ctx_st *ctx, any_function *callback)
{
    const struct next *next = know_clients(ctx, callback);

    if (next != NULL && next->SSL_CTX_set_psk_find_session_callback != NULL)
        next->SSL_CTX_set_psk_find_session_callback(ctx, callback);
}

/* place_of writes the file that a function is in, and where in it. */
static int place_of(any_function *function, char *out, size_t size)
{
    Dl_info info;
    void *address;
    int length;

    memcpy(&address, &function, sizeof address);
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return 0;
    length = snprintf(out, size, "%s+%tx", info.dli_fname,
                      (char *)address - (char *)info.dli_fbase);
    return length > 0 && (size_t)length < size;
}

/* form_of names the form of the data that two functions write and read: contexts with the
   same functions, in the same files, read it alike. If they have an argument nothing is
   known of it, and the form is of this context alone. */
static struct form form_of(any_function *generate, any_function *decrypted, void *argument,
                           char *text, size_t size)
{
    size_t used;

    if (argument != NULL || !place_of(generate, text, size))
        return (struct form){NULL, 1};
    used = strlen(text);
    return place_of(decrypted, text + used, size - used) ? (struct form){text, 0}
                                                         : (struct form){NULL, 1};
}

/* A server that keeps data of its own in its tickets goes before the
   authentication-age cap, which uses the same place: tickets are then renewed
   under the current key alone, and a chain of them ends by itself. No context gets tickets
   with data of another form. */
int SSL_CTX_set_session_ticket_cb(struct ssl_ctx_st *ctx, any_function *generate,
                                  any_function *decrypted, void *argument)
{
    const struct next *next = next_for_context(ctx);
    struct mark *mark = mark_of(next, ctx);
    char text[STEK_GROUP_MAX + 1];
    struct stekc_report report;

    if (mark != NULL && generate == NULL && decrypted == NULL &&
        !atomic_load(&mark->callback_of_its_own))
        return 1;
    if (mark != NULL) {
        atomic_store(&mark->callback_of_its_own, 1);
        stekc_detach(ctx, &report);
        if (attach(ctx, STEK_POLICY_CURRENT, &mark->origin,
                   form_of(generate, decrypted, argument, text, sizeof text), &report) != STEKC_OK)
            source_say(report.detail);
    }
    return next != NULL && next->SSL_CTX_set_session_ticket_cb != NULL
               ? next->SSL_CTX_set_session_ticket_cb(ctx, generate, decrypted, argument)
               : 0;
}

/* A server that keeps no data in its tickets sees none: not the time of authentication that
   stek keeps there. */
int SSL_SESSION_get0_ticket_appdata(struct ssl_session_st *session, void **data, size_t *size)
{
    const struct next *next = atomic_load(&ours);

    if (next == NULL)
        next = next_for_context(NULL);
    if (next == NULL || next->SSL_SESSION_get0_ticket_appdata == NULL ||
        next->SSL_SESSION_get0_ticket_appdata(session, data, size) != 1)
        return 0;
    if (*data != NULL && stekc_is_stamp(*data, *size)) {
        *data = NULL;
        *size = 0;
    }
    return 1;
}

/* Some servers copy the options of the context that a name selects, on which no
   SSL_new is called. */
uint64_t SSL_CTX_set_options(struct ssl_ctx_st *ctx, uint64_t options)
{
    const struct next *next = next_for_context(ctx);

    if (options & OP_NO_TICKET && source_settings.force_tickets && mark_of(next, ctx) != NULL) {
        count(STEK_COUNT_TICKETS_OFF);
        switch_on(next, ctx);
        options &= ~OP_NO_TICKET;
    }
    return next != NULL && next->SSL_CTX_set_options != NULL ? next->SSL_CTX_set_options(ctx, options)
                                                             : 0;
}
