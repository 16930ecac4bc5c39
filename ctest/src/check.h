/*
 * check.h - assertions for the C tests, and keys to test with.
 */
#ifndef STEK_CHECK_H
#define STEK_CHECK_H

#include "../../callback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__,     \
                    #condition);                                                         \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

#define RUN(test)                                                                        \
    do {                                                                                 \
        test();                                                                          \
        printf("ok   %s\n", #test);                                                      \
        fflush(stdout); /* a test may fork */                                            \
    } while (0)

/* test_key is a key whose bytes all follow from number, with the window given. */
static inline struct stek_key test_key(uint64_t number, int64_t not_before, int64_t not_after,
                                       int64_t decrypt_until)
{
    struct stek_key key;
    unsigned char *byte = (unsigned char *)&key;

    for (size_t i = 0; i < sizeof key; i++) {
        number = number * UINT64_C(6364136223846793005) + 1442695040888963407;
        byte[i] = (unsigned char)(number >> 56);
    }
    key.key_size = STEK_AES_SIZE;
    key.flags = 0;
    key.count_at = 0;
    key.not_before = not_before;
    key.not_after = not_after;
    key.decrypt_until = decrypt_until;
    return key;
}

#endif
