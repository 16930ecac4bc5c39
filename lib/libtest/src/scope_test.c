/*
 * scope_test.c - where a ticket of a verified client resumes, if contexts are attached by
 * stek.h.
 */
#define _GNU_SOURCE
#include "../../stek.h"

#include "../../../ctest/src/matrix.h"

static stek_store *store;

static void take_keys(SSL_CTX *ctx, enum policy policy)
{
    stek_attach_options options = {.size = sizeof options};

    if (policy == LABELLED)
        options.client_auth = "a label";
    if (stek_attach(ctx, store, &options) == STEK_OK)
        return;
    fprintf(stderr, "%s\n", stek_error());
    exit(1);
}

static void options_are_checked(void)
{
    stek_attach_options options = {.size = sizeof options, .client_auth = ""};
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    CHECK(stek_attach(ctx, store, &options) == STEK_ERR_ARG);
    CHECK(strstr(stek_error(), "label is empty") != NULL);
    options.client_auth = NULL;
    options.ticket_data = "";
    CHECK(stek_attach(ctx, store, &options) == STEK_ERR_ARG);
    /* A program that was compiled before there were labels. */
    options = (stek_attach_options){.size = offsetof(stek_attach_options, client_auth)};
    CHECK(stek_attach(ctx, store, &options) == STEK_OK);
    SSL_CTX_free(ctx);
}

/* Data of two forms, in contexts of one store. */
static void data_stays_with_its_form(void)
{
    static const char *const forms[] = {"one", "another", "one"};
    SSL_CTX *ctx[3];
    SSL_SESSION *session = NULL;

    matrix_version = TLS1_3_VERSION;
    for (int i = 0; i < 3; i++) {
        stek_attach_options options = {.size = sizeof options, .renewal = STEK_RENEW_CURRENT,
                                       .ticket_data = forms[i]};

        ctx[i] = new_server();
        CHECK(stek_attach(ctx[i], store, &options) == STEK_OK);
    }
    CHECK(visit(ctx[0], NOBODY, &session).word == NEW);
    CHECK(visit(ctx[2], NOBODY, &session).word == REUSED);
    CHECK(visit(ctx[1], NOBODY, &session).word == NEW);
    SSL_SESSION_free(session);
    for (int i = 0; i < 3; i++)
        SSL_CTX_free(ctx[i]);
}

static int ask_for_a_certificate(SSL *ssl, void *argument)
{
    (void)argument;
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 1;
}

/* OpenSSL does not call it in a resumption. */
static void a_certificate_callback_that_asks_is_told(void)
{
    stek_attach_options options = {.size = sizeof options, .verifies_clients = 1};

    for (int v = 0; v < 2; v++) {
        SSL_CTX *open, *asks;
        SSL_SESSION *session = NULL, *verified = NULL;

        matrix_version = v ? TLS1_3_VERSION : TLS1_2_VERSION;
        open = server_of(OPEN);
        asks = new_server();
        CHECK(SSL_CTX_set_session_id_context(asks, (const void *)"server", 6) == 1);
        CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(asks), ca.certificate) == 1);
        SSL_CTX_set_cert_cb(asks, ask_for_a_certificate, NULL);
        CHECK(stek_attach(asks, store, &options) == STEK_OK);
        CHECK(visit(open, NOBODY, &session).word == NEW);
        CHECK(visit(asks, NOBODY, &session).word == REFUSED);
        CHECK(visit(asks, OF_CA, &verified).word == NEW);
        CHECK(visit(asks, OF_CA, &verified).word == REUSED);
        SSL_SESSION_free(session);
        SSL_SESSION_free(verified);
        SSL_CTX_free(open);
        SSL_CTX_free(asks);
    }
}

static void matrix(void)
{
    matrix_is_watched = 0;
    matrix_ways &= ~(1u << TWO_PROCESSES); /* a child attaches nothing */
    printf("     %d squares\n", check_matrix(STEK, (1u << POLICIES) - 1));
}

int main(void)
{
    CHECK(stek_open("memory:", &store) == STEK_OK);
    matrix_start();
    RUN(options_are_checked);
    RUN(data_stays_with_its_form);
    RUN(a_certificate_callback_that_asks_is_told);
    RUN(matrix);
    matrix_end();
    CHECK(stek_close(store) == STEK_OK);
    return 0;
}
