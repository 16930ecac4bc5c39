/*
 * peers.c - those that answer for ticket keys, to be compared.
 */
#include "bench.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

const char *const peer_names[PEERS] = {"built-in keys", "man page", "keyed anew", "floor",
                                       "empty callback", "stek", "stek, EVP", "stek, no stamp"};

/* ---- static keys ---- */

static const unsigned char static_name[STEK_NAME_SIZE] = "a static name.";
static const unsigned char static_aes[32] = "a static key of AES.";
static const unsigned char static_hmac[32] = "a static key of HMAC.";

static int renewed_if_13(SSL *ssl)
{
    return SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

static int set_up(SSL *ssl, const unsigned char *name, const unsigned char *iv,
                  EVP_CIPHER_CTX *cipher, const EVP_CIPHER *aes, HMAC_CTX *hmac,
                  const EVP_MD *digest, int encrypt)
{
    if (encrypt) {
        if (EVP_EncryptInit_ex(cipher, aes, NULL, static_aes, iv) <= 0)
            return -1;
    } else {
        if (memcmp(name, static_name, sizeof static_name) != 0)
            return 0;
        if (EVP_DecryptInit_ex(cipher, aes, NULL, static_aes, iv) <= 0)
            return -1;
    }
    if (HMAC_Init_ex(hmac, static_hmac, sizeof static_hmac, digest, NULL) <= 0)
        return -1;
    return encrypt ? 1 : renewed_if_13(ssl);
}

int man_page_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      HMAC_CTX *hmac, int encrypt)
{
    if (encrypt) {
        memcpy(name, static_name, sizeof static_name);
        if (RAND_bytes(iv, STEK_IV_SIZE) <= 0)
            return -1;
    }
    return set_up(ssl, name, iv, cipher, EVP_aes_256_cbc(), hmac, EVP_sha256(), encrypt);
}

static struct {
    EVP_CIPHER_CTX *encrypt, *decrypt;
    HMAC_CTX *hmac;
    uint64_t iv;
} keyed;

static const EVP_CIPHER *aes256;
static const EVP_MD *sha256;

/* key_once prepares what keyed_callback and floor_callback have at hand. */
static void key_once(void)
{
    if (keyed.hmac != NULL)
        return;
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
#else
    aes256 = EVP_aes_256_cbc();
    sha256 = EVP_sha256();
#endif
    CHECK(aes256 != NULL && sha256 != NULL);
    keyed.encrypt = EVP_CIPHER_CTX_new();
    keyed.decrypt = EVP_CIPHER_CTX_new();
    keyed.hmac = HMAC_CTX_new();
    CHECK(EVP_EncryptInit_ex(keyed.encrypt, aes256, NULL, static_aes, NULL) == 1);
    CHECK(EVP_DecryptInit_ex(keyed.decrypt, aes256, NULL, static_aes, NULL) == 1);
    CHECK(HMAC_Init_ex(keyed.hmac, static_hmac, sizeof static_hmac, sha256, NULL) == 1);
}

/* cheap_header writes the head of a new ticket. */
static void cheap_header(unsigned char *name, unsigned char *iv)
{
    memcpy(name, static_name, sizeof static_name);
    memset(iv, 0, STEK_IV_SIZE);
    memcpy(iv, &keyed.iv, sizeof keyed.iv);
    keyed.iv++;
}

int keyed_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   HMAC_CTX *hmac, int encrypt)
{
    if (encrypt)
        cheap_header(name, iv);
    return set_up(ssl, name, iv, cipher, aes256, hmac, sha256, encrypt);
}

int floor_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   HMAC_CTX *hmac, int encrypt)
{
    if (encrypt) {
        cheap_header(name, iv);
        if (EVP_CIPHER_CTX_copy(cipher, keyed.encrypt) <= 0 ||
            EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, iv) <= 0)
            return -1;
    } else {
        if (memcmp(name, static_name, sizeof static_name) != 0)
            return 0;
        if (EVP_CIPHER_CTX_copy(cipher, keyed.decrypt) <= 0 ||
            EVP_DecryptInit_ex(cipher, NULL, NULL, NULL, iv) <= 0)
            return -1;
    }
    if (HMAC_CTX_copy(hmac, keyed.hmac) <= 0)
        return -1;
    return encrypt ? 1 : renewed_if_13(ssl);
}

static int empty_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                          HMAC_CTX *hmac, int encrypt)
{
    (void)ssl;
    (void)name;
    (void)iv;
    (void)cipher;
    (void)hmac;
    (void)encrypt;
    return 0;
}

/* ---- stek ---- */

struct stekc_store *bench_store(void)
{
    static struct stekc_store *store;
    unsigned refused;

    if (store == NULL) {
        store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
        CHECK(store != NULL);
        bench_publish(3);
    }
    return store;
}

void bench_publish(size_t keys)
{
    struct stekc_table *table = stekc_store_table(bench_store());
    struct stek_key *stage = stekc_table_stage(table);
    int64_t now = stekc_table_now(table).low;

    for (size_t i = 0; i < keys; i++) /* upcoming, current, previous ones */
        stage[i] = test_key(i, i == 0 && keys > 1 ? now + INT64_C(3600000000000) : now - (int64_t)i,
                            INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(table, keys) == 0);
}

/* attach_stek: where there is no EVP callback, stek's other one is measured twice. */
static void attach_stek(SSL_CTX *ctx, int kind, int policy)
{
    struct stekc_options options = {.policy = policy, .kind = kind, .auth_age_cap = INT64_C(86400000000000)};
    struct stekc_report report;

    CHECK(stekc_attach(ctx, bench_store(), &options, &report) == STEKC_OK);
}

/* ---- all ---- */

void peer_attach(SSL_CTX *ctx, enum peer peer)
{
    switch (peer) {
    case PEER_MAN_PAGE:
        SSL_CTX_set_tlsext_ticket_key_cb(ctx, man_page_callback);
        break;
    case PEER_KEYED:
        key_once();
        SSL_CTX_set_tlsext_ticket_key_cb(ctx, keyed_callback);
        break;
    case PEER_FLOOR:
        key_once();
        SSL_CTX_set_tlsext_ticket_key_cb(ctx, floor_callback);
        break;
    case PEER_EMPTY:
        SSL_CTX_set_tlsext_ticket_key_cb(ctx, empty_callback);
        break;
    case PEER_STEK:
        attach_stek(ctx, STEK_KIND_HMAC, STEK_POLICY_CAPPED);
        break;
    case PEER_STEK_EVP:
        attach_stek(ctx, OPENSSL_VERSION_NUMBER >= OSSL_3_0_0 ? STEK_KIND_EVP : STEK_KIND_HMAC,
                    STEK_POLICY_CAPPED);
        break;
    case PEER_STEK_NO_STAMP:
        attach_stek(ctx, STEK_KIND_HMAC, STEK_POLICY_AGE);
        break;
    default:
        break;
    }
}

void peer_key_name(SSL_CTX *ctx, enum peer peer, unsigned char name[STEK_NAME_SIZE])
{
    unsigned char keys[80];
    struct stek_key key;

    switch (peer) {
    case PEER_BUILT_IN:
        CHECK(SSL_CTX_get_tlsext_ticket_keys(ctx, keys, sizeof keys) == 1);
        memcpy(name, keys, STEK_NAME_SIZE);
        break;
    case PEER_STEK:
    case PEER_STEK_EVP:
    case PEER_STEK_NO_STAMP:
        CHECK(stekc_table_current(stekc_store_table(bench_store()),
                                  stekc_table_now(stekc_store_table(bench_store())), &key) == STEK_CURRENT);
        memcpy(name, key.name, STEK_NAME_SIZE);
        break;
    default:
        memcpy(name, static_name, STEK_NAME_SIZE);
    }
}
