// SPDX-License-Identifier: MIT
/*
 * test_backend_arbiter.c - who gets the GPU, with the real thread and the real
 * descriptors
 *
 * The test plays the workers (arbiter_player.h). The policy alone is in
 * test_backend_sched.c, workers that do wrong in test_backend_hostile.c.
 */
#include "arbiter_player.h"

#include <sched.h>
#include <time.h>

static void one_client_gets_it(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_int_equal(lease_word(p.l), 0);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	assert_true(get(&p));
	assert_int_equal(lease_word(p.l), LEASE_HELD | LEASE_BUSY);
	assert_int_equal(use_of(&p).grants, 1);
	/* It keeps it, busy or not: nobody else wants it. */
	end(&p, false);
	assert_false(lease_sleep(p.l, false));
	assert_int_equal(use_of(&p).grants, 1);
	assert_true(start(&p));
	part(&p);
	arbiter_stop(a);
}

static void who_is_alone_and_uncapped_has_no_bound(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_int_equal(atomic_load(&p.l->bound_ns), ARBITER_BOUND_NS);
	assert_int_equal(atomic_load(&q.l->bound_ns), ARBITER_BOUND_NS);
	part(&q);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	arbiter_set(a, p.c, 256, 50);
	assert_int_equal(atomic_load(&p.l->bound_ns), ARBITER_BOUND_NS);
	arbiter_set(a, p.c, 256, 0);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	part(&p);
	arbiter_stop(a);
}

/* Nobody has to be woken for it, and it is not lost on the sleeper. */
static void idle_gpu_of_a_sleeper_is_taken(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	/* The wake of its own grant is there by then, if there was one. */
	assert_int_equal(use_of(&p).grants, 1);
	drain(p.fds.wake);
	end(&p, true);
	assert_false(lease_sleep(p.l, false));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & (LEASE_HELD | LEASE_ASLEEP),
			 LEASE_ASLEEP);
	assert_false(readable(p.fds.wake, 0));
	assert_false(start(&p));
	/* And back again. */
	end(&q, false);
	assert_false(lease_sleep(q.l, false));
	lease_awake(p.l);
	assert_true(get(&p));
	part_two(a, &p, &q);
}

/* An idle holder that is awake gives it back itself, when it is told. */
static void idle_holder_is_told_of_others(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	end(&p, true);
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	assert_true(start(&p));
	assert_int_equal(lease_word(q.l) & LEASE_HELD, 0);
	end(&p, false);
	assert_int_equal(lease_word(p.l) & LEASE_HELD, 0);
	assert_true(await(&q, LEASE_HELD | LEASE_CONTENDED, LEASE_HELD));
	part_two(a, &p, &q);
}

/* Its next grant finds it told of nothing, if nobody waits by then. */
static void contended_ends(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part(&q);
	assert_int_equal(lease_word(p.l) & LEASE_CONTENDED, 0);
	join(&q, a, 0, 256, 0);
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part_two(a, &p, &q);
}

/* Idle, awake, and deaf: its slice is the end of it, without a grace. */
static void idle_holder_that_keeps_it_loses_it(void **state)
{
	const struct sched_params no_grace = {
		.slice_ns = 2 * MS, .min_run_ns = MS / 2, .grace_ns = HOUR};
	struct arbiter *a = arbiter_start(&no_grace);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	end(&p, true);
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & LEASE_HELD, 0);
	part_two(a, &p, &q);
}

/* Others wait, too; but it has not even looked yet. */
static void a_grant_is_not_taken_from_a_sleeper(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q, r;

	(void)state;
	join_two(a, &p, &q);
	join(&r, a, 0, 256, 0);
	assert_true(get(&q));
	assert_true(lease_sleep(p.l, true));
	kick(&p);
	assert_true(await(&q, LEASE_CONTENDED, LEASE_CONTENDED));
	assert_true(want(&r));
	/* p's kick was before: it is first. */
	end(&q, false);
	assert_true(readable(p.fds.wake, TIMEOUT_MS));
	assert_int_equal(use_of(&r).grants, 0);
	assert_true(start(&p));
	part(&p);
	part(&q);
	part(&r);
	arbiter_stop(a);
}

static void idleness_is_not_charged(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t busy;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_true(get(&p));
	pass_time(20 * MS);
	end(&p, true);
	pass_time(200 * MS);
	busy = atomic_load(&p.l->busy_ns);
	assert_true(busy >= 20 * MS);
	assert_in_range(use_of(&p).used_ns, busy / 2, busy + 20 * MS);
	part(&p);
	arbiter_stop(a);
}

static uint64_t processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Kicks are not read, and still each is heard once. */
static void idle_arbiter_sleeps(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t t0;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_true(get(&p));
	/* The wake of its own grant is there by then, if there was one. */
	assert_int_equal(use_of(&p).grants, 1);
	t0 = processor_time();
	drain(p.fds.wake);
	assert_false(readable(p.fds.wake, 200));
	assert_true(processor_time() - t0 < 100 * MS);
	part(&p);
	arbiter_stop(a);
}

/*
 * Who is next is woken before its turn, to look for it awake; and is told where
 * that ends.
 */
static void who_is_next_is_woken_ahead(void **state)
{
	const struct sched_params no_grace = {
		.slice_ns = 20 * MS, .min_run_ns = MS / 2, .grace_ns = HOUR};
	struct arbiter *a = arbiter_start(&no_grace);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	assert_true(lease_sleep(q.l, true));
	kick(&q);
	assert_true(readable(q.fds.wake, TIMEOUT_MS));
	assert_int_equal(lease_word(q.l) & (LEASE_NEXT | LEASE_HELD),
			 LEASE_NEXT);
	lease_awake(q.l);
	end(&p, false);
	assert_true(await(&q, LEASE_NEXT | LEASE_HELD, LEASE_HELD));
	/* It goes while it is next. */
	assert_true(start(&q));
	assert_true(want(&p));
	assert_true(await(&p, LEASE_NEXT, LEASE_NEXT));
	part(&p);
	assert_true(use_of(&q).grants >= 1);
	part(&q);
	arbiter_stop(a);
}

/* Not at the end of the slice: that is not awaited. */
static void who_wakes_up_is_served_at_once(void **state)
{
	const struct sched_params unhurried = {.slice_ns = 2 * TIMEOUT_MS * MS,
					       .min_run_ns = MS / 2,
					       .grace_ns = 2 * MS};
	/* Of a heavy client; the more weight, the less credit. */
	const uint64_t credit =
		unhurried.slice_ns * SCHED_WEIGHT / SCHED_MAX_WEIGHT;
	struct arbiter *a = arbiter_start(&unhurried);
	struct player p, q;

	(void)state;
	join(&p, a, 0, SCHED_WEIGHT, 0);
	join(&q, a, 0, SCHED_MAX_WEIGHT, 0);
	assert_true(get(&p));
	/* More than half of that ahead of q. */
	pass_time(credit * 5 / 8);
	assert_true(want(&q));
	assert_true(await(&p, LEASE_LEAVE, LEASE_LEAVE));
	assert_false(start(&p));
	end(&p, true);
	assert_true(await(&q, LEASE_HELD, LEASE_HELD));
	part_two(a, &p, &q);
}

static void who_stays_too_long_gets_company(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & (LEASE_HELD | LEASE_LEAVE),
			 LEASE_HELD | LEASE_LEAVE);
	/* It went by slice and grace, not by p's leave. */
	assert_true(use_of(&q).wait_max_ns >= brisk.grace_ns);
	/* Both are charged; and when it leaves at last, it is heard. */
	assert_true(lease_end(p.l, true, true));
	assert_true(kick(&p));
	end(&q, false);
	assert_true(await(&p, LEASE_HELD | LEASE_LEAVE, LEASE_HELD));
	part_two(a, &p, &q);
}

static void a_dead_worker_frees_the_gpu(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	assert_true(get(&p));
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part(&p);
	assert_true(lease_word(q.l) & LEASE_HELD);
	part(&q);
	arbiter_stop(a);
}

static void gpus_are_independent(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, BACK_MAX_GPUS - 1, 256, 0);
	assert_true(get(&p));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l), LEASE_HELD | LEASE_BUSY);
	assert_int_equal(atomic_load(&q.l->bound_ns), 0);
	part_two(a, &p, &q);
}

/*
 * One who always has work: it works in steps, and when it is told leaves, and wants
 * more. By its own account it is busy all the time.
 */
static void toil(struct player *p)
{
	if (!(lease_word(p->l) & LEASE_LEAVE)) {
		if (!start(p))
			want(p);
	} else if (lease_end(p->l, true, true)) {
		kick(p);
	}
}

static void busy_pair(struct player *p, struct player *q, uint64_t ns)
{
	uint64_t to = clock_ns() + ns;

	while (clock_ns() < to) {
		toil(p);
		toil(q);
		sched_yield();
	}
}

/*
 * On a machine that is busy with other things this thread stands still now and
 * then, with whoever has the GPU, which is all charged to it: there is no grace. The
 * arbiter makes up for that in the turns that follow: so a part is looked at from
 * its begin, until it is right.
 */
static const struct sched_params fair = {
	.slice_ns = 5 * MS, .min_run_ns = MS / 2, .grace_ns = HOUR};
#define LONG_ENOUGH (300000 * MS)

static bool is_about(double is, double want)
{
	return is > want - 0.06 && is < want + 0.06;
}

/* Of what is charged to both from now on, p gets that part, by turns. */
static void part_is(struct player *p, struct player *q, double want)
{
	const struct arbiter_use p0 = use_of(p), q0 = use_of(q);
	const uint64_t give_up = clock_ns() + LONG_ENOUGH;
	struct arbiter_use p1, q1;
	double is;

	do {
		busy_pair(p, q, 150 * MS);
		p1 = use_of(p);
		q1 = use_of(q);
		is = (double)(p1.used_ns - p0.used_ns) /
		     (double)(p1.used_ns - p0.used_ns + q1.used_ns -
			      q0.used_ns);
		if (clock_ns() > give_up)
			fail_msg("part is %.3f, not %.3f", is, want);
	} while (p1.grants - p0.grants < 5 || q1.grants - q0.grants < 5 ||
		 !is_about(is, want));
}

static void busy_ones_share_by_weight_and_live(void **state)
{
	struct arbiter *a = arbiter_start(&fair);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 512, 0);
	part_is(&p, &q, 1. / 3);
	arbiter_set(a, p.c, 768, 0);
	arbiter_set(a, q.c, 256, 0);
	part_is(&p, &q, 3. / 4);
	part_two(a, &p, &q);
}

/* Alone, and still no more than its cap; what it overdrew is paid back. */
static void cap_holds_for_one_alone(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t t0, used, now;

	(void)state;
	join(&p, a, 0, 256, 25);
	used = use_of(&p).used_ns;
	t0 = clock_ns();
	do {
		uint64_t to = clock_ns() + 150 * MS;

		while (clock_ns() < to) {
			toil(&p);
			sched_yield();
		}
		now = clock_ns();
		assert_true(now - t0 < LONG_ENOUGH);
	} while (!is_about((double)(use_of(&p).used_ns - used) /
				   (double)(now - t0),
			   0.25));
	part(&p);
	arbiter_stop(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_client_gets_it),
		cmocka_unit_test(who_is_alone_and_uncapped_has_no_bound),
		cmocka_unit_test(idle_gpu_of_a_sleeper_is_taken),
		cmocka_unit_test(idle_holder_is_told_of_others),
		cmocka_unit_test(contended_ends),
		cmocka_unit_test(idle_holder_that_keeps_it_loses_it),
		cmocka_unit_test(a_grant_is_not_taken_from_a_sleeper),
		cmocka_unit_test(idleness_is_not_charged),
		cmocka_unit_test(idle_arbiter_sleeps),
		cmocka_unit_test(who_is_next_is_woken_ahead),
		cmocka_unit_test(who_wakes_up_is_served_at_once),
		cmocka_unit_test(who_stays_too_long_gets_company),
		cmocka_unit_test(a_dead_worker_frees_the_gpu),
		cmocka_unit_test(gpus_are_independent),
		cmocka_unit_test(busy_ones_share_by_weight_and_live),
		cmocka_unit_test(cap_holds_for_one_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
