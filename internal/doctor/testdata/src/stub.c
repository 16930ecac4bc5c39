/* A library that brings libssl into a program as libpq does. */
#include <openssl/ssl.h>

int stub(void);

int stub(void)
{
    return SSL_CTX_new(TLS_client_method()) == NULL;
}
