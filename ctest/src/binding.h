/*
 * binding.h - a binding that no SSL_CTX holds, for calls of the callback without
 * a handshake around it.
 */
#ifndef STEK_TEST_BINDING_H
#define STEK_TEST_BINDING_H

#include "../../store.h"
#include "check.h"

/* test_binding is for where a context was attached before: that finds OpenSSL. */
static inline struct stekc_binding test_binding(struct stekc_store *store)
{
    struct stekc_binding binding = {.store = store, .auth_age_cap = INT64_C(86400000000000)};

    CHECK(stekc_algorithms_get(&binding.algorithms, NULL, NULL));
    return binding;
}

/* always_copy lets bindings that are made from now on copy cipher contexts, where this
   OpenSSL can at all. */
static inline void always_copy(void)
{
    if (stekc_ossl.version >= OSSL_3_0_0)
        stekc_ossl.version = OSSL_3_5_0;
}

#endif
