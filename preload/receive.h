/*
 * receive.h - asks the parent of a server for the table.
 */
#ifndef STEK_RECEIVE_H
#define STEK_RECEIVE_H

/*
 * receive_files asks process pid, a stek of root or of this user, for the two
 * files of its table, since a server that executes itself again has closed those
 * it inherited, and for the lifeline of an agent that ends with its server; -1 if
 * it has none. They are closed by exec(3). Returns 1, or 0 with errno. It waits
 * for a second at the most.
 */
int receive_files(long pid, int *keys_file, int *counts_file, int *lifeline);

#endif
