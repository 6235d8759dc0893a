// SPDX-License-Identifier: MIT
/*
 * test_backend_sched.c - whose turn it is: the rules, one at a time
 *
 * What is charged is in test_backend_charge.c, shares over time are in
 * test_backend_shares.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched_steps.h"

static void idle_gpu_wants_nothing(void **state)
{
	(void)state;
	rests(NEVER);
	assert_false(sched_contended(&s));
}

static void alone_it_is_never_asked(void **state)
{
	(void)state;
	has_gpu(&a);
	assert_false(sched_contended(&s));
	rests(NEVER);
	now += HOUR;
	rests(NEVER);
	assert_int_equal(a.grants, 1);
	assert_int_equal(a.used_ns, HOUR);
}

static void two_take_turns_of_a_slice(void **state)
{
	(void)state;
	wake(&a);
	now += 1;
	wake(&b);
	decides(&a, NULL);
	assert_true(sched_contended(&s));
	rests(now + 5 * MS);
	now += 5 * MS - 1;
	rests(now + 1);
	now += 1;
	gives_way(&a, true);
	decides(&b, NULL);
	rests(now + 5 * MS);
	now += 5 * MS;
	gives_way(&b, true);
	decides(&a, NULL);
	assert_int_equal(b.wait_max_ns, 5 * MS);
	assert_int_equal(a.wait_max_ns, 5 * MS);
	assert_int_equal(a.used_ns, 5 * MS);
	assert_int_equal(b.used_ns, 5 * MS);
}

/* Three quarters for 768 of 1024: it is not sent away to be called back. */
static void heavy_one_stays_until_others_are_due(void **state)
{
	(void)state;
	sched_set(&s, &a, 768, 0, now);
	wake(&a);
	now += 1;
	wake(&b);
	decides(&a, NULL);
	now += 6 * MS;
	gives_way(&a, true);
	decides(&b, NULL);
	now += 5 * MS;
	gives_way(&b, true);
	decides(&a, NULL);
	rests(now + 9 * MS);
	now += 9 * MS;
	gives_way(&a, true);
	decides(&b, NULL);
}

static void waking_guest_is_served_at_once(void **state)
{
	(void)state;
	has_gpu(&a);
	now += SECOND;
	wake(&b);
	assert_true(b.boosted);
	gives_way(&a, true);
	decides(&b, NULL);
	assert_false(b.boosted);
	assert_int_equal(b.wait_ns, 0);
}

static void but_not_before_min_run(void **state)
{
	(void)state;
	has_gpu(&a);
	now += SECOND;
	wake(&b);
	gives_way(&a, true);
	decides(&b, NULL);
	left(&b, false);
	decides(&a, NULL);
	now += 100 * US;
	wake(&b);
	assert_true(b.boosted);
	rests(now + 400 * US);
	now += 400 * US;
	gives_way(&a, true);
	decides(&b, NULL);
}

/* First come, first served, whatever they weigh, and before all others. */
static void boosted_ones_queue(void **state)
{
	(void)state;
	has_gpu(&a);
	now += SECOND;
	sched_set(&s, &c, 1, 0, now);
	now += SECOND;
	wake(&b);
	now += 1;
	wake(&c);
	gives_way(&a, true);
	decides(&b, NULL);
	rests(now + 500 * US);
	now += 500 * US;
	gives_way(&b, true);
	decides(&c, NULL);
	/* b has had its boost, and is an ordinary one who is behind. */
	assert_false(b.boosted);
	rests(now + 5 * MS);
}

static void breath_is_no_idleness(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 5 * MS;
	gives_way(&b, false);
	decides(&a, NULL);
	now += 5 * MS + 10 * US;
	wake(&b);
	assert_false(b.boosted);
}

/* Who waits is not idle, however far behind. */
static void no_boost_for_who_used_its_share(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 50 * MS;
	gives_way(&b, false);
	decides(&a, NULL);
	now += 20 * MS;
	wake(&b);
	assert_false(b.boosted);
	rests(now + 30 * MS);
}

static void grace_then_beside(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 5 * MS;
	decides(NULL, &b);
	rests(now + 2 * MS);
	now += 2 * MS - 1;
	rests(now + 1);
	now += 1;
	decides(&a, NULL);
	assert_int_equal(b.state, SCHED_LEAVING);
	assert_int_equal(b.used_ns, 7 * MS);
	/* From now on both have it, and nobody waits. */
	now += 10 * MS;
	sched_claim(&s, &b, 17 * MS, now);
	sched_claim(&s, &a, 10 * MS, now);
	rests(NEVER);
	assert_int_equal(b.used_ns, 12 * MS);
	assert_int_equal(a.used_ns, 5 * MS);
	/* A third one has the grace of the second to wait, not of the first. */
	wake(&c);
	decides(NULL, &a);
	rests(now + 2 * MS);
	now += 2 * MS;
	decides(&c, NULL);
	now += 3 * MS + 1;
	left(&b, false);
	/* Nanoseconds that do not divide are nobody's loss. */
	assert_int_equal(a.used_ns + b.used_ns + c.used_ns, 22 * MS + 1);
	assert_in_range(c.used_ns, MS, MS + 1);
}

/* A long job is not paid for by the others; nor is it credit for its owner. */
static void heavy_one_gains_nothing_by_a_long_job(void **state)
{
	(void)state;
	sched_set(&s, &a, SCHED_MAX_WEIGHT, 0, now);
	has_gpu(&a);
	wake(&b);
	now += 5 * MS;
	decides(NULL, &a);
	now += 2 * MS;
	decides(&b, NULL);
	now += 60 * SECOND;
	sched_claim(&s, &b, 60 * SECOND, now);
	left(&a, true);
	gives_way(&b, true);
	decides(&a, NULL);
	/* It has a slice before b is due. */
	assert_in_range(sched_decide(&s, now).at, now + 5 * MS, now + 10 * MS);
}

static void added_one_has_neither_credit_nor_debt(void **state)
{
	struct sched_client d;

	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += HOUR;
	gives_way(&b, true);
	decides(&a, NULL);
	now += HOUR - MS;
	sched_remove(&s, &b, now);
	add(&d, 256, 0);
	wake(&d);
	assert_false(d.boosted);
	gives_way(&a, true);
	decides(&d, NULL);
	rests(now + 5 * MS);
}

/* Nor what one has just now who woke up behind. */
static void added_one_shares_no_boost(void **state)
{
	struct sched_client d;

	(void)state;
	has_gpu(&a);
	now += SECOND;
	wake(&b);
	gives_way(&a, true);
	decides(&b, NULL);
	now += 100 * US;
	add(&d, 256, 0);
	wake(&d);
	left(&b, false);
	decides(&a, NULL);
	rests(now + 5 * MS);
}

static void who_is_next_is_told(void **state)
{
	struct sched_decision d;

	(void)state;
	assert_null(sched_decide(&s, now).next);
	has_gpu(&a);
	assert_null(sched_decide(&s, now).next);
	wake(&b);
	now += MS;
	d = sched_decide(&s, now);
	assert_ptr_equal(d.next, &b);
	assert_int_equal(d.next_at, now + 4 * MS);
	now += 4 * MS;
	decides(NULL, &a);
	now += MS;
	d = sched_decide(&s, now);
	assert_ptr_equal(d.next, &b);
	assert_true(d.next_at <= now);
}

static void removed_in_any_state(void **state)
{
	(void)state;
	/* IDLE, and not there at all */
	sched_remove(&s, &c, now);
	sched_remove(&s, &c, now);
	/* WAITING */
	has_gpu(&a);
	wake(&b);
	sched_remove(&s, &b, now);
	assert_false(sched_contended(&s));
	now += HOUR;
	rests(NEVER);
	/* RUNNING */
	add(&b, 256, 0);
	wake(&b);
	sched_remove(&s, &a, now);
	decides(&b, NULL);
	/* LEAVING */
	add(&a, 256, 0);
	now += SECOND;
	wake(&a);
	decides(NULL, &b);
	rests(now + 2 * MS);
	sched_remove(&s, &b, now);
	decides(&a, NULL);
	sched_remove(&s, &a, now);
	rests(NEVER);
	assert_null(s.clients);
}

static void waiter_goes_away(void **state)
{
	(void)state;
	has_gpu(&a);
	wake(&b);
	now += MS;
	left(&b, false);
	assert_int_equal(b.state, SCHED_IDLING);
	assert_int_equal(b.wait_ns, MS);
	assert_false(sched_contended(&s));
	rests(NEVER);
}

static void calls_that_change_nothing(void **state)
{
	(void)state;
	left(&a, false);
	left(&a, true);
	assert_int_equal(a.state, SCHED_IDLING);
	has_gpu(&a);
	wake(&a);
	assert_int_equal(a.state, SCHED_RUNNING);
	wake(&b);
	now += MS;
	wake(&b);
	left(&b, true);
	assert_int_equal(b.since, now - MS);
	now += 4 * MS;
	decides(NULL, &a);
	wake(&a);
	assert_int_equal(a.state, SCHED_LEAVING);
}

static void clock_that_goes_backwards_stands_still(void **state)
{
	(void)state;
	has_gpu(&a);
	wake(&b);
	now += MS;
	rests(now + 4 * MS);
	sched_claim(&s, &a, 0, now - 10 * SECOND);
	assert_int_equal(sched_decide(&s, 0).at, now + 4 * MS);
	assert_int_equal(a.used_ns, MS);
	assert_int_equal(s.now, now);
}

static void weight_is_changed_live(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 8 * MS;
	/* b is 8 ms ahead: still so, in time of the GPU. */
	sched_set(&s, &b, 512, 0, now);
	gives_way(&b, true);
	decides(&a, NULL);
	rests(now + 5 * MS);
	sched_set(&s, &b, 64, 0, now);
	rests(now + 32 * MS);
	sched_set(&s, &a, 512, 0, now);
	rests(now + 64 * MS);
	sched_set(&s, &b, 1, 0, now);
	sched_set(&s, &b, SCHED_MAX_WEIGHT, 0, now);
	rests(now + 5 * MS);
	assert_int_equal(a.state, SCHED_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(idle_gpu_wants_nothing, start),
		cmocka_unit_test_setup(alone_it_is_never_asked, start),
		cmocka_unit_test_setup(two_take_turns_of_a_slice, start),
		cmocka_unit_test_setup(heavy_one_stays_until_others_are_due,
				       start),
		cmocka_unit_test_setup(waking_guest_is_served_at_once, start),
		cmocka_unit_test_setup(but_not_before_min_run, start),
		cmocka_unit_test_setup(boosted_ones_queue, start),
		cmocka_unit_test_setup(breath_is_no_idleness, start),
		cmocka_unit_test_setup(no_boost_for_who_used_its_share, start),
		cmocka_unit_test_setup(grace_then_beside, start),
		cmocka_unit_test_setup(heavy_one_gains_nothing_by_a_long_job,
				       start),
		cmocka_unit_test_setup(added_one_has_neither_credit_nor_debt,
				       start),
		cmocka_unit_test_setup(added_one_shares_no_boost, start),
		cmocka_unit_test_setup(who_is_next_is_told, start),
		cmocka_unit_test_setup(removed_in_any_state, start),
		cmocka_unit_test_setup(waiter_goes_away, start),
		cmocka_unit_test_setup(calls_that_change_nothing, start),
		cmocka_unit_test_setup(clock_that_goes_backwards_stands_still,
				       start),
		cmocka_unit_test_setup(weight_is_changed_live, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
