package ssltest

/*
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <malloc.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

// SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, missing from no-deprecated headers.
enum { TICKET_KEY_CB = 72 };

enum { NAME_SIZE = 16, STATE_SIZE = 80, AES_BLOCK = 16 };

typedef int ticket_callback(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, HMAC_CTX *,
                            int);

// What a ticket begins with, RFC 5077 section 4.
struct header {
    unsigned char name[NAME_SIZE], iv[EVP_MAX_IV_LENGTH];
};

struct caller {
    ticket_callback *callback;
    SSL *ssl;
    void (*also)(void); // called before each ticket that is timed, or NULL
    struct header offered; // of a ticket under the key that encrypts
};

// ---- finding the callback ----

static uintptr_t word_at(const SSL_CTX *ctx, size_t at)
{
    uintptr_t word;

    memcpy(&word, (const char *)ctx + at, sizeof word);
    return word;
}

// shows tells whether mark, set as the callback, is the word at this place.
static int shows(SSL_CTX *ctx, size_t at, uintptr_t mark)
{
    return SSL_CTX_callback_ctrl(ctx, TICKET_KEY_CB, (void (*)(void))mark) == 1 &&
           word_at(ctx, at) == mark;
}

// place_of_callback is where in an SSL_CTX the callback is, which no function of
// libssl tells: where two marks show, one after the other. 0 if that is nowhere.
static size_t place_of_callback(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    size_t place = 0, size = ctx != NULL ? malloc_usable_size(ctx) : 0;

    for (size_t at = 0; place == 0 && at + sizeof(uintptr_t) <= size; at += sizeof(uintptr_t))
        if (shows(ctx, at, 0x6d61726b) && shows(ctx, at, 0x4d41524b))
            place = at;
    SSL_CTX_free(ctx);
    return place;
}

// ---- calling it ----

static int64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void work(int64_t duration)
{
    int64_t end = nanoseconds() + duration;

    while (nanoseconds() < end)
        ;
}

// What libssl has at hand for one ticket.
struct ticket {
    struct header header;
    EVP_CIPHER_CTX *cipher;
    HMAC_CTX *mac;
};

static int ticket_open(struct ticket *t, const struct header *header)
{
    t->header = *header;
    t->cipher = EVP_CIPHER_CTX_new();
    t->mac = HMAC_CTX_new();
    return t->cipher != NULL && t->mac != NULL;
}

static void ticket_close(struct ticket *t)
{
    HMAC_CTX_free(t->mac);
    EVP_CIPHER_CTX_free(t->cipher);
}

static int call(struct caller *c, struct ticket *t, int encrypt)
{
    return c->callback(c->ssl, t->header.name, t->header.iv, t->cipher, t->mac, encrypt);
}

// decrypt asks for the key of times tickets, each after so much work, and returns
// how many it got. took receives how long each call lasted, in nanoseconds.
static long decrypt(struct caller *c, int64_t working, long times, int64_t *took)
{
    long got = 0;

    for (long i = 0; i < times; i++) {
        struct ticket t;

        work(working);
        if (ticket_open(&t, &c->offered)) {
            int64_t begun = nanoseconds();

            if (c->also != NULL)
                c->also();
            got += call(c, &t, 0) > 0;
            took[i] = nanoseconds() - begun;
        }
        ticket_close(&t);
    }
    return got;
}

// encrypt_and_decrypt asks for the key of a new ticket, and for the same again to
// decrypt, times times. It returns how many of these calls went well.
static long encrypt_and_decrypt(struct caller *c, long times)
{
    static const struct header empty;
    long got = 0;

    for (long i = 0; i < times; i++) {
        struct ticket issued, offered;

        if (ticket_open(&issued, &empty))
            got += call(c, &issued, 1) > 0;
        if (ticket_open(&offered, &issued.header))
            got += call(c, &offered, 0) > 0;
        ticket_close(&offered);
        ticket_close(&issued);
    }
    return got;
}

// ---- setting up ----

// comes_back tells whether what the contexts of issued encrypt and sign is what
// those of offered decrypt and sign.
static int comes_back(struct ticket *issued, struct ticket *offered)
{
    unsigned char state[STATE_SIZE] = "state of a session";
    unsigned char ticket[STATE_SIZE + AES_BLOCK], back[STATE_SIZE + 2 * AES_BLOCK];
    unsigned char signed_with[EVP_MAX_MD_SIZE], checked_with[EVP_MAX_MD_SIZE];
    unsigned mac_size = 0;
    int size = 0, end = 0;

    if (EVP_EncryptUpdate(issued->cipher, ticket, &size, state, STATE_SIZE) != 1 ||
        EVP_EncryptFinal_ex(issued->cipher, ticket + size, &end) != 1 ||
        HMAC_Update(issued->mac, ticket, sizeof ticket) != 1 ||
        HMAC_Final(issued->mac, signed_with, &mac_size) != 1)
        return 0;
    if (HMAC_Update(offered->mac, ticket, sizeof ticket) != 1 ||
        HMAC_Final(offered->mac, checked_with, &mac_size) != 1 ||
        EVP_DecryptUpdate(offered->cipher, back, &size, ticket, sizeof ticket) != 1 ||
        EVP_DecryptFinal_ex(offered->cipher, back + size, &end) != 1)
        return 0;
    return memcmp(signed_with, checked_with, mac_size) == 0 && size + end == STATE_SIZE &&
           memcmp(state, back, STATE_SIZE) == 0;
}

// try_once makes a ticket and decrypts it, and learns the header.
static int try_once(struct caller *c)
{
    struct ticket issued, offered = {0};
    int ok = ticket_open(&issued, &c->offered) && call(c, &issued, 1) > 0;

    if (ok) {
        c->offered = issued.header;
        ok = ticket_open(&offered, &c->offered) && call(c, &offered, 0) > 0 &&
             comes_back(&issued, &offered);
    }
    ticket_close(&offered);
    ticket_close(&issued);
    ERR_clear_error();
    return ok;
}

static struct caller *caller_new(SSL_CTX *ctx)
{
    struct caller *c = OPENSSL_zalloc(sizeof *c);
    size_t place = place_of_callback();

    if (c == NULL)
        return NULL;
    if (place != 0)
        c->callback = (ticket_callback *)word_at(ctx, place);
    c->ssl = SSL_new(ctx);
    if (c->ssl != NULL)
        SSL_set_accept_state(c->ssl);
    return c;
}

static int caller_ready(struct caller *c)
{
    return c != NULL && c->ssl != NULL && c->callback != NULL && try_once(c);
}

extern void ssltest_empty_crossing(void);

static void caller_crosses(struct caller *c)
{
    c->also = ssltest_empty_crossing;
}

static void caller_free(struct caller *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    OPENSSL_free(c);
}
*/
import "C"

import (
	"testing"
	"time"
	"unsafe"
)

// A TicketCaller calls the ticket callback of an SSL_CTX as libssl does, with
// contexts that it makes for each ticket, but without a handshake around it.
// Each call is to the callback as if it was the first of a connection. It is
// for one goroutine at a time; one SSL_CTX may have many.
type TicketCaller struct {
	tb testing.TB
	c  *C.struct_caller
}

// NewTicketCaller finds the HMAC_CTX callback that is registered with ctx, an
// SSL_CTX, and ends the test unless it can make a ticket and decrypt it.
func NewTicketCaller(tb testing.TB, ctx unsafe.Pointer) *TicketCaller {
	tb.Helper()
	c := C.caller_new((*C.SSL_CTX)(ctx))
	tb.Cleanup(func() { C.caller_free(c) })
	if C.caller_ready(c) != 1 {
		tb.Fatal("ssltest: no callback that encrypts a ticket and decrypts it")
	}
	return &TicketCaller{tb, c}
}

// AlsoEnterGo adds to what Decrypt times a call of a Go function that does
// nothing: what nobody who asks Go in a callback can do without.
func (c *TicketCaller) AlsoEnterGo() { C.caller_crosses(c.c) }

// Decrypt asks n times for the key of a ticket, which encrypted when c was made.
// Before each call C code keeps the thread busy for so much work. It returns how
// long each call took, contexts left out.
func (c *TicketCaller) Decrypt(work time.Duration, n int) []time.Duration {
	c.tb.Helper()
	took := make([]time.Duration, n)
	c.check(int(C.decrypt(c.c, C.int64_t(work), C.long(n), (*C.int64_t)(unsafe.SliceData(took)))), n)
	return took
}

// EncryptAndDecrypt makes n times a ticket, and decrypts it: two calls.
func (c *TicketCaller) EncryptAndDecrypt(n int) {
	c.tb.Helper()
	c.check(int(C.encrypt_and_decrypt(c.c, C.long(n))), 2*n)
}

func (c *TicketCaller) check(got, want int) {
	c.tb.Helper()
	if got != want {
		c.tb.Errorf("ssltest: the callback set up contexts for %d tickets of %d", got, want)
	}
}
