/*
 * name_test.c - server names are bound to tickets in lower case: every byte, at every
 * place, in names of every size.
 */
#include "../../callback.c"
#include "check.h"

static unsigned char lower(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : byte;
}

/* check_size has blocks of exactly that size, so that a sanitizer sees what is beyond. */
static void check_size(size_t size)
{
    unsigned char *in = malloc(size), *out = malloc(size);

    CHECK(in != NULL && out != NULL);
    for (unsigned first = 0; first < 256; first++) {
        for (size_t i = 0; i < size; i++)
            in[i] = (unsigned char)(first + 37 * i); /* all bytes, beside different ones */
        memset(out, 0, size);
        copy_lower(out, in, size);
        for (size_t i = 0; i < size; i++)
            CHECK(out[i] == lower(in[i]));
    }
    free(in);
    free(out);
}

static void names_of_every_size_are_lowered(void)
{
    copy_lower(NULL, NULL, 0); /* a client that sends no name */
    for (size_t size = 1; size <= STEK_GROUP_MAX; size++)
        check_size(size);
}

int main(void)
{
    RUN(names_of_every_size_are_lowered);
    return 0;
}
