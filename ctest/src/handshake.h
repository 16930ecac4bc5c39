/*
 * handshake.h - servers, clients and connections for the C tests, over memory.
 */
#ifndef STEK_TEST_HANDSHAKE_H
#define STEK_TEST_HANDSHAKE_H

#include "check.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

/* certified gives ctx a key and a certificate. */
static inline SSL_CTX *certified(SSL_CTX *ctx)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    X509 *cert = X509_new();

    CHECK(ctx != NULL && maker != NULL && cert != NULL);
    CHECK(EVP_PKEY_keygen_init(maker) == 1);
    CHECK(EVP_PKEY_CTX_ctrl_str(maker, "ec_paramgen_curve", "P-256") == 1);
    CHECK(EVP_PKEY_keygen(maker, &key) == 1);
    CHECK(X509_set_version(cert, 2) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL);
    CHECK(X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL);
    CHECK(X509_set_pubkey(cert, key) == 1);
    CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    CHECK(SSL_CTX_use_certificate(ctx, cert) == 1);
    CHECK(SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(maker);
    return ctx;
}

static inline SSL_CTX *new_server(void)
{
    return certified(SSL_CTX_new(TLS_server_method()));
}

/* A client keeps its newest session, as SSL_CTX_sess_set_new_cb(3) tells it; in
   TLS 1.2 that leaves out renewals. */
static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_ex_data(ssl, 0);

    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

/* offer_copy lets a client offer a copy of session, if there is one. OpenSSL gives up a session
   of TLS 1.3 that was offered, also if no new ticket has come for it. */
static inline void offer_copy(SSL *client, SSL_SESSION *session)
{
    SSL_SESSION *copy = session != NULL ? SSL_SESSION_dup(session) : NULL;

    CHECK((session == NULL) == (copy == NULL));
    if (copy != NULL)
        CHECK(SSL_set_session(client, copy) == 1);
    SSL_SESSION_free(copy);
}

static inline SSL_CTX *new_client(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    CHECK(ctx != NULL);
    CHECK(SSL_CTX_set_min_proto_version(ctx, version) == 1);
    CHECK(SSL_CTX_set_max_proto_version(ctx, version) == 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    return ctx;
}

/* connect_on makes one connection to the server with *session, replaces it by
   the newest one the server sent, and tells whether it was resumed. */
static inline int connect_on(SSL *server, SSL_CTX *client_ctx, SSL_SESSION **session, const char *name)
{
    SSL *client = SSL_new(client_ctx);
    BIO *one = NULL, *other = NULL;
    char byte = 'x';
    int reused, done = 0;

    CHECK(client != NULL);
    CHECK(BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, session) == 1);
    CHECK(SSL_set_tlsext_host_name(client, name) == 1);
    if (*session != NULL)
        CHECK(SSL_set_session(client, *session) == 1);
    for (int i = 0; i < 10 && done != 3; i++) {
        done = SSL_do_handshake(client) == 1;
        done |= (SSL_do_handshake(server) == 1) << 1;
    }
    CHECK(done == 3);
    CHECK(SSL_write(server, &byte, 1) == 1);
    CHECK(SSL_read(client, &byte, 1) == 1);
    reused = SSL_session_reused(server);
    CHECK(reused == SSL_session_reused(client));
    if (SSL_version(client) == TLS1_2_VERSION) {
        SSL_SESSION_free(*session);
        *session = SSL_get1_session(client);
    }
    SSL_shutdown(client);
    SSL_shutdown(server);
    SSL_free(client);
    return reused;
}

static inline int connect_once(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION **session)
{
    SSL *server = SSL_new(server_ctx);
    int reused;

    CHECK(server != NULL);
    reused = connect_on(server, client_ctx, session, "a.example");
    SSL_free(server);
    return reused;
}

#endif
