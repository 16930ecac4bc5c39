/*
 * table.c - the key table: the keys in force, read by the callback without a
 * lock and published by one writer through a two-slot latch.
 *
 * Every word is atomic. The writer fills the slot that nobody reads, bumps the
 * sequence once, then overwrites the other slot with the same keys: that is
 * how old keys are wiped. A reader copies one key and starts again if the
 * sequence has moved. A writer that dies anywhere leaves a readable table.
 *
 * No OpenSSL and no Go in this file.
 */
#define _GNU_SOURCE
#include "table.h"

#include <string.h>

/* Marks a cell in use. Zeros are not a key. */
#define CELL_MAGIC UINT64_C(0x5354454b63656c6c)

/* Words of struct stek_key that are read on their own. */
enum {
    WORD_NAME = offsetof(struct stek_key, name) / 8,
    WORD_COUNT_AT = offsetof(struct stek_key, count_at) / 8,
    WORD_NOT_BEFORE = offsetof(struct stek_key, not_before) / 8,
    WORD_NOT_AFTER = offsetof(struct stek_key, not_after) / 8,
    WORD_DECRYPT_UNTIL = offsetof(struct stek_key, decrypt_until) / 8
};

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* What a word of a key adds to the checksum of its cell. Its factor is odd, so
   that no word alone can be wrong; the sum finds accidents, not attacks. */
static uint64_t share(int i, uint64_t word)
{
    return (word + (uint64_t)i) * (UINT64_C(0x9e3779b97f4a7c15) * (2 * (uint64_t)i + 1));
}

/* A cell of zeros has another checksum than this. */
static uint64_t finished(uint64_t sum)
{
    return (sum ^ CELL_MAGIC) | 1;
}

static uint64_t checksum(const uint64_t word[STEKC_KEY_WORDS])
{
    uint64_t sum = 0;

    for (int i = 0; i < STEKC_KEY_WORDS; i++)
        sum += share(i, word[i]);
    return finished(sum);
}

/* first_place is where the index looks for a name first. */
static unsigned first_place(const uint64_t name[2])
{
    return (unsigned)((share(0, name[0]) + share(1, name[1])) >> 32) % STEKC_PLACES;
}

static void write_index(struct stekc_slot *slot, const struct stek_key *keys, size_t count)
{
    uint16_t place[STEKC_PLACES] = {0};
    uint64_t name[2];

    for (size_t i = 0; i < count; i++) {
        unsigned at;

        memcpy(name, keys[i].name, sizeof name);
        at = first_place(name);
        while (place[at] != 0)
            at = (at + 1) % STEKC_PLACES;
        place[at] = (uint16_t)(i + 1);
    }
    for (int i = 0; i < STEKC_PLACES; i++)
        atomic_store_explicit(&slot->index[i], place[i], memory_order_release);
}

static void write_slot(struct stekc_slot *slot, const struct stek_key *keys, size_t count)
{
    uint64_t word[STEKC_KEY_WORDS];

    store(&slot->count, count);
    write_index(slot, keys, count);
    for (size_t i = 0; i < STEK_MAX_KEYS; i++) {
        struct stekc_cell *cell = &slot->cell[i];

        memset(word, 0, sizeof word);
        if (i < count)
            memcpy(word, &keys[i], sizeof word);
        for (int j = 0; j < STEKC_KEY_WORDS; j++)
            store(&cell->word[j], word[j]);
        store(&cell->checksum, i < count ? checksum(word) : 0);
        store(&cell->magic, i < count ? CELL_MAGIC : 0);
    }
    stekc_wipe(word, sizeof word);
}

void stekc_table_resume(struct stekc_table *table)
{
    struct stekc_clocks *clocks = &stekc_writer_of(table)->clocks;

    stekc_clocks_copy(clocks, &table->clocks);
    stekc_clocks_own(clocks);
}

void stekc_table_use_clock(struct stekc_table *table, int clock)
{
    struct stekc_clocks *clocks = &stekc_writer_of(table)->clocks;

    stekc_clocks_use(clocks, clock);
    stekc_clocks_copy(&table->clocks, clocks);
}

int stekc_table_intact(const struct stekc_table *table)
{
    return load(&table->magic) == STEKC_TABLE_MAGIC;
}

/* repair writes the head of a table again that somebody has damaged. The keys
   of a table that was none are not believed. */
static void repair(struct stekc_table *table)
{
    stekc_clocks_copy(&table->clocks, &stekc_writer_of(table)->clocks);
    if (stekc_table_intact(table))
        return;
    for (int i = 0; i < 2; i++)
        write_slot(&table->slot[i], NULL, 0);
    store(&table->magic, STEKC_TABLE_MAGIC);
}

/* look_ahead writes where a window of the keys in force begins or ends next. */
static void look_ahead(struct stekc_table *table)
{
    const struct stekc_slot *slot = &table->slot[load(&table->sequence) & 1];
    struct stek_now now = stekc_table_exactly_now(table);
    uint64_t count = load(&slot->count);
    int64_t edge = INT64_MAX;

    for (uint64_t i = 0; i < count && count <= STEK_MAX_KEYS; i++) {
        int64_t begins = (int64_t)load(&slot->cell[i].word[WORD_NOT_BEFORE]);
        int64_t ends = (int64_t)load(&slot->cell[i].word[WORD_NOT_AFTER]);
        int64_t is_gone = (int64_t)load(&slot->cell[i].word[WORD_DECRYPT_UNTIL]);

        edge = begins > now.low && begins < edge ? begins : edge;
        edge = ends > now.high && ends < edge ? ends : edge;
        edge = is_gone > now.high && is_gone < edge ? is_gone : edge;
    }
    stekc_clocks_set_edge(&stekc_writer_of(table)->clocks, edge);
    stekc_clocks_set_edge(&table->clocks, edge);
}

struct stek_now stekc_table_hold_time(struct stekc_table *table)
{
    struct stekc_clocks *clocks = &stekc_writer_of(table)->clocks;
    struct stek_now now;

    repair(table);
    now = stekc_clocks_hold(clocks);
    stekc_clocks_copy(&table->clocks, clocks);
    look_ahead(table);
    return now;
}

struct stek_key *stekc_table_stage(struct stekc_table *table)
{
    return stekc_writer_of(table)->stage;
}

/* current_cell is the number of the cell that encrypts at now, or -1: the latest
   that has begun and not ended. */
static int current_cell(const struct stekc_slot *slot, uint64_t count, struct stek_now now)
{
    for (uint64_t i = 0; i < count; i++)
        if ((int64_t)load(&slot->cell[i].word[WORD_NOT_BEFORE]) <= now.low &&
            now.high < (int64_t)load(&slot->cell[i].word[WORD_NOT_AFTER]))
            return (int)i;
    return -1;
}

static int named_cell(const struct stekc_slot *slot, uint64_t count,
                      const unsigned char name[STEK_NAME_SIZE])
{
    uint64_t want[2];
    unsigned at;

    memcpy(want, name, sizeof want);
    at = first_place(want);
    for (int tried = 0; tried < STEKC_PLACES; tried++, at = (at + 1) % STEKC_PLACES) {
        unsigned i = atomic_load_explicit(&slot->index[at], memory_order_acquire);

        if (i == 0 || i > count)
            return -1;
        if (load(&slot->cell[i - 1].word[WORD_NAME]) == want[0] &&
            load(&slot->cell[i - 1].word[WORD_NAME + 1]) == want[1])
            return (int)i - 1;
    }
    return -1;
}

/* sort puts the staged keys in the order of the cells. Keys that begin together
   stay as they are. They are few, and mostly in order. */
static void sort(struct stek_key *stage, size_t count)
{
    struct stek_key key;

    for (size_t i = 1; i < count; i++) {
        size_t to = i;

        while (to > 0 && stage[to - 1].not_before < stage[i].not_before)
            to--;
        if (to == i)
            continue;
        key = stage[i];
        memmove(&stage[to + 1], &stage[to], (i - to) * sizeof key);
        stage[to] = key;
    }
    stekc_wipe(&key, sizeof key);
}

/* keep_places gives every staged key that is in slot the place of its counts there,
   and marks the places that keys of slot have, staged or not. */
static void keep_places(struct stekc_table *table, const struct stekc_slot *slot, size_t count,
                        unsigned char taken[STEK_MAX_KEYS], unsigned char held[STEK_MAX_KEYS])
{
    struct stek_key *stage = stekc_writer_of(table)->stage;
    uint64_t keys = load(&slot->count);

    /* Other processes may be able to write to the table: trust no number. */
    if (keys > STEK_MAX_KEYS)
        keys = 0;
    for (uint64_t i = 0; i < keys; i++) {
        uint64_t at = load(&slot->cell[i].word[WORD_COUNT_AT]);

        if (at > 0 && at <= STEK_MAX_KEYS)
            held[at - 1] = 1;
    }
    for (size_t i = 0; i < count; i++) {
        int cell = named_cell(slot, keys, stage[i].name);
        uint64_t at = cell < 0 ? 0 : load(&slot->cell[cell].word[WORD_COUNT_AT]);

        if (at > STEK_MAX_KEYS || (at > 0 && taken[at - 1]))
            at = 0;
        if (at > 0)
            taken[at - 1] = 1;
        stage[i].count_at = at;
    }
}

/* free_place finds a place that no staged key has, if it can be one that readers do
   not count at either. */
static size_t free_place(const unsigned char taken[STEK_MAX_KEYS],
                         const unsigned char held[STEK_MAX_KEYS])
{
    size_t other = 0;

    for (size_t at = 0; at < STEK_MAX_KEYS; at++) {
        if (!taken[at] && !held[at])
            return at;
        if (!taken[at])
            other = at;
    }
    return other;
}

/* place_counts gives every staged key the place of its counts. Those of a new key
   begin there with what is counted now; those of others do if they are fewer than
   when they began, as of a file that was cut off. */
static void place_counts(struct stekc_table *table, const struct stekc_slot *slot, size_t count)
{
    struct stek_key *stage = stekc_writer_of(table)->stage;
    uint64_t counted[STEK_MAX_KEYS][STEK_KEY_COUNTERS];
    unsigned char taken[STEK_MAX_KEYS] = {0}, held[STEK_MAX_KEYS] = {0};

    stekc_read_counts(table, offsetof(struct stekc_counts, counted_of), counted, sizeof counted);
    keep_places(table, slot, count, taken, held);
    for (size_t i = 0; i < count; i++) {
        int is_new = stage[i].count_at == 0;
        size_t at = is_new ? free_place(taken, held) : stage[i].count_at - 1;

        for (int j = 0; j < STEK_KEY_COUNTERS; j++) {
            _Atomic uint64_t *before = &table->counted_before[at][j];

            if (is_new)
                store(before, counted[at][j]);
            else if (counted[at][j] < load(before))
                store(before, 0);
        }
        taken[at] = 1;
        stage[i].count_at = at + 1;
    }
}

/* put_in_force publishes the staged keys. */
static void put_in_force(struct stekc_table *table, size_t count)
{
    struct stek_key *stage = stekc_writer_of(table)->stage;
    uint64_t sequence = load(&table->sequence);

    sort(stage, count);
    place_counts(table, &table->slot[sequence & 1], count);
    stekc_clocks_set_edge(&table->clocks, INT64_MIN); /* until it is known again */
    write_slot(&table->slot[(sequence + 1) & 1], stage, count);
    store(&table->sequence, sequence + 1);
    write_slot(&table->slot[sequence & 1], stage, count);
    stekc_wipe(stage, STEK_MAX_KEYS * sizeof *stage);
    look_ahead(table);
}

int stekc_table_publish(struct stekc_table *table, size_t count)
{
    if (count > STEK_MAX_KEYS)
        return -1;
    stekc_table_hold_time(table); /* a key that has begun has begun for readers, too */
    put_in_force(table, count);
    return 0;
}

void stekc_table_start(struct stekc_table *table)
{
    stekc_clocks_start(&stekc_writer_of(table)->clocks);
    stekc_clear_counts(table);
    repair(table);
    put_in_force(table, 0);
}

/* copy_cell copies a cell and reports whether it holds a whole key. It believes
   nothing else: forked children may be able to write to the table. */
static int copy_cell(const struct stekc_cell *cell, struct stek_key *out)
{
    uint64_t sum = 0;
    int whole;

#pragma GCC unroll 16
    for (int i = 0; i < STEKC_KEY_WORDS; i++) {
        uint64_t word = load(&cell->word[i]);

        memcpy((char *)out + 8 * i, &word, sizeof word);
        sum += share(i, word);
    }
    whole = load(&cell->magic) == CELL_MAGIC && load(&cell->checksum) == finished(sum) &&
            (out->key_size == STEK_AES_SIZE || out->key_size == STEK_IMPORTED_SIZE);
    if (!whole)
        stekc_wipe(out, sizeof *out);
    return whole;
}

/* How often a reader starts again before it goes without a key: publications
   are rare, and only a table that somebody damages has so many in a row. */
enum { TRIES = 10000 };

/*
 * read_key does the reading for all three: current (name NULL) and find judge by
 * *now; look_up has it written first, once there is a key of that name. It repeats
 * while a publication ran beside it.
 */
static enum stek_state read_key(const struct stekc_table *table, const unsigned char *name,
                                int reads_clocks, struct stek_now *now, struct stek_key *out)
{
    if (!stekc_table_intact(table))
        return STEK_NO_KEY;
    for (int try = 0; try < TRIES; try++) {
        uint64_t sequence = load(&table->sequence);
        const struct stekc_slot *slot = &table->slot[sequence & 1];
        uint64_t count = load(&slot->count);
        enum stek_state state = STEK_NO_KEY;
        int index;

        if (count > STEK_MAX_KEYS)
            count = 0;
        index = name != NULL ? named_cell(slot, count, name) : current_cell(slot, count, *now);
        if (index >= 0 && copy_cell(&slot->cell[index], out)) {
            if (reads_clocks)
                *now = stekc_table_now(table);
            state = stekc_key_state(out, *now);
            if (state == STEK_CURRENT && name != NULL && index != current_cell(slot, count, *now))
                state = STEK_PREVIOUS;
        }
        if (load(&table->sequence) == sequence) {
            if (state == STEK_EXPIRED)
                stekc_wipe(out, sizeof *out);
            return state;
        }
        if (index >= 0)
            stekc_wipe(out, sizeof *out);
    }
    return STEK_NO_KEY;
}

enum stek_state stekc_table_current(const struct stekc_table *table,
                                    struct stek_now now, struct stek_key *out)
{
    return read_key(table, NULL, 0, &now, out);
}

int stekc_table_encrypts(const struct stekc_table *table, struct stek_now now)
{
    for (int try = 0; try < TRIES && stekc_table_intact(table); try++) {
        uint64_t sequence = load(&table->sequence);
        const struct stekc_slot *slot = &table->slot[sequence & 1];
        uint64_t count = load(&slot->count);
        int found = count <= STEK_MAX_KEYS && current_cell(slot, count, now) >= 0;

        if (load(&table->sequence) == sequence)
            return found;
    }
    return 0;
}

enum stek_state stekc_table_find(const struct stekc_table *table,
                                 const unsigned char name[STEK_NAME_SIZE],
                                 struct stek_now now, struct stek_key *out)
{
    return read_key(table, name, 0, &now, out);
}

enum stek_state stekc_table_look_up(const struct stekc_table *table,
                                    const unsigned char name[STEK_NAME_SIZE],
                                    struct stek_now *now, struct stek_key *out)
{
    return read_key(table, name, 1, now, out);
}

enum stek_state stekc_key_state(const struct stek_key *key, struct stek_now now)
{
    if (now.high >= key->decrypt_until)
        return STEK_EXPIRED;
    if (now.high >= key->not_after)
        return STEK_PREVIOUS;
    if (now.low < key->not_before)
        return STEK_UPCOMING;
    return STEK_CURRENT;
}

size_t stekc_table_list(const struct stekc_table *table, struct stek_key *out)
{
    for (int try = 0; try < TRIES; try++) {
        uint64_t sequence = load(&table->sequence);
        const struct stekc_slot *slot = &table->slot[sequence & 1];
        uint64_t count = load(&slot->count);
        size_t listed = 0;

        if (!stekc_table_intact(table) || count > STEK_MAX_KEYS)
            return 0;
        for (uint64_t i = 0; i < count; i++)
            listed += (size_t)copy_cell(&slot->cell[i], &out[listed]);
        if (load(&table->sequence) == sequence)
            return listed;
        stekc_wipe(out, STEK_MAX_KEYS * sizeof *out);
    }
    return 0;
}

uint64_t stekc_table_count(struct stekc_table *table, enum stek_counter counter,
                           const struct stek_key *key)
{
    struct stekc_counts *counts = stekc_counts_of(table);
    _Atomic uint64_t *counted = &counts->counted[counter];

    if (counter < STEK_KEY_COUNTERS && key->count_at > 0 && key->count_at <= STEK_MAX_KEYS)
        counted = &counts->counted_of[key->count_at - 1][counter];
    return atomic_fetch_add_explicit(counted, 1, memory_order_relaxed);
}

uint64_t stekc_table_counted(const struct stekc_table *table, enum stek_counter counter)
{
    uint64_t counted;

    stekc_read_counts(table, offsetof(struct stekc_counts, counted[counter]), &counted,
                      sizeof counted);
    return counted;
}

static struct stek_key_counts key_counts(const uint64_t counted[STEK_KEY_COUNTERS])
{
    struct stek_key_counts counts = {
        .issued = counted[STEK_COUNT_ISSUED],
        .renewed = counted[STEK_COUNT_RENEWED] + counted[STEK_COUNT_PREVIOUS_RENEWED],
        .accepted_previous =
            counted[STEK_COUNT_PREVIOUS_USED] + counted[STEK_COUNT_PREVIOUS_RENEWED],
    };

    counts.accepted =
        counts.accepted_previous + counted[STEK_COUNT_USED] + counted[STEK_COUNT_RENEWED];
    return counts;
}

struct stek_key_counts stekc_table_counted_of(const struct stekc_table *table,
                                              const struct stek_key *key)
{
    uint64_t counted[STEK_KEY_COUNTERS] = {0};

    if (key->count_at == 0 || key->count_at > STEK_MAX_KEYS)
        return key_counts(counted);
    stekc_read_counts(table, offsetof(struct stekc_counts, counted_of[key->count_at - 1]), counted,
                      sizeof counted);
    for (int i = 0; i < STEK_KEY_COUNTERS; i++) {
        uint64_t before = load(&table->counted_before[key->count_at - 1][i]);

        counted[i] = counted[i] > before ? counted[i] - before : 0;
    }
    return key_counts(counted);
}

struct stek_key_counts stekc_table_counted_all(const struct stekc_table *table)
{
    uint64_t counted[STEK_KEY_COUNTERS], at[STEK_MAX_KEYS][STEK_KEY_COUNTERS];

    stekc_read_counts(table, offsetof(struct stekc_counts, counted), counted, sizeof counted);
    stekc_read_counts(table, offsetof(struct stekc_counts, counted_of), at, sizeof at);
    for (int place = 0; place < STEK_MAX_KEYS; place++)
        for (int i = 0; i < STEK_KEY_COUNTERS; i++)
            counted[i] += at[place][i];
    return key_counts(counted);
}
