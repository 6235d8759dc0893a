/* SPDX-License-Identifier: MIT */
/*
 * sched_steps.h - three clients and a clock, for the tests of backend/sched.c
 *
 * Included by one file a program, behind cmocka.h. Time is the test's.
 */
#ifndef VGPU_TESTS_SCHED_STEPS_H
#define VGPU_TESTS_SCHED_STEPS_H

#include <string.h>

#include "sched.h"

#define US 1000ULL
#define MS 1000000ULL
#define SECOND 1000000000ULL
#define HOUR (3600 * SECOND)
#define YEAR (365 * 24 * HOUR)
#define NEVER UINT64_MAX

static const struct sched_params params = {
	.slice_ns = 5 * MS,
	.min_run_ns = MS / 2,
	.grace_ns = 2 * MS,
};

static struct sched s;
static struct sched_client a, b, c;
static uint64_t now;

static inline void add(struct sched_client *client, uint32_t weight,
		       uint32_t cap)
{
	memset(client, 0, sizeof(*client));
	sched_add(&s, client, weight, cap, now);
}

static inline int start(void **state)
{
	(void)state;
	sched_init(&s, &params);
	now = 10 * SECOND;
	add(&a, 256, 0);
	add(&b, 256, 0);
	add(&c, 256, 0);
	return 0;
}

static inline void wake(struct sched_client *client)
{
	sched_wake(&s, client, now);
}

static inline void left(struct sched_client *client, bool wants)
{
	sched_left(&s, client, wants, now);
}

/* The next thing to do is exactly this. */
static inline void decides(struct sched_client *grant,
			   struct sched_client *leave)
{
	struct sched_decision d = sched_decide(&s, now);

	assert_ptr_equal(d.grant, grant);
	assert_ptr_equal(d.leave, leave);
}

/* Nothing to do until then. */
static inline void rests(uint64_t at)
{
	struct sched_decision d = sched_decide(&s, now);

	assert_null(d.grant);
	assert_null(d.leave);
	assert_int_equal(d.at, at);
}

/* It has the GPU, all alone, from now on. */
static inline void has_gpu(struct sched_client *client)
{
	wake(client);
	decides(client, NULL);
	assert_int_equal(client->state, SCHED_RUNNING);
}

/* It is asked, and leaves at once. */
static inline void gives_way(struct sched_client *client, bool wants)
{
	decides(NULL, client);
	assert_int_equal(client->state, SCHED_LEAVING);
	left(client, wants);
}

#endif /* VGPU_TESTS_SCHED_STEPS_H */
