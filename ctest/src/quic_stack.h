/*
 * quic_stack.h - connections whose QUIC is not OpenSSL's own (SSL_set_quic_tls_cbs(3)), as in
 * nginx and HAProxy: such an SSL has no BIO. Messages go from one side to the other in memory.
 */
#ifndef STEK_TEST_QUIC_STACK_H
#define STEK_TEST_QUIC_STACK_H

#include "handshake.h"

#include <openssl/core_dispatch.h>

/* What one side has been sent and has not read yet: pieces, each of one secret. */
struct inbox {
    size_t first, count, size[64];
    unsigned char *piece[64];
    struct inbox *other; /* of the other side */
};

static inline void put_piece(struct inbox *inbox, const unsigned char *bytes, size_t size)
{
    size_t at = inbox->count++;

    CHECK(at < sizeof inbox->size / sizeof inbox->size[0]);
    inbox->piece[at] = malloc(size);
    CHECK(inbox->piece[at] != NULL);
    memcpy(inbox->piece[at], bytes, size);
    inbox->size[at] = size;
}

static inline void empty_inbox(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->count; i++)
        free(inbox->piece[i]);
    inbox->first = inbox->count = 0;
}

static int stack_sends(SSL *ssl, const unsigned char *bytes, size_t size, size_t *consumed,
                       void *own)
{
    (void)ssl;
    put_piece(((struct inbox *)own)->other, bytes, size);
    *consumed = size;
    return 1;
}

static int stack_reads(SSL *ssl, const unsigned char **bytes, size_t *size, void *own)
{
    struct inbox *inbox = own;

    (void)ssl;
    *size = 0;
    if (inbox->first < inbox->count) {
        *bytes = inbox->piece[inbox->first];
        *size = inbox->size[inbox->first];
    }
    return 1;
}

static int stack_releases(SSL *ssl, size_t size, void *own)
{
    struct inbox *inbox = own;

    (void)ssl;
    CHECK(size == inbox->size[inbox->first]);
    inbox->first++;
    return 1;
}

static int stack_gets_secret(SSL *ssl, uint32_t level, int direction, const unsigned char *secret,
                             size_t size, void *own)
{
    (void)ssl;
    (void)level;
    (void)direction;
    (void)secret;
    (void)size;
    (void)own;
    return 1;
}

static int stack_gets_parameters(SSL *ssl, const unsigned char *bytes, size_t size, void *own)
{
    (void)ssl;
    (void)bytes;
    (void)size;
    (void)own;
    return 1;
}

static int stack_gets_alert(SSL *ssl, unsigned char alert, void *own)
{
    (void)ssl;
    (void)alert;
    (void)own;
    return 1;
}

/* use_stack gives ssl the other half of QUIC. */
static inline void use_stack(SSL *ssl, struct inbox *own)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_SEND, (void (*)(void))stack_sends},
        {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RECV_RCD, (void (*)(void))stack_reads},
        {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RELEASE_RCD, (void (*)(void))stack_releases},
        {OSSL_FUNC_SSL_QUIC_TLS_YIELD_SECRET, (void (*)(void))stack_gets_secret},
        {OSSL_FUNC_SSL_QUIC_TLS_GOT_TRANSPORT_PARAMS, (void (*)(void))stack_gets_parameters},
        {OSSL_FUNC_SSL_QUIC_TLS_ALERT, (void (*)(void))stack_gets_alert},
        {0, NULL},
    };
    static const unsigned char parameters[] = {1, 1, 0};

    CHECK(ssl != NULL && SSL_set_quic_tls_cbs(ssl, functions, own) == 1);
    CHECK(SSL_set_quic_tls_transport_params(ssl, parameters, sizeof parameters) == 1);
}

/* stack_visit makes one connection with *session, which it replaces by the newest that the
   server sends, and tells whether it was resumed. */
static inline int stack_visit(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION **session,
                              const char *name)
{
    struct inbox of_server = {0}, of_client = {0};
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    int done = 0, reused;

    of_server.other = &of_client;
    of_client.other = &of_server;
    use_stack(server, &of_server);
    use_stack(client, &of_client);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, session) == 1);
    CHECK(SSL_set_tlsext_host_name(client, name) == 1);
    offer_copy(client, *session);
    for (int i = 0; i < 10 && done != 3; i++) {
        done = SSL_do_handshake(client) == 1;
        done |= (SSL_do_handshake(server) == 1) << 1;
    }
    CHECK(done == 3);
    SSL_read(client, NULL, 0); /* the tickets */
    reused = SSL_session_reused(server);
    CHECK(reused == SSL_session_reused(client));
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    SSL_free(server);
    empty_inbox(&of_server);
    empty_inbox(&of_client);
    return reused;
}

#endif
