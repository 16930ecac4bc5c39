/*
 * cost.c - calls the callback a number of times, for callgrind to count its
 * instructions: with a ticket of an unknown key name, with one of a known name,
 * or for a new ticket.
 *
 *     cost miss|decrypt|encrypt CALLS
 */
#include "binding.h"

static SSL *ssl;
static struct stekc_binding binding;

/* call is one ticket, with contexts made for it as libssl does. A name at the
   same place as the one before is in another ClientHello. */
static int call(unsigned char *name, int encrypt)
{
    unsigned char iv[STEK_IV_SIZE] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    int verdict;

    CHECK(cipher != NULL && hmac != NULL);
    verdict = stekc_callback(&binding, &(struct stekc_ticket){ssl, name, iv, cipher, hmac, NULL, encrypt, 0, {{0, 0}}});
    HMAC_CTX_free(hmac);
    EVP_CIPHER_CTX_free(cipher);
    return verdict;
}

int main(int argc, char **argv)
{
    int calls = argc == 3 ? atoi(argv[2]) : 0;
    struct stekc_options options = {.auth_age_cap = 1};
    struct stekc_report report;
    unsigned refused;
    struct stekc_store *store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    unsigned char unknown[STEK_NAME_SIZE] = "an unknown name", known[STEK_NAME_SIZE], issued[STEK_NAME_SIZE];
    struct stek_key *stage;

    CHECK(calls > 0 && store != NULL && ctx != NULL);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    binding = test_binding(store);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    stage = stekc_table_stage(stekc_store_table(store));
    for (uint64_t i = 0; i < 3; i++) /* the first is current, as all begin together */
        stage[i] = test_key(i, 0, INT64_MAX, INT64_MAX);
    memcpy(known, stage[0].name, sizeof known);
    CHECK(stekc_table_publish(stekc_store_table(store), 3) == 0);

    for (int i = 0; i < calls; i++) {
        if (strcmp(argv[1], "miss") == 0)
            CHECK(call(unknown, 0) == STEK_IGNORE);
        else if (strcmp(argv[1], "decrypt") == 0)
            CHECK(call(known, 0) >= STEK_USE);
        else
            CHECK(call(issued, 1) == STEK_USE);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    stekc_store_close(store);
    return 0;
}
