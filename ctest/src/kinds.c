/*
 * kinds.c - which of the two callbacks is the faster on the library at hand:
 * what libssl does for one new ticket, contexts' creation included, with each
 * kind in turn. Prints nanoseconds per ticket and their ratio.
 */
#define _GNU_SOURCE
#include "../../store.h"
#include "check.h"

#include <time.h>

enum { ROUNDS = 21, TICKETS = 2000, SESSION = 200 /* bytes */ };

static struct stekc_binding binding;
static SSL *ssl;

static void encrypt(EVP_CIPHER_CTX *cipher, struct stekc_mac mac)
{
    unsigned char name[STEK_NAME_SIZE], iv[STEK_IV_SIZE];

    CHECK(stekc_callback(&binding, ssl, name, iv, cipher, mac, 1) == STEK_USE);
}

static void ticket_by_hmac(void)
{
    unsigned char data[SESSION] = {0}, out[EVP_MAX_MD_SIZE];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    unsigned size;

    CHECK(cipher != NULL && hmac != NULL);
    encrypt(cipher, (struct stekc_mac){hmac, NULL});
    CHECK(HMAC_Update(hmac, data, sizeof data) == 1 && HMAC_Final(hmac, out, &size) == 1);
    HMAC_CTX_free(hmac);
    EVP_CIPHER_CTX_free(cipher);
}

static void ticket_by_evp(void)
{
    unsigned char data[SESSION] = {0}, out[EVP_MAX_MD_SIZE];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(algorithm);
    size_t size;

    CHECK(cipher != NULL && mac != NULL);
    EVP_MAC_free(algorithm);
    encrypt(cipher, (struct stekc_mac){NULL, mac});
    CHECK(EVP_MAC_update(mac, data, sizeof data) == 1);
    CHECK(EVP_MAC_final(mac, out, &size, sizeof out) == 1);
    EVP_MAC_CTX_free(mac);
    EVP_CIPHER_CTX_free(cipher);
}

static double nanoseconds(void (*ticket)(void))
{
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < TICKETS; i++)
        ticket();
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           TICKETS;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(void)
{
    struct stekc_options options = {.auth_age_cap = 1};
    struct stekc_report report;
    unsigned refused;
    struct stekc_store *store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    double hmac[ROUNDS], evp[ROUNDS], ratio[ROUNDS];

    CHECK(store != NULL && ctx != NULL);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    stekc_table_stage(stekc_store_table(store))[0] = test_key(1, 0, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 1) == 0);
    binding = (struct stekc_binding){
        .store = store,
        .aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL),
        .sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL),
    };

    for (int i = 0; i < ROUNDS; i++) {
        hmac[i] = nanoseconds(ticket_by_hmac);
        evp[i] = nanoseconds(ticket_by_evp);
        ratio[i] = evp[i] / hmac[i];
    }
    qsort(hmac, ROUNDS, sizeof *hmac, ascending);
    qsort(evp, ROUNDS, sizeof *evp, ascending);
    qsort(ratio, ROUNDS, sizeof *ratio, ascending);
    printf("%s: HMAC_CTX %.0f ns, EVP_MAC_CTX %.0f ns, ratio %.2f (%.2f to %.2f)\n",
           OpenSSL_version(OPENSSL_VERSION), hmac[ROUNDS / 2], evp[ROUNDS / 2],
           ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1]);

    EVP_CIPHER_free(binding.aes256);
    EVP_MD_free(binding.sha256);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    stekc_store_close(store);
    return 0;
}
