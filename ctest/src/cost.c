/*
 * cost.c - calls the callback a number of times with a ticket of an unknown key
 * name, for callgrind to count the instructions of a miss.
 */
#include "../../store.h"
#include "check.h"

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 1000;
    struct stekc_options options = {.auth_age_cap = 1};
    struct stekc_report report;
    unsigned refused;
    struct stekc_store *store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    struct stekc_binding binding = {.store = store};
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl;
    unsigned char name[STEK_NAME_SIZE] = "unknown key name", iv[STEK_IV_SIZE];
    struct stek_key *stage;

    CHECK(store != NULL && ctx != NULL);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    stage = stekc_table_stage(stekc_store_table(store));
    for (uint64_t i = 0; i < 3; i++) /* upcoming, current, previous */
        stage[i] = test_key(i, 0, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 3) == 0);

    for (int i = 0; i < calls; i++)
        CHECK(stekc_callback(&binding, ssl, name, iv, NULL, (struct stekc_mac){NULL, NULL}, 0) ==
              STEK_IGNORE);

    CHECK(stekc_table_counted(stekc_store_table(store), STEK_COUNT_UNKNOWN) == (uint64_t)calls);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    stekc_store_close(store);
    return 0;
}
