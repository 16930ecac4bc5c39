/*
 * host.c - a program that knows nothing of stek, and does what servers do. The
 * first argument names what; it says what it saw.
 */
#define _GNU_SOURCE
#include "visits.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int version = TLS1_3_VERSION;

static void two_visits(SSL_CTX *server)
{
    visit_twice(server, version);
}

static void serve(void)
{
    SSL_CTX *server = new_server();

    two_visits(server);
    SSL_CTX_free(server);
}

/* two_contexts have one key if it is stek's. */
static void two_contexts(void)
{
    serve();
    serve();
}

/* locks_memory needs most of what it may lock for itself. */
static void locks_memory(void)
{
    two_contexts();
    CHECK(mlock(malloc(9 * 4096), 8 * 4096) == 0);
    printf("locked\n");
}

/* outlives_its_agent makes a second context when it is told to. */
static void outlives_its_agent(void)
{
    serve();
    printf("%s\n", getenv("STEK_TABLE") != NULL ? getenv("STEK_TABLE") : "");
    fflush(stdout);
    CHECK(getchar() == '\n');
    serve();
}

/* ---- a server with callbacks of its own ---- */

static int called;

static int hmac_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         HMAC_CTX *mac, int encrypt)
{
    (void)ssl, (void)name, (void)iv, (void)cipher, (void)mac, (void)encrypt;
    called++;
    return -1;
}

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
static int evp_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, int encrypt)
{
    (void)ssl, (void)name, (void)iv, (void)cipher, (void)mac, (void)encrypt;
    called++;
    return -1;
}

static void set_evp_callbacks(SSL_CTX *server)
{
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(server, evp_callback) == 1);
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(server, NULL) == 1); /* displaces nothing */
}
#else
static void set_evp_callbacks(SSL_CTX *server)
{
    (void)server; /* there is but one callback */
}
#endif

static void callbacks(void)
{
    SSL_CTX *server = new_server();

    CHECK(SSL_CTX_set_tlsext_ticket_key_cb(server, hmac_callback) == 1);
    set_evp_callbacks(server);
    two_visits(server);
    CHECK(called == 0);
    SSL_CTX_free(server);
}

/* set_past_us sets a callback by a pointer from libssl's own handle, at which the
   library does not stand. */
static void set_past_us(SSL_CTX *server, void (*callback)(void))
{
    long (*control)(SSL_CTX *, int, void (*)(void));
    void *symbol;
    Dl_info libssl;

    CHECK(dladdr((const void *)SSL_CTX_get_ssl_method(server), &libssl) != 0);
    symbol = dlsym(dlopen(libssl.dli_fname, RTLD_LAZY | RTLD_NOLOAD), "SSL_CTX_callback_ctrl");
    CHECK(symbol != NULL);
    memcpy(&control, &symbol, sizeof symbol);
    CHECK(control(server, SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, callback) == 1);
}

/* callback_past_us sets one before the first connection; then it takes one away. */
static void callback_past_us(void)
{
    SSL_CTX *server = new_server();

    set_past_us(server, (void (*)(void))hmac_callback);
    two_visits(server);
    CHECK(called == 0);
    set_past_us(server, NULL);
    two_visits(server);
    SSL_CTX_free(server);
}

/* ---- a server with data of its own in its tickets ---- */

static int generated, checked;

static int generate(SSL *ssl, void *argument)
{
    generated++;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), argument, 4);
}

static SSL_TICKET_RETURN check(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                               size_t size, SSL_TICKET_STATUS status, void *argument)
{
    void *data;
    size_t length;

    (void)ssl, (void)name, (void)size;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    CHECK(SSL_SESSION_get0_ticket_appdata(session, &data, &length) == 1);
    CHECK(length == 4 && memcmp(data, argument, 4) == 0);
    checked++;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static void data_of_its_own_on(SSL_CTX *server)
{
    CHECK(SSL_CTX_set_session_ticket_cb(server, NULL, NULL, NULL) == 1);
    CHECK(SSL_CTX_set_session_ticket_cb(server, generate, check, "data") == 1);
    two_visits(server);
    CHECK(generated > 0 && checked > 0);
    SSL_CTX_free(server);
}

static void data_of_its_own(void)
{
    data_of_its_own_on(new_server());
}

/* ---- a server with algorithms of its choice ---- */

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
/* library_context has its algorithms from a library context, and says by which
   properties, in memory that is gone when the context is made. */
static void library_context(void)
{
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    char properties[] = "provider=default";
    SSL_CTX *server[2];

    CHECK(library != NULL);
    CHECK(EVP_set_default_properties(NULL, "provider=nobody") == 1);
    for (int i = 0; i < 2; i++)
        server[i] = SSL_CTX_new_ex(library, properties, TLS_server_method());
    memset(properties, 'x', sizeof properties - 1);
    CHECK(EVP_set_default_properties(NULL, "") == 1);
    for (int i = 0; i < 2; i++)
        certified(server[i]);
    two_visits(server[0]);
    set_past_us(server[0], NULL); /* the callback is the other one: nothing changes */
    two_visits(server[0]);
    SSL_CTX_free(server[0]);
    data_of_its_own_on(server[1]);
    OSSL_LIB_CTX_free(library);
}
#else
static void library_context(void)
{
    serve(); /* there is none */
    serve();
    data_of_its_own();
}
#endif

/* ---- forks and execs ---- */

static int open_tables(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++) {
        char link[64], target[256];
        ssize_t size;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        size = readlink(link, target, sizeof target - 1);
        if (size < 0)
            continue;
        target[size] = '\0';
        count += strstr(target, "stek-") != NULL || strstr(target, "secretmem") != NULL;
    }
    return count;
}

static void forks(void)
{
    SSL_CTX *server = new_server();
    SSL_CTX *client = new_client(version);
    SSL_SESSION *session = NULL;
    int status;

    visit(server, client, &session);
    printf("parent has %d files of tables\n", open_tables());
    fflush(stdout);
    if (fork() == 0) {
        visit(server, client, &session);
        printf("child has %d files of tables\n", open_tables());
        fflush(stdout);
        _exit(0);
    }
    CHECK(wait(&status) > 0 && status == 0);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}

static void executes_itself(char **argv)
{
    serve();
    argv[1] = (char *)"serve";
    execv(argv[0], argv);
    _exit(1);
}

static void executes_itself_without_files(char **argv)
{
    serve();
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    argv[1] = (char *)"serve";
    execv(argv[0], argv);
    _exit(1);
}

/* ---- signals ---- */

static volatile sig_atomic_t children_ended;

static void on_child(int number)
{
    (void)number;
    children_ended++;
}

/* no_child says whether the library has left a child or a SIGCHLD behind. */
static void no_child(void)
{
    signal(SIGCHLD, on_child);
    serve();
    CHECK(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
    CHECK(children_ended == 0);
    printf("no child\n");
}

static void *own_page;
static volatile sig_atomic_t own_faults;

static void on_bus(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    CHECK(info->si_addr == own_page);
    own_faults++;
    CHECK(mmap(own_page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          own_page);
}

static void cut_off_worker(SSL_CTX *server, const char *table)
{
    int file = memfd_create("own", 0);
    char counts[4096];

    two_visits(server);
    snprintf(counts, sizeof counts, "%s.counts", table);
    CHECK(truncate(table, 0) == 0 && truncate(counts, 0) == 0);
    two_visits(server);

    own_page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    CHECK(own_page != MAP_FAILED);
    CHECK(*(volatile char *)own_page == 0 && own_faults == 1);
    printf("its own fault was handled\n");
    fflush(stdout);
    _exit(0);
}

/* cut_off: the table's file, named by the second argument, is cut off while a worker of
   this server, which handles SIGBUS itself, serves. */
static void cut_off(const char *table)
{
    struct sigaction own = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    SSL_CTX *server = new_server();
    int status;

    CHECK(sigaction(SIGBUS, &own, NULL) == 0);
    if (fork() == 0)
        cut_off_worker(server, table);
    CHECK(wait(&status) > 0 && status == 0);
    SSL_CTX_free(server);
}

/* dies_of_bus_error has no handler, and a fault of its own. */
static void dies_of_bus_error(void)
{
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd_create("own", 0), 0);

    serve();
    CHECK(page != MAP_FAILED);
    printf("%d\n", *(volatile char *)page);
}

/* faults makes a page whose reading is a fault. */
static volatile char *faults(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd_create("own", 0), 0);

    CHECK(page != MAP_FAILED);
    return page;
}

/* ---- a handler that calls the one before it ---- */

static volatile char *chained_page;
static struct sigaction before_newer;

static void older(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    printf("older ");
    CHECK(mmap((void *)chained_page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == chained_page);
}

static void newer(int number, siginfo_t *info, void *context)
{
    printf("newer ");
    before_newer.sa_sigaction(number, info, context);
}

/* chains sets a handler, makes a context, sets a handler that calls what was there
   before it, and makes another. */
static void chains(void)
{
    struct sigaction action = {.sa_sigaction = older, .sa_flags = SA_SIGINFO};

    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
    serve();
    action.sa_sigaction = newer;
    CHECK(sigaction(SIGBUS, &action, &before_newer) == 0);
    serve();
    for (int i = 0; i < 2; i++) {
        chained_page = faults();
        CHECK(*chained_page == 0);
        printf("recovered\n");
    }
}

/* executes_itself_late does so when its agent has given up waiting. */
static void executes_itself_late(char **argv)
{
    serve();
    argv[1] = (char *)"serve-late";
    execv(argv[0], argv);
    _exit(1);
}

static void serve_late(void)
{
    sleep(5);
    serve();
}

static sigjmp_buf before_fault;

static void jump(int number)
{
    (void)number;
    siglongjmp(before_fault, 1);
}

/* jumps_out leaves its handler as some servers do, again and again. */
static void jumps_out(void)
{
    volatile char *page = faults();
    volatile int caught = 0;
    SSL_CTX *server;

    signal(SIGBUS, jump);
    server = new_server();
    two_visits(server);
    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(before_fault, 1) == 0)
            CHECK(*page == 1);
        else
            caught++;
    }
    printf("caught %d\n", caught);
    SSL_CTX_free(server);
}

/* ignores has said that a SIGBUS that is sent is nothing to it. */
static void ignores(void)
{
    signal(SIGBUS, SIG_IGN);
    serve();
    for (int i = 0; i < 3; i++)
        raise(SIGBUS);
    printf("alive\n");
}

static void is_sent_one(void)
{
    serve();
    raise(SIGBUS);
    printf("alive\n");
}

/* cannot_write_keys asks the kernel for what a worker that is taken over would. */
static void cannot_write_keys(const char *table)
{
    SSL_CTX *server = new_server();
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;

        line[strcspn(line, "\n")] = '\0';
        if (strstr(line, "memfd:stek-keys") == NULL &&
            (*table == '\0' || strcmp(line + strlen(line) - strlen(table), table) != 0))
            continue;
        found++;
        CHECK(sscanf(line, "%lx-%lx", &begin, &end) == 2);
        CHECK(mprotect((void *)begin, end - begin, PROT_READ | PROT_WRITE) == -1);
    }
    fclose(maps);
    printf("%d refused\n", found);
    SSL_CTX_free(server);
}

/* closes_all closes what it inherited, as daemons do, and uses the numbers. */
static void closes_all(void)
{
    int own[40], status;
    SSL_CTX *server;

    for (int fd = 3; fd < 256; fd++)
        close(fd);
    for (int i = 0; i < 40; i++)
        own[i] = memfd_create("own", 0);
    server = new_server();
    two_visits(server);
    if (fork() == 0) {
        for (int i = 0; i < 40; i++)
            if (write(own[i], "x", 1) != 1)
                _exit(1);
        _exit(0);
    }
    CHECK(wait(&status) > 0 && status == 0);
    for (int i = 0; i < 40; i++)
        CHECK(lseek(own[i], 0, SEEK_END) == 1);
    printf("its own files are as they were\n");
    SSL_CTX_free(server);
}

/* ---- contexts by the thousand ---- */

static long resident(void)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    CHECK(statm != NULL && fscanf(statm, "%*d %ld", &pages) == 1);
    fclose(statm);
    return pages;
}

static void many_contexts(void)
{
    long before = 0;

    for (int i = 0; i < 30000; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        SSL *ssl = SSL_new(ctx);

        CHECK(ssl != NULL);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        if (i == 5000)
            before = resident();
    }
    printf("%s\n", resident() - before < 100 ? "no leak" : "leak");
}

/* ---- a standard error that is none any more ---- */

/* loses_stderr has a file of its own where its standard error was. */
static void loses_stderr(const char *path)
{
    CHECK(close(2) == 0 && open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) == 2);
    CHECK(write(2, "data", 4) == 4);
    serve();
}

static void client_only(void)
{
    SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
    printf("client\n");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (argc > 2 && strcmp(argv[2], "1.2") == 0)
        version = TLS1_2_VERSION;
#define DO(name, call)                                                                   \
    if (strcmp(what, name) == 0) {                                                       \
        call;                                                                            \
        return 0;                                                                        \
    }
    DO("serve", serve())
    DO("callbacks", callbacks())
    DO("callback-past-us", callback_past_us())
    DO("data-of-its-own", data_of_its_own())
    DO("library-context", library_context())
    DO("forks", forks())
    DO("executes-itself", executes_itself(argv))
    DO("executes-itself-without-files", executes_itself_without_files(argv))
    DO("outlives-its-agent", outlives_its_agent())
    DO("locks-memory", locks_memory())
    DO("two-contexts", two_contexts())
    DO("loses-stderr", loses_stderr(argc > 2 ? argv[2] : ""))
    DO("no-child", no_child())
    DO("cut-off", cut_off(argc > 2 ? argv[2] : ""))
    DO("dies-of-bus-error", dies_of_bus_error())
    DO("chains", chains())
    DO("executes-itself-late", executes_itself_late(argv))
    DO("serve-late", serve_late())
    DO("jumps-out", jumps_out())
    DO("ignores", ignores())
    DO("is-sent-one", is_sent_one())
    DO("cannot-write-keys", cannot_write_keys(argc > 2 ? argv[2] : ""))
    DO("closes-all", closes_all())
    DO("many-contexts", many_contexts())
    DO("client-only", client_only())
    fprintf(stderr, "host: what is \"%s\"?\n", what);
    return 2;
}
