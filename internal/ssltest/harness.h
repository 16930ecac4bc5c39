#ifndef SSLTEST_HARNESS_H
#define SSLTEST_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/*
 * Handshakes between two SSL objects over memory BIOs, in one thread.
 *
 * Setting up a context is for one thread at a time; connecting is for any
 * number of threads at once. Every call leaves the thread's error queue empty.
 */

enum {
    SSLTEST_MAX_NAMES = 8,    /* entries of one server name switch */
    SSLTEST_MAX_ALERTS = 8,   /* alerts recorded in one connection */
    SSLTEST_MAX_TICKETS = 64, /* tickets recorded in one connection */
    SSLTEST_MAX_ERROR = 128   /* bytes of an error text, with its NUL */
};

/* What a connection is to do. All pointers are borrowed for the call. */
struct ssltest_options {
    const char *server_name; /* NULL: no server_name extension */
    const unsigned char *session; /* DER of an SSL_SESSION, or NULL */
    size_t session_len;
    const unsigned char *early; /* early data, or NULL */
    size_t early_len;
    int no_read_after;
};

struct ssltest_alert {
    int from_server;
    int level;
    int description;
};

struct ssltest_blob {
    unsigned char *data;
    size_t len;
};

/* What a connection did. Freed by ssltest_result_free. */
struct ssltest_result {
    int client_done, server_done;
    int client_reused, server_reused;
    int version;
    int hello_retry, server_hello;
    int echo;
    int early_accepted;
    size_t early_read;
    int handshake_queue, read_queue, write_queue;
    char client_error[SSLTEST_MAX_ERROR];
    char server_error[SSLTEST_MAX_ERROR];

    int alert_count;
    struct ssltest_alert alerts[SSLTEST_MAX_ALERTS];

    /* Ticket length of each NewSessionTicket, -1 if malformed. */
    int message_count;
    int messages[SSLTEST_MAX_TICKETS];

    int session_count;
    struct ssltest_blob sessions[SSLTEST_MAX_TICKETS];
    struct ssltest_blob last_session; /* with or without a ticket */

    const SSL_CTX *served_by; /* an address, not a reference */
};

/* Which verdicts the fixed ticket key callback returns, and what it sets up. */
struct ssltest_raw {
    int encrypt_verdict, decrypt_verdict;
    int set_cipher, set_mac;
    int evp;         /* EVP_MAC_CTX callback in place of HMAC_CTX */
    int leave_error; /* leave an error in the queue at each decryption */
};

/* A new context, to be freed with SSL_CTX_free; NULL on failure. */
SSL_CTX *ssltest_server_new(void);
SSL_CTX *ssltest_client_new(void);

/* These return 1 on success and 0 on failure. */
int ssltest_use_certificate(SSL_CTX *ctx, const unsigned char *cert, size_t cert_len,
                            const unsigned char *key, size_t key_len);
int ssltest_set_version(SSL_CTX *ctx, int version);
int ssltest_set_groups(SSL_CTX *ctx, const char *list);
void ssltest_set_timeout(SSL_CTX *ctx, long seconds);
void ssltest_set_session_cache(SSL_CTX *ctx, int on);
void ssltest_set_options(SSL_CTX *ctx, uint64_t options);
void ssltest_clear_options(SSL_CTX *ctx, uint64_t options);
void ssltest_set_async(SSL_CTX *ctx);
void ssltest_request_client_cert(SSL_CTX *ctx);

/* Adds a name to the switch of ctx. The target is borrowed. */
int ssltest_switch_add(SSL_CTX *ctx, const char *name, SSL_CTX *target);
/* Empties the switch and lets it work at the given place. */
void ssltest_switch_by_servername(SSL_CTX *ctx, int answer);
void ssltest_switch_by_client_hello(SSL_CTX *ctx);

/* Whether the library has the EVP_MAC_CTX callback. */
int ssltest_has_evp_callback(void);
int ssltest_set_raw(SSL_CTX *ctx, const struct ssltest_raw *raw);
void ssltest_raw_calls(SSL_CTX *ctx, long *encrypt, long *decrypt);

/* Makes one connection. NULL only when out of memory. */
struct ssltest_result *ssltest_connect(SSL_CTX *server, SSL_CTX *client,
                                       const struct ssltest_options *options);
/* Feeds records to a new server connection and takes one step. */
struct ssltest_result *ssltest_feed(SSL_CTX *server, const unsigned char *records, size_t len);
void ssltest_result_free(struct ssltest_result *result);

/* Lifetime hint in seconds of an SSL_SESSION's DER, -1 if it does not decode. */
long ssltest_session_hint(const unsigned char *der, size_t len);

#endif
