/*
 * next.c - finds the libssl of the process, and keeps what it has found.
 */
#define _GNU_SOURCE
#include "next.h"
#include "../loaded.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/* How many libssl one process may have. */
enum { LIBRARIES = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who adds one */
static struct next libraries[LIBRARIES];
static atomic_int count; /* of those that are filled, first to last */

/* A fork waits for whoever holds the lock, so that the child finds it free. */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static void survive_fork(void)
{
    pthread_atfork(take_lock, give_lock, give_lock);
}

/* look_up writes the address of the function of that name to where a pointer to
   it is kept. */
static void look_up(void *handle, const char *name, void *function)
{
    void *symbol = dlsym(handle, name);

    memcpy(function, &symbol, sizeof symbol);
}

static void fill(struct next *next, void *handle)
{
#define FUNCTION(name) look_up(handle, #name, &next->name)
    FUNCTION(SSL_CTX_new);
    FUNCTION(SSL_CTX_new_ex);
    FUNCTION(SSL_new);
    FUNCTION(SSL_new_listener);
    FUNCTION(SSL_new_domain);
    FUNCTION(SSL_CTX_callback_ctrl);
    FUNCTION(SSL_CTX_set_tlsext_ticket_key_evp_cb);
    FUNCTION(SSL_CTX_set_session_ticket_cb);
    FUNCTION(SSL_CTX_set_cert_cb);
    FUNCTION(SSL_CTX_set_psk_server_callback);
    FUNCTION(SSL_CTX_set_psk_find_session_callback);
    FUNCTION(SSL_SESSION_get0_ticket_appdata);
    FUNCTION(SSL_CTX_set_options);
    FUNCTION(SSL_CTX_clear_options);
    FUNCTION(SSL_CTX_set_num_tickets);
    FUNCTION(SSL_CTX_get_ssl_method);
    FUNCTION(SSL_CTX_set_ex_data);
    FUNCTION(SSL_CTX_get_ex_data);
    FUNCTION(CRYPTO_get_ex_new_index);
#undef FUNCTION
}

/* fill_client_methods notes the methods that serve clients alone. */
static void fill_client_methods(struct next *next, void *handle)
{
    static const char *const names[] = {"TLS_client_method", "DTLS_client_method",
                                        "OSSL_QUIC_client_method",
                                        "OSSL_QUIC_client_thread_method"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ssl_method_st *(*client_method)(void);

        look_up(handle, names[i], &client_method);
        next->client_method[i] = client_method != NULL ? client_method() : NULL;
    }
}

static const struct next *known(const void *address)
{
    int filled = atomic_load_explicit(&count, memory_order_acquire);

    for (int i = 0; i < filled; i++)
        if ((uintptr_t)address >= libraries[i].begin && (uintptr_t)address < libraries[i].end)
            return &libraries[i];
    return NULL;
}

/* An object that holds an address, as the dynamic linker has it. */
struct object {
    uintptr_t address;
    uintptr_t begin, end;
    char name[4096];
};

static int holds(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct object *object = argument;
    uintptr_t begin = UINTPTR_MAX, end = 0;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        begin = from < begin ? from : begin;
        end = from + info->dlpi_phdr[i].p_memsz > end ? from + info->dlpi_phdr[i].p_memsz : end;
    }
    if (object->address < begin || object->address >= end)
        return 0;
    object->begin = begin;
    object->end = end;
    if (info->dlpi_name != NULL && strlen(info->dlpi_name) < sizeof object->name)
        strcpy(object->name, info->dlpi_name);
    return 1;
}

/* describe fills next for what object is. Returns 0 if that is no libssl. */
static int describe(const struct object *object, struct next *next)
{
    /* The handle stays open: the functions are used from now on. */
    void *handle = stekc_open_loaded(object->name);

    if (handle == NULL)
        handle = stekc_open_loaded(NULL);
    fill(next, handle);
    if (next->SSL_new == NULL)
        return 0;
    fill_client_methods(next, handle);
    next->begin = object->begin;
    next->end = object->end;
    return 1;
}

/* add keeps the library that holds address. */
static const struct next *add(const void *address)
{
    struct object object = {.address = (uintptr_t)address};
    struct next found = {0};
    const struct next *next;
    int filled;

    if (address == NULL || dl_iterate_phdr(holds, &object) == 0 || !describe(&object, &found))
        return NULL;
    /* From here without the dynamic linker: another thread may be in it, and in
       a constructor that makes a context. */
    pthread_once(&fork_once, survive_fork);
    pthread_mutex_lock(&lock);
    next = known(address);
    filled = atomic_load(&count);
    if (next == NULL && filled < LIBRARIES) {
        libraries[filled] = found;
        next = &libraries[filled];
        atomic_store_explicit(&count, filled + 1, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return next;
}

const struct next *next_for_method(const struct ssl_method_st *method)
{
    const struct next *next = known(method);

    return next != NULL ? next : add(method);
}

/* Names of libraries, which are opened when the list of them is not locked. */
struct names {
    int count;
    char name[LIBRARIES][256];
};

static int note_libssl(struct dl_phdr_info *info, size_t size, void *argument)
{
    const char *slash = info->dlpi_name != NULL ? strrchr(info->dlpi_name, '/') : NULL;
    struct names *names = argument;

    (void)size;
    if (slash != NULL && strncmp(slash + 1, "libssl.", 7) == 0 && names->count < LIBRARIES &&
        strlen(info->dlpi_name) < sizeof names->name[0])
        strcpy(names->name[names->count++], info->dlpi_name);
    return 0;
}

/* add_loaded adds every libssl that is loaded: a context was made past us,
   through a pointer of dlsym's. */
static void add_loaded(void)
{
    struct names names = {0};

    dl_iterate_phdr(note_libssl, &names);
    for (int i = 0; i < names.count; i++) {
        void *handle = stekc_open_loaded(names.name[i]);

        if (handle == NULL)
            continue;
        add(dlsym(handle, "SSL_new"));
        dlclose(handle);
    }
}

const struct next *next_for_context(const struct ssl_ctx_st *ctx)
{
    int filled = atomic_load_explicit(&count, memory_order_acquire);

    if (filled == 0) {
        add_loaded();
        filled = atomic_load_explicit(&count, memory_order_acquire);
    }
    for (int i = 0; i + 1 < filled && ctx != NULL; i++)
        if (libraries[i].SSL_CTX_get_ssl_method != NULL &&
            known(libraries[i].SSL_CTX_get_ssl_method(ctx)) == &libraries[i])
            return &libraries[i];
    return filled > 0 ? &libraries[filled - 1] : NULL;
}

int next_serves_only_clients(const struct next *next, const struct ssl_method_st *method)
{
    for (size_t i = 0; i < sizeof next->client_method / sizeof next->client_method[0]; i++)
        if (method != NULL && next->client_method[i] == method)
            return 1;
    return 0;
}
