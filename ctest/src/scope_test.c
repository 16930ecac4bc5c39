/*
 * scope_test.c - where a ticket of a verified client resumes, if contexts are attached.
 */
#define _GNU_SOURCE
#include "../../ticket.h"

#include <openssl/err.h>

#include <pthread.h>

#include "matrix.h"

static struct stekc_store *store;
static struct stekc_options options = {.auth_age_cap = INT64_C(3600) * 1000000000};
static int attaches;

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    struct stekc_options these = options;
    struct stekc_report report;

    if (!attaches)
        return;
    if (policy == LABELLED)
        these.client_auth = "a label";
    CHECK(stekc_attach(ctx, store, &these, &report) == STEKC_OK);
}

enum { ALL = (1u << POLICIES) - 1 };

static void alone(void)
{
    printf("     %d squares\n", check_matrix(ALONE, ALL));
}

static void attached(void)
{
    static const int kinds[] = {STEK_KIND_HMAC,
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
                                STEK_KIND_EVP
#endif
    };
    static const int renewals[] = {STEK_POLICY_CAPPED, STEK_POLICY_CURRENT, STEK_POLICY_AGE};

    attaches = 1;
    matrix_is_watched = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t renewal = 0; renewal < 3; renewal++) {
            options.kind = kinds[kind];
            options.policy = renewals[renewal];
            printf("     %d squares, kind %d, renewal %d\n", check_matrix(STEK, ALL), options.kind,
                   options.policy);
        }
}

/* A part of it, for tools that make it slow. */
static void attached_in_short(void)
{
    attaches = 1;
    matrix_is_watched = 0;
    printf("     %d squares\n", check_matrix(STEK, 1u << OPEN | 1u << REQUIRED | 1u << LABELLED));
}

static void shared_keys(void)
{
    static const int tls[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const int renewals[] = {STEK_POLICY_CAPPED, STEK_POLICY_CURRENT, STEK_POLICY_AGE};

    for (attaches = 0; attaches < 2; attaches++)
        for (size_t i = 0; i < 6; i++) {
            options.policy = renewals[i / 2];
            matrix_version = tls[i % 2];
            check_shared_keys(OPEN);
            check_shared_keys(REQUIRED);
        }
    options.policy = STEK_POLICY_CAPPED;
    attaches = 0;
}

/* ---- the first context that verifies ---- */

/* Its verify mode is set after others have been looked at, and only a callback leads to it.
   Until then nobody was verified in this process: run it alone. */
static void a_verify_mode_that_is_set_late(void)
{
    SSL_CTX *open, *at, *closed;
    SSL_SESSION *session = NULL;

    attaches = 1;
    matrix_version = TLS1_3_VERSION;
    open = server_of(OPEN);
    at = server_of(OPEN);
    closed = server_of(OPEN);
    SSL_CTX_set_tlsext_servername_callback(at, on_servername);
    leads_to = closed;
    CHECK(visit(open, NOBODY, &session).word == NEW);
    verify(closed, &ca, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    CHECK(visit(at, NOBODY, &session).word == REFUSED);
    CHECK(visit(at, NOBODY, &session).word == REFUSED);
    SSL_SESSION_free(session);
    SSL_CTX_free(open);
    SSL_CTX_free(at);
    SSL_CTX_free(closed);
}

/* ---- forks ---- */

static atomic_int in_index;

static int slow_index(int class_index, long number, void *pointer, CRYPTO_EX_new *on_new,
                      CRYPTO_EX_dup *on_dup, CRYPTO_EX_free *on_free)
{
    if (class_index == CRYPTO_EX_INDEX_SSL) {
        atomic_store(&in_index, 1);
        usleep(20000);
    }
    return CRYPTO_get_ex_new_index(class_index, number, pointer, on_new, on_dup, on_free);
}

static void *visit_once(void *ctx)
{
    SSL_SESSION *session = NULL;

    CHECK(visit(ctx, OF_CA, &session).word == NEW);
    SSL_SESSION_free(session);
    return NULL;
}

/* A process forks while another thread makes the first connection. */
static void a_fork_in_the_first_handshake(void)
{
    SSL_SESSION *session = NULL;
    pthread_t thread;
    SSL_CTX *ctx;
    pid_t child;
    int status;

    attaches = 1;
    matrix_version = TLS1_3_VERSION;
    ctx = server_of(REQUIRED);
    ossl.CRYPTO_get_ex_new_index = slow_index;
    CHECK(pthread_create(&thread, NULL, visit_once, ctx) == 0);
    while (!atomic_load(&in_index))
        usleep(1000);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        visit(ctx, OF_CA, &session);
        _exit(visit(ctx, OF_CA, &session).word != REUSED);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    ossl.CRYPTO_get_ex_new_index = CRYPTO_get_ex_new_index;
    SSL_CTX_free(ctx);
    attaches = 0;
}

/* For a build that remembers few names. More of them cost full handshakes, and those that are
   met again resume. */
static void more_names_than_are_remembered(void)
{
    enum { MANY = 40 };
    SSL_SESSION *session[MANY] = {NULL}, *last = NULL;
    SSL_CTX *ctx;
    char name[40];
    int resumed = 0;

    attaches = 1;
    matrix_version = TLS1_3_VERSION;
    ctx = server_of(REQUIRED);
    matrix_name = name;
    for (int i = 0; i < 2 * MANY; i++) {
        enum word word;

        snprintf(name, sizeof name, "n%d.example", i % MANY);
        word = visit(ctx, OF_CA, &session[i % MANY]).word;
        CHECK(word == NEW || (word == REUSED && i >= MANY));
        resumed += word == REUSED;
    }
    CHECK(resumed <= STEKC_NAMES);
    CHECK(visit(ctx, OF_CA, &last).word == NEW && visit(ctx, OF_CA, &last).word == REUSED);
    matrix_name = "a.example";
    for (int i = 0; i < MANY; i++)
        SSL_SESSION_free(session[i]);
    SSL_SESSION_free(last);
    SSL_CTX_free(ctx);
}

int main(int count, char **arguments)
{
    unsigned refused;
    struct stek_key *stage;

    store = stekc_store_new(STEK_INHERITED, NULL, &refused);
    CHECK(store != NULL);
    stage = stekc_table_stage(stekc_store_table(store));
    stage[0] = test_key(10, 10, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 1) == 0);
    matrix_start();
    if (count > 1 && strcmp(arguments[1], "few") == 0) {
        RUN(more_names_than_are_remembered);
    } else if (count > 2 && strcmp(arguments[1], "late") == 0) {
        options.policy = atoi(arguments[2]);
        RUN(a_verify_mode_that_is_set_late);
    } else if (count > 1 && strcmp(arguments[1], "short") == 0) {
        RUN(a_fork_in_the_first_handshake); /* of all */
        RUN(shared_keys);
        RUN(attached_in_short);
    } else {
        RUN(shared_keys);
        RUN(alone);
        RUN(attached);
    }
    matrix_end();
    stekc_store_close(store);
    return 0;
}
