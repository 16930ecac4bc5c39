/*
 * receive.h - asks the parent of a server for the table.
 */
#ifndef STEK_RECEIVE_H
#define STEK_RECEIVE_H

/* Room for the name of a socket, a colon, what is said on it and what is answered: 16
   hexadecimal digits each. */
enum { SOCKET_PART = 16, SOCKET_NAME_SIZE = 3 * SOCKET_PART + 2 };

/*
 * receive_files asks a stek of root or of this user, which listens on the socket
 * called name, for the two files of its table, since a server that executes itself
 * again has closed those it inherited, and for the lifeline of an agent that ends
 * with its server; -1 if it has none. Both sides show that they know the secret in
 * name. They are closed by exec(3). Returns 1, or 0
 * with errno. It waits for a second at the most.
 */
int receive_files(const char *name, int *keys_file, int *counts_file, int *lifeline);

/* receive_is_there tells that the socket is listened on. */
int receive_is_there(const char *name);

#endif
