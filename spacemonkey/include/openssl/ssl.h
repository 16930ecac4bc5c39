/*
 * openssl/ssl.h for github.com/spacemonkeygo/openssl on OpenSSL 3.
 *
 * That module calls FIPS_mode_set, which OpenSSL 3.0 removed, and nothing else
 * keeps it from compiling. This header stands in front of the library's own
 * one, includes it, and adds the missing function. It is found only by cgo
 * packages that ask pkg-config for libssl while pkgconfig/libssl.pc of the
 * folder above is in PKG_CONFIG_PATH.
 */

#pragma GCC system_header /* include_next is no standard C, which -Wpedantic would say */

#include_next <openssl/ssl.h>

#ifndef STEK_SPACEMONKEY_SSL_H
#define STEK_SPACEMONKEY_SSL_H

#include <openssl/opensslv.h>

/*
 * The function is for one module only. cgo compiles with the folder of the
 * package in the search path, so its files tell who is asking: the module has
 * a fips.go, and so has its fork github.com/libp2p/go-openssl, which alone has
 * an extension.c and defines FIPS_mode_set itself.
 */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L && __has_include("fips.go") && !__has_include("extension.c")

#include <openssl/err.h>

/*
 * FIPS_mode_set answers as 1.1.1 did in a library built without FIPS: off is
 * what we have (1), on is not to be had (0, with the reason in the error
 * queue). In OpenSSL 3 a FIPS provider is chosen in openssl.cnf.
 */
static inline int FIPS_mode_set(int on)
{
    if (!on)
        return 1;
    ERR_raise(ERR_LIB_CRYPTO, ERR_R_UNSUPPORTED);
    return 0;
}

#endif
#endif
