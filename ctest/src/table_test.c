/*
 * table_test.c - the key table alone: windows, wiping, damage, and readers
 * beside a writer. Built with AddressSanitizer and with ThreadSanitizer.
 */
#include "../../table.c"
#include "../../tablemap.c"
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000)

static const struct stek_now noon = {1000, 1000};

static struct stekc_table *new_table(int clock)
{
    unsigned refused;
    struct stekc_table *table = stekc_table_new(STEK_PRIVATE, &refused);

    CHECK(table != NULL);
    stekc_table_use_clock(table, clock);
    CHECK(refused == 0);
    return table;
}

/* same compares keys but for the place of their counts. */
static int same(const struct stek_key *a, const struct stek_key *b)
{
    struct stek_key copy = *a;

    copy.count_at = b->count_at;
    return memcmp(&copy, b, sizeof copy) == 0;
}

static void publish(struct stekc_table *table, const struct stek_key *keys, size_t count)
{
    if (count > 0)
        memcpy(stekc_table_stage(table), keys, count * sizeof *keys);
    CHECK(stekc_table_publish(table, count) == 0);
}

static void empty_table_has_no_key(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    unsigned char zeros[STEK_NAME_SIZE] = {0};
    struct stek_key key;

    CHECK(stekc_table_current(table, noon, &key) == STEK_NO_KEY);
    CHECK(stekc_table_find(table, zeros, noon, &key) == STEK_NO_KEY);
    CHECK(stekc_table_publish(table, STEK_MAX_KEYS + 1) == -1);
    stekc_table_free(table);
    stekc_table_free(NULL);
}

static void key_moves_through_its_states(void)
{
    static const struct {
        int64_t low, high;
        enum stek_state found;
        int encrypts;
    } rows[] = {
        {0, 0, STEK_UPCOMING, 0},          {99, 99, STEK_UPCOMING, 0},
        {100, 100, STEK_CURRENT, 1},       {199, 199, STEK_CURRENT, 1},
        {200, 200, STEK_PREVIOUS, 0},      {299, 299, STEK_PREVIOUS, 0},
        {300, 300, STEK_EXPIRED, 0},       {INT64_MAX, INT64_MAX, STEK_EXPIRED, 0},
        {99, 150, STEK_UPCOMING, 0},  /* a step forward activates nothing */
        {150, 200, STEK_PREVIOUS, 0}, /* and a step back revives nothing */
        {150, 300, STEK_EXPIRED, 0},
    };
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key key = test_key(1, 100, 200, 300);

    publish(table, &key, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stek_now now = {rows[i].low, rows[i].high};
        struct stek_key found;
        enum stek_state state = stekc_table_find(table, key.name, now, &found);

        CHECK(state == rows[i].found);
        if (state != STEK_EXPIRED)
            CHECK(same(&found, &key));
        CHECK((stekc_table_current(table, now, &found) == STEK_CURRENT) == rows[i].encrypts);
    }
    stekc_table_free(table);
}

static void newest_of_two_encrypts(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key keys[] = {test_key(1, 0, 5000, 9000), test_key(2, 500, 5000, 9000),
                              test_key(3, 2000, 5000, 9000)};
    struct stek_key found;

    publish(table, keys, 3);
    CHECK(stekc_table_current(table, noon, &found) == STEK_CURRENT);
    CHECK(memcmp(found.name, keys[1].name, STEK_NAME_SIZE) == 0);
    CHECK(stekc_table_find(table, keys[0].name, noon, &found) == STEK_PREVIOUS);
    CHECK(stekc_table_find(table, keys[1].name, noon, &found) == STEK_CURRENT);
    CHECK(stekc_table_find(table, keys[2].name, noon, &found) == STEK_UPCOMING);
    stekc_table_free(table);
}

static int holds(const struct stekc_table *table, const struct stek_key *key)
{
    return table != NULL && (memmem(table, sizeof *table, key->aes_key, 8) != NULL ||
                             memmem(table, sizeof *table, key->hmac_key, 8) != NULL);
}

static void publishing_wipes_what_was_there(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key first = test_key(1, 0, 5000, 9000), second = test_key(2, 0, 5000, 9000);

    publish(table, &first, 1);
    CHECK(holds(table, &first));
    publish(table, &second, 1);
    CHECK(!holds(table, &first) && holds(table, &second));
    publish(table, NULL, 0);
    CHECK(!holds(table, &second));
    stekc_table_free(table);
}

static void stage_is_wiped(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key key = test_key(1, 0, 5000, 9000);

    publish(table, &key, 1);
    CHECK(memmem(stekc_writer_of(table), sizeof(struct stekc_writer), key.aes_key, 8) == NULL);
    stekc_table_free(table);
}

static void damaged_cell_is_no_key(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key key = test_key(1, 0, 5000, 9000), found;
    unsigned char zeros[STEK_NAME_SIZE] = {0};

    for (int word = 2; word < (int)STEKC_KEY_WORDS; word++) { /* the name finds the cell */
        publish(table, &key, 1);
        table->slot[table->sequence & 1].cell[0].word[word] ^= 1;
        CHECK(stekc_table_find(table, key.name, noon, &found) == STEK_NO_KEY);
        CHECK(stekc_table_current(table, noon, &found) == STEK_NO_KEY);
    }
    publish(table, &key, 1);
    memset((void *)table->slot, 0, sizeof table->slot);
    table->slot[0].count = table->slot[1].count = STEK_MAX_KEYS;
    CHECK(stekc_table_find(table, zeros, noon, &found) == STEK_NO_KEY);
    CHECK(stekc_table_current(table, noon, &found) == STEK_NO_KEY);
    table->slot[0].count = table->slot[1].count = UINT64_MAX;
    CHECK(stekc_table_find(table, key.name, noon, &found) == STEK_NO_KEY);
    stekc_table_free(table);
}

/* A writer may die between any two stores; the first half of a publication
   leaves the old keys in force, the second half the new ones. */
static void dead_writer_leaves_a_readable_table(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key first = test_key(1, 0, 5000, 9000), second = test_key(2, 0, 5000, 9000), found;

    publish(table, &first, 1);
    write_slot(&table->slot[(table->sequence + 1) & 1], &second, 1);
    CHECK(stekc_table_find(table, first.name, noon, &found) == STEK_CURRENT);
    CHECK(stekc_table_find(table, second.name, noon, &found) == STEK_NO_KEY);
    table->sequence++;
    CHECK(stekc_table_find(table, second.name, noon, &found) == STEK_CURRENT);
    CHECK(stekc_table_find(table, first.name, noon, &found) == STEK_NO_KEY);
    publish(table, &first, 1);
    CHECK(stekc_table_find(table, first.name, noon, &found) == STEK_CURRENT);
    stekc_table_free(table);
}

static void forked_child_has_no_keys(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key key = test_key(1, 0, 5000, 9000), found;
    int status;
    pid_t child;

    publish(table, &key, 1);
    child = fork();
    if (child == 0)
        _exit(!stekc_table_intact(table) && !holds(table, &key) &&
                      stekc_table_find(table, key.name, noon, &found) == STEK_NO_KEY
                  ? 0
                  : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(stekc_table_find(table, key.name, noon, &found) == STEK_CURRENT);
    stekc_table_free(table);
}

static int64_t wall_clock(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return t.tv_sec * NANOSECONDS + t.tv_nsec;
}

static void clocks_take_the_cautious_side(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOTH);
    const int64_t hour = 3600 * NANOSECONDS;
    struct stek_now now = stekc_table_now(table);

    CHECK(now.low <= now.high && now.high - now.low < NANOSECONDS);
    table->clocks.boot_offset -= hour; /* as if the wall clock had stepped forward */
    now = stekc_table_now(table);
    CHECK(now.high - now.low > hour - NANOSECONDS);
    CHECK(now.high > wall_clock() - NANOSECONDS);
    table->clocks.boot_offset += 2 * hour; /* as if it had stepped back */
    now = stekc_table_now(table);
    CHECK(now.high > wall_clock() + hour - NANOSECONDS);
    table->clocks.clock = STEK_CLOCK_BOOT;
    now = stekc_table_now(table);
    CHECK(now.low == now.high);
    stekc_table_free(table);
}

static uint64_t issued_under(struct stekc_table *table, const struct stek_key *key)
{
    struct stek_key found;

    CHECK(stekc_table_find(table, key->name, noon, &found) == STEK_CURRENT ||
          stekc_table_find(table, key->name, noon, &found) == STEK_PREVIOUS);
    return stekc_table_counted_of(table, &found).issued;
}

static void issue_under(struct stekc_table *table, const struct stek_key *key)
{
    struct stek_key found;

    CHECK(stekc_table_find(table, key->name, noon, &found) != STEK_NO_KEY);
    stekc_table_count(table, STEK_COUNT_ISSUED, &found);
}

static void counts_stay_with_their_key(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key a = test_key(1, 0, 5000, 9000), b = test_key(2, 1, 5000, 9000),
                    c = test_key(3, 2, 5000, 9000), a_stranger = test_key(4, 2, 5000, 9000);
    struct stek_key listed[STEK_MAX_KEYS];
    struct stek_key_counts counts;

    publish(table, &a, 1);
    issue_under(table, &a);
    publish(table, (struct stek_key[]){b, a}, 2);
    issue_under(table, &b);
    issue_under(table, &b);
    CHECK(issued_under(table, &a) == 1 && issued_under(table, &b) == 2);
    publish(table, (struct stek_key[]){c, b}, 2); /* c takes the place of a */
    CHECK(issued_under(table, &c) == 0 && issued_under(table, &b) == 2);
    issue_under(table, &c); /* counts go on where those of a were */
    CHECK(issued_under(table, &c) == 1 && stekc_table_counted_all(table).issued == 4);
    CHECK(stekc_table_list(table, listed) == 2);
    CHECK(same(&listed[0], &c) && same(&listed[1], &b));
    stekc_table_count(table, STEK_COUNT_ISSUED, &a_stranger);
    CHECK(stekc_table_counted_all(table).issued == 5);
    stekc_table_count(table, STEK_COUNT_USED, &listed[0]);
    stekc_table_count(table, STEK_COUNT_RENEWED, &listed[0]);
    stekc_table_count(table, STEK_COUNT_PREVIOUS_USED, &listed[0]);
    stekc_table_count(table, STEK_COUNT_PREVIOUS_RENEWED, &listed[0]);
    counts = stekc_table_counted_of(table, &listed[0]);
    CHECK(counts.accepted == 4 && counts.accepted_previous == 2 && counts.renewed == 2);
    stekc_table_free(table);
}

/* A writer that dies before the readers' slot has changed leaves the key that they
   see with its counts. */
static void dead_writer_leaves_counts(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key a = test_key(1, 0, 5000, 9000), b = test_key(2, 1, 5000, 9000);

    publish(table, &a, 1);
    issue_under(table, &a);
    stekc_table_stage(table)[0] = b;
    place_counts(table, &table->slot[table->sequence & 1], 1);
    CHECK(issued_under(table, &a) == 1);
    stekc_table_free(table);
}

static void counts_that_were_lost_begin_anew(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key a = test_key(1, 0, 5000, 9000), keys[STEK_MAX_KEYS];

    for (uint64_t i = 0; i < STEK_MAX_KEYS; i++)
        keys[i] = test_key(10 + i, 0, 5000, 9000);
    publish(table, keys, STEK_MAX_KEYS);
    for (int i = 0; i < STEK_MAX_KEYS; i++)
        issue_under(table, &keys[i]);
    publish(table, &a, 1); /* where one of them was */
    memset(stekc_counts_of(table), 0, stekc_counts_size());
    issue_under(table, &a);
    CHECK(issued_under(table, &a) == 0);
    publish(table, &a, 1);
    CHECK(issued_under(table, &a) == 0); /* as many as there were before: cannot be told */
    memset(stekc_counts_of(table), 0, stekc_counts_size());
    publish(table, &a, 1);
    issue_under(table, &a);
    CHECK(issued_under(table, &a) == 1);
    stekc_table_free(table);
}

static void inherited_table_is_one_memory(void)
{
    unsigned refused;
    struct stekc_table *table = stekc_table_new(STEK_INHERITED, &refused);
    struct stek_key first = test_key(1, 0, INT64_MAX, INT64_MAX),
                    second = test_key(2, 1, INT64_MAX, INT64_MAX), found;
    int status, tick[2];
    char byte = 0;
    pid_t child;

    CHECK(table != NULL && refused == 0 && pipe(tick) == 0);
    publish(table, &first, 1);
    child = fork();
    if (child == 0) {
        int good = read(tick[0], &byte, 1) == 1 &&
                   stekc_table_find(table, first.name, noon, &found) == STEK_NO_KEY &&
                   stekc_table_find(table, second.name, noon, &found) == STEK_CURRENT;

        stekc_table_count(table, STEK_COUNT_ISSUED, &found);
        _exit(good ? 0 : 1);
    }
    publish(table, &second, 1);
    CHECK(write(tick[1], &byte, 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(issued_under(table, &second) == 1);
    close(tick[0]);
    close(tick[1]);
    stekc_table_free(table);
}

static void time_never_goes_back(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOTH);
    const int64_t hour = 3600 * NANOSECONDS;
    struct stek_now before, after;

    before = stekc_table_hold_time(table);
    table->clocks.boot_offset -= hour;
    after = stekc_table_now(table);
    CHECK(after.low >= before.low && after.low - before.low < NANOSECONDS);
    CHECK(after.high >= before.high);
    table->clocks.boot_offset += hour;
    table->clocks.boot_offset += hour; /* high an hour ahead, as of a wall clock */
    before = stekc_table_hold_time(table);
    table->clocks.boot_offset -= hour; /* that is then set right */
    after = stekc_table_now(table);
    CHECK(after.high >= before.high && after.low >= before.low);
    stekc_table_free(table);
}

static void numbers_in_a_damaged_table_are_not_trusted(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    struct stek_key key = test_key(1, 0, 5000, 9000), found;

    publish(table, &key, 1);
    table->slot[table->sequence & 1].cell[0].word[WORD_COUNT_AT] = UINT64_MAX;
    publish(table, &key, 1);
    CHECK(stekc_table_find(table, key.name, noon, &found) == STEK_CURRENT && found.count_at == 1);
    table->slot[table->sequence & 1].count = UINT64_MAX;
    publish(table, &key, 1);
    for (uint32_t size = 0; size <= 4000; size += 8) { /* whole, by its checksum */
        uint64_t word[STEKC_KEY_WORDS];

        found = key;
        found.key_size = size;
        memcpy(word, &found, sizeof word);
        for (int i = 0; i < (int)STEKC_KEY_WORDS; i++)
            table->slot[table->sequence & 1].cell[0].word[i] = word[i];
        table->slot[table->sequence & 1].cell[0].checksum = checksum(word);
        CHECK((stekc_table_find(table, key.name, noon, &found) == STEK_CURRENT) ==
              (size == 16 || size == 32));
    }
    publish(table, &key, 1);
    CHECK(stekc_table_find(table, key.name, noon, &found) == STEK_CURRENT);
    stekc_table_free(table);
}

enum { READERS = 4, PUBLICATIONS = 20000 };
static atomic_int writing;

static void *read_all_the_time(void *argument)
{
    struct stekc_table *table = argument;
    struct stek_key found;
    uint64_t reads = 0;

    while (atomic_load(&writing)) {
        struct stek_key whole;

        CHECK(stekc_table_current(table, noon, &found) == STEK_CURRENT);
        whole = test_key((uint64_t)found.decrypt_until, 0, 5000, found.decrypt_until);
        CHECK(same(&found, &whole));
        reads++;
    }
    return (void *)(uintptr_t)reads;
}

static void readers_never_see_half_a_key(void)
{
    struct stekc_table *table = new_table(STEK_CLOCK_BOOT);
    pthread_t reader[READERS];
    uint64_t reads = 0;
    struct stek_key key = test_key(9000, 0, 5000, 9000);

    publish(table, &key, 1);
    atomic_store(&writing, 1);
    for (int i = 0; i < READERS; i++)
        CHECK(pthread_create(&reader[i], NULL, read_all_the_time, table) == 0);
    for (int64_t i = 0; i < PUBLICATIONS; i++) {
        key = test_key((uint64_t)(9001 + i), 0, 5000, 9001 + i);
        publish(table, &key, 1);
    }
    atomic_store(&writing, 0);
    for (int i = 0; i < READERS; i++) {
        void *count;

        CHECK(pthread_join(reader[i], &count) == 0);
        reads += (uintptr_t)count;
    }
    printf("     %d publications, %llu reads, none torn\n", PUBLICATIONS,
           (unsigned long long)reads);
    CHECK(reads > 1000);
    stekc_table_free(table);
}

int main(void)
{
    RUN(empty_table_has_no_key);
    RUN(key_moves_through_its_states);
    RUN(newest_of_two_encrypts);
    RUN(publishing_wipes_what_was_there);
    RUN(stage_is_wiped);
    RUN(damaged_cell_is_no_key);
    RUN(dead_writer_leaves_a_readable_table);
    RUN(forked_child_has_no_keys);
    RUN(clocks_take_the_cautious_side);
    RUN(counts_stay_with_their_key);
    RUN(dead_writer_leaves_counts);
    RUN(counts_that_were_lost_begin_anew);
    RUN(inherited_table_is_one_memory);
    RUN(time_never_goes_back);
    RUN(numbers_in_a_damaged_table_are_not_trusted);
    RUN(readers_never_see_half_a_key);
    return 0;
}
