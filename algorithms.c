/*
 * algorithms.c - the ciphers and the digest of a binding, looked up once, so that no
 * handshake has to.
 */
#include "store.h"

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
    if (out->cipher != NULL && stekc_ossl_copies_faster())
        out->blank = blank_of(out->cipher);
    return out->cipher != NULL;
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
    out->sha256 = ossl.EVP_MD_fetch(context, "SHA2-256", properties);
    got = out->sha256 != NULL && get_cipher(&out->aes128, context, "AES-128-CBC", properties) &&
          get_cipher(&out->aes256, context, "AES-256-CBC", properties);
    ossl.ERR_pop_to_mark();
    if (!got)
        stekc_algorithms_free(out);
    return got;
}

static void free_cipher(struct stekc_cipher *cipher)
{
    ossl.EVP_CIPHER_CTX_free(cipher->blank);
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
