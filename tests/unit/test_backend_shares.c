// SPDX-License-Identifier: MIT
/*
 * test_backend_shares.c - who gets how much of the GPU, and who waits how long,
 * when guests, workers and arbiter go on for a while (tests/sim/play.h)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define US 1000ULL
#define MS 1000000ULL
#define SECOND 1000000000ULL
#define SWITCH (120 * US)
#define MOST 64

static struct play p;
static struct play_guest guests[MOST];
static uint64_t worst[MOST];

static void waited(struct play_guest *g, uint64_t ns)
{
	if (ns > worst[g - guests])
		worst[g - guests] = ns;
}

static void start(unsigned int n)
{
	memset(guests, 0, sizeof(guests));
	memset(worst, 0, sizeof(worst));
	play_init(&p, guests, n, SWITCH);
	p.waited = waited;
}

static struct play_guest *busy(unsigned int i, uint64_t job_ns, uint32_t weight,
			       uint32_t cap)
{
	guests[i].job_ns = job_ns;
	play_guest_add(&p, &guests[i], weight, cap);
	return &guests[i];
}

static struct play_guest *sporadic(unsigned int i, uint64_t job_ns,
				   uint64_t think_ns)
{
	guests[i].think_ns = think_ns;
	guests[i].starts_at = SECOND;
	return busy(i, job_ns, 256, 0);
}

/* In 1/1000 of the time since. */
static uint64_t share(const struct play_guest *g, uint64_t since)
{
	return (g->client.used_ns * 1000 + (p.now - since) / 2) /
	       (p.now - since);
}

static void by_weight(uint32_t a, uint32_t b, uint32_t c, uint64_t job_ns,
		      uint64_t until)
{
	const uint32_t weight[] = {a, b, c};
	uint64_t sum = (uint64_t)a + b + c;

	start(3);
	for (unsigned int i = 0; i < 3; i++)
		busy(i, job_ns, weight[i], 0);
	play_run(&p, until);
	assert_int_equal(p.idle_ns, 0);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t due = (__uint128_t)p.now * weight[i] / sum;

		assert_in_range(guests[i].client.used_ns, due - due / 100 - 1,
				due + due / 100 + 1);
	}
}

static void shares_are_by_weight(void **state)
{
	(void)state;
	by_weight(256, 256, 256, 20 * US, 20 * SECOND);
	by_weight(128, 256, 512, 20 * US, 20 * SECOND);
	by_weight(1, 2, 3, 1 * MS, 20 * SECOND);
	by_weight(SCHED_MAX_WEIGHT, 1000, 256, 400 * US, 900 * SECOND);
	by_weight(100, 10, 1, 300 * US, 100 * SECOND);
}

/* A job costs what it took, not one. */
static void length_of_jobs_does_not_matter(void **state)
{
	(void)state;
	start(4);
	busy(0, 10 * US, 256, 0);
	busy(1, 100 * US, 256, 0);
	busy(2, 700 * US, 256, 0);
	busy(3, 1900 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	for (unsigned int i = 0; i < 4; i++)
		assert_in_range(share(&guests[i], 0), 248, 252);
}

/* Longer than slice and grace together: the others are let in beside them. */
static void long_jobs_keep_nobody_out(void **state)
{
	(void)state;
	start(3);
	busy(0, 10 * SECOND, 256, 0);
	busy(1, 20 * US, 256, 0);
	busy(2, 20 * US, 256, 0);
	play_run(&p, 60 * SECOND);
	assert_true(share(&guests[1], 0) > 200);
	assert_true(share(&guests[2], 0) > 200);
	assert_true(worst[1] < 20 * MS);
	assert_true(worst[2] < 20 * MS);
	assert_true(guests[0].work_ns > 10 * SECOND);
}

static void nothing_lies_idle(void **state)
{
	(void)state;
	start(4);
	busy(0, 20 * US, 1, 0);
	busy(1, 20 * US, SCHED_MAX_WEIGHT, 1);
	sporadic(2, 50 * US, 20 * MS);
	sporadic(3, 50 * US, 20 * MS);
	play_run(&p, 20 * SECOND);
	assert_int_equal(p.idle_ns, 0);
	assert_true(share(&guests[0], 0) > 950);
}

static void caps_hold(uint32_t cap, uint32_t weight, uint64_t job_ns)
{
	start(3);
	busy(0, job_ns, weight, cap);
	busy(1, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	assert_int_equal(p.idle_ns, 0);
	assert_in_range(share(&guests[0], 0), cap * 10 - cap / 2 - 1,
			cap * 10 + 2);
}

static void capped_one_gets_its_cap_and_no_more(void **state)
{
	(void)state;
	for (uint32_t cap = 1; cap <= 45; cap += 11)
		caps_hold(cap, 256, 20 * US);
	caps_hold(50, 2048, 20 * US);
	caps_hold(80, SCHED_MAX_WEIGHT, 1 * MS);
	caps_hold(10, 256, 10 * MS);
	/* Where nobody else wants the rest, it stays unused. */
	start(1);
	busy(0, 20 * US, 256, 25);
	play_run(&p, 20 * SECOND);
	assert_in_range(share(&guests[0], 0), 245, 252);
	assert_in_range(p.idle_ns, 14 * SECOND, 16 * SECOND);
	/* Of 100 nothing does. */
	start(1);
	busy(0, 20 * US, 256, 100);
	play_run(&p, 20 * SECOND);
	assert_int_equal(p.idle_ns, 0);
}

/* Its share, where that is less than its cap: a round is longer than a period. */
static void cap_takes_nothing_from_a_share(void **state)
{
	(void)state;
	start(10);
	busy(0, 20 * US, 256, 12);
	for (unsigned int i = 1; i < 10; i++)
		busy(i, 20 * US, 256, 0);
	play_run(&p, 50 * SECOND);
	assert_in_range(share(&guests[0], 0), 98, 102);
	/* In turns as long as the others', not in crumbs. */
	assert_in_range(guests[0].client.grants, 900, 1100);
}

/* Over any time: what is saved up and what a job overdraws come on top. */
static void cap_holds_at_all_times(void **state)
{
	uint64_t used = 0;

	(void)state;
	start(2);
	busy(0, 200 * US, 256, 30);
	sporadic(1, 50 * US, 7 * MS);
	for (uint64_t at = 30 * MS; at < 5 * SECOND; at += 30 * MS) {
		play_run(&p, at);
		assert_true(guests[0].client.used_ns - used <=
			    18 * MS + 200 * US);
		used = guests[0].client.used_ns;
	}
}

/*
 * docs/scheduling.md: min_run, or grace for what is in flight, and a switch; each
 * guest that woke up before it adds as much.
 */
#define WAKE_BOUND (500 * US + 2 * MS + SWITCH)

static void waking_guest_waits_no_longer_than_said(void **state)
{
	static const uint64_t jobs[] = {10 * US, 20 * US, 1 * MS, 5 * MS,
					500 * MS};

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		start(21);
		sporadic(0, 50 * US, 40 * MS);
		for (unsigned int j = 1; j < 21; j++)
			busy(j, jobs[i], 256, 0);
		play_run(&p, 20 * SECOND);
		assert_true(guests[0].work_ns > 300 * 50 * US);
		assert_true(worst[0] <= WAKE_BOUND);
	}
	/* What is in flight of short jobs is bounded, and min_run was long ago. */
	start(2);
	sporadic(0, 50 * US, 40 * MS);
	busy(1, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	assert_true(worst[0] <= PLAY_BOUND_NS + 20 * US + SWITCH);
}

static void many_that_wake_wait_for_each_other_only(void **state)
{
	const unsigned int wakers = 20;

	(void)state;
	start(wakers + 4);
	for (unsigned int i = 0; i < wakers; i++)
		sporadic(i, 50 * US, 200 * MS);
	for (unsigned int i = wakers; i < wakers + 4; i++)
		busy(i, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	for (unsigned int i = 0; i < wakers; i++)
		assert_true(worst[i] <= wakers * (500 * US + SWITCH + 70 * US));
}

/* Some 3,000 times a second, for all of the GPU's time or for little of it. */
static void who_wakes_often_gets_no_more_than_its_share(void **state)
{
	(void)state;
	start(2);
	sporadic(0, 320 * US, 10 * US);
	busy(1, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	assert_in_range(share(&guests[0], 0), 1, 505);
	assert_true(share(&guests[1], 0) >= 495);
	start(2);
	sporadic(0, 10 * US, 320 * US);
	busy(1, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	assert_true(share(&guests[1], 0) >= 495);
	/* min_run bounds what the switches cost. */
	assert_true(p.lost_ns < p.now * 2 / 5);
}

/* However many wake up however often: who is busy has its share. */
static void busy_one_is_not_starved(void **state)
{
	(void)state;
	start(33);
	for (unsigned int i = 0; i < 32; i++)
		sporadic(i, 100 * US, 300 * US);
	busy(32, 20 * US, 256, 0);
	play_run(&p, 20 * SECOND);
	assert_true(share(&guests[32], 0) >= 30);
	/* It has the share of 8 of 40. */
	start(33);
	for (unsigned int i = 0; i < 32; i++)
		sporadic(i, 100 * US, 300 * US);
	busy(32, 20 * US, 2048, 0);
	play_run(&p, 20 * SECOND);
	assert_true(share(&guests[32], 0) >= 199);
}

/*
 * Who says that it never did anything has no more than its share of a crowd; and
 * where it was alone it has what an idle one has: a slice of credit.
 */
static void liar_gains_nothing(void **state)
{
	(void)state;
	start(3);
	for (unsigned int i = 0; i < 3; i++)
		busy(i, 20 * US, 256, 0);
	guests[0].hides = true;
	play_run(&p, 20 * SECOND);
	assert_in_range(share(&guests[0], 0), 330, 336);
	start(2);
	busy(0, 20 * US, 256, 0)->hides = true;
	sporadic(1, 20 * MS, 20 * MS);
	play_run(&p, 20 * SECOND);
	assert_true(guests[0].client.used_ns <
		    guests[1].client.used_ns + 10 * MS);
}

static void weights_change_while_all_are_busy(void **state)
{
	uint64_t before[2];

	(void)state;
	start(2);
	busy(0, 20 * US, 256, 0);
	busy(1, 20 * US, 256, 0);
	play_run(&p, 10 * SECOND);
	for (unsigned int i = 0; i < 2; i++)
		before[i] = guests[i].client.used_ns;
	assert_in_range(before[0], 4950 * MS, 5050 * MS);
	sched_set(&p.sched, &guests[0].client, 1024, 0, p.now);
	play_run(&p, 20 * SECOND);
	assert_in_range(guests[0].client.used_ns - before[0], 7920 * MS,
			8080 * MS);
	assert_in_range(guests[1].client.used_ns - before[1], 1980 * MS,
			2020 * MS);
}

static void guests_come_and_go(void **state)
{
	(void)state;
	start(4);
	busy(0, 500 * US, 256, 0);
	busy(1, 500 * US, 256, 0);
	play_run(&p, 3600 * SECOND);
	busy(2, 20 * US, 256, 0);
	busy(3, 20 * US, 256, 0);
	play_run(&p, 3610 * SECOND);
	assert_in_range(guests[2].client.used_ns, 2475 * MS, 2525 * MS);
	assert_in_range(guests[3].client.used_ns, 2475 * MS, 2525 * MS);
	assert_true(worst[2] < 30 * MS);
	sched_remove(&p.sched, &guests[0].client, p.now);
	memset(&guests[0], 0, sizeof(guests[0]));
	play_run(&p, 3620 * SECOND);
	assert_in_range(guests[3].client.used_ns, 5775 * MS, 5895 * MS);
}

/* As with 97 per cent of one alone on a real GPU: 5 ms, and 120 us between. */
static void switches_cost_little(void **state)
{
	(void)state;
	start(10);
	for (unsigned int i = 0; i < 10; i++)
		busy(i, 20 * US, 256, 0);
	play_run(&p, 10 * SECOND);
	assert_true(p.lost_ns < p.now / 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_by_weight),
		cmocka_unit_test(length_of_jobs_does_not_matter),
		cmocka_unit_test(long_jobs_keep_nobody_out),
		cmocka_unit_test(nothing_lies_idle),
		cmocka_unit_test(capped_one_gets_its_cap_and_no_more),
		cmocka_unit_test(cap_takes_nothing_from_a_share),
		cmocka_unit_test(cap_holds_at_all_times),
		cmocka_unit_test(waking_guest_waits_no_longer_than_said),
		cmocka_unit_test(many_that_wake_wait_for_each_other_only),
		cmocka_unit_test(who_wakes_often_gets_no_more_than_its_share),
		cmocka_unit_test(busy_one_is_not_starved),
		cmocka_unit_test(liar_gains_nothing),
		cmocka_unit_test(weights_change_while_all_are_busy),
		cmocka_unit_test(guests_come_and_go),
		cmocka_unit_test(switches_cost_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
