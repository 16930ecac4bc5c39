/*
 * attach.c - attach, detach and inspect: which SSL_CTX uses which store.
 */
#include "store.h"
#include "trampoline.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an SSL_CTX holds in its ex_data: every binding it was ever attached to,
   newest first. They are released by SSL_CTX_free, when no handshake can be
   inside a callback any more. */
struct attachment {
    struct stekc_binding *binding;
    struct attachment *earlier;
    int kind; /* of the callback that was registered */
    int active;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static int context_index = -1;

/* A fork waits for whoever holds the lock, so that the child finds it free. */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
    take_lock();
    stekc_scope_lock();
}

static void after_fork(void)
{
    stekc_scope_unlock();
    give_lock();
}

static void survive_fork(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

void stekc_survive_fork(void)
{
    pthread_once(&fork_once, survive_fork);
}

/* ---- bindings ---- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

static int serves(const struct stekc_binding *binding, const struct stekc_store *store,
                  const struct stekc_options *options)
{
    return binding->references > 0 && binding->store == store &&
           binding->policy == options->policy && binding->soft == options->soft &&
           binding->auth_age_cap == options->auth_age_cap &&
           binding->library_context == options->library_context &&
           same_text(binding->properties, options->properties) &&
           same_text(binding->name_group, options->name_group) &&
           same_text(binding->data_form, options->data_form);
}

static void clear_binding(struct stekc_binding *binding)
{
    stekc_algorithms_free(&binding->algorithms);
    free(binding->properties);
    free(binding->name_group);
    free(binding->data_form);
    memset(binding, 0, sizeof *binding);
}

static enum stekc_result fill_binding(struct stekc_binding *binding, struct stekc_store *store,
                                      const struct stekc_options *options)
{
    binding->store = store;
    binding->policy = options->policy;
    binding->soft = options->soft;
    binding->auth_age_cap = options->auth_age_cap;
    binding->library_context = options->library_context;
    if (options->properties != NULL &&
        (binding->properties = copy_text(options->properties)) == NULL)
        return STEKC_ERR_MEMORY;
    if (options->name_group != NULL &&
        (binding->name_group = copy_text(options->name_group)) == NULL)
        return STEKC_ERR_MEMORY;
    if (options->data_form != NULL &&
        (binding->data_form = copy_text(options->data_form)) == NULL)
        return STEKC_ERR_MEMORY;
    if (!stekc_algorithms_get(&binding->algorithms, binding->library_context,
                              binding->properties))
        return STEKC_ERR_FETCH;
    if (binding->data_form != NULL &&
        !stekc_scope_of_data(binding, binding->data_form, &binding->data))
        return STEKC_ERR_OPENSSL;
    return STEKC_OK;
}

/* bind_store finds or makes the binding of store with options. */
static enum stekc_result bind_store(struct stekc_store *store, const struct stekc_options *options,
                                    struct stekc_binding **out)
{
    struct stekc_binding *empty = NULL;
    enum stekc_result result;

    for (int i = 0; i < BINDINGS; i++) {
        if (serves(&bindings[i], store, options)) {
            bindings[i].references++;
            *out = &bindings[i];
            return STEKC_OK;
        }
        if (empty == NULL && bindings[i].references == 0)
            empty = &bindings[i];
    }
    if (empty == NULL)
        return STEKC_ERR_FULL;
    result = fill_binding(empty, store, options);
    if (result != STEKC_OK) {
        clear_binding(empty);
        return result;
    }
    stekc_store_hold(store);
    empty->references = 1;
    *out = empty;
    return STEKC_OK;
}

/* unbind lets a binding go. It returns the store to release, outside the lock,
   or NULL. */
static struct stekc_store *unbind(struct stekc_binding *binding)
{
    struct stekc_store *store = binding->store;

    if (--binding->references > 0)
        return NULL;
    clear_binding(binding);
    return store;
}

/* ---- what a context holds ---- */

static void on_context_free(void *context, void *attachments, CRYPTO_EX_DATA *data, int index,
                            long number, void *pointer)
{
    struct attachment *at = attachments;

    (void)context;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    while (at != NULL) {
        struct attachment *earlier = at->earlier;
        struct stekc_store *store;

        take_lock();
        store = unbind(at->binding);
        give_lock();
        if (store != NULL)
            stekc_store_release(store);
        free(at);
        at = earlier;
    }
}

static struct attachment *active_attachment(SSL_CTX *ctx)
{
    struct attachment *at =
        context_index < 0 ? NULL : ossl.SSL_CTX_get_ex_data(ctx, context_index);

    return at != NULL && at->active ? at : NULL;
}

static enum stekc_result fail(struct stekc_report *report, enum stekc_result result,
                              const char *detail)
{
    snprintf(report->detail, sizeof report->detail, "%s", detail);
    return result;
}

/* find_libssl checks that ctx is an SSL_CTX of a libssl that stek works with. */
static enum stekc_result find_libssl(void *ctx, struct stekc_report *report)
{
    memset(report, 0, sizeof *report);
    if (ctx == NULL)
        return fail(report, STEKC_ERR_NULL, "the SSL_CTX pointer is NULL");
    switch (stekc_ossl_bind(ctx, report->detail, sizeof report->detail)) {
    case STEKC_OSSL_OK:
        return STEKC_OK;
    case STEKC_OSSL_ABSENT:
        return STEKC_ERR_NO_LIBSSL;
    case STEKC_OSSL_NOT_CTX:
        return STEKC_ERR_NOT_CTX;
    case STEKC_OSSL_FOREIGN:
        return STEKC_ERR_FOREIGN;
    case STEKC_OSSL_REFUSED:
        return STEKC_ERR_LIBRARY;
    }
    return STEKC_ERR_LIBRARY;
}

/* hold_context takes a reference to ctx. */
static enum stekc_result hold_context(SSL_CTX *ctx, struct stekc_report *report)
{
    if (context_index < 0)
        context_index = stekc_ex_index(CRYPTO_EX_INDEX_SSL_CTX, (void (*)(void))on_context_free);
    if (context_index < 0)
        return fail(report, STEKC_ERR_OPENSSL, "CRYPTO_get_ex_new_index failed");
    if (ossl.SSL_CTX_up_ref(ctx) != 1)
        return fail(report, STEKC_ERR_NOT_CTX, "the SSL_CTX was freed: its reference count is 0");
    return STEKC_OK;
}

/* begin takes the lock, and holds ctx if the result is STEKC_OK. */
static enum stekc_result begin(void *ctx, struct stekc_report *report)
{
    enum stekc_result found = find_libssl(ctx, report);

    stekc_survive_fork();
    take_lock();
    return found == STEKC_OK ? hold_context(ctx, report) : found;
}

/* end undoes begin, which returned begun. A context that is not held is left
   alone: its SSL_CTX_free would be too many. */
static void end(void *ctx, enum stekc_result begun)
{
    give_lock();
    if (begun == STEKC_OK)
        ossl.SSL_CTX_free(ctx);
}

enum stekc_result stekc_prepare(void *ctx, struct stekc_report *report)
{
    return find_libssl(ctx, report);
}

static unsigned warnings_for(const SSL_CTX *ctx, int64_t window_seconds)
{
    uint64_t set = ossl.SSL_CTX_get_options(ctx);
    unsigned warnings = 0;

    if (set & SSL_OP_NO_TICKET)
        warnings |= STEKC_WARN_NO_TICKET;
    if (ossl.SSL_CTX_get_max_early_data(ctx) > 0 && !(set & SSL_OP_NO_ANTI_REPLAY))
        warnings |= STEKC_WARN_ANTI_REPLAY;
    if (ossl.SSL_CTX_get_num_tickets(ctx) == 0)
        warnings |= STEKC_WARN_NUM_TICKETS;
    if (window_seconds > 0 && ossl.SSL_CTX_get_timeout(ctx) > window_seconds)
        warnings |= STEKC_WARN_TIMEOUT;
    if (ossl.SSL_CTX_ctrl((SSL_CTX *)ctx, SSL_CTRL_MODE, 0, NULL) & SSL_MODE_ASYNC)
        warnings |= STEKC_WARN_ASYNC;
    return warnings;
}

/* ---- registering ---- */

typedef void (*any_callback)(void);

static int set_hmac_callback(SSL_CTX *ctx, hmac_callback *callback)
{
    return ossl.HMAC_Init_ex != NULL &&
           ossl.SSL_CTX_callback_ctrl(ctx, STEKC_CTRL_TICKET_KEY_CB, (any_callback)callback) == 1;
}

static int set_evp_callback(SSL_CTX *ctx, evp_callback *callback)
{
    return ossl.SSL_CTX_set_tlsext_ticket_key_evp_cb != NULL &&
           ossl.SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, callback) == 1;
}

/* register_kind sets the callback of the kind asked for, and clears the other:
   where both are set OpenSSL calls the EVP one. The HMAC_CTX one is the faster
   on every library measured. Returns the kind, or 0 if there is none. */
static int register_kind(SSL_CTX *ctx, const struct stekc_binding *binding, int kind)
{
    ptrdiff_t n = binding - bindings;

    if (kind == STEK_KIND_FASTEST && binding->algorithms.chosen)
        kind = STEK_KIND_EVP; /* HMAC_CTX is of no provider */
    if (kind != STEK_KIND_EVP && set_hmac_callback(ctx, hmac_trampolines[n])) {
        if (ossl.SSL_CTX_set_tlsext_ticket_key_evp_cb == NULL || set_evp_callback(ctx, NULL))
            return STEK_KIND_HMAC;
    }
    if (kind != STEK_KIND_HMAC && set_evp_callback(ctx, evp_trampolines[n]))
        return STEK_KIND_EVP;
    return 0;
}

static int is_no_label(const char *text)
{
    return text != NULL && (text[0] == '\0' || strlen(text) > STEKC_LABEL_MAX);
}

static enum stekc_result check_options(const struct stekc_options *options,
                                       struct stekc_report *report)
{
    if (options->policy < STEK_POLICY_CAPPED || options->policy > STEK_POLICY_AGE)
        return fail(report, STEKC_ERR_OPTION, "the renewal policy is unknown");
    if (options->kind < STEK_KIND_FASTEST || options->kind > STEK_KIND_EVP)
        return fail(report, STEKC_ERR_OPTION, "the callback kind is unknown");
    if (options->policy == STEK_POLICY_CAPPED && options->auth_age_cap <= 0)
        return fail(report, STEKC_ERR_OPTION, "the authentication-age cap is not positive");
    if (options->name_group != NULL &&
        (options->name_group[0] == '\0' || strlen(options->name_group) > STEK_GROUP_MAX))
        return fail(report, STEKC_ERR_OPTION, "the name group is empty or longer than 255 bytes");
    if (is_no_label(options->client_auth))
        return fail(report, STEKC_ERR_OPTION,
                    "the client authentication label is empty or longer than 255 bytes");
    if (is_no_label(options->data_form))
        return fail(report, STEKC_ERR_OPTION,
                    "the form of ticket data is empty or longer than 255 bytes");
    if (options->kind == STEK_KIND_EVP && ossl.SSL_CTX_set_tlsext_ticket_key_evp_cb == NULL)
        return fail(report, STEKC_ERR_KIND,
                    "the EVP callback needs OpenSSL 3.0, and this is an older one");
    if (options->kind == STEK_KIND_HMAC && ossl.HMAC_Init_ex == NULL)
        return fail(report, STEKC_ERR_KIND, "this libcrypto was built without HMAC_CTX");
    if (ossl.EVP_CIPHER_fetch == NULL &&
        (options->library_context != NULL || options->properties != NULL))
        return fail(report, STEKC_ERR_OPTION,
                    "a library context or property query needs OpenSSL 3.0");
    if (options->kind == STEK_KIND_HMAC &&
        (options->library_context != NULL || options->properties != NULL))
        return fail(report, STEKC_ERR_OPTION,
                    "an HMAC_CTX comes from no library context: use the EVP callback");
    return STEKC_OK;
}

/* unregister gives ctx back to OpenSSL's own keys. Returns NULL, or the name of
   the call that failed. */
static const char *unregister(SSL_CTX *ctx, int policy)
{
    if (ossl.HMAC_Init_ex != NULL && !set_hmac_callback(ctx, NULL))
        return "SSL_CTX_callback_ctrl failed";
    if (ossl.SSL_CTX_set_tlsext_ticket_key_evp_cb != NULL && !set_evp_callback(ctx, NULL))
        return "SSL_CTX_set_tlsext_ticket_key_evp_cb failed";
    if (policy == STEK_POLICY_CAPPED &&
        ossl.SSL_CTX_set_session_ticket_cb(ctx, NULL, NULL, NULL) != 1)
        return "SSL_CTX_set_session_ticket_cb failed";
    return NULL;
}

/* held_before unlinks from *list the attachment that holds binding already, or
   returns NULL. */
static struct attachment *held_before(struct attachment **list, const struct stekc_binding *binding)
{
    for (; *list != NULL; list = &(*list)->earlier)
        if ((*list)->binding == binding) {
            struct attachment *at = *list;

            *list = at->earlier;
            return at;
        }
    return NULL;
}

/* take makes ctx call the trampoline of binding and hold it until it is freed. */
static enum stekc_result take(SSL_CTX *ctx, struct stekc_binding *binding, int kind,
                              struct stekc_report *report)
{
    struct attachment *at = calloc(1, sizeof *at);
    struct attachment *before;

    if (at == NULL)
        return fail(report, STEKC_ERR_MEMORY, "out of memory");
    at->binding = binding;
    at->earlier = ossl.SSL_CTX_get_ex_data(ctx, context_index);
    at->active = 1;
    report->kind = register_kind(ctx, binding, kind);
    if (report->kind == 0 ||
        (binding->policy == STEK_POLICY_CAPPED &&
         ossl.SSL_CTX_set_session_ticket_cb(ctx, stekc_stamp, stekc_check_age, binding) != 1) ||
        ossl.SSL_CTX_set_ex_data(ctx, context_index, at) != 1) {
        const char *also = unregister(ctx, binding->policy);

        free(at);
        return fail(report, STEKC_ERR_OPENSSL,
                    also != NULL ? also : "OpenSSL took no ticket callback");
    }
    at->kind = report->kind;
    before = held_before(&at->earlier, binding);
    if (before != NULL) {
        unbind(binding); /* at holds it: never the last */
        free(before);
    }
    return STEKC_OK;
}

static const char *bind_failure(enum stekc_result result)
{
    switch (result) {
    case STEKC_ERR_FULL:
        return "1024 different stores and options are attached already";
    case STEKC_ERR_FETCH:
        return "AES-128-CBC, AES-256-CBC or SHA2-256 cannot be fetched from this library context "
               "with these or its default properties";
    default:
        return "out of memory";
    }
}

static enum stekc_result attach_held(SSL_CTX *ctx, struct stekc_store *store,
                                     const struct stekc_options *given,
                                     struct stekc_report *report)
{
    struct stekc_options all = *given, *options = &all;
    char form[STEKC_FORM_SIZE];
    struct stekc_binding *binding;
    enum stekc_result result;

    if (store == NULL)
        return fail(report, STEKC_ERR_NULL, "the store is NULL");
    if (stekc_store_closed(store))
        return fail(report, STEKC_ERR_CLOSED, "the keystore is closed");
    if (active_attachment(ctx) != NULL)
        return fail(report, STEKC_ERR_ATTACHED, "the SSL_CTX has a keystore already");
    result = check_options(options, report);
    if (result != STEKC_OK)
        return result;
    if (!stekc_scope_enter(ctx, options->library_context))
        return fail(report, STEKC_ERR_OPENSSL, "no random bytes or no memory for a scope");
    if (options->own_data) {
        stekc_scope_form(ctx, form);
        options->data_form = form;
    }
    result = bind_store(store, options, &binding);
    if (result != STEKC_OK)
        return fail(report, result, bind_failure(result));
    result = stekc_scope_label(ctx, binding, options->client_auth)
                 ? take(ctx, binding, options->kind, report)
                 : fail(report, STEKC_ERR_OPENSSL, "SHA-256 of a label failed");
    if (result != STEKC_OK) {
        struct stekc_store *unused;

        stekc_scope_label(ctx, NULL, NULL);
        unused = unbind(binding);
        if (unused != NULL) /* not its end: the caller holds it too */
            stekc_store_release(unused);
        return result;
    }
    if (options->verifies_clients)
        stekc_scope_know_clients(ctx);
    report->warnings = warnings_for(ctx, options->window_seconds);
    return STEKC_OK;
}

enum stekc_result stekc_attach(void *ctx, struct stekc_store *store,
                               const struct stekc_options *options, struct stekc_report *report)
{
    enum stekc_result begun = begin(ctx, report);
    enum stekc_result result =
        begun == STEKC_OK ? attach_held(ctx, store, options, report) : begun;

    end(ctx, begun);
    return result;
}

static enum stekc_result detach_held(SSL_CTX *ctx, struct stekc_report *report)
{
    struct attachment *at = active_attachment(ctx);
    const char *failed;

    if (at == NULL)
        return fail(report, STEKC_ERR_NOT_ATTACHED, "the SSL_CTX has no keystore");
    failed = unregister(ctx, at->binding->policy);
    if (failed != NULL)
        return fail(report, STEKC_ERR_OPENSSL, failed);
    at->active = 0;
    return STEKC_OK;
}

enum stekc_result stekc_detach(void *ctx, struct stekc_report *report)
{
    enum stekc_result begun = begin(ctx, report);
    enum stekc_result result = begun == STEKC_OK ? detach_held(ctx, report) : begun;

    end(ctx, begun);
    return result;
}

enum stekc_result stekc_insist(void *ctx, struct stekc_report *report)
{
    enum stekc_result begun = begin(ctx, report);
    struct attachment *at = begun == STEKC_OK ? active_attachment(ctx) : NULL;
    enum stekc_result result = begun;

    if (begun == STEKC_OK && at == NULL)
        result = fail(report, STEKC_ERR_NOT_ATTACHED, "the SSL_CTX has no keystore");
    else if (at != NULL && register_kind(ctx, at->binding, at->kind) == 0)
        result = fail(report, STEKC_ERR_OPENSSL, "OpenSSL took no ticket callback");
    end(ctx, begun);
    return result;
}

enum stekc_result stekc_inspect(void *ctx, int64_t window_seconds, struct stekc_report *report)
{
    enum stekc_result begun = begin(ctx, report);

    if (begun == STEKC_OK)
        report->warnings = warnings_for(ctx, window_seconds);
    end(ctx, begun);
    return begun;
}
