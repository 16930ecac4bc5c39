/*
 * iv.c - initialisation vectors: random bytes from OpenSSL, drawn for many
 * tickets at a time, since most of the cost of a draw is in its being one.
 *
 * A vector is sent with its ticket in the clear, so those that wait are no
 * secret; but two tickets must never have the same. Each thread has a supply of
 * its own, and a forked child draws anew: it knows by a page that the kernel
 * wipes.
 */
#include "store.h"

#include <string.h>

enum { BATCH = 32 };

struct supply {
    unsigned char vector[BATCH][STEK_IV_SIZE];
    size_t left;
    uint64_t process;
    const OSSL_LIB_CTX *library_context;
};

int stekc_random(const struct stekc_binding *binding, unsigned char *out, size_t size)
{
    if (binding->library_context != NULL)
        return ossl.RAND_bytes_ex(binding->library_context, out, size, 0) == 1;
    return ossl.RAND_bytes(out, (int)size) == 1;
}

int stekc_iv(const struct stekc_binding *binding, unsigned char iv[STEK_IV_SIZE])
{
    static _Thread_local struct supply supply;
    uint64_t process = stekc_process_number();

    if (process == 0) /* a child could not be told from its parent */
        return stekc_random(binding, iv, STEK_IV_SIZE);
    if (supply.left == 0 || supply.process != process ||
        supply.library_context != binding->library_context) {
        unsigned char fresh[BATCH][STEK_IV_SIZE];

        /* Not into the supply: in an asynchronous job another one may come between. */
        if (!stekc_random(binding, fresh[0], sizeof fresh))
            return 0;
        memcpy(supply.vector, fresh, sizeof fresh);
        supply.left = BATCH;
        supply.process = process;
        supply.library_context = binding->library_context;
    }
    memcpy(iv, supply.vector[--supply.left], STEK_IV_SIZE);
    return 1;
}
