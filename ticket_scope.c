/*
 * ticket_scope.c - where a ticket may resume, besides its server name.
 *
 * OpenSSL does not verify a client again when it resumes a session. Its own ticket keys
 * are those of one SSL_CTX, so a client that one context has verified, or not, is nobody
 * to another. Keys that many contexts share take that away. So where clients are verified
 * a ticket has a scope, 16 bytes that are part of its MAC key: random bytes of the context
 * that issued it, or what stands for a label that several contexts have. Anywhere else its
 * MAC is wrong, which is a full handshake.
 *
 * What decides is the context and the verify mode that a connection ends up with. A
 * servername callback may choose them after the ticket was decrypted. So what a server name
 * has led to before is remembered, and after the callback everything is compared again: a
 * session that was resumed at the wrong place ends with an alert, since nothing milder
 * stops it.
 *
 * The memory is shared with processes that are forked later: a ticket of one worker resumes
 * at the others.
 */
#define _GNU_SOURCE
#include "ticket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is known of a context. */
struct standing {
    struct stekc_scope own;     /* random bytes, drawn when it was attached first */
    struct stekc_scope clients; /* of tickets of verified clients: own, or of a label */
    const EVP_MD *sha256;       /* as long-lived as the context, which holds its binding */
    atomic_int has_verified;    /* a client, in this process */
    atomic_int knows_clients;   /* otherwise than its verify mode tells */
    atomic_int may_ask;         /* a callback may ask for a certificate, in full handshakes */
    SSL_CTX *context;
    struct standing *previous, *next; /* in the list of all */
};

static const struct stekc_scope no_scope;

/* ---- what server names have led to ---- */

/* Entries that lie together are those of one place: a name may be in any of them. */
enum { PLACES = STEKC_NAMES / 4, TOGETHER = 4 };

/* How often a name may lead to another scope than before, and end a connection by that,
   until it is never resumed again. */
enum { STRIKES = 3 };

struct entry {
    _Atomic uint64_t key; /* of a context and a name; 0: empty */
    _Atomic uint64_t scope[2];
    _Atomic uint64_t strikes;
    _Atomic uint64_t sum; /* of the others: another process may be writing them */
};

static struct shared {
    _Atomic uint64_t verified; /* 1: some context verifies clients */
    struct entry entry[PLACES][TOGETHER];
} *shared;

static uint64_t sum_of(uint64_t key, struct stekc_scope scope, uint64_t strikes)
{
    uint64_t sum = key;

    sum = (sum ^ scope.word[0]) * UINT64_C(0x9e3779b97f4a7c15);
    sum = (sum ^ sum >> 29 ^ scope.word[1]) * UINT64_C(0xbf58476d1ce4e5b9);
    return (sum ^ sum >> 32 ^ strikes) * UINT64_C(0x94d049bb133111eb);
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* read_entry returns 0 if the entry is not of key, or not whole. */
static int read_entry(const struct entry *entry, uint64_t key, struct stekc_scope *scope,
                      uint64_t *strikes)
{
    if (get(&entry->key) != key)
        return 0;
    scope->word[0] = get(&entry->scope[0]);
    scope->word[1] = get(&entry->scope[1]);
    *strikes = get(&entry->strikes);
    return get(&entry->sum) == sum_of(key, *scope, *strikes);
}

static int find(uint64_t key, struct stekc_scope *scope, uint64_t *strikes)
{
    for (size_t i = 0; i < TOGETHER; i++)
        if (read_entry(&shared->entry[key % PLACES][i], key, scope, strikes))
            return 1;
    return 0;
}

/* learn notes that key has led to scope, strike that a session had to end by that. */
static void learn(uint64_t key, struct stekc_scope scope, unsigned strike)
{
    struct entry *place = shared->entry[key % PLACES], *entry = NULL;
    struct stekc_scope known;
    uint64_t strikes = 0;

    for (size_t i = 0; i < TOGETHER && entry == NULL; i++)
        if (read_entry(&place[i], key, &known, &strikes))
            entry = &place[i];
    if (entry == NULL)
        strikes = 0;
    else if (strike == 0 && memcmp(&known, &scope, sizeof scope) == 0)
        return;
    for (size_t i = 0; i < TOGETHER && entry == NULL; i++)
        if (get(&place[i].key) == 0)
            entry = &place[i];
    if (entry == NULL)
        entry = &place[key >> 32 & (TOGETHER - 1)];
    strikes += strike;
    put(&entry->sum, 0);
    put(&entry->key, key);
    put(&entry->scope[0], scope.word[0]);
    put(&entry->scope[1], scope.word[1]);
    put(&entry->strikes, strikes);
    put(&entry->sum, sum_of(key, scope, strikes));
}

/* ---- contexts ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list and index_of */
static struct standing *all;
static atomic_int unread; /* contexts have come whose verify modes were not looked at */
static int context_index = -1;

/* Whether a servername callback can choose a context, and whether somebody looks at what
   it has chosen. Attach cannot know; the preload knows. */
static atomic_int may_switch = 1;
static atomic_int is_watched;

void stekc_scope_lock(void)
{
    pthread_mutex_lock(&lock);
}

void stekc_scope_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void stekc_scope_watch(void)
{
    atomic_store(&may_switch, 0);
    atomic_store(&is_watched, 1);
}

void stekc_scope_switches(void)
{
    atomic_store(&may_switch, 1);
}

void stekc_scope_unwatch(void)
{
    atomic_store(&may_switch, 1);
    atomic_store(&is_watched, 0);
}

static void leave(void *context, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                  void *argument)
{
    struct standing *standing = pointer;

    (void)context;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    if (standing == NULL)
        return;
    stekc_scope_lock();
    if (standing->previous != NULL)
        standing->previous->next = standing->next;
    else
        all = standing->next;
    if (standing->next != NULL)
        standing->next->previous = standing->previous;
    stekc_scope_unlock();
    free(standing);
}

static struct standing *standing_of(const SSL_CTX *ctx)
{
    return ctx != NULL && context_index >= 0 ? ossl.SSL_CTX_get_ex_data(ctx, context_index) : NULL;
}

static int share(void)
{
    void *memory;

    if (shared != NULL)
        return 1;
    memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    shared = memory;
    return 1;
}

static void enter(struct standing *standing)
{
    stekc_scope_lock();
    standing->next = all;
    if (all != NULL)
        all->previous = standing;
    all = standing;
    stekc_scope_unlock();
}

/* scope_of_text is the scope that stands for a text, of one kind of text. */
static int scope_of_text(const struct stekc_binding *binding, char kind, const char *text,
                         struct stekc_scope *out)
{
    unsigned char data[1 + STEKC_LABEL_MAX], digest[EVP_MAX_MD_SIZE];
    size_t size = strlen(text);

    if (size > STEKC_LABEL_MAX)
        return 0;
    data[0] = (unsigned char)kind;
    memcpy(data + 1, text, size);
    if (ossl.EVP_Digest(data, 1 + size, digest, NULL, binding->algorithms.sha256, NULL) != 1)
        return 0;
    memcpy(out, digest, sizeof *out);
    return 1;
}

int stekc_scope_of_data(const struct stekc_binding *binding, const char *form,
                        struct stekc_scope *out)
{
    return scope_of_text(binding, 'd', form, out);
}

/* new_standing makes what is known of ctx, with a scope of its own. */
static struct standing *new_standing(SSL_CTX *ctx, OSSL_LIB_CTX *library_context)
{
    struct stekc_binding source = {.library_context = library_context};
    struct standing *standing = calloc(1, sizeof *standing);

    if (standing == NULL)
        return NULL;
    standing->context = ctx;
    if (!stekc_random(&source, (unsigned char *)&standing->own, sizeof standing->own) ||
        ossl.SSL_CTX_set_ex_data(ctx, context_index, standing) != 1) {
        free(standing);
        return NULL;
    }
    return standing;
}

int stekc_scope_enter(SSL_CTX *ctx, OSSL_LIB_CTX *library_context)
{
    struct standing *standing;

    if (context_index < 0)
        context_index = stekc_ex_index(CRYPTO_EX_INDEX_SSL_CTX, (void (*)(void))leave);
    if (context_index < 0 || !share())
        return 0;
    if (standing_of(ctx) != NULL)
        return 1;
    standing = new_standing(ctx, library_context);
    if (standing == NULL)
        return 0;
    standing->clients = standing->own;
    enter(standing);
    return 1;
}

int stekc_scope_label(SSL_CTX *ctx, const struct stekc_binding *binding, const char *label)
{
    struct standing *standing = ossl.SSL_CTX_get_ex_data(ctx, context_index);
    struct stekc_scope clients = standing->own;

    standing->sha256 = NULL;
    if (binding == NULL)
        return 1;
    if (label != NULL && !scope_of_text(binding, 'c', label, &clients))
        return 0;
    standing->clients = clients;
    standing->sha256 = binding->algorithms.sha256;
    atomic_store(&unread, 1);
    return 1;
}

void stekc_scope_form(const SSL_CTX *ctx, char form[STEKC_FORM_SIZE])
{
    const unsigned char *own = (const unsigned char *)&standing_of(ctx)->own;

    for (size_t i = 0; i < sizeof(struct stekc_scope); i++)
        snprintf(form + 2 * i, 3, "%02x", own[i]);
}

/* ---- whether clients are verified ---- */

/* Beside the SSL_VERIFY_ bits of a verify mode: the context knows its clients otherwise. */
enum { KNOWS_CLIENTS = 1 << 16 };

/* mode_of is the verify mode of a connection that has come to a context. */
static int mode_of(const SSL *ssl, const struct standing *standing)
{
    int mode = ossl.SSL_get_verify_mode(ssl);

    return standing != NULL && atomic_load_explicit(&standing->knows_clients, memory_order_relaxed)
               ? mode | KNOWS_CLIENTS
               : mode;
}

static void note_mode(int mode)
{
    if (mode != SSL_VERIFY_NONE && get(&shared->verified) == 0)
        put(&shared->verified, 1);
}

/* read_modes looks at the verify modes of all contexts: once after one was attached. */
static int read_modes(void)
{
    stekc_scope_lock();
    atomic_store(&unread, 0);
    for (const struct standing *at = all; at != NULL; at = at->next)
        note_mode(ossl.SSL_CTX_get_verify_mode(at->context));
    stekc_scope_unlock();
    return get(&shared->verified) != 0;
}

void stekc_scope_know_clients(struct ssl_ctx_st *ctx)
{
    struct standing *standing = standing_of(ctx);

    if (standing == NULL)
        return;
    atomic_store(&standing->knows_clients, 1);
    note_mode(KNOWS_CLIENTS);
}

/* some_verify tells whether any context that this process serves verifies clients, mode
   being that of a connection. */
static int some_verify(int mode)
{
    if (shared == NULL)
        return 0;
    note_mode(mode);
    if (atomic_load_explicit(&unread, memory_order_acquire))
        return read_modes();
    return get(&shared->verified) != 0;
}

void stekc_scope_may_ask(struct ssl_ctx_st *ctx)
{
    struct standing *standing = standing_of(ctx);

    if (standing != NULL)
        atomic_store(&standing->may_ask, 1);
}

/* is_open: what a connection will come to does not follow from its context and verify mode
   when its ticket is offered. */
static int is_open(const struct standing *standing)
{
    return atomic_load_explicit(&may_switch, memory_order_relaxed) ||
           (standing != NULL && atomic_load_explicit(&standing->may_ask, memory_order_relaxed));
}

/* is_free: nobody here verifies clients, nor may come to. */
static int is_free(const struct standing *standing, int mode)
{
    return !some_verify(mode) &&
           !(standing != NULL && atomic_load_explicit(&standing->may_ask, memory_order_relaxed));
}

/* ---- what is noted on a connection ---- */

/* SSL ex_data: numbers in place of pointers, so that nothing is freed. The first is the
   hello that the others are of, and what was done. */
enum { ASSUMED = 1, SETTLED = 2, RENAMED = 4, FLAGS = 0xff };
static struct {
    atomic_int ready;
    int hello, key, name, scope;
} index_of = {0, -1, -1, -1, -1};

struct noted {
    uintptr_t hello; /* and flags */
    uintptr_t key;   /* of the context and the name that the first hello came with, or 0 */
    uintptr_t name;  /* number of that name */
    uintptr_t scope; /* that was assumed */
};

/* has_indexes makes the places for what is noted, once: not before some context verifies or may
   ask for a certificate, since each costs every connection of the process. */
static int has_indexes(void)
{
    if (atomic_load_explicit(&index_of.ready, memory_order_acquire))
        return 1;
    stekc_scope_lock();
    if (!atomic_load(&index_of.ready)) {
        index_of.hello = stekc_ex_index(CRYPTO_EX_INDEX_SSL, NULL);
        index_of.key = stekc_ex_index(CRYPTO_EX_INDEX_SSL, NULL);
        index_of.name = stekc_ex_index(CRYPTO_EX_INDEX_SSL, NULL);
        index_of.scope = stekc_ex_index(CRYPTO_EX_INDEX_SSL, NULL);
        atomic_store_explicit(&index_of.ready,
                              index_of.hello >= 0 && index_of.key >= 0 && index_of.name >= 0 &&
                                  index_of.scope >= 0,
                              memory_order_release);
    }
    stekc_scope_unlock();
    return atomic_load(&index_of.ready);
}

/* noted_on reads what is noted on ssl of its last ClientHello. */
static struct noted noted_on(const SSL *ssl)
{
    struct noted noted = {0, 0, 0, 0};
    uintptr_t hello = stekc_hello(ssl);

    if (atomic_load_explicit(&index_of.ready, memory_order_acquire))
        noted.hello = (uintptr_t)ossl.SSL_get_ex_data(ssl, index_of.hello);
    if (noted.hello == 0 || (noted.hello & ~(uintptr_t)FLAGS) != hello)
        return (struct noted){hello, 0, 0, 0};
    noted.key = (uintptr_t)ossl.SSL_get_ex_data(ssl, index_of.key);
    noted.name = (uintptr_t)ossl.SSL_get_ex_data(ssl, index_of.name);
    noted.scope = (uintptr_t)ossl.SSL_get_ex_data(ssl, index_of.scope);
    return noted;
}

static int note(SSL *ssl, struct noted noted)
{
    return has_indexes() && ossl.SSL_set_ex_data(ssl, index_of.key, (void *)noted.key) == 1 &&
           ossl.SSL_set_ex_data(ssl, index_of.name, (void *)noted.name) == 1 &&
           ossl.SSL_set_ex_data(ssl, index_of.scope, (void *)noted.scope) == 1 &&
           ossl.SSL_set_ex_data(ssl, index_of.hello, (void *)noted.hello) == 1;
}

/* number_of is a scope in one word, 0 for none, by which scopes are compared. */
static uintptr_t number_of(struct stekc_scope scope)
{
    return (uintptr_t)(scope.word[0] ^ (scope.word[1] << 32 | scope.word[1] >> 32));
}

/* What this thread has assumed of the hello that it met last. A servername callback comes
   before anything else is read. */
static _Thread_local struct {
    const SSL *ssl;
    uintptr_t hello;
    uintptr_t scope;
} assumed;

/* ---- where a connection is ---- */

/* A server name, as a client sent it. */
struct name {
    size_t size;
    unsigned char bytes[STEK_GROUP_MAX];
};

/* number_of_name is a number for name, another one for each salt; 0 if it cannot be told. */
static uint64_t number_of_name(const EVP_MD *sha256, struct stekc_scope salt,
                               const struct name *name)
{
    unsigned char data[sizeof salt + STEK_GROUP_MAX], digest[EVP_MAX_MD_SIZE];
    uint64_t number;

    if (sha256 == NULL)
        return 0;
    memcpy(data, &salt, sizeof salt);
    memcpy(data + sizeof salt, name->bytes, name->size);
    if (ossl.EVP_Digest(data, sizeof salt + name->size, digest, NULL, sha256, NULL) != 1) {
        ossl.ERR_clear_error();
        return 0;
    }
    memcpy(&number, digest, sizeof number);
    return number;
}

/* key_of is the number of a context and a server name in what is remembered. The random
   bytes keep clients from choosing names with one number. */
static uint64_t key_of(const struct standing *standing, const struct name *name)
{
    return number_of_name(standing->sha256, standing->own, name);
}

/* read_offered reads the server name in the ClientHello being processed. */
static int read_offered(SSL *ssl, struct name *name)
{
    return stekc_name_offered(ssl, name->bytes, &name->size);
}

/* read_accepted reads that of a full handshake whose extensions were read. */
static int read_accepted(const SSL *ssl, struct name *name)
{
    const char *text = ossl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    name->size = text != NULL ? strlen(text) : 0;
    if (name->size > STEK_GROUP_MAX)
        return 0;
    if (name->size > 0)
        memcpy(name->bytes, text, name->size);
    return 1;
}

/* note_name notes with what name a hello came to a context. A client can say another name
   in the hello after a HelloRetryRequest: what comes of that is of neither. */
static void note_name(struct noted *noted, const struct standing *standing,
                      const struct name *name)
{
    uintptr_t number = (uintptr_t)number_of_name(standing->sha256, no_scope, name);

    if (noted->key == 0) {
        noted->key = (uintptr_t)key_of(standing, name);
        noted->name = number;
    } else if (noted->name != number) {
        noted->hello |= RENAMED;
    }
}

/* scope_at is that of tickets of a context with a verify mode. A context that nobody
   attached has none to give, and *known becomes 0. */
static struct stekc_scope scope_at(const struct standing *standing, int mode, int *known)
{
    *known = mode == SSL_VERIFY_NONE || standing != NULL;
    return mode != SSL_VERIFY_NONE && standing != NULL ? standing->clients : no_scope;
}

/* permits tells that a session whose ticket had the scope of that number may go on where
   the connection is now. A context may resume what it has verified itself, also in a
   handshake in which it asks for no certificate: it may ask after the handshake. */
static int permits(uintptr_t number, const struct standing *standing, int mode)
{
    int known;
    struct stekc_scope scope = scope_at(standing, mode, &known);

    return (known && number == number_of(scope)) ||
           (standing != NULL && number == number_of(standing->clients) &&
            (number == number_of(standing->own) || atomic_load(&standing->has_verified)));
}

/* is_renegotiating: the server has asked for another handshake, in which it may ask for what
   it did not ask in the first. */
static int is_renegotiating(const SSL *ssl)
{
    return ossl.SSL_ctrl((SSL *)ssl, SSL_CTRL_GET_NUM_RENEGOTIATIONS, 0, NULL) > 0;
}

enum stekc_place stekc_scope_offered(struct stekc_ticket *ticket)
{
    const struct standing *standing = standing_of(ossl.SSL_get_SSL_CTX(ticket->ssl));
    int mode = mode_of(ticket->ssl, standing), known;
    struct noted noted;
    struct name name;
    uint64_t key, strikes;

    if (is_free(standing, mode))
        return STEKC_PLACE_KNOWN;
    if (!is_open(standing)) {
        ticket->scope = scope_at(standing, mode, &known);
        return known ? STEKC_PLACE_KNOWN : STEKC_PLACE_UNKNOWN;
    }
    if (standing == NULL || is_renegotiating(ticket->ssl) || !read_offered(ticket->ssl, &name) ||
        (key = key_of(standing, &name)) == 0)
        return STEKC_PLACE_UNKNOWN;
    noted = noted_on(ticket->ssl);
    note_name(&noted, standing, &name);
    if (!note(ticket->ssl, noted) || !find(key, &ticket->scope, &strikes))
        return STEKC_PLACE_UNKNOWN;
    return strikes < STRIKES ? STEKC_PLACE_KNOWN : STEKC_PLACE_MARKED;
}

int stekc_scope_assumed(const struct stekc_ticket *ticket)
{
    struct noted noted;

    if (!is_open(standing_of(ossl.SSL_get_SSL_CTX(ticket->ssl))))
        return 1; /* what was offered is what will be */
    if (atomic_load_explicit(&is_watched, memory_order_relaxed)) {
        assumed.ssl = ticket->ssl;
        assumed.hello = stekc_hello(ticket->ssl);
        assumed.scope = number_of(ticket->scope);
    }
    if (shared == NULL || get(&shared->verified) == 0)
        return 1;
    noted = noted_on(ticket->ssl);
    noted.hello = (noted.hello | ASSUMED) & ~(uintptr_t)SETTLED;
    noted.scope = number_of(ticket->scope);
    return note(ticket->ssl, noted);
}

void stekc_scope_hello(SSL *ssl)
{
    const struct standing *standing = standing_of(ossl.SSL_get_SSL_CTX(ssl));
    struct noted noted;
    struct name name;

    if (!some_verify(mode_of(ssl, standing)))
        return;
    noted = noted_on(ssl);
    if (standing == NULL || (noted.key != 0 && ossl.SSL_session_reused(ssl)) ||
        !read_accepted(ssl, &name))
        return; /* if it is resumed, the name was noted when the ticket was offered */
    note_name(&noted, standing, &name);
    note(ssl, noted);
}

/* strike notes that a session ended, since its name has led to scope. */
static void strike(struct noted noted, struct stekc_scope scope)
{
    if (noted.key != 0 && !(noted.hello & RENAMED))
        learn(noted.key, scope, 1);
}

int stekc_scope_settled(SSL *ssl)
{
    const struct standing *standing = standing_of(ossl.SSL_get_SSL_CTX(ssl));
    int mode = mode_of(ssl, standing), known;

    if (!some_verify(mode) || !ossl.SSL_session_reused(ssl) || assumed.ssl != ssl ||
        assumed.hello != stekc_hello(ssl))
        return 1;
    if (permits(assumed.scope, standing, mode))
        return 1;
    strike(noted_on(ssl), scope_at(standing, mode, &known));
    return 0;
}

/* is_wrong tells that the session of ssl, which was resumed, may not be here. */
static int is_wrong(SSL *ssl, SSL_SESSION *session, struct noted noted,
                    const struct standing *standing, int mode)
{
    if (noted.hello & ASSUMED)
        return !permits(noted.scope, standing, mode);
    /* Nothing was noted: it was resumed while nobody was verified yet, or in TLS 1.2 by its id. */
    return mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT && ossl.SSL_SESSION_get0_peer(session) == NULL &&
           stekc_is_tls13(ssl);
}

/* has_external_key tells that the client is known by a key that it and the server had
   before, in TLS 1.3 (RFC 8446 section 4.2.11): OpenSSL counts that as resumed. Such a
   session, and those of its tickets, have no result of verifying a certificate. */
static int has_external_key(const SSL *ssl)
{
    return stekc_is_tls13(ssl) && ossl.SSL_session_reused(ssl) &&
           ossl.SSL_get_verify_result(ssl) == X509_V_ERR_UNSPECIFIED;
}

/* has_secret tells that the client is known by a key or a password that it and the server
   had before, in TLS 1.2 (RFC 4279, RFC 5054). */
static int has_secret(const SSL_SESSION *session)
{
    const SSL_CIPHER *cipher = session != NULL ? ossl.SSL_SESSION_get0_cipher(session) : NULL;

    switch (cipher != NULL ? ossl.SSL_CIPHER_get_kx_nid(cipher) : NID_undef) {
    case NID_kx_psk:
    case NID_kx_rsa_psk:
    case NID_kx_ecdhe_psk:
    case NID_kx_dhe_psk:
    case NID_kx_srp:
        return 1;
    default:
        return 0;
    }
}

/* mode_to_issue is the verify mode of a connection whose handshake is over. */
static int mode_to_issue(const SSL *ssl, const SSL_SESSION *session, struct standing *standing)
{
    if (!has_secret(session) && !has_external_key(ssl))
        return mode_of(ssl, standing);
    if (standing != NULL)
        atomic_store(&standing->knows_clients, 1);
    return ossl.SSL_get_verify_mode(ssl) | KNOWS_CLIENTS;
}

/* remember notes what the server name of a full handshake has led to. */
static void remember(SSL *ssl, struct noted noted, const struct standing *standing,
                     struct stekc_scope scope)
{
    struct name name;
    uint64_t key;

    if (noted.hello & RENAMED || is_renegotiating(ssl))
        return;
    if (noted.key != 0)
        learn(noted.key, scope, 0);
    key = standing != NULL && read_accepted(ssl, &name) ? key_of(standing, &name) : 0;
    if (key != 0 && key != noted.key)
        learn(key, scope, 0);
}

/* settle is the last look at a connection whose context a callback may have chosen, when
   its handshake issues a ticket, once. */
static enum stekc_place settle(SSL *ssl, SSL_SESSION *session, const struct standing *standing,
                               int mode)
{
    struct noted noted = noted_on(ssl);
    int reused = ossl.SSL_session_reused(ssl), known;
    struct stekc_scope scope = scope_at(standing, mode, &known);

    if (has_external_key(ssl) && !(noted.hello & ASSUMED))
        reused = 0; /* by no ticket */
    if (noted.hello & SETTLED)
        return STEKC_PLACE_KNOWN;
    if (reused && is_wrong(ssl, session, noted, standing, mode)) {
        strike(noted, scope);
        return STEKC_PLACE_WRONG;
    }
    if (reused && mode != SSL_VERIFY_NONE && !(noted.hello & ASSUMED))
        return STEKC_PLACE_UNKNOWN; /* whom it has verified is not known */
    if (!reused && known)
        remember(ssl, noted, standing, scope);
    noted.hello |= SETTLED;
    note(ssl, noted);
    return STEKC_PLACE_KNOWN;
}

/* is_useless tells that OpenSSL ends a handshake that would resume session: it has verified
   a client, and no session id context. */
static int is_useless(const SSL_SESSION *session, int mode)
{
    unsigned size = 0;

    ossl.SSL_SESSION_get0_id_context(session, &size);
    return mode & SSL_VERIFY_PEER && size == 0;
}

enum stekc_place stekc_scope_issued(struct stekc_ticket *ticket)
{
    SSL *ssl = ticket->ssl;
    enum stekc_place place = STEKC_PLACE_KNOWN;
    struct standing *standing = standing_of(ossl.SSL_get_SSL_CTX(ssl));
    SSL_SESSION *session = ossl.SSL_get_session(ssl);
    int mode = mode_to_issue(ssl, session, standing);

    if (is_free(standing, mode))
        return STEKC_PLACE_KNOWN;
    if (session == NULL)
        return STEKC_PLACE_UNKNOWN;
    if (is_open(standing))
        place = settle(ssl, session, standing, mode);
    if (place != STEKC_PLACE_KNOWN)
        return place;
    if (mode == SSL_VERIFY_NONE && ossl.SSL_SESSION_get0_peer(session) == NULL)
        return STEKC_PLACE_KNOWN;
    if (standing == NULL)
        return STEKC_PLACE_UNKNOWN;
    if (mode != SSL_VERIFY_NONE && !atomic_load(&standing->has_verified))
        atomic_store(&standing->has_verified, 1);
    ticket->scope = standing->clients;
    return is_useless(session, mode) ? STEKC_PLACE_USELESS : STEKC_PLACE_KNOWN;
}

int stekc_scope_needs_renewal(void)
{
    return shared != NULL && get(&shared->verified) != 0 &&
           atomic_load_explicit(&may_switch, memory_order_relaxed) && !atomic_load(&is_watched);
}
