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

struct work {
    const struct contexts *contexts;
    int times;
    double busy;
};

static void *resume_often(void *arg)
{
    struct work *work = arg;

    for (int i = 0; i < work->times; i++)
        work->busy += resume(work->contexts);
    return NULL;
}

/* per_second is the number of handshakes per second of server's time. */
static double per_second(enum peer peer, int version, int threads, int times)
{
    pthread_t thread[8];
    struct work work[8];
    double busy = 0;

    for (int i = 0; i < threads; i++)
        work[i] = (struct work){.contexts = contexts_of(peer, version), .times = times};
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&thread[i], NULL, resume_often, &work[i]) == 0);
    for (int i = 0; i < threads; i++) {
        CHECK(pthread_join(thread[i], NULL) == 0);
        busy += work[i].busy;
    }
    return threads * times / (busy / threads) * 1e9;
}

void measure_resume(int round)
{
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_STEK, PEER_STEK_EVP};

    for (int i = 0; i < 4; i++) {
        enum peer peer = peers[(i + round) % 4];

        emit("resume12-1", peer_names[peer], round, per_second(peer, TLS1_2_VERSION, 1, 1000));
        emit("resume12-2", peer_names[peer], round, per_second(peer, TLS1_2_VERSION, 2, 500));
        emit("resume13-1", peer_names[peer], round, per_second(peer, TLS1_3_VERSION, 1, 400));
        emit("resume13-2", peer_names[peer], round, per_second(peer, TLS1_3_VERSION, 2, 200));
    }
}

/* ---- a ticket issued on its own ---- */

/* measure_issue needs SSL_new_session_ticket(3) of OpenSSL 3.0. */
void measure_issue(int round)
{
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    static const enum peer peers[] = {PEER_BUILT_IN, PEER_MAN_PAGE, PEER_FLOOR, PEER_STEK, PEER_STEK_EVP};
    enum { TICKETS = 1500 };

    for (int i = 0; i < 5; i++) {
        enum peer peer = peers[(i + round) % 5];
        const struct contexts *c = contexts_of(peer, TLS1_3_VERSION);
        SSL *server = SSL_new(c->server), *client = SSL_new(c->client);
        SSL_SESSION *kept = NULL;
        BIO *one = NULL, *other = NULL, *sink = BIO_new(BIO_s_null());
        double begun;
        int done = 0;

        CHECK(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16) == 1);
        SSL_set_bio(server, one, one);
        SSL_set_bio(client, other, other);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        CHECK(SSL_set_ex_data(client, 0, &kept) == 1);
        CHECK(SSL_set_tlsext_host_name(client, "a.example") == 1);
        for (int j = 0; j < 10 && done != 3; j++) {
            done = SSL_do_handshake(client) == 1;
            done |= (SSL_do_handshake(server) == 1) << 1;
        }
        CHECK(done == 3);
        SSL_set0_wbio(server, sink);
        begun = busy_nanoseconds();
        for (int j = 0; j < TICKETS; j++) {
            CHECK(SSL_new_session_ticket(server) == 1);
            CHECK(SSL_do_handshake(server) == 1);
        }
        emit("issue", peer_names[peer], round, (busy_nanoseconds() - begun) / TICKETS);
        CHECK(BIO_number_written(sink) > (uint64_t)TICKETS * 150);
        SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(client);
        SSL_free(server);
        SSL_SESSION_free(kept);
    }
#else
    (void)round;
#endif
}

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
