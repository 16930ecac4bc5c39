/*
 * server - an HTTPS server whose session-ticket keys rotate.
 *
 *     server --cert cert.pem --key key.pem --threads 4
 *     server --cert cert.pem --key key.pem --prefork 4
 *
 * It answers every request with the process that did, the TLS version, and New
 * or Reused. SIGHUP rotates the ticket key, SIGUSR1 prints keys and counts,
 * SIGTERM ends it. All there is of stek is in this file, and what it takes to
 * use it is open_keys; https.c, workers.c and signals.c are as in any server.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <stek.h>

#include "https.h"
#include "signals.h"
#include "workers.h"

static const char *uri = "memory:";
static SSL_CTX *context;
static stek_store *store;

static bool failed(const char *call, stek_status status)
{
    fprintf(stderr, "server: %s: %s (%s)\n", call, stek_error(), stek_status_text(status));
    return false;
}

/* open_keys gives context ticket keys that rotate. */
static bool open_keys(void)
{
    stek_status status = stek_open(uri, &store);
    if (status != STEK_OK)
        return failed("stek_open", status);
    status = stek_attach(context, store, NULL);
    if (status != STEK_OK)
        return failed("stek_attach", status);
    return true;
}

static void close_keys(void)
{
    stek_status status = stek_close(store);
    if (status != STEK_OK)
        failed("stek_close", status);
}

/* print_warnings says what in the configuration keeps tickets from use. */
static void print_warnings(void)
{
    unsigned warnings;
    stek_status status = stek_inspect(context, store, &warnings);

    if (status != STEK_OK) {
        failed("stek_inspect", status);
        return;
    }
    for (unsigned bit = 1; bit != 0 && bit <= warnings; bit <<= 1) {
        if (warnings & bit)
            fprintf(stderr, "server: warning: %s\n", stek_warning_text((stek_warning)bit));
    }
}

static void print_key(const stek_key_info *key)
{
    static const char *const states[] = {
        [STEK_KEY_UPCOMING] = "upcoming", [STEK_KEY_CURRENT] = "current", [STEK_KEY_PREVIOUS] = "previous"};
    char name[2 * sizeof(key->name) + 1];

    for (size_t i = 0; i < sizeof(key->name); i++)
        snprintf(name + 2 * i, 3, "%02x", key->name[i]);
    printf("[%ld] key %s %s issued=%" PRIu64 " accepted=%" PRIu64 "\n", (long)getpid(), name,
           states[key->state], key->issued, key->accepted);
}

/* print_counts prints what all processes that share the store did. */
static void print_counts(void)
{
    stek_key_info keys[STEK_KEYS_MAX];
    size_t count;
    stek_stats stats;
    stek_status status = stek_get_keys(store, sizeof(keys[0]), keys, STEK_KEYS_MAX, &count);

    if (status != STEK_OK) {
        failed("stek_get_keys", status);
        return;
    }
    status = stek_get_stats(store, sizeof(stats), &stats);
    if (status != STEK_OK) {
        failed("stek_get_stats", status);
        return;
    }
    for (size_t i = 0; i < count; i++)
        print_key(&keys[i]);
    printf("[%ld] stats issued=%" PRIu64 " renewed=%" PRIu64 " accepted=%" PRIu64
           " accepted_previous=%" PRIu64 " unknown=%" PRIu64 " expired=%" PRIu64
           " declined=%" PRIu64 " errors=%" PRIu64 "\n",
           (long)getpid(), stats.issued, stats.renewed, stats.accepted, stats.accepted_previous,
           stats.unknown, stats.expired, stats.declined, stats.errors);
}

static void on_signal(int signal)
{
    static unsigned reloads;

    if (signal == SIGUSR1) {
        print_counts();
        return;
    }
    /* SIGHUP. A server would read its configuration here. */
    stek_status status = stek_rotate(store);
    if (status != STEK_OK)
        failed("stek_rotate", status);
    printf("[%ld] reloaded %u\n", (long)getpid(), ++reloads);
}

static int usage(void)
{
    fputs("usage: server --cert FILE --key FILE (--threads N | --prefork N)\n"
          "              [--port PORT] [--store URI] [--open-late]\n"
          "  --threads N   N threads serve\n"
          "  --prefork N   N child processes serve, with keys opened before the fork\n"
          "  --open-late   with --prefork: each child opens keys of its own\n"
          "  --port PORT   of 127.0.0.1; any if it is 0 or left out\n"
          "  --store URI   see stek_open in stek.h; memory: if it is left out\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    enum { CERT, KEY, THREADS, PREFORK, PORT, STORE, OPEN_LATE };
    static const struct option options[] = {
        {"cert", required_argument, NULL, CERT},       {"key", required_argument, NULL, KEY},
        {"threads", required_argument, NULL, THREADS}, {"prefork", required_argument, NULL, PREFORK},
        {"port", required_argument, NULL, PORT},       {"store", required_argument, NULL, STORE},
        {"open-late", no_argument, NULL, OPEN_LATE},   {0}};
    struct host host = {.listener = -1, .on_signal = on_signal};
    const char *cert_file = NULL, *key_file = NULL;
    int option, port = 0;
    bool prefork = false, late = false, good = false;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case CERT: cert_file = optarg; break;
        case KEY: key_file = optarg; break;
        case THREADS: host.workers = atoi(optarg); prefork = false; break;
        case PREFORK: host.workers = atoi(optarg); prefork = true; break;
        case PORT: port = atoi(optarg); break;
        case STORE: uri = optarg; break;
        case OPEN_LATE: late = true; break;
        default: return usage();
        }
    }
    if (cert_file == NULL || key_file == NULL || host.workers < 1 || optind < argc || (late && !prefork))
        return usage();
    if (late) {
        host.child_begins = open_keys;
        host.child_ends = close_keys;
    }

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* whole lines, and none twice after a fork */
    host.events = signals_open();
    if (host.events < 0) {
        perror("server: signals");
        goto end;
    }
    host.context = context = https_context(cert_file, key_file);
    if (context == NULL)
        goto end;
    if (!late) {
        if (!open_keys())
            goto end;
        print_warnings();
    }
    host.listener = https_listen(&port);
    if (host.listener < 0)
        goto end;
    printf("listening on 127.0.0.1:%d\n", port);
    good = prefork ? workers_run_processes(&host) : workers_run_threads(&host);

end:
    if (host.listener >= 0)
        close(host.listener);
    close_keys();
    SSL_CTX_free(context);
    signals_close();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
