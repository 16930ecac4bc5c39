/*
 * source.c - a table at a path, one that was inherited, or one of an agent that
 * this process starts.
 */
#define _GNU_SOURCE
#include "source.h"
#include "agent.h"
#include "guard.h"
#include "path.h"
#include "receive.h"
#include "say.h"
#include "../table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor, and what it was: the server may close it and use its number. */
struct file {
    int number; /* below 3: none */
    dev_t device;
    ino_t inode;
};

struct settings source_settings;
#define settings source_settings

static struct stekc_store *store;           /* NULL until there is a table */
static int truncatable;                     /* the table's file has a name */
static struct file inherited[2];            /* the keys and the counts, until this process serves */
static char socket_name[SOCKET_NAME_SIZE];  /* who has them too and the secret, or empty */
static struct file pulse;                   /* of the agent of this server */
static int begun;                           /* a context serves */
static int has_agent;                       /* there is one, and a pulse unless it was closed */

void source_say(const char *text)
{
    char line[641];
    int size = snprintf(line, sizeof line - 1, "stek: %s", text);
    size_t length = size < 0 ? 0 : (size_t)size < sizeof line - 1 ? (size_t)size : sizeof line - 2;

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?'; /* what a terminal obeys */
    line[length] = '\n';
    say(line, length + 1);
}

static void fault(const char *what, enum stekc_opened result, int cause)
{
    const char *why = result == STEKC_OPEN_EMPTY     ? "it is shorter than a key table"
                      : result == STEKC_OPEN_FOREIGN ? "it is no key table"
                      : result == STEKC_OPEN_VERSION ? "it is a key table of another version of stek"
                      : result == STEKC_OPEN_CLOCKS  ? "its agent is in another time namespace, with other clocks"
                                                     : strerror(cause);

    snprintf(settings.fault, sizeof settings.fault, "key table %.100s: %s", what, why);
}

/* open_table maps the table in the two files. */
static int open_table(const char *what, int keys, int counts)
{
    struct stekc_table *table;
    struct stekc_store *opened;
    unsigned refused; /* the writer says what it was refused */
    enum stekc_opened result = stekc_table_open(keys, counts, STEK_READER, &table, &refused);

    if (result != STEKC_OPENED) {
        fault(what, result, errno);
        return 0;
    }
    opened = stekc_store_on(table);
    if (opened == NULL) {
        fault(what, STEKC_OPEN_FAILED, ENOMEM);
        stekc_table_forget(table);
        return 0;
    }
    store = opened;
    return 1;
}

/* is_private tells that file is one of its own, at which others cannot look. */
static int is_private(const struct stat *status)
{
    return S_ISREG(status->st_mode) && status->st_nlink == 1 && !(status->st_mode & S_IRWXO);
}

/* is_trusted tells that nobody can have planted the file, which was opened at path: who
   makes the table has the keys of this server. If not, *why says so. */
static int is_trusted(int file, const char *path, const char **why)
{
    struct stat opened, found;

    *why = "it is not a file of its own, or others can read or write it";
    if (fstat(file, &opened) != 0 || !is_private(&opened))
        return 0;
    *why = "others than root and this user may have put it there";
    return path_is_closed(path, &found) && found.st_dev == opened.st_dev &&
           found.st_ino == opened.st_ino;
}

/* open_path maps the table of a running agent. Its counts lie beside the keys;
   a server that may not write there is not counted. */
static void open_path(const char *path)
{
    char counts_path[sizeof settings.table + sizeof ".counts"];
    int keys = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *why;
    int counts;

    if (keys < 0) {
        fault(path, STEKC_OPEN_FAILED, errno);
        return;
    }
    if (!is_trusted(keys, path, &why)) {
        snprintf(settings.fault, sizeof settings.fault, "key table %.100s: %s", path, why);
        close(keys);
        return;
    }
    snprintf(counts_path, sizeof counts_path, "%s.counts", path);
    counts = open(counts_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (counts >= 0 && !is_trusted(counts, counts_path, &why)) {
        close(counts);
        counts = -1;
    }
    open_table(path, keys, counts);
    close(keys);
    if (counts >= 0)
        close(counts);
    truncatable = 1;
}

static struct file file_of(int number)
{
    struct file file = {-1, 0, 0};
    struct stat status;

    if (number > STDERR_FILENO && fstat(number, &status) == 0)
        file = (struct file){number, status.st_dev, status.st_ino};
    return file;
}

/* is_open tells that the number of a file is still its own. */
static int is_open(const struct file *file)
{
    struct file now = file_of(file->number);

    return file->number > STDERR_FILENO && now.number == file->number &&
           now.device == file->device && now.inode == file->inode;
}

/* let_go closes an inherited file. */
static void let_go(struct file *file)
{
    if (is_open(file))
        close(file->number);
    file->number = -1;
}

/* are_ours tells that the numbers are still those of the two files, which have
   seals, and not of files that a program between has opened. */
static int are_ours(int keys, int counts)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct stat status;
    int found = fcntl(counts, F_GET_SEALS); /* a system may add its own */

    return keys > STDERR_FILENO && found >= 0 && (found & seals) == seals &&
           fstat(counts, &status) == 0 && status.st_size == (off_t)stekc_counts_size();
}

/* map_table maps what STEK_TABLE names, while the process still may. The files of
   stek run, or of an agent of this server, are open in whatever was executed
   since, unless by a server. */
static void map_table(void)
{
    char *at = strchr(settings.table, '@');
    int keys, counts;

    if (settings.table[0] == '/') {
        open_path(settings.table);
        return;
    }
    if (at != NULL) { /* the rest is for no line of text */
        snprintf(socket_name, sizeof socket_name, "%s", at + 1);
        *at = '\0';
    }
    if (sscanf(settings.table, "fd:%d,%d", &keys, &counts) < 2) {
        snprintf(settings.fault, sizeof settings.fault,
                 "STEK_TABLE is \"%.100s\", which is no absolute path", settings.table);
        socket_name[0] = '\0';
    } else if (!are_ours(keys, counts)) {
        fault(settings.table, STEKC_OPEN_FAILED, EBADF);
    } else if (open_table(settings.table, keys, counts)) {
        inherited[0] = file_of(keys);
        inherited[1] = file_of(counts);
    }
}

/* accept_agent takes the pipes of an agent of this server. */
static void accept_agent(int pulse_file)
{
    has_agent = 1;
    let_go(&pulse);
    pulse = file_of(pulse_file);
}

/* ask is for a server that another one executed, or that executed itself again:
   not for every program that has its environment. */
static void ask(void)
{
    struct received got;

    if (receive_files(socket_name, &got)) {
        if (open_table(settings.table, got.keys, got.counts)) {
            settings.fault[0] = '\0';
            if (got.lifeline >= 0) /* it stays open */
                accept_agent(got.pulse);
        } else if (got.lifeline >= 0) {
            close(got.lifeline);
            close(got.pulse);
        }
        close(got.keys);
        close(got.counts);
    } else {
        fault(settings.table, STEKC_OPEN_FAILED, errno);
    }
    socket_name[0] = '\0';
    if (settings.store[0] != '\0') {
        /* The table was of an agent of this server's own. If that has ended,
           there will be another. */
        settings.table[0] = '\0';
        settings.fault[0] = '\0';
    }
}

int source_is_asked(void)
{
    return settings.table[0] != '\0' || settings.store[0] != '\0' || settings.fault[0] != '\0';
}

/* keep_reading makes reading the table safe. A server may set a handler of its own
   after its first context. Most that do fork afterwards. */
static void keep_reading(void)
{
    if (begun && truncatable)
        guard_keep(stekc_store_table(store));
}

void source_start(void)
{
    settings_read(&settings);
    say_start();
    if (settings.table[0] != '\0' && settings.fault[0] == '\0')
        map_table();
    if (truncatable)
        pthread_atfork(keep_reading, NULL, NULL);
}

/* is_alone tells that this process has one thread: proc(5) has a folder for each. */
static int is_alone(void)
{
    struct stat status;

    return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3;
}

/* agent_has_ended asks the pipe whose other end the agent holds, with the calls that
   OpenSSL makes for a file of certificates. If the server has closed the pipe, the table
   tells, once its keys have ended. */
static int agent_has_ended(void)
{
    struct stekc_table *table = stekc_store_table(store);
    char byte;

    if (is_open(&pulse))
        return read(pulse.number, &byte, 1) == 0;
    return !stekc_table_encrypts(table, stekc_table_now(table));
}

/* needs_agent tells that there is none, or that it has died: its table goes on to
   the end of its keys, and contexts from here on have another. */
static int needs_agent(void)
{
    if (settings.table[0] != '\0' || settings.fault[0] != '\0')
        return 0;
    return store == NULL || (has_agent && agent_has_ended());
}

/* start_agent makes a table and an agent that writes to it. */
static void start_agent(void)
{
    char name[SOCKET_NAME_SIZE], table[64 + SOCKET_NAME_SIZE];
    int keys, counts, pulse_file;

    if (settings.agent[0] == '\0') {
        snprintf(settings.fault, sizeof settings.fault,
                 "STEK_STORE is set, and no stek is installed beside this library: set STEK_AGENT");
        return;
    }
    if (stekc_table_files(0, &keys, &counts) != 0) {
        fault("in memory", STEKC_OPEN_FAILED, errno);
        return;
    }
    fcntl(keys, F_SETFD, FD_CLOEXEC);
    fcntl(counts, F_SETFD, FD_CLOEXEC);
    if (agent_start(&settings, keys, counts, name, &pulse_file, settings.fault,
                    sizeof settings.fault) &&
        open_table("in memory", keys, counts)) {
        accept_agent(pulse_file);
        if (is_alone()) { /* for a server that executes itself again */
            snprintf(table, sizeof table, "fd:-1,-1@%s", name);
            setenv("STEK_TABLE", table, 1);
        }
    }
    close(keys);
    close(counts);
    if (store != NULL && settings.fault[0] != '\0') {
        source_say(settings.fault); /* and try again at the next context */
        settings.fault[0] = '\0';
    }
}

/* begin is for the first context. What a server executes, such as a CGI program, shall
   not have the files. If it executes itself again it asks. */
static void begin(void)
{
    begun = 1;
    let_go(&inherited[0]);
    let_go(&inherited[1]);
    keep_reading();
}

struct stekc_store *source_store(void)
{
    if (store == NULL && socket_name[0] != '\0')
        ask();
    if (needs_agent())
        start_agent();
    if (store != NULL && !begun)
        begin();
    return store;
}
