/*
 * receive.h - asks the parent of a server for the table.
 */
#ifndef STEK_RECEIVE_H
#define STEK_RECEIVE_H

/* Room for the name of a socket, a colon, what is said on it and what is answered: 16
   hexadecimal digits each. */
enum { SOCKET_PART = 16, SOCKET_NAME_SIZE = 3 * SOCKET_PART + 2 };

/* What a server is given. A number is -1 where there is no such file. */
struct received {
    int keys, counts; /* the table */
    int lifeline;     /* an agent ends when nobody holds it */
    int pulse;        /* a pipe whose other end that agent holds */
};

/*
 * receive_files asks a stek of root or of this user, which listens on the socket
 * called name, for the two files of its table, since a server that executes itself
 * again has closed those it inherited, and for the pipes of an agent that ends
 * with its server. Both sides show that they know the secret in name. The files are
 * closed by exec(3). Returns 1, or 0 with errno. It waits for a second at the most.
 */
int receive_files(const char *name, struct received *received);

#endif
