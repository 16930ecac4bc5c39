/*
 * sandbox.c - a server that allows itself few system calls once it has a context, and is
 * killed for any other: two visits on that context, and two on a later one.
 */
#define _GNU_SOURCE
#include "visits.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* What OpenSSL and libc make for a context, its certificate in a file, and a
   connection. */
static const unsigned allowed[] = {
    SYS_read,   SYS_write, SYS_close,     SYS_fstat,         SYS_newfstatat,
    SYS_mmap,   SYS_brk,   SYS_munmap,    SYS_mprotect,      SYS_madvise,
    SYS_futex,  SYS_exit,  SYS_getrandom, SYS_clock_gettime, SYS_gettimeofday,
    SYS_getpid, SYS_exit_group};

static void allow_few(void)
{
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter filter[COUNT + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {COUNT + 3, filter};

    for (unsigned i = 0; i < COUNT; i++)
        filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                     (unsigned char)(COUNT - i), 0);
    filter[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(void)
{
    SSL_CTX *server = new_server();

    printf("in a sandbox\n"); /* here the output gets its buffer */
    fflush(stdout);
    allow_few();
    visit_twice(server, TLS1_3_VERSION);
    SSL_CTX_free(server);
    server = new_server();
    visit_twice(server, TLS1_3_VERSION);
    SSL_CTX_free(server);
    return 0;
}
