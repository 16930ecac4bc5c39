/*
 * ticket.h - what callback.c must know of a ticket besides its key: the server name it
 * is bound to, where it may resume, how old its authentication is, and which ClientHello
 * offered it.
 */
#ifndef STEK_TICKET_H
#define STEK_TICKET_H

#include "store.h"

static inline void stekc_count(const struct stekc_binding *binding, enum stek_counter counter)
{
    stekc_table_count(binding->store->table, counter, NULL);
}

/* stekc_is_tls13: the connection speaks TLS 1.3, DTLS 1.3 or QUIC. */
int stekc_is_tls13(const SSL *ssl);

/* ---- the ClientHello, ticket_hello.c ---- */

/*
 * stekc_hello is a number for the ClientHello in progress, or the last one, made of its
 * client random: an SSL can make several handshakes. The second ClientHello after a
 * HelloRetryRequest has the same number. A client can repeat a random, so the number
 * alone never proves that two hellos are one. The low 8 bits are 0; 0 if it cannot be
 * told.
 */
uintptr_t stekc_hello(const SSL *ssl);

/* stekc_hello_may_cost spends one unit of the hello's budget for the ticket whose key
   name lies at name in it. It returns 0 if the budget is spent. */
int stekc_hello_may_cost(const SSL *ssl, const unsigned char *name);

/* stekc_hello_decrypted notes that a ticket of the hello was decrypted, and
   stekc_hello_was_decrypted tells so, once. A note can be lost, never invented. */
void stekc_hello_decrypted(const SSL *ssl);
int stekc_hello_was_decrypted(const SSL *ssl);

/* ---- the server name, ticket_name.c ---- */

/* stekc_name_offered writes the name, at most STEK_GROUP_MAX bytes, in the server_name
   extension of the ClientHello being processed (RFC 6066 section 3), as it was sent, and
   *size 0 without one. False if there is one that cannot be read. */
int stekc_name_offered(SSL *ssl, unsigned char *out, size_t *size);

/* stekc_name_keep keeps the offered name for the renewal that follows in the same flight:
   for a resumed TLS 1.2 session SSL_get_servername tells another, or none. */
void stekc_name_keep(SSL *ssl);

/* stekc_name_accepted writes, as stekc_name_offered does, the name that a ticket about to
   be issued belongs to. False for a TLS 1.2 session that was resumed under no known name:
   the ClientHello is gone, and a guess would bind the ticket wrongly. */
int stekc_name_accepted(SSL *ssl, unsigned char *out, size_t *size);

/* ---- the scope, ticket_scope.c ---- */

/* How many server names are remembered, with where they lead: 40 bytes for each that is
   met. Another number is for tests. */
#ifndef STEKC_NAMES
#define STEKC_NAMES 65536
#endif

/* What is known of the place where a ticket is offered or issued. */
enum stekc_place {
    STEKC_PLACE_KNOWN,
    STEKC_PLACE_UNKNOWN, /* the context, or where its server name leads, is not known */
    STEKC_PLACE_MARKED,  /* the server name has led to different contexts */
    STEKC_PLACE_WRONG,   /* the session was resumed where its ticket may not */
    STEKC_PLACE_USELESS  /* OpenSSL would fail to resume a session made here */
};

/* stekc_scope_offered writes to ticket the scope that a ticket must have to resume on this
   connection, as far as it can be told now. */
enum stekc_place stekc_scope_offered(struct stekc_ticket *ticket);

/* stekc_scope_assumed notes that a ticket of ticket->scope is about to be decrypted.
   False if there is no memory for that. */
int stekc_scope_assumed(const struct stekc_ticket *ticket);

/* stekc_scope_issued writes to ticket the scope of a ticket about to be issued. It is the
   last check of a session that was resumed. */
enum stekc_place stekc_scope_issued(struct stekc_ticket *ticket);

/* stekc_scope_needs_renewal tells that nothing but a renewal brings that last check
   about. */
int stekc_scope_needs_renewal(void);

#endif
