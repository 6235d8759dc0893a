// SPDX-License-Identifier: MIT
/*
 * bare_cpu.c - the peer where there is no GPU: the same addition by threads
 *
 * As many threads as the cpu engine starts, this one among them; they spin
 * between jobs, which no service could afford. For each size the faster of one
 * thread and all of them counts.
 */
#include "peer.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 256

/* @job: counts jobs; @done: threads that have done their part of it */
struct team {
	unsigned int threads;
	const float *a, *b;
	float *c;
	uint32_t n;
	uint32_t job;
	uint32_t done;
};

static struct team team;

static void add(const float *restrict a, const float *restrict b,
		float *restrict c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		c[i] = a[i] + b[i];
}

static void add_part(unsigned int part, unsigned int parts)
{
	uint32_t first = (uint64_t)team.n * part / parts;
	uint32_t end = (uint64_t)team.n * (part + 1) / parts;

	add(team.a + first, team.b + first, team.c + first, end - first);
}

static void *member(void *arg)
{
	unsigned int part = (uintptr_t)arg;

	for (uint32_t job = 1;; job++) {
		/* More threads than free processors: let the others run. */
		for (uint32_t spin = 1;
		     __atomic_load_n(&team.job, __ATOMIC_ACQUIRE) != job;
		     spin++)
			if (spin % 4096 == 0)
				sched_yield();
		add_part(part, team.threads);
		__atomic_add_fetch(&team.done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void add_alone(void)
{
	add_part(0, 1);
}

static void add_together(void)
{
	__atomic_store_n(&team.done, 0, __ATOMIC_RELAXED);
	__atomic_add_fetch(&team.job, 1, __ATOMIC_RELEASE);
	add_part(0, team.threads);
	for (uint32_t spin = 1;
	     __atomic_load_n(&team.done, __ATOMIC_ACQUIRE) != team.threads - 1;
	     spin++)
		if (spin % 4096 == 0)
			sched_yield();
}

static void measure(struct samples *s, const struct bench_plan *plan,
		    uint32_t ops, void (*fn)(void))
{
	uint64_t last, now;

	for (int i = 0; i < 3; i++)
		fn();
	samples_begin(s, plan->small_ops);
	last = bench_now();
	while (ops ? s->n < ops : samples_more(s, plan, team.n)) {
		fn();
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
}

static uint64_t mean(struct samples *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n; i++)
		sum += s->ns[i];
	return sum / s->n;
}

static bool one_size(struct results *r, const struct bench_plan *plan,
		     struct samples *s, uint32_t n)
{
	bool together = false;
	uint64_t alone;
	struct row *row;

	team.n = n;
	bench_fill((float *)team.a, (float *)team.b, team.c, n);
	if (team.threads > 1) {
		measure(s, plan, plan->trial_ops, add_alone);
		alone = mean(s);
		measure(s, plan, plan->trial_ops, add_together);
		together = mean(s) < alone;
	}
	measure(s, plan, 0, together ? add_together : add_alone);
	row = results_row(r, SECTION_BARE, "bare", s);
	row->elements = n;
	row->right = bench_check(team.c, n);
	snprintf(row->engine, sizeof(row->engine), "cpu");
	snprintf(row->variant, sizeof(row->variant), "%u threads",
		 together ? team.threads : 1);
	return row->right;
}

bool bare_cpu(struct results *r, const struct bench_plan *plan, char why[256])
{
	size_t bytes = plan->max_elements * sizeof(float);
	float *a = aligned_alloc(4096, bytes), *b = aligned_alloc(4096, bytes);
	struct samples s = {0};
	pthread_t thread;
	cpu_set_t set;

	team.a = a;
	team.b = b;
	team.c = aligned_alloc(4096, bytes);
	snprintf(why, 256, "out of memory or threads");
	if (!a || !b || !team.c || sched_getaffinity(0, sizeof(set), &set))
		return false;
	team.threads = CPU_COUNT(&set);
	if (team.threads > MAX_THREADS)
		team.threads = MAX_THREADS;
	for (uintptr_t i = 1; i < team.threads; i++)
		if (pthread_create(&thread, NULL, member, (void *)i))
			return false;
	for (unsigned int i = 0; i < bench_nr_sizes; i++) {
		if (bench_sizes[i] > plan->max_elements)
			break;
		if (!one_size(r, plan, &s, bench_sizes[i])) {
			snprintf(why, 256, "wrong sums");
			return false;
		}
	}
	/* The threads go with the process. */
	return true;
}
