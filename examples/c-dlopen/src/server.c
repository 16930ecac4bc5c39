/*
 * server - an HTTPS server that uses libstek where the machine has it.
 *
 *     server cert.pem key.pem [libstek.so.0 [URI]]
 *
 * It is ../c-server in threads, reduced to show one thing: keys.c loads the
 * library by dlopen. Without it the server serves all the same, with the one
 * ticket key that OpenSSL makes at the start. SIGHUP rotates the ticket key,
 * SIGTERM ends the server.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "https.h"
#include "keys.h"
#include "signals.h"
#include "workers.h"

#define THREADS 4

static void on_signal(int signal)
{
    if (signal == SIGHUP)
        puts(keys_rotate() ? "reloaded, with a fresh ticket key" : "reloaded");
}

int main(int argc, char **argv)
{
    struct host host = {.listener = -1, .workers = THREADS, .on_signal = on_signal};
    int port = 0;
    bool good = false;

    if (argc < 3 || argc > 5) {
        fputs("usage: server CERT KEY [LIBRARY [URI]]\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    host.events = signals_open();
    host.context = https_context(argv[1], argv[2]);
    if (host.events < 0 || host.context == NULL)
        goto end;

    if (keys_open(argc > 3 ? argv[3] : "libstek.so.0", argc > 4 ? argv[4] : "memory:", host.context))
        puts("with libstek");

    host.listener = https_listen(&port);
    if (host.listener < 0)
        goto end;
    printf("listening on 127.0.0.1:%d\n", port);
    good = workers_run_threads(&host);

end:
    if (host.listener >= 0)
        close(host.listener);
    keys_close();
    SSL_CTX_free(host.context);
    signals_close();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
