/*
 * places.c - where a ticket may resume: what is easily forgotten. A server that knows
 * nothing of stek, under the library.
 */
#define _GNU_SOURCE
#include "../../../ctest/src/matrix.h"

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    (void)ctx;
    (void)policy;
}

static const int required = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

/* front is a context of that policy whose connections a servername callback switches. */
static SSL_CTX *front(enum policy policy)
{
    SSL_CTX *ctx = server_of(policy);

    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
    return ctx;
}

static enum word word_of(SSL_CTX *ctx, enum client who, SSL_SESSION **session)
{
    return visit(ctx, who, session).word;
}

/* The context that a name led to is the right one at first. */
static SSL_SESSION *ticket_by_name(SSL_CTX *at, SSL_CTX *to, enum client who)
{
    SSL_SESSION *session = NULL;

    leads_to = to;
    CHECK(word_of(at, who, &session) == NEW);
    CHECK(word_of(at, who, &session) == REUSED);
    return session;
}

/* OpenSSL calls nobody when it ends a resumption there. */
static void a_context_without_tickets_is_led_to(void)
{
    SSL_CTX *at = front(OPEN), *open = server_of(OPEN), *closed = server_of(REQUIRED);
    SSL_SESSION *session = ticket_by_name(at, open, NOBODY);

    SSL_CTX_set_options(closed, SSL_OP_NO_TICKET);
    leads_to = closed;
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, OF_CA, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* A client keeps its ticket after an alert. */
static void the_same_ticket_comes_again_after_the_alert(void)
{
    SSL_CTX *at = front(OPEN), *open = server_of(OPEN), *closed = server_of(OPTIONAL);
    SSL_SESSION *session = ticket_by_name(at, open, NOBODY);
    SSL_SESSION *again = SSL_SESSION_dup(session), *third = SSL_SESSION_dup(session);

    leads_to = closed;
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, NOBODY, &again) == NEW);
    CHECK(word_of(at, NOBODY, &third) == NEW);
    SSL_SESSION_free(session);
    SSL_SESSION_free(again);
    SSL_SESSION_free(third);
    SSL_CTX_free(at);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* After a few of these a name is not resumed any more. */
static void a_name_that_leads_anywhere_ends_in_full_handshakes(void)
{
    SSL_CTX *at = front(OPEN), *one = server_of(REQUIRED), *other = server_of(OPTIONAL);
    int refused = 0, last_refused = 0;

    for (int i = 0; i < 40; i++) {
        SSL_SESSION *session = NULL;

        leads_to = i % 2 ? one : other;
        CHECK(word_of(at, OF_CA, &session) == NEW);
        leads_to = i % 2 ? other : one;
        if (word_of(at, OF_CA, &session) == REFUSED) {
            refused++;
            last_refused = i;
        }
        SSL_SESSION_free(session);
    }
    CHECK(refused > 0 && refused <= 3 && last_refused < 20);
    SSL_CTX_free(at);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
}

/* Contexts come and go at one address. */
static void a_context_at_the_address_of_another(void)
{
    enum policy policies[] = {OPTIONAL, REQUIRED, OTHER_CA, WITH_CRL};

    for (int i = 0; i < 20; i++) {
        SSL_CTX *first = server_of(REQUIRED), *second;
        SSL_SESSION *session = NULL;

        CHECK(word_of(first, REVOKED, &session) == NEW);
        SSL_CTX_free(first);
        second = server_of(policies[i % 4]);
        CHECK(word_of(second, REVOKED, &session) != REUSED);
        SSL_SESSION_free(session);
        SSL_CTX_free(second);
    }
}

static SSL_CTX *made_within;

static int on_servername_make(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    if (made_within == NULL)
        made_within = server_of(REQUIRED);
    leads_to = made_within;
    switch_now(ssl);
    return SSL_TLSEXT_ERR_OK;
}

/* Until then nobody was verified in this process: run it alone. */
static void the_first_context_that_verifies_is_made_in_the_handshake(void)
{
    SSL_CTX *at = server_of(OPEN);
    SSL_SESSION *session = NULL;

    CHECK(word_of(at, NOBODY, &session) == NEW);
    CHECK(word_of(at, NOBODY, &session) == REUSED);
    SSL_CTX_set_tlsext_servername_callback(at, on_servername_make);
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, OF_CA, &session) == NEW);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(made_within);
    made_within = NULL;
}

static int on_servername_context_alone(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    (void)argument;
    SSL_set_SSL_CTX(ssl, leads_to);
    return SSL_TLSEXT_ERR_OK;
}

/* As Python does: the verify mode stays that of the context which accepts. */
static void the_verify_mode_stays_when_the_context_is_switched(void)
{
    SSL_CTX *at = server_of(REQUIRED), *one = server_of(REQUIRED), *other = server_of(OTHER_CA);
    SSL_SESSION *session = NULL;

    SSL_CTX_set_tlsext_servername_callback(at, on_servername_context_alone);
    leads_to = one;
    CHECK(word_of(at, OF_CA, &session) == NEW);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    leads_to = other;
    CHECK(word_of(at, OF_CA, &session) == REFUSED);
    CHECK(word_of(at, OF_CA, &session) == REFUSED);
    CHECK(word_of(at, OF_OTHER_CA, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
}

static SSL_CTX *of_first, *of_second, *second_listener;

static int on_servername_by_listener(SSL *ssl, int *alert, void *argument)
{
    leads_to = argument == second_listener ? of_second : of_first;
    return on_servername(ssl, alert, argument);
}

/* The same name, by the same callback, leads elsewhere at each of two ports. */
static void one_name_on_two_listeners(void)
{
    SSL_CTX *first = server_of(OPEN), *second = server_of(OPEN);
    SSL_SESSION *session = NULL, *verified = NULL;

    of_first = server_of(OPEN);
    of_second = server_of(REQUIRED);
    second_listener = second;
    SSL_CTX_set_tlsext_servername_callback(first, on_servername_by_listener);
    SSL_CTX_set_tlsext_servername_arg(first, first);
    SSL_CTX_set_tlsext_servername_callback(second, on_servername_by_listener);
    SSL_CTX_set_tlsext_servername_arg(second, second);
    CHECK(word_of(second, OF_CA, &verified) == NEW);
    CHECK(word_of(second, OF_CA, &verified) == REUSED);
    for (int i = 0; i < 3; i++) {
        CHECK(word_of(first, NOBODY, &session) == (i == 0 ? NEW : REUSED));
        CHECK(word_of(second, NOBODY, &session) == REFUSED); /* a full handshake's alert */
        CHECK(word_of(second, OF_CA, &verified) == REUSED);
    }
    SSL_SESSION_free(session);
    SSL_SESSION_free(verified);
    SSL_CTX_free(first);
    SSL_CTX_free(second);
    SSL_CTX_free(of_first);
    SSL_CTX_free(of_second);
}

/* The server asks for another hello, and decrypts the ticket again: by then it is at the
   other context. */
static void a_hello_retry_comes_to_the_context_that_was_chosen(void)
{
    SSL_CTX *at = front(OPEN), *closed = server_of(REQUIRED), *open = server_of(OPEN);
    SSL_SESSION *session = NULL;

    if (matrix_version != TLS1_3_VERSION)
        return; /* which has none */
    CHECK(SSL_CTX_set1_groups_list(at, "P-384") == 1);
    CHECK(SSL_CTX_set1_groups_list(closed, "P-384") == 1);
    CHECK(SSL_CTX_set1_groups_list(open, "P-384") == 1);
    leads_to = closed;
    CHECK(word_of(at, OF_CA, &session) == NEW);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    leads_to = open;
    CHECK(word_of(at, OF_CA, &session) != REUSED);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(closed);
    SSL_CTX_free(open);
}

static SSL_CTX *of_b;

static int on_servername_by_name(SSL *ssl, int *alert, void *argument)
{
    SSL_CTX *of_others = leads_to;
    int answer;

    if (strcmp(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "b.example") == 0)
        leads_to = of_b;
    answer = on_servername(ssl, alert, argument);
    leads_to = of_others;
    return answer;
}

/* A client that says another name when it is asked for another hello: what comes of that is
   not remembered for the first name. */
static void a_name_that_changes_in_a_hello_retry(void)
{
    SSL_CTX *at = server_of(OPEN), *closed = server_of(REQUIRED), *client_ctx;
    SSL_SESSION *session = NULL, *ignored = NULL;
    SSL *server, *client;
    BIO *one, *other;

    if (matrix_version != TLS1_3_VERSION)
        return; /* which has none */
    SSL_CTX_set_tlsext_servername_callback(at, on_servername_by_name);
    of_b = server_of(OPEN);
    leads_to = closed;
    CHECK(word_of(at, OF_CA, &session) == NEW);
    CHECK(word_of(at, OF_CA, &session) == REUSED);

    client_ctx = client_context(NOBODY);
    server = SSL_new(at);
    client = SSL_new(client_ctx);
    CHECK(SSL_set1_groups_list(server, "P-384") == 1);
    CHECK(BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, &ignored) == 1);
    for (int step = 0; step < 6; step++) {
        CHECK(SSL_set_tlsext_host_name(client, step == 0 ? "a.example" : "b.example") == 1);
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    CHECK(SSL_is_init_finished(server) && SSL_get_SSL_CTX(server) == of_b);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    SSL_SESSION_free(session);
    SSL_SESSION_free(ignored);
    SSL_free(server);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(at);
    SSL_CTX_free(closed);
    SSL_CTX_free(of_b);
}


/* A chain of renewals stays where it began. */
static void renewals_keep_the_scope(void)
{
    SSL_CTX *one = server_of(REQUIRED), *other = server_of(REQUIRED);
    SSL_SESSION *session = NULL;

    CHECK(word_of(one, OF_CA, &session) == NEW);
    for (int i = 0; i < 10; i++)
        CHECK(word_of(one, OF_CA, &session) == REUSED);
    CHECK(word_of(other, OF_CA, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
}

/* A client without a name, and one whose name nobody has met, at a context that verifies:
   what matters is only that nothing is resumed wrongly and nothing fails. */
static void many_names_are_full_handshakes_at_worst(void)
{
    SSL_CTX *at = front(OPEN), *closed = server_of(REQUIRED);
    SSL_SESSION *session = NULL;

    leads_to = closed;
    CHECK(word_of(at, OF_CA, &session) == NEW);
    for (int i = 0; i < 3000; i++) {
        SSL_CTX *client_ctx = client_context(OF_CA);
        SSL *server = SSL_new(at), *client = SSL_new(client_ctx);
        BIO *one, *other;
        char name[40];

        snprintf(name, sizeof name, "n%d.example", i);
        CHECK(BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
        SSL_set_bio(server, one, one);
        SSL_set_bio(client, other, other);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        SSL_SESSION *ignored = NULL;
        SSL_set_ex_data(client, 0, &ignored);
        SSL_set_tlsext_host_name(client, name);
        for (int step = 0; step < 6; step++) {
            SSL_do_handshake(client);
            SSL_do_handshake(server);
        }
        CHECK(SSL_is_init_finished(server));
        SSL_SESSION_free(ignored);
        SSL_free(server);
        SSL_free(client);
        SSL_CTX_free(client_ctx);
    }
    CHECK(word_of(at, OF_CA, &session) != REFUSED);
    CHECK(word_of(at, OF_CA, &session) == REUSED);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(closed);
}

/* A host of many sites, one of which verifies its clients. */
static void thousands_of_names_resume(void)
{
    enum { SITES = 4000 };
    static SSL_SESSION *sessions[SITES];
    SSL_CTX *at = front(OPEN), *open = server_of(OPEN), *closed = server_of(REQUIRED);
    SSL_SESSION *verified = NULL;
    char name[40];
    int resumed = 0;

    leads_to = closed;
    CHECK(word_of(at, OF_CA, &verified) == NEW);
    leads_to = open;
    matrix_name = name;
    for (int i = 0; i < 2 * SITES; i++) {
        snprintf(name, sizeof name, "n%d.example", i % SITES);
        resumed += word_of(at, NOBODY, &sessions[i % SITES]) == REUSED;
    }
    CHECK(resumed > SITES * 99 / 100);
    for (int i = 0; i < SITES; i++)
        SSL_SESSION_free(sessions[i]);
    SSL_SESSION_free(verified);
    SSL_CTX_free(at);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* A server that asks for a certificate after the handshake (TLS 1.3), as Apache does for
   some of its folders. */
static void a_certificate_is_asked_for_after_the_handshake(void)
{
    SSL_CTX *at = server_of(OPEN), *other = server_of(REQUIRED), *client_ctx;
    SSL_SESSION *session = NULL;
    enum word after[3];

    if (matrix_version != TLS1_3_VERSION)
        return;
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(at), ca.certificate) == 1);
    for (int i = 0; i < 3; i++) {
        SSL *server, *client;
        BIO *one, *there;
        char byte = 'x';

        client_ctx = client_context(OF_CA);
        SSL_CTX_set_post_handshake_auth(client_ctx, 1);
        server = SSL_new(at);
        client = SSL_new(client_ctx);
        CHECK(BIO_new_bio_pair(&one, 1 << 17, &there, 1 << 17) == 1);
        SSL_set_bio(server, one, one);
        SSL_set_bio(client, there, there);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        CHECK(SSL_set_ex_data(client, 0, &session) == 1 && SSL_set_tlsext_host_name(client, "a.example"));
        if (session != NULL)
            CHECK(SSL_set_session(client, session) == 1);
        for (int step = 0; step < 6; step++) {
            SSL_do_handshake(client);
            SSL_do_handshake(server);
        }
        CHECK(SSL_is_init_finished(server) && SSL_is_init_finished(client));
        after[i] = SSL_session_reused(server) ? REUSED : NEW;
        CHECK(SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1);
        SSL_set_verify(server, required, NULL);
        CHECK(SSL_verify_client_post_handshake(server) == 1);
        for (int step = 0; step < 6; step++) {
            SSL_do_handshake(server);
            SSL_read(client, &byte, 1);
            SSL_read(server, &byte, 1);
        }
        X509 *shown = SSL_get_peer_certificate(server);

        CHECK(client_of_certificate(shown) == OF_CA);
        X509_free(shown);
        CHECK(SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1);
        SSL_shutdown(client);
        SSL_shutdown(server);
        SSL_free(client);
        SSL_free(server);
        SSL_CTX_free(client_ctx);
        ERR_clear_error();
    }
    CHECK(after[0] == NEW); /* the others may be either: none failed */
    CHECK(word_of(other, OF_CA, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(other);
}

/* The same in TLS 1.2, by a renegotiation: clients that are not asked go on as before. */
static void a_certificate_is_asked_for_in_a_renegotiation(void)
{
    SSL_CTX *at = server_of(OPEN), *open = server_of(OPEN), *closed = server_of(REQUIRED);
    SSL_CTX *client_ctx;
    SSL_SESSION *session = NULL, *ignored = NULL;
    SSL *server, *client;
    BIO *one, *other;
    X509 *shown;
    char byte = 'x';

    if (matrix_version != TLS1_2_VERSION)
        return; /* which has none */
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(open), ca.certificate) == 1);
    SSL_CTX_set_tlsext_servername_callback(at, on_servername_context_alone);
    session = ticket_by_name(at, open, NOBODY);
    client_ctx = client_context(OF_CA);
    server = SSL_new(at);
    client = SSL_new(client_ctx);
    CHECK(BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, &ignored) == 1 && SSL_set_tlsext_host_name(client, "a.example"));
    for (int step = 0; step < 6; step++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    SSL_set_verify(server, required, NULL);
    CHECK(SSL_renegotiate(server) == 1);
    for (int step = 0; step < 10; step++) {
        SSL_do_handshake(server);
        SSL_read(client, &byte, 1);
        SSL_read(server, &byte, 1);
    }
    shown = SSL_get_peer_certificate(server);
    CHECK(client_of_certificate(shown) == OF_CA);
    X509_free(shown);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    SSL_free(server);
    ERR_clear_error();
    CHECK(word_of(at, NOBODY, &session) == REUSED);
    SSL_SESSION_free(session);
    SSL_SESSION_free(ignored);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(at);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* Verification asked for, and no session id context: OpenSSL alone never resumes such a
   session, or ends the handshake. */
static void no_session_id_context(void)
{
    for (int displaced = 0; displaced < 2; displaced++) {
        SSL_CTX *ctx = server_of(OPTIONAL);
        SSL_SESSION *session = NULL;

        CHECK(SSL_CTX_set_session_id_context(ctx, NULL, 0) == 1);
        for (int i = 0; i < 3; i++)
            CHECK(word_of(ctx, displaced ? NOBODY : OF_CA, &session) == NEW);
        SSL_SESSION_free(session);
        SSL_CTX_free(ctx);
    }
}

/* For a configuration that has every context ask for certificates: run it with one. */
static void contexts_that_a_file_makes_verify(void)
{
    SSL_CTX *one = server_of(OPEN), *other = server_of(OPEN);
    SSL_SESSION *session = NULL;

    CHECK(SSL_CTX_get_verify_mode(one) == SSL_VERIFY_PEER);
    CHECK(word_of(one, NOBODY, &session) == NEW);
    CHECK(word_of(one, NOBODY, &session) == REUSED);
    CHECK(word_of(other, NOBODY, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
}

/* ---- clients that are known otherwise ---- */

static int on_certificate_verify(SSL *ssl, void *argument)
{
    (void)argument;
    SSL_set_verify(ssl, required, NULL);
    return 1;
}

/* OpenSSL calls a certificate callback in full handshakes alone. */
static void a_certificate_callback_asks_for_a_certificate(void)
{
    for (int has_servername = 0; has_servername < 2; has_servername++) {
        SSL_CTX *open = server_of(OPEN), *closed = has_servername ? front(OPEN) : server_of(OPEN);
        SSL_SESSION *session = NULL, *verified = NULL;

        leads_to = closed;
        CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(closed), ca.certificate) == 1);
        SSL_CTX_set_cert_cb(closed, on_certificate_verify, NULL);
        CHECK(word_of(open, NOBODY, &session) == NEW);
        CHECK(word_of(closed, NOBODY, &session) == REFUSED);
        CHECK(word_of(closed, OF_CA, &verified) == NEW);
        CHECK(word_of(closed, OF_CA, &verified) == REUSED);
        CHECK(word_of(closed, NOBODY, &session) == REFUSED);
        CHECK(word_of(open, NOBODY, &verified) == NEW);
        SSL_SESSION_free(session);
        SSL_SESSION_free(verified);
        SSL_CTX_free(open);
        SSL_CTX_free(closed);
    }
}

/* The same key in TLS 1.3, by the other callback of two. */
static int finds_alice(SSL *ssl, const unsigned char *identity, size_t size, SSL_SESSION **session)
{
    unsigned char key[SHARED_KEY_SIZE];

    *session = NULL;
    if (size != 5 || memcmp(identity, "alice", 5) != 0)
        return 1;
    memset(key, identity[0], sizeof key);
    *session = SSL_SESSION_new();
    return SSL_SESSION_set1_master_key(*session, key, sizeof key) == 1 &&
           SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, (const void *)"\x13\x01")) == 1 &&
           SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION) == 1;
}

/* A context that has no certificate, and clients that it knows by a key. A ticket of others
   does not come in their place; in TLS 1.2 it has another cipher. */
static void a_ticket_is_no_shared_key(void)
{
    for (int finds = 0; finds < 2; finds++) {
        SSL_CTX *open = server_of(OPEN), *keyed = SSL_CTX_new(TLS_server_method());
        SSL_SESSION *session = NULL, *of_alice = NULL;

        CHECK(SSL_CTX_set_session_id_context(keyed, (const void *)"server", 6) == 1);
        CHECK(SSL_CTX_set_cipher_list(keyed, "PSK") == 1);
        if (finds && matrix_version == TLS1_3_VERSION)
            SSL_CTX_set_psk_find_session_callback(keyed, finds_alice);
        else
            SSL_CTX_set_psk_server_callback(keyed, knows_alice);
        CHECK(word_of(open, NOBODY, &session) == NEW);
        CHECK(word_of(keyed, NOBODY, &session) == REFUSED);
        shared_key_of = "alice";
        CHECK(word_of(keyed, NOBODY, &of_alice) != REFUSED);
        CHECK(word_of(keyed, NOBODY, &of_alice) == REUSED);
        shared_key_of = "bob"; /* whom this server does not know */
        CHECK(word_of(keyed, NOBODY, &of_alice) == REUSED);
        shared_key_of = "";
        SSL_SESSION_free(session);
        SSL_SESSION_free(of_alice);
        SSL_CTX_free(open);
        SSL_CTX_free(keyed);
    }
}

static void a_shared_key_opens_its_context_alone(void)
{
    check_shared_keys(OPEN);
    check_shared_keys(REQUIRED);
}

/* ---- more servername callbacks than the library can stand before ---- */

#define CALLBACK(n)                                                                      \
    static int on_servername_##n(SSL *ssl, int *alert, void *argument)                   \
    {                                                                                    \
        return on_servername(ssl, alert, argument) + 0 * n;                              \
    }
#define CALLBACKS(X)                                                                     \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)
CALLBACKS(CALLBACK)

static void more_servername_callbacks_than_usual(void)
{
#define POINTER(n) on_servername_##n,
    static int (*const callbacks[])(SSL *, int *, void *) = {CALLBACKS(POINTER)};
    enum { MANY = sizeof callbacks / sizeof callbacks[0] };
    SSL_CTX *at = server_of(OPEN), *other = server_of(OPEN);
    SSL_CTX *open = server_of(OPEN), *closed = server_of(REQUIRED);
    SSL_SESSION *session = NULL;

    for (int i = 0; i < MANY; i++)
        SSL_CTX_set_tlsext_servername_callback(i < MANY - 1 ? other : at, callbacks[i]);
    SSL_CTX_set_tlsext_servername_callback(other, callbacks[0]);
    leads_to = open;
    CHECK(word_of(at, NOBODY, &session) == NEW);
    CHECK(word_of(at, NOBODY, &session) == NEW); /* where the name leads is known by now */
    CHECK(word_of(at, NOBODY, &session) == REUSED);
    leads_to = closed;
    CHECK(word_of(at, NOBODY, &session) == REFUSED);
    CHECK(word_of(at, OF_CA, &session) == NEW);
    SSL_SESSION_free(session);
    SSL_CTX_free(at);
    SSL_CTX_free(other);
    SSL_CTX_free(open);
    SSL_CTX_free(closed);
}

/* ---- data of a server's own ---- */

static void *data_of(SSL *ssl, size_t *size)
{
    void *data = NULL;

    *size = 0;
    SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &data, size);
    return data;
}

static int puts_data;

/* SSL_SESSION_set1_ticket_appdata(3) may be called at any time before a ticket is made. */
static int on_certificate(SSL *ssl, void *argument)
{
    SSL_SESSION *session = SSL_get_session(ssl);

    (void)argument;
    return session == NULL || !puts_data || SSL_SESSION_set1_ticket_appdata(session, "mine", 4);
}

static size_t size_seen;
static char data_seen[16];

static void after_the_handshake(const SSL *ssl, int where, int answer)
{
    void *data;

    (void)answer;
    if (!(where & SSL_CB_HANDSHAKE_DONE))
        return;
    data = data_of((SSL *)ssl, &size_seen);
    CHECK(size_seen <= sizeof data_seen);
    if (size_seen > 0)
        memcpy(data_seen, data, size_seen);
}

/* A server without SSL_CTX_set_session_ticket_cb reads back what it wrote, and nothing if it
   wrote nothing. */
static void data_without_a_callback_is_the_servers(void)
{
    for (puts_data = 0; puts_data < 2; puts_data++) {
        SSL_CTX *ctx = server_of(OPEN);
        SSL_SESSION *session = NULL;

        SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
        SSL_CTX_set_info_callback(ctx, after_the_handshake);
        for (int i = 0; i < 4; i++) {
            CHECK(word_of(ctx, NOBODY, &session) == (i == 0 ? NEW : REUSED));
            CHECK(size_seen == (puts_data ? 4 : 0));
            CHECK(!puts_data || memcmp(data_seen, "mine", 4) == 0);
        }
        SSL_SESSION_free(session);
        SSL_CTX_free(ctx);
    }
}

static int write_argument(SSL *ssl, void *argument)
{
    if (argument == NULL)
        return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), argument, strlen(argument));
}

static SSL_TICKET_RETURN read_argument(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t size, SSL_TICKET_STATUS status, void *argument)
{
    void *data;
    size_t data_size;

    (void)ssl;
    (void)name;
    (void)size;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (argument == NULL)
        return SSL_TICKET_RETURN_USE_RENEW;
    CHECK(SSL_SESSION_get0_ticket_appdata(session, &data, &data_size) == 1);
    CHECK(data_size == strlen(argument) && memcmp(data, argument, data_size) == 0);
    return SSL_TICKET_RETURN_USE_RENEW;
}

static void data_comes_to_no_context_that_reads_it_otherwise(void)
{
    SSL_CTX *one = server_of(OPEN), *other = server_of(OPEN), *plain = server_of(OPEN);
    SSL_SESSION *of_one = NULL, *of_plain = NULL;

    CHECK(SSL_CTX_set_session_ticket_cb(one, write_argument, read_argument, "one") == 1);
    CHECK(SSL_CTX_set_session_ticket_cb(other, write_argument, read_argument, "another form") == 1);
    CHECK(word_of(one, NOBODY, &of_one) == NEW);
    CHECK(word_of(one, NOBODY, &of_one) == REUSED);
    CHECK(word_of(other, NOBODY, &of_one) == NEW);
    CHECK(word_of(plain, NOBODY, &of_plain) == NEW);
    CHECK(word_of(plain, NOBODY, &of_plain) == REUSED);
    CHECK(word_of(other, NOBODY, &of_plain) == NEW);
    CHECK(word_of(plain, NOBODY, &of_plain) == NEW);
    SSL_SESSION_free(of_one);
    SSL_SESSION_free(of_plain);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
    SSL_CTX_free(plain);
}

/* ---- ex_data ---- */

enum { NUMBERS = 20 };

static int on_servername_number(SSL *ssl, int *alert, void *argument)
{
    for (int i = 1; i < NUMBERS; i++)
        CHECK(SSL_set_ex_data(ssl, i, malloc(16)) == 1);
    return on_servername(ssl, alert, argument);
}

static void take_numbers_back(const SSL *ssl, int where, int answer)
{
    (void)answer;
    if (!(where & SSL_CB_HANDSHAKE_DONE))
        return;
    for (int i = 1; i < NUMBERS; i++)
        free(SSL_get_ex_data(ssl, i)); /* and leaves the pointer, as FreeRADIUS does */
}

/* A server that puts pointers at numbers which OpenSSL gave it for objects of another class,
   or not at all, and frees them itself. */
static void numbers_that_the_server_takes_are_left_alone(void)
{
    for (int policy = OPEN; policy <= REQUIRED; policy += REQUIRED) {
        SSL_CTX *at = server_of(OPEN), *to = server_of((enum policy)policy);
        SSL_SESSION *session = NULL;

        leads_to = to;
        SSL_CTX_set_tlsext_servername_callback(at, on_servername_number);
        SSL_CTX_set_info_callback(to, take_numbers_back); /* which OpenSSL then asks for it */
        for (int i = 0; i < 3; i++)
            CHECK(word_of(at, OF_CA, &session) == (i == 0 ? NEW : REUSED));
        SSL_SESSION_free(session);
        SSL_CTX_free(at);
        SSL_CTX_free(to);
    }
}

/* ---- ciphers ---- */

/* In TLS 1.2 OpenSSL looks only at whether the client still offers a session's cipher. */
static void a_cipher_that_the_context_forbids_is_not_resumed(void)
{
    for (int keeps_data = 0; keeps_data < 2; keeps_data++) {
        SSL_CTX *weak = server_of(OPEN), *strong = server_of(OPEN);
        SSL_SESSION *session = NULL;

        if (matrix_version != TLS1_2_VERSION)
            return;
        for (int i = 0; i < 2 && keeps_data; i++)
            CHECK(SSL_CTX_set_session_ticket_cb(i ? weak : strong, write_argument,
                                                read_argument, NULL) == 1);
        CHECK(SSL_CTX_set_cipher_list(weak, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0") == 1);
        CHECK(SSL_CTX_set_cipher_list(strong, "ECDHE-ECDSA-AES256-GCM-SHA384") == 1);
        CHECK(word_of(weak, NOBODY, &session) == NEW);
        CHECK(word_of(weak, NOBODY, &session) == REUSED);
        CHECK(word_of(strong, NOBODY, &session) == NEW);
        CHECK(word_of(strong, NOBODY, &session) == REUSED);
        SSL_SESSION_free(session);
        SSL_CTX_free(weak);
        SSL_CTX_free(strong);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(f) {#f, f}
    CASE(the_first_context_that_verifies_is_made_in_the_handshake),
    CASE(a_context_without_tickets_is_led_to),
    CASE(the_same_ticket_comes_again_after_the_alert),
    CASE(a_name_that_leads_anywhere_ends_in_full_handshakes),
    CASE(a_context_at_the_address_of_another),
    CASE(the_verify_mode_stays_when_the_context_is_switched),
    CASE(one_name_on_two_listeners),
    CASE(a_hello_retry_comes_to_the_context_that_was_chosen),
    CASE(a_name_that_changes_in_a_hello_retry),
    CASE(renewals_keep_the_scope),
    CASE(many_names_are_full_handshakes_at_worst),
    CASE(thousands_of_names_resume),
    CASE(a_certificate_is_asked_for_after_the_handshake),
    CASE(a_certificate_is_asked_for_in_a_renegotiation),
    CASE(no_session_id_context),
    CASE(a_certificate_callback_asks_for_a_certificate),
    CASE(a_ticket_is_no_shared_key),
    CASE(a_shared_key_opens_its_context_alone),
    CASE(more_servername_callbacks_than_usual),
    CASE(data_without_a_callback_is_the_servers),
    CASE(data_comes_to_no_context_that_reads_it_otherwise),
    CASE(numbers_that_the_server_takes_are_left_alone),
    CASE(a_cipher_that_the_context_forbids_is_not_resumed),
};

/* Those that need something of who runs them. */
static const struct {
    const char *name;
    void (*run)(void);
} others[] = {CASE(contexts_that_a_file_makes_verify)};

static void (*case_called(const char *name))(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(name, cases[i].name) == 0)
            return cases[i].run;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i].name) == 0)
            return others[i].run;
    return NULL;
}

/* places list | NAME 1.2 | NAME 1.3 */
int main(int count, char **arguments)
{
    void (*run)(void) = count > 2 ? case_called(arguments[1]) : NULL;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && run == NULL; i++)
        printf("%s\n", cases[i].name);
    if (run == NULL)
        return count > 2;
    matrix_keys = STEK;
    matrix_version = strcmp(arguments[2], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    matrix_start();
    run();
    matrix_end();
    printf("ok\n");
    return 0;
}
