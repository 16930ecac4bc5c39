/*
 * path.h - who can have put a file where it is.
 */
#ifndef STEK_PATH_H
#define STEK_PATH_H

#include <sys/stat.h>

/*
 * path_is_closed walks along an absolute path, links included, and tells that root and
 * this user alone decided what is at its end, or left that to the owner of a folder on
 * the way. *found receives what is there, for the caller to compare with the file that
 * it has opened.
 */
int path_is_closed(const char *path, struct stat *found);

#endif
