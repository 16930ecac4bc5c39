/*
 * stack_test.c - handshakes on stacks that are not the thread's own: nobody is asked
 * there, since that would enter Go.
 */
#define _GNU_SOURCE
#include "../../store.h"
#include "handshake.h"

#include <pthread.h>
#include <ucontext.h>

enum { STACK_SIZE = 1 << 20 };

static int questions, releases;
static struct stek_key the_key;

static int asked_for_current(uintptr_t handle, struct stek_key *out)
{
    (void)handle;
    questions++;
    *out = the_key;
    return STEK_ASK_FOUND;
}

static int asked_for_named(uintptr_t handle, unsigned char *name, struct stek_key *out)
{
    (void)handle;
    questions++;
    if (memcmp(name, the_key.name, sizeof the_key.name) != 0)
        return STEK_ASK_NONE;
    *out = the_key;
    return STEK_ASK_FOUND;
}

static void on_release(uintptr_t handle)
{
    (void)handle;
    releases++;
}

/* ---- a coroutine ---- */

static ucontext_t caller, coroutine;

static void switch_to(void (*work)(void))
{
    static char stack[STACK_SIZE];

    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = sizeof stack;
    coroutine.uc_link = &caller;
    makecontext(&coroutine, work, 0);
    CHECK(swapcontext(&caller, &coroutine) == 0);
}

/* ---- a server with a store that asks ---- */

static struct stekc_store *store;
static SSL_CTX *server, *client;
static SSL_SESSION *session;
static int reused;

static void set_up(int version)
{
    struct stekc_ask ask = {.on_miss = 1, .current = asked_for_current, .named = asked_for_named,
                            .released = on_release};
    struct stekc_options options = {.auth_age_cap = INT64_MAX};
    struct stekc_report report;
    unsigned refused;

    questions = releases = 0;
    the_key = test_key(1, 0, INT64_MAX, INT64_MAX);
    store = stekc_store_new(STEK_PRIVATE, &ask, &refused);
    server = new_server();
    client = new_client(version);
    session = NULL;
    CHECK(store != NULL && stekc_attach(server, store, &options, &report) == STEKC_OK);
}

static void tear_down(void)
{
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    stekc_store_close(store);
}

static void visit(void)
{
    reused = connect_once(server, client, &session);
}

static uint64_t left_out(void)
{
    return stekc_table_counted(stekc_store_table(store), STEK_COUNT_NOT_ASKED);
}

/* not_asked_there makes a visit with a good ticket by way of visit_there, and one by way of
   the thread's own stack before and after it. */
static void not_asked_there(int version, void (*visit_there)(void))
{
    int before;

    set_up(version);
    visit();
    CHECK(!reused && questions > 0);
    visit();
    CHECK(reused && left_out() == 0);
    before = questions;
    visit_there();
    CHECK(!reused && questions == before);
    CHECK(left_out() >= 2); /* for the ticket offered and for a fresh one */
    visit();
    visit();
    CHECK(reused && questions > before);
    tear_down();
    CHECK(releases == 1);
}

static void visit_on_a_coroutine(void)
{
    switch_to(visit);
}

static void visit_in_a_job(void)
{
    SSL_CTX_set_mode(server, SSL_MODE_ASYNC);
    visit();
    SSL_CTX_clear_mode(server, SSL_MODE_ASYNC);
}

static void coroutines_do_not_ask(void)
{
    not_asked_there(TLS1_2_VERSION, visit_on_a_coroutine);
    not_asked_there(TLS1_3_VERSION, visit_on_a_coroutine);
}

static void jobs_do_not_ask(void)
{
    not_asked_there(TLS1_2_VERSION, visit_in_a_job);
    not_asked_there(TLS1_3_VERSION, visit_in_a_job);
}

static void *both(void *nothing)
{
    coroutines_do_not_ask();
    jobs_do_not_ask();
    return nothing;
}

static void so_it_is_in_other_threads(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, both, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Also a thread that looks for its stack on another one finds its own. */
static void *coroutine_first(void *nothing)
{
    set_up(TLS1_3_VERSION);
    switch_to(visit);
    CHECK(questions == 0 && left_out() > 0);
    visit();
    CHECK(questions > 0);
    tear_down();
    return nothing;
}

static void a_thread_may_begin_on_another_stack(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, coroutine_first, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void a_store_that_ends_on_another_stack_enters_nothing(void)
{
    set_up(TLS1_3_VERSION);
    switch_to(tear_down);
    CHECK(releases == 0);
}

int main(void)
{
    RUN(coroutines_do_not_ask);
    RUN(jobs_do_not_ask);
    RUN(so_it_is_in_other_threads);
    RUN(a_thread_may_begin_on_another_stack);
    RUN(a_store_that_ends_on_another_stack_enters_nothing);
    return 0;
}
