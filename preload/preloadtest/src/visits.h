/*
 * visits.h - connections that say what they saw.
 */
#ifndef STEK_TEST_VISITS_H
#define STEK_TEST_VISITS_H

#include "../../../ctest/src/handshake.h"

/* visit makes a connection and says whether it was resumed, and the first 4
   bytes of the name of the key of the ticket that the client has after it. */
static inline void visit(SSL_CTX *server, SSL_CTX *client, SSL_SESSION **session)
{
    const unsigned char *ticket = NULL;
    size_t size = 0;
    int reused = connect_once(server, client, session);

    if (*session != NULL)
        SSL_SESSION_get0_ticket(*session, &ticket, &size);
    printf("%s ", reused ? "Reused" : "New");
    for (size_t i = 0; i < 4 && i < size; i++)
        printf("%02x", ticket[i]);
    printf("\n");
    fflush(stdout);
}

/* visit_twice makes two visits of one client. */
static inline void visit_twice(SSL_CTX *server, int version)
{
    SSL_CTX *client = new_client(version);
    SSL_SESSION *session = NULL;

    visit(server, client, &session);
    visit(server, client, &session);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
}

#endif
