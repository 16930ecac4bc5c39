/*
 * relative.c - loads libstek.so by the relative path that it is given, changes
 * the working folder, opens a store, and unloads the library too early.
 */
#include "../../stek.h"
#include "../../../ctest/src/handshake.h"

#include <dlfcn.h>
#include <unistd.h>

static void *library;

static void find(const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

int main(int argc, char **argv)
{
    stek_status (*open)(const char *, stek_store **);
    stek_status (*attach)(SSL_CTX *, stek_store *, const stek_attach_options *);
    const char *(*error)(void);
    SSL_CTX *server = new_server(), *client = new_client(TLS1_3_VERSION);
    SSL_SESSION *session = NULL;
    stek_store *store;

    CHECK(argc == 2 && argv[1][0] != '/');
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    find("stek_open", &open);
    find("stek_attach", &attach);
    find("stek_error", &error);
    CHECK(chdir("/") == 0);
    if (open("memory:", &store) != STEK_OK) {
        fprintf(stderr, "%s\n", error());
        return 1;
    }
    CHECK(attach(server, store, NULL) == STEK_OK);
    CHECK(dlclose(library) == 0); /* contexts still point into it */
    CHECK(!connect_once(server, client, &session));
    CHECK(connect_once(server, client, &session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return 0;
}
