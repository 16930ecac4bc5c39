/*
 * loader.c - starts a Go runtime in somebody else's process, or tells why not.
 */
#define _GNU_SOURCE
#include "loader.h"
#include "../callback.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a Go runtime needs to start and to live, with some to spare. */
enum { THREADS_NEEDED = 14, DESCRIPTORS_NEEDED = 8 };
enum { ADDRESS_SPACE_NEEDED_MIB = 2200 };

/* The signals that Go takes for itself when it starts. */
static const int taken_by_go[] = {SIGSEGV, SIGBUS, SIGFPE, SIGPIPE, SIGURG};
enum { TAKEN_BY_GO = sizeof taken_by_go / sizeof taken_by_go[0] };

static struct stek_go loaded;
static pid_t loaded_by; /* 0 as long as nothing is */

static const char library[] = "libstek-go.so";

void stek_block_signals(void *old_sigset)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, old_sigset);
}

void stek_restore_signals(const void *old_sigset)
{
    pthread_sigmask(SIG_SETMASK, old_sigset, NULL);
}

/* ---- what Go would abort for lack of ---- */

static int room_in_address_space(void)
{
    size_t needed = (size_t)ADDRESS_SPACE_NEEDED_MIB << 20;
    void *room = mmap(NULL, needed, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return 0;
    munmap(room, needed);
    return 1;
}

static int descriptors_left(void)
{
    int opened[DESCRIPTORS_NEEDED];
    int count = 0;

    while (count < DESCRIPTORS_NEEDED) {
        opened[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (opened[count] < 0)
            break;
        count++;
    }
    for (int i = 0; i < count; i++)
        close(opened[i]);
    return count == DESCRIPTORS_NEEDED;
}

static void *wait_for_end(void *end)
{
    while (sem_wait(end) != 0)
        ;
    return NULL;
}

/* threads_left starts as many threads at once as Go may. */
static int threads_left(void)
{
    pthread_t thread[THREADS_NEEDED];
    sem_t end;
    int count = 0;

    if (sem_init(&end, 0, 0) != 0)
        return 0;
    while (count < THREADS_NEEDED &&
           pthread_create(&thread[count], NULL, wait_for_end, &end) == 0)
        count++;
    for (int i = 0; i < count; i++)
        sem_post(&end);
    for (int i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    sem_destroy(&end);
    return count == THREADS_NEEDED;
}

/* limit is the soft limit in words. */
static const char *limit(int resource, char *text, size_t size)
{
    struct rlimit soft;

    if (getrlimit(resource, &soft) != 0 || soft.rlim_cur == RLIM_INFINITY)
        snprintf(text, size, "unlimited");
    else
        snprintf(text, size, "%llu", (unsigned long long)soft.rlim_cur);
    return text;
}

static stek_status check_limits(char *text, size_t size)
{
    char number[32];

    if (!room_in_address_space()) {
        snprintf(text, size,
                 "the keystore reserves %d MiB of address space, and there is too little left "
                 "(RLIMIT_AS is %s)",
                 ADDRESS_SPACE_NEEDED_MIB, limit(RLIMIT_AS, number, sizeof number));
        return STEK_ERR_LIMIT;
    }
    if (!descriptors_left()) {
        snprintf(text, size,
                 "the keystore needs %d file descriptors, and there are fewer left "
                 "(RLIMIT_NOFILE is %s)",
                 DESCRIPTORS_NEEDED, limit(RLIMIT_NOFILE, number, sizeof number));
        return STEK_ERR_LIMIT;
    }
    if (!threads_left()) {
        snprintf(text, size,
                 "the keystore needs %d threads, and fewer can be started (RLIMIT_NPROC is %s)",
                 THREADS_NEEDED, limit(RLIMIT_NPROC, number, sizeof number));
        return STEK_ERR_LIMIT;
    }
    return STEK_OK;
}

/* ---- loading ---- */

/* library_path is the file beside the one that this code is in. */
static stek_status library_path(char *path, size_t path_size, char *text, size_t size)
{
    Dl_info info;
    const char *slash;
    int length;

    if (dladdr((const void *)library, &info) == 0 || info.dli_fname == NULL) {
        snprintf(text, size, "dladdr does not know where libstek.so is");
        return STEK_ERR_LOAD;
    }
    slash = strrchr(info.dli_fname, '/');
    length = slash != NULL ? (int)(slash - info.dli_fname) + 1 : 0;
    if (snprintf(path, path_size, "%.*s%s", length, info.dli_fname, library) >= (int)path_size) {
        snprintf(text, size, "the path of libstek.so is too long");
        return STEK_ERR_LOAD;
    }
    return STEK_OK;
}

static int find(void *handle, const char *name, void *function, char *text, size_t size)
{
    void *symbol = dlsym(handle, name);

    if (symbol == NULL) {
        snprintf(text, size, "%s has no function %s", library, name);
        return 0;
    }
    memcpy(function, &symbol, sizeof symbol);
    return 1;
}

struct job {
    stek_status status;
    char *text;
    size_t size;
};

/* load runs in a thread of its own: Go takes the signal mask of the thread that
   starts it for all its threads. */
static void *load(void *argument)
{
    struct job *job = argument;
    struct stek_go go;
    char path[PATH_MAX];
    void *handle;

    job->status = library_path(path, sizeof path, job->text, job->size);
    if (job->status != STEK_OK)
        return NULL;
    job->status = STEK_ERR_LOAD;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        snprintf(job->text, job->size, "%s", dlerror());
        return NULL;
    }
    if (!find(handle, "stekgo_layout", &go.layout, job->text, job->size) ||
        !find(handle, "stekgo_open", &go.open, job->text, job->size) ||
        !find(handle, "stekgo_rotate", &go.rotate, job->text, job->size) ||
        !find(handle, "stekgo_close", &go.close, job->text, job->size))
        return NULL;
    if (go.layout() != STEK_TABLE_LAYOUT) {
        snprintf(job->text, job->size, "%s is of another version than libstek.so", path);
        return NULL;
    }
    loaded = go;
    loaded_by = getpid();
    job->status = STEK_OK;
    return NULL;
}

static stek_status load_in_thread(char *text, size_t size)
{
    struct job job = {STEK_ERR_LOAD, text, size};
    struct sigaction host[TAKEN_BY_GO];
    sigset_t old;
    pthread_t thread;
    int failed;

    for (int i = 0; i < TAKEN_BY_GO; i++)
        if (sigaction(taken_by_go[i], NULL, &host[i]) != 0)
            return STEK_ERR_SYSTEM;
    stek_block_signals(&old);
    failed = pthread_create(&thread, NULL, load, &job);
    if (failed == 0)
        pthread_join(thread, NULL);
    /* Also after a failure: what was loaded stays. */
    for (int i = 0; i < TAKEN_BY_GO; i++)
        sigaction(taken_by_go[i], &host[i], NULL);
    stek_restore_signals(&old);
    if (failed != 0) {
        snprintf(text, size, "pthread_create: %s", strerror(failed));
        return STEK_ERR_LIMIT;
    }
    return job.status;
}

stek_status stek_load_go(const struct stek_go **go, char *text, size_t size)
{
    stek_status status;

    if (loaded_by != 0 && loaded_by != getpid()) {
        snprintf(text, size,
                 "a parent process has loaded the keystore, and Go does not survive fork: open "
                 "the store in the parent alone, or in each child alone");
        return STEK_ERR_FORKED;
    }
    if (loaded_by == 0) {
        status = check_limits(text, size);
        if (status == STEK_OK)
            status = load_in_thread(text, size);
        if (status != STEK_OK)
            return status;
    }
    *go = &loaded;
    return STEK_OK;
}
