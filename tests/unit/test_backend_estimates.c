// SPDX-License-Identifier: MIT
/*
 * test_backend_estimates.c - how much work goes into the engine at a time: the
 * bound, and what jobs are taken for
 *
 * Clock, engine and arbiter as in gate_double.h.
 */
#include "gate_double.h"
#include "gate_kinds.h"

static void unseen_kind_is_alone(void **state)
{
	(void)state;
	warm_up();
	work(0, 1);
	work(1, 1);
	engine_has("0");
	ends(0, 10000);
	turn("0");
	engine_has("1");
	/* What is known now does not go in beside what is not. */
	work(2, 2);
	ends(1, 10000);
	turn("1");
	engine_has("2");
	work(3, 1);
	engine_has("2");
}

static void bound_is_kept(void **state)
{
	(void)state;
	warm_up();
	teach(1, 10000);
	for (unsigned int i = 0; i < 8; i++)
		work(i, 1);
	/* One half, and then the other. */
	engine_has("0 1");
	turn("");
	engine_has("0 1 2 3 4");
	ends(0, 10000);
	turn("0");
	engine_has("1 2 3 4 5");
	/* Every one more needs one less. */
	turn("");
	engine_has("1 2 3 4 5");
}

/* Or the GPU would idle from the end of one to the next. */
static void short_jobs_go_in_pairs(void **state)
{
	(void)state;
	warm_up();
	teach(1, 40000);
	teach(2, 50000);
	for (unsigned int i = 0; i < 3; i++)
		work(i, 1);
	engine_has("0");
	turn("");
	engine_has("0 1");
	work(3, 2);
	ends(0, 40000);
	turn("0");
	engine_has("1 2");
	ends(1, 40000);
	turn("1");
	/* As long as the bound is not short. */
	engine_has("2");
}

static void long_jobs_go_one_by_one(void **state)
{
	(void)state;
	warm_up();
	teach(1, 1000000);
	work(0, 1);
	work(1, 1);
	engine_has("0");
	ends(0, 1000000);
	turn("0");
	engine_has("1");
}

static void estimates_follow(void **state)
{
	(void)state;
	warm_up();
	teach(1, 40000);
	/* It has become shorter: three at a time, after a while. */
	for (int i = 0; i < 20; i++)
		teach(1, 16000);
	for (unsigned int i = 0; i < 5; i++)
		work(i, 1);
	turn("");
	engine_has("0 1 2");
	/* And longer, when it took longer in a batch. */
	for (unsigned int i = 0; i < 3; i++)
		ends(i, 200000);
	turn("0 1 2");
	engine_has("3");
}

/* Of jobs that come back together, the long one is told the most. */
static void batch_is_divided_by_estimates(void **state)
{
	(void)state;
	warm_up();
	teach(1, 40000);
	teach(2, 4000);
	for (int i = 0; i < 20; i++) {
		work(0, 1);
		work(1, 2);
		turn("");
		engine_has("0 1");
		ends(0, 22000);
		ends(1, 0);
		turn("0 1");
	}
	/* 20 us and 2 us. */
	work(0, 1);
	work(1, 1);
	work(2, 2);
	work(3, 2);
	work(4, 2);
	work(5, 2);
	turn("");
	engine_has("0 1 2 3 4 5");
	work(6, 2);
	work(7, 2);
	engine_has("0 1 2 3 4 5");
}

/* The GPU's change of hands takes longer than many jobs. */
static void first_after_a_grant_teaches_nothing(void **state)
{
	(void)state;
	warm_up();
	teach(1, 20000);
	assert_true(lease_leave(&page));
	work(0, 1);
	assert_true(kicked());
	grant();
	turn("");
	ends(0, 140000);
	turn("0");
	work(1, 1);
	work(2, 1);
	work(3, 1);
	turn("");
	engine_has("1 2");
}

static void kinds_differ(void **state)
{
	struct vgpu_engine_function f[2];

	(void)state;
	warm_up();
	for (unsigned int i = 0; i < 6; i++) {
		struct vgpu_engine_launch *l = &job(i)->launch;

		job(i)->op = VGPU_OP_LAUNCH;
		l->function = &f[i == 1];
		for (int d = 0; d < 3; d++)
			l->grid[d] = l->block[d] = 8;
	}
	/* Other function, grid, op; and what is all the same. */
	job(2)->launch.grid[1] = 16;
	job(3)->op = VGPU_OP_FILL;
	job(4)->launch.grid[1] = 9;
	for (unsigned int i = 0; i < 4; i++) {
		const char *text[] = {"0", "1", "2", "3"};

		submit(i);
		/* Each is alone: none is of a kind seen before. */
		engine_has(text[i]);
		submit(5);
		engine_has(text[i]);
		ends(i, 10000);
		turn(text[i]);
		engine_has("5");
		ends(5, 10000);
		turn("5");
	}
	submit(4);
	submit(5);
	engine_has("4 5");
}

/* More kinds than there is room for: forgotten, never mistaken. */
static void many_kinds(void **state)
{
	unsigned int known = 0;

	(void)state;
	warm_up();
	for (unsigned int i = 0; i < 2000; i++)
		teach(i, 1000);
	for (unsigned int i = 0; i < 2000; i++) {
		work(0, i);
		work(1, i);
		known += job(0)->next == job(1);
		ends(0, 1000);
		turn("0");
		ends(1, 1000);
		turn("1");
	}
	assert_in_range(known, 1, GATE_KINDS);
}

/* The kinds were not measured before: a second device has come. */
static void bound_comes_later(void **state)
{
	(void)state;
	grant();
	work(9, 1);
	ends(9, 10);
	turn("9");
	for (unsigned int i = 0; i < 3; i++)
		work(i, 1);
	engine_has("0 1 2");
	ends(0, 3000);
	turn("0");
	page.bound_ns = BOUND;
	work(3, 1);
	work(4, 1);
	ends(1, 900000);
	ends(2, 0);
	turn("1 2");
	ends(3, 10000);
	turn("3");
	/* The long time before was no time of one job. */
	engine_has("4");
	ends(4, 10000);
	turn("4");
	for (unsigned int i = 0; i < 6; i++)
		work(i, 1);
	turn("");
	engine_has("0 1 2 3 4");
}

static uint64_t estimate(unsigned int n)
{
	return gate_estimate(g, gate_key(job(n)), 0);
}

/* Neither the time between jobs nor that behind marks is lost or added. */
static void time_is_told_to_its_jobs(void **state)
{
	(void)state;
	warm_up();
	work(0, 1);
	mark(1, VGPU_OP_FENCE);
	ends(1, 9000);
	turn("1");
	ends(0, 1000);
	turn("0");
	assert_true(estimate(0) == 10000);
	pass(500000);
	work(0, 1);
	ends(0, 10000);
	turn("0");
	assert_true(estimate(0) == 10000);
	/* As long as nobody measured it is nobody's. */
	page.bound_ns = 0;
	work(2, 2);
	work(3, 2);
	ends(2, 900000);
	turn("2");
	page.bound_ns = BOUND;
	work(0, 1);
	engine_has("3 0");
	ends(0, 1000);
	turn("0");
	ends(3, 1000);
	turn("3");
	assert_true(estimate(0) == 10000);
	assert_true(estimate(2) == 0);
}

static void no_number_is_too_large(void **state)
{
	(void)state;
	warm_up();
	/* A kind that was not estimated when it went in. */
	page.bound_ns = 0;
	work(0, 1);
	page.bound_ns = UINT64_MAX;
	ends(0, 1000);
	turn("0");
	assert_true(estimate(0) == 0);
	teach(1, 2000);
	assert_true(estimate(0) == 2000);
	work(2, 2);
	ends(2, 1000000000000);
	turn("2");
	assert_true(estimate(2) == GATE_MAX_NS);
	work(3, 3);
	ends(3, 0);
	turn("3");
	assert_true(estimate(3) == 1);
}

static bool same_kind(const struct vgpu_job *a, const struct vgpu_job *b)
{
	return gate_key(a) == gate_key(b);
}

static void kinds_are_of_a_size(void **state)
{
	struct vgpu_engine_mem mem = {.bytes = 4096}, more = {.bytes = 8192};
	struct vgpu_sgemm p = {.m = 64, .n = 64, .k = 64}, q = p;
	struct vgpu_job a = {.op = VGPU_OP_COPY}, b;

	(void)state;
	a.operand[0].count = a.operand[1].count = 1000;
	b = a;
	b.operand[1].count = 1001;
	assert_true(same_kind(&a, &b));
	b.operand[1].count = 2000;
	assert_false(same_kind(&a, &b));
	b = a;
	b.operand[1].mem = &mem;
	assert_false(same_kind(&a, &b));
	b = a;
	b.op = VGPU_OP_FILL;
	assert_false(same_kind(&a, &b));
	a.op = b.op = VGPU_OP_MEM_ALLOC;
	a.mem = &mem;
	b.mem = &more;
	assert_false(same_kind(&a, &b));
	a.op = b.op = VGPU_OP_BUILTIN;
	a.sgemm = &p;
	b.sgemm = &q;
	assert_true(same_kind(&a, &b));
	q.k = 128;
	assert_false(same_kind(&a, &b));
}

int main(void)
{
#define LEASED(f) cmocka_unit_test_setup_teardown(f, setup_lease, teardown)
	const struct CMUnitTest tests[] = {
		LEASED(unseen_kind_is_alone),
		LEASED(bound_is_kept),
		LEASED(short_jobs_go_in_pairs),
		LEASED(long_jobs_go_one_by_one),
		LEASED(estimates_follow),
		LEASED(batch_is_divided_by_estimates),
		LEASED(first_after_a_grant_teaches_nothing),
		LEASED(kinds_differ),
		LEASED(many_kinds),
		LEASED(bound_comes_later),
		LEASED(time_is_told_to_its_jobs),
		LEASED(no_number_is_too_large),
		LEASED(kinds_are_of_a_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
