/*
 * limit_check - stek_open under the resource limits that it is started with.
 *
 *     limit_check [THREADS]
 *
 * It prints STEK_OK, STEK_ERR_LIMIT and the text of stek_error, or another
 * status. A store that could be opened it uses, from more threads if they are
 * asked for, for as long as some rotations take, when its process can make no
 * more threads and has no descriptor left: servers run out of those, and some
 * take them from themselves.
 */
#define _XOPEN_SOURCE 700

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <stek.h>

#define THREADS_MAX 64
#define CALLS 50

static stek_store *store;
static pthread_barrier_t without;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* use returns the first status that is not STEK_OK. */
static stek_status use(void)
{
    stek_key_info keys[STEK_KEYS_MAX];
    stek_stats stats;
    size_t count;

    for (int i = 0; i < CALLS; i++) {
        stek_status status = stek_rotate(store);
        if (status == STEK_OK)
            status = stek_get_keys(store, sizeof(keys[0]), keys, STEK_KEYS_MAX, &count);
        if (status == STEK_OK)
            status = stek_get_stats(store, sizeof(stats), &stats);
        if (status != STEK_OK) {
            printf("in use: status %d: %s\n", (int)status, stek_error());
            return status;
        }
        pause_ms(10);
    }
    return STEK_OK;
}

static void *use_in_thread(void *result)
{
    pthread_barrier_wait(&without);
    *(stek_status *)result = use();
    return NULL;
}

/* take_all takes what is left of threads and descriptors. */
static void take_all(void)
{
    struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_NPROC, &none) != 0)
        perror("setrlimit");
    while (dup(STDIN_FILENO) >= 0)
        continue;
}

/* open_store opens the store and looks whether the limits are as they were. */
static stek_status open_store(void)
{
    static const int limits[] = {RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_AS};
    enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };
    struct rlimit before[LIMITS], after;
    stek_status status;

    for (int i = 0; i < LIMITS; i++)
        getrlimit(limits[i], &before[i]);
    status = stek_open("memory:?rotation=100ms&lifetime=100ms", &store);
    for (int i = 0; i < LIMITS; i++) {
        getrlimit(limits[i], &after);
        if (after.rlim_cur != before[i].rlim_cur || after.rlim_max != before[i].rlim_max)
            printf("stek_open has changed limit %d from %llu to %llu\n", limits[i],
                   (unsigned long long)before[i].rlim_cur, (unsigned long long)after.rlim_cur);
    }
    return status;
}

int main(int argc, char **argv)
{
    stek_status status = open_store();
    stek_status results[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    int wanted = argc > 1 ? atoi(argv[1]) : 0, started = 0;

    if (wanted < 0 || wanted > THREADS_MAX)
        return 2;
    if (status != STEK_OK) {
        printf("%s%s\n", status == STEK_ERR_LIMIT ? "STEK_ERR_LIMIT " : "not opened: ", stek_error());
        return EXIT_SUCCESS;
    }
    pthread_barrier_init(&without, NULL, (unsigned)wanted + 1);
    while (started < wanted && pthread_create(&threads[started], NULL, use_in_thread, &results[started]) == 0)
        started++;
    take_all();
    if (started == wanted)
        pthread_barrier_wait(&without);
    status = use();
    for (int i = 0; i < started && started == wanted; i++) {
        pthread_join(threads[i], NULL);
        if (results[i] != STEK_OK)
            status = results[i];
    }
    if (status == STEK_OK)
        status = stek_close(store);
    printf("%s\n", status == STEK_OK ? "STEK_OK" : stek_error());
    /* Threads that the limit left without company wait for good. */
    exit(EXIT_SUCCESS);
}
