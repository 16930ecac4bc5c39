/*
 * own_dlopen.c - a server with a dlopen(3) of its own, which counts the calls.
 */
#define _GNU_SOURCE
#include "visits.h"

#include <dlfcn.h>

static int calls;

/* Libraries find it too: they use the function as well. */
void *dlopen(const char *path, int flags)
{
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    void *(*next)(const char *, int);

    CHECK(symbol != NULL);
    memcpy(&next, &symbol, sizeof next);
    calls++;
    return next(path, flags);
}

/* make_by_a_pointer makes a context past all that stands in front of libssl. */
static void make_by_a_pointer(void)
{
    Dl_info libssl;
    SSL_CTX *(*make)(const SSL_METHOD *);
    void *symbol;

    CHECK(dladdr((const void *)TLS_server_method(), &libssl) != 0);
    symbol = dlsym(dlopen(libssl.dli_fname, RTLD_LAZY | RTLD_NOLOAD), "SSL_CTX_new");
    CHECK(symbol != NULL);
    memcpy(&make, &symbol, sizeof make);
    SSL_CTX_set_options(make(TLS_server_method()), 0);
}

int main(void)
{
    void *seen = dlsym(RTLD_DEFAULT, "dlopen");
    void *(*own)(const char *, int) = dlopen;

    CHECK(memcmp(&seen, &own, sizeof own) == 0);
    make_by_a_pointer();
    CHECK(calls == 1);
    visit_twice(new_server(), TLS1_3_VERSION);
    printf("%d calls\n", calls);
    return 0;
}
