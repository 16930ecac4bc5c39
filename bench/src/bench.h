/*
 * bench.h - what the files of the harness share: contexts with ticket keys of
 * each kind, a clock, and where numbers go.
 */
#ifndef STEK_BENCH_H
#define STEK_BENCH_H

#include "../../store.h"
#include "../../ctest/src/handshake.h"

#include <time.h>

/* Who answers for ticket keys. */
enum peer {
    PEER_BUILT_IN, /* OpenSSL's own keys, no callback */
    PEER_MAN_PAGE, /* static keys, as SSL_CTX_set_tlsext_ticket_key_cb(3) writes it, mended */
    PEER_KEYED,    /* static keys set up anew, of algorithms fetched once, and nothing else */
    PEER_FLOOR,    /* static pre-keyed contexts that are copied, an IV that costs nothing */
    PEER_EMPTY,    /* a callback that knows no key */
    PEER_STEK,     /* stek by the HMAC_CTX callback */
    PEER_STEK_EVP, /* stek by the EVP_MAC_CTX callback */
    PEER_STEK_NO_STAMP, /* as PEER_STEK, with a policy that writes no stamp into tickets */
    PEERS
};

extern const char *const peer_names[PEERS];

/* peer_attach gives ctx the ticket keys of peer. Once for each peer. */
void peer_attach(SSL_CTX *ctx, enum peer peer);

/* peer_key_name writes the name of the key that ctx issues tickets under. */
void peer_key_name(SSL_CTX *ctx, enum peer peer, unsigned char name[STEK_NAME_SIZE]);

/* The callbacks of peers, for calls without libssl. */
int man_page_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      HMAC_CTX *hmac, int encrypt);
int keyed_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   HMAC_CTX *hmac, int encrypt);
int floor_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   HMAC_CTX *hmac, int encrypt);

/* bench_store is the store of PEER_STEK and PEER_STEK_EVP; bench_publish gives it
   that many keys, the second of which is current. */
struct stekc_store *bench_store(void);
void bench_publish(size_t keys);

static inline double nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* busy_nanoseconds is nanoseconds of this thread's own time: what else runs is not in it. */
static inline double busy_nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* emit prints one sample. */
static inline void emit(const char *measure, const char *variant, int round, double value)
{
    printf("%s\t%s\t%d\t%.9g\n", measure, variant, round, value);
}

/* The measures. Each takes the number of the round, which also decides who is
   first. */
void measure_issue(int round);
void measure_reject(int round);
void measure_unknown(int round);
void measure_flood(int round);
void measure_alone(int round);
void measure_keys(int round);
void measure_resume(int round);
void measure_rotation(int round);

#endif
