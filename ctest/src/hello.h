/*
 * hello.h - ClientHellos (RFC 8446 section 4.1.2) that no client of OpenSSL's sends.
 */
#ifndef STEK_TEST_HELLO_H
#define STEK_TEST_HELLO_H

#include "check.h"

#include <openssl/ssl.h>

struct writer {
    unsigned char *at;
};

static inline void put8(struct writer *out, size_t value)
{
    *out->at++ = (unsigned char)value;
}

static inline void put16(struct writer *out, size_t value)
{
    put8(out, value >> 8);
    put8(out, value);
}

static inline void put_bytes(struct writer *out, const void *bytes, size_t size)
{
    memcpy(out->at, bytes, size);
    out->at += size;
}

/* An extension of 16-bit numbers. */
static inline void put_extension(struct writer *out, size_t type, size_t size)
{
    put16(out, type);
    put16(out, size);
}

static inline void set16(unsigned char *at, size_t value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

/* raw_hello writes a record with a hello of TLS 1.3 to out, which offers count tickets under
   the key called name, all with a wrong MAC, and returns its size. Without a share the
   server asks for another hello. Its random is always the same. */
static inline size_t raw_hello(unsigned char *out, const unsigned char *name, size_t count,
                               int with_share)
{
    enum { TICKET = 64, BINDER = 32 };
    /* The generator of P-256, which is a point on it. */
    static const unsigned char point[] = {
        0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
        0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
        0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
        0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
        0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    struct writer w = {out + 9};
    unsigned char *extensions;
    size_t identities = count * (2 + TICKET + 4), body;

    put16(&w, 0x0303); /* version, random, no session id, one cipher, no compression */
    for (size_t i = 0; i < 32; i++)
        put8(&w, i + 1);
    put8(&w, 0);
    put16(&w, 2);
    put16(&w, 0x1301);
    put16(&w, 0x0100);
    extensions = w.at;
    w.at += 2;
    put_extension(&w, 0, 14); /* server_name */
    put16(&w, 12);
    put8(&w, 0);
    put16(&w, 9);
    put_bytes(&w, "a.example", 9);
    put_extension(&w, 43, 3); /* supported_versions */
    put8(&w, 2);
    put16(&w, 0x0304);
    put_extension(&w, 10, 6); /* supported_groups: P-384, P-256 */
    put16(&w, 4);
    put16(&w, 0x0018);
    put16(&w, 0x0017);
    put_extension(&w, 13, 4); /* signature_algorithms */
    put16(&w, 2);
    put16(&w, 0x0403);
    put_extension(&w, 45, 2); /* psk_key_exchange_modes */
    put16(&w, 0x0101);
    put_extension(&w, 51, with_share ? 2 + 4 + sizeof point : 2); /* key_share */
    put16(&w, with_share ? 4 + sizeof point : 0);
    if (with_share) {
        put16(&w, 0x0017);
        put16(&w, sizeof point);
        put_bytes(&w, point, sizeof point);
    }
    put_extension(&w, 41, 2 + identities + 2 + 1 + BINDER); /* pre_shared_key */
    put16(&w, identities);
    for (size_t i = 0; i < count; i++) {
        put16(&w, TICKET);
        put_bytes(&w, name, STEK_NAME_SIZE);
        for (size_t j = STEK_NAME_SIZE; j < TICKET; j++)
            put8(&w, i + j);
        put16(&w, 0);
        put16(&w, 0);
    }
    put16(&w, 1 + BINDER);
    put8(&w, BINDER);
    for (size_t i = 0; i < BINDER; i++)
        put8(&w, i);
    set16(extensions, (size_t)(w.at - extensions) - 2);
    body = (size_t)(w.at - out) - 9;
    out[0] = 22; /* a handshake record with one client_hello */
    out[1] = 3;
    out[2] = 1;
    set16(out + 3, body + 4);
    out[5] = 1;
    out[6] = (unsigned char)(body >> 16);
    set16(out + 7, body);
    return body + 9;
}

/* extensions_of is where the size of the extensions lies in a record with a hello. */
static inline unsigned char *extensions_of(unsigned char *record)
{
    unsigned char *at = record + 9 + 2 + 32;

    at += 1 + at[0];
    at += 2 + ((size_t)at[0] << 8 | at[1]);
    return at + 1 + at[0];
}

/* rename_hello replaces the server name, which comes first of all extensions, in a record
   with a hello, and returns the record's size then. */
static inline size_t rename_hello(unsigned char *record, size_t size, const void *name,
                                  size_t name_size)
{
    unsigned char *extensions = extensions_of(record), *at = extensions + 2;
    size_t old;

    while (at[0] != 0 || at[1] != 0) /* server_name */
        at += 4 + ((size_t)at[2] << 8 | at[3]);
    old = (size_t)at[7] << 8 | at[8];
    memmove(at + 9 + name_size, at + 9 + old, size - (size_t)(at + 9 + old - record));
    memcpy(at + 9, name, name_size);
    set16(at + 7, name_size);
    set16(at + 4, name_size + 3);
    set16(at + 2, name_size + 5);
    set16(extensions, ((size_t)extensions[0] << 8 | extensions[1]) + name_size - old);
    size += name_size - old;
    set16(record + 3, size - 5);
    set16(record + 7, size - 9);
    return size;
}

/* resumes_under tells whether a server takes up a session of TLS 1.2 that is offered under
   that name, of any bytes. */
static inline int resumes_under(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION *session,
                                const void *name, size_t name_size)
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    unsigned char record[1 << 14];
    int size, reused;

    CHECK(server != NULL && client != NULL && to_server != NULL && to_client != NULL);
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(client, to_client, to_server);
    SSL_set_bio(server, to_server, to_client);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    CHECK(SSL_set_tlsext_host_name(client, "x") == 1);
    CHECK(SSL_set_session(client, session) == 1);
    SSL_do_handshake(client);
    size = BIO_read(to_server, record, sizeof record - 256);
    CHECK(size > 0);
    size = (int)rename_hello(record, (size_t)size, name, name_size);
    CHECK(BIO_write(to_server, record, size) == size);
    SSL_do_handshake(server);
    reused = SSL_session_reused(server);
    SSL_free(server);
    SSL_free(client);
    return reused;
}

#endif
