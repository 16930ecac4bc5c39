/*
 * clock_test.c - the time of a table while clocks step and the system sleeps, with
 * clocks of our own.
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <time.h>

static int clock_by_hand(clockid_t id, struct timespec *out);
static int stat_by_hand(const char *path, struct stat *status);
#define clock_gettime clock_by_hand
#define stat(path, status) stat_by_hand(path, status)
#include "../../clock.c"
#undef stat
#undef clock_gettime
#include "check.h"

#include <string.h>

enum { TICK = 4000000 };
static const int64_t hour = 3600 * NANOSECONDS;

/* ns. The wall clock begins far from zero, and no clock is at a whole tick. */
static struct {
    int64_t ran, slept, stepped;
    int64_t changed; /* ran, when a clock was set or the system woke up */
    int coarse;      /* whether the system has such clocks */
    int late;        /* the next tick comes when the wall clock is read */
    int boots, walls; /* how often these clocks were read */
    int64_t name_space_ahead; /* how much of the monotonic and the boot clock a time
                                 namespace adds */
    uint64_t name_space;      /* its number; 0 if there is no /proc, 1 if the kernel has none */
} by_hand;

/* As in Linux, whose timekeeping moves the coarse clocks to the instant of a change. */
static int64_t at_tick(int64_t time)
{
    int64_t tick = by_hand.ran / TICK * TICK;

    return (tick > by_hand.changed ? tick : by_hand.changed) - by_hand.ran + time;
}

static void step(int64_t by)
{
    by_hand.changed = by_hand.ran += 1000; /* a system call takes as long */
    by_hand.stepped += by;
}

static void sleep_for(int64_t time)
{
    step(0);
    by_hand.slept += time;
}

static int64_t wall(void)
{
    return INT64_C(1700000000123456789) + by_hand.ran + by_hand.slept + by_hand.stepped;
}

static int clock_by_hand(clockid_t id, struct timespec *out)
{
    int64_t time;

    if (!by_hand.coarse && (id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE))
        return -1;
    if (id == CLOCK_REALTIME_COARSE && by_hand.late) {
        by_hand.late = 0;
        by_hand.ran += TICK;
    }
    by_hand.boots += id == CLOCK_BOOTTIME;
    by_hand.walls += id == CLOCK_REALTIME_COARSE;
    time = id == CLOCK_REALTIME           ? wall()
           : id == CLOCK_REALTIME_COARSE  ? at_tick(wall())
           : id == CLOCK_MONOTONIC        ? by_hand.ran
           : id == CLOCK_MONOTONIC_COARSE ? at_tick(by_hand.ran)
                                          : by_hand.ran + by_hand.slept;
    if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)
        time += by_hand.name_space_ahead;
    out->tv_sec = time / NANOSECONDS;
    out->tv_nsec = time % NANOSECONDS;
    return 0;
}

static int stat_by_hand(const char *path, struct stat *status)
{
    int is_it = strcmp(path, "/proc/self/ns/time") == 0;

    memset(status, 0, sizeof *status);
    status->st_ino = by_hand.name_space;
    return by_hand.name_space > (uint64_t)is_it ? 0 : -1;
}

/* new_table has no keys: time is all that is asked of it. */
static struct stekc_table *new_table(void)
{
    static struct stekc_table table;

    memset(&by_hand, 0, sizeof by_hand);
    by_hand.coarse = 1;
    by_hand.ran = hour + TICK / 3;
    by_hand.slept = 7 * hour;
    by_hand.name_space = 4026531834;
    memset(&table, 0, sizeof table);
    stekc_clocks_start(&table.clocks);
    stekc_clocks_set_edge(&table.clocks, INT64_MAX);
    by_hand.boots = by_hand.walls = 0;
    return &table;
}

static int by_the_tick(int64_t time, int64_t now)
{
    return time <= now && now - time <= TICK;
}

static void a_look_does_not_read_the_boot_clock(void)
{
    struct stekc_table *table = new_table();

    for (int i = 0; i < 100; i++, by_hand.ran += TICK / 7) {
        struct stek_now now = stekc_table_now(table);

        CHECK(now.low == now.high && by_the_tick(now.low, wall()));
    }
    CHECK(by_hand.boots == 0);
    CHECK(by_hand.walls >= 14 && by_hand.walls <= 16); /* one in a tick */
}

static void a_tick_between_both_clocks_is_seen(void)
{
    struct stekc_table *table = new_table();

    by_hand.late = 1;
    by_hand.ran += TICK; /* so that the wall clock is read */
    CHECK(stekc_table_now(table).low == wall() && by_hand.boots == 1);
    CHECK(by_the_tick(stekc_table_now(table).low, wall()) && by_hand.boots == 1);
    CHECK(by_hand.walls == 2);
}

static void near_an_edge_time_is_exact(void)
{
    struct stekc_table *table = new_table();
    int64_t edge = wall() + 10 * COARSE;

    stekc_clocks_set_edge(&table->clocks, edge);
    for (int i = 0; i < 50; i++, by_hand.ran += COARSE / 4) {
        int64_t high = stekc_table_now(table).high;

        CHECK((wall() >= edge) == (high >= edge));
    }
    CHECK(by_hand.boots > 10 && by_hand.boots < 25);
}

static void sleep_is_time_that_passes(void)
{
    struct stekc_table *table = new_table();
    struct stek_now now = stekc_table_now(table);

    CHECK(by_the_tick(now.low, wall()) && by_hand.boots == 0);
    sleep_for(hour);
    now = stekc_table_now(table);
    CHECK(now.low == now.high && now.low == wall() && by_hand.boots == 1);
    CHECK(stekc_clocks_hold(&table->clocks).low == wall());
    by_hand.boots = 0;
    by_hand.ran += TICK;
    CHECK(by_the_tick(stekc_table_now(table).low, wall()) && by_hand.boots == 0);
}

static void steps_move_the_cautious_end_only(void)
{
    struct stekc_table *table = new_table();
    struct stek_now now = stekc_table_now(table);

    step(hour); /* ends windows, begins none */
    now = stekc_table_now(table);
    CHECK(by_the_tick(now.low, wall() - hour) && by_the_tick(now.high, wall()));
    step(-2 * hour); /* begins none, revives none */
    now = stekc_table_now(table);
    CHECK(now.low <= wall() + COARSE && by_the_tick(now.high, wall() + hour));
    stekc_clocks_hold(&table->clocks);
    by_hand.boots = 0;
    now = stekc_table_now(table);
    CHECK(now.low <= wall() + COARSE && by_the_tick(now.high, wall() + hour) && by_hand.boots == 0);
}

static void a_tick_is_not_before_what_was_held(void)
{
    struct stekc_table *table = new_table();
    struct stek_now held = stekc_clocks_hold(&table->clocks), now = stekc_table_now(table);

    CHECK(held.low == wall() && now.low == held.low && now.high == held.high);
    table->clocks.clock = STEK_CLOCK_BOOT;
    step(hour);
    now = stekc_table_now(table);
    CHECK(now.low == wall() - hour && now.high == now.low);
}

static void without_coarse_clocks_the_exact_one_is_read(void)
{
    struct stekc_table *table = new_table();
    int64_t before;

    by_hand.coarse = 0;
    stekc_clocks_start(&table->clocks);
    before = stekc_table_now(table).high;
    by_hand.ran += hour;
    CHECK(stekc_table_now(table).high == before + hour);
}

/* A known limit: who sets the wall clock back by the very time that the system slept
   hides it, until time is held next. */
static void undone_to_the_nanosecond_is_seen_when_time_is_held(void)
{
    struct stekc_table *table = new_table();

    sleep_for(hour);
    step(-hour);
    CHECK(by_the_tick(stekc_table_now(table).high, wall()));
    CHECK(stekc_clocks_hold(&table->clocks).high == wall() + hour);
    step(1);
    CHECK(stekc_table_now(table).high == wall() - 1 + hour);
}

static void other_clocks_hold_no_time(void)
{
    struct stekc_table *table = new_table();

    step(hour);
    CHECK(stekc_clocks_hold(&table->clocks).high >= wall() - TICK);
    stekc_clocks_use(&table->clocks, STEK_CLOCK_BOTH);
    CHECK(stekc_table_now(table).high >= wall() - TICK);
    stekc_clocks_use(&table->clocks, STEK_CLOCK_BOOT);
    CHECK(stekc_table_now(table).high == wall() - hour); /* no edge is known */
    CHECK(stekc_table_exactly_now(table).high == wall() - hour);
}

/* ---- one wrong minute ---- */

/* A key that its owner lists all the time, and that ends at the time given. */
static enum stek_state listed_until(struct stekc_table *table, int64_t end)
{
    struct stek_key key = test_key(1, 0, end, end), found;

    stekc_table_stage(table)[0] = key;
    CHECK(stekc_table_publish(table, 1) == 0);
    return stekc_table_current(table, stekc_table_now(table), &found);
}

static struct stekc_table *whole_table(void)
{
    unsigned refused;
    struct stekc_table *table;

    new_table(); /* sets the clocks */
    table = stekc_table_new(STEK_PRIVATE, &refused);
    CHECK(table != NULL);
    return table;
}

static void a_wrong_minute_is_forgotten_when_the_clock_is_right_again(void)
{
    const int64_t year = 365 * 24 * hour;
    struct stekc_table *table = whole_table();
    int64_t soon = wall() + hour, later = wall() + 12 * hour;

    CHECK(listed_until(table, later) == STEK_CURRENT);
    for (int i = 0; i < 3; i++) {
        step(year);
        CHECK(listed_until(table, later) == STEK_NO_KEY);
        by_hand.ran += NANOSECONDS;
        step(i == 1 ? 3 * NANOSECONDS - year : -year); /* not quite right, perhaps */
        CHECK(listed_until(table, later) == STEK_CURRENT);
        CHECK(listed_until(table, wall() + year) == STEK_CURRENT);
    }
    by_hand.ran += hour;
    CHECK(listed_until(table, soon) == STEK_NO_KEY);
    step(year);
    CHECK(listed_until(table, soon) == STEK_NO_KEY);
    step(-year);
    CHECK(listed_until(table, soon) == STEK_NO_KEY); /* it ended by both clocks */
    CHECK(listed_until(table, later) == STEK_CURRENT);
    stekc_table_free(table);
}

/* Nothing comes back that had ended by the clock that was ahead while both agreed. */
static void ends_within_the_error_stay(void)
{
    struct stekc_table *table = whole_table();
    int64_t end;

    step(CLOCK_ERROR / 2);
    end = wall();
    CHECK(listed_until(table, end) == STEK_NO_KEY);
    step(hour);
    stekc_table_hold_time(table);
    step(-hour - CLOCK_ERROR / 2);
    CHECK(listed_until(table, end) == STEK_NO_KEY);
    stekc_table_free(table);
}

/* Where the clocks do not agree nobody knows which is right. */
static void what_was_held_stays_as_long_as_the_clocks_disagree(void)
{
    struct stekc_table *table = whole_table();
    int64_t end;

    step(24 * hour); /* it was slow at the start, say */
    end = wall();
    CHECK(listed_until(table, end) == STEK_NO_KEY);
    step(-hour); /* and is wrong now */
    CHECK(listed_until(table, end) == STEK_NO_KEY);
    stekc_table_use_clock(table, STEK_CLOCK_BOOT);
    CHECK(listed_until(table, wall() + 1) == STEK_CURRENT);
    stekc_table_free(table);
}

/* ---- time namespaces ---- */

static int ours_in(struct stekc_table *table, uint64_t name_space, int64_t ahead)
{
    uint64_t here = by_hand.name_space;
    int64_t before = by_hand.name_space_ahead;
    int ours;

    by_hand.name_space = name_space;
    by_hand.name_space_ahead = ahead;
    ours = stekc_clocks_are_ours(&table->clocks);
    by_hand.name_space = here;
    by_hand.name_space_ahead = before;
    return ours;
}

static void clocks_of_another_time_namespace_are_told(void)
{
    struct stekc_table *table = new_table();

    CHECK(ours_in(table, 4026531834, 0));
    CHECK(!ours_in(table, 4026532000, 24 * hour));
    CHECK(!ours_in(table, 4026532000, -hour));
    CHECK(!ours_in(table, 0, 2 * NANOSECONDS));
    CHECK(ours_in(table, 4026532000, 0)); /* one without offsets */
    CHECK(ours_in(table, 0, 0));
}

static void steps_and_sleep_do_not_make_them_foreign(void)
{
    struct stekc_table *table = new_table();

    step(24 * hour); /* since time was held */
    CHECK(ours_in(table, 4026531834, 0));
    stekc_clocks_hold(&table->clocks);
    CHECK(ours_in(table, 0, 0) && !ours_in(table, 0, hour));
    sleep_for(24 * hour);
    CHECK(ours_in(table, 4026531834, 0));
    CHECK(ours_in(table, 0, 0) && !ours_in(table, 0, hour));
    by_hand.name_space = 1; /* and a kernel without such namespaces has none */
    stekc_clocks_start(&table->clocks);
    step(hour);
    CHECK(ours_in(table, 1, 0));
}

static void any_number_may_be_in_a_damaged_table(void)
{
    struct stekc_table *table = new_table();
    struct stek_now now;

    memset(&table->clocks, 0x7f, sizeof table->clocks);
    table->clocks.clock = STEK_CLOCK_BOTH;
    table->clocks.wall_offset = at_tick(wall()) - at_tick(by_hand.ran);
    now = stekc_table_now(table);
    CHECK(now.low >= table->clocks.low && now.low <= now.high);
    now = stekc_table_exactly_now(table);
    CHECK(now.low >= table->clocks.low && now.low <= now.high);
    for (int64_t any = INT64_MIN; any != 0; any = any < -1 ? any / 2 : 0) {
        table->clocks.boot_offset = table->clocks.wall_offset = table->clocks.boot_ahead = any;
        table->clocks.name_space = 0;
        CHECK(!stekc_clocks_are_ours(&table->clocks));
        table->clocks.high = INT64_MAX;
        stekc_clocks_hold(&table->clocks);
    }
}

int main(void)
{
    RUN(a_look_does_not_read_the_boot_clock);
    RUN(a_tick_between_both_clocks_is_seen);
    RUN(near_an_edge_time_is_exact);
    RUN(sleep_is_time_that_passes);
    RUN(steps_move_the_cautious_end_only);
    RUN(a_tick_is_not_before_what_was_held);
    RUN(undone_to_the_nanosecond_is_seen_when_time_is_held);
    RUN(other_clocks_hold_no_time);
    RUN(a_wrong_minute_is_forgotten_when_the_clock_is_right_again);
    RUN(ends_within_the_error_stay);
    RUN(what_was_held_stays_as_long_as_the_clocks_disagree);
    RUN(clocks_of_another_time_namespace_are_told);
    RUN(steps_and_sleep_do_not_make_them_foreign);
    RUN(any_number_may_be_in_a_damaged_table);
    RUN(without_coarse_clocks_the_exact_one_is_read);
    return 0;
}
