/* A server that loads libssl while it runs, as Ruby does with a module: makes a
   context through a pointer, says so and waits. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    void *libssl = dlopen(count > 1 ? arguments[1] : "libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
    void *(*method)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "TLS_server_method");
    void *(*make)(void *) = (void *(*)(void *))dlsym(RTLD_DEFAULT, "SSL_CTX_new");

    if (libssl == NULL || method == NULL || make == NULL || make(method()) == NULL)
        return 1;
    puts("serving");
    fflush(stdout);
    pause();
    return 0;
}
