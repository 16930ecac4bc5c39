/*
 * settings.c - reads the environment, once.
 */
#define _GNU_SOURCE
#include "settings.h"
#include "../callback.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void copy(struct settings *settings, const char *name, char *out, size_t size)
{
    const char *value = getenv(name);

    if (value == NULL)
        return;
    if (strlen(value) >= size) {
        snprintf(settings->fault, sizeof settings->fault, "%s is longer than %zu bytes", name,
                 size - 1);
        return;
    }
    strcpy(out, value);
}

/* find_agent looks for stek where it is installed beside this library: in its
   folder, or in bin of the same prefix. */
static void find_agent(struct settings *settings)
{
    static const char *const places[] = {"/stek", "/../bin/stek", "/../../bin/stek",
                                         "/../../../bin/stek"};
    Dl_info info;
    const char *slash;

    if (dladdr(places, &info) == 0 || info.dli_fname == NULL)
        return;
    slash = strrchr(info.dli_fname, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
        int size = snprintf(settings->agent, sizeof settings->agent, "%.*s%s",
                            (int)(slash - info.dli_fname), info.dli_fname, places[i]);

        if (size > 0 && (size_t)size < sizeof settings->agent && access(settings->agent, X_OK) == 0)
            return;
    }
    settings->agent[0] = '\0';
}

void settings_read(struct settings *settings)
{
    const char *force = getenv("STEK_FORCE_TICKETS");

    copy(settings, "STEK_TABLE", settings->table, sizeof settings->table);
    copy(settings, "STEK_STORE", settings->store, sizeof settings->store);
    copy(settings, "STEK_AGENT", settings->agent, sizeof settings->agent);
    copy(settings, "STEK_METRICS", settings->metrics, sizeof settings->metrics);
    copy(settings, "STEK_NAME_GROUP", settings->name_group, sizeof settings->name_group);
    copy(settings, "STEK_CLIENT_AUTH", settings->client_auth, sizeof settings->client_auth);
    settings->force_tickets = force != NULL && strcmp(force, "1") == 0;
    if (force != NULL && !settings->force_tickets && force[0] != '\0' && strcmp(force, "0") != 0)
        snprintf(settings->fault, sizeof settings->fault, "STEK_FORCE_TICKETS is neither 1 nor 0");
    if (settings->store[0] != '\0' && settings->agent[0] == '\0')
        find_agent(settings);
}
