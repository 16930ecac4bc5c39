/*
 * matrix.h - a ticket of a context with one policy for clients is offered to a context with
 * another, in every way in which contexts of servers come about: what OpenSSL alone does,
 * and what must come of it with stek.
 *
 * The rule: a client that is resumed is one that a full handshake would let in, and is seen
 * as the same. Where a ticket is not taken, what follows is the full handshake of OpenSSL
 * alone, and no alert that would not be there without stek.
 */
#ifndef STEK_TEST_MATRIX_H
#define STEK_TEST_MATRIX_H

#include "handshake.h"
#include "pki.h"

#include <openssl/err.h>

#include <sys/wait.h>
#include <unistd.h>

/* What a context asks of clients. LABELLED is as REQUIRED, with a label. */
enum policy { OPEN, OPTIONAL, REQUIRED, OTHER_CA, WITH_CRL, LABELLED, POLICIES };

static const char *const policy_names[POLICIES] = {
    "no certificate", "optional", "required", "required of another CA", "required and a CRL",
    "required, labelled"};

enum way {
    SAME_CONTEXT,
    TWO_LISTENERS,      /* a context for each port */
    SERVERNAME,         /* a callback switches, by the same name both times */
    SERVERNAME_MOVED,   /* and to the other context the second time */
    CLIENT_HELLO,       /* as both, by the earlier callback */
    CLIENT_HELLO_MOVED,
    TWO_WORKERS,        /* forked after the context was made */
    SERVERNAME_WORKERS, /* and it is switched to */
    TWO_PROCESSES,      /* each makes its context; also a reload */
    WAYS
};

static const char *const way_names[WAYS] = {
    "same context",      "two listeners",     "servername callback", "servername callback, moved",
    "hello callback",    "hello callback, moved", "two workers", "two workers, servername callback",
    "two processes"};

/* Who answers for the tickets. */
enum keys { ALONE, STEK };

/* What the program that includes this does with a new context; by the policy it may have a
   label. */
static void take_keys(SSL_CTX *ctx, enum policy policy);

static enum keys matrix_keys;
static unsigned matrix_ways = (1u << WAYS) - 1; /* those that are tried, as bits */
static int matrix_version;
/* Where a servername callback may be, a name is resumed after somebody has made a full
   handshake by it. If nobody watches the callbacks, and one leads elsewhere, that somebody
   must have offered a ticket. */
static int matrix_is_watched = 1;

/* ---- contexts ---- */

static inline void verify(SSL_CTX *ctx, const struct authority *authority, int mode)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    CHECK(X509_STORE_add_cert(store, authority->certificate) == 1);
    SSL_CTX_set_verify(ctx, mode, NULL);
}

static SSL_CTX *server_key; /* its certificate, made once */

static inline SSL_CTX *server_by(const SSL_METHOD *method, enum policy policy)
{
    const int required = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX *ctx = SSL_CTX_new(method);

    CHECK(ctx != NULL);
    CHECK(SSL_CTX_use_certificate(ctx, SSL_CTX_get0_certificate(server_key)) == 1);
    CHECK(SSL_CTX_use_PrivateKey(ctx, SSL_CTX_get0_privatekey(server_key)) == 1);
    CHECK(SSL_CTX_set_session_id_context(ctx, (const void *)"server", 6) == 1);
    take_keys(ctx, policy);
    switch (policy) {
    case OPTIONAL:
        verify(ctx, &ca, SSL_VERIFY_PEER);
        break;
    case REQUIRED:
    case LABELLED:
        verify(ctx, &ca, required);
        break;
    case OTHER_CA:
        verify(ctx, &other_ca, required);
        break;
    case WITH_CRL:
        verify(ctx, &ca, required);
        CHECK(X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), revocations) == 1);
        CHECK(X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_CRL_CHECK) == 1);
        break;
    default:
        break;
    }
    return ctx;
}

static inline SSL_CTX *server_of(enum policy policy)
{
    return server_by(TLS_server_method(), policy);
}

/* admits is what a full handshake decides. */
static inline int admits(enum policy policy, enum client client)
{
    switch (policy) {
    case OPEN:
        return 1;
    case OPTIONAL:
        return client != OF_OTHER_CA;
    case OTHER_CA:
        return client == OF_OTHER_CA;
    case WITH_CRL:
        return client == OF_CA;
    default:
        return client == OF_CA || client == REVOKED;
    }
}

/* sees is as whom. */
static inline enum client sees(enum policy policy, enum client client)
{
    return policy == OPEN ? NOBODY : client;
}

/* A context that accepts, and where its callbacks lead. */
static SSL_CTX *leads_to;

static int switch_now(SSL *ssl)
{
    SSL_set_SSL_CTX(ssl, leads_to);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(leads_to), NULL);
    return 1;
}

static int on_servername(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    switch_now(ssl);
    return SSL_TLSEXT_ERR_OK;
}

static int on_client_hello(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    switch_now(ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- one connection ---- */

enum word { NEW, REUSED, REFUSED };
static const char *matrix_name = "a.example"; /* that clients ask for */
static const char *const words[] = {"New", "Reused", "refused"};

struct outcome {
    enum word word;
    enum client seen;
};

/* The identity of a client that has a key in common with a server; empty if it has none. */
static const char *shared_key_of = "";
enum { SHARED_KEY_SIZE = 32 };

static inline unsigned take_shared_key(SSL *ssl, const char *hint, char *identity,
                                       unsigned identity_size, unsigned char *key, unsigned size)
{
    (void)ssl;
    (void)hint;
    CHECK(size >= SHARED_KEY_SIZE && strlen(shared_key_of) < identity_size);
    strcpy(identity, shared_key_of);
    memset(key, identity[0], SHARED_KEY_SIZE);
    return SHARED_KEY_SIZE;
}

static inline unsigned knows_alice(SSL *ssl, const char *identity, unsigned char *key, unsigned size)
{
    (void)ssl;
    CHECK(size >= SHARED_KEY_SIZE);
    memset(key, identity[0], SHARED_KEY_SIZE);
    return strcmp(identity, "alice") == 0 ? SHARED_KEY_SIZE : 0;
}

static inline unsigned knows_bob(SSL *ssl, const char *identity, unsigned char *key, unsigned size)
{
    (void)ssl;
    CHECK(size >= SHARED_KEY_SIZE);
    memset(key, identity[0], SHARED_KEY_SIZE);
    return strcmp(identity, "bob") == 0 ? SHARED_KEY_SIZE : 0;
}

static inline SSL_CTX *client_context(enum client client)
{
    SSL_CTX *ctx = new_client(matrix_version);

    if (shared_key_of[0] != '\0') {
        SSL_CTX_set_psk_client_callback(ctx, take_shared_key);
        /* In TLS 1.3 such a key is for SHA-256 (RFC 8446 section 4.2.11). */
        CHECK(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1);
        CHECK(SSL_CTX_set_cipher_list(ctx, "PSK") == 1);
    }
    if (client != NOBODY) {
        CHECK(SSL_CTX_use_certificate(ctx, client_certificate[client]) == 1);
        CHECK(SSL_CTX_use_PrivateKey(ctx, client_key) == 1);
    }
    return ctx;
}

static inline struct outcome visit(SSL_CTX *server_ctx, enum client who, SSL_SESSION **session)
{
    struct outcome outcome = {REFUSED, NOBODY};
    SSL_CTX *client_ctx = client_context(who);
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *one = NULL, *other = NULL;
    char byte = 'x';
    int done = 0;

    CHECK(server != NULL && client != NULL && BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, session) == 1 && SSL_set_tlsext_host_name(client, matrix_name));
    if (*session != NULL)
        CHECK(SSL_set_session(client, *session) == 1);
    for (int i = 0; i < 10 && done != 3; i++) {
        done = SSL_do_handshake(client) == 1;
        done |= (SSL_do_handshake(server) == 1) << 1;
    }
    if (done == 3 && SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1) {
        X509 *shown = SSL_get_peer_certificate(server);

        outcome.word = SSL_session_reused(server) ? REUSED : NEW;
        outcome.seen = client_of_certificate(shown);
        X509_free(shown);
        if (matrix_version == TLS1_2_VERSION) {
            SSL_SESSION_free(*session);
            *session = SSL_get1_session(client);
        }
    }
    SSL_shutdown(client);
    SSL_shutdown(server);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
    ERR_clear_error();
    return outcome;
}

/* meet lets a context meet the name, for the case that a servername callback may be. */
static inline void meet(SSL_CTX *ctx, enum policy policy)
{
    enum client who = policy == OTHER_CA ? OF_OTHER_CA : OF_CA;
    SSL_SESSION *session = NULL;

    if (matrix_keys == STEK)
        CHECK(visit(ctx, who, &session).word == NEW);
    SSL_SESSION_free(session);
}

/* ---- processes ---- */

enum { SESSION_SIZE = 1 << 13 };

/* What a process hands to the next. */
struct parcel {
    struct outcome outcome;
    int size;
    unsigned char session[SESSION_SIZE];
};

static inline SSL_SESSION *unpack(const struct parcel *parcel)
{
    const unsigned char *at = parcel->session;

    return parcel->size > 0 ? d2i_SSL_SESSION(NULL, &at, parcel->size) : NULL;
}

static inline void pack(struct parcel *parcel, SSL_SESSION *session)
{
    unsigned char *at = parcel->session;

    parcel->size = session != NULL ? i2d_SSL_SESSION(session, NULL) : 0;
    CHECK(parcel->size <= SESSION_SIZE);
    if (session != NULL)
        i2d_SSL_SESSION(session, &at);
}

/* in_a_child makes a connection in a forked process: to a context that it makes with policy,
   or if made is not NULL to that. */
static inline void in_a_child(SSL_CTX *made, enum policy policy, enum client who,
                              struct parcel *parcel)
{
    int ends[2], status;
    pid_t child;

    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        SSL_CTX *ctx = made != NULL ? made : server_of(policy);
        SSL_SESSION *session = unpack(parcel);

        if (made == NULL)
            meet(ctx, policy);
        parcel->outcome = visit(ctx, who, &session);
        pack(parcel, session);
        CHECK(write(ends[1], parcel, sizeof *parcel) == (ssize_t)sizeof *parcel);
        _exit(0);
    }
    close(ends[1]);
    for (size_t got = 0; got < sizeof *parcel;) {
        ssize_t n = read(ends[0], (char *)parcel + got, sizeof *parcel - got);

        CHECK(n > 0);
        got += (size_t)n;
    }
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static inline struct outcome in_children(SSL_CTX *made, enum policy first, enum policy second,
                                         enum client who)
{
    static struct parcel parcel;

    parcel.size = 0;
    in_a_child(made, first, who, &parcel);
    in_a_child(made, second, who, &parcel);
    return parcel.outcome;
}

/* ---- one square of the matrix ---- */

static inline int is_moved(enum way way)
{
    return way == TWO_LISTENERS || way == SERVERNAME_MOVED || way == CLIENT_HELLO_MOVED ||
           way == TWO_PROCESSES;
}

/* switched makes connections to a context with a callback that leads to first, and then to
   second. */
static inline struct outcome switched(enum way way, SSL_CTX *first, SSL_CTX *second,
                                      enum policy to, enum client who)
{
    SSL_CTX *front = server_of(OPEN);
    SSL_SESSION *session = NULL;
    struct outcome outcome;

    if (way == CLIENT_HELLO || way == CLIENT_HELLO_MOVED)
        SSL_CTX_set_client_hello_cb(front, on_client_hello, NULL);
    else
        SSL_CTX_set_tlsext_servername_callback(front, on_servername);
    leads_to = first;
    outcome = visit(front, who, &session);
    if (way == SERVERNAME_WORKERS) {
        outcome = in_children(front, OPEN, OPEN, who);
        if (!matrix_is_watched)
            outcome = in_children(front, OPEN, OPEN, who);
    } else {
        if (!matrix_is_watched)
            outcome = visit(front, who, &session);
        leads_to = second;
        if (way == CLIENT_HELLO_MOVED)
            meet(front, to);
        outcome = visit(front, who, &session);
        /* Whatever ended that one, the client's next try is a full handshake. */
        if (outcome.word == REFUSED && way == SERVERNAME_MOVED) {
            leads_to = second;
            outcome = visit(front, who, &session);
            CHECK(outcome.word != REUSED);
        }
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(front);
    return outcome;
}

static inline struct outcome offer(enum way way, enum policy from, enum policy to, enum client who)
{
    SSL_CTX *first, *second;
    SSL_SESSION *session = NULL;
    struct outcome outcome;

    if (way == TWO_PROCESSES)
        return in_children(NULL, from, to, who);
    first = server_of(from);
    second = is_moved(way) ? server_of(to) : first;
    switch (way) {
    case SAME_CONTEXT:
    case TWO_LISTENERS:
        visit(first, who, &session);
        if (way == TWO_LISTENERS)
            meet(second, to);
        outcome = visit(second, who, &session);
        SSL_SESSION_free(session);
        break;
    case TWO_WORKERS:
        outcome = in_children(first, from, to, who);
        break;
    default:
        outcome = switched(way, first, second, to, who);
    }
    if (second != first)
        SSL_CTX_free(second);
    SSL_CTX_free(first);
    return outcome;
}

/* resumes tells that the ticket must be taken. Alone, the context that accepts gives the
   key, so a callback that leads elsewhere than before changes nothing: OpenSSL's own hole. */
static inline int resumes(enum way way, enum policy from, enum policy to)
{
    if (!is_moved(way))
        return 1;
    if (matrix_keys == ALONE)
        return way == SERVERNAME_MOVED || way == CLIENT_HELLO_MOVED;
    return from == to && (from == OPEN || from == LABELLED);
}

static inline int check_square(enum way way, enum policy from, enum policy to, enum client who)
{
    struct outcome got = offer(way, from, to, who);
    struct outcome want = {REUSED, sees(from, who)};

    if (!resumes(way, from, to))
        want = (struct outcome){admits(to, who) ? NEW : REFUSED,
                                admits(to, who) ? sees(to, who) : NOBODY};
    if (got.word == want.word && got.seen == want.seen)
        return 1;
    fprintf(stderr, "%s, TLS 1.%d, %s: a ticket of \"%s\" at \"%s\", %s: %s as %s, want %s as %s\n",
            matrix_keys == ALONE ? "alone" : "stek", matrix_version - TLS1_2_VERSION + 2,
            way_names[way], policy_names[from], policy_names[to], client_names[who],
            words[got.word], client_names[got.seen], words[want.word], client_names[want.seen]);
    return 0;
}

/* check_matrix checks every square, of those policies alone that a bit is set for, and
   returns how many there were. */
static inline int check_matrix(enum keys keys, unsigned policies)
{
    static const int tls[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    int squares = 0, right = 0;

    matrix_keys = keys;
    for (size_t v = 0; v < 2; v++)
        for (int way = 0; way < WAYS; way++)
            for (int from = 0; from < POLICIES; from++)
                for (int to = 0; to < POLICIES; to++)
                    for (int who = 0; who < CLIENTS; who++) {
                        if (!(matrix_ways >> way & 1) || !(policies >> from & 1) || !(policies >> to & 1) ||
                            !admits((enum policy)from, (enum client)who) ||
                            (!is_moved((enum way)way) && from != to))
                            continue;
                        matrix_version = tls[v];
                        squares++;
                        right += check_square((enum way)way, (enum policy)from, (enum policy)to,
                                              (enum client)who);
                    }
    CHECK(right == squares);
    return squares;
}

/* ---- clients that are known by a key ---- */

static inline int on_servername_stay(SSL *ssl, int *alert, void *argument)
{
    (void)ssl;
    (void)alert;
    (void)argument;
    return SSL_TLSEXT_ERR_OK;
}

static inline SSL_CTX *keyed_server_of(enum policy policy, SSL_psk_server_cb_func knows)
{
    SSL_CTX *ctx = server_of(policy);

    CHECK(SSL_CTX_set_cipher_list(ctx, "PSK") == 1);
    SSL_CTX_set_psk_server_callback(ctx, knows);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername_stay);
    return ctx;
}

/* A key in common with one context opens no other, by no ticket. A context that has such
   keys may ask all others for a certificate. */
static inline void check_shared_keys(enum policy policy)
{
    SSL_CTX *of_alice = keyed_server_of(policy, knows_alice);
    SSL_CTX *of_bob = keyed_server_of(policy, knows_bob);
    SSL_SESSION *session = NULL;

    shared_key_of = "alice";
    for (int i = 0; i < 4; i++)
        CHECK(visit(of_alice, NOBODY, &session).word ==
              (matrix_version == TLS1_2_VERSION && i == 0 ? NEW : REUSED));
    shared_key_of = "carol"; /* whom nobody knows: the ticket is what counts */
    CHECK(visit(of_alice, NOBODY, &session).word == REUSED);
    CHECK(visit(of_bob, NOBODY, &session).word != REUSED);
    shared_key_of = "";
    SSL_SESSION_free(session);
    SSL_CTX_free(of_alice);
    SSL_CTX_free(of_bob);
}

static inline void matrix_start(void)
{
    make_pki();
    server_key = new_server();
}

static inline void matrix_end(void)
{
    SSL_CTX_free(server_key);
    free_pki();
}

#endif
