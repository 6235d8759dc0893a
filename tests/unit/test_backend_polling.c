// SPDX-License-Identifier: MIT
/*
 * test_backend_polling.c - when the worker sleeps, and what its window learns
 *
 * Time is the test's; a turn takes TURN_NS of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "polling.h"

#define TURN_NS 50

static struct polling p;
static struct vgpu_stats stats;
static uint64_t now;
static unsigned int clocks;

static void start(uint32_t limit_us)
{
	memset(&stats, 0, sizeof(stats));
	now = 1000000;
	clocks = 0;
	polling_init(&p, limit_us, &stats);
}

static bool turn(bool worked)
{
	now += TURN_NS;
	if (polling_turn(&p, worked))
		return true;
	clocks++;
	return !polling_sleep(&p, now);
}

/* Turns without work until it sleeps: how long that took. */
static uint64_t until_sleep(void)
{
	uint64_t from = now;

	while (turn(false))
		assert_true(now - from < 10000000000);
	return now - from;
}

/* Asleep: work comes after ns, and nothing more in the turn behind it. */
static void sleeps(uint64_t ns)
{
	now += ns;
	polling_woken(&p, now);
	turn(true);
}

/* What is between a window's end and the look at the clock that sees it. */
#define GRAIN (2 * POLLING_TURNS * TURN_NS)

static void window_starts_at_the_limit(void **state)
{
	(void)state;
	start(50);
	turn(true);
	assert_in_range(until_sleep(), 50000, 50000 + GRAIN);
	assert_int_equal(stats.polls_vain, 1);
}

static void never_polls_where_told_so(void **state)
{
	(void)state;
	start(0);
	assert_false(turn(true));
	for (int i = 0; i < 10; i++) {
		sleeps(10);
		assert_false(turn(false));
	}
	assert_int_equal(stats.polls_vain, 0);
	assert_int_equal(stats.polls_hit, 0);
	assert_int_equal(stats.sleeps, 10);
}

static void vain_polling_ends(void **state)
{
	(void)state;
	start(50);
	turn(true);
	until_sleep();
	sleeps(20000000);
	assert_int_equal(p.window_ns, 0);
	/* Asleep at once, as long as nothing comes sooner. */
	assert_false(turn(false));
	sleeps(60000);
	assert_int_equal(p.window_ns, 0);
	assert_int_equal(stats.polls_vain, 1);
}

/* An idle guest's requests: one window in POLLING_TRIAL of them. */
static void vain_polling_is_rare(void **state)
{
	uint64_t polled = 0;

	(void)state;
	start(50);
	turn(true);
	for (int i = 0; i < 10 * POLLING_TRIAL; i++) {
		polled += until_sleep();
		sleeps(1000000);
	}
	assert_in_range(stats.polls_vain, 10, 11);
	assert_in_range(polled, 10 * 50000,
			11 * (50000 + GRAIN) + 10 * POLLING_TRIAL * TURN_NS);
}

/* Work comes at once, and waking takes longer than the window may be. */
static void late_waking_hides_nothing(void **state)
{
	int n = 0;

	(void)state;
	start(50);
	p.window_ns = 0;
	turn(true);
	while (!turn(false)) {
		assert_in_range(n++, 0, POLLING_TRIAL);
		sleeps(80000);
	}
	for (int i = 0; i < 1000; i++) {
		turn(true);
		assert_true(turn(false));
	}
	assert_in_range(stats.sleeps, 1, POLLING_TRIAL);
}

static void window_grows_where_it_had_helped(void **state)
{
	static const uint64_t windows[] = {10000, 20000, 40000, 50000, 50000};

	(void)state;
	start(50);
	p.window_ns = 0;
	turn(true);
	for (int i = 0; i < 5; i++) {
		/* Always 48 microseconds behind the last work, or at once. */
		uint64_t polled = p.slept ? 0 : until_sleep();

		sleeps(polled < 48000 ? 48000 - polled : 0);
		if (p.window_ns == 50000)
			break;
		assert_int_equal(p.window_ns, windows[i]);
	}
	assert_int_equal(p.window_ns, 50000);
	/* From now on the work is seen without a sleep. */
	for (int i = 0; i < 100; i++) {
		for (int t = 0; t < 48000 / TURN_NS; t++)
			assert_true(turn(false));
		turn(true);
	}
	assert_int_equal(stats.polls_hit, 100);
	assert_int_equal(p.window_ns, 50000);
}

static void busy_turns_need_no_clock(void **state)
{
	(void)state;
	start(1000000);
	for (int i = 0; i < 100 * POLLING_TURNS; i++)
		assert_true(turn(i % 8 == 7));
	assert_int_equal(clocks, 100);
	assert_int_equal(stats.sleeps, 0);
	assert_int_equal(stats.polls_vain, 0);
	/* Seven turns without work before each that had some. */
	assert_int_equal(stats.polls_hit, 100 * POLLING_TURNS / 8);
}

/* Requests that come in a stream are no reason to sleep between them. */
static void work_starts_the_window_anew(void **state)
{
	(void)state;
	start(50);
	for (int i = 0; i < 50; i++) {
		for (int t = 0; t < 40000 / TURN_NS; t++)
			assert_true(turn(false));
		assert_true(turn(true));
	}
	assert_in_range(until_sleep(), 50000, 50000 + GRAIN);
}

static void other_wake_ups_change_nothing(void **state)
{
	(void)state;
	start(50);
	turn(true);
	until_sleep();
	/* The supervisor asked for something: back to sleep at once. */
	now += 1000;
	polling_woken(&p, now);
	assert_true(until_sleep() <= GRAIN);
	assert_int_equal(p.window_ns, 50000);
	assert_int_equal(stats.polls_vain, 1);
	assert_int_equal(stats.polls_hit, 0);
	/* And the wait counts from where it began. */
	sleeps(50000);
	assert_int_equal(p.window_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_starts_at_the_limit),
		cmocka_unit_test(never_polls_where_told_so),
		cmocka_unit_test(vain_polling_ends),
		cmocka_unit_test(vain_polling_is_rare),
		cmocka_unit_test(late_waking_hides_nothing),
		cmocka_unit_test(window_grows_where_it_had_helped),
		cmocka_unit_test(busy_turns_need_no_clock),
		cmocka_unit_test(work_starts_the_window_anew),
		cmocka_unit_test(other_wake_ups_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
