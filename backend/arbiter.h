/* SPDX-License-Identifier: MIT */
/*
 * arbiter.h - hands each GPU from worker to worker
 *
 * One thread in the supervisor: a grant must not wait for xenstore. It owns one
 * struct sched (sched.h) a GPU and one lease (lease.h) a worker, sleeps until a
 * worker kicks, the supervisor changes something or the policy's time comes, and
 * never waits for a worker. It knows neither xenstore nor engines, and believes no
 * worker: one that keeps the GPU, lies about its use or kicks all the time harms
 * its own device, and costs others no more than the bounds in sched.h. What a lie
 * can gain is time that nobody else wants, beyond a cap.
 *
 * All functions are the supervisor's thread's; they take a lock that the arbiter
 * holds for microseconds.
 */
#ifndef VGPU_BACKEND_ARBITER_H
#define VGPU_BACKEND_ARBITER_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "sched.h"

/*
 * How much work of one device may be in its engine while the GPU has other devices,
 * or it is capped: what one who wakes up waits for at most, but for two jobs each of
 * which is shorter, or a single one that is longer.
 */
#define ARBITER_BOUND_NS 50000

/*
 * How long before its turn a device's worker is woken, to wait for it awake: it
 * takes a virtual processor that has slept some 0.2 ms to run.
 */
#define ARBITER_AHEAD_NS 300000

/* Defaults of struct sched_params; slice: --slice-us */
#define ARBITER_SLICE_US 5000
#define ARBITER_MIN_RUN_NS 500000
#define ARBITER_GRACE_NS 2000000

struct arbiter;
struct arbiter_client;

/* What the worker inherits, at LEASE_FD, LEASE_KICK_FD and LEASE_WAKE_FD. */
struct arbiter_fds {
	int lease;
	int kick;
	int wake;
};

/* What of a client people see; as struct sched_client. */
struct arbiter_use {
	uint64_t used_ns;
	uint64_t grants;
	uint64_t wait_ns;
	uint64_t wait_max_ns;
};

/* Starts the thread, which blocks all signals. NULL with errno. */
struct arbiter *arbiter_start(const struct sched_params *params);
/*
 * How long the thread looks for more before it sleeps, and that it does so where a
 * GPU is about to change hands; 0, as at first: it never looks.
 */
void arbiter_poll(struct arbiter *a, uint32_t poll_us);
/* All clients have been removed. Ends the thread. */
void arbiter_stop(struct arbiter *a);

/*
 * A device whose worker is about to start. gpu < BACK_MAX_GPUS. The descriptors
 * are the client's: they end with it, and are not inherited by exec. NULL with
 * errno.
 */
struct arbiter_client *arbiter_add(struct arbiter *a, uint32_t gpu,
				   uint32_t weight, uint32_t cap,
				   struct arbiter_fds *fds);
/* Its worker is gone; whatever it had is free. */
void arbiter_remove(struct arbiter *a, struct arbiter_client *c);

void arbiter_set(struct arbiter *a, struct arbiter_client *c, uint32_t weight,
		 uint32_t cap);
void arbiter_use(struct arbiter *a, struct arbiter_client *c,
		 struct arbiter_use *use);

#endif /* VGPU_BACKEND_ARBITER_H */
