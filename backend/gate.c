// SPDX-License-Identifier: MIT
/*
 * gate.c - holds jobs back until the GPU is ours, and gives it back (see gate.h)
 *
 * Run by the worker's thread. It never waits: what may not go in now is looked at
 * again in the next turn, and before the worker sleeps lease_sleep() has seen to it
 * that what changes meanwhile wakes it.
 *
 * The worker that has the GPU to itself pays for none of this: no bound, so no
 * estimates; the clock is read when work begins and when it ends.
 */
#include "gate.h"

#include <unistd.h>
#include <xen/io/vgpuif.h>

#include "clock.h"
#include "gate_kinds.h"

void gate_init(struct gate *g, struct vgpu_engine *eng, struct lease *lease,
	       int kick, int wake)
{
	g->eng = eng;
	g->lease = lease;
	g->kick = kick;
	g->wake = wake;
	g->fresh = true;
}

static bool is_mark(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_FENCE || job->op == VGPU_OP_EVENT_RECORD ||
	       job->op == VGPU_OP_EVENT_WAIT;
}

static void kick(struct gate *g)
{
	const uint64_t one = 1;

	/* It fails where so many are unread that one more says nothing. */
	if (write(g->kick, &one, sizeof(one)) < 0)
		return;
}

/* ---- into the engine --------------------------------------------------- */

static uint64_t bound_of(const struct gate *g)
{
	uint64_t bound;

	if (!g->lease)
		return 0;
	bound = atomic_load_explicit(&g->lease->bound_ns, memory_order_relaxed);
	return bound < GATE_MAX_NS ? bound : GATE_MAX_NS;
}

/* With work in the engine: may more go in? */
static bool may_add(const struct gate *g)
{
	uint32_t word;

	if (!g->lease)
		return true;
	word = atomic_load_explicit(&g->lease->word, memory_order_relaxed);
	return (word & LEASE_HELD) && !(word & LEASE_LEAVE);
}

static bool begin_work(struct gate *g)
{
	if (g->lease && !lease_start(g->lease)) {
		g->fresh = true;
		return false;
	}
	g->busy_since = clock_ns();
	g->counted_at = g->busy_since;
	g->first_turn = true;
	g->idle_since = 0;
	if (g->lease)
		atomic_store_explicit(&g->lease->busy_since, g->busy_since,
				      memory_order_release);
	return true;
}

/*
 * What it is taken for. False: that is too much beside what is there. Two short
 * jobs may always be there, for else the GPU would idle between them.
 *
 * Jobs that go in together come back together, and the GPU idles until the next
 * are there. So half of what may be there goes in at first, and the rest in the
 * next turn: from then on there is always something behind what comes back.
 */
static bool fits(struct gate *g, struct gate_job *gj)
{
	uint64_t bound = bound_of(g);

	gj->estimate_ns = 0;
	if (!bound)
		return true;
	if (!gj->key)
		gj->key = gate_key(gj->job);
	gj->estimate_ns = gate_estimate(g, gj->key, bound);
	if (!g->working)
		return true;
	if (g->first_turn)
		return gj->estimate_ns <= bound / 2 &&
		       g->in_engine_ns <= bound / 2 - gj->estimate_ns;
	if (g->in_engine_ns >= bound || gj->estimate_ns >= bound)
		return false;
	return g->working == 1 || gj->estimate_ns <= bound - g->in_engine_ns;
}

static bool work_may_enter(struct gate *g, struct gate_job *gj)
{
	if (g->busy_since ? !may_add(g) : !begin_work(g))
		return false;
	return fits(g, gj);
}

/* True: the engine has it. */
static bool enter(struct gate *g, struct gate_job *gj)
{
	bool mark = is_mark(gj->job);

	if (g->lost || (!mark && !work_may_enter(g, gj)))
		return false;
	g->in_engine++;
	g->working += !mark;
	g->in_engine_ns += gj->estimate_ns;
	vgpu_engine_submit(g->eng, gj->job);
	return true;
}

/* The first one is work that may not go in: because there is no GPU? */
static void ask(struct gate *g)
{
	if (!g->busy_since && g->lease && !g->lost && lease_want(g->lease))
		kick(g);
}

void gate_submit(struct gate *g, struct gate_job *gj)
{
	gj->next = NULL;
	gj->key = 0;
	gj->estimate_ns = 0;
	gj->job->owner = gj;
	if (g->first) {
		g->last->next = gj;
		g->last = gj;
		return;
	}
	if (enter(g, gj))
		return;
	g->first = g->last = gj;
	ask(g);
}

static void let_in(struct gate *g)
{
	while (g->first && enter(g, g->first))
		g->first = g->first->next;
}

/* ---- out of the engine ------------------------------------------------- */

/* It has worked since counted_at: how long, its kinds are told. */
static void tell_kinds(struct gate *g, struct vgpu_job *done)
{
	uint64_t now;

	if (!bound_of(g)) {
		g->counted_at = 0;
		return;
	}
	now = clock_ns();
	if (g->counted_at && !g->fresh)
		gate_learn(g, done, now - g->counted_at);
	g->counted_at = now;
	g->fresh = false;
}

static struct vgpu_job *take_done(struct gate *g)
{
	struct vgpu_job *done = vgpu_engine_reap(g->eng);
	uint32_t worked = g->working;

	for (struct vgpu_job *job = done; job; job = job->next) {
		struct gate_job *gj = job->owner;

		g->in_engine--;
		g->working -= !is_mark(job);
		g->in_engine_ns -= gj->estimate_ns;
	}
	if (g->working != worked)
		tell_kinds(g, done);
	return done;
}

/* Those that the engine never had, behind those that it has ended. */
static struct vgpu_job *take_lost(struct gate *g, struct vgpu_job *done)
{
	struct vgpu_job **link = &done;

	while (*link)
		link = &(*link)->next;
	for (; g->first; g->first = g->first->next) {
		*link = g->first->job;
		(*link)->status = VGPU_RSP_DEVICE_LOST;
		(*link)->path = VGPU_PATH_NONE;
		(*link)->time_ns = (*link)->value = 0;
		link = &(*link)->next;
		*link = NULL;
	}
	return done;
}

static void gone(struct gate *g)
{
	g->idle_since = 0;
	g->fresh = true;
	kick(g);
}

static void end_work(struct gate *g)
{
	uint64_t now = clock_ns();

	g->busy_ns += now - g->busy_since;
	g->busy_since = 0;
	if (!g->lease)
		return;
	atomic_store_explicit(&g->lease->busy_since, 0, memory_order_release);
	atomic_store_explicit(&g->lease->busy_ns, g->busy_ns,
			      memory_order_release);
	g->idle_since = now;
	if (lease_end(g->lease, true, g->first))
		gone(g);
}

/* An idle GPU is kept for a while, and as long as nobody waits for it. */
static void stay_idle(struct gate *g)
{
	uint32_t word =
		atomic_load_explicit(&g->lease->word, memory_order_relaxed);

	if (!(word & LEASE_HELD)) {
		g->idle_since = 0;
		g->fresh = true;
		return;
	}
	if ((word & LEASE_CONTENDED) &&
	    clock_ns() - g->idle_since >= GATE_KEEP_NS &&
	    lease_end(g->lease, false, false))
		gone(g);
}

struct vgpu_job *gate_reap(struct gate *g)
{
	struct vgpu_job *done = NULL;

	g->first_turn = false;
	if (g->in_engine)
		done = take_done(g);
	if (g->first && g->lost)
		done = take_lost(g, done);
	if (g->first)
		let_in(g);
	if (g->busy_since && !g->working)
		end_work(g);
	if (g->first)
		ask(g);
	else if (g->idle_since)
		stay_idle(g);
	return done;
}

/* ---- sleep ------------------------------------------------------------- */

bool gate_urgent(const struct gate *g, uint64_t now)
{
	uint32_t word;

	if (!g->lease)
		return false;
	word = atomic_load_explicit(&g->lease->word, memory_order_relaxed);
	if (!g->busy_since)
		return g->first && (word & LEASE_NEXT);
	/* Without a bound nothing is estimated. */
	if (!g->in_engine_ns || g->in_engine_ns > GATE_SHORT_NS ||
	    now - g->counted_at > GATE_SHORT_NS)
		return false;
	return g->first || (word & LEASE_LEAVE) ||
	       g->in_engine_ns <= bound_of(g);
}

bool gate_arm(struct gate *g)
{
	bool wants = g->first && !g->busy_since;
	uint32_t word;

	if (g->first && (g->lost || (g->busy_since && g->first_turn)))
		return false;
	if (g->in_engine && !vgpu_engine_arm(g->eng))
		return false;
	if (!g->lease)
		return true;
	g->asleep = true;
	if (lease_sleep(g->lease, wants))
		kick(g);
	word = lease_word(g->lease);
	if (!(word & LEASE_HELD)) {
		g->idle_since = 0;
		g->fresh = true;
	}
	/* Granted, or taken again before we slept: there is no wake to come. */
	if (!wants || (word & LEASE_WANT))
		return true;
	gate_awake(g);
	return false;
}

void gate_awake(struct gate *g)
{
	if (!g->asleep)
		return;
	g->asleep = false;
	lease_awake(g->lease);
}

void gate_woken(struct gate *g)
{
	uint8_t wakes[256];

	while (read(g->wake, wakes, sizeof(wakes)) == sizeof(wakes))
		;
}

void gate_lose(struct gate *g)
{
	g->lost = true;
}

uint64_t gate_busy_ns(const struct gate *g)
{
	return g->busy_ns + (g->busy_since ? clock_ns() - g->busy_since : 0);
}
