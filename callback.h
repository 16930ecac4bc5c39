/*
 * callback.h - the contract between OpenSSL's session-ticket callback (C) and
 * the keystore (Go).
 *
 * C makes every OpenSSL call and decides every verdict. Go publishes ticket
 * keys to the key table and, for a KeyStore that must be asked, fills a
 * C-owned struct stek_key. Neither side keeps a pointer of the other's.
 *
 * Sources: SSL_CTX_set_tlsext_ticket_key_cb(3), RFC 5077 section 4,
 * RFC 8446 section 4.6.1.
 */
#ifndef STEK_CALLBACK_H
#define STEK_CALLBACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Keys that one key table holds. Another number is for measuring. */
#ifndef STEKC_MAX_KEYS
#define STEKC_MAX_KEYS 64
#endif

/* Sizes in bytes. The first two are fixed by OpenSSL's callback. */
enum {
    STEK_NAME_SIZE = 16,     /* key name, the first bytes of every ticket */
    STEK_IV_SIZE = 16,       /* IV of AES-CBC */
    STEK_AES_SIZE = 32,      /* AES-256; 16 (AES-128) only for imported keys */
    STEK_HMAC_SIZE = 32,     /* HMAC-SHA-256; 16 only for imported keys */
    STEK_IMPORTED_SIZE = 16, /* both keys of an imported 48-byte key */
    STEK_MAX_KEYS = STEKC_MAX_KEYS
};

/*
 * What the callback returns. The first four are OpenSSL's; STEK_BURN never
 * leaves callback.c: it issues a ticket under a throwaway key and returns
 * STEK_USE, for the libraries that send a malformed message on STEK_IGNORE.
 */
enum stek_verdict {
    STEK_ERROR = -1, /* the handshake ends with a fatal alert */
    STEK_IGNORE = 0, /* full handshake, or no ticket */
    STEK_USE = 1,    /* the contexts are set up */
    STEK_RENEW = 2,  /* as STEK_USE, and the client gets a fresh ticket */
    STEK_BURN = 3
};

/* Where a key stands in its life, and why there may be none to use. A key only
   ever moves down from upcoming to expired. */
enum stek_state {
    STEK_FAILED = -1,  /* the lookup or the set-up of the contexts failed */
    STEK_NO_KEY = 0,   /* no such key, or none that may encrypt */
    STEK_UPCOMING = 1, /* decrypts; will encrypt */
    STEK_CURRENT = 2,  /* encrypts */
    STEK_PREVIOUS = 3, /* only decrypts */
    STEK_EXPIRED = 4,  /* its window is over */
    STEK_LIMITED = 5,  /* not looked at: the connection's budget is spent */
    STEK_UNPLACED = 6, /* it cannot be told where the ticket may resume */
    STEK_MARKED = 7,   /* not looked at: the server name leads to this and that */
    STEK_MISPLACED = 8 /* its session was resumed where it may not be */
};

enum { STEK_KEY_ANY_NAME = 1, STEK_KEY_SUPERSEDED = 2, STEK_KEY_THROWAWAY = 4 };

/*
 * A ticket key. Times are nanoseconds since 1970; windows are half-open. It
 * encrypts from not_before until not_after and decrypts from the moment it is
 * known until decrypt_until.
 */
struct stek_key {
    unsigned char name[STEK_NAME_SIZE];
    unsigned char aes_key[STEK_AES_SIZE];
    uint32_t key_size; /* bytes used of aes_key and of hmac_key: 32 or 16 */
    uint32_t flags;    /* STEK_KEY_ANY_NAME: tickets are not bound to a server
                          name. STEK_KEY_SUPERSEDED: not the current key, only
                          set on the answer of a KeyStore that is asked.
                          STEK_KEY_THROWAWAY: for one ticket that nobody can
                          decrypt; never leaves callback.c */
    uint64_t count_at; /* set by the table: where its counts are; 0 nowhere */
    int64_t not_before;
    int64_t not_after;
    int64_t decrypt_until;
    unsigned char hmac_key[STEK_HMAC_SIZE]; /* last: callback.c writes behind its copy */
};

/*
 * An instant on two clocks: the wall clock, and the wall clock at the start
 * plus the boot clock since. low is the earlier of both and decides what
 * begins; high is the later and decides what ends. Neither goes back behind a time
 * that was held, unless both clocks agree that it is still far off. So a step of the
 * wall clock activates nothing early, and revives nothing that has ended by both.
 */
struct stek_now {
    int64_t low;
    int64_t high;
};

/* ---- the key table, table.c ---- */

struct stekc_table;

/* Changes with the layout of a table or of struct stek_key. */
enum { STEK_TABLE_LAYOUT = 6 };

/* Who reads a table: this process alone, or its forked children too. */
enum stek_sharing { STEK_PRIVATE, STEK_INHERITED };

/* What a process does with a table in shared files. */
enum stek_access { STEK_READER, STEK_WRITER };

/* By which clocks its windows are meant. */
enum { STEK_CLOCK_BOTH = 0, STEK_CLOCK_BOOT = 1 };

/* Protections of the table's pages that the system refused, as bits. */
enum { STEK_NOT_LOCKED = 1, STEK_NOT_UNDUMPABLE = 2, STEK_NOT_WIPED_ON_FORK = 4 };

/*
 * stekc_table_new maps an empty table between guard pages, locked in memory and
 * left out of core dumps. In a forked child a private one is wiped, and an
 * inherited one is the same memory. *refused receives the protections that the
 * system did not grant. NULL with errno on failure.
 */
struct stekc_table *stekc_table_new(enum stek_sharing sharing, unsigned *refused);

/*
 * stekc_table_files makes the two files of a shared table in memory alone, for
 * processes that inherit them: the keys in one that is out of the kernel's own
 * reach where memfd_secret(2) is to be had and secret is not 0, else in one
 * that cannot shrink. They stay open in exec(3). Returns 0, or -1 with errno.
 */
int stekc_table_files(int secret, int *keys_file, int *counts_file);

/* Why stekc_table_open did not open a table. */
enum stekc_opened {
    STEKC_OPENED,
    STEKC_OPEN_FAILED,  /* errno tells */
    STEKC_OPEN_EMPTY,   /* the file is shorter than a table */
    STEKC_OPEN_FOREIGN, /* it is no key table */
    STEKC_OPEN_VERSION, /* a key table of another layout */
    STEKC_OPEN_CLOCKS   /* its writer has other clocks than this process */
};

/*
 * stekc_table_open maps the shared table in two files, which the caller owns
 * and may close, and writes it to *table. A reader has the keys read-only, and
 * counts that nobody sees if counts_file is -1. A writer, one at a time, goes on
 * with a table that it finds, or begins an empty one. *refused is as for
 * stekc_table_new.
 */
enum stekc_opened stekc_table_open(int keys_file, int counts_file, enum stek_access access,
                                   struct stekc_table **table, unsigned *refused);

/* stekc_table_regrow makes the two files as long again as a table is, no longer: before a
   writer or a reader of counts touches what another process may have cut off.
   Returns 0, or -1 with errno. */
int stekc_table_regrow(int keys_file, int counts_file);

/* stekc_table_holds tells whether address is in the mapping of table, and the
   part that it is in: its address, size and protection (mmap(2)). Safe in a
   signal handler. */
int stekc_table_holds(const struct stekc_table *table, const void *address, void **part,
                      size_t *size, int *protection);

/* stekc_table_use_clock sets the clocks; STEK_CLOCK_BOTH until then. If it changes
   them, no time is held any more. For the one writer. */
void stekc_table_use_clock(struct stekc_table *table, int clock);

/* stekc_table_free wipes and unmaps table; NULL is allowed. */
void stekc_table_free(struct stekc_table *table);

/* stekc_table_forget unmaps table and leaves it to the process that made it. */
void stekc_table_forget(struct stekc_table *table);

/* stekc_table_now reads the clocks of the kernel's ticks, which are 1 to 10 ms behind,
   and where a window begins or ends within 20 ms the exact ones, as
   stekc_table_exactly_now always does. Any thread; no system call where the
   vDSO has the boot clock. Neither is before the time that was held last. */
struct stek_now stekc_table_now(const struct stekc_table *table);
struct stek_now stekc_table_exactly_now(const struct stekc_table *table);

/* stekc_table_hold_time returns now and keeps time from ever going back behind
   it. For the one writer, at least whenever a window begins or ends. */
struct stek_now stekc_table_hold_time(struct stekc_table *table);

/*
 * stekc_table_stage is where the one writer puts up to STEK_MAX_KEYS keys for
 * stekc_table_publish, inside the protected mapping.
 */
struct stek_key *stekc_table_stage(struct stekc_table *table);

/* Counts of a table. A ticket that a key encrypts or decrypts counts once, in one of
   the first STEK_KEY_COUNTERS, of its key: a locked instruction is dear when many
   processes share its memory. Go's Stats documents the others. */
enum stek_counter {
    STEK_COUNT_ISSUED,
    STEK_COUNT_USED,             /* under a key not yet replaced */
    STEK_COUNT_RENEWED,          /* the same, and renewed */
    STEK_COUNT_PREVIOUS_USED,    /* under a previous key */
    STEK_COUNT_PREVIOUS_RENEWED, /* the same, and renewed */
    STEK_KEY_COUNTERS,
    STEK_COUNT_UNKNOWN = STEK_KEY_COUNTERS,
    STEK_COUNT_EXPIRED,
    STEK_COUNT_DECLINED,
    STEK_COUNT_LIMITED,
    STEK_COUNT_AGED,
    STEK_COUNT_ERRORS,
    STEK_COUNT_ASKED,
    STEK_COUNT_NOT_ASKED,
    STEK_COUNT_CONTEXTS,
    STEK_COUNT_DISPLACED,
    STEK_COUNT_TICKETS_OFF,
    STEK_COUNT_STATEFUL,
    STEK_COUNT_NONE13,
    STEK_COUNT_FORCED,
    STEK_COUNT_REFUSED,
    STEK_COUNT_UNPLACED,
    STEK_COUNT_MISPLACED,
    STEK_COUNT_MARKED,
    STEK_COUNTERS
};

/* Counts of one key, or of all. */
struct stek_key_counts {
    uint64_t issued;
    uint64_t renewed;
    uint64_t accepted; /* renewed or not */
    uint64_t accepted_previous;
};

/* stekc_table_count adds one to counter: for one of the first STEK_KEY_COUNTERS, that
   of *key, as the table gave it out. Other counters need no key. Returns the counter as
   it was. Any thread of any process that shares the table. */
uint64_t stekc_table_count(struct stekc_table *table, enum stek_counter counter,
                           const struct stek_key *key);

/* stekc_table_counted reads a counter that is not of a key. Only where the table was
   made, or where its writer is. */
uint64_t stekc_table_counted(const struct stekc_table *table, enum stek_counter counter);

/* stekc_table_counted_of reads the counts of key, as the table gave it out, and
   stekc_table_counted_all those of all that there ever were, also of keys that never
   were in the table. As stekc_table_counted. */
struct stek_key_counts stekc_table_counted_of(const struct stekc_table *table,
                                              const struct stek_key *key);
struct stek_key_counts stekc_table_counted_all(const struct stekc_table *table);

/*
 * stekc_table_list copies the keys in the table to out, an array of
 * STEK_MAX_KEYS, and returns how many there are. The caller wipes out.
 */
size_t stekc_table_list(const struct stekc_table *table, struct stek_key *out);

/*
 * stekc_table_publish makes the first count staged keys the keys in force, all
 * at once for every reader, overwrites what was there before, wipes the stage,
 * and holds time. One writer at a time. Returns 0, or -1 if count is too large.
 */
int stekc_table_publish(struct stekc_table *table, size_t count);

/*
 * stekc_table_current copies the key that encrypts at now into out: of all
 * keys within their encryption window the one that began last. Returns
 * STEK_CURRENT, or STEK_NO_KEY and nothing of a key in out. Any thread, no lock,
 * no system call; the caller wipes out.
 */
enum stek_state stekc_table_current(const struct stekc_table *table,
                                    struct stek_now now, struct stek_key *out);

/* stekc_table_encrypts tells whether stekc_table_current would find a key, if the
   table is not damaged. */
int stekc_table_encrypts(const struct stekc_table *table, struct stek_now now);

/*
 * stekc_table_find copies the key called name into out and returns its state,
 * or STEK_NO_KEY or STEK_EXPIRED and nothing of it in out. As
 * stekc_table_current.
 */
enum stek_state stekc_table_find(const struct stekc_table *table,
                                 const unsigned char name[STEK_NAME_SIZE],
                                 struct stek_now now, struct stek_key *out);

/* stekc_table_look_up is stekc_table_find at this time, which it writes to *now. If
   there is no such key, as of most tickets of others, it does not look at the clocks
   and leaves *now. */
enum stek_state stekc_table_look_up(const struct stekc_table *table,
                                    const unsigned char name[STEK_NAME_SIZE],
                                    struct stek_now *now, struct stek_key *out);

/* stekc_table_intact is false in a forked child, whose table is zeros. */
int stekc_table_intact(const struct stekc_table *table);

/* stekc_key_state tells where key stands at now by its own window alone. */
enum stek_state stekc_key_state(const struct stek_key *key, struct stek_now now);

/* stekc_wipe overwrites size bytes at p; never optimised away. */
static inline void stekc_wipe(void *p, size_t size)
{
    memset(p, 0, size);
    __asm__ __volatile__("" : : "r"(p) : "memory"); /* somebody may read it */
}

/* ---- the store: a table, and who to ask on a miss; store.c ---- */

/* Answers of the ask functions. */
enum { STEK_ASK_ERROR = -1, STEK_ASK_NONE = 0, STEK_ASK_FOUND = 1 };

/*
 * How a store asks its KeyStore. current is asked when the table has no
 * current key, named when on_miss is set and the table has no such key. They
 * are called on handshake threads and fill out, which the caller owns and
 * wipes. name lies in the received message: named reads it before it returns, and no
 * later. released is called once, when no context uses the store any more. None is
 * called on a stack that is not the thread's own; released then never is. Any of the
 * functions may be NULL.
 */
struct stekc_ask {
    uintptr_t handle;
    int on_miss;
    int (*current)(uintptr_t handle, struct stek_key *out);
    int (*named)(uintptr_t handle, unsigned char *name, struct stek_key *out);
    void (*released)(uintptr_t handle);
};

struct stekc_store;

/*
 * stekc_store_new makes a store with an empty table; ask is copied. The caller
 * holds one reference. NULL with errno on failure.
 */
struct stekc_store *stekc_store_new(enum stek_sharing sharing, const struct stekc_ask *ask,
                                    unsigned *refused);

/* stekc_store_on makes a store of table, which it frees at its end; it asks
   nobody. NULL with errno on failure. */
struct stekc_store *stekc_store_on(struct stekc_table *table);

struct stekc_table *stekc_store_table(struct stekc_store *store);

/*
 * stekc_store_close empties the table, stops asking, and drops the caller's
 * reference. Contexts that still hold the store answer as with no key. In a
 * forked child it leaves the table alone: it is the parent's.
 */
void stekc_store_close(struct stekc_store *store);

/* ---- attaching, attach.c ---- */

/* When a ticket that is accepted is renewed. */
enum stek_policy {
    STEK_POLICY_CAPPED,  /* TLS 1.3: always, until the authentication-age cap */
    STEK_POLICY_CURRENT, /* TLS 1.3: only under the current key */
    STEK_POLICY_AGE      /* every version: once the key is not current */
};

/* Which of OpenSSL's two callbacks is registered. */
enum stek_kind { STEK_KIND_FASTEST, STEK_KIND_HMAC, STEK_KIND_EVP };

/* Longest name group in bytes; a server name is at most as long (RFC 1035). */
enum { STEK_GROUP_MAX = 255 };

/* Options of stekc_attach; zeros are the defaults but for the cap. */
struct stekc_options {
    int policy;
    int kind;
    int soft;                /* STEK_ERROR becomes STEK_IGNORE */
    int64_t auth_age_cap;    /* ns; for STEK_POLICY_CAPPED */
    void *library_context;   /* OSSL_LIB_CTX for fetching, or NULL */
    const char *properties;  /* property query for fetching, or NULL */
    const char *name_group;  /* binds tickets to this instead of the SNI */
    const char *client_auth; /* label of contexts that verify clients alike, or NULL */
    const char *data_form;   /* names the form of the data that the server keeps in tickets,
                                or NULL */
    int own_data;            /* that form is of this context alone */
    int verifies_clients;    /* also where its verify mode does not say so */
    int64_t window_seconds;  /* how long a ticket can be decrypted; 0 unknown */
};

enum stekc_result {
    STEKC_OK = 0,
    STEKC_ERR_NULL,          /* ctx or store is NULL */
    STEKC_ERR_NO_LIBSSL,     /* no libssl in this process */
    STEKC_ERR_LIBRARY,       /* a libssl that is not supported */
    STEKC_ERR_NOT_CTX,       /* not an SSL_CTX, or one that was freed */
    STEKC_ERR_FOREIGN,       /* an SSL_CTX of another libssl */
    STEKC_ERR_ATTACHED,      /* ctx has a store already */
    STEKC_ERR_NOT_ATTACHED,  /* ctx has none */
    STEKC_ERR_KIND,          /* this libssl lacks the callback asked for */
    STEKC_ERR_OPTION,        /* an option out of range */
    STEKC_ERR_FETCH,         /* AES-256-CBC or SHA-256 not to be had */
    STEKC_ERR_FULL,          /* too many different stores at a time */
    STEKC_ERR_OPENSSL,       /* OpenSSL refused a call */
    STEKC_ERR_MEMORY,
    STEKC_ERR_CLOSED         /* store was closed */
};

/* What would keep the callback from being called, or tickets from resuming. The last
   is none for a store that asks nobody. */
enum stekc_warning {
    STEKC_WARN_NO_TICKET = 1,   /* SSL_OP_NO_TICKET */
    STEKC_WARN_ANTI_REPLAY = 2, /* early data with anti-replay: stateful */
    STEKC_WARN_NUM_TICKETS = 4, /* SSL_CTX_set_num_tickets(0) */
    STEKC_WARN_TIMEOUT = 8,     /* sessions outlive the decrypt window */
    STEKC_WARN_ASYNC = 16       /* SSL_MODE_ASYNC: a KeyStore is not asked */
};

struct stekc_report {
    unsigned warnings; /* bits of enum stekc_warning */
    int kind;          /* the callback that was registered */
    char detail[512];  /* what and where, when the result is an error */
};

/*
 * stekc_attach makes ctx, an SSL_CTX, issue and accept tickets with the keys
 * of store. ctx holds store until SSL_CTX_free. Call it before the first
 * SSL_new on ctx: OpenSSL stores callbacks without a lock. ctx must not be freed
 * meanwhile. On error ctx is unchanged, unless it was OpenSSL that failed: ctx
 * then has no ticket callback. Any thread; report is always filled.
 */
enum stekc_result stekc_attach(void *ctx, struct stekc_store *store,
                               const struct stekc_options *options,
                               struct stekc_report *report);

/*
 * stekc_detach gives ctx back to OpenSSL's built-in keys. No handshake may run
 * on ctx meanwhile. The store is let go by SSL_CTX_free, so that a handshake
 * under way never meets freed memory.
 */
enum stekc_result stekc_detach(void *ctx, struct stekc_report *report);

/*
 * stekc_survive_fork makes fork(2) wait for attach, detach and inspect. The
 * first of these calls does it too. Whoever holds a lock of its own around them
 * calls it before its own pthread_atfork(3), since the handlers that prepare a
 * fork run in reverse order.
 */
void stekc_survive_fork(void);

/*
 * stekc_prepare does what attaching ctx needs of the dynamic linker. Whoever
 * holds a lock of its own around stekc_attach, and may be called by a constructor
 * of a library, calls this before it takes that lock, and does not attach unless
 * the result is STEKC_OK.
 */
enum stekc_result stekc_prepare(void *ctx, struct stekc_report *report);

/*
 * stekc_trust_contexts: from now on every pointer that is given as ctx is an SSL_CTX,
 * and not looked at first. That look asks the kernel what memory can be read, which a
 * server may have forbidden to itself (seccomp(2)).
 */
void stekc_trust_contexts(void);

/* stekc_insist registers the callback of ctx again, in case somebody has set another
   one since stekc_attach, and changes nothing else. Handshakes may run on ctx: it
   writes what is there already, or what should be. */
enum stekc_result stekc_insist(void *ctx, struct stekc_report *report);

/* stekc_scope_know_clients says that ctx knows its clients otherwise than its verify mode
   tells: its tickets stay with it, as those of verified clients do. Any thread. */
struct ssl_ctx_st;
void stekc_scope_know_clients(struct ssl_ctx_st *ctx);

/* stekc_scope_may_ask says that ctx has a callback that may ask for a certificate, which
   OpenSSL calls in full handshakes alone: each server name is New there once. Any thread. */
void stekc_scope_may_ask(struct ssl_ctx_st *ctx);

/*
 * For who can see servername callbacks being set, and stands before them.
 *
 * stekc_scope_watch says that there are none yet; until it is called stek takes it that there
 * may be, and that nobody stands before them. stekc_scope_switches says that there are some
 * now, stekc_scope_unwatch that nobody stands before some of them, from now on.
 *
 * stekc_scope_hello is called before such a callback, with the SSL of the connection, and
 * stekc_scope_settled after it: 0 if the session that was resumed may not be where the
 * callback has led; the handshake must then end with an alert. Any thread.
 */
struct ssl_st;

void stekc_scope_watch(void);
void stekc_scope_switches(void);
void stekc_scope_unwatch(void);
void stekc_scope_hello(struct ssl_st *ssl);
int stekc_scope_settled(struct ssl_st *ssl);

/* stekc_is_stamp tells the time of authentication, which stek keeps in the application data of
   tickets, from data of a server's. Any thread. */
int stekc_is_stamp(const void *data, size_t size);

/* stekc_ex_index makes an index of ex_data for objects of an OpenSSL class; -1 if there is
   none. on_free, a CRYPTO_EX_free, may be NULL. After an attach. Low indexes are left to
   programs that use numbers of their own, or of another class. */
int stekc_ex_index(int class_index, void (*on_free)(void));

/* stekc_inspect fills report->warnings for ctx and changes nothing. */
enum stekc_result stekc_inspect(void *ctx, int64_t window_seconds,
                                struct stekc_report *report);

#endif
