/*
 * A client on wolfSSL. It takes the session of a connection for the next one.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static int dial(const char *host)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int fd;

    if (getaddrinfo(host, "8443", &hints, &found) != 0)
        return -1;
    fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* visit makes a connection with *session, unless it is NULL, and replaces it.
 * Returns 0, or 1 if something failed. */
static int visit(WOLFSSL_CTX *ctx, const char *host, WOLFSSL_SESSION **session)
{
    WOLFSSL *ssl = wolfSSL_new(ctx);
    int fd = dial(host);
    int failed = 1;
    char answer[4096];

    if (ssl == NULL || fd < 0)
        goto end;
    wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, "localhost", 9);
    wolfSSL_UseSessionTicket(ssl);
    if (*session != NULL)
        wolfSSL_set_session(ssl, *session);
    wolfSSL_set_fd(ssl, fd);
    if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
        fprintf(stderr, "handshake: error %d\n", wolfSSL_get_error(ssl, -1));
        goto end;
    }
    puts(wolfSSL_session_reused(ssl) ? "Reused" : "New");
    if (wolfSSL_write(ssl, request, (int)strlen(request)) <= 0)
        goto end;
    while (wolfSSL_read(ssl, answer, sizeof(answer)) > 0)
        ;
    wolfSSL_SESSION_free(*session);
    *session = wolfSSL_get1_session(ssl);
    failed = 0;
end:
    wolfSSL_free(ssl);
    if (fd >= 0)
        close(fd);
    return failed;
}

int main(int argc, char **argv)
{
    WOLFSSL_CTX *ctx;
    WOLFSSL_SESSION *session = NULL;
    char line[80];
    int failed;

    if (argc != 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(strcmp(argv[2], "1.2") == 0 ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
    if (ctx == NULL)
        return 1;
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    failed = visit(ctx, argv[1], &session);
    if (fgets(line, sizeof(line), stdin) == NULL)
        failed = 1;
    failed = failed || visit(ctx, argv[1], &session) || visit(ctx, argv[1], &session);
    wolfSSL_SESSION_free(session);
    wolfSSL_CTX_free(ctx);
    return failed;
}
