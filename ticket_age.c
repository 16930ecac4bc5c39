/*
 * ticket_age.c - when the client of a ticket authenticated: a stamp in the ticket.
 *
 * The stamp is application data of the ticket (SSL_SESSION_set1_ticket_appdata(3)), and of
 * the session that a ticket was decrypted to. A server may keep data of its own there, which
 * goes before a stamp. Under the preload a server that looks there sees no stamp.
 */
#include "ticket.h"

#include <string.h>

/* The stamp: this mark, then when the client authenticated, in nanoseconds since 1970,
   most significant byte first. */
enum { STAMP_MARK_SIZE = 8, STAMP_SIZE = STAMP_MARK_SIZE + 8 };
static const unsigned char stamp_mark[] = "stek-at1";

/* How far ahead of our clock another host's may have stamped a ticket, ns. */
#define STAMP_AHEAD (INT64_C(60) * 1000000000)

enum data { NONE, STAMP, OF_THE_SERVER };

/* data_of tells what data session carries, and reads the time of a stamp. */
static enum data data_of(SSL_SESSION *session, int64_t *authenticated)
{
    const unsigned char *stamp;
    uint64_t time = 0;
    void *data;
    size_t size;

    if (ossl.SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 || size == 0)
        return NONE;
    if (!stekc_is_stamp(data, size))
        return OF_THE_SERVER;
    stamp = data;
    for (size_t i = STAMP_MARK_SIZE; i < STAMP_SIZE; i++)
        time = time << 8 | stamp[i];
    *authenticated = (int64_t)time;
    return STAMP;
}

static int write_stamp(SSL_SESSION *session, int64_t authenticated)
{
    unsigned char stamp[STAMP_SIZE];
    uint64_t time = (uint64_t)authenticated;

    memcpy(stamp, stamp_mark, STAMP_MARK_SIZE);
    for (size_t i = STAMP_SIZE; i > STAMP_MARK_SIZE; i--, time >>= 8)
        stamp[i - 1] = time & 0xff;
    return ossl.SSL_SESSION_set1_ticket_appdata(session, stamp, sizeof stamp) == 1;
}

/* session_start is when session began, by OpenSSL's clock of whole seconds:
   the authentication in TLS 1.2, the ticket's issue in TLS 1.3. */
static int64_t session_start(const SSL_SESSION *session)
{
    return (int64_t)(ossl.SSL_SESSION_get_time)(session) * 1000000000;
}

int stekc_stamp(SSL *ssl, void *arg)
{
    const struct stekc_binding *binding = arg;
    SSL_SESSION *session = ossl.SSL_get_session(ssl);
    int64_t authenticated;
    int reused;

    if (session == NULL || data_of(session, &authenticated) != NONE)
        return 1;
    reused = ossl.SSL_session_reused(ssl);
    if (reused && !stekc_is_tls13(ssl))
        return 1; /* OpenSSL's cache shares it with other threads; its start tells the time */
    authenticated = reused ? session_start(session)
                           : stekc_table_now(binding->store->table).low;
    if (write_stamp(session, authenticated))
        return 1;
    if (binding->soft)
        ossl.ERR_clear_error();
    return binding->soft;
}

int stekc_is_stamp(const void *data, size_t size)
{
    return size == STAMP_SIZE && memcmp(data, stamp_mark, STAMP_MARK_SIZE) == 0;
}

/* permits tells that the connection may use the cipher of a session from before TLS 1.3.
   OpenSSL asks that of full handshakes alone. */
static int permits(const SSL *ssl, const SSL_SESSION *session)
{
    const OPENSSL_STACK *list;
    const SSL_CIPHER *cipher;

    if (stekc_is_tls13(ssl))
        return 1;
    list = (const OPENSSL_STACK *)ossl.SSL_get_ciphers(ssl);
    cipher = ossl.SSL_SESSION_get0_cipher(session);
    for (int i = 0; list != NULL && i < ossl.OPENSSL_sk_num(list); i++)
        if (ossl.OPENSSL_sk_value(list, i) == cipher)
            return 1;
    return 0;
}

/* is_current tells that the key called name encrypts, as far as the table knows. */
static int is_current(const struct stekc_binding *binding, const unsigned char *name)
{
    struct stek_now now;
    struct stek_key key;
    enum stek_state state = stekc_table_look_up(binding->store->table, name, &now, &key);

    stekc_wipe(&key, sizeof key);
    return state == STEK_CURRENT || state == STEK_UPCOMING;
}

SSL_TICKET_RETURN stekc_check_age(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                  size_t name_size, SSL_TICKET_STATUS status, void *arg)
{
    const struct stekc_binding *binding = arg;
    int64_t now = stekc_table_now(binding->store->table).high;
    int64_t authenticated, age;
    enum data data;

    if (session == NULL || (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!permits(ssl, session)) {
        stekc_count(binding, STEK_COUNT_REFUSED);
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    data = data_of(session, &authenticated);
    if (data != STAMP)
        authenticated = session_start(session);
    /* As unsigned numbers, which may wrap: time is of memory that others may write. */
    age = (int64_t)((uint64_t)now - (uint64_t)authenticated);
    if (age < -STAMP_AHEAD || age >= binding->auth_age_cap) {
        stekc_count(binding, STEK_COUNT_AGED);
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    /* Now, because OpenSSL restarts a TLS 1.3 session before stekc_stamp. */
    if (data == NONE && !write_stamp(session, authenticated)) {
        ossl.ERR_clear_error(); /* a full handshake follows */
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    stekc_hello_decrypted(ssl);
    /* With data of the server's there is no stamp, and a chain of renewals ends with its
       key instead. */
    if (status == SSL_TICKET_SUCCESS_RENEW && data == OF_THE_SERVER && stekc_is_tls13(ssl) &&
        (name_size != STEK_NAME_SIZE || !is_current(binding, name)))
        status = SSL_TICKET_SUCCESS;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}
