/*
 * settings.h - what the environment asks of the preload library.
 */
#ifndef STEK_SETTINGS_H
#define STEK_SETTINGS_H

/*
 * The settings, copied when the library is loaded: servers overwrite their
 * environment. A text that is not set is empty.
 *
 *     STEK_TABLE          the key table: a path, or fd:KEYS,COUNTS@NAME:SECRET
 *                         for two inherited files, which are also to be had
 *                         from the socket NAME by who has the secret
 *     STEK_STORE          a store URI: start an agent for it, if there is no
 *                         STEK_TABLE
 *     STEK_AGENT          the program to start as an agent: stek
 *     STEK_METRICS        address on which that agent serves metrics
 *     STEK_NAME_GROUP     binds tickets to this instead of the server name
 *     STEK_CLIENT_AUTH    label of contexts that verify clients alike
 *     STEK_FORCE_TICKETS  1: switches tickets on where the server has them off
 */
struct settings {
    char table[4096];
    char store[4096];
    char agent[4096];
    char metrics[256];
    char name_group[256];
    char client_auth[256];
    int force_tickets;
    char fault[256]; /* why they cannot be used, or empty */
};

/* settings_read fills settings, all zeros before, from the environment. */
void settings_read(struct settings *settings);

#endif
