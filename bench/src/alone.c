/*
 * alone.c - measures of the callback without a handshake around it: contexts are
 * made, set up, and freed, as libssl does it for one ticket.
 */
#include "bench.h"

#include "../../ctest/src/binding.h"

enum { TIMES = 100, CHUNKS = 40 };

/* A connection inside its client_hello callback, the only place where the name
   that the client sent can be read. */
static int in_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    ((void (*)(SSL *))arg)(ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int this_round;
static struct stekc_binding binding;

/* built_in does what libssl does with its own keys, see ssl/t1_lib.c and
   ssl/statem/statem_srvr.c of OpenSSL. */
static void built_in(SSL *ssl, int encrypt)
{
    static const unsigned char key[32] = "any key has the same cost.";
    unsigned char iv[STEK_IV_SIZE] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    OSSL_PARAM params[] = {{OSSL_MAC_PARAM_DIGEST, OSSL_PARAM_UTF8_STRING, (char *)"SHA256", 6, 0},
                           {NULL, 0, NULL, 0, 0}};

    EVP_MAC_free(hmac);
    CHECK(EVP_MAC_init(mac, key, sizeof key, params) == 1);
#else
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    HMAC_CTX *mac = HMAC_CTX_new();

    CHECK(HMAC_Init_ex(mac, key, sizeof key, EVP_sha256(), NULL) == 1);
#endif
    (void)ssl;
    if (encrypt) {
        CHECK(RAND_bytes(iv, sizeof iv) == 1);
        CHECK(EVP_EncryptInit_ex(cipher, aes, NULL, key, iv) == 1);
    } else {
        CHECK(EVP_DecryptInit_ex(cipher, aes, NULL, key, iv) == 1);
    }
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    EVP_CIPHER_free(aes);
    EVP_MAC_CTX_free(mac);
#else
    HMAC_CTX_free(mac);
#endif
    EVP_CIPHER_CTX_free(cipher);
}

static unsigned char name[STEK_NAME_SIZE];

static void by_callback(SSL *ssl, int encrypt, enum peer peer)
{
    unsigned char out[STEK_NAME_SIZE], iv[STEK_IV_SIZE] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    int verdict;

    if (encrypt)
        memset(out, 0, sizeof out);
    else
        memcpy(out, name, sizeof out);
    switch (peer) {
    case PEER_MAN_PAGE:
        verdict = man_page_callback(ssl, out, iv, cipher, hmac, encrypt);
        break;
    case PEER_KEYED:
        verdict = keyed_callback(ssl, out, iv, cipher, hmac, encrypt);
        break;
    case PEER_FLOOR:
        verdict = floor_callback(ssl, out, iv, cipher, hmac, encrypt);
        break;
    default:
        verdict = stekc_callback(&binding, &(struct stekc_ticket){ssl, out, iv, cipher, hmac, NULL, encrypt, 0, {{0, 0}}});
    }
    CHECK(verdict > 0);
    HMAC_CTX_free(hmac);
    EVP_CIPHER_CTX_free(cipher);
}

static void by_evp(SSL *ssl, int encrypt)
{
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    unsigned char out[STEK_NAME_SIZE], iv[STEK_IV_SIZE] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

    EVP_MAC_free(hmac);
    memcpy(out, name, sizeof out);
    CHECK(stekc_callback(&binding, &(struct stekc_ticket){ssl, out, iv, cipher, NULL, mac, encrypt, 0, {{0, 0}}}) > 0);
    EVP_MAC_CTX_free(mac);
    EVP_CIPHER_CTX_free(cipher);
#else
    by_callback(ssl, encrypt, PEER_STEK);
#endif
}

static double time_of(SSL *ssl, enum peer peer, int encrypt)
{
    double begun;

    peer_key_name(SSL_get_SSL_CTX(ssl), peer, name);
    begun = busy_nanoseconds();
    for (int i = 0; i < TIMES; i++) {
        if (peer == PEER_BUILT_IN)
            built_in(ssl, encrypt);
        else if (peer == PEER_STEK_EVP)
            by_evp(ssl, encrypt);
        else
            by_callback(ssl, encrypt, peer);
    }
    return (busy_nanoseconds() - begun) / TIMES;
}

static void every_peer(SSL *ssl)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_KEYED,
                                       PEER_FLOOR,    PEER_STEK,     PEER_STEK_EVP};
    enum { ALL = sizeof peers / sizeof peers[0] };
    double encrypt[ALL] = {0}, decrypt[ALL] = {0};

    for (int i = 0; i < ALL; i++) { /* what is done for the first time is not measured */
        time_of(ssl, peers[i], 1);
        time_of(ssl, peers[i], 0);
    }
    for (int i = 0; i < ALL * CHUNKS; i++) {
        int peer = (i + this_round) % ALL;

        encrypt[peer] += time_of(ssl, peers[peer], 1);
        decrypt[peer] += time_of(ssl, peers[peer], 0);
    }
    for (int i = 0; i < ALL; i++) {
        emit("alone-encrypt", peer_names[peers[i]], this_round, encrypt[i] / CHUNKS);
        emit("alone-decrypt", peer_names[peers[i]], this_round, decrypt[i] / CHUNKS);
    }
}

/* in_connection calls measure in the client_hello callback of a connection. */
static void in_connection(void (*measure)(SSL *))
{
    static SSL_CTX *server, *client;
    SSL_SESSION *session = NULL;

    if (server == NULL) {
        server = new_server();
        client = new_client(TLS1_3_VERSION);
        peer_attach(server, PEER_STEK);
        peer_attach(new_server(), PEER_KEYED); /* which prepares it, and the floor */
        binding = test_binding(bench_store());
    }
    SSL_CTX_set_client_hello_cb(server, in_hello, (void *)measure);
    CHECK(connect_once(server, client, &session) == 0);
    SSL_SESSION_free(session);
}

void measure_alone(int round)
{
    this_round = round;
    in_connection(every_peer);
}

static void every_size(SSL *ssl)
{
    static const size_t sizes[] = {1, 3, 16, 64, STEK_MAX_KEYS};
    enum { ALL = STEK_MAX_KEYS > 64 ? 5 : 4 };
    double encrypt[ALL] = {0}, decrypt[ALL] = {0};

    time_of(ssl, PEER_STEK, 1); /* what is done for the first time is not measured */
    time_of(ssl, PEER_STEK, 0);
    for (int i = 0; i < ALL * CHUNKS; i++) {
        int size = (i + this_round) % ALL;

        bench_publish(sizes[size]);
        encrypt[size] += time_of(ssl, PEER_STEK, 1);
        decrypt[size] += time_of(ssl, PEER_STEK, 0);
    }
    for (int i = 0; i < ALL; i++) {
        char variant[32];

        snprintf(variant, sizeof variant, "%zu keys", sizes[i]);
        emit("keys-encrypt", variant, this_round, encrypt[i] / CHUNKS);
        emit("keys-decrypt", variant, this_round, decrypt[i] / CHUNKS);
    }
    bench_publish(3);
}

void measure_keys(int round)
{
    this_round = round;
    in_connection(every_size);
}
