/*
 * matrix.c - the matrix of matrix.h in a server that knows nothing of stek: alone, or under
 * the preload library.
 *
 *     matrix alone        OpenSSL's own keys
 *     matrix stek         the library is loaded
 *     matrix label        and STEK_CLIENT_AUTH is set, for contexts that decide alike
 *     ... data            the server keeps data of its own in its tickets
 */
#define _GNU_SOURCE
#include "../../../ctest/src/matrix.h"

static int keeps_data;

static int write_data(SSL *ssl, void *argument)
{
    (void)argument;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), "data", 4);
}

static SSL_TICKET_RETURN read_data(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t size, SSL_TICKET_STATUS status, void *argument)
{
    void *data;
    size_t data_size;

    (void)ssl;
    (void)name;
    (void)size;
    (void)argument;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    CHECK(SSL_SESSION_get0_ticket_appdata(session, &data, &data_size) == 1);
    CHECK(data_size == 4 && memcmp(data, "data", 4) == 0);
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    (void)policy;
    if (keeps_data)
        CHECK(SSL_CTX_set_session_ticket_cb(ctx, write_data, read_data, NULL) == 1);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "alone";
    unsigned all = (1u << POLICIES) - 1, labelled = 1u << LABELLED;
    int squares;

    keeps_data = count > 2;
    matrix_start();
    if (strcmp(mode, "label") == 0)
        squares = check_matrix(STEK, 1u << OPEN | labelled);
    else if (strcmp(mode, "stek") == 0)
        squares = check_matrix(STEK, all & ~labelled);
    else
        squares = check_matrix(ALONE, all & ~labelled);
    matrix_end();
    printf("%d squares\n", squares);
    return 0;
}
