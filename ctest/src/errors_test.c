/*
 * errors_test.c - OpenSSL's error queue behind the callback: an error that stays
 * there would fail a handshake that goes on.
 */
#include "binding.h"

#include <openssl/err.h>

static SSL *ssl;
static struct stekc_binding binding;

/* call_with has the callback issue a ticket, or look at one of the key called name. */
static int call_with(int evp, unsigned char *name, int encrypt)
{
    unsigned char iv[STEK_IV_SIZE] = {0};
    struct stekc_ticket ticket = {ssl, name, iv, EVP_CIPHER_CTX_new(), NULL, NULL, encrypt, 0, {{0, 0}}};
    int verdict;

    CHECK(ticket.cipher != NULL);
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    if (evp) {
        EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

        ticket.mac = EVP_MAC_CTX_new(hmac);
        CHECK(ticket.mac != NULL);
        EVP_MAC_free(hmac);
    }
#else
    (void)evp; /* there is one kind */
#endif
    if (ticket.mac == NULL) {
        ticket.hmac = HMAC_CTX_new();
        CHECK(ticket.hmac != NULL);
    }
    verdict = stekc_callback(&binding, &ticket);
    HMAC_CTX_free(ticket.hmac);
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    EVP_MAC_CTX_free(ticket.mac);
#endif
    EVP_CIPHER_CTX_free(ticket.cipher);
    return verdict;
}

/* call does so with either kind of callback, which give one verdict. */
static int call(const unsigned char *name, int encrypt)
{
    unsigned char copy[STEK_NAME_SIZE];
    int verdict;

    memcpy(copy, name, sizeof copy);
    verdict = call_with(0, copy, encrypt);
    memcpy(copy, name, sizeof copy);
    CHECK(call_with(1, copy, encrypt) == verdict);
    return verdict;
}

static int leave_an_error(void)
{
#if OPENSSL_VERSION_NUMBER >= OSSL_3_0_0
    ERR_raise(ERR_LIB_SYS, 5);
#else
    ERR_put_error(ERR_LIB_SYS, 0, 5, __FILE__, __LINE__);
#endif
    return 0;
}

static int failing_init(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, ENGINE *engine,
                        const unsigned char *key, const unsigned char *iv)
{
    (void)ctx;
    (void)cipher;
    (void)engine;
    (void)key;
    (void)iv;
    return leave_an_error();
}

static struct stek_key test_key_of(const unsigned char *name)
{
    struct stek_key key = test_key(1, 0, INT64_MAX, INT64_MAX);

    memcpy(key.name, name, sizeof key.name);
    return key;
}

static int asked_for_current(uintptr_t handle, struct stek_key *out)
{
    (void)handle;
    *out = test_key_of((const unsigned char *)"the current key.");
    leave_an_error();
    return STEK_ASK_FOUND;
}

static int asked_for_named(uintptr_t handle, unsigned char *name, struct stek_key *out)
{
    (void)handle;
    leave_an_error();
    if (name[0] == 'u')
        return STEK_ASK_NONE;
    if (name[0] == 'f')
        return STEK_ASK_ERROR;
    *out = test_key_of(name);
    return STEK_ASK_FOUND;
}

static const unsigned char known[] = "a published key.", unknown[] = "unknown key name",
                           failing[] = "failing key name";

static void success_leaves_none(void)
{
    CHECK(call(known, 1) == STEK_USE);
    CHECK(ERR_peek_error() == 0);
    CHECK(call(known, 0) >= STEK_USE);
    CHECK(ERR_peek_error() == 0);
    CHECK(call(unknown, 0) == STEK_IGNORE);
    CHECK(ERR_peek_error() == 0);
}

static void publish_known(struct stekc_store *store)
{
    stekc_table_stage(stekc_store_table(store))[0] = test_key_of(known);
    CHECK(stekc_table_publish(stekc_store_table(store), 1) == 0);
}

static void fails_with(int encrypt)
{
    binding.soft = 0;
    CHECK(call(known, encrypt) == STEK_ERROR);
    CHECK(ERR_peek_error() != 0);
    ERR_clear_error();
    if (encrypt && stekc_ossl_sends_malformed())
        return; /* it burns, and that fails, too */
    binding.soft = 1;
    CHECK(call(known, encrypt) == STEK_IGNORE);
    CHECK(ERR_peek_error() == 0);
    binding.soft = 0;
}

static int failing_copy(EVP_CIPHER_CTX *out, const EVP_CIPHER_CTX *in)
{
    (void)out;
    (void)in;
    return leave_an_error();
}

/* encrypt_zeros fills out with the ciphertext of a block of zeros and the padding, and
   checks that it can be decrypted. The contexts are copies of blank, or new ones for
   cipher. */
static void encrypt_zeros(unsigned char out[32], const EVP_CIPHER *cipher,
                          const EVP_CIPHER_CTX *blank)
{
    static const unsigned char zeros[16], key[32] = "a key of 32 bytes, for AES-256.", iv[16] = "a vector";
    EVP_CIPHER_CTX *ctx[] = {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new()};
    unsigned char plain[32];
    int size = 0, rest = 0;

    CHECK(ctx[0] != NULL && ctx[1] != NULL);
    for (int i = 0; blank != NULL && i < 2; i++)
        CHECK(EVP_CIPHER_CTX_copy(ctx[i], blank) == 1);
    CHECK(EVP_EncryptInit_ex(ctx[0], cipher, NULL, key, iv) == 1);
    CHECK(EVP_EncryptUpdate(ctx[0], out, &size, zeros, sizeof zeros) == 1);
    CHECK(EVP_EncryptFinal_ex(ctx[0], out + size, &rest) == 1 && size + rest == 32);
    CHECK(EVP_DecryptInit_ex(ctx[1], cipher, NULL, key, iv) == 1);
    CHECK(EVP_DecryptUpdate(ctx[1], plain, &size, out, 32) == 1);
    CHECK(EVP_DecryptFinal_ex(ctx[1], plain + size, &rest) == 1 && size + rest == 16);
    CHECK(memcmp(plain, zeros, 16) == 0);
    EVP_CIPHER_CTX_free(ctx[0]);
    EVP_CIPHER_CTX_free(ctx[1]);
}

static void a_copied_context_encrypts_as_a_new_one(void)
{
    const struct stekc_cipher *ciphers[] = {&binding.algorithms.aes128, &binding.algorithms.aes256};
    unsigned char copied[32], fresh[32];

    for (int i = 0; i < 2; i++) {
        CHECK((ciphers[i]->blank != NULL) == stekc_ossl_copies_faster());
        if (ciphers[i]->blank == NULL)
            continue;
        encrypt_zeros(copied, NULL, ciphers[i]->blank);
        encrypt_zeros(fresh, ciphers[i]->cipher, NULL);
        CHECK(memcmp(copied, fresh, sizeof fresh) == 0);
    }
}

/* A method of OpenSSL's own is in use where there are providers and their contexts are
   not copied. Tickets must be the same: other hosts have other versions. */
static void a_method_encrypts_as_the_cipher_of_the_provider(void)
{
    const struct stekc_cipher *ciphers[] = {&binding.algorithms.aes128, &binding.algorithms.aes256};
    int with_one = stekc_ossl.version >= OSSL_3_0_6 && !stekc_ossl_copies_faster();
    static const char *const names[] = {"AES-128-CBC", "AES-256-CBC"};
    unsigned char ours[32], fetched[32];

    for (int i = 0; i < 2; i++) {
        EVP_CIPHER *cipher;

        if (stekc_ossl.version < OSSL_3_0_0 || stekc_ossl.version >= OSSL_3_0_6)
            CHECK(ciphers[i]->is_method == with_one); /* those between may have been mended */
        if (!ciphers[i]->is_method)
            continue;
        cipher = stekc_ossl.EVP_CIPHER_fetch(NULL, names[i], NULL);
        CHECK(cipher != NULL && ciphers[i]->cipher != cipher);
        encrypt_zeros(ours, ciphers[i]->cipher, NULL);
        encrypt_zeros(fetched, cipher, NULL);
        CHECK(memcmp(ours, fetched, sizeof fetched) == 0);
        stekc_ossl.EVP_CIPHER_free(cipher);
    }
}

static const char *other_name(const OSSL_PROVIDER *provider)
{
    (void)provider;
    return "fips";
}

static EVP_CIPHER *no_method(const EVP_CIPHER *cipher)
{
    (void)cipher;
    leave_an_error();
    return NULL;
}

static const EVP_CIPHER *another_cipher(const EVP_CIPHER_CTX *ctx)
{
    (void)ctx;
    return EVP_aes_256_cbc();
}

static void has_no_method(const char *properties)
{
    struct stekc_algorithms usual = binding.algorithms;

    CHECK(stekc_algorithms_get(&binding.algorithms, NULL, properties));
    CHECK(ERR_peek_error() == 0);
    CHECK(!binding.algorithms.aes128.is_method && !binding.algorithms.aes256.is_method);
    success_leaves_none();
    stekc_algorithms_free(&binding.algorithms);
    binding.algorithms = usual;
}

/* kind_of_callback attaches store to a new context with no kind given. */
static int kind_of_callback(struct stekc_store *store)
{
    struct stekc_options options = {.auth_age_cap = 2}; /* another binding than that of main */
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct stekc_report report;

    CHECK(ctx != NULL && stekc_attach(ctx, store, &options, &report) == STEKC_OK);
    SSL_CTX_free(ctx);
    return report.kind;
}

/* Whose cipher it is was chosen, by FIPS 140 perhaps: no method takes its place, and the
   MAC is of a provider, too. */
static void the_cipher_of_another_provider_stays(void)
{
    struct stekc_ossl whole = stekc_ossl;
    int providers = stekc_ossl.version >= OSSL_3_0_0;

    CHECK(kind_of_callback(binding.store) == STEK_KIND_HMAC);
    has_no_method("provider=default");
    stekc_ossl.OSSL_PROVIDER_get0_name = other_name;
    has_no_method(NULL);
    CHECK(kind_of_callback(binding.store) == (providers ? STEK_KIND_EVP : STEK_KIND_HMAC));
    stekc_ossl = whole;
    stekc_ossl.EVP_CIPHER_meth_dup = no_method;
    has_no_method(NULL);
    stekc_ossl.EVP_CIPHER_meth_dup = NULL;
    has_no_method(NULL);
    stekc_ossl = whole;
    stekc_ossl.EVP_CIPHER_CTX_get0_cipher = another_cipher; /* as 3.0.0 to 3.0.5 */
    has_no_method(NULL);
    stekc_ossl = whole;
}

/* A provider's contexts need not be such that they can be copied. */
static void ciphers_that_cannot_be_copied_serve(void)
{
    struct stekc_ossl whole = stekc_ossl;
    struct stekc_algorithms usual = binding.algorithms;

    stekc_ossl.EVP_CIPHER_CTX_copy = failing_copy;
    CHECK(stekc_algorithms_get(&binding.algorithms, NULL, NULL));
    CHECK(ERR_peek_error() == 0);
    CHECK(binding.algorithms.aes128.blank == NULL && binding.algorithms.aes256.blank == NULL);
    success_leaves_none();
    stekc_algorithms_free(&binding.algorithms);
    binding.algorithms = usual;
    if (usual.aes256.blank != NULL) {
        fails_with(1);
        fails_with(0);
    }
    stekc_ossl = whole;
}

static int failing_random(unsigned char *out, int size)
{
    (void)out;
    (void)size;
    return leave_an_error();
}

static int failing_hmac(HMAC_CTX *ctx, const void *key, int size, const EVP_MD *digest,
                        ENGINE *engine)
{
    (void)ctx;
    (void)key;
    (void)size;
    (void)digest;
    (void)engine;
    return leave_an_error();
}

static int failing_mac(EVP_MAC_CTX *ctx, const unsigned char *key, size_t size,
                       const OSSL_PARAM params[])
{
    (void)ctx;
    (void)key;
    (void)size;
    (void)params;
    return leave_an_error();
}

static void failure_leaves_one_if_it_fails_the_handshake(void)
{
    struct stekc_ossl whole = stekc_ossl;

    stekc_ossl.RAND_bytes = failing_random; /* first, as long as no IV is in store */
    fails_with(1);
    stekc_ossl = whole;
    stekc_ossl.EVP_DecryptInit_ex = failing_init;
    stekc_ossl.EVP_EncryptInit_ex = failing_init;
    fails_with(0);
    fails_with(1);
    stekc_ossl = whole;
    stekc_ossl.HMAC_Init_ex = failing_hmac;
    stekc_ossl.EVP_MAC_init = failing_mac;
    fails_with(0);
    fails_with(1);
    stekc_ossl = whole;
}

static int failing_stamp(SSL_SESSION *session, const void *data, size_t size)
{
    (void)session;
    (void)data;
    (void)size;
    return leave_an_error();
}

static void stamp_that_fails_leaves_one_if_it_fails_the_handshake(void)
{
    struct stekc_ossl whole = stekc_ossl;
    SSL_SESSION *session = SSL_SESSION_new();

    CHECK(session != NULL && SSL_set_session(ssl, session) == 1);
    stekc_ossl.SSL_SESSION_set1_ticket_appdata = failing_stamp;
    CHECK(stekc_check_age(ssl, session, known, sizeof known, SSL_TICKET_SUCCESS, &binding) ==
          SSL_TICKET_RETURN_IGNORE_RENEW);
    CHECK(ERR_peek_error() == 0);
    binding.soft = 1;
    CHECK(stekc_stamp(ssl, &binding) == 1 && ERR_peek_error() == 0);
    binding.soft = 0;
    CHECK(stekc_stamp(ssl, &binding) == 0 && ERR_peek_error() != 0);
    ERR_clear_error();
    stekc_ossl = whole;
    SSL_SESSION_free(session);
}

static void what_a_keystore_leaves_is_gone(void)
{
    CHECK(call(known, 1) == STEK_USE);
    CHECK(call(known, 0) >= STEK_USE);
    CHECK(call(unknown, 0) == STEK_IGNORE);
    CHECK(ERR_peek_error() == 0);
}

/* What libssl says of the failure would come behind it. */
static void what_a_keystore_leaves_is_gone_if_the_handshake_fails(void)
{
    struct stekc_ossl whole = stekc_ossl;

    stekc_ossl.EVP_DecryptInit_ex = failing_init;
    CHECK(call(known, 0) == STEK_ERROR);
    stekc_ossl = whole;
    CHECK(ERR_peek_error() == 0);
    CHECK(call(failing, 0) == STEK_ERROR);
    CHECK(ERR_peek_error() == 0);
}

int main(void)
{
    struct stekc_ask ask = {.on_miss = 1, .current = asked_for_current, .named = asked_for_named};
    struct stekc_options options = {.auth_age_cap = 1};
    struct stekc_report report;
    unsigned refused;
    struct stekc_store *published = stekc_store_new(STEK_PRIVATE, NULL, &refused),
                       *asked = stekc_store_new(STEK_PRIVATE, &ask, &refused);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    CHECK(published != NULL && asked != NULL && ctx != NULL);
    CHECK(stekc_attach(ctx, published, &options, &report) == STEKC_OK);
    publish_known(published);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);

    binding = test_binding(published);
    RUN(failure_leaves_one_if_it_fails_the_handshake);
    RUN(success_leaves_none);
    RUN(a_method_encrypts_as_the_cipher_of_the_provider);
    RUN(the_cipher_of_another_provider_stays);
    stekc_algorithms_free(&binding.algorithms);

    always_copy();
    binding = test_binding(published);
    RUN(success_leaves_none);
    RUN(a_copied_context_encrypts_as_a_new_one);
    RUN(ciphers_that_cannot_be_copied_serve);
    RUN(stamp_that_fails_leaves_one_if_it_fails_the_handshake);
    binding.store = asked;
    RUN(what_a_keystore_leaves_is_gone);
    RUN(what_a_keystore_leaves_is_gone_if_the_handshake_fails);

    stekc_algorithms_free(&binding.algorithms);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    stekc_store_close(published);
    stekc_store_close(asked);
    return 0;
}
