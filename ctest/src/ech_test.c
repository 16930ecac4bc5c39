/*
 * ech_test.c - tickets where the ClientHello is encrypted (RFC 9849): they are bound to the
 * server name that nobody else sees. Where OpenSSL cannot do that there is nothing to test.
 */
#define _GNU_SOURCE
#include "../../store.h"
#include "handshake.h"

#if OPENSSL_VERSION_NUMBER < OSSL_4_0_0 || defined(OPENSSL_NO_ECH)
int main(void)
{
    puts("ok   this OpenSSL does not encrypt a ClientHello");
    return 0;
}
#else
#include <openssl/ech.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static struct stekc_store *store;

/* ---- keys of a server, and what its clients know of them ---- */

struct ech {
    OSSL_ECHSTORE *keys;
    unsigned char *list; /* ECHConfigList */
    long size;
};

static struct ech new_ech(const char *public_name)
{
    OSSL_HPKE_SUITE suite = OSSL_HPKE_SUITE_DEFAULT;
    struct ech ech = {OSSL_ECHSTORE_new(NULL, NULL), NULL, 0};
    OSSL_ECHSTORE *made = OSSL_ECHSTORE_new(NULL, NULL);
    BIO *file = BIO_new(BIO_s_mem()), *again;
    char *name, *header, *text;

    CHECK(ech.keys != NULL && made != NULL && file != NULL);
    CHECK(OSSL_ECHSTORE_new_config(made, OSSL_ECH_CURRENT_VERSION, 0, public_name, suite) == 1);
    CHECK(OSSL_ECHSTORE_write_pem(made, OSSL_ECHSTORE_LAST, file) == 1);
    again = BIO_new_mem_buf(text, (int)BIO_get_mem_data(file, &text));
    CHECK(again != NULL);
    do {
        OPENSSL_free(ech.list);
        CHECK(PEM_read_bio(again, &name, &header, &ech.list, &ech.size) == 1);
        OPENSSL_free(header);
        header = name;
        name = strstr(name, "ECHCONFIG");
        OPENSSL_free(header);
    } while (name == NULL);
    CHECK(OSSL_ECHSTORE_read_pem(ech.keys, file, OSSL_ECH_FOR_RETRY) == 1);
    OSSL_ECHSTORE_free(made);
    BIO_free(file);
    BIO_free(again);
    return ech;
}

static void free_ech(struct ech *ech)
{
    OSSL_ECHSTORE_free(ech->keys);
    OPENSSL_free(ech->list);
}

/* ---- one connection ---- */

enum word { NEW, REUSED, REFUSED };

/* What a client does. */
struct client {
    const char *name;
    const struct ech *ech; /* what it encrypts with; NULL: it does not */
    int greases;           /* it pretends to */
    SSL_SESSION *session;  /* its newest */
    unsigned char *retry;  /* what a server answers who could not read it */
    size_t retry_size;
    int status; /* SSL_ech_get1_status(3) at the server */
};

static SSL *new_connection(SSL_CTX *ctx, struct client *client)
{
    SSL *ssl = SSL_new(ctx);

    CHECK(ssl != NULL && SSL_set_ex_data(ssl, 0, &client->session) == 1);
    CHECK(SSL_set_tlsext_host_name(ssl, client->name) == 1);
    if (client->greases)
        SSL_set_options(ssl, SSL_OP_ECH_GREASE);
    if (client->retry != NULL)
        CHECK(SSL_set1_ech_config_list(ssl, client->retry, client->retry_size) == 1);
    else if (client->ech != NULL)
        CHECK(SSL_set1_ech_config_list(ssl, client->ech->list, (size_t)client->ech->size) == 1);
    offer_copy(ssl, client->session);
    return ssl;
}

static enum word visit(SSL_CTX *server_ctx, struct client *who)
{
    SSL_CTX *client_ctx = new_client(TLS1_3_VERSION);
    SSL *server = SSL_new(server_ctx), *client = new_connection(client_ctx, who);
    enum word word = REFUSED;
    BIO *one = NULL, *other = NULL;
    char byte = 'x', *inner = NULL, *outer = NULL;
    int done = 0;

    CHECK(server != NULL && BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10 && done != 3; i++) {
        done = SSL_do_handshake(client) == 1;
        done |= (SSL_do_handshake(server) == 1) << 1;
    }
    if (done == 3 && SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1)
        word = SSL_session_reused(server) ? REUSED : NEW;
    who->status = SSL_ech_get1_status(server, &inner, &outer);
    if (word == REFUSED && who->retry == NULL)
        SSL_ech_get1_retry_config(client, &who->retry, &who->retry_size);
    OPENSSL_free(inner);
    OPENSSL_free(outer);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
    ERR_clear_error();
    return word;
}

static void leave(struct client *client)
{
    SSL_SESSION_free(client->session);
    OPENSSL_free(client->retry);
}

static int kind;

static SSL_CTX *attached(const struct ech *ech)
{
    struct stekc_options options = {.auth_age_cap = INT64_C(3600) * 1000000000, .kind = kind};
    struct stekc_report report;
    SSL_CTX *ctx = new_server();

    if (ech->keys != NULL)
        CHECK(SSL_CTX_set1_echstore(ctx, ech->keys) == 1);
    CHECK(SSL_CTX_set_session_id_context(ctx, (const void *)"server", 6) == 1);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK && report.warnings == 0);
    return ctx;
}


static uint64_t looked_at(void)
{
    return stekc_table_counted_all(stekc_store_table(store)).accepted;
}

/* ---- names ---- */

static void a_ticket_resumes_under_its_inner_name(void)
{
    struct ech ech = new_ech("public.example");
    SSL_CTX *ctx = attached(&ech);
    struct client client = {.name = "a.example", .ech = &ech};

    CHECK(visit(ctx, &client) == NEW && client.status == SSL_ECH_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++)
        CHECK(visit(ctx, &client) == REUSED && client.status == SSL_ECH_STATUS_SUCCESS);
    client.name = "b.example";
    CHECK(visit(ctx, &client) == NEW && client.status == SSL_ECH_STATUS_SUCCESS);
    CHECK(visit(ctx, &client) == REUSED);
    client.name = "a.example";
    CHECK(visit(ctx, &client) == NEW);
    client.name = "public.example";
    CHECK(visit(ctx, &client) == NEW);
    leave(&client);
    SSL_CTX_free(ctx);
    free_ech(&ech);
}

/* The outer name of every client is the public one: a ticket of that name opens no other. */
static void a_ticket_of_the_outer_name_opens_no_inner_name(void)
{
    struct ech ech = new_ech("public.example");
    SSL_CTX *ctx = attached(&ech);
    struct client client = {.name = "public.example"};

    CHECK(visit(ctx, &client) == NEW && client.status != SSL_ECH_STATUS_SUCCESS);
    CHECK(visit(ctx, &client) == REUSED);
    client.name = "a.example";
    client.ech = &ech;
    CHECK(visit(ctx, &client) == NEW && client.status == SSL_ECH_STATUS_SUCCESS);
    client.name = "public.example";
    client.ech = NULL;
    CHECK(visit(ctx, &client) == NEW);
    leave(&client);
    SSL_CTX_free(ctx);
    free_ech(&ech);
}

/* The name is one, whether it was encrypted or not. */
static void a_ticket_resumes_if_only_one_hello_was_encrypted(void)
{
    struct ech ech = new_ech("public.example");
    SSL_CTX *ctx = attached(&ech);
    struct client client = {.name = "a.example", .ech = &ech};

    CHECK(visit(ctx, &client) == NEW);
    client.ech = NULL;
    CHECK(visit(ctx, &client) == REUSED && client.status != SSL_ECH_STATUS_SUCCESS);
    client.ech = &ech;
    CHECK(visit(ctx, &client) == REUSED && client.status == SSL_ECH_STATUS_SUCCESS);
    leave(&client);
    SSL_CTX_free(ctx);
    free_ech(&ech);
}

static void a_ticket_resumes_across_a_retry(void)
{
    struct ech ech = new_ech("public.example");
    SSL_CTX *ctx = attached(&ech);
    struct client client = {.name = "a.example", .ech = &ech};

    CHECK(SSL_CTX_set1_groups_list(ctx, "P-384") == 1); /* no client begins with it */
    CHECK(visit(ctx, &client) == NEW && client.status == SSL_ECH_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++)
        CHECK(visit(ctx, &client) == REUSED && client.status == SSL_ECH_STATUS_SUCCESS);
    client.name = "b.example";
    CHECK(visit(ctx, &client) == NEW);
    leave(&client);
    SSL_CTX_free(ctx);
    free_ech(&ech);
}

/* ---- clients that only pretend, and servers that cannot read it ---- */

static void a_client_that_pretends_resumes(void)
{
    struct ech ech = new_ech("public.example"), none = {NULL, NULL, 0};
    const struct ech *servers[] = {&ech, &none};

    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = attached(servers[i]);
        struct client client = {.name = "a.example", .greases = 1};

        CHECK(visit(ctx, &client) == NEW);
        for (int j = 0; j < 3; j++)
            CHECK(visit(ctx, &client) == REUSED);
        client.name = "b.example";
        CHECK(visit(ctx, &client) == NEW);
        leave(&client);
        SSL_CTX_free(ctx);
    }
    free_ech(&ech);
}

/* A client whose knowledge is too old offers no ticket where others could read it, is told
   better, and its ticket is still good. */
static void a_client_that_is_told_better_resumes(void)
{
    struct ech ech = new_ech("public.example"), old = new_ech("public.example");
    SSL_CTX *before = attached(&old), *ctx = attached(&ech);
    struct client client = {.name = "a.example", .ech = &old};
    uint64_t accepted;

    CHECK(visit(before, &client) == NEW && client.status == SSL_ECH_STATUS_SUCCESS);
    accepted = looked_at();
    CHECK(visit(ctx, &client) == REFUSED && client.status != SSL_ECH_STATUS_SUCCESS);
    CHECK(client.retry != NULL && looked_at() == accepted);
    CHECK(visit(ctx, &client) == REUSED && client.status == SSL_ECH_STATUS_SUCCESS);
    client.name = "public.example";
    CHECK(visit(ctx, &client) == NEW);
    leave(&client);
    SSL_CTX_free(before);
    SSL_CTX_free(ctx);
    free_ech(&ech);
    free_ech(&old);
}

/* ---- what a name leads to ---- */

static SSL_CTX *strict;

static int on_servername(SSL *ssl, int *alert, void *argument)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    (void)argument;
    CHECK(name != NULL);
    if (strcmp(name, "strict.example") == 0) {
        SSL_set_SSL_CTX(ssl, strict);
        SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return SSL_TLSEXT_ERR_OK;
}

static void no_ticket_opens_a_name_that_asks_for_a_certificate(void)
{
    static const char *const others[] = {"a.example", "public.example"};
    struct ech ech = new_ech("public.example");
    SSL_CTX *ctx = attached(&ech);

    strict = attached(&ech);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
    for (int encrypts = 0; encrypts < 2; encrypts++)
        for (int i = 0; i < 2; i++) {
            struct client client = {.name = others[i], .ech = encrypts ? &ech : NULL};

            CHECK(visit(ctx, &client) == NEW);
            visit(ctx, &client); /* the name may have to be met first */
            CHECK(visit(ctx, &client) == REUSED);
            client.name = "strict.example";
            client.ech = &ech;
            CHECK(visit(ctx, &client) == REFUSED && client.status == SSL_ECH_STATUS_SUCCESS);
            leave(&client);
        }
    SSL_CTX_free(strict);
    SSL_CTX_free(ctx);
    free_ech(&ech);
}

int main(void)
{
    static const int kinds[] = {STEK_KIND_HMAC, STEK_KIND_EVP};
    unsigned refused;
    struct stek_key *stage;

    store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    CHECK(store != NULL);
    stage = stekc_table_stage(stekc_store_table(store));
    stage[0] = test_key(10, 10, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 1) == 0);
    for (int i = 0; i < 2; i++) {
        kind = kinds[i];
        RUN(a_ticket_resumes_under_its_inner_name);
        RUN(a_ticket_of_the_outer_name_opens_no_inner_name);
        RUN(a_ticket_resumes_if_only_one_hello_was_encrypted);
        RUN(a_ticket_resumes_across_a_retry);
        RUN(a_client_that_pretends_resumes);
        RUN(a_client_that_is_told_better_resumes);
        RUN(no_ticket_opens_a_name_that_asks_for_a_certificate);
    }
    CHECK(stekc_table_counted(stekc_store_table(store), STEK_COUNT_ERRORS) == 0);
    stekc_store_close(store);
    return 0;
}
#endif
