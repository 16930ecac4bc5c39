/*
 * next.h - the functions of libssl behind the interposed ones.
 *
 * A process can have several libssl, and one that is loaded privately
 * (RTLD_LOCAL) is in no search order. So each is told by what it made: a method
 * is a constant of its library, and a context knows its method.
 *
 * No header of OpenSSL's here: these declarations are the binary interface that
 * 1.1.1 to 4.x share where long has 64 bits.
 */
#ifndef STEK_NEXT_H
#define STEK_NEXT_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(long) == sizeof(uint64_t), "options are a long in 1.1.1, 64 bits since");

struct ssl_ctx_st;
struct ssl_st;
struct ssl_method_st;
struct ssl_session_st;
struct ossl_lib_ctx_st;

typedef void any_function(void);

/* One libssl. A pointer is NULL if it has no such function. */
struct next {
    uintptr_t begin, end; /* where the library is mapped */
    const struct ssl_method_st *client_method[4]; /* those that no server can use */
    struct ssl_ctx_st *(*SSL_CTX_new)(const struct ssl_method_st *);
    struct ssl_ctx_st *(*SSL_CTX_new_ex)(struct ossl_lib_ctx_st *, const char *,
                                         const struct ssl_method_st *);
    struct ssl_st *(*SSL_new)(struct ssl_ctx_st *);
    struct ssl_st *(*SSL_new_listener)(struct ssl_ctx_st *, uint64_t);
    struct ssl_st *(*SSL_new_domain)(struct ssl_ctx_st *, uint64_t);
    long (*SSL_CTX_callback_ctrl)(struct ssl_ctx_st *, int, any_function *);
    int (*SSL_CTX_set_tlsext_ticket_key_evp_cb)(struct ssl_ctx_st *, any_function *);
    int (*SSL_CTX_set_session_ticket_cb)(struct ssl_ctx_st *, any_function *, any_function *,
                                         void *);
    void (*SSL_CTX_set_cert_cb)(struct ssl_ctx_st *, any_function *, void *);
    void (*SSL_CTX_set_psk_server_callback)(struct ssl_ctx_st *, any_function *);
    void (*SSL_CTX_set_psk_find_session_callback)(struct ssl_ctx_st *, any_function *);
    int (*SSL_SESSION_get0_ticket_appdata)(struct ssl_session_st *, void **, size_t *);
    uint64_t (*SSL_CTX_set_options)(struct ssl_ctx_st *, uint64_t);
    uint64_t (*SSL_CTX_clear_options)(struct ssl_ctx_st *, uint64_t);
    int (*SSL_CTX_set_num_tickets)(struct ssl_ctx_st *, unsigned long);
    const struct ssl_method_st *(*SSL_CTX_get_ssl_method)(const struct ssl_ctx_st *);
    int (*SSL_CTX_set_ex_data)(struct ssl_ctx_st *, int, void *);
    void *(*SSL_CTX_get_ex_data)(const struct ssl_ctx_st *, int);
    int (*CRYPTO_get_ex_new_index)(int, long, void *, any_function *, any_function *,
                                   any_function *);
};

/* next_for_method is the libssl that method is of, next_for_context the one that
   made ctx. NULL if there is none. Any thread. Once a libssl is known the dynamic
   linker is not asked: its lock may be held for ever in a child that was forked
   beside threads. */
const struct next *next_for_method(const struct ssl_method_st *method);
const struct next *next_for_context(const struct ssl_ctx_st *ctx);

/* next_serves_only_clients tells that no server can use method. */
int next_serves_only_clients(const struct next *next, const struct ssl_method_st *method);

#endif
