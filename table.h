/*
 * table.h - the layout of a key table, as table.c and tablemap.c see it.
 *
 * A table is three parts that follow each other in memory, each of whole pages,
 * between guard pages:
 *
 *     writer | keys | counts
 *
 * The pointer that everybody holds is that of the keys. Who only reads a shared
 * table has no writer's part, and the keys read-only.
 */
#ifndef STEK_TABLE_H
#define STEK_TABLE_H

#include "callback.h"

#include <stdatomic.h>

enum { STEKC_KEY_WORDS = sizeof(struct stek_key) / sizeof(uint64_t) };
_Static_assert(sizeof(struct stek_key) == STEKC_KEY_WORDS * sizeof(uint64_t),
               "struct stek_key is a whole number of words");

struct stekc_cell {
    _Atomic uint64_t magic;
    _Atomic uint64_t word[STEKC_KEY_WORDS];
    _Atomic uint64_t checksum;
};

/* Places of the index by name: a power of two, at least twice the keys. */
enum { STEKC_PLACES = 2 * STEK_MAX_KEYS };

/* The cells are in the order of not_before, the latest first. A place of the
   index holds the number of a cell and 1, or 0: it is the one that follows from
   the name, or the next free one. */
struct stekc_slot {
    _Atomic uint64_t count;
    _Atomic uint16_t index[STEKC_PLACES];
    struct stekc_cell cell[STEK_MAX_KEYS];
};

/* What readers must know of the clocks, see clock.c. */
struct stekc_clocks {
    _Atomic int64_t boot_offset; /* ns: wall clock minus boot clock at the start */
    _Atomic uint64_t clock;      /* STEK_CLOCK_BOTH or STEK_CLOCK_BOOT */
    _Atomic int64_t low, high;   /* where time was when it was last held */
    _Atomic int64_t wall_offset; /* ns: wall clock minus monotonic clock, both then */
    _Atomic int64_t boot_ahead;  /* ns: boot clock minus monotonic clock then */
    _Atomic int64_t edge;        /* where a window begins or ends next */
    _Atomic uint64_t name_space; /* whose clocks they are; 0 not known */
};

/* The keys. The first word says what this is, in every version. */
struct stekc_table {
    _Atomic uint64_t magic;
    _Atomic uint64_t sequence; /* readers use slot[sequence & 1] */
    struct stekc_clocks clocks;
    struct stekc_slot slot[2];
    _Atomic uint64_t counted_before[STEK_MAX_KEYS][STEK_KEY_COUNTERS];
};

/* The counts, written by readers. A key has the same place, count_at - 1, for
   life, and its counts are what was added since: counted_before says where they
   were. The first STEK_KEY_COUNTERS of counted are of keys that were asked for, which
   have no place. */
struct stekc_counts {
    _Atomic uint64_t counted[STEK_COUNTERS];
    _Atomic uint64_t counted_of[STEK_MAX_KEYS][STEK_KEY_COUNTERS];
};

/* What only the writer has. */
struct stekc_writer {
    struct stekc_clocks clocks; /* as they are in the table unless it was damaged */
    int counts_file;            /* of a table in files, else -1 */
    struct stek_key stage[STEK_MAX_KEYS];
};

/* "stektab" and the layout's version, which is the lowest byte. Zeros are not a
   table. */
#define STEKC_TABLE_FAMILY UINT64_C(0x7374656b74616200)
#define STEKC_TABLE_MAGIC (STEKC_TABLE_FAMILY | STEK_TABLE_LAYOUT)

/* stekc_clocks_start begins with both clocks, now. stekc_clocks_use takes one or both;
   if that is a change, no time is held any more. stekc_clocks_hold returns now, by
   the exact clocks, and keeps time from going back behind it, unless the wall clock was
   wrong. stekc_clocks_own notes that they are those of this process. They are for the
   clocks that only the writer has; stekc_clocks_copy copies these to readers.
   stekc_clocks_are_ours tells that this process has the same clocks as the writer. */
void stekc_clocks_start(struct stekc_clocks *clocks);
void stekc_clocks_use(struct stekc_clocks *clocks, int clock);
void stekc_clocks_set_edge(struct stekc_clocks *clocks, int64_t edge);
struct stek_now stekc_clocks_hold(struct stekc_clocks *clocks);
void stekc_clocks_own(struct stekc_clocks *clocks);
int stekc_clocks_are_ours(const struct stekc_clocks *clocks);
void stekc_clocks_copy(struct stekc_clocks *to, const struct stekc_clocks *from);

/* Sizes of the parts in bytes, whole pages. */
size_t stekc_keys_size(void);
size_t stekc_counts_size(void);

/* stekc_leaves_room tells that size locked bytes are a small part of those that this
   process may lock (RLIMIT_MEMLOCK): a server may want them for itself. */
int stekc_leaves_room(size_t size);

/* The other parts of the table whose keys are at table. */
struct stekc_counts *stekc_counts_of(const struct stekc_table *table);
struct stekc_writer *stekc_writer_of(const struct stekc_table *table);

/*
 * stekc_read_counts copies size bytes at offset in the counts of table, and
 * stekc_clear_counts sets all to zero. The writer of a table in files does so
 * through the file: whoever may write counts can cut the file off, and touching
 * a mapping of it would then be a fault.
 */
void stekc_read_counts(const struct stekc_table *table, size_t offset, void *out, size_t size);
void stekc_clear_counts(struct stekc_table *table);

/* stekc_table_start writes the head of a new table: no keys, time starts now. */
void stekc_table_start(struct stekc_table *table);

/* stekc_table_resume takes over the head of a table that another writer left. */
void stekc_table_resume(struct stekc_table *table);

#endif
