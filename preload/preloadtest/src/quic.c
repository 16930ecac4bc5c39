/*
 * quic.c - a QUIC server that knows nothing of stek: alone, or under the preload library.
 *
 *     quic alone        OpenSSL's own keys
 *     quic stek         the library is loaded
 *     quic label        and STEK_CLIENT_AUTH is set, for contexts that decide alike
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

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    (void)ctx;
    (void)policy;
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "alone";
    unsigned open = 1u << OPEN, others = 1u << REQUIRED | 1u << OTHER_CA;
    int squares;

    matrix_start();
    if (strcmp(mode, "label") == 0)
        squares = check_quic_matrix(STEK, open | 1u << LABELLED);
    else if (strcmp(mode, "stek") == 0)
        squares = check_quic_matrix(STEK, open | others);
    else
        squares = check_quic_matrix(ALONE, open | others);
    if (strcmp(mode, "stek") == 0)
        a_callback_that_asks_for_a_certificate_gets_one();
    matrix_end();
    printf("%d squares\n", squares);
    return 0;
}
#endif
