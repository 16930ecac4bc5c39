/*
 * loaded.h - opens what the process has loaded already.
 */
#ifndef STEK_LOADED_H
#define STEK_LOADED_H

#include <dlfcn.h> /* with _GNU_SOURCE */
#include <string.h>

/*
 * stekc_open_loaded is a handle of the library that was loaded from path, or NULL if
 * there is none; of the program if path is NULL. The dlopen(3) is libc's: a program may
 * have one of its own, which takes each call for a new library (HAProxy).
 */
static inline void *stekc_open_loaded(const char *path)
{
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    void *(*open)(const char *, int) = dlopen;

    if (symbol != NULL)
        memcpy(&open, &symbol, sizeof open);
    return open(path, RTLD_LAZY | RTLD_NOLOAD);
}

#endif
