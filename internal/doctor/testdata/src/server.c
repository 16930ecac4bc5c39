/* Takes an SSL_CTX from libssl, as a server does. */
#include <openssl/ssl.h>

int main(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_free(ctx);
    return ctx == NULL;
}
