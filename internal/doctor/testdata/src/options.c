/* Preloaded, says which options a server sets on its contexts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <unistd.h>

#define NO_ANTI_REPLAY (UINT64_C(1) << 24)

uint64_t SSL_CTX_set_options(void *ctx, uint64_t options);

uint64_t SSL_CTX_set_options(void *ctx, uint64_t options)
{
    static const char line[] = "NO_ANTI_REPLAY\n";
    uint64_t (*next)(void *, uint64_t) =
        (uint64_t(*)(void *, uint64_t))dlsym(RTLD_NEXT, "SSL_CTX_set_options");

    if (options & NO_ANTI_REPLAY && write(STDERR_FILENO, line, sizeof line - 1) < 0)
        return 0;
    return next(ctx, options);
}
