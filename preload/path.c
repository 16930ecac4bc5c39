/*
 * path.c - walks to a file as the kernel does, and looks at every folder on the way.
 */
#define _GNU_SOURCE
#include "path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LINKS = 40 }; /* as the kernel follows */

static int is_trusted(uid_t user)
{
    return user == 0 || user == geteuid();
}

/* may_hold tells that no other user can have put entry into folder. Others can write to
   an open folder. If it has the sticky bit they cannot remove or rename what is not
   theirs, so there the owner of the entry decides. In a closed folder of root or of
   this user an entry may have another owner: it was left to that one. */
static int may_hold(const struct stat *folder, const struct stat *entry)
{
    int is_open = (folder->st_mode & (S_IWGRP | S_IWOTH)) != 0;

    if (is_open && !(folder->st_mode & S_ISVTX))
        return 0;
    if (is_trusted(entry->st_uid) || entry->st_uid == folder->st_uid)
        return 1;
    return !is_open && is_trusted(folder->st_uid);
}

/* follow puts the target of the link that way[0] to way[end - 1] names in the place of
   its last part, which begins at start. */
static int follow(char way[PATH_MAX], size_t start, size_t end)
{
    char link[PATH_MAX], target[PATH_MAX], whole[2 * PATH_MAX];
    ssize_t size;

    snprintf(link, sizeof link, "%.*s", (int)end, way);
    size = readlink(link, target, sizeof target - 1);
    if (size <= 0)
        return 0;
    target[size] = '\0';
    if (target[0] == '/')
        start = 0;
    size = snprintf(whole, sizeof whole, "%.*s%s%s", (int)start, way, target, way + end);
    if (size >= PATH_MAX)
        return 0;
    strcpy(way, whole);
    return 1;
}

/* look_at is lstat(2) for the first end bytes of way. */
static int look_at(const char *way, size_t end, struct stat *status)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%.*s", (int)end, way);
    return lstat(part, status) == 0;
}

int path_is_closed(const char *path, struct stat *found)
{
    char way[PATH_MAX];
    struct stat folder;
    size_t start, end = 0;
    int links = 0;

    if (strlen(path) >= sizeof way || stat("/", &folder) != 0)
        return 0;
    strcpy(way, path);
    while (way[start = end + strspn(way + end, "/")] != '\0') {
        end = start + strcspn(way + start, "/");
        if (!look_at(way, end, found) || !may_hold(&folder, found))
            return 0;
        if (!S_ISLNK(found->st_mode)) {
            folder = *found;
            continue;
        }
        if (++links > MOST_LINKS || !follow(way, start, end) || stat("/", &folder) != 0)
            return 0;
        end = 0; /* once more from the root folder */
    }
    return 1;
}
