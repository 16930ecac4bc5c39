/*
 * receive.h - asks the parent of a server for the table.
 */
#ifndef STEK_RECEIVE_H
#define STEK_RECEIVE_H

/*
 * receive_files asks process pid, a stek run of root or of this user, for the
 * two files of its table: a server that executes itself again may have closed
 * those it inherited. They are closed by exec(3). Returns 1, or 0 with errno.
 * It waits for a second at the most.
 */
int receive_files(long pid, int *keys_file, int *counts_file);

#endif
