/*
 * api_test.c - the functions of stek.h: misuse, cycles, threads, and handshakes
 * with the Go keystore behind them.
 */
#define _GNU_SOURCE
#include "../../stek.h"
#include "../../../ctest/src/handshake.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static stek_store *open_store(const char *uri)
{
    stek_store *store = NULL;

    if (stek_open(uri, &store) != STEK_OK) {
        fprintf(stderr, "%s: %s\n", uri, stek_error());
        exit(1);
    }
    return store;
}

/* says checks a failure: its status, and a part of its text. */
static int says(stek_status status, stek_status want, const char *text)
{
    if (status == want && strstr(stek_error(), text) != NULL && strchr(stek_error(), '\n') == NULL)
        return 1;
    fprintf(stderr, "status %d, want %d; text \"%s\", want \"%s\"\n", (int)status, (int)want,
            stek_error(), text);
    return 0;
}

static void version_is_that_of_the_header(void)
{
    char text[32];

    CHECK(strcmp(stek_version(), STEK_VERSION) == 0);
    snprintf(text, sizeof text, "%d.%d.%d", STEK_VERSION_MAJOR, STEK_VERSION_MINOR,
             STEK_VERSION_PATCH);
    CHECK(strcmp(text, STEK_VERSION) == 0);
}

static void every_status_has_a_text(void)
{
    for (int status = STEK_OK; status <= STEK_ERR_SYSTEM; status++) {
        CHECK(status > 4096); /* no boolean and no errno */
        CHECK(strcmp(stek_status_text((stek_status)status), "unknown status") != 0);
    }
    CHECK(strcmp(stek_status_text((stek_status)0), "unknown status") == 0);
    for (int warning = STEK_WARN_TICKETS_OFF; warning <= STEK_WARN_TIMEOUT; warning *= 2)
        CHECK(strcmp(stek_warning_text((stek_warning)warning), "unknown warning") != 0);
    CHECK(strcmp(stek_warning_text((stek_warning)16), "unknown warning") == 0);
}

static void misuse_is_an_error(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    stek_store *store = open_store("memory:"), *untouched = store, *closed;
    stek_stats stats = {.issued = 77};
    stek_key_info keys[STEK_KEYS_MAX];
    unsigned warnings = 77;
    size_t count = 77;
    stek_attach_options options = {.size = sizeof options};

    CHECK(says(stek_open(NULL, &untouched), STEK_ERR_ARG, "the URI is NULL"));
    CHECK(says(stek_open("memory:", NULL), STEK_ERR_ARG, "the output is NULL"));
    CHECK(says(stek_open("", &untouched), STEK_ERR_URI, "store URI: it does not begin with"));
    CHECK(says(stek_open("memory:?rotation=1", &untouched), STEK_ERR_URI,
               "rotation is not a duration"));
    CHECK(says(stek_open("memory:?rotation=1h&lifetime=3h", &untouched), STEK_ERR_URI,
               "more than twice"));
    CHECK(untouched == store);

    CHECK(says(stek_attach(NULL, store, NULL), STEK_ERR_ARG, "the SSL_CTX pointer is NULL"));
    CHECK(says(stek_attach(ctx, NULL, NULL), STEK_ERR_ARG, "the store is NULL"));
    CHECK(says(stek_attach(ctx, (stek_store *)ctx, NULL), STEK_ERR_HANDLE, "is no open store"));
    CHECK(says(stek_attach((SSL_CTX *)(void *)&stats, store, NULL), STEK_ERR_CONTEXT, "not"));
    options.size = 3;
    CHECK(says(stek_attach(ctx, store, &options), STEK_ERR_ARG, "the size of the options is 3"));
    options.size = sizeof options;
    options.auth_age_cap_seconds = 259201;
    CHECK(says(stek_attach(ctx, store, &options), STEK_ERR_ARG, "auth_age_cap_seconds is 259201"));
    options.auth_age_cap_seconds = 0;
    options.name_group = "";
    CHECK(says(stek_attach(ctx, store, &options), STEK_ERR_ARG, "the name group is empty"));
    options.name_group = NULL;
    options.renewal = (stek_renewal)9;
    CHECK(says(stek_attach(ctx, store, &options), STEK_ERR_ARG, "the renewal policy is unknown"));
    CHECK(says(stek_detach(ctx), STEK_ERR_DETACHED, "no keystore"));
    CHECK(stek_attach(ctx, store, NULL) == STEK_OK);
    CHECK(says(stek_attach(ctx, store, NULL), STEK_ERR_ATTACHED, "already"));

    CHECK(says(stek_inspect(ctx, store, NULL), STEK_ERR_ARG, "the output is NULL"));
    CHECK(says(stek_get_stats(store, sizeof stats, NULL), STEK_ERR_ARG, "NULL"));
    CHECK(says(stek_get_stats(store, 1, &stats), STEK_ERR_ARG, "of size 1"));
    CHECK(says(stek_get_keys(store, sizeof keys[0], NULL, 1, &count), STEK_ERR_ARG, "NULL"));
    CHECK(says(stek_get_keys(store, sizeof keys[0], keys, 0, &count), STEK_ERR_SPACE,
               "there are 1 keys, and room for 0"));
    CHECK(says(stek_rotate(NULL), STEK_ERR_ARG, "NULL"));
    CHECK(says(stek_revoke(NULL), STEK_ERR_ARG, "NULL"));
    CHECK(stek_close(NULL) == STEK_OK);

    closed = store;
    CHECK(stek_close(store) == STEK_OK);
    store = open_store("memory:"); /* in the same place */
    CHECK(store != closed);
    CHECK(says(stek_close(closed), STEK_ERR_HANDLE, "is no open store"));
    CHECK(says(stek_rotate(closed), STEK_ERR_HANDLE, "is no open store"));
    CHECK(says(stek_revoke(closed), STEK_ERR_HANDLE, "is no open store"));
    CHECK(says(stek_get_stats(closed, sizeof stats, &stats), STEK_ERR_HANDLE, "is no open store"));
    CHECK(says(stek_get_keys(closed, sizeof keys[0], keys, 64, &count), STEK_ERR_HANDLE, "no"));
    CHECK(says(stek_inspect(ctx, closed, &warnings), STEK_ERR_HANDLE, "is no open store"));
    CHECK(stats.issued == 77 && warnings == 77 && count == 77); /* outputs untouched */
    CHECK(stek_close(store) == STEK_OK);
    SSL_CTX_free(ctx);
}

static void counts_and_keys_tell_what_happened(void)
{
    stek_store *store = open_store("memory:?rotation=1h&lifetime=1h");
    SSL_CTX *server = new_server(), *client = new_client(TLS1_3_VERSION);
    SSL_SESSION *session = NULL;
    stek_stats stats;
    stek_key_info keys[STEK_KEYS_MAX];
    struct {
        stek_key_info info;
        uint64_t newer;
    } longer[STEK_KEYS_MAX];
    unsigned warnings;
    size_t count;

    CHECK(stek_attach(server, store, NULL) == STEK_OK);
    CHECK(stek_inspect(server, store, &warnings) == STEK_OK);
    CHECK(warnings == STEK_WARN_TIMEOUT); /* OpenSSL's two hours */
    SSL_CTX_set_timeout(server, 3600);
    CHECK(stek_inspect(server, store, &warnings) == STEK_OK && warnings == 0);

    CHECK(!connect_once(server, client, &session));
    CHECK(connect_once(server, client, &session));
    CHECK(stek_rotate(store) == STEK_OK);
    CHECK(connect_once(server, client, &session));

    CHECK(stek_get_stats(store, sizeof stats, &stats) == STEK_OK);
    CHECK(stats.issued == 4 && stats.accepted == 2 && stats.renewed == 2);
    CHECK(stats.accepted_previous == 1 && stats.errors == 0);
    CHECK(stek_get_keys(store, sizeof keys[0], keys, STEK_KEYS_MAX, &count) == STEK_OK);
    CHECK(count == 2);
    CHECK(keys[0].state == STEK_KEY_CURRENT && keys[1].state == STEK_KEY_PREVIOUS);
    CHECK(keys[0].issued == 1 && keys[0].accepted == 0);
    CHECK(keys[1].issued == 3 && keys[1].accepted == 2);
    CHECK(keys[1].renewed == 2 && keys[1].accepted_previous == 1);
    CHECK(keys[0].renewed == 0 && keys[0].accepted_previous == 0);
    CHECK(keys[1].not_after_seconds <= keys[0].not_before_seconds + 1);
    CHECK(keys[1].decrypt_until_seconds - keys[1].not_after_seconds == 3600);

    /* Compiled with another header, shorter or longer. */
    memset(longer, 0xff, sizeof longer);
    CHECK(stek_get_keys(store, sizeof longer[0], &longer[0].info, STEK_KEYS_MAX, &count) == STEK_OK);
    CHECK(memcmp(&longer[1].info, &keys[1], sizeof keys[1]) == 0 && longer[1].newer == 0);
    memset(&stats, 0xff, sizeof stats);
    CHECK(stek_get_stats(store, sizeof stats.issued, &stats) == STEK_OK);
    CHECK(stats.issued == 4 && stats.renewed == UINT64_MAX);

    CHECK(stek_revoke(store) == STEK_OK);
    CHECK(stek_get_keys(store, sizeof keys[0], keys, STEK_KEYS_MAX, &count) == STEK_OK);
    CHECK(count == 1 && keys[0].state == STEK_KEY_CURRENT && keys[0].issued == 0);
    CHECK(!connect_once(server, client, &session));
    CHECK(stek_get_stats(store, sizeof stats, &stats) == STEK_OK && stats.unknown == 1);
    CHECK(connect_once(server, client, &session));

    CHECK(stek_close(store) == STEK_OK);
    CHECK(!connect_once(server, client, &session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}

/* As it was before the first store was opened. */
static const int taken_by_go[] = {SIGSEGV, SIGBUS, SIGFPE, SIGPIPE, SIGURG};
static struct sigaction before[5];
static int descriptors_before, threads_before;

static int entries_of(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void cycle(void)
{
    stek_store *store = open_store("memory:?rotation=1s");
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    CHECK(ctx != NULL && stek_attach(ctx, store, NULL) == STEK_OK);
    CHECK(stek_close(store) == STEK_OK);
    SSL_CTX_free(ctx);
}

static void a_thousand_cycles_leave_nothing_behind(void)
{
    int descriptors, threads;

    for (int i = 0; i < 50; i++) /* Go starts what threads it wants */
        cycle();
    descriptors = entries_of("/proc/self/fd");
    threads = entries_of("/proc/self/task");
    for (int i = 0; i < 1000; i++)
        cycle();
    CHECK(entries_of("/proc/self/fd") == descriptors);
    CHECK(entries_of("/proc/self/task") <= threads + 1);
    printf("     the library's: %d threads, %d descriptors\n", threads - threads_before,
           descriptors - descriptors_before);
}

/* Go's descriptors are all there when the first open returns, so that a host
   may use up the rest, or close what it does not know before it. */
static void descriptors_are_all_there_at_once(void)
{
    stek_store *store = open_store("memory:");
    int descriptors = entries_of("/proc/self/fd");

    for (int i = 0; i < 20; i++) {
        usleep(50000);
        CHECK(entries_of("/proc/self/fd") == descriptors);
    }
    CHECK(stek_close(store) == STEK_OK);
}

static void *attach_all_the_time(void *end)
{
    stek_store *store = open_store("memory:");

    while (!atomic_load((atomic_int *)end)) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        CHECK(ctx != NULL && stek_attach(ctx, store, NULL) == STEK_OK);
        SSL_CTX_free(ctx);
    }
    CHECK(stek_close(store) == STEK_OK);
    return NULL;
}

static void fork_does_not_wait_for_ever(void)
{
    static atomic_int end;
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, attach_all_the_time, &end) == 0);
    for (int i = 0; i < 300; i++) {
        stek_store *none;
        pid_t child;
        int status;

        alarm(60); /* for each: AddressSanitizer makes a fork slow */
        child = fork();
        if (child == 0)
            _exit(stek_open("memory:", &none) == STEK_ERR_FORKED ? 0 : 1);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    alarm(0);
    atomic_store(&end, 1);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void *open_all_the_time(void *nothing)
{
    for (;;) {
        stek_store *store = open_store("memory:");

        CHECK(stek_close(store) == STEK_OK);
        pthread_testcancel();
    }
    return nothing;
}

static void cancelled_thread_leaves_no_lock(void)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;

        alarm(60);
        CHECK(pthread_create(&thread, NULL, open_all_the_time, NULL) == 0);
        usleep((useconds_t)(i * 37 % 1000));
        CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
        cycle();
    }
    alarm(0);
}

static void stores_run_out_with_an_error(void)
{
    enum { MANY = 256 };
    stek_store *store[MANY], *none = NULL;

    for (int i = 0; i < MANY; i++)
        store[i] = open_store("memory:");
    CHECK(says(stek_open("memory:", &none), STEK_ERR_LIMIT, "256 stores are open already"));
    CHECK(none == NULL);
    for (int i = 0; i < MANY; i++)
        CHECK(stek_close(store[i]) == STEK_OK);
}

enum { THREADS = 64, CONNECTIONS = 20 };

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

static void sixty_four_threads_share_a_context(void)
{
    static struct load load[THREADS];
    pthread_t thread[THREADS];
    stek_store *store = open_store("memory:");
    SSL_CTX *server = new_server();
    stek_stats stats;

    CHECK(stek_attach(server, store, NULL) == STEK_OK);
    for (int i = 0; i < THREADS; i++) {
        load[i] = (struct load){server, new_client(TLS1_3_VERSION), 0};
        CHECK(pthread_create(&thread[i], NULL, resume_all_the_time, &load[i]) == 0);
    }
    for (int i = 0; i < 20; i++) {
        CHECK(stek_rotate(store) == STEK_OK);
        usleep(10000);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(thread[i], NULL) == 0);
        CHECK(load[i].reused == CONNECTIONS - 1);
        SSL_CTX_free(load[i].client);
    }
    CHECK(stek_get_stats(store, sizeof stats, &stats) == STEK_OK);
    CHECK(stats.accepted == THREADS * (CONNECTIONS - 1) && stats.errors == 0);
    CHECK(stek_close(store) == STEK_OK);
    SSL_CTX_free(server);
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* The dispositions of the five signals that Go takes are the host's again, and
   signals to the process reach the host. */
static void signals_are_the_hosts(void)
{
    const int shown = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND;
    static const int used[] = {SIGHUP, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2};
    stek_store *store = open_store("memory:");

    for (int i = 0; i < 5; i++) {
        struct sigaction now;

        CHECK(sigaction(taken_by_go[i], NULL, &now) == 0);
        CHECK(now.sa_handler == before[i].sa_handler);
        CHECK((now.sa_flags & shown) == (before[i].sa_flags & shown));
    }
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        struct sigaction host = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

        CHECK(sigaction(used[i], &host, NULL) == 0);
        for (int n = 0; n < 50; n++) {
            caught = 0;
            CHECK(kill(getpid(), used[i]) == 0);
            for (int wait = 0; caught != used[i] && wait < 1000; wait++)
                usleep(1000);
            CHECK(caught == used[i]);
        }
    }
    CHECK(stek_close(store) == STEK_OK);
}

int main(void)
{
    for (int i = 0; i < 5; i++)
        CHECK(sigaction(taken_by_go[i], NULL, &before[i]) == 0);
    descriptors_before = entries_of("/proc/self/fd");
    threads_before = entries_of("/proc/self/task");
    RUN(version_is_that_of_the_header);
    RUN(every_status_has_a_text);
    RUN(descriptors_are_all_there_at_once);
    RUN(signals_are_the_hosts);
    RUN(misuse_is_an_error);
    RUN(counts_and_keys_tell_what_happened);
    RUN(a_thousand_cycles_leave_nothing_behind);
    RUN(fork_does_not_wait_for_ever);
    RUN(cancelled_thread_leaves_no_lock);
    RUN(stores_run_out_with_an_error);
    RUN(sixty_four_threads_share_a_context);
    return 0;
}
