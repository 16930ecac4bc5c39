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

/* The client random of a hello begins here: headers of record and message, version. */
enum { RANDOM = 5 + 4 + 2 };

/* nanoseconds_of is the time from a new SSL to its end, for one hello. Each has
   another client random, as those of different clients have. */
static double nanoseconds_of(SSL_CTX *ctx, struct bytes *hello, int times)
{
    static uint32_t number;
    double begun = busy_nanoseconds();

    for (int i = 0; i < times; i++) {
        SSL *ssl = SSL_new(ctx);
        BIO *in = BIO_new_mem_buf(hello->data, (int)hello->size), *out = BIO_new(BIO_s_mem());

        CHECK(ssl != NULL && in != NULL && out != NULL);
        number++;
        memcpy(hello->data + RANDOM + 1, &number, sizeof number);
        SSL_set_bio(ssl, in, out);
        CHECK(SSL_accept(ssl) != 1);
        SSL_free(ssl);
        ERR_clear_error();
    }
    return (busy_nanoseconds() - begun) / times;
}

static uint64_t accepted(void)
{
    return stekc_table_counted_all(stekc_store_table(bench_store())).accepted;
}

static uint64_t counted(enum stek_counter counter)
{
    return stekc_table_counted(stekc_store_table(bench_store()), counter);
}

/* A peer's context, and what it has taken. */
struct refusing {
    SSL_CTX *ctx;
    struct bytes without, with;
    double base, more;
};

/* What is done for the first time in a process is not measured. */
enum { WARM_UP = 1, EACH = 10 };

/* refuse measures what each of some tickets adds to a hello without, for each of
   count peers in turn: times EACH hellos of both kinds, and WARM_UP. name NULL: that
   of the peer's own key. */
static void refuse(const char *measure, int round, const enum peer *peers, int count, int tickets,
                   const unsigned char *name, int times)
{
    static struct refusing all[PEERS];
    unsigned char known[STEK_NAME_SIZE];

    for (int i = 0; i < count; i++) {
        struct refusing *r = &all[peers[i]];

        if (r->ctx == NULL)
            r->ctx = new_context(peers[i]);
        r->base = r->more = 0;
        if (name == NULL)
            peer_key_name(r->ctx, peers[i], known);
        make_hello(&r->without, 0, NULL, 0);
        make_hello(&r->with, tickets, name != NULL ? name : known, 0);
        nanoseconds_of(r->ctx, &r->without, WARM_UP);
        nanoseconds_of(r->ctx, &r->with, WARM_UP);
    }
    for (int i = 0; i < count * times; i++) {
        struct refusing *r = &all[peers[(i + round) % count]];

        r->base += nanoseconds_of(r->ctx, &r->without, EACH);
        r->more += nanoseconds_of(r->ctx, &r->with, EACH);
    }
    for (int i = 0; i < count; i++)
        emit(measure, peer_names[peers[i]], round,
             (all[peers[i]].more - all[peers[i]].base) / times / tickets);
}

/* As many tickets as stek sets up keys for in one ClientHello. */
enum { REJECTED = 8 };

void measure_reject(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_FLOOR, PEER_STEK, PEER_STEK_EVP};
    uint64_t before = accepted();

    refuse("reject", round, peers, 5, REJECTED, NULL, 200);
    CHECK(accepted() - before == 2 * (200 * EACH + WARM_UP) * REJECTED);
}

static const unsigned char unknown_name[] = "an unknown name.";

void measure_unknown(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_EMPTY, PEER_STEK};
    uint64_t before = counted(STEK_COUNT_UNKNOWN);

    refuse("unknown", round, peers, 3, MOST, unknown_name, 8);
    CHECK(counted(STEK_COUNT_UNKNOWN) - before == (8 * EACH + WARM_UP) * MOST);
}

void measure_flood(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_STEK, PEER_STEK_EVP};
    enum { ALL = 3, CHUNKS = 12, TIMES = 5 };
    static SSL_CTX *contexts[ALL];
    static struct bytes hello;
    double busy[ALL] = {0};

    make_hello(&hello, MOST, unknown_name, 1);
    for (int i = 0; i < ALL; i++) {
        if (contexts[i] == NULL)
            contexts[i] = new_context(peers[i]);
        nanoseconds_of(contexts[i], &hello, WARM_UP);
    }
    for (int i = 0; i < ALL * CHUNKS; i++)
        busy[(i + round) % ALL] += nanoseconds_of(contexts[(i + round) % ALL], &hello, TIMES);
    for (int i = 0; i < ALL; i++)
        emit("flood", peer_names[peers[i]], round, busy[i] / CHUNKS / 1000);
}
