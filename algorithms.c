/*
 * algorithms.c - the ciphers and the digest of a binding, looked up once, so that no
 * handshake has to.
 */
#include "store.h"

#include <string.h>

/* blank_of makes a context for cipher that is to be copied, so that OpenSSL does not ask
   the provider for its sizes again for every ticket. NULL if the provider's contexts
   cannot be copied, or an engine took the cipher over, of whose contexts nothing is
   known. */
static EVP_CIPHER_CTX *blank_of(const EVP_CIPHER *cipher)
{
    static const unsigned char zeros[STEK_AES_SIZE];
    EVP_CIPHER_CTX *blank = ossl.EVP_CIPHER_CTX_new(), *copy = ossl.EVP_CIPHER_CTX_new();

    if (blank == NULL || copy == NULL ||
        ossl.EVP_EncryptInit_ex(blank, cipher, NULL, zeros, zeros) != 1 ||
        ossl.EVP_CIPHER_CTX_get0_cipher(blank) != cipher ||
        ossl.EVP_CIPHER_CTX_copy(copy, blank) != 1) {
        ossl.EVP_CIPHER_CTX_free(blank);
        blank = NULL;
    }
    ossl.EVP_CIPHER_CTX_free(copy);
    return blank;
}

static int get_cipher(struct stekc_cipher *out, OSSL_LIB_CTX *context, const char *name,
                      const char *properties)
{
    out->cipher = ossl.EVP_CIPHER_fetch(context, name, properties);
    if (out->cipher == NULL)
        return 0;
    if (stekc_ossl_copies_faster())
        out->blank = blank_of(out->cipher);
    return 1;
}

static int is_of_default_provider(const struct stekc_cipher *aes)
{
    const OSSL_PROVIDER *provider = ossl.EVP_CIPHER_get0_provider(aes->cipher);

    return provider != NULL && strcmp(ossl.OSSL_PROVIDER_get0_name(provider), "default") == 0;
}

/* use_method puts a copy of own, OpenSSL's method, in the place of the same cipher of its
   default provider. The code behind both is the same, but the provider is asked for sizes
   for every ticket. It is tried first: 3.0.0 to 3.0.5 fetch a cipher instead of a method,
   and an engine may take it over. */
static void use_method(struct stekc_cipher *aes, const EVP_CIPHER *own)
{
    EVP_CIPHER *method;
    EVP_CIPHER_CTX *tried;

    if (ossl.EVP_CIPHER_meth_dup == NULL || ossl.EVP_CIPHER_meth_free == NULL ||
        (method = ossl.EVP_CIPHER_meth_dup(own)) == NULL)
        return;
    tried = blank_of(method);
    if (tried == NULL) {
        ossl.EVP_CIPHER_meth_free(method);
        return;
    }
    ossl.EVP_CIPHER_CTX_free(tried);
    ossl.EVP_CIPHER_free(aes->cipher);
    aes->cipher = method;
    aes->is_method = 1;
}

/* get_all is stekc_algorithms_get where algorithms are fetched. It may leave errors. */
static int get_all(struct stekc_algorithms *out, OSSL_LIB_CTX *context, const char *properties)
{
    out->sha256 = ossl.EVP_MD_fetch(context, "SHA2-256", properties);
    if (out->sha256 == NULL || !get_cipher(&out->aes128, context, "AES-128-CBC", properties) ||
        !get_cipher(&out->aes256, context, "AES-256-CBC", properties))
        return 0;
    out->chosen = context != NULL || properties != NULL ||
                  !is_of_default_provider(&out->aes128) || !is_of_default_provider(&out->aes256);
    if (!out->chosen && !stekc_ossl_copies_faster()) {
        use_method(&out->aes128, ossl.EVP_aes_128_cbc());
        use_method(&out->aes256, ossl.EVP_aes_256_cbc());
    }
    return 1;
}

int stekc_algorithms_get(struct stekc_algorithms *out, OSSL_LIB_CTX *context,
                         const char *properties)
{
    int got;

    *out = (struct stekc_algorithms){0};
    if (ossl.EVP_CIPHER_fetch == NULL) {
        out->aes128.cipher = (EVP_CIPHER *)ossl.EVP_aes_128_cbc();
        out->aes256.cipher = (EVP_CIPHER *)ossl.EVP_aes_256_cbc();
        out->sha256 = (EVP_MD *)ossl.EVP_sha256();
        return 1;
    }
    ossl.ERR_set_mark();
    got = get_all(out, context, properties);
    ossl.ERR_pop_to_mark();
    if (!got)
        stekc_algorithms_free(out);
    return got;
}

static void free_cipher(struct stekc_cipher *cipher)
{
    ossl.EVP_CIPHER_CTX_free(cipher->blank);
    if (cipher->is_method)
        ossl.EVP_CIPHER_meth_free(cipher->cipher);
    else
        ossl.EVP_CIPHER_free(cipher->cipher);
}

void stekc_algorithms_free(struct stekc_algorithms *algorithms)
{
    if (ossl.EVP_CIPHER_free != NULL) {
        free_cipher(&algorithms->aes128);
        free_cipher(&algorithms->aes256);
        ossl.EVP_MD_free(algorithms->sha256);
    }
    *algorithms = (struct stekc_algorithms){0};
}
