/*
 * handshake_test.c - the callback in real handshakes, without Go: attach,
 * rotate under load, let go in any order. Built with AddressSanitizer, which
 * also looks for leaks.
 */
#include "../../store.h"
#include "binding.h"
#include "handshake.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct stekc_options by_default = {.auth_age_cap = INT64_C(3600) * 1000000000};

static struct stekc_store *new_store(void)
{
    unsigned refused;
    struct stekc_store *store = stekc_store_new(STEK_PRIVATE, NULL, &refused);

    CHECK(store != NULL);
    return store;
}

/* publish puts the keys number (current) and number - 1 (previous) in force. */
static void publish(struct stekc_store *store, uint64_t number)
{
    struct stek_key *stage = stekc_table_stage(stekc_store_table(store));

    stage[0] = test_key(number, (int64_t)number, INT64_MAX, INT64_MAX);
    stage[1] = test_key(number - 1, (int64_t)number - 1, INT64_MAX, INT64_MAX);
    CHECK(stekc_table_publish(stekc_store_table(store), 2) == 0);
}

static void attach(SSL_CTX *ctx, struct stekc_store *store, int kind)
{
    struct stekc_options options = by_default;
    struct stekc_report report;

    options.kind = kind;
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    CHECK(report.warnings == 0);
}

static const int kinds[] = {STEK_KIND_HMAC,
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
                            STEK_KIND_EVP
#endif
};
static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH(type, item, list)                                                           \
    for (const type *item = list; item < list + sizeof list / sizeof list[0]; item++)

static void resumes_until_the_key_is_gone(void)
{
    EACH(int, kind, kinds) EACH(int, version, versions)
    {
        struct stekc_store *store = new_store();
        SSL_CTX *server = new_server(), *client = new_client(*version);
        SSL_SESSION *session = NULL;

        attach(server, store, *kind);
        publish(store, 10);
        CHECK(!connect_once(server, client, &session));
        CHECK(connect_once(server, client, &session));
        publish(store, 11);
        CHECK(connect_once(server, client, &session)); /* and is renewed under 11 */
        publish(store, 12);
        CHECK(connect_once(server, client, &session));
        publish(store, 20);
        CHECK(!connect_once(server, client, &session));
        CHECK(stekc_table_counted(stekc_store_table(store), STEK_COUNT_UNKNOWN) == 1);
        CHECK(stekc_table_counted(stekc_store_table(store), STEK_COUNT_ERRORS) == 0);
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        SSL_CTX_free(server);
        stekc_store_close(store);
    }
}

/* A server whose session id context is another at each start, as Puma's is, or whose ciphers
   are others: OpenSSL decrypts the ticket, and makes a full handshake. */
static void what_the_server_refuses_is_counted(void)
{
    EACH(int, version, versions)
    {
        struct stekc_store *store = new_store();
        const struct stekc_table *table = stekc_store_table(store);
        SSL_CTX *one = new_server(), *other = new_server(), *client = new_client(*version);
        SSL_SESSION *session = NULL;

        CHECK(SSL_CTX_set_session_id_context(one, (const void *)"one", 3) == 1);
        CHECK(SSL_CTX_set_session_id_context(other, (const void *)"other", 5) == 1);
        attach(one, store, STEK_KIND_FASTEST);
        attach(other, store, STEK_KIND_FASTEST);
        publish(store, 10);
        CHECK(!connect_once(one, client, &session));
        CHECK(connect_once(one, client, &session));
        CHECK(stekc_table_counted(table, STEK_COUNT_REFUSED) == 0);
        CHECK(!connect_once(other, client, &session));
        CHECK(stekc_table_counted(table, STEK_COUNT_REFUSED) == 1);
        CHECK(connect_once(other, client, &session));
        CHECK(stekc_table_counted(table, STEK_COUNT_REFUSED) == 1);
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        SSL_CTX_free(one);
        SSL_CTX_free(other);
        stekc_store_close(store);
    }
}

static void context_outlives_its_store(void)
{
    struct stekc_store *store = new_store();
    SSL_CTX *server = new_server(), *client = new_client(TLS1_3_VERSION);
    SSL_SESSION *session = NULL;
    struct stekc_report report;

    attach(server, store, STEK_KIND_FASTEST);
    publish(store, 10);
    CHECK(!connect_once(server, client, &session));
    stekc_store_close(store);
    CHECK(!connect_once(server, client, &session));
    CHECK(stekc_detach(server, &report) == STEKC_OK);
    CHECK(stekc_detach(server, &report) == STEKC_ERR_NOT_ATTACHED);
    CHECK(!connect_once(server, client, &session)); /* OpenSSL's own keys again */
    CHECK(connect_once(server, client, &session));

    store = new_store(); /* and another store on the same context */
    attach(server, store, STEK_KIND_FASTEST);
    publish(store, 10);
    CHECK(!connect_once(server, client, &session));
    CHECK(connect_once(server, client, &session));
    stekc_store_close(store);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}

static int released;

static void on_release(uintptr_t handle)
{
    released += (int)handle;
}

static void thousands_of_stores_come_and_go(void)
{
    struct stekc_ask ask = {.handle = 1, .released = on_release};
    SSL_CTX *lasting = SSL_CTX_new(TLS_server_method());

    released = 0;
    for (int i = 0; i < 3000; i++) {
        unsigned refused;
        struct stekc_store *store = stekc_store_new(STEK_PRIVATE, &ask, &refused);
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        CHECK(store != NULL && ctx != NULL);
        attach(ctx, store, STEK_KIND_FASTEST);
        if (i % 2 == 0)
            stekc_store_close(store);
        SSL_CTX_free(ctx);
        if (i % 2 != 0)
            stekc_store_close(store);
        CHECK(released == i + 1);
    }
    SSL_CTX_free(lasting);
}

static void not_in_a_child(uintptr_t handle)
{
    (void)handle;
    _exit(2);
}

/* A forked child may free what it inherited; it never enters Go for it, and
   leaves the parent's keys alone. */
static void child_frees_what_it_inherited(void)
{
    for (int sharing = STEK_PRIVATE; sharing <= STEK_INHERITED; sharing++)
        for (int close_first = 0; close_first <= 1; close_first++) {
            struct stekc_ask ask = {.handle = 1, .released = not_in_a_child};
            unsigned refused;
            struct stekc_store *store = stekc_store_new(sharing, &ask, &refused);
            SSL_CTX *server = new_server(), *client = new_client(TLS1_3_VERSION);
            SSL_SESSION *session = NULL;
            pid_t child;
            int status;

            CHECK(store != NULL);
            attach(server, store, STEK_KIND_FASTEST);
            publish(store, 10);
            CHECK(!connect_once(server, client, &session));
            fflush(stdout);
            child = fork();
            if (child == 0) {
                /* The keys are there if they are inherited, else wiped. */
                CHECK(connect_once(server, client, &session) == (sharing == STEK_INHERITED));
                if (close_first)
                    stekc_store_close(store);
                SSL_CTX_free(server);
                if (!close_first)
                    stekc_store_close(store);
                _exit(0);
            }
            CHECK(waitpid(child, &status, 0) == child && status == 0);
            CHECK(connect_once(server, client, &session));
            SSL_SESSION_free(session);
            SSL_CTX_free(client);
            SSL_CTX_free(server);
            store->ask.released = NULL;
            stekc_store_close(store);
        }
}

/* A descendant is another process, also if it has come by the same pid. */
static void descendants_are_other_processes(void)
{
    struct stekc_process here = stekc_process();
    int status;
    pid_t child;

    CHECK(stekc_is_this_process(here));
    child = fork();
    if (child == 0) {
        struct stekc_process parent = {getpid(), here.number}, self = stekc_process();

        CHECK(!stekc_is_this_process(here) && !stekc_is_this_process(parent));
        CHECK(stekc_is_this_process(self));
        child = fork();
        if (child == 0) {
            self.pid = parent.pid = getpid();
            _exit(stekc_is_this_process(self) || stekc_is_this_process(parent) ? 1 : 0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(stekc_is_this_process(here));
}

/* An SSL that is used again must not bind a ticket to the name of the
   connection before. */
static void cleared_connection_forgets_its_name(void)
{
    struct stekc_store *store = new_store();
    SSL_CTX *server_ctx = new_server(), *client = new_client(TLS1_2_VERSION);
    SSL_SESSION *of_a = NULL, *of_b = NULL;
    SSL *server;

    CHECK(SSL_CTX_set_session_id_context(server_ctx, (const unsigned char *)"x", 1) == 1);
    attach(server_ctx, store, STEK_KIND_FASTEST);
    publish(store, 10);
    CHECK(!connect_once(server_ctx, client, &of_a));
    SSL_CTX_set_options(client, SSL_OP_NO_TICKET);
    CHECK(!connect_once(server_ctx, client, &of_b)); /* resumes by its id */
    SSL_CTX_clear_options(client, SSL_OP_NO_TICKET);
    publish(store, 11);

    server = SSL_new(server_ctx);
    CHECK(server != NULL);
    CHECK(connect_on(server, client, &of_a, "a.example")); /* renewed */
    CHECK(SSL_clear(server) == 1);
    CHECK(connect_on(server, client, &of_b, "b.example"));
    CHECK(!SSL_SESSION_has_ticket(of_b)); /* its name is not known: none */
    SSL_free(server);
    SSL_SESSION_free(of_a);
    SSL_SESSION_free(of_b);
    SSL_CTX_free(client);
    SSL_CTX_free(server_ctx);
    stekc_store_close(store);
}

static void bindings_run_out_with_an_error(void)
{
    enum { MANY = 1024 };
    static struct stekc_store *store[MANY + 1];
    static SSL_CTX *ctx[MANY + 1];
    struct stekc_report report;

    for (int i = 0; i < MANY; i++) {
        store[i] = new_store();
        ctx[i] = SSL_CTX_new(TLS_server_method());
        CHECK(ctx[i] != NULL);
        attach(ctx[i], store[i], STEK_KIND_FASTEST);
    }
    store[MANY] = new_store();
    ctx[MANY] = SSL_CTX_new(TLS_server_method());
    CHECK(ctx[MANY] != NULL);
    CHECK(stekc_attach(ctx[MANY], store[MANY], &by_default, &report) == STEKC_ERR_FULL);
    CHECK(strstr(report.detail, "1024") != NULL);
    CHECK(stekc_attach(ctx[MANY], store[0], &by_default, &report) == STEKC_OK); /* shared */
    for (int i = 0; i <= MANY; i++) {
        SSL_CTX_free(ctx[i]);
        stekc_store_close(store[i]);
    }
}

enum { THREADS = 8, CONNECTIONS = 40 };

struct load {
    SSL_CTX *server, *client;
    int reused;
};

static void *resume_all_the_time(void *argument)
{
    struct load *load = argument;
    SSL_SESSION *session = NULL;

    for (int i = 0; i < CONNECTIONS; i++)
        load->reused += connect_once(load->server, load->client, &session);
    SSL_SESSION_free(session);
    return NULL;
}

static void *rotate_all_the_time(void *argument)
{
    struct stekc_store *store = argument;

    /* Keys 1 to 62 stay; one after the other is the newest, and so current. */
    for (int64_t round = 0; !stekc_store_closed(store); round++) {
        struct stek_key *stage = stekc_table_stage(stekc_store_table(store));

        for (int i = 0; i < 62; i++)
            stage[i] = test_key(1 + (uint64_t)i, i == round % 62, INT64_MAX, INT64_MAX);
        CHECK(stekc_table_publish(stekc_store_table(store), 62) == 0);
    }
    return NULL;
}

static void threads_resume_during_rotation(void)
{
    EACH(int, kind, kinds) EACH(int, version, versions)
    {
        struct stekc_store *store = new_store();
        struct load load[THREADS];
        pthread_t thread[THREADS], rotation;
        SSL_CTX *server = new_server();

        publish(store, 10);
        attach(server, store, *kind);
        stekc_store_hold(store); /* the rotating thread's */
        CHECK(pthread_create(&rotation, NULL, rotate_all_the_time, store) == 0);
        while (stekc_table_find(stekc_store_table(store), test_key(1, 0, 0, 0).name,
                                (struct stek_now){5, 5}, &(struct stek_key){0}) == STEK_NO_KEY)
            ;
        for (int i = 0; i < THREADS; i++) {
            load[i] = (struct load){server, new_client(*version), 0};
            CHECK(pthread_create(&thread[i], NULL, resume_all_the_time, &load[i]) == 0);
        }
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_join(thread[i], NULL) == 0);
            CHECK(load[i].reused == CONNECTIONS - 1);
            SSL_CTX_free(load[i].client);
        }
        CHECK(stekc_table_counted(stekc_store_table(store), STEK_COUNT_ERRORS) == 0);
        SSL_CTX_free(server);
        atomic_store(&store->closed, 1); /* ends the rotation */
        CHECK(pthread_join(rotation, NULL) == 0);
        stekc_store_release(store);
        stekc_store_release(store);
    }
}

int main(void)
{
    RUN(resumes_until_the_key_is_gone);
    RUN(what_the_server_refuses_is_counted);
    RUN(context_outlives_its_store);
    RUN(thousands_of_stores_come_and_go);
    RUN(descendants_are_other_processes);
    RUN(child_frees_what_it_inherited);
    RUN(cleared_connection_forgets_its_name);
    RUN(bindings_run_out_with_an_error);
    RUN(threads_resume_during_rotation);
    always_copy();
    RUN(resumes_until_the_key_is_gone);
    RUN(threads_resume_during_rotation);
    return 0;
}
