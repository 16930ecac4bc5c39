/*
 * names_test.c - the server name that a ticket is bound to, and what one ClientHello may
 * cost: cases in which another ClientHello could be taken for this one.
 */
#define _GNU_SOURCE
#include "../../store.h"
#include "handshake.h"
#include "hello.h"

#include <openssl/rand.h>
#include <unistd.h>

static struct stekc_store *store;

static void publish(uint64_t newest, size_t count)
{
    struct stek_key *stage = stekc_table_stage(stekc_store_table(store));

    for (size_t i = 0; i < count; i++)
        stage[i] = test_key(newest - i, (int64_t)(newest - i), INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), count) == 0);
}

static SSL_CTX *attached(int64_t cap)
{
    struct stekc_options options = {.auth_age_cap = cap};
    struct stekc_report report;
    SSL_CTX *ctx = new_server();

    CHECK(SSL_CTX_set_session_id_context(ctx, (const void *)"server", 6) == 1);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    return ctx;
}

static const int64_t hour = INT64_C(3600) * 1000000000;

/* ---- the budget ---- */

enum { MANY = 100 };

static uint64_t looked_at(void)
{
    return stekc_table_counted_all(stekc_store_table(store)).accepted;
}

static uint64_t not_looked_at(void)
{
    return stekc_table_counted(stekc_store_table(store), STEK_COUNT_LIMITED);
}

static void feed(SSL *server, BIO *in, BIO *out, int with_share)
{
    unsigned char hello[1 << 16];
    struct stek_key key = test_key(10, 0, 0, 0);
    size_t size = raw_hello(hello, key.name, MANY, with_share);

    CHECK(BIO_write(in, hello, (int)size) == (int)size);
    ERR_clear_error();
    SSL_do_handshake(server);
    CHECK(BIO_pending(out) > 0);
    CHECK(BIO_reset(out) == 1);
}

static SSL *new_connection(SSL_CTX *ctx, BIO **in, BIO **out)
{
    SSL *server = SSL_new(ctx);

    *in = BIO_new(BIO_s_mem());
    *out = BIO_new(BIO_s_mem());
    CHECK(server != NULL && *in != NULL && *out != NULL);
    SSL_set_bio(server, *in, *out);
    SSL_set_accept_state(server);
    return server;
}

static void budget_covers_both_hellos_of_a_retry(void)
{
    SSL_CTX *ctx = attached(hour);
    uint64_t before = looked_at(), limited = not_looked_at();
    BIO *in, *out;
    SSL *server = new_connection(ctx, &in, &out);

    feed(server, in, out, 0);
    CHECK(looked_at() - before == 8 && not_looked_at() - limited == MANY - 8);
    feed(server, in, out, 1);
    CHECK(looked_at() - before == 8 && not_looked_at() - limited == 2 * MANY - 8);
    SSL_free(server);
    SSL_CTX_free(ctx);
}

/* Between the two this thread looks at the hellos of others, as an event loop does. */
static void budget_covers_both_with_others_between(void)
{
    enum { OTHERS = 20 };
    SSL_CTX *ctx = attached(hour);
    uint64_t before = looked_at();
    BIO *in, *out, *ins[OTHERS], *outs[OTHERS];
    SSL *server = new_connection(ctx, &in, &out), *others[OTHERS];

    feed(server, in, out, 0);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = new_connection(ctx, &ins[i], &outs[i]);
        feed(others[i], ins[i], outs[i], 0);
    }
    CHECK(looked_at() - before == 8 * (1 + OTHERS));
    feed(server, in, out, 1);
    CHECK(looked_at() - before == 8 * (1 + OTHERS));
    for (int i = 0; i < OTHERS; i++)
        SSL_free(others[i]);
    SSL_free(server);
    SSL_CTX_free(ctx);
}

/* A client that always sends the same random has 8 in each connection. */
static void budget_of_another_connection_is_its_own(void)
{
    SSL_CTX *ctx = attached(hour);

    for (int i = 0; i < 5; i++) {
        uint64_t before = looked_at();
        BIO *in, *out;
        SSL *server = new_connection(ctx, &in, &out);

        feed(server, in, out, 1);
        CHECK(looked_at() - before == 8);
        SSL_free(server);
    }
    SSL_CTX_free(ctx);
}

/* ---- a name that is kept ---- */

/* A client whose hellos all have one random. */
static int fixed;

static int random_bytes(unsigned char *out, int size)
{
    if (!fixed || size != 32)
        return RAND_OpenSSL()->bytes(out, size);
    memset(out, 7, 32);
    return 1;
}

static int always(void)
{
    return 1;
}

/* visit makes one connection on server, which may have had others, offers the session, and
   replaces *session. It returns whether that was resumed, or -1 if the handshake failed. */
static int visit(SSL *server, SSL_CTX *client_ctx, SSL_SESSION *offered, SSL_SESSION **session,
                 const char *name, int options)
{
    SSL *client = SSL_new(client_ctx);
    SSL_SESSION *ignored = NULL;
    BIO *one = NULL, *other = NULL;
    int done = 0, reused;

    CHECK(client != NULL && BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    SSL_set_options(client, (unsigned)options);
    CHECK(SSL_set_ex_data(client, 0, &ignored) == 1);
    CHECK(SSL_set_tlsext_host_name(client, name) == 1);
    if (offered != NULL)
        CHECK(SSL_set_session(client, offered) == 1);
    fixed = 1;
    SSL_do_handshake(client);
    fixed = 0;
    for (int i = 0; i < 10 && done != 3; i++) {
        done = (SSL_do_handshake(server) == 1) << 1;
        done |= SSL_do_handshake(client) == 1;
    }
    reused = done == 3 ? SSL_session_reused(server) : -1;
    ERR_clear_error();
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(client);
    SSL_SESSION_free(ignored);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    return reused;
}

static int has_ticket(SSL_SESSION *session)
{
    const unsigned char *ticket;
    size_t size;

    SSL_SESSION_get0_ticket(session, &ticket, &size);
    return size > 0;
}

static int visit_once(SSL_CTX *ctx, SSL_CTX *client, SSL_SESSION *offered, SSL_SESSION **session,
                      const char *name, int options)
{
    SSL *server = SSL_new(ctx);
    int reused;

    CHECK(server != NULL);
    reused = visit(server, client, offered, session, name, options);
    SSL_free(server);
    return reused;
}

/* A ticket of a.example is refused for its age. The same SSL then serves a client with the
   same random, who resumes a session of b.example by its id and asks for a ticket: that may
   be bound to b.example or not be issued, and never to a.example. */
static void name_of_an_earlier_handshake_is_not_used(void)
{
    static RAND_METHOD method = {NULL, random_bytes, NULL, NULL, random_bytes, always};
    SSL_CTX *ctx = attached(INT64_C(1200000000)), *client = new_client(TLS1_2_VERSION);
    SSL_SESSION *of_a = NULL, *of_b = NULL, *refused = NULL, *last = NULL;
    SSL *server;

    CHECK(RAND_set_rand_method(&method) == 1);
    publish(10, 1);
    CHECK(!visit_once(ctx, client, NULL, &of_a, "a.example", 0) && has_ticket(of_a));
    CHECK(!visit_once(ctx, client, NULL, &of_b, "b.example", SSL_OP_NO_TICKET));
    publish(11, 2);
    usleep(1300000);
    server = SSL_new(ctx);
    CHECK(server != NULL);
    CHECK(!visit(server, client, of_a, &refused, "a.example", 0));
    CHECK(SSL_clear(server) == 1);
    CHECK(visit(server, client, of_b, &last, "b.example", 0) == 1); /* by its id */
    SSL_free(server);
    if (has_ticket(last)) {
        SSL_CTX_flush_sessions(ctx, 0x7fffffff); /* as at another process */
        CHECK(!visit_once(ctx, client, last, &refused, "a.example", 0));
    }
    CHECK(RAND_set_rand_method(NULL) == 1);
    SSL_SESSION_free(of_a);
    SSL_SESSION_free(of_b);
    SSL_SESSION_free(refused);
    SSL_SESSION_free(last);
    SSL_CTX_free(client);
    SSL_CTX_free(ctx);
}

static SSL_CTX *leads_to;

static int on_servername(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    SSL_set_SSL_CTX(ssl, leads_to);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(leads_to), NULL);
    return SSL_TLSEXT_ERR_OK;
}

/* The same SSL and the same random, twice. That the first handshake was looked at is nothing
   to the second, whose name leads elsewhere. */
static void every_handshake_is_looked_at_for_itself(void)
{
    static RAND_METHOD method = {NULL, random_bytes, NULL, NULL, random_bytes, always};
    SSL_CTX *front = attached(hour), *open = attached(hour), *closed = attached(hour);
    SSL_CTX *client = new_client(TLS1_2_VERSION);
    SSL_SESSION *session = NULL, *last = NULL;
    SSL *server;

    CHECK(RAND_set_rand_method(&method) == 1);
    SSL_CTX_set_verify(closed, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_tlsext_servername_callback(front, on_servername);
    leads_to = open;
    server = SSL_new(front);
    CHECK(server != NULL);
    CHECK(visit(server, client, NULL, &session, "a.example", 0) == 0 && has_ticket(session));
    CHECK(SSL_clear(server) == 1);
    CHECK(visit(server, client, session, &last, "a.example", 0) == 1);
    leads_to = closed;
    CHECK(SSL_clear(server) == 1);
    CHECK(visit(server, client, last, &session, "a.example", 0) == -1);
    CHECK(RAND_set_rand_method(NULL) == 1);
    SSL_SESSION_free(session);
    SSL_SESSION_free(last);
    SSL_free(server);
    SSL_CTX_free(client);
    SSL_CTX_free(front);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* ---- names that differ ---- */

/* A TLS 1.2 client may send a zero byte behind its name, which OpenSSL finds only in a full
   handshake. HMAC fills keys up with zeros. */
static void every_byte_is_part_of_a_name(void)
{
    SSL_CTX *ctx = attached(hour), *client = new_client(TLS1_2_VERSION);
    SSL_SESSION *session = NULL;

    publish(10, 1);
    CHECK(!visit_once(ctx, client, NULL, &session, "a.example", 0));
    CHECK(resumes_under(ctx, client, session, "a.example", 9));
    CHECK(!resumes_under(ctx, client, session, "a.example\0", 10));
    CHECK(!resumes_under(ctx, client, session, "A.example", 9));
    CHECK(!resumes_under(ctx, client, session, "a.exampl", 8));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(ctx);
}

int main(void)
{
    unsigned refused;

    store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    CHECK(store != NULL);
    publish(10, 1);
    RUN(budget_covers_both_hellos_of_a_retry);
    RUN(budget_covers_both_with_others_between);
    RUN(budget_of_another_connection_is_its_own);
    RUN(name_of_an_earlier_handshake_is_not_used);
    RUN(every_byte_is_part_of_a_name);
    RUN(every_handshake_is_looked_at_for_itself); /* last: it verifies clients */
    stekc_store_close(store);
    return 0;
}
