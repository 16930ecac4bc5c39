/*
 * servername.c - one function for each different servername callback of the server: which
 * of them OpenSSL calls is the only sign of which it would have called.
 */
#include "servername.h"
#include "../callback.h"

#include <stdatomic.h>
#include <stddef.h>

typedef int servername_callback(struct ssl_st *, int *, void *);

/* SSL_TLSEXT_ERR_ALERT_FATAL and SSL_AD_ACCESS_DENIED (RFC 8446 section 6.2), the same in
   all versions. */
enum { ALERT_FATAL = 2, ACCESS_DENIED = 49 };

enum { MOST = 16 };
static _Atomic(servername_callback *) behind[MOST];
static void (*_Atomic refused)(void);

static int call(int number, struct ssl_st *ssl, int *alert, void *argument)
{
    int answer;

    stekc_scope_hello(ssl);
    answer = atomic_load_explicit(&behind[number], memory_order_acquire)(ssl, alert, argument);
    if (answer == ALERT_FATAL || stekc_scope_settled(ssl))
        return answer;
    atomic_load(&refused)();
    *alert = ACCESS_DENIED;
    return ALERT_FATAL;
}

#define EACH(X)                                                                          \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define DEFINE(n)                                                                        \
    static int before_##n(struct ssl_st *ssl, int *alert, void *argument)                \
    {                                                                                    \
        return call(n, ssl, alert, argument);                                            \
    }
EACH(DEFINE)
#define NAME(n) before_##n,
static servername_callback *const before[MOST] = {EACH(NAME)};

/* number_of finds or takes the number of a callback; -1 if all are taken. */
static int number_of(servername_callback *callback)
{
    for (int i = 0; i < MOST; i++) {
        servername_callback *there = NULL;

        if (atomic_compare_exchange_strong(&behind[i], &there, callback) || there == callback)
            return i;
    }
    return -1;
}

any_function *servername_stand_before(any_function *callback, void (*on_refusal)(void))
{
    int number;

    if (callback == NULL)
        return NULL;
    atomic_store(&refused, on_refusal);
    number = number_of((servername_callback *)callback);
    if (number < 0) {
        stekc_scope_unwatch();
        return callback;
    }
    stekc_scope_switches();
    return (any_function *)before[number];
}
