/*
 * resume.c - measures of whole handshakes over memory, both sides in one thread;
 * only the server's time counts.
 */
#include "bench.h"

#include <pthread.h>

struct contexts {
    SSL_CTX *server, *client;
    SSL_SESSION *session; /* a ticket of the server */
};

static const struct contexts *contexts_of(enum peer peer, int version)
{
    static struct contexts all[PEERS][2];
    struct contexts *c = &all[peer][version == TLS1_3_VERSION];

    if (c->server == NULL) {
        c->server = new_server();
        c->client = new_client(version);
        SSL_CTX_set_session_cache_mode(c->server, SSL_SESS_CACHE_OFF);
        peer_attach(c->server, peer);
    }
    SSL_SESSION_free(c->session);
    c->session = NULL;
    CHECK(connect_once(c->server, c->client, &c->session) == 0);
    CHECK(c->session != NULL);
    return c;
}

/* resume makes a resumed handshake and returns the nanoseconds that the server
   was busy. */
static double resume(const struct contexts *c)
{
    SSL *server = SSL_new(c->server), *client = SSL_new(c->client);
    SSL_SESSION *session = SSL_SESSION_dup(c->session), *kept = NULL; /* one use each */
    BIO *one = NULL, *other = NULL;
    double busy = 0;
    int done = 0;

    CHECK(server != NULL && client != NULL && session != NULL);
    CHECK(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16) == 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    CHECK(SSL_set_ex_data(client, 0, &kept) == 1);
    CHECK(SSL_set_tlsext_host_name(client, "a.example") == 1);
    CHECK(SSL_set_session(client, session) == 1);
    for (int i = 0; i < 10 && done != 3; i++) {
        double begun;

        done = SSL_do_handshake(client) == 1;
        begun = nanoseconds();
        done |= (SSL_do_handshake(server) == 1) << 1;
        busy += nanoseconds() - begun;
    }
    CHECK(done == 3 && SSL_session_reused(server));
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    SSL_free(server);
    SSL_SESSION_free(session);
    SSL_SESSION_free(kept);
    return busy;
}

static const enum peer resumed[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_STEK, PEER_STEK_EVP};

enum { RESUMED = sizeof resumed / sizeof *resumed };

struct work {
    const struct contexts *contexts[RESUMED];
    int times, first;
    double busy[RESUMED];
};

/* resume_often lets the peers take turns, handshake by handshake. */
static void *resume_often(void *arg)
{
    struct work *work = arg;

    for (int i = 0; i < work->times * RESUMED; i++) {
        int peer = (i + work->first) % RESUMED;

        work->busy[peer] += resume(work->contexts[peer]);
    }
    return NULL;
}

/* Handshakes per second of server's time. */
static void resume_on(int round, const char *measure, int version, int threads, int times)
{
    pthread_t thread[8];
    struct work work[8] = {0};

    for (int i = 0; i < threads; i++) {
        work[i].times = times;
        work[i].first = round + i;
        for (int j = 0; j < RESUMED; j++)
            work[i].contexts[j] = contexts_of(resumed[j], version);
    }
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&thread[i], NULL, resume_often, &work[i]) == 0);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    for (int j = 0; j < RESUMED; j++) {
        double busy = 0;

        for (int i = 0; i < threads; i++)
            busy += work[i].busy[j] / threads;
        emit(measure, peer_names[resumed[j]], round, threads * times / busy * 1e9);
    }
}

void measure_resume(int round)
{
    resume_on(round, "resume12-1", TLS1_2_VERSION, 1, 1000);
    resume_on(round, "resume12-2", TLS1_2_VERSION, 2, 500);
    resume_on(round, "resume13-1", TLS1_3_VERSION, 1, 400);
    resume_on(round, "resume13-2", TLS1_3_VERSION, 2, 200);
}

/* ---- a ticket issued on its own: SSL_new_session_ticket(3), OpenSSL 3.0 ---- */

#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
/* A connection whose server has no more to read, and writes into nothing. */
struct issuer {
    SSL *server, *client;
    SSL_SESSION *kept;
    BIO *sink;
};

static void open_issuer(struct issuer *issuer, const struct contexts *c)
{
    BIO *one = NULL, *other = NULL;
    int done = 0;

    issuer->server = SSL_new(c->server);
    issuer->client = SSL_new(c->client);
    issuer->sink = BIO_new(BIO_s_null());
    CHECK(issuer->server != NULL && issuer->client != NULL && issuer->sink != NULL);
    CHECK(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16) == 1);
    SSL_set_bio(issuer->server, one, one);
    SSL_set_bio(issuer->client, other, other);
    SSL_set_accept_state(issuer->server);
    SSL_set_connect_state(issuer->client);
    CHECK(SSL_set_ex_data(issuer->client, 0, &issuer->kept) == 1);
    CHECK(SSL_set_tlsext_host_name(issuer->client, "a.example") == 1);
    for (int i = 0; i < 10 && done != 3; i++) {
        done = SSL_do_handshake(issuer->client) == 1;
        done |= (SSL_do_handshake(issuer->server) == 1) << 1;
    }
    CHECK(done == 3);
    SSL_set0_wbio(issuer->server, issuer->sink);
}

static void close_issuer(struct issuer *issuer)
{
    SSL_set_shutdown(issuer->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(issuer->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(issuer->client);
    SSL_free(issuer->server);
    SSL_SESSION_free(issuer->kept);
}

void measure_issue(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_KEYED, PEER_FLOOR,
                                      PEER_STEK,     PEER_STEK_EVP, PEER_STEK_NO_STAMP};
    enum { ALL = sizeof peers / sizeof peers[0], CHUNKS = 30, TICKETS = 50 };
    struct issuer issuer[ALL] = {0};
    double busy[ALL] = {0};

    for (int i = 0; i < ALL; i++)
        open_issuer(&issuer[i], contexts_of(peers[i], TLS1_3_VERSION));
    for (int i = 0; i < ALL * CHUNKS; i++) {
        int peer = (i + round) % ALL;
        double begun = busy_nanoseconds();

        for (int j = 0; j < TICKETS; j++) {
            CHECK(SSL_new_session_ticket(issuer[peer].server) == 1);
            CHECK(SSL_do_handshake(issuer[peer].server) == 1);
        }
        busy[peer] += busy_nanoseconds() - begun;
    }
    for (int i = 0; i < ALL; i++) {
        emit("issue", peer_names[peers[i]], round, busy[i] / CHUNKS / TICKETS);
        CHECK(BIO_number_written(issuer[i].sink) > (uint64_t)CHUNKS * TICKETS * 150);
        close_issuer(&issuer[i]);
    }
}
#else
void measure_issue(int round)
{
    (void)round;
}
#endif

/* ---- while keys rotate ---- */

static int rotating; /* atomic; 0 ends the rotations */

static void *rotate(void *arg)
{
    struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    struct stekc_table *table = stekc_store_table(bench_store());

    (void)arg;
    for (uint64_t number = 1000; __atomic_load_n(&rotating, __ATOMIC_ACQUIRE); number++) {
        struct stek_key *stage = stekc_table_stage(table);
        int64_t now = stekc_table_now(table).low;

        /* The keys of bench_publish stay; a newer one is current. */
        for (size_t i = 0; i < 3; i++)
            stage[i] = test_key(i, i == 0 ? now + INT64_C(3600000000000) : now - 1000 - (int64_t)i,
                                INT64_MAX, INT64_MAX);
        stage[3] = test_key(number, now, INT64_MAX, INT64_MAX);
        CHECK(stekc_table_publish(table, 4) == 0);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void percentiles(const struct contexts *c, const char *variant, int round)
{
    enum { HANDSHAKES = 4000 };
    static double busy[HANDSHAKES];

    for (int i = 0; i < HANDSHAKES; i++)
        busy[i] = resume(c);
    qsort(busy, HANDSHAKES, sizeof *busy, ascending);
    emit("rotation-p50", variant, round, busy[HANDSHAKES / 2] / 1000);
    emit("rotation-p99", variant, round, busy[HANDSHAKES * 99 / 100] / 1000);
    emit("rotation-p999", variant, round, busy[HANDSHAKES / 1000 * 999] / 1000);
}

void measure_rotation(int round)
{
    const struct contexts *c = contexts_of(PEER_STEK, TLS1_3_VERSION);
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        if ((i + round) % 2 == 0) {
            percentiles(c, "no rotation", round);
            continue;
        }
        __atomic_store_n(&rotating, 1, __ATOMIC_RELEASE);
        CHECK(pthread_create(&thread, NULL, rotate, NULL) == 0);
        percentiles(c, "every 100 ms", round);
        __atomic_store_n(&rotating, 0, __ATOMIC_RELEASE);
        CHECK(pthread_join(thread, NULL) == 0);
        bench_publish(3);
    }
}
