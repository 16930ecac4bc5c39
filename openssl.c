/*
 * openssl.c - finds the libssl of the process and the functions in it.
 */
#define _GNU_SOURCE
#include "openssl.h"
#include "callback.h"
#include "loaded.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many libssl in one process are told apart. */
enum { CANDIDATES = 8 };

struct candidates {
    int count;
    char path[CANDIDATES][sizeof stekc_ossl.path];
};

struct stekc_ossl stekc_ossl;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who binds */
static void *bound_base; /* where the bound libssl is mapped */
static _Atomic uintptr_t bound_end; /* 0: none is bound */
static atomic_int trusts_contexts;  /* the caller has no other pointers */

/* readable tells whether the 8 bytes at p can be read: the kernel copies the
   mask before it refuses the impossible operation, and says which failed. */
static int readable(const void *p)
{
    return syscall(SYS_rt_sigprocmask, ~0, p, NULL, 8) == 0 || errno != EFAULT;
}

/* looks_alive rules out what is no allocated struct: an SSL_CTX begins with
   two words that are pointers or NULL, whatever the version. Looking at memory
   that may have been freed is its purpose, so AddressSanitizer keeps out. */
__attribute__((no_sanitize_address)) static int looks_alive(const void *ctx)
{
    uintptr_t first;

    if (atomic_load_explicit(&trusts_contexts, memory_order_relaxed))
        return 1;
    if ((uintptr_t)ctx % sizeof(void *) != 0)
        return 0;
    for (size_t offset = 0; offset < 128; offset += 8)
        if (!readable((const char *)ctx + offset))
            return 0;
    first = *(const volatile uintptr_t *)ctx;
    return first == 0 || (first % sizeof(void *) == 0 && readable((const void *)first));
}

void stekc_trust_contexts(void)
{
    atomic_store(&trusts_contexts, 1);
}

static void *base_of(const void *address)
{
    Dl_info info;

    return dladdr(address, &info) != 0 ? info.dli_fbase : NULL;
}

static const char *file_of(const void *address)
{
    Dl_info info;

    return dladdr(address, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "?";
}

/* handle_of opens what is loaded from path, or the program if that is not a library. */
static void *handle_of(const char *path)
{
    void *handle = stekc_open_loaded(path);

    return handle != NULL ? handle : stekc_open_loaded(NULL);
}

static void add(struct candidates *all, const char *path)
{
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->path[i], path) == 0)
            return;
    if (all->count < CANDIDATES && strlen(path) < sizeof all->path[0])
        strcpy(all->path[all->count++], path);
}

static int add_libssl(struct dl_phdr_info *info, size_t size, void *all)
{
    const char *slash = info->dlpi_name != NULL ? strrchr(info->dlpi_name, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;

    (void)size;
    if (name != NULL && strncmp(name, "libssl", 6) == 0)
        add(all, info->dlpi_name);
    return 0;
}

/* find_candidates lists the libssl in this process: the one that the program
   is linked with, then those that were loaded privately (RTLD_LOCAL). */
static void find_candidates(struct candidates *all)
{
    void *linked = dlsym(RTLD_DEFAULT, "SSL_CTX_new");

    all->count = 0;
    if (linked != NULL)
        add(all, file_of(linked));
    dl_iterate_phdr(add_libssl, all);
}

/* made tells whether ctx was made by the libssl behind handle: its method is
   one of that library's constants. *base is where the library is mapped. */
static int made(void *handle, const void *ctx, void **base)
{
    const SSL_METHOD *(*get_method)(const SSL_CTX *);
    void *symbol = dlsym(handle, "SSL_CTX_get_ssl_method");

    if (symbol == NULL)
        return 0;
    memcpy(&get_method, &symbol, sizeof get_method);
    *base = base_of(symbol);
    return *base != NULL && base_of(get_method(ctx)) == *base;
}

/* supported tells OpenSSL 1.1.1 to 4.x from its forks and from other versions. */
static int supported(void *handle, unsigned long *version, char *detail, size_t size)
{
    unsigned long (*number)(void);
    const char *(*text)(int);
    void *number_symbol = dlsym(handle, "OpenSSL_version_num");
    void *text_symbol = dlsym(handle, "OpenSSL_version");
    const char *name;

    if (number_symbol == NULL || text_symbol == NULL) {
        snprintf(detail, size, "it has no OpenSSL_version");
        return 0;
    }
    memcpy(&number, &number_symbol, sizeof number);
    memcpy(&text, &text_symbol, sizeof text);
    *version = number();
    name = text(OPENSSL_VERSION);
    if (strncmp(name, "OpenSSL ", 8) != 0 || strstr(name, "BoringSSL") != NULL ||
        strstr(name, "AWS-LC") != NULL || *version < OSSL_1_1_1 || *version >= OSSL_5_0_0) {
        snprintf(detail, size, "it says \"%s\", and OpenSSL 1.1.1 to 4.x is supported", name);
        return 0;
    }
    return 1;
}

/* load fills *found with the functions of the libssl behind handle. */
static int load(void *handle, const char *path, struct stekc_ossl *found, char *detail, size_t size)
{
    char reason[256];
    void *symbol;

    memset(found, 0, sizeof *found);
    if (!supported(handle, &found->version, reason, sizeof reason)) {
        snprintf(detail, size, "%s: %s", path, reason);
        return 0;
    }
    snprintf(found->path, sizeof found->path, "%s", path);
#define X(name, since, why)                                                              \
    symbol = dlsym(handle, #name);                                                   \
    if (symbol == NULL && found->version >= (since)) {                                    \
        snprintf(detail, size, "%s: it has no %s", path, #name);                         \
        return 0;                                                                        \
    }                                                                                    \
    memcpy(&found->name, &symbol, sizeof symbol);
    STEKC_OSSL_SYMBOLS(X)
#undef X
    return 1;
}

/* publish makes the libssl that is mapped at base the one that is bound, unless
   there is one already. Returns whether it is bound now. */
static int publish(const struct stekc_ossl *found, void *base, uintptr_t end)
{
    int ours;

    pthread_mutex_lock(&lock);
    if (bound_end == 0) {
        stekc_ossl = *found;
        bound_base = base;
        atomic_store_explicit(&bound_end, end, memory_order_release);
    }
    ours = bound_base == base;
    pthread_mutex_unlock(&lock);
    return ours;
}

/* A libssl, as the dynamic linker has it in memory. */
struct extent {
    uintptr_t base, end;
};

static int find_end(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct extent *extent = argument;
    uintptr_t end = 0, begin = UINTPTR_MAX;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        begin = at < begin ? at : begin;
        end = at + info->dlpi_phdr[i].p_memsz;
    }
    if (extent->base < begin || extent->base >= end)
        return 0;
    extent->end = end;
    return 1;
}

/* is_bound tells that ctx is of the bound libssl, without the dynamic linker: its
   lock may be held for ever in a child that was forked beside threads. */
static int is_bound(const void *ctx)
{
    uintptr_t method;

    uintptr_t end = atomic_load_explicit(&bound_end, memory_order_acquire);

    if (end == 0 || !looks_alive(ctx))
        return 0;
    method = (uintptr_t)stekc_ossl.SSL_CTX_get_ssl_method(ctx);
    return method >= (uintptr_t)bound_base && method < end;
}

enum stekc_ossl_result stekc_ossl_bind(const void *ctx, char *detail, size_t size)
{
    struct candidates all;

    if (is_bound(ctx))
        return STEKC_OSSL_OK;
    find_candidates(&all);
    if (all.count == 0) {
        snprintf(detail, size, "none is loaded, or it is linked in statically without -rdynamic");
        return STEKC_OSSL_ABSENT;
    }
    if (!looks_alive(ctx)) {
        snprintf(detail, size, "%p is not the address of an SSL_CTX, or of one that was freed", ctx);
        return STEKC_OSSL_NOT_CTX;
    }
    for (int i = 0; i < all.count; i++) {
        void *handle = handle_of(all.path[i]);
        void *base = NULL;

        if (handle == NULL)
            continue;
        if (!made(handle, ctx, &base)) {
            dlclose(handle);
            continue;
        }
        if (atomic_load(&bound_end) == 0) {
            struct extent extent = {(uintptr_t)base, 0};
            struct stekc_ossl found;

            if (!load(handle, all.path[i], &found, detail, size)) {
                dlclose(handle);
                return STEKC_OSSL_REFUSED;
            }
            dl_iterate_phdr(find_end, &extent);
            if (publish(&found, base, extent.end))
                return STEKC_OSSL_OK; /* handle stays open: the library must not go */
        }
        dlclose(handle);
        if (bound_base == base)
            return STEKC_OSSL_OK;
        snprintf(detail, size, "%p was made by %s, and stek works with %s already", ctx,
                 all.path[i], stekc_ossl.path);
        return STEKC_OSSL_FOREIGN;
    }
    snprintf(detail, size,
             "%p is not an SSL_CTX of %s%s: freed, of another type, or of a libssl that cannot be seen",
             ctx, all.path[0], all.count > 1 ? " or another libssl here" : "");
    return STEKC_OSSL_NOT_CTX;
}

int stekc_ossl_sends_malformed(void)
{
    return stekc_ossl.version < OSSL_3_0_6;
}

/* From 3.5 on a copied context knows the sizes of its key and vector, which a new one
   asks the provider for. 3.0 asks each time, unless the cipher is a method; versions
   between were not measured. */
int stekc_ossl_copies_faster(void)
{
    return stekc_ossl.version >= OSSL_3_5_0;
}

/* The first index that is taken. FreeRADIUS uses 8 to 16 without asking. */
enum { FIRST_INDEX = 20 };

int stekc_ex_index(int class_index, void (*on_free)(void))
{
    int index;

    do
        index = ossl.CRYPTO_get_ex_new_index(class_index, 0, NULL, NULL, NULL, NULL);
    while (index >= 0 && index < FIRST_INDEX - 1);
    return index < 0 ? -1
                     : ossl.CRYPTO_get_ex_new_index(class_index, 0, NULL, NULL, NULL,
                                                    (CRYPTO_EX_free *)on_free);
}
