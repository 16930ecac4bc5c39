/* Ticket keys of libstek, where the machine has it. */
#ifndef KEYS_H
#define KEYS_H

#include <stdbool.h>

#include <openssl/ssl.h>

/*
 * keys_open loads the library, a path or a name that the dynamic loader finds,
 * and gives context ticket keys of the store uri. If it cannot it says why and
 * returns false: context goes on with the keys that OpenSSL makes.
 */
bool keys_open(const char *library, const char *uri, SSL_CTX *context);

/* keys_rotate makes a fresh key current; false if there is none to rotate. */
bool keys_rotate(void);

/* keys_close destroys the keys. */
void keys_close(void);

#endif
