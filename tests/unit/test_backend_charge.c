// SPDX-License-Identifier: MIT
/*
 * test_backend_charge.c - what a client of the scheduler is charged for, claims,
 * credit, debt and caps; and that nothing breaks it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched_steps.h"

static void alone_it_pays_what_it_claims(void **state)
{
	(void)state;
	has_gpu(&a);
	now += 10 * MS;
	sched_claim(&s, &a, 3 * MS, now);
	assert_int_equal(a.used_ns, 3 * MS);
	now += 10 * MS;
	sched_claim(&s, &a, 4 * MS, now);
	assert_int_equal(a.used_ns, 4 * MS);
	/* The claim may come after it has left. */
	now += 10 * MS;
	left(&a, false);
	now += MS;
	sched_claim(&s, &a, 5 * MS, now);
	assert_int_equal(a.used_ns, 5 * MS);
}

/* It kept an idle GPU, and is behind all the same when it wakes up. */
static void who_claims_little_is_behind(void **state)
{
	(void)state;
	has_gpu(&a);
	now += SECOND;
	sched_claim(&s, &a, 100 * MS, now);
	wake(&b);
	gives_way(&a, false);
	decides(&b, NULL);
	now += MS;
	wake(&a);
	assert_true(a.boosted);
}

static void claims_are_not_believed(void **state)
{
	(void)state;
	has_gpu(&a);
	now += 10 * MS;
	sched_claim(&s, &a, UINT64_MAX, now);
	assert_int_equal(a.used_ns, 10 * MS);
	now += 10 * MS;
	sched_claim(&s, &a, 0, now);
	assert_int_equal(a.used_ns, 10 * MS);
	sched_claim(&s, &a, UINT64_MAX, now);
	assert_int_equal(a.used_ns, 10 * MS);
	/* b waits: now it is charged for the time, whatever it says. */
	wake(&b);
	now += 4 * MS;
	sched_claim(&s, &a, 0, now);
	sched_claim(&s, &a, UINT64_MAX, now);
	sched_claim(&s, &a, 0, now);
	assert_int_equal(a.used_ns, 14 * MS);
	/* Nor does what one says who has not got it. */
	sched_claim(&s, &c, SECOND, now);
	assert_int_equal(c.used_ns, 0);
}

/* Two hours of claiming nothing are worth a slice, as two hours of idleness. */
static void claims_of_nothing_are_credit_of_a_slice(void **state)
{
	(void)state;
	has_gpu(&a);
	now += 2 * HOUR;
	sched_claim(&s, &a, 0, now);
	assert_int_equal(a.used_ns, 0);
	wake(&b);
	decides(NULL, &a);
	left(&a, true);
	decides(&b, NULL);
	rests(now + 5 * MS);
}

static void hours_of_idleness_are_credit_of_a_slice(void **state)
{
	(void)state;
	has_gpu(&a);
	now += 10 * HOUR;
	wake(&b);
	gives_way(&a, true);
	decides(&b, NULL);
	rests(now + 5 * MS);
	now += 5 * MS;
	gives_way(&b, true);
	decides(&a, NULL);
	rests(now + 5 * MS);
}

/* The same where the GPU had nothing to do at all. */
static void debts_end_while_nobody_wants_it(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 60 * SECOND;
	gives_way(&b, false);
	left(&a, false);
	now += 61 * SECOND;
	wake(&b);
	wake(&a);
	assert_true(b.boosted);
	decides(&b, NULL);
	rests(now + 500 * US);
}

/* Nor do they where somebody waits, and the arbiter is late. */
static void late_grant_is_no_forgiveness(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 60 * MS;
	gives_way(&b, true);
	now += SECOND;
	decides(&a, NULL);
	rests(now + 60 * MS);
}

static void debts_are_paid(void **state)
{
	(void)state;
	wake(&a);
	wake(&b);
	decides(&b, NULL);
	now += 60 * SECOND;
	gives_way(&b, true);
	decides(&a, NULL);
	rests(now + 60 * SECOND);
}

static void capped_one_stops_where_nobody_waits(void **state)
{
	(void)state;
	sched_set(&s, &a, 256, 50, now);
	has_gpu(&a);
	/* 15 ms, and the half of what passes meanwhile. */
	rests(now + 30 * MS);
	now += 30 * MS;
	gives_way(&a, true);
	assert_false(sched_contended(&s));
	/* Not in crumbs: when there is enough for a slice. */
	rests(now + 10 * MS);
	now += 9 * MS;
	rests(now + MS);
	now += MS;
	decides(&a, NULL);
	rests(now + 10 * MS);
}

static void capped_one_pays_what_it_claims(void **state)
{
	(void)state;
	sched_set(&s, &a, 256, 50, now);
	has_gpu(&a);
	now += 30 * MS;
	sched_claim(&s, &a, 3 * MS, now);
	rests(now + 30 * MS);
	now += HOUR;
	sched_claim(&s, &a, 4 * MS, now);
	rests(now + 30 * MS);
}

/* What is reckoned comes true later where two have the GPU, but it does. */
static void cap_is_used_up_beside_another(void **state)
{
	struct sched_decision d;
	int looks = 0;

	(void)state;
	sched_set(&s, &b, 256, 20, now);
	wake(&a);
	now += 1;
	wake(&b);
	decides(&a, NULL);
	now += 5 * MS;
	decides(NULL, &a);
	now += 2 * MS;
	decides(&b, NULL);
	for (d = sched_decide(&s, now); !d.leave; d = sched_decide(&s, now)) {
		assert_true(++looks < 100);
		now = d.at;
	}
	assert_ptr_equal(d.leave, &b);
}

static void long_job_is_paid_back(void **state)
{
	(void)state;
	sched_set(&s, &a, 256, 10, now);
	has_gpu(&a);
	now += SECOND;
	sched_claim(&s, &a, SECOND, now);
	gives_way(&a, true);
	/* 3 ms and 100 are paid, 897 owed, and 1.5 wanted: at 10 per cent. */
	rests(now + 8985 * MS);
	now += 8985 * MS;
	decides(&a, NULL);
}

/* To its cap; but not to who comes after what nobody else wanted. */
static void long_job_alone_is_no_debt_to_others(void **state)
{
	(void)state;
	sched_set(&s, &a, 16, 90, now);
	has_gpu(&a);
	now += 300 * MS;
	decides(NULL, &a);
	now += 9 * SECOND;
	wake(&b);
	now += 2 * MS;
	decides(&b, NULL);
	left(&a, true);
	/* b has its credit: a slice. */
	assert_in_range(a.vtime - b.vtime, 0, 6 * MS + 2 * MS * 16);
	assert_true(a.parked);
}

static void parked_one_waits_for_nobody(void **state)
{
	uint64_t at;

	(void)state;
	sched_set(&s, &a, 256, 10, now);
	has_gpu(&a);
	now += 4 * MS;
	gives_way(&a, true);
	has_gpu(&b);
	assert_false(sched_contended(&s));
	/* Its time comes, though b is alone so far. */
	at = sched_decide(&s, now).at;
	assert_in_range(at, now + 10 * MS, now + 30 * MS);
	now = at;
	gives_way(&b, true);
	decides(&a, NULL);
}

static void cap_is_changed_live(void **state)
{
	(void)state;
	has_gpu(&a);
	now += HOUR;
	sched_set(&s, &a, 256, 1, now);
	/* A cap counts from now on: min_run at first, for no crumb is granted. */
	rests(now + 500 * US * 100 / 99 + 1);
	now += SECOND;
	gives_way(&a, true);
	assert_true(a.parked);
	rests(sched_decide(&s, now).at);
	sched_set(&s, &a, 256, 0, now);
	decides(&a, NULL);
	rests(NEVER);
	sched_set(&s, &a, 256, 100, now);
	now += HOUR;
	rests(NEVER);
	assert_false(a.parked);
	/* Nothing is saved up beyond what the new cap gives. */
	sched_set(&s, &a, 256, 20, now);
	rests(now + 6 * MS * 100 / 80);
}

static void nothing_overflows(void **state)
{
	static const uint32_t weights[] = {1, SCHED_MAX_WEIGHT, 256};
	struct sched_client *clients[] = {&a, &b, &c};
	struct sched_decision d;

	(void)state;
	for (int i = 0; i < 3; i++)
		sched_set(&s, clients[i], weights[i], 0, now);
	/* Long enough for the virtual time of weight 1 to wrap around. */
	has_gpu(&a);
	for (int day = 0; day < 5 * 365; day++) {
		now += 24 * HOUR;
		sched_claim(&s, &a, now - 10 * SECOND, now);
		rests(NEVER);
	}
	assert_int_equal(a.used_ns, 5 * YEAR);
	wake(&b);
	now += 1;
	wake(&c);
	assert_true(b.boosted);
	gives_way(&a, true);
	decides(&b, NULL);
	now += 500 * US;
	gives_way(&b, true);
	decides(&c, NULL);
	now = UINT64_MAX - YEAR;
	left(&c, true);
	do {
		d = sched_decide(&s, now);
		if (d.leave)
			left(d.leave, true);
	} while (d.leave || d.grant);
	assert_in_range(d.at, now + 1, now + SECOND * 3600);
}

/* Not behind, for all that its virtual time has wrapped around. */
static void never_leaves(uint32_t weight)
{
	sched_set(&s, &a, weight, 1, now);
	sched_set(&s, &b, SCHED_MAX_WEIGHT, 0, now);
	has_gpu(&a);
	wake(&b);
	now += 5 * MS;
	decides(NULL, &a);
	now += 2 * MS;
	decides(&b, NULL);
	for (int day = 0; day < 18 * 365; day++) {
		now += 24 * HOUR;
		rests(NEVER);
		assert_true((int64_t)(a.vtime - s.vtime) > 0);
	}
	sched_set(&s, &a, 1, 1, now);
	left(&a, true);
	now += SECOND;
	rests(sched_decide(&s, now).at);
	assert_true((int64_t)(a.vtime - s.vtime) > 0);
	assert_true(a.parked);
	left(&a, false);
	left(&b, false);
}

static void who_never_leaves_is_far_ahead(void **state)
{
	start(state);
	never_leaves(1);
	start(state);
	never_leaves(256);
}

/* One claim in eight years, in which what is given back, weighted, is 2^64. */
static void claim_after_years(void **state)
{
	(void)state;
	sched_set(&s, &a, 1, 0, now);
	has_gpu(&a);
	while (now < 8 * YEAR) {
		now += 24 * HOUR;
		rests(NEVER);
	}
	sched_claim(&s, &a, a.used_ns - (1ULL << 56), now);
	assert_int_equal(a.used_ns, a.claimed_ns);
	assert_int_equal(s.vtime - a.vtime, 5 * MS * 256);
}

/* A step of time that, weighted, would be 2^64. */
static void no_step_is_too_long(void **state)
{
	(void)state;
	sched_set(&s, &a, 1, 50, now);
	wake(&a);
	now += 1;
	wake(&b);
	decides(&a, NULL);
	now += 1ULL << 56;
	gives_way(&a, true);
	assert_true(a.parked);
	decides(&b, NULL);
	sched_set(&s, &a, 1, 0, now);
	/* It looks no further ahead than numbers go. */
	assert_in_range(sched_decide(&s, now).at, now + 1000 * SECOND,
			now + 1200 * SECOND);
}

/* Hundreds of looks a slice, of which none is a nanosecond of virtual time. */
static void crumbs_of_time_count(void **state)
{
	(void)state;
	sched_set(&s, &a, SCHED_MAX_WEIGHT, 0, now);
	sched_set(&s, &b, SCHED_MAX_WEIGHT, 0, now);
	wake(&a);
	now += 1;
	wake(&b);
	decides(&a, NULL);
	for (int i = 0; i < 100000; i++) {
		now += 100;
		sched_claim(&s, &a, 0, now);
	}
	gives_way(&a, true);
	decides(&b, NULL);
	assert_in_range(sched_decide(&s, now).at, now + 9990 * US,
			now + 10 * MS);
}

static uint64_t seed = 88172645463325252;

static uint64_t random_of(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

#define CROWD 12

static void anything_happens(struct sched_client *client, bool *there)
{
	uint32_t weight = 1 + random_of(random_of(2) ? 1000 : SCHED_MAX_WEIGHT);
	uint32_t cap = random_of(2) ? random_of(101) : 0;

	if (!*there) {
		add(client, weight, cap);
		*there = true;
		return;
	}
	switch (random_of(10)) {
	case 0:
		sched_remove(&s, client, now);
		*there = false;
		break;
	case 1:
		sched_set(&s, client, weight, cap, now);
		break;
	case 2:
		sched_claim(&s, client, random_of(2) ? seed : now, now);
		break;
	case 3:
	case 4:
	case 5:
		left(client, random_of(2));
		break;
	default:
		wake(client);
	}
}

static void holds(const struct sched_decision *d)
{
	unsigned int running = 0;
	unsigned int waiting = 0;
	bool grace = false;

	for (struct sched_client *i = s.clients; i; i = i->next) {
		int64_t slice = (int64_t)(params.slice_ns * 256 / i->weight);

		running += i->state == SCHED_RUNNING;
		waiting += i->state == SCHED_WAITING && !i->parked;
		grace |= i->state == SCHED_LEAVING &&
			 i->since + params.grace_ns > now;
		/* The credit of who does not compete. */
		if (i->state == SCHED_IDLING || i->state == SCHED_LEAVING)
			assert_true((int64_t)(i->vtime - s.vtime) >= -slice);
	}
	assert_true(running <= 1);
	assert_false(d->grant && d->leave);
	if (d->grant || d->leave)
		return;
	/* It does not lie idle, and the policy does not ask for ever. */
	assert_true(running || !waiting || grace);
	assert_true(d->at > now);
	assert_true(d->at < NEVER || !waiting);
}

static void whatever_happens(void **state)
{
	static struct sched_client crowd[CROWD];
	bool there[CROWD] = {false};
	uint64_t began;

	(void)state;
	sched_remove(&s, &a, now);
	sched_remove(&s, &b, now);
	sched_remove(&s, &c, now);
	began = now;
	for (int i = 0; i < 400000; i++) {
		unsigned int who = random_of(CROWD);
		struct sched_decision d;
		uint64_t used = 0;

		now += random_of(3) ? random_of(300 * US) : random_of(20 * MS);
		anything_happens(&crowd[who], &there[who]);
		do {
			d = sched_decide(&s, now);
			holds(&d);
		} while (d.grant || d.leave);
		for (struct sched_client *j = s.clients; j; j = j->next)
			used += j->used_ns;
		assert_true(used <= now - began);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(alone_it_pays_what_it_claims, start),
		cmocka_unit_test_setup(who_claims_little_is_behind, start),
		cmocka_unit_test_setup(claims_are_not_believed, start),
		cmocka_unit_test_setup(claims_of_nothing_are_credit_of_a_slice,
				       start),
		cmocka_unit_test_setup(hours_of_idleness_are_credit_of_a_slice,
				       start),
		cmocka_unit_test_setup(debts_end_while_nobody_wants_it, start),
		cmocka_unit_test_setup(late_grant_is_no_forgiveness, start),
		cmocka_unit_test_setup(debts_are_paid, start),
		cmocka_unit_test_setup(capped_one_stops_where_nobody_waits,
				       start),
		cmocka_unit_test_setup(capped_one_pays_what_it_claims, start),
		cmocka_unit_test_setup(cap_is_used_up_beside_another, start),
		cmocka_unit_test_setup(long_job_is_paid_back, start),
		cmocka_unit_test_setup(long_job_alone_is_no_debt_to_others,
				       start),
		cmocka_unit_test_setup(parked_one_waits_for_nobody, start),
		cmocka_unit_test_setup(cap_is_changed_live, start),
		cmocka_unit_test_setup(nothing_overflows, start),
		cmocka_unit_test_setup(who_never_leaves_is_far_ahead, start),
		cmocka_unit_test_setup(claim_after_years, start),
		cmocka_unit_test_setup(no_step_is_too_long, start),
		cmocka_unit_test_setup(crumbs_of_time_count, start),
		cmocka_unit_test_setup(whatever_happens, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
