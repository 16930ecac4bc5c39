/*
 * binding.h - a binding that no SSL_CTX holds, for calls of the callback without
 * a handshake around it.
 */
#ifndef STEK_TEST_BINDING_H
#define STEK_TEST_BINDING_H

#include "../../store.h"
#include "check.h"

static inline struct stekc_binding test_binding(struct stekc_store *store)
{
    struct stekc_binding binding = {
        .store = store,
        .auth_age_cap = INT64_C(86400000000000),
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
        .aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL),
        .sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL),
#else
        .aes256 = (EVP_CIPHER *)EVP_aes_256_cbc(),
        .sha256 = (EVP_MD *)EVP_sha256(),
#endif
    };

    CHECK(binding.aes256 != NULL && binding.sha256 != NULL);
    return binding;
}

static inline void test_binding_free(struct stekc_binding *binding)
{
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    EVP_CIPHER_free(binding->aes256);
    EVP_MD_free(binding->sha256);
#else
    (void)binding;
#endif
}

#endif
