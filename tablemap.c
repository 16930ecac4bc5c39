/*
 * tablemap.c - the memory of a key table: this process's own, its children's
 * too, or files that other processes map.
 */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE };

/* Of memfd_secret(2) and memfd_create(2), which headers older than the kernel lack. */
enum { SYS_MEMFD_SECRET = 447, SECRETMEM_MAGIC = 0x5345434d, NOEXEC_SEAL = 8 };

/* page_size is asked on the way of a ticket, so the answer is kept. */
static size_t page_size(void)
{
    static _Atomic size_t known;
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);

    if (size == 0) {
        long answer = sysconf(_SC_PAGESIZE);

        size = answer > 0 ? (size_t)answer : 4096;
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

static size_t whole_pages(size_t size)
{
    size_t page = page_size(); /* a power of two */

    return (size + page - 1) & ~(page - 1);
}

static size_t writer_size(void)
{
    return whole_pages(sizeof(struct stekc_writer));
}

size_t stekc_keys_size(void)
{
    return whole_pages(sizeof(struct stekc_table));
}

size_t stekc_counts_size(void)
{
    return whole_pages(sizeof(struct stekc_counts));
}

struct stekc_counts *stekc_counts_of(const struct stekc_table *table)
{
    return (struct stekc_counts *)(void *)((char *)table + stekc_keys_size());
}

struct stekc_writer *stekc_writer_of(const struct stekc_table *table)
{
    return (struct stekc_writer *)(void *)((char *)table - writer_size());
}

/* reserved_size is that of all three parts and the two guard pages. */
static size_t reserved_size(void)
{
    return writer_size() + stekc_keys_size() + stekc_counts_size() + 2 * page_size();
}

static void *reserve(void)
{
    char *base = mmap(NULL, reserved_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return base != MAP_FAILED ? base + page_size() + writer_size() : NULL;
}

static void give_back(void *table)
{
    int cause = errno;

    munmap((char *)table - writer_size() - page_size(), reserved_size());
    errno = cause;
}

/* place maps size bytes of file at address, or memory that is shared or not. */
static int place(void *address, size_t size, int protection, int visibility, int file)
{
    int anonymous = file < 0 ? MAP_ANONYMOUS : 0;

    return mmap(address, size, protection, visibility | anonymous | MAP_FIXED, file, 0) !=
           MAP_FAILED;
}

/* is_secret tells a file of memfd_secret(2): its pages are locked by nature, and
   mlock(2) refuses them. */
static int is_secret(int file)
{
    struct statfs system;

    return file >= 0 && fstatfs(file, &system) == 0 && system.f_type == SECRETMEM_MAGIC;
}

static void keep_from_dumps(void *address, size_t size, unsigned *refused)
{
    if (madvise(address, size, MADV_DONTDUMP) != 0)
        *refused |= STEK_NOT_UNDUMPABLE;
}

/* A reader takes at most one part in this many of what its process may lock. */
enum { LOCKED_SHARE = 16 };

int stekc_leaves_room(size_t size)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur / LOCKED_SHARE >= size;
}

static void protect(void *address, size_t size, int wiped_on_fork, unsigned *refused)
{
    if (mlock(address, size) != 0)
        *refused |= STEK_NOT_LOCKED;
    keep_from_dumps(address, size, refused);
    /* Some emulators grant every advice, also one that is none. */
    if (wiped_on_fork &&
        (madvise(address, size, -1) == 0 || madvise(address, size, MADV_WIPEONFORK) != 0))
        *refused |= STEK_NOT_WIPED_ON_FORK;
}

/* place_writer maps the writer's own part: no other process ever sees it. */
static int place_writer(struct stekc_table *table, unsigned *refused)
{
    void *writer = stekc_writer_of(table);

    if (!place(writer, writer_size(), RW, MAP_PRIVATE, -1))
        return 0;
    protect(writer, writer_size(), 1, refused);
    return 1;
}

/* allow lets this process make a file of size bytes, if the system grants that. To pass
   RLIMIT_FSIZE is no mere error but a signal, for files in memory too. *before is the
   limit to set again afterwards. */
static int allow(size_t size, struct rlimit *before)
{
    struct rlimit enough;

    if (getrlimit(RLIMIT_FSIZE, before) != 0)
        return 0;
    if (before->rlim_cur >= size)
        return 1;
    enough.rlim_cur = size;
    enough.rlim_max = before->rlim_max < size ? size : before->rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &enough) == 0)
        return 1;
    errno = EFBIG;
    return 0;
}

static int resize(int file, size_t size)
{
    struct rlimit before;
    int result, cause;

    if (!allow(size, &before))
        return -1;
    result = ftruncate(file, (off_t)size);
    cause = errno;
    setrlimit(RLIMIT_FSIZE, &before);
    errno = cause;
    return result;
}

/* The file that counts are read from, or -1. */
static int counts_file_of(const struct stekc_table *table)
{
    return stekc_writer_of(table)->counts_file;
}

void stekc_read_counts(const struct stekc_table *table, size_t offset, void *out, size_t size)
{
    const _Atomic uint64_t *counted =
        (const _Atomic uint64_t *)(void *)((char *)stekc_counts_of(table) + offset);
    int file = counts_file_of(table);

    memset(out, 0, size);
    if (file >= 0) {
        if (pread(file, out, size, (off_t)offset) != (ssize_t)size)
            memset(out, 0, size); /* cut off */
        return;
    }
    for (size_t i = 0; i < size / sizeof *counted; i++) {
        uint64_t word = atomic_load_explicit(&counted[i], memory_order_relaxed);

        memcpy((char *)out + i * sizeof word, &word, sizeof word);
    }
}

void stekc_clear_counts(struct stekc_table *table)
{
    static const char zeros[sizeof(struct stekc_counts)];
    int file = counts_file_of(table);
    struct rlimit before;

    if (file < 0) {
        memset(stekc_counts_of(table), 0, sizeof zeros); /* before anybody counts */
        return;
    }
    if (allow(sizeof zeros, &before)) {
        ssize_t written = pwrite(file, zeros, sizeof zeros, 0);

        (void)written; /* where there is no room nobody counts either */
        setrlimit(RLIMIT_FSIZE, &before);
    }
}

struct stekc_table *stekc_table_new(enum stek_sharing sharing, unsigned *refused)
{
    int visibility = sharing == STEK_INHERITED ? MAP_SHARED : MAP_PRIVATE;
    size_t size = stekc_keys_size() + stekc_counts_size();
    struct stekc_table *table = reserve();

    *refused = 0;
    if (table == NULL)
        return NULL;
    if (!place(table, size, RW, visibility, -1) || !place_writer(table, refused)) {
        give_back(table);
        return NULL;
    }
    protect(table, size, sharing == STEK_PRIVATE, refused);
    stekc_writer_of(table)->counts_file = -1;
    stekc_table_start(table);
    return table;
}

void stekc_table_free(struct stekc_table *table)
{
    if (table == NULL)
        return;
    stekc_wipe(stekc_writer_of(table), writer_size() + stekc_keys_size() + stekc_counts_size());
    stekc_table_forget(table);
}

void stekc_table_forget(struct stekc_table *table)
{
    give_back(table);
}

/* ---- tables in files ---- */

/* above_standard keeps a file from taking the place of a standard stream that is
   closed: what is printed would go into it. */
static int above_standard(int file)
{
    int copy;

    if (file < 0 || file > STDERR_FILENO)
        return file;
    copy = fcntl(file, F_DUPFD, STDERR_FILENO + 1);
    close(file);
    return copy;
}

static int memory_file(const char *name)
{
    long file = syscall(SYS_memfd_create, name, MFD_ALLOW_SEALING | NOEXEC_SEAL);

    if (file < 0 && errno == EINVAL) /* before Linux 6.3 */
        file = syscall(SYS_memfd_create, name, MFD_ALLOW_SEALING);
    return above_standard((int)file);
}

/* secret_file needs a kernel that has it, and a limit that lets every process
   that inherits the file map it: its pages count as locked. */
static int secret_file(void)
{
    return above_standard((int)syscall(SYS_MEMFD_SECRET, 0));
}

int stekc_table_files(int secret, int *keys_file, int *counts_file)
{
    int keys = secret ? secret_file() : memory_file("stek-keys");
    int counts = memory_file("stek-counts");

    if (keys >= 0 && counts >= 0 && resize(keys, stekc_keys_size()) == 0 &&
        resize(counts, stekc_counts_size()) == 0 &&
        fcntl(counts, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
        (secret || fcntl(keys, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)) {
        *keys_file = keys;
        *counts_file = counts;
        return 0;
    }
    if (keys >= 0)
        close(keys);
    if (counts >= 0)
        close(counts);
    return -1;
}

/* regrow makes the file as long as it should be, not longer, and no hole: writing to a hole is
   a fault when the file system is full. Not every kind of file knows holes. */
static int regrow(int file, size_t size)
{
    struct stat status;

    if (fstat(file, &status) != 0)
        return -1;
    if (status.st_size != (off_t)size && resize(file, size) != 0)
        return -1;
    if (status.st_size >= (off_t)size && status.st_blocks >= (blkcnt_t)(size / 512))
        return 0;
    while (fallocate(file, 0, 0, (off_t)size) != 0)
        if (errno != EINTR)
            return errno == ENOSPC ? -1 : 0;
    return 0;
}

int stekc_table_regrow(int keys_file, int counts_file)
{
    return regrow(keys_file, stekc_keys_size()) == 0 ? regrow(counts_file, stekc_counts_size())
                                                     : -1;
}

/* look tells what the file of the keys holds. */
static enum stekc_opened look(int file)
{
    struct stat status;
    _Atomic uint64_t *first;
    uint64_t magic;

    if (fstat(file, &status) != 0)
        return STEKC_OPEN_FAILED;
    if (status.st_size < (off_t)page_size())
        return STEKC_OPEN_EMPTY;
    first = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, file, 0);
    if (first == MAP_FAILED)
        return STEKC_OPEN_FAILED;
    magic = atomic_load(first);
    munmap((void *)first, page_size());
    if ((magic & ~UINT64_C(0xff)) != STEKC_TABLE_FAMILY)
        return STEKC_OPEN_FOREIGN;
    if (magic != STEKC_TABLE_MAGIC)
        return STEKC_OPEN_VERSION;
    return status.st_size < (off_t)stekc_keys_size() ? STEKC_OPEN_EMPTY : STEKC_OPENED;
}

static int long_enough(int file, size_t size)
{
    struct stat status;

    return fstat(file, &status) == 0 && status.st_size >= (off_t)size;
}

static int place_files(struct stekc_table *table, int keys_file, int counts_file,
                       enum stek_access access, unsigned *refused)
{
    int writes = access == STEK_WRITER;
    void *counts = stekc_counts_of(table);
    unsigned keys_refused = 0;

    if (!place(table, stekc_keys_size(), writes ? RW : PROT_READ, MAP_SHARED, keys_file))
        return 0;
    if (!writes && !long_enough(counts_file, stekc_counts_size()))
        counts_file = -1;
    if (!place(counts, stekc_counts_size(), RW, counts_file < 0 ? MAP_PRIVATE : MAP_SHARED,
               counts_file) &&
        !(access == STEK_READER && place(counts, stekc_counts_size(), RW, MAP_PRIVATE, -1)))
        return 0;
    if (writes && !place_writer(table, refused))
        return 0;
    if (writes)
        stekc_writer_of(table)->counts_file = counts_file;
    if (writes || stekc_leaves_room(stekc_keys_size())) {
        protect(table, stekc_keys_size(), 0, &keys_refused);
    } else { /* the writer has them locked */
        keep_from_dumps(table, stekc_keys_size(), &keys_refused);
        keys_refused |= STEK_NOT_LOCKED;
    }
    if (is_secret(keys_file))
        keys_refused &= ~(unsigned)STEK_NOT_LOCKED;
    *refused |= keys_refused;
    return 1;
}

enum stekc_opened stekc_table_open(int keys_file, int counts_file, enum stek_access access,
                                   struct stekc_table **table, unsigned *refused)
{
    enum stekc_opened found;
    struct stekc_table *mapped;

    *refused = 0;
    if (access == STEK_WRITER && stekc_table_regrow(keys_file, counts_file) != 0)
        return STEKC_OPEN_FAILED; /* no room */
    found = look(keys_file);
    if (found == STEKC_OPEN_FAILED || (access == STEK_READER && found != STEKC_OPENED))
        return found;
    mapped = reserve();
    if (mapped == NULL)
        return STEKC_OPEN_FAILED;
    if (!place_files(mapped, keys_file, counts_file, access, refused)) {
        give_back(mapped);
        return STEKC_OPEN_FAILED;
    }
    if (found == STEKC_OPENED && !stekc_clocks_are_ours(&mapped->clocks)) {
        give_back(mapped);
        return STEKC_OPEN_CLOCKS;
    }
    if (access == STEK_WRITER && found == STEKC_OPENED)
        stekc_table_resume(mapped);
    else if (access == STEK_WRITER)
        stekc_table_start(mapped);
    *table = mapped;
    return STEKC_OPENED;
}

int stekc_table_holds(const struct stekc_table *table, const void *address, void **part,
                      size_t *size, int *protection)
{
    uintptr_t at = (uintptr_t)address;
    uintptr_t keys = (uintptr_t)table;
    uintptr_t counts = keys + stekc_keys_size();

    if (at >= keys && at < counts) {
        *part = (void *)keys;
        *size = stekc_keys_size();
        *protection = PROT_READ;
        return 1;
    }
    if (at >= counts && at < counts + stekc_counts_size()) {
        *part = (void *)counts;
        *size = stekc_counts_size();
        *protection = RW;
        return 1;
    }
    return 0;
}
