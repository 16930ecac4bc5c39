/*
 * stek.h - rotating TLS session-ticket keys for servers on OpenSSL.
 *
 * Four lines give a server keys that rotate, expire and are destroyed:
 *
 *     stek_store *store;
 *     if (stek_open("memory:", &store) != STEK_OK)
 *         die(stek_error());
 *     if (stek_attach(ctx, store, NULL) != STEK_OK)
 *         die(stek_error());
 *
 * Link with `pkg-config --libs stek`, or dlopen libstek.so.0. The library does
 * not link libssl: it uses the one that made your SSL_CTX, OpenSSL 1.1.1 to 4.x.
 *
 * Results. Every function that can fail returns a stek_status. No value of it
 * is 0, 1, -1 or an errno, so compare with the names: `== STEK_OK`. Outputs are
 * written on success only. stek_error tells what went wrong, and where.
 *
 * Threads. Every function may be called from any thread at any time, unless it
 * says otherwise.
 *
 * Fork. A store belongs to the process that opened it: its keystore is in Go,
 * which does not survive fork. Children made after that go on with handshakes
 * on the contexts they inherited, and see each rotation of the parent, through
 * shared memory. The functions that take a store answer them STEK_ERR_FORKED at
 * once. When the opening process ends, children go on to the end of the keys'
 * windows, then issue no tickets and make full handshakes.
 *
 * Do not fork in a signal handler that may have interrupted one of them.
 *
 * Signals. The threads of the library block every signal but SIGCHLD, SIGURG,
 * SIGPROF, SIGSTKFLT, and those of faults. Your handlers stay yours. Set those
 * for the four named with SA_ONSTACK: they can run on a thread of the library,
 * whose stack is small.
 *
 * Trust. Children share the parent's table. One that is taken over can read the
 * keys, plant others, and stop tickets for all.
 */
#ifndef STEK_H
#define STEK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STEK_VERSION_MAJOR 0
#define STEK_VERSION_MINOR 1
#define STEK_VERSION_PATCH 0
#define STEK_VERSION "0.1.0"

#if defined(__GNUC__)
#define STEK_NODISCARD __attribute__((warn_unused_result))
#else
#define STEK_NODISCARD
#endif

/* OpenSSL's SSL_CTX; this header needs none of OpenSSL's. */
struct ssl_ctx_st;

/* A store of ticket keys. Only a handle: a stale or foreign one is an error. */
typedef struct stek_store stek_store;

typedef enum {
    STEK_OK = 21300,
    STEK_ERR_ARG,       /* a NULL pointer, or a value out of range */
    STEK_ERR_HANDLE,    /* the store is closed, or never was one */
    STEK_ERR_URI,       /* the URI cannot be understood */
    STEK_ERR_FORKED,    /* the store is that of the parent process */
    STEK_ERR_LIMIT,     /* threads, descriptors or address space: too few left */
    STEK_ERR_LOAD,      /* libstek-go.so cannot be loaded, or does not fit */
    STEK_ERR_BACKEND,   /* the backend failed */
    STEK_ERR_LIBSSL,    /* no libssl here, an unsupported one, or a second one */
    STEK_ERR_CONTEXT,   /* not an SSL_CTX, or one that was freed */
    STEK_ERR_ATTACHED,  /* the SSL_CTX has a store already */
    STEK_ERR_DETACHED,  /* the SSL_CTX has no store */
    STEK_ERR_SPACE,     /* the array is too small */
    STEK_ERR_SYSTEM     /* memory, or a call of OpenSSL's or the system's */
} stek_status;

/*
 * stek_version is the version of the library, such as "0.1.0"; STEK_VERSION is
 * that of this header. A constant; never fails. Any thread of any process.
 */
const char *stek_version(void);

/*
 * stek_status_text is one sentence for a status. A constant; never NULL. Any
 * thread of any process.
 */
const char *stek_status_text(stek_status status);

/*
 * stek_error tells what the last call that failed in this thread failed at, in
 * one line without a secret; "" if none has. It stays valid until the thread's
 * next call that fails. Any thread of any process.
 */
const char *stek_error(void);

/*
 * stek_open opens a store of ticket keys. The URI is
 *
 *     memory:?rotation=6h&lifetime=6h
 *
 * random 256-bit keys in this process's memory. rotation is how often a new
 * key becomes current, 6h if it is left out; lifetime how long a ticket can be
 * decrypted at least, 6h or rotation if that is shorter. Both are at least
 * 100ms, lifetime is at most twice rotation, and both together at most 168h. A
 * duration is one or more numbers with ms, s, m or h, such as 1h30m.
 *
 * The first call loads libstek-go.so, found beside this library, which starts
 * threads and reserves 2.2 GB of address space. Call it once the process has
 * become a daemon and has closed the descriptors it inherited, before or after
 * it forks its workers, and not in a constructor of a library. It blocks until
 * the first key is there, some milliseconds.
 *
 * STEK_ERR_ARG, STEK_ERR_URI; STEK_ERR_LIMIT if RLIMIT_NPROC, RLIMIT_NOFILE or
 * RLIMIT_AS leave no room, or 256 stores are open; STEK_ERR_LOAD; STEK_ERR_BACKEND; STEK_ERR_SYSTEM;
 * STEK_ERR_FORKED if a parent process has had libstek-go.so loaded.
 *
 * Any thread. In a child only if no parent has opened a store.
 *
 * Close the store with stek_close. The library itself stays loaded whatever
 * dlclose(3) is told.
 */
stek_status stek_open(const char *uri, stek_store **store) STEK_NODISCARD;

/*
 * stek_close destroys the keys of store and ends the handle. Contexts that are
 * attached go on without: full handshakes, no tickets. NULL is STEK_OK.
 *
 * STEK_ERR_HANDLE; STEK_ERR_FORKED; STEK_ERR_BACKEND, and the store is closed all
 * the same.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_close(stek_store *store);

/* When a client that resumes gets a fresh ticket. In TLS 1.2 it always does
   once its ticket's key is not current. */
typedef enum {
    /* On every TLS 1.3 resumption, until the client's authentication is older
       than the cap. Takes SSL_CTX_set_session_ticket_cb(3) for itself. */
    STEK_RENEW_CAPPED = 0,
    /* In TLS 1.3 only under the current key. */
    STEK_RENEW_CURRENT = 1,
    /* Once the ticket's key is not current, in TLS 1.3 too: a client that uses
       each ticket once resumes every other time. */
    STEK_RENEW_BY_AGE = 2
} stek_renewal;

/* Which of OpenSSL's callbacks is registered. */
typedef enum {
    STEK_CALLBACK_FASTEST = 0, /* STEK_CALLBACK_HMAC; STEK_CALLBACK_EVP where there is
                                  no HMAC_CTX, or libcrypto takes its ciphers from
                                  another provider than the default one */
    STEK_CALLBACK_HMAC = 1, /* SSL_CTX_set_tlsext_ticket_key_cb */
    STEK_CALLBACK_EVP = 2   /* SSL_CTX_set_tlsext_ticket_key_evp_cb, OpenSSL 3 */
} stek_callback;

/*
 * Options of stek_attach. Set size to sizeof(stek_attach_options) and the rest
 * to what you want; zeros are the defaults.
 */
typedef struct {
    size_t size;
    stek_renewal renewal;
    stek_callback callback;
    int soft_errors;               /* not 0: a failure is a full handshake, not
                                      a fatal alert */
    uint32_t auth_age_cap_seconds; /* for STEK_RENEW_CAPPED: how long after an
                                      authentication its sessions resume; 0 is
                                      86,400 (a day), at most 259,200 (three) */
    const char *name_group;        /* NULL: a ticket resumes only under the
                                      server name it was issued for. Else under
                                      every name of contexts of this group, 1 to
                                      255 bytes; copied */
    const char *client_auth;       /* NULL: a ticket of a client that was verified
                                      resumes only at the SSL_CTX that issued it,
                                      also in forked processes. Else at every one
                                      with this label, which all accept the same
                                      clients: sessions are not verified again. 1 to
                                      255 bytes; copied */
    const char *ticket_data;       /* names the form of the data that the program
                                      keeps in tickets, if it sets
                                      SSL_CTX_set_session_ticket_cb(3): a ticket
                                      resumes only at contexts with the same name. 1
                                      to 255 bytes; copied */
    int verifies_clients;          /* not 0: ctx verifies clients where its verify mode
                                      does not tell yet, as in a certificate callback
                                      (SSL_CTX_set_cert_cb(3)), which OpenSSL leaves
                                      out in a resumption. Its tickets then stay with
                                      it, or with its label, for every client */
} stek_attach_options;

/*
 * stek_attach makes ctx issue and accept session tickets with the keys of
 * store. options may be NULL for the defaults.
 *
 * Call it once per SSL_CTX, before its first connection. ctx holds what it
 * needs of store until SSL_CTX_free, so stek_close may come first. A ticket
 * callback that ctx had is replaced, and stek_detach does not bring it back. On
 * error ctx is unchanged, unless it was OpenSSL that refused (STEK_ERR_SYSTEM):
 * ctx then has no ticket callback. See stek_inspect for what may still keep
 * tickets from use.
 *
 * STEK_ERR_ARG, STEK_ERR_HANDLE, STEK_ERR_FORKED, STEK_ERR_LIBSSL,
 * STEK_ERR_CONTEXT, STEK_ERR_ATTACHED, STEK_ERR_SYSTEM; STEK_ERR_LIMIT if 1,024
 * different stores and options are attached already.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_attach(struct ssl_ctx_st *ctx, stek_store *store,
                        const stek_attach_options *options) STEK_NODISCARD;

/*
 * stek_detach gives ctx back to OpenSSL's built-in keys. No handshake may run
 * on ctx meanwhile. A child process may detach a context it inherited.
 *
 * STEK_ERR_ARG, STEK_ERR_LIBSSL, STEK_ERR_CONTEXT, STEK_ERR_DETACHED,
 * STEK_ERR_SYSTEM.
 *
 * Any thread of any process.
 */
stek_status stek_detach(struct ssl_ctx_st *ctx);

/* What in the configuration of an SSL_CTX keeps tickets from being used. */
typedef enum {
    STEK_WARN_TICKETS_OFF = 1,    /* SSL_OP_NO_TICKET is set */
    STEK_WARN_STATEFUL = 2,       /* early data with replay protection: TLS 1.3
                                     tickets are stateful */
    STEK_WARN_NO_TICKETS_13 = 4,  /* SSL_CTX_set_num_tickets is 0 */
    STEK_WARN_TIMEOUT = 8         /* sessions live longer than their tickets can
                                     be decrypted */
} stek_warning;

/*
 * stek_inspect writes the stek_warning bits for ctx with store to *warnings; 0
 * is good. Call it after ctx has been configured.
 *
 * Errors as stek_attach's, but for STEK_ERR_ATTACHED.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_inspect(struct ssl_ctx_st *ctx, stek_store *store,
                         unsigned *warnings) STEK_NODISCARD;

/*
 * stek_warning_text is one sentence for one bit, with what to change. A
 * constant; never NULL. Any thread of any process.
 */
const char *stek_warning_text(stek_warning warning);

/*
 * stek_rotate makes a fresh key current at once; the one before it decrypts for
 * a ticket lifetime more. The schedule goes on from here.
 *
 * STEK_ERR_ARG, STEK_ERR_HANDLE, STEK_ERR_FORKED, STEK_ERR_BACKEND.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_rotate(stek_store *store) STEK_NODISCARD;

/*
 * stek_revoke makes all tickets that were issued until now worthless at once, in
 * every process that shares the store: it destroys all keys, and a fresh one is
 * current. Use it if a ticket may have been stolen, or if clients that have
 * tickets are to be authenticated again. Open connections stay open.
 *
 * STEK_ERR_ARG, STEK_ERR_HANDLE, STEK_ERR_FORKED; STEK_ERR_BACKEND if there is no
 * new key yet: all keys are destroyed all the same, and one is made as soon as
 * the system has random bytes.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_revoke(stek_store *store) STEK_NODISCARD;

/*
 * Counts since the store was opened, of all processes that share it. They only
 * grow.
 */
typedef struct {
    uint64_t issued;            /* tickets encrypted */
    uint64_t renewed;           /* of accepted: to bring a fresh ticket */
    uint64_t accepted;          /* tickets with a key in force, those renewed
                                   among them; OpenSSL checks the MAC after that */
    uint64_t accepted_previous; /* of accepted: under a key no longer current */
    uint64_t unknown;           /* tickets under a key name not known */
    uint64_t expired;           /* tickets under a key whose window is over */
    uint64_t declined;          /* tickets not issued: no current key, no known
                                   server name, or an error */
    uint64_t limited;           /* tickets not looked at: more than 8 in a hello */
    uint64_t aged;              /* of accepted: refused by auth_age_cap_seconds */
    uint64_t errors;            /* failures, soft ones among them */
    uint64_t unprotected_memory; /* not a count: of locking the keys in memory and
                                   leaving them out of core dumps, how much the
                                   system refused: 0 to 2 */
    uint64_t refused;           /* of accepted: decrypted and not resumed, as far as
                                   known; for STEK_RENEW_CAPPED */
    uint64_t unplaced;          /* tickets not looked at or not issued: clients are
                                   verified, and where a ticket may resume cannot be
                                   told */
    uint64_t misplaced;         /* handshakes ended: a session was resumed at a context
                                   whose tickets it may not use */
    uint64_t marked;            /* tickets not looked at: their server name has led to
                                   different contexts */
} stek_stats;

/*
 * stek_get_stats writes size bytes of counts to stats; size is
 * sizeof(stek_stats) as you compiled it.
 *
 * STEK_ERR_ARG, STEK_ERR_HANDLE, STEK_ERR_FORKED.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_get_stats(stek_store *store, size_t size, stek_stats *stats) STEK_NODISCARD;

typedef enum {
    STEK_KEY_UPCOMING = 1, /* known; will encrypt */
    STEK_KEY_CURRENT = 2,  /* encrypts */
    STEK_KEY_PREVIOUS = 3  /* only decrypts */
} stek_key_state;

/* The most keys that a store has in force at a time. */
#define STEK_KEYS_MAX 64

/* What may be shown of a key, and its counts in all processes. */
typedef struct {
    unsigned char name[16];        /* public: the first bytes of its tickets */
    stek_key_state state;
    int64_t not_before_seconds;    /* since 1970: begins to encrypt */
    int64_t not_after_seconds;     /* ends to encrypt */
    int64_t decrypt_until_seconds; /* is destroyed */
    uint64_t issued;
    uint64_t accepted;
    uint64_t renewed;              /* of accepted: with a fresh ticket */
    uint64_t accepted_previous;    /* of accepted: after the key was superseded */
} stek_key_info;

/*
 * stek_get_keys writes the keys in force, newest first, to keys, an array of
 * capacity, each of size bytes (sizeof(stek_key_info) as you compiled it), and
 * their number to *count. STEK_KEYS_MAX of them are always enough.
 *
 * STEK_ERR_ARG, STEK_ERR_HANDLE, STEK_ERR_FORKED; STEK_ERR_SPACE.
 *
 * Any thread, of the process that opened store.
 */
stek_status stek_get_keys(stek_store *store, size_t size, stek_key_info *keys, size_t capacity,
                          size_t *count) STEK_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif
