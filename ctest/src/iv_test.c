/*
 * iv_test.c - initialisation vectors: none is drawn twice, by no thread and in
 * no forked child.
 */
#define _GNU_SOURCE
#include "../../store.h"
#include "check.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAWN = 100, MOST = 64 * DRAWN };

static struct stekc_binding binding;
static unsigned char vectors[MOST][STEK_IV_SIZE];

static void draw(unsigned char (*out)[STEK_IV_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(stekc_iv(&binding, out[i]) == 1);
}

static int ascending(const void *a, const void *b)
{
    return memcmp(a, b, STEK_IV_SIZE);
}

static void all_differ(size_t count)
{
    qsort(vectors, count, STEK_IV_SIZE, ascending);
    for (size_t i = 1; i < count; i++)
        CHECK(memcmp(vectors[i - 1], vectors[i], STEK_IV_SIZE) != 0);
}

/* draw_in_child draws in a child made by fork(3), or past the C library. */
static void draw_in_child(int past_libc, unsigned char (*out)[STEK_IV_SIZE])
{
    int ends[2], status;
    pid_t child;

    CHECK(pipe(ends) == 0);
    child = past_libc ? (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    CHECK(child >= 0);
    if (child == 0) {
        unsigned char own[DRAWN][STEK_IV_SIZE];

        draw(own, DRAWN);
        _exit(write(ends[1], own, sizeof own) == sizeof own ? 0 : 1);
    }
    CHECK(read(ends[0], out, DRAWN * STEK_IV_SIZE) == DRAWN * STEK_IV_SIZE);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(ends[0]);
    close(ends[1]);
}

static void child_draws_what_its_parent_does_not(void)
{
    size_t count = 0;

    for (int i = 0; i < 8; i++) {
        draw(vectors + count, 5); /* a supply that is begun */
        count += 5;
        draw_in_child(i % 2, vectors + count);
        count += DRAWN;
        draw_in_child(i % 2, vectors + count);
        count += DRAWN;
        draw(vectors + count, DRAWN);
        count += DRAWN;
    }
    all_differ(count);
}

static void *draw_in_thread(void *out)
{
    draw(out, DRAWN);
    return NULL;
}

static void thread_draws_what_no_other_does(void)
{
    pthread_t thread[8];

    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&thread[i], NULL, draw_in_thread, vectors + i * DRAWN) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    all_differ(8 * DRAWN);
}

int main(void)
{
    struct stekc_options options = {.auth_age_cap = 1};
    struct stekc_report report;
    unsigned refused;
    struct stekc_store *store = stekc_store_new(STEK_PRIVATE, NULL, &refused);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    CHECK(store != NULL && ctx != NULL);
    CHECK(stekc_attach(ctx, store, &options, &report) == STEKC_OK); /* binds to libcrypto */
    RUN(child_draws_what_its_parent_does_not);
    RUN(thread_draws_what_no_other_does);
    SSL_CTX_free(ctx);
    stekc_store_close(store);
    return 0;
}
