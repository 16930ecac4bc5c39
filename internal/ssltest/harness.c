#include "harness.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/tls1.h>

/* The EVP_MAC_CTX callback came with 3.0. */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
# define SSLTEST_HAS_EVP 1
# include <openssl/core_names.h>
# include <openssl/params.h>
#else
# define SSLTEST_HAS_EVP 0
#endif

/* SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, missing from no-deprecated headers. */
enum { SET_TICKET_KEY_CB = 72 };

/* Handshake messages, RFC 8446 section 4. */
enum { SERVER_HELLO = 2, NEW_SESSION_TICKET = 4, MESSAGE_HEADER = 4 };

enum { MAX_STEPS = 32, MAX_NAME = 256, MAX_EARLY = 16384 };

/* ---- State of a context ---- */

struct switch_entry {
    char name[MAX_NAME];
    SSL_CTX *target;
};

/* What the harness keeps with an SSL_CTX: fixed while connections run. */
struct state {
    int switch_count;
    int switch_answer;
    struct switch_entry entries[SSLTEST_MAX_NAMES];
    struct ssltest_raw raw;
    atomic_long encrypt_calls, decrypt_calls;
};

static CRYPTO_ONCE state_once = CRYPTO_ONCE_STATIC_INIT;
static int state_index = -1;

static void free_state(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                       void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    free(ptr);
}

static void new_state_index(void)
{
    state_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_state);
}

static struct state *state_of(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, state_index);
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    struct state *state = NULL;
    SSL_CTX *ctx = NULL;

    if (!CRYPTO_THREAD_run_once(&state_once, new_state_index) || state_index < 0)
        return NULL;
    if ((state = calloc(1, sizeof(*state))) == NULL)
        return NULL;
    if ((ctx = SSL_CTX_new(method)) == NULL || SSL_CTX_set_ex_data(ctx, state_index, state) != 1) {
        SSL_CTX_free(ctx);
        free(state);
        ERR_clear_error();
        return NULL;
    }
    return ctx;
}

/* ---- One side of a connection ---- */

struct peer {
    SSL *ssl;
    SSL_CTX *accepting; /* the server's context before any switch */
    struct ssltest_result *result;
    int is_server;
    int done, failed;
    int early_over; /* SSL_read_early_data has said FINISH */
};

static char *error_of(struct peer *peer)
{
    return peer->is_server ? peer->result->server_error : peer->result->client_error;
}

static void fail(struct peer *peer, const char *why)
{
    if (!peer->failed)
        snprintf(error_of(peer), SSLTEST_MAX_ERROR, "%s", why);
    peer->failed = 1;
}

/* Empties the thread's error queue; *first is its oldest error, or 0. */
static int drain_errors(unsigned long *first)
{
    unsigned long e;
    int count = 0;

    *first = 0;
    while ((e = ERR_get_error()) != 0) {
        if (count++ == 0)
            *first = e;
    }
    return count;
}

/*
 * Looks at what a call on the peer's SSL returned, as an application does:
 * with SSL_get_error. Errors left behind by a call that went well are added
 * to *queue.
 */
static void settle(struct peer *peer, int ret, int *queue)
{
    const char *reason = NULL;
    char text[SSLTEST_MAX_ERROR];
    unsigned long first = 0;
    int code = SSL_get_error(peer->ssl, ret);
    int left = drain_errors(&first);

    if (peer->is_server && (ret > 0 || SSL_want_read(peer->ssl)))
        *queue += left;
    if (ret > 0 || code == SSL_ERROR_WANT_READ)
        return;
    if (first != 0)
        reason = ERR_reason_error_string(first);
    if (reason == NULL) {
        snprintf(text, sizeof(text), "SSL_get_error %d, error %lx", code, first);
        reason = text;
    }
    fail(peer, reason);
}

/* ---- Callbacks that record ---- */

static int ticket_length(int version, const unsigned char *body, size_t len)
{
    size_t at = 4; /* lifetime hint; RFC 5077 section 3.3 */
    size_t ticket;

    if (version == TLS1_3_VERSION) { /* RFC 8446 section 4.6.1 */
        at = 8; /* lifetime, age_add */
        if (len < at + 1)
            return -1;
        at += 1 + (size_t)body[at]; /* nonce */
    }
    if (len < at + 2)
        return -1;
    ticket = ((size_t)body[at] << 8) | body[at + 1];
    return len - at - 2 >= ticket ? (int)ticket : -1;
}

static int is_hello_retry(const unsigned char *hello, size_t len)
{
    /* SHA-256 of "HelloRetryRequest", RFC 8446 section 4.1.3 */
    static const unsigned char random[32] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

    return len >= 2 + sizeof(random) && memcmp(hello + 2, random, sizeof(random)) == 0;
}

static void record_handshake(struct peer *peer, const unsigned char *msg, size_t len)
{
    struct ssltest_result *result = peer->result;

    if (len < MESSAGE_HEADER)
        return;
    if (msg[0] == SERVER_HELLO) {
        if (is_hello_retry(msg + MESSAGE_HEADER, len - MESSAGE_HEADER))
            result->hello_retry = 1;
        else
            result->server_hello = 1;
    } else if (msg[0] == NEW_SESSION_TICKET && !peer->is_server) {
        if (result->message_count == SSLTEST_MAX_TICKETS) {
            fail(peer, "more tickets than the harness records");
            return;
        }
        result->messages[result->message_count++] =
            ticket_length(SSL_version(peer->ssl), msg + MESSAGE_HEADER, len - MESSAGE_HEADER);
    }
}

/* The client records the messages it gets and a bare server those it sends. */
static void on_message(int sent, int version, int type, const void *buf, size_t len, SSL *ssl,
                       void *arg)
{
    struct peer *peer = arg;
    struct ssltest_result *result = peer->result;
    const unsigned char *msg = buf;

    (void)version, (void)ssl;
    if (type == SSL3_RT_HANDSHAKE && sent == peer->is_server) {
        record_handshake(peer, msg, len);
    } else if (type == SSL3_RT_ALERT && sent && len == 2) {
        if (msg[1] == SSL_AD_CLOSE_NOTIFY || result->alert_count == SSLTEST_MAX_ALERTS)
            return;
        result->alerts[result->alert_count].from_server = peer->is_server;
        result->alerts[result->alert_count].level = msg[0];
        result->alerts[result->alert_count].description = msg[1];
        result->alert_count++;
    }
}

static void encode_session(struct peer *peer, SSL_SESSION *session, struct ssltest_blob *blob)
{
    unsigned char *out;
    int len;

    if ((len = i2d_SSL_SESSION(session, NULL)) <= 0 || (out = malloc((size_t)len)) == NULL) {
        fail(peer, "session does not encode");
        return;
    }
    blob->data = out;
    blob->len = (size_t)i2d_SSL_SESSION(session, &out);
}

static void keep_session(struct peer *peer, SSL_SESSION *session)
{
    struct ssltest_result *result = peer->result;

    if (!SSL_SESSION_has_ticket(session))
        return;
    if (result->session_count == SSLTEST_MAX_TICKETS)
        fail(peer, "more tickets than the harness records");
    else
        encode_session(peer, session, &result->sessions[result->session_count++]);
}

/*
 * TLS 1.3 calls this for each ticket. TLS 1.2 does not call it for a ticket
 * renewed in a resumption: there the session is asked for after the handshake.
 */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct peer *peer = SSL_get_app_data(ssl);

    if (peer != NULL && SSL_version(ssl) == TLS1_3_VERSION)
        keep_session(peer, session);
    return 0;
}

/* ---- Setting up contexts ---- */

SSL_CTX *ssltest_server_new(void)
{
    return context_new(TLS_server_method());
}

SSL_CTX *ssltest_client_new(void)
{
    SSL_CTX *ctx = context_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    return ctx;
}

int ssltest_use_certificate(SSL_CTX *ctx, const unsigned char *cert, size_t cert_len,
                            const unsigned char *key, size_t key_len)
{
    int ok = cert_len <= INT_MAX && key_len <= INT_MAX
        && SSL_CTX_use_certificate_ASN1(ctx, (int)cert_len, cert) == 1
        && SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, ctx, key, (long)key_len) == 1
        && SSL_CTX_check_private_key(ctx) == 1;

    ERR_clear_error();
    return ok;
}

int ssltest_set_version(SSL_CTX *ctx, int version)
{
    int ok = SSL_CTX_set_min_proto_version(ctx, version) == 1
        && SSL_CTX_set_max_proto_version(ctx, version) == 1;

    ERR_clear_error();
    return ok;
}

int ssltest_set_groups(SSL_CTX *ctx, const char *list)
{
    int ok = SSL_CTX_set1_groups_list(ctx, (char *)list) == 1;

    ERR_clear_error();
    return ok;
}

void ssltest_set_timeout(SSL_CTX *ctx, long seconds)
{
    SSL_CTX_set_timeout(ctx, seconds);
}

void ssltest_set_session_cache(SSL_CTX *ctx, int on)
{
    SSL_CTX_set_session_cache_mode(ctx, on ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
}

/* The type of options grew from unsigned long to uint64_t in 3.0. */
void ssltest_set_options(SSL_CTX *ctx, uint64_t options)
{
    SSL_CTX_set_options(ctx, options);
}

void ssltest_set_async(SSL_CTX *ctx)
{
    SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
}

void ssltest_clear_options(SSL_CTX *ctx, uint64_t options)
{
    SSL_CTX_clear_options(ctx, options);
}

static int accept_any_cert(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

void ssltest_request_client_cert(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any_cert);
}

/* ---- Server names ---- */

static SSL_CTX *switch_target(const struct state *state, const char *name, size_t len)
{
    for (int i = 0; i < state->switch_count; i++) {
        if (strlen(state->entries[i].name) == len && memcmp(state->entries[i].name, name, len) == 0)
            return state->entries[i].target;
    }
    return NULL;
}

int ssltest_switch_add(SSL_CTX *ctx, const char *name, SSL_CTX *target)
{
    struct state *state = state_of(ctx);
    struct switch_entry *entry = &state->entries[state->switch_count];

    if (state->switch_count == SSLTEST_MAX_NAMES || strlen(name) >= sizeof(entry->name))
        return 0;
    memcpy(entry->name, name, strlen(name) + 1);
    entry->target = target;
    state->switch_count++;
    return 1;
}

static int on_servername(SSL *ssl, int *alert, void *arg)
{
    const struct state *state = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *target = name == NULL ? NULL : switch_target(state, name, strlen(name));

    (void)alert;
    if (target != NULL && SSL_set_SSL_CTX(ssl, target) == NULL)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return state->switch_answer;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    /* RFC 6066 section 3: list length, name type, name length, name */
    enum { NAME_OFFSET = 5 };
    const struct state *state = arg;
    const unsigned char *ext = NULL;
    SSL_CTX *target = NULL;
    size_t len = 0, name_len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) != 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (len < NAME_OFFSET || ext[2] != TLSEXT_NAMETYPE_host_name)
        return SSL_CLIENT_HELLO_SUCCESS;
    name_len = ((size_t)ext[3] << 8) | ext[4];
    if (name_len > len - NAME_OFFSET)
        return SSL_CLIENT_HELLO_SUCCESS;
    target = switch_target(state, (const char *)ext + NAME_OFFSET, name_len);
    if (target != NULL && SSL_set_SSL_CTX(ssl, target) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

void ssltest_switch_by_servername(SSL_CTX *ctx, int answer)
{
    struct state *state = state_of(ctx);

    state->switch_count = 0;
    state->switch_answer = answer;
    SSL_CTX_set_client_hello_cb(ctx, NULL, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
    SSL_CTX_set_tlsext_servername_arg(ctx, state);
}

void ssltest_switch_by_client_hello(SSL_CTX *ctx)
{
    struct state *state = state_of(ctx);

    state->switch_count = 0;
    SSL_CTX_set_tlsext_servername_callback(ctx, NULL);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, state);
}

/* ---- The fixed ticket key callback ---- */

enum { RAW_NAME = 16, RAW_IV = 16, RAW_KEY = 32 };

/* One byte longer each, for the NUL. */
static const unsigned char raw_name[RAW_NAME + 1] = "raw ticket key..";
static const unsigned char raw_aes[RAW_KEY + 1] = "an aes key that guards no secret";
static const unsigned char raw_hmac[RAW_KEY + 1] = "a hmac key that guards no secret";

/* Counts the call, sets up the cipher and returns the state; NULL on failure. */
static const struct state *raw_cipher(SSL *ssl, unsigned char *name, unsigned char *iv,
                                      EVP_CIPHER_CTX *cipher, int enc)
{
    const struct peer *peer = SSL_get_app_data(ssl);
    struct state *state = state_of(peer->accepting);

    if (enc) {
        atomic_fetch_add(&state->encrypt_calls, 1);
        memcpy(name, raw_name, RAW_NAME);
        if (RAND_bytes(iv, RAW_IV) != 1)
            return NULL;
    } else {
        atomic_fetch_add(&state->decrypt_calls, 1);
    }
    if (state->raw.set_cipher
        && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, raw_aes, iv, enc) != 1)
        return NULL;
    return state;
}

static int raw_verdict(const struct state *state, int enc)
{
    if (!enc && state->raw.leave_error) /* any call that fails will do */
        (void)BIO_new_mem_buf(NULL, 1);
    return enc ? state->raw.encrypt_verdict : state->raw.decrypt_verdict;
}

static int raw_hmac_callback(SSL *ssl, unsigned char *name, unsigned char *iv,
                             EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, int enc)
{
    const struct state *state = raw_cipher(ssl, name, iv, cipher, enc);

    if (state == NULL)
        return -1;
    if (state->raw.set_mac && HMAC_Init_ex(mac, raw_hmac, RAW_KEY, EVP_sha256(), NULL) != 1)
        return -1;
    return raw_verdict(state, enc);
}

#if SSLTEST_HAS_EVP
static int raw_evp_callback(SSL *ssl, unsigned char *name, unsigned char *iv,
                            EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[2];
    const struct state *state = raw_cipher(ssl, name, iv, cipher, enc);

    if (state == NULL)
        return -1;
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    if (state->raw.set_mac && EVP_MAC_init(mac, raw_hmac, RAW_KEY, params) != 1)
        return -1;
    return raw_verdict(state, enc);
}

static int set_evp_callback(SSL_CTX *ctx)
{
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, raw_evp_callback) == 1;
}

static int forget_evp_callback(SSL_CTX *ctx)
{
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, NULL) == 1;
}
#else
static int set_evp_callback(SSL_CTX *ctx)
{
    (void)ctx;
    return 0;
}

static int forget_evp_callback(SSL_CTX *ctx)
{
    (void)ctx;
    return 1;
}
#endif

int ssltest_has_evp_callback(void)
{
    return SSLTEST_HAS_EVP;
}

int ssltest_set_raw(SSL_CTX *ctx, const struct ssltest_raw *raw)
{
    state_of(ctx)->raw = *raw;
    if (raw->evp)
        return set_evp_callback(ctx);
    return forget_evp_callback(ctx)
        && SSL_CTX_callback_ctrl(ctx, SET_TICKET_KEY_CB, (void (*)(void))raw_hmac_callback) == 1;
}

void ssltest_raw_calls(SSL_CTX *ctx, long *encrypt, long *decrypt)
{
    struct state *state = state_of(ctx);

    *encrypt = atomic_load(&state->encrypt_calls);
    *decrypt = atomic_load(&state->decrypt_calls);
}

/* ---- Connections ---- */

static BIO *memory_new(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio != NULL)
        BIO_set_mem_eof_return(bio, -1); /* empty means "try again" */
    return bio;
}

/* Makes the peer's SSL on its context. The BIOs are borrowed. */
static int peer_open(struct peer *peer, SSL_CTX *ctx, BIO *in, BIO *out)
{
    if ((peer->ssl = SSL_new(ctx)) == NULL)
        return 0;
    BIO_up_ref(in);
    BIO_up_ref(out);
    SSL_set_bio(peer->ssl, in, out);
    if (SSL_set_app_data(peer->ssl, peer) != 1)
        return 0;
    SSL_set_msg_callback(peer->ssl, on_message);
    SSL_set_msg_callback_arg(peer->ssl, peer);
    if (peer->is_server)
        SSL_set_accept_state(peer->ssl);
    else
        SSL_set_connect_state(peer->ssl);
    return 1;
}

static int offer(struct peer *client, const struct ssltest_options *options)
{
    const unsigned char *der = options->session;
    SSL_SESSION *session = NULL;
    int ok;

    if (options->server_name != NULL
        && SSL_set_tlsext_host_name(client->ssl, options->server_name) != 1) {
        fail(client, "server name refused");
        return 0;
    }
    if (der == NULL)
        return 1;
    session = d2i_SSL_SESSION(NULL, &der, (long)options->session_len);
    ok = session != NULL && SSL_set_session(client->ssl, session) == 1;
    SSL_SESSION_free(session);
    if (!ok)
        fail(client, "session refused");
    return ok;
}

static void step(struct peer *peer)
{
    int ret;

    if (peer->done || peer->failed)
        return;
    ERR_clear_error();
    ret = SSL_do_handshake(peer->ssl);
    settle(peer, ret, &peer->result->handshake_queue);
    peer->done = ret == 1 && !peer->failed;
}

static void send_early(struct peer *client, const struct ssltest_options *options)
{
    size_t written = 0;
    int ret;

    ERR_clear_error();
    ret = SSL_write_early_data(client->ssl, options->early, options->early_len, &written);
    settle(client, ret, &client->result->handshake_queue);
}

static void read_early(struct peer *server)
{
    unsigned char buf[MAX_EARLY];
    size_t len = 0;
    int ret = SSL_READ_EARLY_DATA_SUCCESS;

    while (ret == SSL_READ_EARLY_DATA_SUCCESS) {
        ERR_clear_error();
        ret = SSL_read_early_data(server->ssl, buf, sizeof(buf), &len);
        settle(server, ret, &server->result->handshake_queue);
        if (ret != SSL_READ_EARLY_DATA_ERROR)
            server->result->early_read += len;
    }
    server->early_over = ret == SSL_READ_EARLY_DATA_FINISH;
}

static void shake_hands(struct peer *client, struct peer *server,
                        const struct ssltest_options *options)
{
    int early = options->early != NULL;

    if (early)
        send_early(client, options);
    for (int i = 0; i < MAX_STEPS; i++) {
        /* A client with early data to send has just said hello. */
        if (!early || i > 0)
            step(client);
        if (early && !server->early_over && !server->failed)
            read_early(server);
        if (!early || server->early_over)
            step(server);
        if (server->failed || client->failed || (server->done && client->done))
            break;
    }
    /* Let the client hear why; the server hears it when it reads. */
    if (server->failed)
        step(client);
    if (client->failed)
        step(server);
}

static int read_exactly(struct peer *peer, char *buf, int len, int *queue)
{
    int ret;

    if (peer->failed)
        return 0;
    ERR_clear_error();
    ret = SSL_read(peer->ssl, buf, len);
    settle(peer, ret, queue);
    return ret == len;
}

static int write_all(struct peer *peer, const char *buf, int len, int *queue)
{
    int ret;

    if (peer->failed)
        return 0;
    ERR_clear_error();
    ret = SSL_write(peer->ssl, buf, len);
    settle(peer, ret, queue);
    return ret == len;
}

/* The client writes, the server echoes, the client reads: tickets, then data. */
static void echo(struct peer *client, struct peer *server)
{
    static const char said[] = "ping";
    struct ssltest_result *result = client->result;
    char heard[sizeof(said)] = "", back[sizeof(said)] = "";
    int len = sizeof(said), unused = 0;

    if (!write_all(client, said, len, &unused))
        return;
    if (read_exactly(server, heard, len, &result->read_queue))
        (void)write_all(server, heard, len, &result->write_queue);
    if (read_exactly(client, back, len, &unused))
        result->echo = memcmp(said, back, sizeof(said)) == 0;
    /* An alert the client sent over what it read. */
    if (client->failed)
        (void)read_exactly(server, heard, len, &unused);
}

static void hear_alert(struct peer *peer)
{
    char buf[1];
    int unused = 0;

    if (peer->done)
        (void)read_exactly(peer, buf, sizeof(buf), &unused);
}

static void converse(struct peer *client, struct peer *server,
                     const struct ssltest_options *options)
{
    struct ssltest_result *result = client->result;

    shake_hands(client, server, options);
    if (client->failed || server->failed) {
        hear_alert(client);
        hear_alert(server);
    } else if (!client->done || !server->done) {
        fail(client->done ? server : client, "handshake does not end");
    } else if (!options->no_read_after) {
        echo(client, server);
    }
    result->client_done = client->done;
    result->server_done = server->done;
    result->client_reused = SSL_session_reused(client->ssl);
    result->server_reused = SSL_session_reused(server->ssl);
    result->version = SSL_version(client->ssl);
    result->early_accepted = SSL_get_early_data_status(client->ssl) == SSL_EARLY_DATA_ACCEPTED
        && result->early_read == options->early_len;

    result->served_by = SSL_get_SSL_CTX(server->ssl);
    if (client->done) {
        encode_session(client, SSL_get_session(client->ssl), &result->last_session);
        if (result->version != TLS1_3_VERSION && result->message_count > 0)
            keep_session(client, SSL_get_session(client->ssl));
    }

    if (client->failed || server->failed)
        return;
    /* Without a shutdown libssl takes the sessions for broken. */
    SSL_shutdown(client->ssl);
    SSL_shutdown(server->ssl);
    if (!options->no_read_after)
        SSL_shutdown(client->ssl);
}

struct ssltest_result *ssltest_connect(SSL_CTX *server_ctx, SSL_CTX *client_ctx,
                                       const struct ssltest_options *options)
{
    struct ssltest_result *result = calloc(1, sizeof(*result));
    struct peer server = {.accepting = server_ctx, .result = result, .is_server = 1};
    struct peer client = {.result = result};
    BIO *to_server = NULL, *to_client = NULL;

    if (result == NULL)
        return NULL;
    ERR_clear_error();
    to_server = memory_new();
    to_client = memory_new();
    if (to_server == NULL || to_client == NULL) {
        fail(&client, "no memory BIO");
        goto done;
    }
    if (!peer_open(&server, server_ctx, to_server, to_client)) {
        fail(&server, "SSL_new failed");
        goto done;
    }
    if (!peer_open(&client, client_ctx, to_client, to_server)) {
        fail(&client, "SSL_new failed");
        goto done;
    }
    if (offer(&client, options))
        converse(&client, &server, options);
done:
    SSL_free(client.ssl);
    SSL_free(server.ssl);
    BIO_free(to_server);
    BIO_free(to_client);
    ERR_clear_error();
    return result;
}

struct ssltest_result *ssltest_feed(SSL_CTX *server_ctx, const unsigned char *records, size_t len)
{
    struct ssltest_result *result = calloc(1, sizeof(*result));
    struct peer server = {.accepting = server_ctx, .result = result, .is_server = 1};
    BIO *in = NULL, *out = NULL;

    if (result == NULL)
        return NULL;
    ERR_clear_error();
    in = memory_new();
    out = memory_new();
    if (in == NULL || out == NULL || len > INT_MAX || BIO_write(in, records, (int)len) != (int)len) {
        fail(&server, "no memory BIO");
        goto done;
    }
    if (!peer_open(&server, server_ctx, in, out)) {
        fail(&server, "SSL_new failed");
        goto done;
    }
    step(&server);
    result->server_done = server.done;
    result->version = SSL_version(server.ssl);
done:
    SSL_free(server.ssl);
    BIO_free(in);
    BIO_free(out);
    ERR_clear_error();
    return result;
}

void ssltest_result_free(struct ssltest_result *result)
{
    if (result == NULL)
        return;
    for (int i = 0; i < result->session_count; i++)
        free(result->sessions[i].data);
    free(result->last_session.data);
    free(result);
}

long ssltest_session_hint(const unsigned char *der, size_t len)
{
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &der, (long)len);
    long hint = session == NULL ? -1 : (long)SSL_SESSION_get_ticket_lifetime_hint(session);

    SSL_SESSION_free(session);
    ERR_clear_error();
    return hint;
}
