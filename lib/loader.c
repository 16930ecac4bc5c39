/*
 * loader.c - starts a Go runtime in somebody else's process, or tells why not.
 */
#define _GNU_SOURCE
#include "loader.h"
#include "../callback.h"
#include "../process.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a Go runtime needs to start and to live, with some to spare. */
enum { THREADS_NEEDED = 15, DESCRIPTORS_NEEDED = 8 };
enum { ADDRESS_SPACE_NEEDED_MIB = 2200 };

/* The signals that Go takes for itself when it starts. */
static const int taken_by_go[] = {SIGSEGV, SIGBUS, SIGFPE, SIGPIPE, SIGURG};
enum { TAKEN_BY_GO = sizeof taken_by_go / sizeof taken_by_go[0] };

static const char library[] = "libstek-go.so";

static struct stek_go loaded;
static int is_loaded;
static struct stekc_process loaded_by; /* if is_loaded */

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

/* descriptors_left opens what Go opens: no file, which a chroot may lack. */
static int descriptors_left(void)
{
    int opened[DESCRIPTORS_NEEDED];
    int count = 0;

    while (count < DESCRIPTORS_NEEDED) {
        opened[count] = epoll_create1(EPOLL_CLOEXEC);
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

/* ---- Go's thread ---- */

/* One thread makes all calls into Go, one at a time. */
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static void (*next_work)(void *); /* NULL when there is none, or it is done */
static void *next_argument;
static int has_thread;
static struct stekc_process thread_of; /* if has_thread */

static void *serve(void *nothing)
{
    (void)nothing;
    pthread_mutex_lock(&door);
    for (;;) {
        while (next_work == NULL)
            pthread_cond_wait(&changed, &door);
        next_work(next_argument);
        next_work = NULL;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

void stek_in_go_thread(void (*work)(void *), void *argument)
{
    pthread_mutex_lock(&door);
    next_work = work;
    next_argument = argument;
    pthread_cond_broadcast(&changed);
    while (next_work != NULL)
        pthread_cond_wait(&changed, &door);
    pthread_mutex_unlock(&door);
}

/* start_thread starts it with all signals blocked. Go takes the signal mask of
   the thread that starts it for all its threads. */
static stek_status start_thread(char *text, size_t size)
{
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, old;
    int failed;

    if (has_thread && stekc_is_this_process(thread_of))
        return STEK_OK;
    pthread_mutex_init(&door, NULL); /* a parent's thread may have waited there */
    pthread_cond_init(&changed, NULL);
    sigfillset(&all);
    failed = pthread_attr_init(&detached);
    if (failed == 0) {
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        failed = pthread_create(&thread, &detached, serve, NULL);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&detached);
    }
    if (failed != 0) {
        snprintf(text, size, "a thread for the keystore: %s", strerror(failed));
        return STEK_ERR_LIMIT;
    }
    has_thread = 1;
    thread_of = stekc_process();
    return STEK_OK;
}

/* ---- loading ---- */

/* own_folder writes the folder that this code was loaded from, with a slash at
   the end. A relative path will not do: the host may have changed its working
   folder since. */
static int own_folder(char *folder, size_t size)
{
    struct link_map *map = NULL;
    char origin[PATH_MAX];
    const char *slash;
    Dl_info info;

    if (dladdr1(library, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || info.dli_fname == NULL)
        return 0;
    slash = strrchr(info.dli_fname, '/');
    if (info.dli_fname[0] == '/')
        return snprintf(folder, size, "%.*s/", (int)(slash - info.dli_fname), info.dli_fname) <
               (int)size;
    return map != NULL && dlinfo(map, RTLD_DI_ORIGIN, origin) == 0 && origin[0] == '/' &&
           snprintf(folder, size, "%s/", origin) < (int)size;
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

struct loading {
    stek_status status;
    char *text;
    size_t size;
};

static void load(void *argument)
{
    struct loading *loading = argument;
    char *text = loading->text;
    size_t size = loading->size;
    struct stek_go go;
    char path[PATH_MAX + sizeof library];
    void *handle;

    loading->status = STEK_ERR_LOAD;
    if (!own_folder(path, PATH_MAX)) {
        snprintf(text, size, "the folder that libstek.so is in cannot be told");
        return;
    }
    strcat(path, library);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        snprintf(text, size, "%s", dlerror());
        return;
    }
    /* From here on there is a Go runtime in this process, whatever follows. The
       call of layout waits until it has started. */
    is_loaded = 1;
    loaded_by = stekc_process();
    if (!find(handle, "stekgo_layout", &go.layout, text, size))
        return;
    if (go.layout() != STEK_TABLE_LAYOUT) {
        snprintf(text, size, "%s is of another version than libstek.so", path);
        return;
    }
    if (!find(handle, "stekgo_open", &go.open, text, size) ||
        !find(handle, "stekgo_rotate", &go.rotate, text, size) ||
        !find(handle, "stekgo_revoke", &go.revoke, text, size) ||
        !find(handle, "stekgo_close", &go.close, text, size))
        return;
    loaded = go;
    loading->status = STEK_OK;
}

static stek_status load_in_thread(char *text, size_t size)
{
    struct loading loading = {STEK_ERR_LOAD, text, size};
    struct sigaction host[TAKEN_BY_GO];
    struct rlimit files;
    stek_status status = start_thread(text, size);

    if (status != STEK_OK)
        return status;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        snprintf(text, size, "getrlimit: %s", strerror(errno));
        return STEK_ERR_SYSTEM;
    }
    for (int i = 0; i < TAKEN_BY_GO; i++)
        if (sigaction(taken_by_go[i], NULL, &host[i]) != 0) {
            snprintf(text, size, "sigaction: %s", strerror(errno));
            return STEK_ERR_SYSTEM;
        }
    stek_in_go_thread(load, &loading);
    /* Also after a failure: what was loaded stays. */
    for (int i = 0; i < TAKEN_BY_GO; i++)
        sigaction(taken_by_go[i], &host[i], NULL);
    setrlimit(RLIMIT_NOFILE, &files); /* which Go raises; the host may use select(2) */
    return loading.status;
}

stek_status stek_load_go(const struct stek_go **go, char *text, size_t size)
{
    stek_status status;

    if (is_loaded && !stekc_is_this_process(loaded_by)) {
        snprintf(text, size,
                 "a parent process has loaded the keystore, and Go does not survive fork: open "
                 "the store in the parent alone, or in each child alone");
        return STEK_ERR_FORKED;
    }
    if (loaded.open == NULL) {
        status = check_limits(text, size);
        if (status == STEK_OK)
            status = load_in_thread(text, size);
        if (status != STEK_OK)
            return status;
    }
    *go = &loaded;
    return STEK_OK;
}
