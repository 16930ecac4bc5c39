/*
 * callback.c - the only code that OpenSSL calls: find the key, decide the
 * verdict, fill the contexts, wipe the copy.
 *
 * It runs on handshake threads, many at once on one SSL_CTX, before the client
 * is authenticated. It takes no lock, but for a moment after a context was attached
 * (ticket_scope.c). It enters Go only for a KeyStore that must be asked. Source: SSL_CTX_set_tlsext_ticket_key_cb(3), and OpenSSL's
 * behaviour where that page is silent or wrong (docs/openssl.md).
 */
#include "ticket.h"

#include <string.h>

/*
 * A MAC key is the HMAC key, then what the ticket is bound to: a byte that tells what of
 * it there is, a byte with the size of a name, the name, up to two scopes, and the sum of a
 * list of ciphers. The size keeps names apart that differ in the zeros with which HMAC pads
 * its key (RFC 2104).
 */
enum {
    BOUND_TO_NAME = 1,
    BOUND_TO_GROUP = 2,
    BOUND_TO_SCOPE = 4,
    BOUND_TO_DATA = 8,
    BOUND_TO_CIPHERS = 16
};

/* A key, and room to make it a MAC key in its place. */
struct keyed {
    struct stek_key key;
    unsigned char behind[2 + STEK_GROUP_MAX + 2 * sizeof(struct stekc_scope) + sizeof(uint64_t)];
};
_Static_assert(offsetof(struct keyed, behind) ==
                   offsetof(struct stek_key, hmac_key) + STEK_HMAC_SIZE,
               "the room is behind the HMAC key");

/* ---- verdict ---- */

static int renews(const struct stekc_facts *facts)
{
    if (!facts->can_renew)
        return 0;
    if (facts->must_renew)
        return 1;
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
    case STEK_MISPLACED:
        return STEK_ERROR; /* nothing milder ends it */
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
    case STEK_UNPLACED:
    case STEK_MARKED:
        break;
    }
    if (facts->encrypt && facts->tls13 && facts->sends_malformed)
        return STEK_BURN;
    return STEK_IGNORE;
}

int stekc_is_tls13(const SSL *ssl)
{
    int version = ossl.SSL_version(ssl);

    return version == TLS1_3_VERSION || version == STEKC_DTLS1_3 ||
           (ossl.SSL_is_quic != NULL && ossl.SSL_is_quic(ssl));
}

/* ---- the MAC key ---- */

static unsigned char *mac_key_of(struct keyed *keyed)
{
    return (unsigned char *)keyed + offsetof(struct stek_key, hmac_key);
}

/* write_name writes the name or group that the ticket is bound to, and its size in front. */
static int write_name(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                      unsigned char *out, size_t *size)
{
    if (binding->name_group != NULL) {
        *size = strlen(binding->name_group);
        memcpy(out + 1, binding->name_group, *size);
    } else if (!(ticket->encrypt ? stekc_name_accepted(ticket->ssl, out + 1, size)
                                 : stekc_name_offered(ticket->ssl, out + 1, size))) {
        return 0;
    }
    out[0] = (unsigned char)*size;
    *size += 1;
    return 1;
}

static int is_none(const struct stekc_scope *scope)
{
    return (scope->word[0] | scope->word[1]) == 0;
}

/* carries tells that tickets of key can be bound to what this one belongs to: not where
   other software must read them. */
static int carries(const struct stek_key *key, const struct stekc_binding *binding,
                   const struct stekc_ticket *ticket)
{
    return !(key->flags & STEK_KEY_ANY_NAME) ||
           (is_none(&ticket->scope) && is_none(&binding->data));
}

/* add_scope writes scope to *end, which it moves, and returns bit, if there is a scope. */
static int add_scope(unsigned char **end, const struct stekc_scope *scope, int bit)
{
    if (is_none(scope))
        return 0;
    memcpy(*end, scope, sizeof *scope);
    *end += sizeof *scope;
    return bit;
}

/* add_ciphers writes a sum of the ciphers that the connection may use. stekc_check_age
   looks at the session's cipher, but only under STEK_POLICY_CAPPED; in TLS 1.3 OpenSSL
   chooses the cipher anew. */
static int add_ciphers(unsigned char **end, const struct stekc_binding *binding, const SSL *ssl)
{
    const OPENSSL_STACK *list;
    uint64_t sum = 0;

    if (binding->policy == STEK_POLICY_CAPPED || stekc_is_tls13(ssl))
        return 0;
    list = (const OPENSSL_STACK *)ossl.SSL_get_ciphers(ssl);
    for (int i = 0; list != NULL && i < ossl.OPENSSL_sk_num(list); i++)
        sum = (sum ^ ossl.SSL_CIPHER_get_id(ossl.OPENSSL_sk_value(list, i))) *
              UINT64_C(0x9e3779b97f4a7c15);
    memcpy(*end, &sum, sizeof sum);
    *end += sizeof sum;
    return BOUND_TO_CIPHERS;
}

/* make_mac_key turns the HMAC key of keyed, in its place, into the MAC key for the
   ticket, and writes its size to *size. */
static int make_mac_key(const struct stekc_binding *binding, const struct stekc_ticket *ticket,
                        struct keyed *keyed, size_t *size)
{
    unsigned char *bound = mac_key_of(keyed) + keyed->key.key_size, *end;
    int to = binding->name_group != NULL ? BOUND_TO_GROUP : BOUND_TO_NAME;
    size_t name_size;

    *size = keyed->key.key_size;
    if (keyed->key.flags & (STEK_KEY_ANY_NAME | STEK_KEY_THROWAWAY))
        return 1;
    if (!write_name(binding, ticket, bound + 1, &name_size))
        return 0;
    end = bound + 1 + name_size;
    to |= add_scope(&end, &ticket->scope, BOUND_TO_SCOPE);
    to |= add_scope(&end, &binding->data, BOUND_TO_DATA);
    to |= add_ciphers(&end, binding, ticket->ssl);
    bound[0] = (unsigned char)to;
    *size = (size_t)(end - mac_key_of(keyed));
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
   a MAC key afterwards. It returns STEK_CURRENT, STEK_NO_KEY if the key cannot be bound to
   what the ticket belongs to, or STEK_FAILED. The MAC is last: its key was written in small
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
    stekc_count(binding, STEK_COUNT_ASKED);
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
    stekc_count(binding, STEK_COUNT_ASKED);
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
    key->flags = STEK_KEY_THROWAWAY;
    return stekc_random(binding, key->name, sizeof key->name) &&
           stekc_random(binding, key->aes_key, sizeof key->aes_key) &&
           stekc_random(binding, key->hmac_key, sizeof key->hmac_key) &&
           encrypt_under(binding, ticket, keyed) == STEK_CURRENT;
}

/* state_at is that of a ticket at a place, or STEK_CURRENT if nothing is wrong there. */
static enum stek_state state_at(enum stekc_place place)
{
    switch (place) {
    case STEKC_PLACE_KNOWN:
        return STEK_CURRENT;
    case STEKC_PLACE_MARKED:
        return STEK_MARKED;
    case STEKC_PLACE_WRONG:
        return STEK_MISPLACED;
    default:
        return STEK_UNPLACED;
    }
}

/* key_to_issue is the state of the key for a ticket about to be issued, in keyed, with
   which both contexts are set up if it is STEK_CURRENT. */
static enum stek_state key_to_issue(const struct stekc_binding *binding,
                                    struct stekc_ticket *ticket, struct keyed *keyed)
{
    enum stek_state state = state_at(stekc_scope_issued(ticket));

    if (state == STEK_CURRENT)
        state = current_key(binding, ticket, &keyed->key);
    if (state == STEK_CURRENT && !carries(&keyed->key, binding, ticket))
        state = STEK_UNPLACED;
    return state == STEK_CURRENT ? encrypt_under(binding, ticket, keyed) : state;
}

static void count_issue(const struct stekc_binding *binding, const struct stek_key *key,
                        enum stek_state state, enum stek_verdict verdict)
{
    if (state == STEK_FAILED)
        stekc_count(binding, STEK_COUNT_ERRORS);
    if (state == STEK_UNPLACED)
        stekc_count(binding, STEK_COUNT_UNPLACED);
    if (state == STEK_MISPLACED)
        stekc_count(binding, STEK_COUNT_MISPLACED);
    if (verdict == STEK_USE)
        stekc_table_count(binding->store->table, STEK_COUNT_ISSUED, key);
    else
        stekc_count(binding, STEK_COUNT_DECLINED);
}

static enum stek_verdict on_encrypt(const struct stekc_binding *binding, struct stekc_ticket *ticket)
{
    struct keyed keyed;
    struct stekc_facts facts = {
        .encrypt = 1,
        .tls13 = stekc_is_tls13(ticket->ssl),
        .policy = binding->policy,
        .soft = binding->soft,
        .sends_malformed = stekc_ossl_sends_malformed(),
    };
    enum stek_verdict verdict;

    if (stekc_hello_was_decrypted(ticket->ssl) && !ossl.SSL_session_reused(ticket->ssl))
        stekc_count(binding, STEK_COUNT_REFUSED);
    facts.state = key_to_issue(binding, ticket, &keyed);
    verdict = stekc_verdict(&facts);
    if (verdict == STEK_BURN && !burn(binding, ticket, &keyed)) {
        facts.state = STEK_FAILED;
        verdict = STEK_ERROR;
    }
    forget_errors(ticket, facts.state, verdict);
    count_issue(binding, &keyed.key, facts.state, verdict);
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
    case STEK_UNPLACED:
        return STEK_COUNT_UNPLACED;
    case STEK_MARKED:
        return STEK_COUNT_MARKED;
    case STEK_PREVIOUS:
        return verdict == STEK_RENEW ? STEK_COUNT_PREVIOUS_RENEWED : STEK_COUNT_PREVIOUS_USED;
    case STEK_UPCOMING:
    case STEK_CURRENT:
        return verdict == STEK_RENEW ? STEK_COUNT_RENEWED : STEK_COUNT_USED;
    default:
        return STEK_COUNT_UNKNOWN;
    }
}

/* is_checked_again tells that the session will be, after the ticket was decrypted. Where
   only a renewal brings that about there must be a key for it, and it must not make a chain
   of renewals longer that its policy lets end. */
static int is_checked_again(const struct stekc_facts *facts)
{
    int ends = facts->tls13 && facts->policy == STEK_POLICY_CURRENT &&
               facts->state == STEK_PREVIOUS;

    return !facts->must_renew || (facts->can_renew && !ends);
}

/* prepare sets up both contexts for a ticket under a key that decrypts, at the place where
   it is offered. Returns the state that the ticket has then. */
static enum stek_state prepare(const struct stekc_binding *binding, struct stekc_ticket *ticket,
                               struct stekc_facts *facts, struct keyed *keyed)
{
    enum stek_state state = state_at(stekc_scope_offered(ticket));

    facts->must_renew = stekc_scope_needs_renewal();
    if (state == STEK_CURRENT &&
        !(is_checked_again(facts) && carries(&keyed->key, binding, ticket) &&
          stekc_scope_assumed(ticket)))
        state = STEK_UNPLACED;
    if (state == STEK_CURRENT)
        state = set_up(binding, ticket, keyed);
    return state == STEK_CURRENT ? facts->state : state;
}

/* decrypt_with goes on from what the table said: facts->state, and a key at *now if
   there is one. */
static enum stek_verdict decrypt_with(const struct stekc_binding *binding, struct stekc_ticket *ticket,
                                      struct stekc_facts *facts, struct stek_now *now,
                                      struct keyed *keyed)
{
    enum stek_verdict verdict;

    facts->tls13 = stekc_is_tls13(ticket->ssl);
    if (!stekc_hello_may_cost(ticket->ssl, ticket->name))
        facts->state = STEK_LIMITED;
    else if (facts->state == STEK_NO_KEY)
        facts->state = ask_named(binding, ticket, now, &keyed->key);
    if (decrypts(facts->state)) {
        facts->can_renew = could_encrypt(binding, facts->state, *now);
        facts->state = prepare(binding, ticket, facts, keyed);
    }
    verdict = stekc_verdict(facts);
    if (verdict == STEK_RENEW && !facts->tls13 && binding->name_group == NULL)
        stekc_name_keep(ticket->ssl);
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
        stekc_count(binding, counter_of(facts.state, STEK_IGNORE));
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
