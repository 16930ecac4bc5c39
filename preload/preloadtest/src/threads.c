/*
 * threads.c - threads that make contexts and connections at once. It is compiled with the
 * library's sources, for a look by ThreadSanitizer.
 */
#include "visits.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 15 };

static void *work(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        SSL_CTX *server = new_server();

        for (int j = 0; j < 2; j++)
            SSL_free(SSL_new(server));
        SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
        CHECK(SSL_CTX_set_session_ticket_cb(server, NULL, NULL, NULL) == 1);
        SSL_CTX_free(server);
    }
    return argument;
}

int main(void)
{
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    visit_twice(new_server(), TLS1_3_VERSION);
    return 0;
}
