/*
 * trampoline.h - one distinct C function per binding and kind of callback.
 *
 * OpenSSL's setters take no user argument, and SSL_get_SSL_CTX inside the
 * callback names the wrong context under SNI. So the function itself is the
 * argument: trampoline n serves binding n. Included by attach.c alone.
 */
#ifndef STEK_TRAMPOLINE_H
#define STEK_TRAMPOLINE_H

#define EACH_16(X, p)                                                                    \
    X(p##0) X(p##1) X(p##2) X(p##3) X(p##4) X(p##5) X(p##6) X(p##7)                      \
    X(p##8) X(p##9) X(p##a) X(p##b) X(p##c) X(p##d) X(p##e) X(p##f)
#define EACH_256(X, p)                                                                   \
    EACH_16(X, p##0) EACH_16(X, p##1) EACH_16(X, p##2) EACH_16(X, p##3)                  \
    EACH_16(X, p##4) EACH_16(X, p##5) EACH_16(X, p##6) EACH_16(X, p##7)                  \
    EACH_16(X, p##8) EACH_16(X, p##9) EACH_16(X, p##a) EACH_16(X, p##b)                  \
    EACH_16(X, p##c) EACH_16(X, p##d) EACH_16(X, p##e) EACH_16(X, p##f)
#define EACH_BINDING(X) EACH_256(X, 0x0) EACH_256(X, 0x1) EACH_256(X, 0x2) EACH_256(X, 0x3)

enum { BINDINGS = 1024 };

static struct stekc_binding bindings[BINDINGS];

typedef int hmac_callback(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, HMAC_CTX *,
                          int);
typedef int evp_callback(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *,
                         EVP_MAC_CTX *, int);

#define DEFINE_TRAMPOLINES(n)                                                            \
    static int hmac_trampoline_##n(SSL *ssl, unsigned char *name, unsigned char *iv,     \
                                   EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, int encrypt)   \
    {                                                                                    \
        return stekc_callback(&bindings[n], &(struct stekc_ticket){                      \
            ssl, name, iv, cipher, mac, NULL, encrypt, 0, {{0, 0}}});                              \
    }                                                                                    \
    static int evp_trampoline_##n(SSL *ssl, unsigned char *name, unsigned char *iv,      \
                                  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt) \
    {                                                                                    \
        return stekc_callback(&bindings[n], &(struct stekc_ticket){                      \
            ssl, name, iv, cipher, NULL, mac, encrypt, 0, {{0, 0}}});                              \
    }
EACH_BINDING(DEFINE_TRAMPOLINES)

#define NAME_HMAC(n) hmac_trampoline_##n,
#define NAME_EVP(n) evp_trampoline_##n,
static hmac_callback *const hmac_trampolines[BINDINGS] = {EACH_BINDING(NAME_HMAC)};
static evp_callback *const evp_trampolines[BINDINGS] = {EACH_BINDING(NAME_EVP)};

#endif
