#include <dlfcn.h>
#include <stdio.h>

#include <stek.h> /* types and constants alone; the program does not link libstek */

#include "keys.h"

/* The functions in use, under their names without the prefix. */
#define FUNCTIONS(X) X(open) X(attach) X(rotate) X(close) X(error)

static struct {
#define POINTER(name) __typeof__(stek_##name) *name;
    FUNCTIONS(POINTER)
#undef POINTER
} stek;

static stek_store *store;

static bool load(const char *library)
{
    /* It is never unloaded: dlclose cannot end the threads of its keystore. */
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL)
        return false;
    /* ISO C has no cast from void * to a function; POSIX has this one. */
#define LOOK_UP(name)                                 \
    *(void **)&stek.name = dlsym(handle, "stek_" #name); \
    if (stek.name == NULL)                            \
        return false;
    FUNCTIONS(LOOK_UP)
#undef LOOK_UP
    return true;
}

bool keys_open(const char *library, const char *uri, SSL_CTX *context)
{
    if (!load(library)) {
        printf("without libstek: %s\n", dlerror());
        return false;
    }
    if (stek.open(uri, &store) != STEK_OK) {
        printf("without libstek: stek_open: %s\n", stek.error());
        return false;
    }
    if (stek.attach(context, store, NULL) != STEK_OK) {
        printf("without libstek: stek_attach: %s\n", stek.error());
        keys_close();
        return false;
    }
    return true;
}

bool keys_rotate(void) { return store != NULL && stek.rotate(store) == STEK_OK; }

void keys_close(void)
{
    if (store != NULL && stek.close(store) != STEK_OK)
        fprintf(stderr, "server: stek_close: %s\n", stek.error());
    store = NULL;
}
