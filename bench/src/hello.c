/*
 * hello.c - measures of one ClientHello with tickets that are not accepted.
 */
#include "bench.h"

#include <openssl/rand.h>

enum { MOST = 1700, TICKET = 32 }; /* OpenSSL looks at no shorter ticket */

struct bytes {
    size_t size;
    unsigned char data[90000];
};

static void put(struct bytes *b, size_t size, uint64_t value)
{
    while (size-- > 0)
        b->data[b->size++] = (unsigned char)(value >> (8 * size));
}

static void put_bytes(struct bytes *b, const void *data, size_t size)
{
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_random(struct bytes *b, size_t size)
{
    CHECK(RAND_bytes(b->data + b->size, (int)size) == 1);
    b->size += size;
}

/* begin leaves room for a length of size bytes; end fills it in. */
static size_t begin(struct bytes *b, size_t size)
{
    put(b, size, 0);
    return b->size;
}

static void end(struct bytes *b, size_t size, size_t at)
{
    size_t length = b->size - at, whole = b->size;

    b->size = at - size;
    put(b, size, length);
    b->size = whole;
}

/*
 * make_hello writes a TLS 1.3 ClientHello (RFC 8446 section 4.1.2) that offers
 * tickets under name, with a MAC that is wrong. goes_on: with a key share that
 * the server takes; else with no group that it knows, so that it ends right after
 * it has looked at the tickets.
 */
static void make_hello(struct bytes *out, int tickets, const unsigned char name[STEK_NAME_SIZE],
                       int goes_on)
{
    static struct bytes hello;
    struct bytes *b = &hello;
    size_t body, extensions, at, list;

    b->size = 0;
    put(b, 1, 1); /* client_hello */
    body = begin(b, 3);
    put(b, 2, 0x0303);
    put_random(b, 32);
    put(b, 1, 0);
    put(b, 2, 2), put(b, 2, 0x1301); /* TLS_AES_128_GCM_SHA256 */
    put(b, 1, 1), put(b, 1, 0);
    extensions = begin(b, 2);
    put(b, 2, 0), at = begin(b, 2); /* server_name */
    list = begin(b, 2), put(b, 1, 0), put(b, 2, 9), put_bytes(b, "a.example", 9);
    end(b, 2, list), end(b, 2, at);
    put(b, 2, 10), put(b, 2, 4), put(b, 2, 2), put(b, 2, goes_on ? 0x001d : 0x0018); /* groups */
    put(b, 2, 13), put(b, 2, 4), put(b, 2, 2), put(b, 2, 0x0403); /* signatures */
    put(b, 2, 43), put(b, 2, 3), put(b, 1, 2), put(b, 2, 0x0304); /* versions */
    put(b, 2, 45), put(b, 2, 2), put(b, 1, 1), put(b, 1, 1);      /* psk_dhe_ke */
    put(b, 2, 51), at = begin(b, 2), list = begin(b, 2);          /* key_share */
    if (goes_on)
        put(b, 2, 0x001d), put(b, 2, 32), put_random(b, 32);
    end(b, 2, list), end(b, 2, at);
    if (tickets > 0) {
        put(b, 2, 41), at = begin(b, 2), list = begin(b, 2); /* pre_shared_key */
        for (int i = 0; i < tickets; i++) {
            put(b, 2, TICKET), put_bytes(b, name, STEK_NAME_SIZE), put_random(b, TICKET - STEK_NAME_SIZE);
            put(b, 4, 0);
        }
        end(b, 2, list);
        list = begin(b, 2), put(b, 1, 32), put_random(b, 32), end(b, 2, list);
        end(b, 2, at);
    }
    end(b, 2, extensions), end(b, 3, body);

    out->size = 0;
    for (size_t sent = 0, size; sent < b->size; sent += size) { /* records */
        size = b->size - sent < 16384 ? b->size - sent : 16384;
        put(out, 1, 22), put(out, 2, 0x0301), put(out, 2, size);
        put_bytes(out, b->data + sent, size);
    }
}

static SSL_CTX *new_context(enum peer peer)
{
    SSL_CTX *ctx = new_server();

    CHECK(SSL_CTX_set1_groups_list(ctx, "X25519") == 1);
    peer_attach(ctx, peer);
    return ctx;
}

/* nanoseconds_of is the time from a new SSL to its end, for one hello. */
static double nanoseconds_of(SSL_CTX *ctx, const struct bytes *hello, int times)
{
    double begun = busy_nanoseconds();

    for (int i = 0; i < times; i++) {
        SSL *ssl = SSL_new(ctx);
        BIO *in = BIO_new_mem_buf(hello->data, (int)hello->size), *out = BIO_new(BIO_s_mem());

        CHECK(ssl != NULL && in != NULL && out != NULL);
        SSL_set_bio(ssl, in, out);
        CHECK(SSL_accept(ssl) != 1);
        SSL_free(ssl);
        ERR_clear_error();
    }
    return (busy_nanoseconds() - begun) / times;
}

static uint64_t counted(enum stek_counter counter)
{
    return stekc_table_counted(stekc_store_table(bench_store()), counter);
}

/* per_ticket is what each of some tickets adds to a hello without. */
static double per_ticket(enum peer peer, int tickets, const unsigned char *name, int times)
{
    static struct bytes with, without;
    static SSL_CTX *contexts[PEERS];
    unsigned char known[STEK_NAME_SIZE];
    double base = 0, more = 0;

    if (contexts[peer] == NULL)
        contexts[peer] = new_context(peer);
    if (name == NULL) {
        peer_key_name(contexts[peer], peer, known);
        name = known;
    }
    make_hello(&without, 0, NULL, 0);
    make_hello(&with, tickets, name, 0);
    for (int i = 0; i < times; i++) { /* in turn, so that noise falls on both */
        base += nanoseconds_of(contexts[peer], &without, 20);
        more += nanoseconds_of(contexts[peer], &with, 20);
    }
    return (more - base) / times / tickets;
}

/* As many tickets as stek sets up keys for in one ClientHello. */
enum { REJECTED = 8 };

void measure_reject(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_FLOOR, PEER_STEK, PEER_STEK_EVP};

    for (int i = 0; i < 5; i++) {
        enum peer peer = peers[(i + round) % 5];
        uint64_t before = counted(STEK_COUNT_ACCEPTED);

        emit("reject", peer_names[peer], round, per_ticket(peer, REJECTED, NULL, 100));
        if (peer == PEER_STEK || peer == PEER_STEK_EVP)
            CHECK(counted(STEK_COUNT_ACCEPTED) - before == 100 * 20 * REJECTED);
    }
}

static const unsigned char unknown_name[] = "an unknown name.";

void measure_unknown(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_EMPTY, PEER_STEK};

    for (int i = 0; i < 3; i++) {
        enum peer peer = peers[(i + round) % 3];
        uint64_t before = counted(STEK_COUNT_UNKNOWN);

        emit("unknown", peer_names[peer], round, per_ticket(peer, MOST, unknown_name, 4));
        if (peer == PEER_STEK)
            CHECK(counted(STEK_COUNT_UNKNOWN) - before == 4 * 20 * MOST);
    }
}

void measure_flood(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_STEK, PEER_STEK_EVP};
    static SSL_CTX *contexts[PEERS];
    static struct bytes hello;

    make_hello(&hello, MOST, unknown_name, 1);
    for (int i = 0; i < 3; i++) {
        enum peer peer = peers[(i + round) % 3];

        if (contexts[peer] == NULL)
            contexts[peer] = new_context(peer);
        emit("flood", peer_names[peer], round, nanoseconds_of(contexts[peer], &hello, 60) / 1000);
    }
}
