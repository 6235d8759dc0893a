// SPDX-License-Identifier: MIT
/*
 * test_backend_gate.c - jobs between session and engine: their order, and the
 * GPU's way from hand to hand
 *
 * Clock, engine and arbiter as in gate_double.h. Bound and estimates are in
 * test_backend_estimates.c; what two sides do at once is in test_backend_lease.c.
 */
#include "clock.h"
#include "gate_double.h"

/* ---- no lease ----------------------------------------------------------- */

static void without_a_lease_all_go_in(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		work(i, i);
	engine_has("0 1 2 3");
	ends(2, 500);
	turn("2");
	assert_true(gate_busy_ns(g) == 500);
	ends(0, 0);
	ends(1, 0);
	ends(3, 250);
	turn("0 1 3");
	pass(1000);
	assert_true(gate_busy_ns(g) == 750);
	assert_true(gate_arm(g));
	assert_int_equal(armed, 0);
}

/* The clock is read when work begins and when it is over. */
static void alone_costs_no_clock(void **state)
{
	(void)state;
	grant();
	for (unsigned int i = 0; i < 8; i++)
		work(i, 1);
	assert_int_equal(clock_reads, 1);
	for (unsigned int i = 0; i < 7; i++) {
		char text[] = {'0' + i, '\0'};

		ends(i, 10);
		turn(text);
		turn("");
	}
	assert_int_equal(clock_reads, 1);
	ends(7, 0);
	turn("7");
	assert_int_equal(clock_reads, 2);
	for (int i = 0; i < 10; i++)
		turn("");
	assert_int_equal(clock_reads, 2);
	assert_false(kicked());
}

/* ---- a grant ------------------------------------------------------------ */

static void waits_for_the_grant(void **state)
{
	(void)state;
	work(0, 1);
	assert_true(kicked());
	assert_true(has(LEASE_WANT));
	work(1, 1);
	turn("");
	assert_false(kicked());
	engine_has("");
	assert_true(page.busy_since == 0);
	grant();
	assert_false(has(LEASE_WANT));
	turn("");
	engine_has("0 1");
	assert_true(has(LEASE_HELD | LEASE_BUSY));
	assert_true(page.busy_since == 1000000);
	/* It need not want what it has. */
	assert_false(has(LEASE_WANT));
	assert_false(kicked());
}

static void claims_what_it_used(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	work(1, 1);
	ends(0, 300);
	turn("0");
	assert_true(page.busy_since == 1000000);
	assert_true(page.busy_ns == 0);
	assert_true(gate_busy_ns(g) == 300);
	ends(1, 400);
	turn("1");
	assert_true(page.busy_since == 0);
	assert_true(page.busy_ns == 700);
	assert_false(has(LEASE_BUSY));
	assert_true(has(LEASE_HELD));
	pass(100);
	work(2, 1);
	ends(2, 1);
	turn("2");
	assert_true(page.busy_ns == 701);
}

/* From job to job the GPU is not let go, nor the time between them counted twice. */
static void next_job_goes_in_before_work_ends(void **state)
{
	(void)state;
	warm_up();
	work(0, 1);
	work(1, 1);
	engine_has("0");
	ends(0, 40000);
	turn("0");
	engine_has("1");
	assert_true(has(LEASE_BUSY));
	assert_true(page.busy_since == 1001000);
	ends(1, 40000);
	turn("1");
	assert_true(page.busy_ns == 81000);
}

/* ---- order -------------------------------------------------------------- */

static void order_is_kept(void **state)
{
	(void)state;
	warm_up();
	teach(1, 20000);
	teach(2, 1000);
	for (unsigned int i = 0; i < 3; i++)
		work(i, 1);
	/* There would be room for it, and behind it for the mark. */
	work(3, 2);
	mark(4, VGPU_OP_FENCE);
	turn("");
	engine_has("0 1");
	ends(0, 20000);
	turn("0");
	engine_has("1 2 3 4");
}

static void marks_need_no_gpu(void **state)
{
	(void)state;
	mark(0, VGPU_OP_FENCE);
	mark(1, VGPU_OP_EVENT_RECORD);
	mark(2, VGPU_OP_EVENT_WAIT);
	engine_has("0 1 2");
	assert_false(kicked());
	assert_int_equal(page.word, 0);
	/* The worker is woken by them as by any other job. */
	assert_true(gate_arm(g));
	assert_int_equal(armed, 1);
	gate_awake(g);
	/* But keep their place. */
	work(3, 1);
	assert_true(kicked());
	mark(4, VGPU_OP_FENCE);
	engine_has("0 1 2");
	ends(0, 5);
	ends(1, 5);
	ends(2, 5);
	turn("0 1 2");
	assert_true(gate_busy_ns(g) == 0);
	grant();
	turn("");
	engine_has("3 4");
	ends(3, 10);
	turn("3");
	/* The mark alone is no work. */
	assert_false(has(LEASE_BUSY));
	assert_true(page.busy_ns == 10);
	ends(4, 5);
	turn("4");
	assert_true(page.busy_ns == 10);
}

static void marks_do_not_fill_the_bound(void **state)
{
	(void)state;
	warm_up();
	teach(1, 25000);
	work(0, 1);
	for (unsigned int i = 1; i < 10; i++)
		mark(i, VGPU_OP_EVENT_RECORD);
	work(10, 1);
	work(11, 1);
	turn("");
	engine_has("0 1 2 3 4 5 6 7 8 9 10");
	/* Asked to leave, it lets marks in, and no work. */
	ends(0, 25000);
	assert_false(lease_leave(&page));
	turn("0");
	engine_has("1 2 3 4 5 6 7 8 9 10");
}

/* ---- giving it back ----------------------------------------------------- */

static void leaves_when_drained(void **state)
{
	(void)state;
	warm_up();
	teach(1, 10000);
	work(0, 1);
	work(1, 1);
	assert_false(lease_leave(&page));
	work(2, 1);
	engine_has("0 1");
	ends(0, 10000);
	turn("0");
	engine_has("1");
	assert_true(has(LEASE_HELD | LEASE_BUSY | LEASE_LEAVE));
	assert_false(kicked());
	ends(1, 10000);
	turn("1");
	assert_true(kicked());
	/* It says at once that it wants it back. */
	assert_int_equal(page.word, LEASE_WANT);
	engine_has("");
	grant();
	turn("");
	engine_has("2");
}

static void leaves_and_wants_nothing(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_false(lease_leave(&page));
	ends(0, 10);
	turn("0");
	assert_true(kicked());
	assert_int_equal(page.word, 0);
	turn("");
	assert_false(kicked());
}

/* Who was to leave may be the next one again. */
static void granted_while_leaving(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_false(lease_leave(&page));
	work(1, 1);
	engine_has("0");
	grant();
	turn("");
	engine_has("0 1");
	assert_false(kicked());
	assert_false(has(LEASE_WANT));
}

static void taken_while_idle(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	ends(0, 10);
	turn("0");
	assert_true(lease_leave(&page));
	turn("");
	assert_false(kicked());
	work(1, 1);
	assert_true(kicked());
	engine_has("");
	assert_true(has(LEASE_WANT));
}

static void keeps_for_a_while(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_false(lease_contend(&page, true));
	ends(0, 10);
	turn("0");
	pass(GATE_KEEP_NS - 1);
	turn("");
	assert_true(has(LEASE_HELD));
	/* The program has asked anew. */
	work(1, 1);
	engine_has("1");
	pass(GATE_KEEP_NS);
	turn("");
	assert_true(has(LEASE_HELD | LEASE_BUSY));
	ends(1, 0);
	turn("1");
	assert_true(has(LEASE_HELD));
	pass(GATE_KEEP_NS);
	assert_false(kicked());
	turn("");
	assert_false(has(LEASE_HELD));
	assert_true(kicked());
	turn("");
	assert_false(kicked());
}

static void keeps_where_nobody_waits(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	ends(0, 10);
	turn("0");
	pass(1000000000);
	turn("");
	assert_true(gate_arm(g));
	assert_true(has(LEASE_HELD));
	gate_awake(g);
	/* Then somebody does, and has waited long enough. */
	assert_false(lease_contend(&page, true));
	turn("");
	assert_false(has(LEASE_HELD));
	assert_true(kicked());
}

/* ---- sleep -------------------------------------------------------------- */

static void sleeps_on_no_gpu_that_others_want(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_false(lease_contend(&page, true));
	/* With work in the engine it does: the end of that wakes it. */
	assert_true(gate_arm(g));
	assert_int_equal(armed, 1);
	assert_true(has(LEASE_HELD | LEASE_ASLEEP));
	gate_awake(g);
	assert_false(has(LEASE_ASLEEP));
	ends(0, 10);
	assert_false(gate_arm(g));
	turn("0");
	assert_true(gate_arm(g));
	assert_true(kicked());
	assert_int_equal(page.word, LEASE_CONTENDED | LEASE_ASLEEP);
	assert_int_equal(armed, 2);
}

/* The arbiter takes it from one who sleeps on it. */
static void taken_while_asleep(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	ends(0, 10);
	turn("0");
	assert_true(gate_arm(g));
	assert_true(lease_contend(&page, true));
	gate_awake(g);
	work(1, 1);
	engine_has("");
	assert_true(kicked());
}

static void asleep_with_jobs_in_flight_is_to_leave(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_true(gate_arm(g));
	assert_false(lease_leave(&page));
	assert_false(woken());
	ends(0, 10);
	gate_awake(g);
	turn("0");
	assert_true(kicked());
	assert_int_equal(page.word, 0);
}

static void grant_wakes(void **state)
{
	(void)state;
	work(0, 1);
	assert_true(kicked());
	assert_true(gate_arm(g));
	assert_int_equal(armed, 0);
	assert_false(woken());
	grant();
	assert_true(woken());
	/* Others wait, and the worker has not looked yet: it is not taken. */
	assert_false(lease_contend(&page, true));
	gate_awake(g);
	gate_woken(g);
	assert_false(woken());
	turn("");
	engine_has("0");
}

/* Between the last look and sleep: the grant is not slept over. */
static void grant_before_sleep(void **state)
{
	(void)state;
	work(0, 1);
	turn("");
	grant();
	assert_false(lease_contend(&page, true));
	assert_false(woken());
	assert_false(gate_arm(g));
	assert_false(has(LEASE_ASLEEP));
	turn("");
	engine_has("0");
}

/* The grant has come and gone unseen: it is wanted again before sleep. */
static void taken_before_sleep(void **state)
{
	(void)state;
	work(0, 1);
	assert_true(kicked());
	turn("");
	grant();
	assert_true(lease_leave(&page));
	assert_int_equal(page.word, 0);
	assert_true(gate_arm(g));
	assert_true(kicked());
	assert_int_equal(page.word, LEASE_WANT | LEASE_ASLEEP);
	grant();
	assert_true(woken());
}

/* And where the arbiter took it from one that it had woken. */
static void taken_before_awake(void **state)
{
	(void)state;
	work(0, 1);
	assert_true(gate_arm(g));
	kicked();
	grant();
	assert_true(lease_leave(&page));
	gate_awake(g);
	turn("");
	assert_true(kicked());
	assert_true(has(LEASE_WANT));
}

/* What waits for the bound needs no grant, but the end of a job. */
static void sleeps_at_the_bound(void **state)
{
	(void)state;
	warm_up();
	work(0, 1);
	work(1, 1);
	/* Not before all that may has gone in. */
	assert_false(gate_arm(g));
	turn("");
	assert_true(gate_arm(g));
	assert_false(kicked());
	assert_int_equal(armed, 1);
	assert_false(has(LEASE_WANT));
	gate_awake(g);
	may_arm = false;
	assert_false(gate_arm(g));
	assert_false(has(LEASE_ASLEEP));
}

static bool urgent(void)
{
	return gate_urgent(g, clock_ns());
}

/* The worker looks on where sleep would cost the GPU time. */
static void some_things_are_urgent(void **state)
{
	(void)state;
	assert_false(urgent());
	/* Its turn comes. */
	work(0, 1);
	assert_false(urgent());
	lease_next(&page, true);
	assert_true(urgent());
	lease_next(&page, false);
	assert_false(urgent());
	/* Who is alone sleeps if it likes. */
	grant();
	turn("");
	assert_false(urgent());
	ends(0, 10);
	turn("0");
	page.bound_ns = BOUND;
	teach(3, 10);
	teach(1, 1000000);
	teach(2, BOUND / 2);
	/* Longer work is, where others wait for it. */
	work(1, 1);
	assert_false(urgent());
	work(2, 1);
	assert_true(urgent());
	ends(1, 1000000);
	turn("1");
	assert_false(urgent());
	assert_false(lease_leave(&page));
	assert_true(urgent());
	/* And no more when it takes longer than was thought. */
	pass(GATE_SHORT_NS + 1);
	assert_false(urgent());
	ends(2, 1000000);
	turn("2");
	assert_false(urgent());
	/* Short work is, always. */
	grant();
	teach(3, 10);
	work(3, 2);
	assert_true(urgent());
	ends(3, 1000);
	turn("3");
	assert_false(urgent());
}

/* ---- the engine is lost ------------------------------------------------- */

static void lost(void **state)
{
	(void)state;
	grant();
	work(0, 1);
	assert_false(lease_leave(&page));
	work(1, 1);
	mark(2, VGPU_OP_FENCE);
	work(3, 1);
	job(1)->status = job(2)->status = job(3)->status = VGPU_RSP_OK;
	job(3)->time_ns = 7;
	gate_lose(g);
	assert_false(gate_arm(g));
	ends(0, 10);
	turn("0 1 2 3");
	assert_int_equal(job(0)->status, VGPU_RSP_OK);
	for (int i = 1; i < 4; i++)
		assert_int_equal(job(i)->status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(job(3)->time_ns, 0);
	assert_true(kicked());
	assert_int_equal(page.word, 0);
	assert_true(gate_arm(g));
	/* And what comes later. */
	gate_awake(g);
	mark(4, VGPU_OP_FENCE);
	work(5, 1);
	engine_has("");
	assert_false(has(LEASE_WANT));
	turn("4 5");
	turn("");
}

int main(void)
{
#define LEASED(f) cmocka_unit_test_setup_teardown(f, setup_lease, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_lease_all_go_in,
						setup_alone, teardown),
		LEASED(alone_costs_no_clock),
		LEASED(waits_for_the_grant),
		LEASED(claims_what_it_used),
		LEASED(next_job_goes_in_before_work_ends),
		LEASED(order_is_kept),
		LEASED(marks_need_no_gpu),
		LEASED(marks_do_not_fill_the_bound),
		LEASED(leaves_when_drained),
		LEASED(leaves_and_wants_nothing),
		LEASED(granted_while_leaving),
		LEASED(taken_while_idle),
		LEASED(keeps_for_a_while),
		LEASED(keeps_where_nobody_waits),
		LEASED(sleeps_on_no_gpu_that_others_want),
		LEASED(taken_while_asleep),
		LEASED(asleep_with_jobs_in_flight_is_to_leave),
		LEASED(grant_wakes),
		LEASED(grant_before_sleep),
		LEASED(taken_before_sleep),
		LEASED(taken_before_awake),
		LEASED(sleeps_at_the_bound),
		LEASED(some_things_are_urgent),
		LEASED(lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
