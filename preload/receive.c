/*
 * receive.c - two files over a socket (unix(7), SCM_RIGHTS).
 */
#define _GNU_SOURCE
#include "receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FEWEST = 2, MOST = 3 };

/* connect_to connects to a socket that is in no folder. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval second = {1, 0};
    int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "stek-table/%s", name);
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

/* is_trusted: anybody can take the name of a process that has ended. */
static int is_trusted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    errno = EACCES;
    return peer.uid == 0 || peer.uid == geteuid();
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

/* receive reads FEWEST or MOST files, and sets the last to -1 if it is missing. */
static int receive(int fd, int files[MOST])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } control;
    char byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (got < 0)
        return 0;
    errno = EACCES; /* closed without an answer */
    header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        (header->cmsg_len != CMSG_LEN(FEWEST * sizeof(int)) &&
         header->cmsg_len != CMSG_LEN(MOST * sizeof(int))))
        return 0;
    files[MOST - 1] = -1;
    memcpy(files, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    for (int i = 0; i < MOST; i++)
        if (files[i] >= 0)
            raise_number(&files[i]);
    return 1;
}

int receive_is_there(const char *name)
{
    int fd = connect_to(name);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno != ECONNREFUSED; /* it may only be busy */
}

int receive_files(const char *name, int *keys_file, int *counts_file, int *lifeline)
{
    int fd = connect_to(name);
    int files[MOST], received, cause;

    if (fd < 0)
        return 0;
    received = is_trusted(fd) && receive(fd, files);
    cause = errno;
    close(fd);
    errno = cause;
    if (received) {
        *keys_file = files[0];
        *counts_file = files[1];
        *lifeline = files[2];
    }
    return received;
}
