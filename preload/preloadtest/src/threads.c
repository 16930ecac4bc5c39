/*
 * threads.c - threads that make contexts and connections at once. It is compiled with the
 * library's sources, for a look by ThreadSanitizer.
 */
#define _GNU_SOURCE
#include "visits.h"

#include <pthread.h>
#include <sys/prctl.h>

enum { THREADS = 4, ROUNDS = 15 };

static pthread_barrier_t together;

static void *work(void *argument)
{
    pthread_barrier_wait(&together);
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

/* The sanitizer does not survive a fork past libc beside threads, as that of an agent
   is: so that comes first. A parent of orphans gets no agent, and is told so. */
int main(int argc, char **argv)
{
    pthread_t thread[THREADS];

    if (argc > 1 && strcmp(argv[1], "parent-of-orphans") == 0)
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    else
        SSL_CTX_free(new_server());
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    visit_twice(new_server(), TLS1_3_VERSION);
    return 0;
}
