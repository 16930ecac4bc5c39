/*
 * pki.h - two authorities, clients of theirs, and a revocation list, made in memory.
 */
#ifndef STEK_TEST_PKI_H
#define STEK_TEST_PKI_H

#include "check.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* Who a client is: its number is also the serial number of its certificate. */
enum client { NOBODY, OF_CA, OF_OTHER_CA, REVOKED, CLIENTS };

static const char *const client_names[CLIENTS] = {"nobody", "a client", "a client of another CA",
                                                  "a revoked client"};

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct authority ca, other_ca;
static EVP_PKEY *client_key;
static X509 *client_certificate[CLIENTS];
static X509_CRL *revocations;

static inline EVP_PKEY *new_key(void)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;

    CHECK(EVP_PKEY_keygen_init(maker) == 1);
    CHECK(EVP_PKEY_CTX_ctrl_str(maker, "ec_paramgen_curve", "P-256") == 1);
    CHECK(EVP_PKEY_keygen(maker, &key) == 1);
    EVP_PKEY_CTX_free(maker);
    return key;
}

static inline void add_extension(X509 *certificate, int id, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, (char *)value);

    CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline X509 *new_certificate(const char *name, long serial, EVP_PKEY *key,
                                    const struct authority *issuer)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new();

    CHECK(certificate != NULL && X509_set_version(certificate, 2) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != NULL);
    CHECK(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL);
    CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0) == 1);
    CHECK(X509_set_subject_name(certificate, subject) == 1);
    CHECK(X509_set_pubkey(certificate, key) == 1);
    if (issuer->certificate == NULL)
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    CHECK(X509_set_issuer_name(certificate, issuer->certificate != NULL
                                                ? X509_get_subject_name(issuer->certificate)
                                                : subject) == 1);
    CHECK(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
    X509_NAME_free(subject);
    return certificate;
}

static inline struct authority new_authority(const char *name)
{
    struct authority made = {new_key(), NULL};

    made.certificate = new_certificate(name, 100, made.key, &made);
    return made;
}

static inline X509_CRL *list_revoked(long serial)
{
    X509_CRL *list = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -60);

    CHECK(list != NULL && entry != NULL && X509_CRL_set_version(list, 1) == 1);
    CHECK(X509_CRL_set_issuer_name(list, X509_get_subject_name(ca.certificate)) == 1);
    CHECK(X509_CRL_set1_lastUpdate(list, when) == 1);
    CHECK(ASN1_INTEGER_set(number, serial) == 1);
    CHECK(X509_REVOKED_set_serialNumber(entry, number) == 1);
    CHECK(X509_REVOKED_set_revocationDate(entry, when) == 1);
    CHECK(X509_CRL_add0_revoked(list, entry) == 1);
    CHECK(X509_gmtime_adj(when, 3600) != NULL && X509_CRL_set1_nextUpdate(list, when) == 1);
    CHECK(X509_CRL_sign(list, ca.key, EVP_sha256()) > 0);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(when);
    return list;
}

static inline void make_pki(void)
{
    ca = new_authority("ca");
    other_ca = new_authority("other ca");
    client_key = new_key();
    client_certificate[OF_CA] = new_certificate("client", OF_CA, client_key, &ca);
    client_certificate[OF_OTHER_CA] = new_certificate("client", OF_OTHER_CA, client_key, &other_ca);
    client_certificate[REVOKED] = new_certificate("revoked", REVOKED, client_key, &ca);
    revocations = list_revoked(REVOKED);
}

static inline void free_pki(void)
{
    for (int i = 0; i < CLIENTS; i++)
        X509_free(client_certificate[i]);
    X509_CRL_free(revocations);
    EVP_PKEY_free(client_key);
    EVP_PKEY_free(ca.key);
    EVP_PKEY_free(other_ca.key);
    X509_free(ca.certificate);
    X509_free(other_ca.certificate);
}

/* client_of_certificate is who shows a certificate; that is not looked at further. */
static inline enum client client_of_certificate(X509 *certificate)
{
    return certificate == NULL
               ? NOBODY
               : (enum client)ASN1_INTEGER_get(X509_get0_serialNumber(certificate));
}

#endif
