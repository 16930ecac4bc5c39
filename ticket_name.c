/*
 * ticket_name.c - the server name that a ticket is bound to: the bytes that the client
 * sent, since servers tell names apart by their bytes.
 */
#include "ticket.h"

#include <string.h>

/* The name that was offered with the ticket that this thread looked at last. A TLS 1.2
   server that resumes a session renews its ticket before it reads anything more, so what
   was read by then tells that the flight is still the same. */
static _Thread_local struct {
    const SSL *ssl; /* NULL: nothing is kept */
    const BIO *input;
    uint64_t read;
    uintptr_t hello;
    size_t size; /* 0 if the client sent none */
    unsigned char name[STEK_GROUP_MAX];
} kept;

int stekc_name_offered(SSL *ssl, unsigned char *out, size_t *size)
{
    const unsigned char *data;
    size_t whole, list, length;

    *size = 0;
    if (ossl.SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &whole) != 1)
        return 1;
    if (whole < 5)
        return 0;
    list = (size_t)data[0] << 8 | data[1];
    length = (size_t)data[3] << 8 | data[4];
    if (list != whole - 2 || data[2] != TLSEXT_NAMETYPE_host_name || length != whole - 5 ||
        length == 0 || length > STEK_GROUP_MAX)
        return 0;
    memcpy(out, data + 5, length);
    *size = length;
    return 1;
}

static uint64_t read_by(const BIO *input)
{
    return input != NULL ? ossl.BIO_number_read((BIO *)input) : 0;
}

void stekc_name_keep(SSL *ssl)
{
    kept.ssl = stekc_name_offered(ssl, kept.name, &kept.size) ? ssl : NULL;
    kept.input = ossl.SSL_get_rbio(ssl);
    kept.read = read_by(kept.input);
    kept.hello = stekc_hello(ssl);
}

/* take_kept tells that a name is kept from this flight, which it is good for once. */
static int take_kept(const SSL *ssl)
{
    const BIO *input = ossl.SSL_get_rbio(ssl);

    if (kept.ssl != ssl)
        return 0;
    kept.ssl = NULL;
    return kept.input == input && kept.read == read_by(input) && kept.hello == stekc_hello(ssl);
}

int stekc_name_accepted(SSL *ssl, unsigned char *out, size_t *size)
{
    const char *name = ossl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int resumed12 = ossl.SSL_session_reused(ssl) && !stekc_is_tls13(ssl);
    int is_kept = take_kept(ssl);

    *size = name != NULL ? strlen(name) : 0;
    if (resumed12 && is_kept) {
        /* The session may know its own name. A ticket resumes under no other. */
        if (name != NULL && (*size != kept.size || memcmp(name, kept.name, kept.size) != 0))
            return 0;
        *size = kept.size;
        name = (const char *)kept.name;
    }
    if (*size > STEK_GROUP_MAX || (*size == 0 && resumed12 && !is_kept))
        return 0;
    if (*size > 0)
        memcpy(out, name, *size);
    return 1;
}
