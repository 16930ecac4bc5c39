/*
 * fork_check - what a forked child gets when it calls functions on the store of
 * its parent: STEK_ERR_FORKED, at once.
 *
 * It forks many times, as a Go runtime copied by fork hangs now and then only.
 * It prints what is wrong, and exits with 1 if anything is.
 */
#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <stek.h>

#define FORKS 100
#define LIMIT_SECONDS 5 /* for all calls of a child together, on a busy machine */

static int wrong;

static void expect(const char *call, stek_status got, stek_status want)
{
    if (got == want && (got == STEK_OK || stek_error()[0] != '\0'))
        return;
    printf("%s: %d (%s), want %d; stek_error is \"%s\"\n", call, (int)got, stek_status_text(got),
           (int)want, stek_error());
    wrong = 1;
}

static void call_all(SSL_CTX *attached, SSL_CTX *fresh, stek_store *store)
{
    stek_store *another = store;
    stek_stats stats;
    stek_key_info key;
    size_t count = 12345;
    unsigned warnings = 12345;

    memset(&stats, 0x5a, sizeof(stats));
    expect("stek_attach", stek_attach(fresh, store, NULL), STEK_ERR_FORKED);
    expect("stek_rotate", stek_rotate(store), STEK_ERR_FORKED);
    expect("stek_revoke", stek_revoke(store), STEK_ERR_FORKED);
    expect("stek_inspect", stek_inspect(attached, store, &warnings), STEK_ERR_FORKED);
    expect("stek_get_stats", stek_get_stats(store, sizeof(stats), &stats), STEK_ERR_FORKED);
    expect("stek_get_keys", stek_get_keys(store, sizeof(key), &key, 1, &count), STEK_ERR_FORKED);
    expect("stek_close", stek_close(store), STEK_ERR_FORKED);
    expect("stek_close again", stek_close(store), STEK_ERR_FORKED);
    expect("stek_open", stek_open("memory:", &another), STEK_ERR_FORKED);
    expect("stek_close of NULL", stek_close(NULL), STEK_OK);
    expect("stek_detach", stek_detach(attached), STEK_OK);
    expect("stek_detach again", stek_detach(attached), STEK_ERR_DETACHED);
    if (count != 12345 || warnings != 12345 || another != store || stats.issued != 0x5a5a5a5a5a5a5a5a) {
        puts("an output was written in spite of the error");
        wrong = 1;
    }
}

int main(void)
{
    SSL_CTX *attached = SSL_CTX_new(TLS_server_method());
    SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
    stek_store *store = NULL;
    stek_stats stats;

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    expect("stek_open in the parent", stek_open("memory:", &store), STEK_OK);
    expect("stek_attach in the parent", stek_attach(attached, store, NULL), STEK_OK);
    for (int i = 0; i < FORKS && !wrong; i++) {
        int status;
        pid_t child;

        expect("stek_rotate in the parent", stek_rotate(store), STEK_OK); /* keeps Go busy */
        child = fork();
        if (child == 0) {
            alarm(LIMIT_SECONDS);
            call_all(attached, fresh, store);
            SSL_CTX_free(attached);
            SSL_CTX_free(fresh);
            exit(wrong);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            if (child > 0 && WIFSIGNALED(status))
                printf("child %d was killed by signal %d\n", i, WTERMSIG(status));
            wrong = 1;
        }
    }
    /* The children have left the parent's store as it was. */
    expect("stek_get_stats in the parent", stek_get_stats(store, sizeof(stats), &stats), STEK_OK);
    expect("stek_attach of another in the parent", stek_attach(fresh, store, NULL), STEK_OK);
    expect("stek_close in the parent", stek_close(store), STEK_OK);
    SSL_CTX_free(attached);
    SSL_CTX_free(fresh);
    return wrong;
}
