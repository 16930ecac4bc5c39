/*
 * clock.c - what time it is for the keys of a table: by the wall clock and by the
 * boot clock, which no step of the wall clock moves.
 *
 * Every word is atomic: the one writer of the table writes them, readers in other
 * threads and processes read them.
 */
#define _GNU_SOURCE
#include "table.h"

#include <sys/stat.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000)

/* Two clocks that are no further apart than this agree, ns. */
#define CLOCK_ERROR (60 * NANOSECONDS)

/* The coarse clocks are 30 ns cheaper than the exact ones, and behind them by a
   tick, which is at most 10 ms. So close to where a window begins or ends the boot
   clock is asked exactly. The wall clock is not, and so that its being behind does
   not count as a step back, it begins windows up to so much too early. */
#define COARSE INT64_C(20000000)

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * NANOSECONDS + t.tv_nsec;
}

static void store(_Atomic int64_t *word, int64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static int64_t load(const _Atomic int64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* sum and difference may be of anything: others can write to an inherited table. */
static int64_t sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* stekc_clocks_copy: wall_offset last. A reader who finds it right must find this
   boot_ahead, or a later one. */
void stekc_clocks_copy(struct stekc_clocks *to, const struct stekc_clocks *from)
{
    store(&to->boot_ahead, load(&from->boot_ahead));
    store(&to->wall_offset, load(&from->wall_offset));
    store(&to->boot_offset, load(&from->boot_offset));
    store(&to->edge, load(&from->edge));
    store(&to->low, load(&from->low));
    store(&to->high, load(&from->high));
    atomic_store(&to->name_space, atomic_load(&from->name_space));
    atomic_store(&to->clock, atomic_load(&from->clock));
}

/* ---- whose clocks they are ---- */

/* time_namespace is the number of this process's time namespace, see
   time_namespaces(7): boot clocks of two can be apart, the wall clock is one for all.
   1 if the kernel has no such namespaces, 0 if it cannot be told. */
static uint64_t time_namespace(void)
{
    struct stat status;

    if (stat("/proc/self/ns/time", &status) == 0)
        return status.st_ino;
    return stat("/proc/self/ns", &status) == 0;
}

/* stekc_clocks_are_ours: the wall clock is as far from the boot clock here as it was for
   the writer. If the wall clock was set since the writer compared them last, the time
   namespace tells. No table outlives a boot: its file is in memory. */
int stekc_clocks_are_ours(const struct stekc_clocks *clocks)
{
    int64_t there = difference(load(&clocks->wall_offset), load(&clocks->boot_ahead));
    int64_t here = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME);
    int64_t apart = difference(here, there);
    uint64_t name_space;

    if (-NANOSECONDS < apart && apart < NANOSECONDS)
        return 1;
    name_space = time_namespace();
    return name_space != 0 && name_space == atomic_load(&clocks->name_space);
}

void stekc_clocks_own(struct stekc_clocks *clocks)
{
    atomic_store(&clocks->name_space, time_namespace());
}

/* ---- what time it is ---- */

/* exact_boot is what the boot clock says of the wall clock. */
static int64_t exact_boot(const struct stekc_clocks *clocks)
{
    return sum(read_clock(CLOCK_BOOTTIME), load(&clocks->boot_offset));
}

/* The kernel's last tick, by two clocks. */
struct tick {
    int64_t monotonic;
    int64_t wall;
};

/* last_tick asks one clock, and the other one if that has moved since this thread
   asked last: what sets the wall clock moves the monotonic one to the instant of that,
   if the system's clock source is finer than a tick; else it shows a tick later. The
   monotonic one is first: a tick between both is not taken for the tick before. */
static struct tick last_tick(void)
{
    static _Thread_local struct tick last;
    int64_t monotonic = read_clock(CLOCK_MONOTONIC_COARSE);

    if (last.monotonic != monotonic || monotonic == 0) {
        last.wall = read_clock(CLOCK_REALTIME_COARSE);
        last.monotonic = monotonic;
    }
    return last;
}

/* coarse_boot is the same by the tick, for which the kernel has no clock. It
   follows from the monotonic clock, unless the system was suspended since the two
   were compared last: that, and a step of the wall clock, shows in wall_offset. */
static int64_t coarse_boot(const struct stekc_clocks *clocks, struct tick tick)
{
    if (tick.monotonic == 0 || tick.wall - tick.monotonic != load(&clocks->wall_offset))
        return exact_boot(clocks);
    return sum(sum(tick.monotonic, load(&clocks->boot_ahead)), load(&clocks->boot_offset));
}

/* compare notes how far the wall clock and the boot clock are from the monotonic
   one. If the system is suspended between the readings, wall_offset is not that of
   now, and readers take the exact clock until the next time. */
static void compare(struct stekc_clocks *clocks)
{
    int64_t wall = read_clock(CLOCK_REALTIME_COARSE);
    int64_t wall_offset = wall - read_clock(CLOCK_MONOTONIC_COARSE);
    int64_t boot_ahead = INT64_MIN;

    for (int i = 0; i < 3; i++) { /* a delay makes it too small: the largest is the truest */
        int64_t boot = read_clock(CLOCK_BOOTTIME);
        int64_t ahead = boot - read_clock(CLOCK_MONOTONIC);

        boot_ahead = ahead > boot_ahead ? ahead : boot_ahead;
    }
    store(&clocks->boot_ahead, boot_ahead);
    store(&clocks->wall_offset, wall_offset);
}

static struct stek_now now_of(const struct stekc_clocks *clocks, int64_t wall, int64_t boot)
{
    struct stek_now now = {boot, boot};
    int64_t low = load(&clocks->low), high = load(&clocks->high);

    if (atomic_load_explicit(&clocks->clock, memory_order_acquire) == STEK_CLOCK_BOTH) {
        if (wall < sum(boot, -COARSE))
            now.low = wall + COARSE;
        else if (wall > boot)
            now.high = wall;
    }
    now.low = now.low < low ? low : now.low;
    now.high = now.high < high ? high : now.high;
    return now;
}

static struct stek_now exactly_now(const struct stekc_clocks *clocks)
{
    return now_of(clocks, read_clock(CLOCK_REALTIME_COARSE), exact_boot(clocks));
}

/* let_go holds no time any more. */
static void let_go(struct stekc_clocks *clocks)
{
    store(&clocks->low, INT64_MIN);
    store(&clocks->high, INT64_MIN);
    store(&clocks->edge, INT64_MIN); /* not known */
}

void stekc_clocks_start(struct stekc_clocks *clocks)
{
    stekc_clocks_own(clocks);
    store(&clocks->boot_offset, read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME));
    compare(clocks);
    atomic_store(&clocks->clock, STEK_CLOCK_BOTH);
    let_go(clocks);
}

void stekc_clocks_use(struct stekc_clocks *clocks, int clock)
{
    if (atomic_exchange(&clocks->clock, (uint64_t)clock) != (uint64_t)clock)
        let_go(clocks);
}

void stekc_clocks_set_edge(struct stekc_clocks *clocks, int64_t edge)
{
    store(&clocks->edge, edge);
}

/* forget_error: if time was held far ahead of both clocks, and these agree, the wall
   clock was wrong then. Held time stays ahead of them by as much as they may be wrong
   when they agree: so what has ended by them does not come back. */
static void forget_error(struct stekc_clocks *clocks)
{
    int64_t wall = read_clock(CLOCK_REALTIME_COARSE), boot = exact_boot(clocks);
    int64_t first = wall < boot ? wall : boot, last = wall < boot ? boot : wall;

    if (atomic_load(&clocks->clock) == STEK_CLOCK_BOTH && difference(last, first) < CLOCK_ERROR &&
        load(&clocks->high) > sum(first, CLOCK_ERROR))
        store(&clocks->high, sum(first, CLOCK_ERROR));
}

struct stek_now stekc_clocks_hold(struct stekc_clocks *clocks)
{
    struct stek_now now;

    compare(clocks);
    forget_error(clocks);
    now = exactly_now(clocks);
    store(&clocks->low, now.low);
    store(&clocks->high, now.high);
    return now;
}

struct stek_now stekc_table_now(const struct stekc_table *table)
{
    struct tick tick = last_tick();
    struct stek_now now = now_of(&table->clocks, tick.wall, coarse_boot(&table->clocks, tick));

    if (sum(now.high, COARSE) >= load(&table->clocks.edge))
        return exactly_now(&table->clocks);
    return now;
}

struct stek_now stekc_table_exactly_now(const struct stekc_table *table)
{
    return exactly_now(&table->clocks);
}
