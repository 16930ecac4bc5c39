/*
 * scope_test.c - where a ticket of a verified client resumes, if contexts are attached.
 */
#define _GNU_SOURCE
#include "../../store.h"

#include <openssl/err.h>

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

static void matrix(void)
{
    const unsigned all = (1u << POLICIES) - 1;
    static const int kinds[] = {STEK_KIND_HMAC, STEK_KIND_EVP};
    static const int renewals[] = {STEK_POLICY_CAPPED, STEK_POLICY_CURRENT, STEK_POLICY_AGE};
    int squares;

    squares = check_matrix(ALONE, all);
    printf("     %d squares alone\n", squares);
    attaches = 1;
    matrix_is_watched = 0;
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t renewal = 0; renewal < 3; renewal++) {
            options.kind = kinds[kind];
            options.policy = renewals[renewal];
#if OPENSSL_VERSION_NUMBER < OSSL_3_0_0
            if (options.kind == STEK_KIND_EVP)
                continue;
#endif
            squares = check_matrix(STEK, all);
            printf("     %d squares, kind %d, renewal %d\n", squares, options.kind, options.policy);
        }
    attaches = 0;
}

int main(void)
{
    unsigned refused;
    struct stek_key *stage;

    store = stekc_store_new(STEK_INHERITED, NULL, &refused);
    CHECK(store != NULL);
    stage = stekc_table_stage(stekc_store_table(store));
    stage[0] = test_key(10, 10, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 1) == 0);
    matrix_start();
    RUN(matrix);
    matrix_end();
    stekc_store_close(store);
    return 0;
}
