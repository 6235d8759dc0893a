// SPDX-License-Identifier: MIT
/*
 * arbiter_turn.c - what workers did to their words, told to the policy; what it
 * decides, done to the words (see arbiter_turn.h)
 *
 * A turn: what workers have done becomes events of the policy, and what the
 * policy decides is done, until it decides nothing more. Then holders are told
 * whether others wait, which may free a GPU on which one of them sleeps; and so
 * once more. A holder is told of a change alone, so this ends whatever workers do
 * meanwhile.
 *
 * Nothing here believes a word: who has the GPU is what the policy knows, and
 * bits that do not fit it are as if they were not there.
 */
#include "arbiter_turn.h"

#include <sys/socket.h>

static bool has_gpu(const struct arbiter_client *c)
{
	return c->sched.state == SCHED_RUNNING ||
	       c->sched.state == SCHED_LEAVING;
}

/* Time with work in the engine, by its own account: any two numbers. */
static uint64_t claimed(const struct arbiter_client *c, uint64_t now)
{
	uint64_t since = atomic_load(&c->lease->busy_since);
	uint64_t busy = atomic_load(&c->lease->busy_ns);
	uint64_t more = since && since < now ? now - since : 0;

	return busy + more < busy ? UINT64_MAX : busy + more;
}

/* It has not got the GPU any more; word: what it says now, or kicks for later. */
static void left(struct arbiter_gpu *g, struct arbiter_client *c, uint32_t word,
		 uint64_t now)
{
	sched_left(&g->sched, &c->sched, word & LEASE_WANT, now);
}

void arbiter_look(struct arbiter_gpu *g, struct arbiter_client *c, uint64_t now)
{
	uint32_t word = lease_word(c->lease);

	if (has_gpu(c)) {
		sched_claim(&g->sched, &c->sched, claimed(c, now), now);
		if (!(word & LEASE_HELD))
			left(g, c, word, now);
		return;
	}
	if (word & LEASE_WANT)
		sched_wake(&g->sched, &c->sched, now);
	else if (c->sched.state == SCHED_WAITING)
		sched_left(&g->sched, &c->sched, false, now);
}

/* Where the socket is full the worker has more wakes than it needs. */
static void wake(struct arbiter_client *c)
{
	static const uint64_t one = 1;

	send(c->wake, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void grant(struct arbiter_client *c)
{
	if (lease_grant(c->lease))
		wake(c);
}

/*
 * Who is next is awake by the time that the GPU is free: waking takes longer than
 * all else that a change of hands is made of.
 */
static void announce(struct arbiter_gpu *g, const struct sched_decision *d,
		     uint64_t now)
{
	struct arbiter_client *next = (void *)d->next;
	bool leaving = d->next_at <= now;

	g->spin_until = next && leaving ? d->at : 0;
	if (next && !leaving && d->next_at - now > ARBITER_AHEAD_NS) {
		if (d->next_at - ARBITER_AHEAD_NS < g->at)
			g->at = d->next_at - ARBITER_AHEAD_NS;
		next = NULL;
	}
	if (g->next == next)
		return;
	if (g->next)
		lease_next(g->next->lease, false);
	g->next = next;
	if (next && lease_next(next->lease, true))
		wake(next);
}

static void decide(struct arbiter_gpu *g, uint64_t now)
{
	struct sched_decision d;

	do {
		d = sched_decide(&g->sched, now);
		if (d.leave) {
			struct arbiter_client *c = (void *)d.leave;

			if (lease_leave(c->lease))
				left(g, c, lease_word(c->lease), now);
		}
		if (d.grant)
			grant((void *)d.grant);
	} while (d.leave || d.grant);
	g->at = d.at;
	announce(g, &d, now);
}

/* True: one of them slept on the GPU, which is free now. */
static bool contend(struct arbiter_gpu *g, uint64_t now)
{
	bool contended = sched_contended(&g->sched);
	bool freed = false;

	for (struct arbiter_client *c = g->clients; c; c = c->next) {
		if (!has_gpu(c) || c->contended == contended)
			continue;
		c->contended = contended;
		if (!lease_contend(c->lease, contended))
			continue;
		left(g, c, lease_word(c->lease), now);
		freed = true;
	}
	return freed;
}

void arbiter_turn(struct arbiter_gpu *g, uint64_t now)
{
	for (struct arbiter_client *c = g->clients; c; c = c->next)
		if (has_gpu(c))
			arbiter_look(g, c, now);
	do {
		decide(g, now);
	} while (contend(g, now));
}

/* Who has a GPU for itself needs no bound, but for a cap. */
void arbiter_bounds(struct arbiter_gpu *g)
{
	const struct arbiter_client *c = g->clients;
	uint64_t bound = c && !c->next && !c->sched.cap ? 0 : ARBITER_BOUND_NS;

	for (; c; c = c->next)
		atomic_store(&c->lease->bound_ns, bound);
}
