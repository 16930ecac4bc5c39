/*
 * quic_test.c - tickets in QUIC, if contexts are attached: OpenSSL's own QUIC, and one that
 * is not OpenSSL's. Where OpenSSL has no server for QUIC there is nothing to test.
 */
#define _GNU_SOURCE
#include "../../store.h"

#include <stdio.h>

#if OPENSSL_VERSION_NUMBER < OSSL_3_5_0 || defined(OPENSSL_NO_QUIC)
int main(void)
{
    puts("ok   this OpenSSL has no QUIC server");
    return 0;
}
#else
#include "hello.h"
#include "quic.h"
#include "quic_stack.h"

static struct stekc_store *store;
static struct stekc_options options;
static const int64_t hour = INT64_C(3600) * 1000000000;

static void publish(uint64_t newest)
{
    struct stek_key *stage = stekc_table_stage(stekc_store_table(store));

    stage[0] = test_key(newest, (int64_t)newest, INT64_MAX, INT64_MAX);
    stage[1] = test_key(newest - 1, (int64_t)newest - 1, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 2) == 0);
}

static uint64_t counted(enum stek_counter counter)
{
    return stekc_table_counted(stekc_store_table(store), counter);
}

enum { ALL = 1u << OPEN | 1u << REQUIRED | 1u << OTHER_CA | 1u << LABELLED };

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    struct stekc_options these = options;
    struct stekc_report report;

    if (matrix_keys == ALONE)
        return;
    if (policy == LABELLED)
        these.client_auth = "a label";
    CHECK(stekc_attach(ctx, store, &these, &report) == STEKC_OK);
    CHECK(report.warnings == 0);
}

/* ---- OpenSSL's own QUIC ---- */

static void tickets_resume_and_are_renewed(void)
{
    int renews_current = options.policy != STEK_POLICY_AGE;
    int renews_previous = options.policy != STEK_POLICY_CURRENT;
    SSL_CTX *ctx = quic_server_of(OPEN);
    struct listener listener = listen_on(ctx);
    SSL_SESSION *session = NULL, *before;

    publish(10);
    CHECK(is(NEW, &listener, &session, "a.example"));
    before = session;
    SSL_SESSION_up_ref(before);
    CHECK(is(REUSED, &listener, &session, "a.example"));
    CHECK((session != before) == renews_current);
    SSL_SESSION_free(before);
    publish(11);
    before = session;
    SSL_SESSION_up_ref(before);
    CHECK(is(REUSED, &listener, &session, "a.example"));
    CHECK((session != before) == renews_previous);
    SSL_SESSION_free(before);
    publish(12);
    CHECK(is(renews_previous ? REUSED : NEW, &listener, &session, "a.example"));
    publish(20);
    CHECK(is(NEW, &listener, &session, "a.example"));
    CHECK(counted(STEK_COUNT_ERRORS) == 0);
    SSL_SESSION_free(session);
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

static void a_ticket_is_bound_to_its_name(void)
{
    static const char *const names[] = {"a.example", "b.example", "A.example", NULL};
    SSL_CTX *ctx = quic_server_of(OPEN);
    struct listener listener = listen_on(ctx);

    for (int from = 0; from < 4; from++)
        for (int to = 0; to < 4; to++) {
            SSL_SESSION *session = NULL;

            CHECK(is(NEW, &listener, &session, names[from]));
            CHECK(is(from == to ? REUSED : NEW, &listener, &session, names[to]));
            SSL_SESSION_free(session);
        }
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

static void a_ticket_resumes_across_a_retry(void)
{
    SSL_CTX *ctx = quic_server_of(OPEN);
    struct listener listener = listen_on(ctx);
    SSL_SESSION *session = NULL;

    CHECK(SSL_CTX_set1_groups_list(ctx, "P-384") == 1); /* no client begins with it */
    CHECK(is(NEW, &listener, &session, "a.example"));
    for (int i = 0; i < 3; i++)
        CHECK(is(REUSED, &listener, &session, "a.example"));
    CHECK(is(NEW, &listener, &session, "b.example"));
    SSL_SESSION_free(session);
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

/* OpenSSL hands the TLS object inside the connection to the callback that decrypts, and the
   connection to all others. */
static void a_ticket_that_is_decrypted_and_refused_is_counted(void)
{
    SSL_CTX *ctx = quic_server_of(OPEN);
    struct listener listener = listen_on(ctx);
    uint64_t refused = counted(STEK_COUNT_REFUSED);
    SSL_SESSION *session = NULL;

    CHECK(is(NEW, &listener, &session, "a.example"));
    CHECK(is(REUSED, &listener, &session, "a.example"));
    CHECK(counted(STEK_COUNT_REFUSED) == refused);
    CHECK(SSL_CTX_set_session_id_context(ctx, (const void *)"other", 5) == 1);
    CHECK(is(NEW, &listener, &session, "a.example"));
    CHECK(counted(STEK_COUNT_REFUSED) == refused + 1);
    SSL_SESSION_free(session);
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

static void a_ticket_grows_old(void)
{
    SSL_CTX *ctx;
    struct listener listener;
    uint64_t aged = counted(STEK_COUNT_AGED);
    SSL_SESSION *session = NULL;

    options.auth_age_cap = INT64_C(1000000000);
    ctx = quic_server_of(OPEN);
    options.auth_age_cap = hour;
    listener = listen_on(ctx);
    CHECK(is(NEW, &listener, &session, "a.example"));
    usleep(1100000);
    CHECK(is(NEW, &listener, &session, "a.example"));
    CHECK(counted(STEK_COUNT_AGED) == aged + 1);
    SSL_SESSION_free(session);
    end_listener(&listener);
    SSL_CTX_free(ctx);
}

/* A client may speak TLS over TCP with the same server, whose context is another. */
static void a_ticket_of_tcp_resumes_in_quic_and_back(void)
{
    SSL_CTX *quic = quic_server_of(OPEN), *tcp = server_of(OPEN);
    struct listener listener = listen_on(quic);
    SSL_SESSION *session = NULL;

    matrix_version = TLS1_3_VERSION;
    CHECK(visit(tcp, NOBODY, &session).word == NEW); /* as a.example */
    CHECK(is(NEW, &listener, &session, "b.example"));
    SSL_SESSION_free(session);
    session = NULL;
    CHECK(visit(tcp, NOBODY, &session).word == NEW);
    CHECK(is(REUSED, &listener, &session, "a.example"));
    CHECK(visit(tcp, NOBODY, &session).word == REUSED);
    SSL_SESSION_free(session);
    end_listener(&listener);
    SSL_CTX_free(quic);
    SSL_CTX_free(tcp);
}

/* ---- QUIC that is not OpenSSL's ---- */

static void tickets_resume_in_another_stack(void)
{
    SSL_CTX *ctx = server_of(OPEN), *client = new_client(TLS1_3_VERSION);
    SSL_SESSION *session = NULL;

    publish(10);
    CHECK(!stack_visit(ctx, client, &session, "a.example"));
    CHECK(stack_visit(ctx, client, &session, "a.example"));
    publish(11);
    CHECK(stack_visit(ctx, client, &session, "a.example"));
    publish(12);
    CHECK(stack_visit(ctx, client, &session, "a.example") ==
          (options.policy != STEK_POLICY_CURRENT));
    CHECK(!stack_visit(ctx, client, &session, "b.example"));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(ctx);
}

static uint64_t looked_at(void)
{
    return stekc_table_counted_all(stekc_store_table(store)).accepted;
}

/* feed lets a server read a hello with a hundred tickets. */
static void feed(SSL *server, struct inbox *own, int with_share)
{
    static unsigned char record[1 << 16];
    struct stek_key key = test_key(10, 0, 0, 0);
    size_t size = raw_hello(record, key.name, 100, with_share), before = own->other->count;

    put_piece(own, record + 5, size - 5);
    ERR_clear_error();
    SSL_do_handshake(server);
    CHECK(own->first == own->count && own->other->count > before);
}

static void budget_covers_both_hellos_of_a_retry(void)
{
    SSL_CTX *ctx = server_of(OPEN);
    SSL *server = SSL_new(ctx);
    struct inbox own = {0}, of_client = {0};
    uint64_t before;

    publish(10);
    before = looked_at();
    own.other = &of_client;
    use_stack(server, &own);
    SSL_set_accept_state(server);
    feed(server, &own, 0);
    CHECK(looked_at() - before == 8);
    feed(server, &own, 1);
    CHECK(looked_at() - before == 8);
    SSL_free(server);
    empty_inbox(&own);
    empty_inbox(&of_client);
    SSL_CTX_free(ctx);
}

static void tickets_resume_with_all_callbacks_and_policies(void)
{
    static const int kinds[] = {STEK_KIND_HMAC, STEK_KIND_EVP};
    static const int renewals[] = {STEK_POLICY_CAPPED, STEK_POLICY_CURRENT, STEK_POLICY_AGE};

    for (int i = 0; i < 6; i++) {
        options = (struct stekc_options){.auth_age_cap = hour,
                                         .kind = kinds[i % 2],
                                         .policy = renewals[i / 2]};
        tickets_resume_and_are_renewed();
        tickets_resume_in_another_stack();
    }
}

int main(void)
{
    unsigned refused;

    store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    CHECK(store != NULL);
    matrix_start();
    publish(10);
    matrix_keys = STEK;
    RUN(tickets_resume_with_all_callbacks_and_policies);
    options = (struct stekc_options){.auth_age_cap = hour};
    RUN(a_ticket_is_bound_to_its_name);
    RUN(a_ticket_resumes_across_a_retry);
    RUN(a_ticket_that_is_decrypted_and_refused_is_counted);
    RUN(a_ticket_grows_old);
    RUN(a_ticket_of_tcp_resumes_in_quic_and_back);
    RUN(budget_covers_both_hellos_of_a_retry);
    printf("     %d squares alone\n", check_quic_matrix(ALONE, ALL));
    printf("     %d squares\n", check_quic_matrix(STEK, ALL));
    RUN(a_callback_that_asks_for_a_certificate_gets_one);
    matrix_end();
    stekc_store_close(store);
    return 0;
}
#endif
