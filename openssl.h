/*
 * openssl.h - the one place that knows OpenSSL's versions.
 *
 * stek never links libssl. Each function it calls is in the list below, with
 * its type from the headers, and is looked up in the libssl that the process
 * already has, 1.1.1 to 4.0. The code elsewhere calls ossl.NAME and has no #if
 * and no bare version number.
 */
#ifndef STEK_OPENSSL_H
#define STEK_OPENSSL_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/tls1.h>

#define OSSL_1_1_1 0x10101000UL
#define OSSL_3_0_0 0x30000000UL
#define OSSL_3_0_6 0x30000060UL
#define OSSL_3_2_0 0x30200000UL
#define OSSL_3_5_0 0x30500000UL
#define OSSL_4_0_0 0x40000000UL
#define OSSL_5_0_0 0x50000000UL
#define OSSL_IF_ANY 0xffffffffUL /* 4.0, or builds without deprecated functions, lack it */

/* The list: symbol, first version that must have it, why it is here. */
#define STEKC_OSSL_SYMBOLS(X)                                                            \
    X(SSL_CTX_callback_ctrl, OSSL_1_1_1, "registers the HMAC_CTX callback")              \
    X(SSL_CTX_set_tlsext_ticket_key_evp_cb, OSSL_3_0_0, "registers the EVP callback")    \
    X(SSL_CTX_set_session_ticket_cb, OSSL_1_1_1, "authentication time in the ticket")    \
    X(SSL_CTX_get_ssl_method, OSSL_1_1_1, "tells an SSL_CTX from another pointer")       \
    X(SSL_CTX_up_ref, OSSL_1_1_1, "tells a freed SSL_CTX, whose count is 0")              \
    X(SSL_CTX_free, OSSL_1_1_1, "gives that reference back")                             \
    X(SSL_CTX_set_ex_data, OSSL_1_1_1, "the context holds the store")                    \
    X(SSL_CTX_get_ex_data, OSSL_1_1_1, "the context holds the store")                    \
    X(SSL_CTX_get_options, OSSL_1_1_1, "report of what bypasses the callback")           \
    X(SSL_CTX_get_max_early_data, OSSL_1_1_1, "report of what bypasses the callback")    \
    X(SSL_CTX_get_num_tickets, OSSL_1_1_1, "report of what bypasses the callback")       \
    X(SSL_CTX_get_timeout, OSSL_1_1_1, "report of sessions that outlive their key")      \
    X(SSL_CTX_ctrl, OSSL_1_1_1, "report of contexts whose handshakes are jobs")          \
    X(ASYNC_get_current_job, OSSL_IF_ANY, "tells the stack of a job")                    \
    X(SSL_version, OSSL_1_1_1, "TLS 1.3 renews otherwise than TLS 1.2")                  \
    X(SSL_is_quic, OSSL_3_2_0, "SSL_version is 1 for QUIC")                              \
    X(SSL_session_reused, OSSL_1_1_1, "a renewal in TLS 1.2")                            \
    X(SSL_get_session, OSSL_1_1_1, "authentication time in the ticket")                  \
    X(SSL_SESSION_get_time, OSSL_1_1_1, "authentication time of foreign tickets")        \
    X(SSL_SESSION_set1_ticket_appdata, OSSL_1_1_1, "authentication time in the ticket")  \
    X(SSL_SESSION_get0_ticket_appdata, OSSL_1_1_1, "authentication time in the ticket")  \
    X(SSL_get_servername, OSSL_1_1_1, "server name when a ticket is encrypted")          \
    X(SSL_client_hello_get0_ext, OSSL_1_1_1, "server name when a ticket is decrypted")   \
    X(SSL_get_client_random, OSSL_1_1_1, "tells one ClientHello from the next")          \
    X(SSL_set_ex_data, OSSL_1_1_1, "scope of the ticket that a connection resumed")      \
    X(SSL_get_ex_data, OSSL_1_1_1, "scope of the ticket that a connection resumed")      \
    X(SSL_get_verify_mode, OSSL_1_1_1, "a ticket of a client that is verified has a scope") \
    X(SSL_CTX_get_verify_mode, OSSL_1_1_1, "tells whether any client is verified")       \
    X(SSL_get_SSL_CTX, OSSL_1_1_1, "the context that verifies a client")                 \
    X(SSL_SESSION_get0_peer, OSSL_1_1_1, "tells whose certificate a ticket holds")       \
    X(SSL_SESSION_get0_id_context, OSSL_1_1_1, "sessions that OpenSSL fails to resume")  \
    X(SSL_SESSION_get0_cipher, OSSL_1_1_1, "a resumed session's cipher is a permitted one") \
    X(SSL_get_ciphers, OSSL_1_1_1, "a resumed session's cipher is a permitted one")      \
    X(SSL_CIPHER_get_kx_nid, OSSL_1_1_1, "clients that are known by a key or a password") \
    X(SSL_get_verify_result, OSSL_1_1_1, "clients that are known by a key or a password") \
    X(SSL_CIPHER_get_id, OSSL_1_1_1, "a resumed session's cipher is a permitted one")    \
    X(OPENSSL_sk_num, OSSL_1_1_1, "a resumed session's cipher is a permitted one")       \
    X(OPENSSL_sk_value, OSSL_1_1_1, "a resumed session's cipher is a permitted one")     \
    X(SSL_ctrl, OSSL_1_1_1, "tells a renegotiation from a first handshake")              \
    X(SSL_get_rbio, OSSL_1_1_1, "tells one ClientHello from the next")                   \
    X(SSL_get_wbio, OSSL_1_1_1, "tells the hello after a HelloRetryRequest")             \
    X(BIO_number_read, OSSL_1_1_1, "tells one ClientHello from the next")                \
    X(BIO_number_written, OSSL_1_1_1, "tells the hello after a HelloRetryRequest")       \
    X(EVP_Digest, OSSL_1_1_1, "scopes of labels")                                        \
    X(CRYPTO_get_ex_new_index, OSSL_1_1_1, "ex_data")                                    \
    X(EVP_CIPHER_CTX_new, OSSL_1_1_1, "a cipher context to be copied")                   \
    X(EVP_CIPHER_CTX_free, OSSL_1_1_1, "a cipher context to be copied")                  \
    X(EVP_CIPHER_CTX_copy, OSSL_1_1_1, "cipher set-up by a copy")                        \
    X(EVP_CIPHER_CTX_get0_cipher, OSSL_3_0_0, "tells that no engine took it over")       \
    X(EVP_EncryptInit_ex, OSSL_1_1_1, "cipher set-up")                                   \
    X(EVP_DecryptInit_ex, OSSL_1_1_1, "cipher set-up")                                   \
    X(EVP_aes_128_cbc, OSSL_1_1_1, "cipher where none can be fetched")                   \
    X(EVP_aes_256_cbc, OSSL_1_1_1, "cipher where none can be fetched")                   \
    X(EVP_sha256, OSSL_1_1_1, "digest where none can be fetched")                        \
    X(EVP_CIPHER_fetch, OSSL_3_0_0, "cipher bound to the caller's library context")      \
    X(EVP_CIPHER_free, OSSL_3_0_0, "fetched ciphers are counted")                        \
    X(EVP_CIPHER_get0_provider, OSSL_3_0_0, "tells what other code a cipher may be")      \
    X(OSSL_PROVIDER_get0_name, OSSL_3_0_0, "tells what other code a cipher may be")       \
    X(EVP_CIPHER_meth_dup, OSSL_IF_ANY, "cipher whose sizes nobody is asked for")         \
    X(EVP_CIPHER_meth_free, OSSL_IF_ANY, "cipher whose sizes nobody is asked for")        \
    X(EVP_MD_fetch, OSSL_3_0_0, "digest bound to the caller's library context")          \
    X(EVP_MD_free, OSSL_3_0_0, "fetched digests are counted")                            \
    X(EVP_MAC_init, OSSL_3_0_0, "MAC set-up, EVP callback")                              \
    X(HMAC_Init_ex, OSSL_IF_ANY, "MAC set-up, HMAC_CTX callback")                        \
    X(RAND_bytes, OSSL_1_1_1, "IV of every ticket")                                      \
    X(RAND_bytes_ex, OSSL_3_0_0, "IV from the caller's library context")                 \
    X(ERR_clear_error, OSSL_1_1_1, "no error left behind")                               \
    X(ERR_peek_error, OSSL_1_1_1, "no error of a KeyStore left behind")                  \
    X(ERR_set_mark, OSSL_1_1_1, "error queue as found")                                  \
    X(ERR_pop_to_mark, OSSL_1_1_1, "error queue as found")                               \
    X(OpenSSL_version, OSSL_1_1_1, "tells OpenSSL from its forks")

/* Names that headers older than 3.2, or built without deprecated ones, lack. */
#if OPENSSL_VERSION_NUMBER < OSSL_3_0_0
typedef struct evp_mac_ctx_st EVP_MAC_CTX;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
typedef struct ossl_provider_st OSSL_PROVIDER;
typedef struct {
    const char *key;
    unsigned int data_type;
    void *data;
    size_t data_size;
    size_t return_size;
} OSSL_PARAM;
enum { OSSL_PARAM_UTF8_STRING = 4 };
#define STEKC_DUP_PARAMETER void *
#define OSSL_MAC_PARAM_DIGEST "digest"
#define OSSL_MAC_PARAM_PROPERTIES "properties"
EVP_CIPHER *EVP_CIPHER_fetch(OSSL_LIB_CTX *, const char *, const char *);
void EVP_CIPHER_free(EVP_CIPHER *);
const EVP_CIPHER *EVP_CIPHER_CTX_get0_cipher(const EVP_CIPHER_CTX *);
const OSSL_PROVIDER *EVP_CIPHER_get0_provider(const EVP_CIPHER *);
const char *OSSL_PROVIDER_get0_name(const OSSL_PROVIDER *);
EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *, const char *, const char *);
void EVP_MD_free(EVP_MD *);
int EVP_MAC_init(EVP_MAC_CTX *, const unsigned char *, size_t, const OSSL_PARAM[]);
int RAND_bytes_ex(OSSL_LIB_CTX *, unsigned char *, size_t, unsigned int);
int SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX *, int (*)(SSL *, unsigned char *, unsigned char *,
                                                            EVP_CIPHER_CTX *, EVP_MAC_CTX *, int));
#else
#define STEKC_DUP_PARAMETER void ** /* third parameter of CRYPTO_EX_dup */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#endif
#if OPENSSL_VERSION_NUMBER < OSSL_3_2_0
int SSL_is_quic(const SSL *);
#endif
#ifdef OPENSSL_NO_DEPRECATED_3_0
int HMAC_Init_ex(HMAC_CTX *, const void *, int, const EVP_MD *, ENGINE *);
#endif
#if OPENSSL_VERSION_NUMBER >= OSSL_4_0_0 || defined(OPENSSL_NO_DEPRECATED_3_0)
EVP_CIPHER *EVP_CIPHER_meth_dup(const EVP_CIPHER *);
void EVP_CIPHER_meth_free(EVP_CIPHER *);
#endif

/* SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, absent from builds without deprecated names. */
enum { STEKC_CTRL_TICKET_KEY_CB = 72 };
/* DTLS 1.3, absent from the headers of most versions. */
enum { STEKC_DTLS1_3 = 0xfefc };

/* The functions found, the version of the library, and its file. */
struct stekc_ossl {
#define X(symbol, since, why) __typeof__(&symbol) symbol;
    STEKC_OSSL_SYMBOLS(X)
#undef X
    unsigned long version;
    char path[256];
};

/* ossl is filled by stekc_ossl_bind and constant after its first success. */
extern struct stekc_ossl stekc_ossl;
#define ossl stekc_ossl

enum stekc_ossl_result {
    STEKC_OSSL_OK,
    STEKC_OSSL_ABSENT,  /* no libssl in this process */
    STEKC_OSSL_NOT_CTX, /* ctx is not an SSL_CTX of any libssl here */
    STEKC_OSSL_FOREIGN, /* ctx is of another libssl than the one bound */
    STEKC_OSSL_REFUSED  /* libssl is not supported */
};

/*
 * stekc_ossl_bind finds the libssl that made ctx, and binds to it if none is
 * bound yet. detail receives a sentence when the result is not OK. Any thread.
 * It may ask the dynamic linker, so it is called without a lock that a constructor
 * of a library could want.
 */
enum stekc_ossl_result stekc_ossl_bind(const void *ctx, char *detail, size_t size);

/* stekc_ossl_sends_malformed: TLS 1.3 and verdict 0 at encryption break the handshake. */
int stekc_ossl_sends_malformed(void);

/* stekc_ossl_copies_faster: to copy a cipher context costs less than to make one. */
int stekc_ossl_copies_faster(void);

#endif
