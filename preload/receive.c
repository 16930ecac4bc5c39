/*
 * receive.c - two files over a socket (unix(7), SCM_RIGHTS).
 */
#define _GNU_SOURCE
#include "receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FEWEST = 2, MOST = 4 };

/* connect_to connects to a socket that is in no folder. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval second = {1, 0};
    int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "stek-table/%.*s",
                        SOCKET_PART, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second) != 0 ||
        connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) != 0) {
        int cause = errno;

        close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

/* number_in reads the first number in a file of proc(5). */
static unsigned long number_in(const char *path, unsigned long otherwise)
{
    FILE *file = fopen(path, "re");
    unsigned long number;

    if (file == NULL)
        return otherwise;
    if (fscanf(file, "%lu", &number) != 1)
        number = otherwise;
    fclose(file);
    return number;
}

/* maps_all tells that every user is known in this user namespace. */
static int maps_all(void)
{
    FILE *file = fopen("/proc/self/uid_map", "re");
    unsigned long inside, outside, count;
    int all;

    if (file == NULL)
        return 0;
    all = fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 &&
          count == UINT32_MAX;
    fclose(file);
    return all;
}

/* is_trusted tells that the socket is of root or of this user: anybody can take the
   name of a process that has ended. All users who are none of this user namespace have
   one number, which may be that of one in it. */
static int is_trusted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    if ((peer.uid == 0 || peer.uid == geteuid()) &&
        (maps_all() || peer.uid != number_in("/proc/sys/kernel/overflowuid", 65534)))
        return 1;
    errno = EACCES;
    return 0;
}

/* say says the first half of the secret in name. */
static int say(int fd, const char *name)
{
    if (strlen(name) != SOCKET_NAME_SIZE - 1) {
        errno = EACCES;
        return 0;
    }
    if (send(fd, name + SOCKET_PART + 1, SOCKET_PART, MSG_NOSIGNAL) == SOCKET_PART)
        return 1;
    errno = errno == EPIPE ? EACCES : errno;
    return 0;
}

/* raise_number gives a file a number that no server expects to be its own, least
   of all that of a standard stream. */
static void raise_number(int *file)
{
    int copy = fcntl(*file, F_DUPFD_CLOEXEC, 100);

    if (copy < 0)
        copy = fcntl(*file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0)
        return;
    close(*file);
    *file = copy;
}

static void close_all(const int *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(files[i]);
}

/* receive reads FEWEST to MOST files, and sets those that are missing to -1. They
   come with the second half of the secret in name. */
static int receive(int fd, const char *name, int files[MOST])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } control;
    char answer[SOCKET_PART];
    struct iovec data = {answer, sizeof answer};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_LEN(MOST * sizeof(int))};
    struct cmsghdr *header;
    size_t count;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (got < 0 && errno != ECONNRESET)
        return 0;
    errno = EACCES; /* closed without an answer */
    header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof *files;
    for (int i = FEWEST; i < MOST; i++)
        files[i] = -1;
    memcpy(files, CMSG_DATA(header), count * sizeof *files);
    if (count < FEWEST || got != SOCKET_PART ||
        memcmp(answer, name + 2 * SOCKET_PART + 1, SOCKET_PART) != 0) {
        close_all(files, count);
        errno = EACCES;
        return 0;
    }
    for (int i = 0; i < MOST; i++)
        if (files[i] >= 0)
            raise_number(&files[i]);
    return 1;
}

int receive_files(const char *name, struct received *received)
{
    int fd = connect_to(name);
    int files[MOST], complete, cause;

    if (fd < 0)
        return 0;
    complete = is_trusted(fd) && say(fd, name) && receive(fd, name, files);
    cause = errno;
    close(fd);
    errno = cause;
    if (complete)
        *received = (struct received){files[0], files[1], files[2], files[3]};
    return complete;
}
