/*
 * sharedtable_test.c - key tables in files, as a writer and readers in other
 * processes map them.
 */
#define _GNU_SOURCE
#include "../../table.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct stek_now noon = {1000, 1000};

static struct stek_key key_number(unsigned n)
{
    return test_key(n, 0, INT64_MAX, INT64_MAX);
}

static void publish(struct stekc_table *table, unsigned n)
{
    stekc_table_stage(table)[0] = key_number(n);
    CHECK(stekc_table_publish(table, 1) == 0);
}

static int finds(const struct stekc_table *table, unsigned n)
{
    struct stek_key key = key_number(n), found;

    return stekc_table_find(table, key.name, noon, &found) == STEK_CURRENT &&
           memcmp(found.aes_key, key.aes_key, sizeof key.aes_key) == 0;
}

struct files {
    int keys, counts;
};

static struct files make_files(void)
{
    struct files files = {memfd_create("keys", 0), memfd_create("counts", 0)};

    CHECK(files.keys >= 0 && files.counts >= 0);
    return files;
}

static struct stekc_table *map(struct files files, enum stek_access access)
{
    struct stekc_table *table = NULL;
    unsigned refused;

    CHECK(stekc_table_open(files.keys, files.counts, access, &table, &refused) == STEKC_OPENED);
    return table;
}

static enum stekc_opened result_of(int keys)
{
    struct stekc_table *table;
    unsigned refused;
    enum stekc_opened result = stekc_table_open(keys, -1, STEK_READER, &table, &refused);

    if (result == STEKC_OPENED)
        stekc_table_forget(table);
    return result;
}

static void reader_sees_every_publication(void)
{
    struct files files = make_files();
    struct stekc_table *writer = map(files, STEK_WRITER), *reader = map(files, STEK_READER);
    struct stek_key found = key_number(1);

    publish(writer, 1);
    CHECK(finds(reader, 1));
    CHECK(stekc_table_find(reader, found.name, noon, &found) == STEK_CURRENT);
    stekc_table_count(reader, STEK_COUNT_ISSUED, &found);
    stekc_table_count(reader, STEK_COUNT_CONTEXTS, &found);
    CHECK(stekc_table_counted_all(writer).issued == 1);
    CHECK(stekc_table_counted(writer, STEK_COUNT_CONTEXTS) == 1);
    CHECK(stekc_table_counted_of(writer, &found).issued == 1);
    publish(writer, 2);
    CHECK(finds(reader, 2) && !finds(reader, 1));
    stekc_table_forget(reader);
    stekc_table_forget(writer);
}

/* What a reader has of a file that it may not write is for reading, whatever it
   asks of the kernel. */
static void reader_cannot_write_keys(void)
{
    char path[] = "/dev/shm/stek-test-XXXXXX";
    struct files files = {mkstemp(path), memfd_create("counts", 0)};
    struct stekc_table *writer = map(files, STEK_WRITER), *reader;
    struct files read_only = {open(path, O_RDONLY), files.counts};

    reader = map(read_only, STEK_READER);
    CHECK(mprotect(reader, stekc_keys_size(), PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    unlink(path);
    stekc_table_forget(reader);
    stekc_table_forget(writer);
}

static void next_writer_goes_on(void)
{
    struct files files = make_files();
    struct stekc_table *writer = map(files, STEK_WRITER), *next;
    struct stek_now held = stekc_table_hold_time(writer);

    publish(writer, 1);
    stekc_table_count(writer, STEK_COUNT_CONTEXTS, NULL);
    stekc_table_forget(writer);
    next = map(files, STEK_WRITER);
    CHECK(finds(next, 1));
    CHECK(stekc_table_counted(next, STEK_COUNT_CONTEXTS) == 1);
    CHECK(stekc_table_now(next).low >= held.low);
    stekc_table_forget(next);
}

static void damage_is_no_table_and_is_repaired(void)
{
    struct files files = make_files();
    struct stekc_table *writer = map(files, STEK_WRITER), *reader = map(files, STEK_READER);
    struct stek_now before = stekc_table_now(reader);

    publish(writer, 1);
    memset((void *)writer, 0, stekc_keys_size());
    CHECK(!finds(reader, 1));
    publish(writer, 2);
    CHECK(finds(reader, 2) && stekc_table_now(reader).low >= before.low);

    writer->magic++; /* a later version has written to it */
    CHECK(!finds(reader, 2));
    publish(writer, 3);
    CHECK(finds(reader, 3));

    for (size_t i = 0; i < stekc_keys_size(); i++)
        ((unsigned char *)writer)[i] = (unsigned char)(i * 7 + i / 251);
    CHECK(!finds(reader, 3));
    stekc_table_hold_time(writer);
    publish(writer, 4);
    CHECK(finds(reader, 4));

    CHECK(ftruncate(files.keys, 0) == 0 && ftruncate(files.counts, 0) == 0);
    CHECK(stekc_table_regrow(files.keys, files.counts) == 0);
    CHECK(!finds(reader, 4));
    publish(writer, 5);
    CHECK(finds(reader, 5));
    stekc_table_forget(reader);
    stekc_table_forget(writer);
}

static void reader_is_told_what_a_file_is(void)
{
    struct files files = make_files();
    struct stekc_table *writer;
    uint64_t later = STEKC_TABLE_MAGIC + 1;

    CHECK(result_of(-1) == STEKC_OPEN_FAILED && errno == EBADF);
    CHECK(result_of(files.keys) == STEKC_OPEN_EMPTY);
    CHECK(ftruncate(files.keys, (off_t)stekc_keys_size()) == 0);
    CHECK(result_of(files.keys) == STEKC_OPEN_FOREIGN);
    writer = map(files, STEK_WRITER);
    CHECK(result_of(files.keys) == STEKC_OPENED);
    CHECK(ftruncate(files.keys, 4096) == 0);
    CHECK(result_of(files.keys) == STEKC_OPEN_EMPTY);
    CHECK(pwrite(files.keys, &later, sizeof later, 0) == sizeof later);
    CHECK(result_of(files.keys) == STEKC_OPEN_VERSION);
    stekc_table_forget(writer);
}

static void memory_files_keep_their_size(int secret)
{
    struct files files;
    struct stekc_table *writer, *reader;

    CHECK(stekc_table_files(secret, &files.keys, &files.counts) == 0);
    CHECK(fcntl(files.keys, F_GETFD) == 0 && fcntl(files.counts, F_GETFD) == 0);
    writer = map(files, STEK_WRITER);
    reader = map(files, STEK_READER);
    publish(writer, 1);
    CHECK(finds(reader, 1));
    CHECK(ftruncate(files.keys, 0) == -1 && ftruncate(files.counts, 0) == -1);
    stekc_table_forget(reader);
    stekc_table_forget(writer);
}

static void plain_files(void)
{
    memory_files_keep_their_size(0);
}

/* A kernel without memfd_secret(2), or with it switched off, says ENOSYS. */
static void secret_files(void)
{
    struct files files;

    if (stekc_table_files(1, &files.keys, &files.counts) == 0)
        memory_files_keep_their_size(1);
    else
        CHECK(errno == ENOSYS);
}

static void parts_are_told_by_address(void)
{
    struct files files = make_files();
    struct stekc_table *table = map(files, STEK_WRITER);
    char *keys = (char *)table;
    void *part;
    size_t size;
    int protection;

    CHECK(stekc_table_holds(table, keys + 10, &part, &size, &protection));
    CHECK(part == keys && size == stekc_keys_size() && protection == PROT_READ);
    CHECK(stekc_table_holds(table, keys + size, &part, &size, &protection));
    CHECK(part == stekc_counts_of(table) && size == stekc_counts_size());
    CHECK(!stekc_table_holds(table, (char *)part + size, &part, &size, &protection));
    CHECK(!stekc_table_holds(table, keys - 1, &part, &size, &protection));
    stekc_table_forget(table);
}

int main(void)
{
    RUN(reader_sees_every_publication);
    RUN(reader_cannot_write_keys);
    RUN(next_writer_goes_on);
    RUN(damage_is_no_table_and_is_repaired);
    RUN(reader_is_told_what_a_file_is);
    RUN(plain_files);
    RUN(secret_files);
    RUN(parts_are_told_by_address);
    return 0;
}
