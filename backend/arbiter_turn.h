/* SPDX-License-Identifier: MIT */
/*
 * arbiter_turn.h - one GPU's leases and its policy: a turn between them
 *
 * Used by arbiter.c under its lock, by whichever thread has it. No call blocks.
 */
#ifndef VGPU_BACKEND_ARBITER_TURN_H
#define VGPU_BACKEND_ARBITER_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "arbiter.h"
#include "lease.h"

/*
 * @sched: the first member: the policy's pointers are to it
 * @wake: our end; the worker's is in fds
 * @contended: what its word was told last
 * @removed: on the list of the dead
 */
struct arbiter_client {
	struct sched_client sched;
	struct arbiter_client *next;
	uint32_t gpu;
	struct lease *lease;
	struct arbiter_fds fds;
	int wake;
	bool contended;
	bool removed;
};

/*
 * @next: was told that its grant is near
 * @at: when the policy wants to be asked again, UINT64_MAX: never
 * @spin_until: the GPU is about to be free: not worth sleeping; 0: it is not
 */
struct arbiter_gpu {
	struct sched sched;
	struct arbiter_client *clients;
	struct arbiter_client *next;
	uint64_t at;
	uint64_t spin_until;
};

/* What the worker has done becomes what the policy is told. */
void arbiter_look(struct arbiter_gpu *g, struct arbiter_client *c,
		  uint64_t now);

/*
 * Looks at those who have the GPU, and does what the policy decides, until it
 * decides nothing more.
 */
void arbiter_turn(struct arbiter_gpu *g, uint64_t now);

/* To be called when a client came or went, or its cap has changed. */
void arbiter_bounds(struct arbiter_gpu *g);

#endif /* VGPU_BACKEND_ARBITER_TURN_H */
