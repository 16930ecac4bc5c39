/*
 * quic.c - a QUIC server that knows nothing of stek: alone, or under the preload library.
 *
 *     quic alone        OpenSSL's own keys
 *     quic stek         the library is loaded
 *     quic label        and STEK_CLIENT_AUTH is set, for contexts that decide alike
 *     quic late         and tickets are forced: what a server does before its first connection
 */
#define _GNU_SOURCE
#include <openssl/opensslv.h>

#include <stdio.h>

#if OPENSSL_VERSION_NUMBER < 0x30500000L || defined(OPENSSL_NO_QUIC)
int main(void)
{
    puts("this OpenSSL has no QUIC server");
    return 0;
}
#else
#include "../../../ctest/src/quic.h"

#include <dlfcn.h>

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    (void)ctx;
    (void)policy;
}

/* look_late takes the callback away, by a pointer from libssl's own handle, and switches
   tickets off. */
static void look_late(void)
{
    SSL_CTX *ctx = quic_server_of(OPEN);
    long (*control)(SSL_CTX *, int, void (*)(void));
    SSL_SESSION *session = NULL;
    struct listener first, second;
    Dl_info libssl;
    void *symbol;

    CHECK(dladdr((const void *)SSL_CTX_get_ssl_method(ctx), &libssl) != 0);
    symbol = dlsym(dlopen(libssl.dli_fname, RTLD_LAZY | RTLD_NOLOAD), "SSL_CTX_callback_ctrl");
    CHECK(symbol != NULL);
    memcpy(&control, &symbol, sizeof symbol);
    CHECK(control(ctx, SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, NULL) == 1);
    CHECK(SSL_CTX_set_num_tickets(ctx, 0) == 1);
    first = listen_on(ctx);
    CHECK(is(NEW, &first, &session, "a.example"));
    CHECK(session != NULL);
    end_listener(&first);
    SSL_CTX_free(ctx);
    ctx = quic_server_of(OPEN); /* it has the keys of stek, too */
    second = listen_on(ctx);
    CHECK(is(REUSED, &second, &session, "a.example"));
    SSL_SESSION_free(session);
    end_listener(&second);
    SSL_CTX_free(ctx);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "alone";
    unsigned open = 1u << OPEN, others = 1u << REQUIRED | 1u << OTHER_CA;
    int squares = 0;

    matrix_start();
    if (strcmp(mode, "label") == 0)
        squares = check_quic_matrix(STEK, open | 1u << LABELLED);
    else if (strcmp(mode, "stek") == 0)
        squares = check_quic_matrix(STEK, open | others);
    else if (strcmp(mode, "late") == 0)
        look_late();
    else
        squares = check_quic_matrix(ALONE, open | others);
    if (strcmp(mode, "stek") == 0)
        a_callback_that_asks_for_a_certificate_gets_one();
    matrix_end();
    printf("%d squares\n", squares);
    return 0;
}
#endif
