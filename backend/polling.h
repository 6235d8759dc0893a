/* SPDX-License-Identifier: MIT */
/*
 * polling.h - how long the worker looks for work before it sleeps
 *
 * Pure but for what it counts: turns and times go in, decisions come out; it
 * knows neither ring nor engine. Used by the worker's thread.
 *
 * Being woken costs both sides a system call and the worker its place on a
 * processor, microseconds where a look at the ring costs nanoseconds. So after
 * work the worker goes on looking for a window of time before it sleeps. The
 * window adapts to the guest, as Linux's halt_poll_ns does to a virtual CPU:
 *
 *   work came within the window	it stays as it is
 *   it came later, within the limit	it doubles: a longer one had caught it
 *   it came after the limit		it becomes 0: polling was in vain
 *
 * The time that waking takes is part of what is measured, and where it alone is
 * as long as the limit, a worker that sleeps could not learn that work comes at
 * once. So every POLLING_TRIAL-th time the window becomes the limit instead of 0.
 *
 * Work is a request as well as a job that has ended, so that a short job is
 * waited for here and a long one asleep. The window starts at the limit.
 *
 * A look at the clock costs as much as several looks at the ring: it is wanted
 * once in POLLING_TURNS turns, and the window is counted from the first look
 * without work.
 */
#ifndef VGPU_BACKEND_POLLING_H
#define VGPU_BACKEND_POLLING_H

#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

#define POLLING_TURNS 32
/* What the window grows to from 0, where the limit lets it. */
#define POLLING_START_NS 10000
#define POLLING_TRIAL 16

/*
 * @limit_ns: the window's upper bound; 0: never poll
 * @idle_since: first look at the clock since the last work; 0: none
 * @ended_at: when the wait for work ended: as far as we know
 * @turns: since the last look at the clock
 * @late: how often work came after the limit
 * @idle: the last turn found no work
 * @slept: since the last work
 */
struct polling {
	struct vgpu_stats *stats;
	uint64_t limit_ns;
	uint64_t window_ns;
	uint64_t idle_since;
	uint64_t ended_at;
	unsigned int turns;
	unsigned int late;
	bool idle;
	bool slept;
};

void polling_init(struct polling *p, uint32_t limit_us,
		  struct vgpu_stats *stats);

/* Work has come: what it says about the window. */
void polling_worked(struct polling *p);

/*
 * A turn has ended, which found work or not. True: take another one; false:
 * ask polling_sleep().
 */
static inline bool polling_turn(struct polling *p, bool worked)
{
	if (worked)
		polling_worked(p);
	p->idle = !worked;
	return p->window_ns && ++p->turns < POLLING_TURNS;
}

/* now: nanoseconds of any clock. True: the window is over, sleep. */
bool polling_sleep(struct polling *p, uint64_t now);

/* The worker has slept, and something woke it. */
void polling_woken(struct polling *p, uint64_t now);

#endif /* VGPU_BACKEND_POLLING_H */
