/*
 * quic.h - servers, clients and connections of QUIC for the tests, over UDP on loopback, and
 * the part of matrix.h that there is in QUIC: no callback chooses another context there.
 */
#ifndef STEK_TEST_QUIC_H
#define STEK_TEST_QUIC_H

#include "matrix.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/quic.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                                  const unsigned char *in, unsigned size, void *argument)
{
    (void)ssl;
    (void)argument;
    *out = in + 1;
    *out_size = in[0];
    return size > 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A copy is kept: OpenSSL gives up a session whose connection is freed before it was shut
   down. */
static inline int keep_copy(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);

    CHECK(copy != NULL);
    keep_session(ssl, copy);
    return 0;
}

static inline SSL_CTX *new_quic_client(void)
{
    SSL_CTX *ctx = SSL_CTX_new(OSSL_QUIC_client_method());

    CHECK(ctx != NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_copy);
    return ctx;
}

/* A listener, and where it listens. */
struct listener {
    SSL *ssl;
    int file;
    struct sockaddr_in address;
};

static inline int udp_socket(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK(file >= 0 && bind(file, (struct sockaddr *)address, size) == 0);
    CHECK(getsockname(file, (struct sockaddr *)address, &size) == 0);
    return file;
}

static inline struct listener listen_on(SSL_CTX *ctx)
{
    struct listener listener;

    listener.file = udp_socket(&listener.address);
    listener.ssl = SSL_new_listener(ctx, 0);
    CHECK(listener.ssl != NULL && SSL_set_fd(listener.ssl, listener.file) == 1);
    CHECK(SSL_set_blocking_mode(listener.ssl, 0) == 1 && SSL_listen(listener.ssl) == 1);
    return listener;
}

static inline void end_listener(struct listener *listener)
{
    SSL_free(listener->ssl);
    close(listener->file);
}

/* A client that has not connected yet, and its socket. */
static inline SSL *new_quic_connection(SSL_CTX *ctx, const struct listener *listener,
                                       SSL_SESSION **session, const char *name, int *file)
{
    static const unsigned char protocol[] = "\4test";
    SSL *client = SSL_new(ctx);
    BIO_ADDR *address = BIO_ADDR_new();
    struct sockaddr_in own;

    *file = udp_socket(&own);
    CHECK(client != NULL && address != NULL);
    CHECK(BIO_ADDR_rawmake(address, AF_INET, &listener->address.sin_addr, sizeof own.sin_addr,
                           listener->address.sin_port) == 1);
    CHECK(SSL_set_fd(client, *file) == 1 && SSL_set_blocking_mode(client, 0) == 1);
    CHECK(SSL_set1_initial_peer_addr(client, address) == 1);
    CHECK(SSL_set_alpn_protos(client, protocol, sizeof protocol - 1) == 0);
    CHECK(SSL_set_ex_data(client, 0, session) == 1);
    if (name != NULL)
        CHECK(SSL_set_tlsext_host_name(client, name) == 1);
    offer_copy(client, *session);
    BIO_ADDR_free(address);
    return client;
}

/* fails tells that a handshake that returned result is over without success. */
static inline int fails(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);

    return result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

/* Both ends of a connection. */
struct quic_pair {
    SSL *server, *client, *stream;
    int file;
    int is_connected;
};

/* quic_connect makes one connection with *session, which it replaces by the newest that the
   server sends. The server writes a byte, which comes behind its tickets. */
static inline struct quic_pair quic_connect(struct listener *listener, SSL_CTX *client_ctx,
                                            SSL_SESSION **session, const char *name)
{
    enum { CLIENT_DONE = 1, SERVER_DONE = 2, BYTE_READ = 4, ALL = 7 };
    struct quic_pair pair = {0};
    time_t end = time(NULL) + 20;
    int done = 0, result;
    char byte = 'x';
    size_t n;

    pair.client = new_quic_connection(client_ctx, listener, session, name, &pair.file);
    while (done != ALL) {
        struct pollfd files[] = {{listener->file, POLLIN, 0}, {pair.file, POLLIN, 0}};

        CHECK(time(NULL) < end);
        ERR_clear_error();
        SSL_handle_events(listener->ssl);
        SSL_handle_events(pair.client);
        if (pair.server == NULL)
            pair.server = SSL_accept_connection(listener->ssl, SSL_ACCEPT_CONNECTION_NO_BLOCK);
        if (pair.server != NULL && !(done & SERVER_DONE)) {
            result = SSL_do_handshake(pair.server);
            if (fails(pair.server, result))
                break;
            if (result == 1 && SSL_write_ex(pair.server, &byte, 1, &n) == 1)
                done |= SERVER_DONE;
        }
        result = SSL_do_handshake(pair.client);
        if (fails(pair.client, result))
            break;
        if (result == 1)
            done |= CLIENT_DONE;
        if (done & CLIENT_DONE && pair.stream == NULL)
            pair.stream = SSL_accept_stream(pair.client, SSL_ACCEPT_STREAM_NO_BLOCK);
        if (pair.stream != NULL && !(done & BYTE_READ) &&
            SSL_read_ex(pair.stream, &byte, 1, &n) == 1)
            done |= BYTE_READ;
        else if (pair.stream != NULL && !(done & BYTE_READ) && fails(pair.stream, 0))
            break;
        if (done != ALL)
            poll(files, 2, 2);
    }
    ERR_clear_error();
    pair.is_connected = done == ALL;
    return pair;
}

static inline void quic_end(struct quic_pair *pair)
{
    SSL_free(pair->stream);
    SSL_free(pair->server);
    SSL_free(pair->client);
    close(pair->file);
    ERR_clear_error();
}

/* ---- clients that are verified ---- */

static inline SSL_CTX *quic_server_of(enum policy policy)
{
    SSL_CTX *ctx = server_by(OSSL_QUIC_server_method(), policy);

    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return ctx;
}

static inline SSL_CTX *quic_client_of(enum client who)
{
    SSL_CTX *ctx = new_quic_client();

    if (who != NOBODY) {
        CHECK(SSL_CTX_use_certificate(ctx, client_certificate[who]) == 1);
        CHECK(SSL_CTX_use_PrivateKey(ctx, client_key) == 1);
    }
    return ctx;
}

static inline struct outcome quic_visit(struct listener *listener, enum client who, SSL_SESSION **session,
                                 const char *name)
{
    struct outcome outcome = {REFUSED, NOBODY};
    SSL_CTX *ctx = quic_client_of(who);
    struct quic_pair pair = quic_connect(listener, ctx, session, name);

    if (pair.is_connected) {
        X509 *shown = SSL_get1_peer_certificate(pair.server);

        CHECK(SSL_session_reused(pair.server) == SSL_session_reused(pair.client));
        outcome.word = SSL_session_reused(pair.server) ? REUSED : NEW;
        outcome.seen = client_of_certificate(shown);
        X509_free(shown);
    }
    quic_end(&pair);
    SSL_CTX_free(ctx);
    return outcome;
}

/* is tells that a client without a certificate is served with that word. */
static inline int is(enum word word, struct listener *listener, SSL_SESSION **session, const char *name)
{
    return quic_visit(listener, NOBODY, session, name).word == word;
}

static inline int check_quic_square(enum policy from, enum policy to, int same, enum client who)
{
    SSL_CTX *first = quic_server_of(from), *second = same ? first : quic_server_of(to);
    struct listener of_first = listen_on(first), of_second = listen_on(second);
    int resumed = matrix_keys == STEK && from == to && (from == OPEN || from == LABELLED);
    struct outcome got, want = {REUSED, sees(from, who)};
    SSL_SESSION *session = NULL, *other = NULL;

    quic_visit(&of_first, who, &session, "a.example");
    if (!same) /* the name has led nowhere yet */
        quic_visit(&of_second, to == OTHER_CA ? OF_OTHER_CA : OF_CA, &other, "a.example");
    got = quic_visit(&of_second, who, &session, "a.example");
    if (!same && !resumed)
        want = (struct outcome){admits(to, who) ? NEW : REFUSED,
                                admits(to, who) ? sees(to, who) : NOBODY};
    if (got.word != want.word || got.seen != want.seen)
        fprintf(stderr, "%s: a ticket of \"%s\" at %s \"%s\", %s: %s as %s, want %s as %s\n",
                matrix_keys == STEK ? "stek" : "alone", policy_names[from], same ? "the same" : "another",
                policy_names[to], client_names[who], words[got.word], client_names[got.seen],
                words[want.word], client_names[want.seen]);
    SSL_SESSION_free(session);
    SSL_SESSION_free(other);
    end_listener(&of_first);
    end_listener(&of_second);
    if (!same)
        SSL_CTX_free(second);
    SSL_CTX_free(first);
    return got.word == want.word && got.seen == want.seen;
}

/* check_quic_matrix checks every square, of those policies alone that a bit is set for, and
   returns how many there were. */
static inline int check_quic_matrix(enum keys keys, unsigned policies)
{
    int squares = 0, right = 0;

    matrix_keys = keys;
    for (int from = 0; from < POLICIES; from++)
        for (int to = 0; to < POLICIES; to++)
            for (int who = 0; who < CLIENTS; who++) {
                if (!(policies >> from & 1) || !(policies >> to & 1) ||
                    !admits((enum policy)from, (enum client)who))
                    continue;
                for (int same = 0; same <= (from == to); same++, squares++)
                    right += check_quic_square((enum policy)from, (enum policy)to, same,
                                               (enum client)who);
            }
    CHECK(right == squares);
    return squares;
}

/* A servername callback of QUIC cannot choose a context, but whether clients are verified. */
static int asks;

static inline int choose_mode(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    CHECK(SSL_is_quic(ssl));
    SSL_set_verify(ssl, asks, NULL);
    return SSL_TLSEXT_ERR_OK;
}

static inline void a_callback_that_asks_for_a_certificate_gets_one(void)
{
    SSL_CTX *ctx = quic_server_of(REQUIRED);
    struct listener listener;
    SSL_SESSION *of_nobody = NULL, *of_client = NULL;
    struct outcome got;

    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_mode);
    listener = listen_on(ctx);
    asks = SSL_VERIFY_NONE;
    CHECK(is(NEW, &listener, &of_nobody, "a.example"));
    CHECK(is(REUSED, &listener, &of_nobody, "a.example"));
    asks = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    for (int i = 0; i < 5; i++)
        CHECK(is(REFUSED, &listener, &of_nobody, "a.example"));
    got = quic_visit(&listener, OF_CA, &of_nobody, "a.example");
    CHECK(got.word == NEW && got.seen == OF_CA);
    got = quic_visit(&listener, OF_CA, &of_client, "b.example");
    CHECK(got.word == NEW && got.seen == OF_CA);
    for (int i = 0; i < 2; i++) { /* the name may have to be met with a ticket first */
        got = quic_visit(&listener, OF_CA, &of_client, "b.example");
        CHECK(got.word != REFUSED && got.seen == OF_CA);
    }
    CHECK(got.word == REUSED);
    SSL_SESSION_free(of_nobody);
    SSL_SESSION_free(of_client);
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

#endif
