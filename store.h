/*
 * store.h - a store and a binding, as callback.c, store.c and attach.c see
 * them.
 */
#ifndef STEK_STORE_H
#define STEK_STORE_H

#include "callback.h"
#include "openssl.h"
#include "process.h"

#include <stdatomic.h>

struct stekc_store {
    struct stekc_table *table;
    struct stekc_ask ask;
    struct stekc_process maker; /* a forked child neither asks nor wipes */
    atomic_int closed;
    atomic_int references;
};

void stekc_store_hold(struct stekc_store *store);
void stekc_store_release(struct stekc_store *store);
int stekc_store_closed(const struct stekc_store *store);
int stekc_store_inherited(const struct stekc_store *store);

/* A cipher, and a context for it with a key of zeros, which is copied and gets another
   key before it encrypts anything; NULL where a copy costs more than a new context. */
struct stekc_cipher {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *blank;
    int is_method; /* EVP_CIPHER_meth_dup(3) made it, and it is of no provider */
};

/* What tickets are encrypted and authenticated with; algorithms.c. */
struct stekc_algorithms {
    struct stekc_cipher aes128, aes256;
    EVP_MD *sha256;
    int chosen; /* by a library context, properties, or a configuration that has another
                   provider than OpenSSL's default one, as for FIPS 140: nothing may go
                   past that provider */
};

/* stekc_algorithms_get looks them up in a library context; properties may be NULL, as
   for EVP_CIPHER_fetch(3). Returns 0 if one is not to be had, and no error is left in
   OpenSSL's queue. stekc_algorithms_free gives them back. */
int stekc_algorithms_get(struct stekc_algorithms *out, OSSL_LIB_CTX *context,
                         const char *properties);
void stekc_algorithms_free(struct stekc_algorithms *algorithms);

/* A scope is where a ticket may resume; zeros are no scope. ticket_scope.c. */
struct stekc_scope {
    uint64_t word[2];
};

/* Longest text that stands for a scope, in bytes. */
enum { STEKC_LABEL_MAX = 255 };

/*
 * A binding is one store with one set of options, and what the callback needs
 * to serve them. It has a trampoline of its own, so that the callback knows it
 * whatever SSL_CTX OpenSSL has switched to. Constant while a context holds it.
 */
struct stekc_binding {
    struct stekc_store *store;
    int references;
    int policy;
    int soft;
    int64_t auth_age_cap;
    OSSL_LIB_CTX *library_context;
    char *properties;
    char *name_group;
    char *data_form;
    struct stekc_scope data; /* of contexts that read the data in a ticket alike */
    struct stekc_algorithms algorithms;
};

/* One call of OpenSSL's ticket callback, see SSL_CTX_set_tlsext_ticket_key_cb(3). */
struct stekc_ticket {
    SSL *ssl;
    unsigned char *name, *iv; /* written if it encrypts */
    EVP_CIPHER_CTX *cipher;
    HMAC_CTX *hmac;   /* of one callback, */
    EVP_MAC_CTX *mac; /* or of the other; one of both is NULL */
    int encrypt;      /* a ticket is issued; else one was offered */
    int asked;        /* 0; set if a KeyStore is asked for its key */
    struct stekc_scope scope; /* zeros; set as soon as it is known */
};

/* stekc_callback answers that call for binding. Any thread. */
int stekc_callback(const struct stekc_binding *binding, struct stekc_ticket *ticket);

/* stekc_random fills out with random bytes of the binding's library context, and
   stekc_iv a fresh initialisation vector. Return 0 if OpenSSL has none. Any
   thread. */
int stekc_random(const struct stekc_binding *binding, unsigned char *out, size_t size);
int stekc_iv(const struct stekc_binding *binding, unsigned char iv[STEK_IV_SIZE]);

/* stekc_stamp writes the time of authentication into a ticket about to be
   encrypted; stekc_check_age refuses a ticket whose is too long ago, or whose session has
   a cipher that the connection may not use. Both are for
   SSL_CTX_set_session_ticket_cb(3); arg is the binding. */
int stekc_stamp(SSL *ssl, void *arg);
SSL_TICKET_RETURN stekc_check_age(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                  size_t name_size, SSL_TICKET_STATUS status, void *arg);

/*
 * stekc_scope_enter makes ctx a context with a scope of its own, which it keeps for life.
 * stekc_scope_label says, when ctx holds binding, that tickets of its verified clients are of
 * the scope of label, 1 to STEKC_LABEL_MAX bytes, or if that is NULL of its own; with NULL for
 * binding, that ctx holds none. Serialised by the caller. Both return 0 if there is no memory, or OpenSSL fails.
 */
int stekc_scope_enter(SSL_CTX *ctx, OSSL_LIB_CTX *library_context);
int stekc_scope_label(SSL_CTX *ctx, const struct stekc_binding *binding, const char *label);

/* stekc_scope_of_data is the scope that stands for a form of data in tickets; 0 if OpenSSL
   fails. stekc_scope_form writes a form that is of ctx alone. */
enum { STEKC_FORM_SIZE = 2 * sizeof(struct stekc_scope) + 1 };
int stekc_scope_of_data(const struct stekc_binding *binding, const char *form,
                        struct stekc_scope *out);
void stekc_scope_form(const SSL_CTX *ctx, char form[STEKC_FORM_SIZE]);

/* A fork waits for whoever holds the lock of scopes. No other is taken inside it. */
void stekc_scope_lock(void);
void stekc_scope_unlock(void);

/* The facts that a verdict rests on. */
struct stekc_facts {
    int encrypt;           /* 1 a ticket is issued, 0 a ticket is offered */
    enum stek_state state; /* of the key found */
    int tls13;
    int policy;
    int soft;
    int can_renew;         /* a fresh ticket could be encrypted now */
    int must_renew;        /* by that alone the session is checked again */
    int sends_malformed;   /* the library cannot decline in TLS 1.3 */
};

/* stekc_verdict is the verdict for facts; the only place that decides it. */
enum stek_verdict stekc_verdict(const struct stekc_facts *facts);

#endif
