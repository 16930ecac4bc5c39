#define _XOPEN_SOURCE 700

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "https.h"

#define REQUEST_BYTES 8192 /* the largest request */
#define PATIENCE_MS 10000  /* what a client gets for its request */

SSL_CTX *https_context(const char *cert_file, const char *key_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        SSL_CTX_free(context);
        return NULL;
    }
    /* Sessions live in their tickets alone: a cache is not shared by processes. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

int https_listen(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t size = sizeof(address);
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0 || fcntl(listener, F_SETFL, O_NONBLOCK) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("server: listen");
        if (listener >= 0)
            close(listener);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return listener;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* again waits until the call that returned result is worth another try. */
static bool again(SSL *ssl, int result, int64_t deadline)
{
    struct pollfd connection = {.fd = SSL_get_fd(ssl)};
    int ready;

    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        connection.events = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        connection.events = POLLOUT;
        break;
    default:
        return false;
    }
    do {
        int64_t left = deadline - now_ms();
        ready = left > 0 ? poll(&connection, 1, (int)left) : 0;
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static bool read_request(SSL *ssl, int64_t deadline)
{
    char request[REQUEST_BYTES + 1];
    size_t length = 0;

    while (length < REQUEST_BYTES) {
        int n = SSL_read(ssl, request + length, (int)(REQUEST_BYTES - length));
        if (n > 0) {
            length += (size_t)n;
            request[length] = '\0';
            if (strstr(request, "\r\n\r\n") != NULL)
                return true;
        } else if (!again(ssl, n, deadline)) {
            return false;
        }
    }
    return false;
}

static void write_answer(SSL *ssl, int64_t deadline)
{
    char text[80], answer[240];
    int n, length;

    length = snprintf(text, sizeof(text), "process %ld, %s, %s\n", (long)getpid(),
                      SSL_get_version(ssl), SSL_session_reused(ssl) ? "Reused" : "New");
    length = snprintf(answer, sizeof(answer),
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                      "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                      length, text);
    while ((n = SSL_write(ssl, answer, length)) <= 0) {
        if (!again(ssl, n, deadline))
            return;
    }
    SSL_shutdown(ssl);
}

static void answer_one(SSL_CTX *context, int connection)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    SSL *ssl = SSL_new(context);
    int n;

    /* What a client does wrong is its own affair: nothing is logged. */
    ERR_clear_error();
    if (ssl == NULL || fcntl(connection, F_SETFL, O_NONBLOCK) != 0 || SSL_set_fd(ssl, connection) != 1)
        goto end;
    while ((n = SSL_accept(ssl)) != 1) {
        if (!again(ssl, n, deadline))
            goto end;
    }
    if (read_request(ssl, deadline))
        write_answer(ssl, deadline);
end:
    SSL_free(ssl);
    close(connection);
}

void https_serve(SSL_CTX *context, int listener, int until)
{
    for (;;) {
        struct pollfd wait[] = {{.fd = until, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
        int connection;

        if (poll(wait, 2, -1) < 0)
            continue; /* a signal */
        if (wait[0].revents != 0)
            return;
        connection = accept(listener, NULL, NULL);
        if (connection >= 0)
            answer_one(context, connection);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        /* else another worker was faster, or the client has gone */
    }
}
