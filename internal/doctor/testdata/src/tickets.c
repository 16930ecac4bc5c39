/* Says what OpenSSL's own configuration has made of tickets. */
#include <openssl/ssl.h>
#include <stdio.h>

int main(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL)
        return 1;
    printf("%s, %zu in TLS 1.3\n", SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET ? "off" : "on",
           SSL_CTX_get_num_tickets(ctx));
    SSL_CTX_free(ctx);
    return 0;
}
