/*
 * ticket_hello.c - one ClientHello: what its tickets may cost, and what became of them.
 *
 * A hello can carry 1,700 tickets, and nobody is authenticated yet. The thread that looks
 * at it counts. Since the hello after a HelloRetryRequest may come to another thread, or
 * with others between, the count of each is in a table besides, which never grows: a place
 * of it that another hello takes over is forgotten.
 */
#include "ticket.h"

/* Key set-ups and questions to Go that one ClientHello may cause, with the hello that
   repeats it after a HelloRetryRequest. */
enum { BUDGET = 8 };

/* Recent hellos. A word is which hello (56 bits), then DECRYPTED or not, then how much is
   spent. A hello can be in one place, in any of the words there. */
enum { PLACES = 256, TOGETHER = 4, DECRYPTED = 0x80, SPENT = 0x0f };
static _Atomic uint64_t recent[PLACES][TOGETHER];

/* The hello that this thread met last, and where its last ticket was. */
static _Thread_local struct {
    const SSL *ssl;
    const BIO *input;
    uint64_t read; /* bytes from input by then */
    uintptr_t hello;
    uintptr_t name;
    unsigned spent;
} last;

uintptr_t stekc_hello(const SSL *ssl)
{
    uintptr_t hello = 0;

    if (ossl.SSL_get_client_random(ssl, (unsigned char *)&hello, sizeof hello) != sizeof hello)
        return 0;
    return hello & ~(uintptr_t)0xff;
}

static uint64_t tag_of(const SSL *ssl, uintptr_t hello)
{
    uint64_t mixed = (hello ^ (uintptr_t)ssl) * UINT64_C(0x9e3779b97f4a7c15);

    return (mixed ^ mixed >> 32) << 8;
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* word_of is where the hello is noted, or else where it can be. */
static _Atomic uint64_t *word_of(uint64_t tag)
{
    _Atomic uint64_t *place = recent[(tag >> 8) % PLACES], *other = &place[tag >> 62];

    for (size_t i = 0; i < TOGETHER; i++) {
        uint64_t word = get(&place[i]);

        if ((word & ~UINT64_C(0xff)) == tag)
            return &place[i];
        if (word == 0)
            other = &place[i];
    }
    return other;
}
_Static_assert(TOGETHER == 1 << (64 - 62), "the uppermost bits choose one of these");

static uint64_t recall(uint64_t tag)
{
    uint64_t word = get(word_of(tag));

    return (word & ~UINT64_C(0xff)) == tag ? word : tag;
}

static void note(uint64_t word)
{
    atomic_store_explicit(word_of(word & ~UINT64_C(0xff)), word, memory_order_relaxed);
}

/* may_be_second tells that the server may have sent something, as a HelloRetryRequest. In
   QUIC nobody counts what is read and written. */
static int may_be_second(const SSL *ssl, const BIO *input, uint64_t read)
{
    BIO *output = ossl.SSL_get_wbio(ssl);

    return (input != NULL && read == 0) ||
           (output != NULL && ossl.BIO_number_written(output) > 0);
}

int stekc_hello_may_cost(const SSL *ssl, const unsigned char *name)
{
    BIO *input = ossl.SSL_get_rbio(ssl);
    uint64_t read = input != NULL ? ossl.BIO_number_read(input) : 0;
    uintptr_t hello = stekc_hello(ssl), at = (uintptr_t)name;
    uint64_t tag = tag_of(ssl, hello);

    /* Names of one hello lie one behind the other. One that does not is of another hello,
       should its random be sent again, to an SSL at the same address. */
    if (last.ssl != ssl || last.hello != hello || last.input != input || read < last.read ||
        (read == last.read && at <= last.name))
        last.spent = may_be_second(ssl, input, read) ? (unsigned)(recall(tag) & SPENT) : 0;
    last.ssl = ssl;
    last.hello = hello;
    last.input = input;
    last.read = read;
    last.name = at;
    if (last.spent >= BUDGET)
        return 0;
    note(tag | ++last.spent);
    return 1;
}

/* In QUIC the callback for a decrypted ticket gets another SSL than all other callbacks: the
   one inside the connection. The connection is what this thread has just met. */
void stekc_hello_decrypted(const SSL *ssl)
{
    uintptr_t hello = stekc_hello(ssl);

    note(recall(tag_of(last.hello == hello ? last.ssl : ssl, hello)) | DECRYPTED);
}

int stekc_hello_was_decrypted(const SSL *ssl)
{
    uint64_t word = recall(tag_of(ssl, stekc_hello(ssl)));

    if (!(word & DECRYPTED))
        return 0;
    note(word & ~(uint64_t)DECRYPTED);
    return 1;
}
