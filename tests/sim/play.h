/* SPDX-License-Identifier: MIT */
/*
 * play.h - guests, workers and one GPU that play along with the policy
 *
 * For tests and the simulator: backend/sched.c decides here as it does in the
 * arbiter, but time is a number, a job is a time of the GPU, and a worker does
 * what its gate does (backend/gate.h): it keeps no more than a bound of work in
 * flight, and finishes that when it is asked to leave. Jobs that are on the GPU
 * together share it evenly, as the driver's slices would.
 */
#ifndef VGPU_TESTS_SIM_PLAY_H
#define VGPU_TESTS_SIM_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "sched.h"

/* backend/arbiter.h's */
#define PLAY_BOUND_NS 50000
#define PLAY_PARAMS                                                            \
	{                                                                      \
		.slice_ns = 5000000, .min_run_ns = 500000, .grace_ns = 2000000 \
	}

#define PLAY_NEVER UINT64_MAX

/*
 * The caller's, zeroed, with the first four set.
 *
 * @job_ns: time of the GPU that one job takes
 * @think_ns: mean time from an answer to the next request; 0: it always has more
 * @hides: claims that it never did anything
 * @starts_at: of the first request
 * @asked_at: when what it waits for was asked for
 * @left_ns: of what it has in flight
 * @work_ns: time of the GPU that its jobs have had
 * @busy_ns: time with work in flight, as the gate counts it
 * @queued: behind it in the queue of play_fifo()
 */
struct play_guest {
	uint64_t job_ns;
	uint64_t think_ns;
	bool hides;
	uint64_t starts_at;
	struct sched_client client;
	struct play_guest *queued;
	uint64_t asked_at;
	uint64_t left_ns;
	uint64_t work_ns;
	uint64_t busy_ns;
};

/*
 * @switch_ns: what the GPU needs to go from one guest's process to another's
 * @waited: if not NULL: a guest's work starts, so long after it was asked for
 * @lost_ns, @idle_ns: time spent on switches, time without work
 * @last: who had the GPU last
 * @switching_ns: of a switch that is under way
 * @at: when the policy wants to be asked
 * @first, @end: the queue of play_fifo()
 * @asks: who will be next to ask, NULL: not known
 */
struct play {
	struct sched sched;
	struct play_guest *guests;
	unsigned int n;
	uint64_t switch_ns;
	void (*waited)(struct play_guest *g, uint64_t ns);
	uint64_t seed;
	uint64_t now;
	uint64_t lost_ns;
	uint64_t idle_ns;
	struct play_guest *last;
	uint64_t switching_ns;
	uint64_t at;
	struct play_guest *first;
	struct play_guest **end;
	struct play_guest *asks;
};

/* The guests are added by play_guest_add(), in any order, at any time. */
void play_init(struct play *p, struct play_guest *guests, unsigned int n,
	       uint64_t switch_ns);
void play_guest_add(struct play *p, struct play_guest *g, uint32_t weight,
		    uint32_t cap);
void play_run(struct play *p, uint64_t until);

/*
 * The same guests without a policy: one queue, first come, first served, one job
 * at a time; who always has more queues again behind all others.
 */
void play_fifo(struct play *p, uint64_t until);

/* Of a guest that thinks: how long, this time. */
uint64_t play_think(struct play *p, const struct play_guest *g);

#endif /* VGPU_TESTS_SIM_PLAY_H */
