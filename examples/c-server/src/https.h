/* HTTPS, as little as will do: each request is answered and its connection closed. */
#ifndef HTTPS_H
#define HTTPS_H

#include <openssl/ssl.h>

/* https_context makes a context with the certificate and key in PEM files, or NULL. */
SSL_CTX *https_context(const char *cert_file, const char *key_file);

/*
 * https_listen listens on port of 127.0.0.1, on any if it is 0, and writes the
 * number to *port. It returns a non-blocking socket, or -1.
 */
int https_listen(int *port);

/*
 * https_serve answers requests until the descriptor until is readable; then it
 * finishes the one it is at. Any number of threads and processes may serve the
 * same context and listener.
 */
void https_serve(SSL_CTX *context, int listener, int until);

#endif
