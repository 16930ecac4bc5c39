/*
 * servername.h - stands before the servername callbacks of the server, which choose the
 * context of a connection after its ticket was decrypted.
 */
#ifndef STEK_SERVERNAME_H
#define STEK_SERVERNAME_H

#include "next.h"

/*
 * servername_stand_before returns the callback to set in the place of the server's, which
 * is one for SSL_CTX_set_tlsext_servername_callback(3), or NULL if there is none. When
 * too many different ones are set it returns the server's own, and nobody stands before
 * it. on_refusal is called, in the handshake, before a connection is ended. Any thread.
 */
any_function *servername_stand_before(any_function *callback, void (*on_refusal)(void));

#endif
