/*
 * clock_test.c - the time of a table while clocks step and the system sleeps, with
 * clocks of our own.
 */
#define _GNU_SOURCE
#include <time.h>

static int clock_by_hand(clockid_t id, struct timespec *out);
#define clock_gettime clock_by_hand
#include "../../clock.c"
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
    out->tv_sec = time / NANOSECONDS;
    out->tv_nsec = time % NANOSECONDS;
    return 0;
}

/* new_table has no keys: time is all that is asked of it. */
static struct stekc_table *new_table(void)
{
    static struct stekc_table table;

    memset(&by_hand, 0, sizeof by_hand);
    by_hand.coarse = 1;
    by_hand.ran = hour + TICK / 3;
    by_hand.slept = 7 * hour;
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
    RUN(any_number_may_be_in_a_damaged_table);
    RUN(without_coarse_clocks_the_exact_one_is_read);
    return 0;
}
