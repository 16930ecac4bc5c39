/*
 * callback.c - the only code that OpenSSL calls: find the key, decide the
 * verdict, fill the contexts, wipe the copy.
 *
 * It runs on handshake threads, many at once on one SSL_CTX, before the client
 * is authenticated. It takes no lock; it enters Go only for a KeyStore that
 * must be asked. Source: SSL_CTX_set_tlsext_ticket_key_cb(3), and OpenSSL's
 * behaviour where that page is silent or wrong (docs/openssl.md).
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* Key set-ups and questions to Go that one ClientHello may cause: it can carry
   1,700 tickets, and none is authenticated yet. */
enum { BUDGET = 8 };

/* A MAC key is the HMAC key, then one tag byte and the name that the ticket is bound
   to. No server name has a NUL byte, so no two differ only in the zeros with which
   HMAC pads its key (RFC 2104). */
enum { TAG_SERVER_NAME = 'n', TAG_GROUP = 'g' };

/* A key, and room to make it a MAC key in its place. */
struct keyed {
    struct stek_key key;
    unsigned char behind[1 + STEK_GROUP_MAX];
};
_Static_assert(offsetof(struct keyed, behind) ==
                   offsetof(struct stek_key, hmac_key) + STEK_HMAC_SIZE,
               "the room is behind the HMAC key");

/* The server name that a client sent, in lower case, kept with its connection for
   one ticket of one handshake. */
struct kept_name {
    int fresh;
    uintptr_t hello;
    size_t size; /* 0 if it sent none */
    unsigned char name[STEK_GROUP_MAX];
};

/* The stamp in a ticket: this mark, then when the client authenticated, in
   nanoseconds since 1970, most significant byte first. */
enum { STAMP_MARK_SIZE = 8, STAMP_SIZE = STAMP_MARK_SIZE + 8 };
static const unsigned char stamp_mark[] = "stek-at1";

/* How far ahead of our clock another host's may have stamped a ticket, ns. */
#define STAMP_AHEAD (INT64_C(60) * 1000000000)

/* SSL ex_data: a struct kept_name. */
static int name_index = -1;

/* What this thread has spent on the ClientHello that it met last. One is looked
   at in one go, and an allocation in the SSL would cost more than a ticket. */
static _Thread_local struct {
    const SSL *ssl;
    uintptr_t hello;
    uintptr_t name;
    int spent;
} budget;

static void count(const struct stekc_binding *binding, enum stek_counter counter)
{
    stekc_table_count(binding->store->table, counter, NULL);
}

/* ---- verdict ---- */

static int renews(const struct stekc_facts *facts)
{
    if (!facts->can_renew)
        return 0;
    if (facts->tls13 && facts->policy == STEK_POLICY_CAPPED)
        return 1;
    if (facts->tls13 && facts->policy == STEK_POLICY_CURRENT)
        return facts->state != STEK_PREVIOUS;
    return facts->state == STEK_PREVIOUS;
}

enum stek_verdict stekc_verdict(const struct stekc_facts *facts)
{
    switch (facts->state) {
    case STEK_FAILED:
        if (!facts->soft)
            return STEK_ERROR;
        break;
    case STEK_CURRENT:
        if (facts->encrypt)
            return STEK_USE;
        return renews(facts) ? STEK_RENEW : STEK_USE;
    case STEK_UPCOMING:
    case STEK_PREVIOUS:
        if (facts->encrypt)
            break;
        return renews(facts) ? STEK_RENEW : STEK_USE;
    case STEK_NO_KEY:
    case STEK_EXPIRED:
    case STEK_LIMITED:
        break;
    }
    if (facts->encrypt && facts->tls13 && facts->sends_malformed)
        return STEK_BURN;
    return STEK_IGNORE;
}

static int is_tls13(const SSL *ssl)
{
    int version = ossl.SSL_version(ssl);

    return version == TLS1_3_VERSION || version == STEKC_DTLS1_3 ||
           (ossl.SSL_is_quic != NULL && ossl.SSL_is_quic(ssl));
}

/* ---- the server name that a ticket is bound to ---- */

/* lower_8 copies 8 bytes, A to Z of which become a to z. It looks at all at once: each
   sum has the top bit of a byte if that is no less than 'A', or greater than 'Z'. */
static void lower_8(unsigned char *out, const unsigned char *in)
{
    const uint64_t each = UINT64_C(0x0101010101010101), top = 0x80 * each;
    uint64_t word, from_a, past_z;

    memcpy(&word, in, sizeof word);
    from_a = (word & ~top) + (0x80 - 'A') * each;
    past_z = (word & ~top) + (0x7f - 'Z') * each;
    word |= (from_a & ~past_z & ~word & top) >> 2; /* 0x20: 'a' - 'A' */
    memcpy(out, &word, sizeof word);
}

/* copy_lower copies name to out, in lower case. They do not overlap. */
static void copy_lower(unsigned char *out, const unsigned char *name, size_t size)
{
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8)
            lower_8(out + i, name + i);
        lower_8(out + size - 8, name + size - 8); /* some of it again, perhaps */
        return;
    }
    for (size_t i = 0; i < size; i++)
        out[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i];
}

/* offered_name writes the name, at most STEK_GROUP_MAX bytes, in the server_name
   extension of the ClientHello being processed (RFC 6066 section 3), and *size 0
   without one. False if there is one that cannot be read. */
static int offered_name(SSL *ssl, unsigned char *out, size_t *size)
{
    const unsigned char *data;
    size_t whole, list, length;

    *size = 0;
    if (ossl.SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &whole) != 1)
        return 1;
    if (whole < 5)
        return 0;
    list = (size_t)data[0] << 8 | data[1];
    length = (size_t)data[3] << 8 | data[4];
    if (list != whole - 2 || data[2] != TLSEXT_NAMETYPE_host_name || length != whole - 5 ||
        length == 0 || length > STEK_GROUP_MAX)
        return 0;
    copy_lower(out, data + 5, length);
    *size = length;
    return 1;
}

/* this_hello is a number for the ClientHello in progress: an SSL can make
   several handshakes. Its low 8 bits are 0; 0 if it cannot be told. */
static uintptr_t this_hello(const SSL *ssl)
{
    uintptr_t hello = 0;

    if (ossl.SSL_get_client_random(ssl, (unsigned char *)&hello, sizeof hello) != sizeof hello)
        return 0;
    return hello & ~(uintptr_t)0xff;
}

/* remember_name keeps the offered name for the renewal that follows: for a
   resumed TLS 1.2 session SSL_get_servername tells another, or none. */
static int remember_name(SSL *ssl)
{
    struct kept_name *kept = ossl.SSL_get_ex_data(ssl, name_index);

    if (kept == NULL) {
        kept = calloc(1, sizeof *kept);
        if (kept == NULL)
            return 0;
        if (ossl.SSL_set_ex_data(ssl, name_index, kept) != 1) {
            ossl.ERR_clear_error(); /* the ticket is used all the same */
            free(kept);
            return 0;
        }
    }
    kept->hello = this_hello(ssl);
    kept->fresh = offered_name(ssl, kept->name, &kept->size);
    return kept->fresh;
}

/*
 * accepted_name writes, as offered_name does, the name that a ticket about to be
 * issued belongs to. It fails for a TLS 1.2 session that was resumed by its session
 * id under no known name: the ClientHello is gone, and a guess would bind the ticket
 * wrongly.
 */
static int accepted_name(SSL *ssl, unsigned char *out, size_t *size)
{
    int resumed12 = ossl.SSL_session_reused(ssl) && !is_tls13(ssl);
    struct kept_name *kept = resumed12 ? ossl.SSL_get_ex_data(ssl, name_index) : NULL;
    const char *name;

    if (kept != NULL && kept->fresh && kept->hello == this_hello(ssl)) {
        kept->fresh = 0;
        *size = kept->size;
        memcpy(out, kept->name, kept->size);
        return 1;
    }
    name = ossl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    *size = name != NULL ? strlen(name) : 0;
    if (*size > STEK_GROUP_MAX || (*size == 0 && resumed12))
        return 0;
    copy_lower(out, (const unsigned char *)name, *size);
    return 1;
}

static unsigned char *mac_key_of(struct keyed *keyed)
{
    return (unsigned char *)keyed + offsetof(struct stek_key, hmac_key);
}

/* make_mac_key turns the HMAC key of keyed, in its place, into the MAC key for the
   ticket, and writes its size to *size. */
static int make_mac_key(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                        struct keyed *keyed, size_t *size)
{
    unsigned char *tag = mac_key_of(keyed) + keyed->key.key_size, *name = tag + 1;
    size_t name_size;

    *size = keyed->key.key_size;
    if (keyed->key.flags & STEK_KEY_ANY_NAME)
        return 1;
    if (binding->name_group != NULL) {
        *tag = TAG_GROUP;
        name_size = strlen(binding->name_group);
        memcpy(name, binding->name_group, name_size);
    } else {
        *tag = TAG_SERVER_NAME;
        if (!(ticket->encrypt ? accepted_name(ticket->ssl, name, &name_size)
                              : offered_name(ticket->ssl, name, &name_size)))
            return 0;
    }
    *size += 1 + name_size;
    return 1;
}

/* ---- setting up the contexts ---- */

static int set_up_evp_mac(const struct stekc_binding *binding, EVP_MAC_CTX *mac,
                          const unsigned char *key, size_t size)
{
    OSSL_PARAM params[3] = {
        {OSSL_MAC_PARAM_DIGEST, OSSL_PARAM_UTF8_STRING, (char *)"SHA256", 6, 0},
        {OSSL_MAC_PARAM_PROPERTIES, OSSL_PARAM_UTF8_STRING, binding->properties, 0, 0},
        {NULL, 0, NULL, 0, 0},
    };

    if (binding->properties != NULL)
        params[1].data_size = strlen(binding->properties);
    else
        params[1] = params[2];
    return ossl.EVP_MAC_init(mac, key, size, params) == 1;
}

static int set_up_mac(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                      const unsigned char *key, size_t size)
{
    if (ticket->hmac == NULL)
        return set_up_evp_mac(binding, ticket->mac, key, size);
    return ossl.HMAC_Init_ex(ticket->hmac, key, (int)size, binding->algorithms.sha256, NULL) == 1;
}

static int set_up_cipher(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                         const struct stek_key *key)
{
    const struct stekc_algorithms *all = &binding->algorithms;
    const struct stekc_cipher *aes = key->key_size == STEK_AES_SIZE ? &all->aes256 : &all->aes128;
    const EVP_CIPHER *cipher = aes->cipher;

    if (aes->blank != NULL) {
        if (ossl.EVP_CIPHER_CTX_copy(ticket->cipher, aes->blank) != 1)
            return 0;
        cipher = NULL; /* that of the context */
    }
    if (ticket->encrypt)
        return ossl.EVP_EncryptInit_ex(ticket->cipher, cipher, NULL, key->aes_key, ticket->iv) == 1;
    return ossl.EVP_DecryptInit_ex(ticket->cipher, cipher, NULL, key->aes_key, ticket->iv) == 1;
}

/* set_up sets up both contexts for the ticket under the key in keyed, whose HMAC key is
   a MAC key afterwards. It returns STEK_CURRENT, STEK_NO_KEY if it cannot be told what name
   the ticket belongs to, or STEK_FAILED. The MAC is last: its key was written in small
   parts, and is read in large ones. */
static enum stek_state set_up(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                              struct keyed *keyed)
{
    size_t size;

    if (!make_mac_key(binding, ticket, keyed, &size))
        return STEK_NO_KEY;
    if (!set_up_cipher(binding, ticket, &keyed->key) ||
        !set_up_mac(binding, ticket, mac_key_of(keyed), size))
        return STEK_FAILED;
    return STEK_CURRENT;
}

/* ---- finding keys ---- */

/* on_own_stack: Go ends the process if it is entered on a stack that is not the
   thread's own, as that of a job (SSL_MODE_ASYNC) or of another coroutine. The bounds
   of the thread's stack tell all of these; OpenSSL tells its own jobs alone. */
static int on_own_stack(void)
{
    enum stekc_stack stack = stekc_stack();

    if (stack == STEKC_STACK_UNKNOWN)
        return ossl.ASYNC_get_current_job == NULL || ossl.ASYNC_get_current_job() == NULL;
    return stack == STEKC_STACK_OWN;
}

/* can_ask: a closed store is not asked, nor Go in a process that it did not
   start in. */
static int can_ask(const struct stekc_store *store)
{
    return !stekc_store_closed(store) && !stekc_store_inherited(store) && on_own_stack();
}

/* may_ask is can_ask, where a question is due. */
static int may_ask(const struct stekc_store *store)
{
    if (can_ask(store))
        return 1;
    stekc_table_count(store->table, STEK_COUNT_NOT_ASKED, NULL);
    return 0;
}

/* asked_key is the state of key, which a KeyStore has just answered with, and writes
   to *now when that was. It may have begun since the kernel's last tick; one that has
   ended since is still used. */
static enum stek_state asked_key(const struct stekc_store *store, const struct stek_key *key,
                                 struct stek_now *now)
{
    enum stek_state state;

    *now = stekc_table_now(store->table);
    state = stekc_key_state(key, *now);
    if (state != STEK_UPCOMING)
        return state;
    *now = stekc_table_exactly_now(store->table);
    return stekc_key_state(key, *now);
}

static enum stek_state current_key(const struct stekc_binding *binding, struct stekc_ticket *ticket,
                                   struct stek_key *out)
{
    const struct stekc_store *store = binding->store;
    struct stek_now now = stekc_table_now(store->table);
    enum stek_state state = stekc_table_current(store->table, now, out);
    int answer;

    if (state != STEK_NO_KEY || store->ask.current == NULL || !may_ask(store))
        return state;
    ticket->asked = 1;
    count(binding, STEK_COUNT_ASKED);
    answer = store->ask.current(store->ask.handle, out);
    switch (answer) {
    case STEK_ASK_FOUND:
        return asked_key(store, out, &now) == STEK_CURRENT ? STEK_CURRENT : STEK_NO_KEY;
    case STEK_ASK_NONE:
        return STEK_NO_KEY;
    default:
        return STEK_FAILED;
    }
}

/* ask_named writes to *now when the answer came, if there is a key. */
static enum stek_state ask_named(const struct stekc_binding *binding, struct stekc_ticket *ticket,
                                 struct stek_now *now, struct stek_key *out)
{
    const struct stekc_store *store = binding->store;
    enum stek_state state;
    int answer;

    ticket->asked = 1;
    count(binding, STEK_COUNT_ASKED);
    answer = store->ask.named(store->ask.handle, ticket->name, out);
    switch (answer) {
    case STEK_ASK_FOUND:
        state = asked_key(store, out, now);
        return state == STEK_CURRENT && out->flags & STEK_KEY_SUPERSEDED ? STEK_PREVIOUS : state;
    case STEK_ASK_NONE:
        return STEK_NO_KEY;
    default:
        return STEK_FAILED;
    }
}

/* within_budget spends one unit of the ClientHello in progress. name lies in it,
   behind that of the ticket before: one that does not is of another ClientHello,
   should that be sent again, to an SSL at the same address. */
static int within_budget(const SSL *ssl, const unsigned char *name)
{
    uintptr_t hello = this_hello(ssl), at = (uintptr_t)name;

    if (budget.ssl != ssl || budget.hello != hello || at <= budget.name) {
        budget.ssl = ssl;
        budget.hello = hello;
        budget.spent = 0;
    }
    budget.name = at;
    return budget.spent < BUDGET && ++budget.spent;
}

/* table_answers tells that what the table says is final: a miss, mostly. */
static int table_answers(const struct stekc_store *store, enum stek_state state)
{
    return state == STEK_EXPIRED ||
           (state == STEK_NO_KEY &&
            !(store->ask.on_miss && store->ask.named != NULL && may_ask(store)));
}

static int decrypts(enum stek_state state)
{
    return state == STEK_UPCOMING || state == STEK_CURRENT || state == STEK_PREVIOUS;
}

/* could_encrypt tells whether a renewal would find a key. */
static int could_encrypt(const struct stekc_binding *binding, enum stek_state state,
                         struct stek_now now)
{
    return state == STEK_CURRENT || stekc_table_encrypts(binding->store->table, now) ||
           (binding->store->ask.current != NULL && can_ask(binding->store));
}

/* ---- the callback's two directions ---- */

/* forget_errors empties OpenSSL's queue of what would fail the handshake later: a
   failure that does not fail it, and whatever a KeyStore left, which may use OpenSSL,
   too. Nothing of others is lost: libssl begins with an empty queue. */
static void forget_errors(const struct stekc_ticket *ticket, enum stek_state state,
                          enum stek_verdict verdict)
{
    if (ticket->asked ? ossl.ERR_peek_error() != 0
                      : state == STEK_FAILED && verdict != STEK_ERROR)
        ossl.ERR_clear_error();
}

static enum stek_state encrypt_under(const struct stekc_binding *binding,
                                     const struct stekc_ticket *ticket, struct keyed *keyed)
{
    memcpy(ticket->name, keyed->key.name, STEK_NAME_SIZE);
    if (!stekc_iv(binding, ticket->iv))
        return STEK_FAILED;
    return set_up(binding, ticket, keyed);
}

/* burn issues a ticket that nobody can ever decrypt. */
static int burn(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                struct keyed *keyed)
{
    struct stek_key *key = &keyed->key;

    memset(key, 0, sizeof *key);
    key->key_size = STEK_AES_SIZE;
    key->flags = STEK_KEY_ANY_NAME;
    return stekc_random(binding, key->name, sizeof key->name) &&
           stekc_random(binding, key->aes_key, sizeof key->aes_key) &&
           stekc_random(binding, key->hmac_key, sizeof key->hmac_key) &&
           encrypt_under(binding, ticket, keyed) == STEK_CURRENT;
}

static enum stek_verdict on_encrypt(const struct stekc_binding *binding, struct stekc_ticket *ticket)
{
    struct keyed keyed;
    struct stekc_facts facts = {
        .encrypt = 1,
        .tls13 = is_tls13(ticket->ssl),
        .policy = binding->policy,
        .soft = binding->soft,
        .sends_malformed = stekc_ossl_sends_malformed(),
    };
    enum stek_verdict verdict;

    facts.state = current_key(binding, ticket, &keyed.key);
    verdict = stekc_verdict(&facts);
    if (verdict == STEK_USE) {
        facts.state = encrypt_under(binding, ticket, &keyed);
        verdict = stekc_verdict(&facts);
    }
    if (verdict == STEK_BURN && !burn(binding, ticket, &keyed)) {
        facts.state = STEK_FAILED;
        verdict = STEK_ERROR;
    }
    if (facts.state == STEK_FAILED)
        count(binding, STEK_COUNT_ERRORS);
    forget_errors(ticket, facts.state, verdict);
    if (verdict == STEK_USE)
        stekc_table_count(binding->store->table, STEK_COUNT_ISSUED, &keyed.key);
    else
        count(binding, STEK_COUNT_DECLINED);
    stekc_wipe(&keyed.key, sizeof keyed.key);
    return verdict == STEK_BURN ? STEK_USE : verdict;
}

/* counter_of a ticket that was to be decrypted. */
static enum stek_counter counter_of(enum stek_state state, enum stek_verdict verdict)
{
    switch (state) {
    case STEK_FAILED:
        return STEK_COUNT_ERRORS;
    case STEK_EXPIRED:
        return STEK_COUNT_EXPIRED;
    case STEK_LIMITED:
        return STEK_COUNT_LIMITED;
    case STEK_PREVIOUS:
        return verdict == STEK_RENEW ? STEK_COUNT_PREVIOUS_RENEWED : STEK_COUNT_PREVIOUS_USED;
    case STEK_UPCOMING:
    case STEK_CURRENT:
        return verdict == STEK_RENEW ? STEK_COUNT_RENEWED : STEK_COUNT_USED;
    default:
        return STEK_COUNT_UNKNOWN;
    }
}

/* decrypt_with goes on from what the table said: facts->state, and a key at *now if
   there is one. */
static enum stek_verdict decrypt_with(const struct stekc_binding *binding, struct stekc_ticket *ticket,
                                      struct stekc_facts *facts, struct stek_now *now,
                                      struct keyed *keyed)
{
    enum stek_verdict verdict;

    facts->tls13 = is_tls13(ticket->ssl);
    if (!within_budget(ticket->ssl, ticket->name))
        facts->state = STEK_LIMITED;
    else if (facts->state == STEK_NO_KEY)
        facts->state = ask_named(binding, ticket, now, &keyed->key);
    if (decrypts(facts->state)) {
        enum stek_state set;

        facts->can_renew = could_encrypt(binding, facts->state, *now);
        set = set_up(binding, ticket, keyed);
        if (set != STEK_CURRENT)
            facts->state = set;
    }
    verdict = stekc_verdict(facts);
    if (verdict == STEK_RENEW && !facts->tls13 && binding->name_group == NULL &&
        !remember_name(ticket->ssl))
        verdict = STEK_USE;
    return verdict;
}

static enum stek_verdict on_decrypt(const struct stekc_binding *binding, struct stekc_ticket *ticket)
{
    struct stekc_table *table = binding->store->table;
    struct stek_now now; /* written if there is a key */
    struct keyed keyed;
    struct stekc_facts facts = {.policy = binding->policy, .soft = binding->soft};
    enum stek_verdict verdict;

    facts.state = stekc_table_look_up(table, ticket->name, &now, &keyed.key);
    if (table_answers(binding->store, facts.state)) {
        count(binding, counter_of(facts.state, STEK_IGNORE));
        return stekc_verdict(&facts);
    }
    verdict = decrypt_with(binding, ticket, &facts, &now, &keyed);
    forget_errors(ticket, facts.state, verdict);
    stekc_table_count(table, counter_of(facts.state, verdict), &keyed.key);
    stekc_wipe(&keyed.key, sizeof keyed.key);
    return verdict;
}

int stekc_callback(const struct stekc_binding *binding, struct stekc_ticket *ticket)
{
    return ticket->encrypt ? on_encrypt(binding, ticket) : on_decrypt(binding, ticket);
}

/* ---- the authentication time in a ticket ---- */

/* read_stamp reports whether session carries a stamp of ours. */
static int read_stamp(SSL_SESSION *session, int64_t *authenticated)
{
    const unsigned char *stamp;
    uint64_t time = 0;
    void *data;
    size_t size;

    if (ossl.SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 || size != STAMP_SIZE ||
        memcmp(data, stamp_mark, STAMP_MARK_SIZE) != 0)
        return 0;
    stamp = data;
    for (size_t i = STAMP_MARK_SIZE; i < STAMP_SIZE; i++)
        time = time << 8 | stamp[i];
    *authenticated = (int64_t)time;
    return 1;
}

static int write_stamp(SSL_SESSION *session, int64_t authenticated)
{
    unsigned char stamp[STAMP_SIZE];
    uint64_t time = (uint64_t)authenticated;

    memcpy(stamp, stamp_mark, STAMP_MARK_SIZE);
    for (size_t i = STAMP_SIZE; i > STAMP_MARK_SIZE; i--, time >>= 8)
        stamp[i - 1] = time & 0xff;
    return ossl.SSL_SESSION_set1_ticket_appdata(session, stamp, sizeof stamp) == 1;
}

/* session_start is when session began, by OpenSSL's clock of whole seconds:
   the authentication in TLS 1.2, the ticket's issue in TLS 1.3. */
static int64_t session_start(const SSL_SESSION *session)
{
    return (int64_t)(ossl.SSL_SESSION_get_time)(session) * 1000000000;
}

int stekc_stamp(SSL *ssl, void *arg)
{
    const struct stekc_binding *binding = arg;
    SSL_SESSION *session = ossl.SSL_get_session(ssl);
    int64_t authenticated;

    if (session == NULL || read_stamp(session, &authenticated))
        return 1;
    authenticated = ossl.SSL_session_reused(ssl)
                        ? session_start(session)
                        : stekc_table_now(binding->store->table).low;
    if (write_stamp(session, authenticated))
        return 1;
    if (binding->soft)
        ossl.ERR_clear_error();
    return binding->soft;
}

SSL_TICKET_RETURN stekc_check_age(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                  size_t name_size, SSL_TICKET_STATUS status, void *arg)
{
    const struct stekc_binding *binding = arg;
    int64_t now = stekc_table_now(binding->store->table).high;
    int64_t authenticated, age;

    (void)ssl;
    (void)name;
    (void)name_size;
    if (session == NULL || (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!read_stamp(session, &authenticated)) {
        /* Now, because OpenSSL restarts a TLS 1.3 session before stekc_stamp. */
        authenticated = session_start(session);
        if (!write_stamp(session, authenticated)) {
            ossl.ERR_clear_error(); /* a full handshake follows */
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        }
    }
    /* As unsigned numbers, which may wrap: time is of memory that others may write. */
    age = (int64_t)((uint64_t)now - (uint64_t)authenticated);
    if (age < -STAMP_AHEAD || age >= binding->auth_age_cap) {
        count(binding, STEK_COUNT_AGED);
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- ex_data of a connection ---- */

static void free_name(void *parent, void *kept, CRYPTO_EX_DATA *data, int index, long number,
                      void *pointer)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    free(kept);
}

/* forget_name is OpenSSL's dup function: SSL_dup must not share the pointer.
   Its third parameter is void * or void **, depending on the version. */
static int forget_name(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, STEKC_DUP_PARAMETER kept,
                       int index, long number, void *pointer)
{
    (void)to;
    (void)from;
    (void)index;
    (void)number;
    (void)pointer;
    memset((void *)kept, 0, sizeof(void *));
    return 1;
}

int stekc_connection_init(void)
{
    if (name_index < 0)
        name_index = ossl.CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, forget_name,
                                                  free_name);
    return name_index >= 0;
}
