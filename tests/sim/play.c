// SPDX-License-Identifier: MIT
/*
 * play.c - plays arbiter, workers and GPU around the policy (see play.h)
 *
 * From event to event: a guest asks, a job ends, the policy's time comes. All is
 * decided by the seed.
 */
#include "play.h"

#include <stddef.h>

#define PLAY_BATCH_NS 20000000

void play_init(struct play *p, struct play_guest *guests, unsigned int n,
	       uint64_t switch_ns)
{
	const struct sched_params params = PLAY_PARAMS;

	*p = (struct play){.guests = guests,
			   .n = n,
			   .switch_ns = switch_ns,
			   .seed = 88172645463325252,
			   .at = PLAY_NEVER};
	p->end = &p->first;
	sched_init(&p->sched, &params);
}

void play_guest_add(struct play *p, struct play_guest *g, uint32_t weight,
		    uint32_t cap)
{
	sched_add(&p->sched, &g->client, weight, cap, p->now);
}

uint64_t play_think(struct play *p, const struct play_guest *g)
{
	p->seed ^= p->seed << 13;
	p->seed ^= p->seed >> 7;
	p->seed ^= p->seed << 17;
	return g->think_ns / 2 + p->seed % (g->think_ns + 1);
}

static bool added(const struct play_guest *g)
{
	return g->client.weight;
}

static bool has_gpu(const struct play_guest *g)
{
	return g->client.state == SCHED_RUNNING ||
	       g->client.state == SCHED_LEAVING;
}

static struct play_guest *guest_of(struct sched_client *c)
{
	return (struct play_guest *)((char *)c -
				     offsetof(struct play_guest, client));
}

/* ---- a worker ---------------------------------------------------------- */

/* Who has more goes on without end: that many jobs are one event, not a million. */
static uint64_t job_of(const struct play_guest *g)
{
	uint64_t jobs = PLAY_BATCH_NS / g->job_ns;

	return g->think_ns || !jobs ? g->job_ns : jobs * g->job_ns;
}

static void start_job(struct play *p, struct play_guest *g)
{
	g->left_ns = job_of(g);
	g->starts_at = PLAY_NEVER;
	if (p->waited)
		p->waited(g, p->now + p->switching_ns - g->asked_at);
}

static void asks(struct play *p, struct play_guest *g)
{
	g->asked_at = p->now;
	if (g->client.state == SCHED_RUNNING) {
		start_job(p, g);
		return;
	}
	g->starts_at = PLAY_NEVER;
	sched_wake(&p->sched, &g->client, p->now);
}

static void job_ends(struct play *p, struct play_guest *g)
{
	bool leaving = g->client.state == SCHED_LEAVING;

	if (g->think_ns)
		g->starts_at = p->now + play_think(p, g);
	else if (!leaving)
		g->left_ns = job_of(g);
	if (!leaving)
		return;
	g->asked_at = p->now;
	sched_left(&p->sched, &g->client, !g->think_ns, p->now);
}

/* The job that is under way, and what of the next ones is in flight behind it. */
static void leaves(struct play *p, struct play_guest *g)
{
	if (!g->left_ns) {
		sched_left(&p->sched, &g->client, false, p->now);
		return;
	}
	if (g->think_ns)
		return;
	g->left_ns = (g->left_ns - 1) % g->job_ns + 1;
	if (g->job_ns < PLAY_BOUND_NS)
		g->left_ns += (PLAY_BOUND_NS / g->job_ns - 1) * g->job_ns;
}

static void granted(struct play *p, struct play_guest *g)
{
	if (p->last != g)
		p->switching_ns = p->switch_ns;
	p->last = g;
	start_job(p, g);
}

/* ---- the arbiter ------------------------------------------------------- */

/* Claims; and who has nothing to do does not sit on what others wait for. */
static void look(struct play *p)
{
	for (unsigned int i = 0; i < p->n; i++) {
		struct play_guest *g = &p->guests[i];

		if (!added(g) || !has_gpu(g))
			continue;
		sched_claim(&p->sched, &g->client, g->hides ? 0 : g->busy_ns,
			    p->now);
		if (!g->left_ns && sched_contended(&p->sched))
			sched_left(&p->sched, &g->client, false, p->now);
	}
}

static void decide(struct play *p)
{
	struct sched_decision d;

	do {
		look(p);
		d = sched_decide(&p->sched, p->now);
		if (d.leave)
			leaves(p, guest_of(d.leave));
		if (d.grant)
			granted(p, guest_of(d.grant));
	} while (d.leave || d.grant);
	p->at = d.at;
}

/* ---- time -------------------------------------------------------------- */

static uint64_t on_gpu(const struct play *p)
{
	uint64_t jobs = 0;

	for (unsigned int i = 0; i < p->n; i++)
		jobs += p->guests[i].left_ns > 0;
	return jobs;
}

static uint64_t next_event(const struct play *p, uint64_t jobs, uint64_t until)
{
	uint64_t next = p->at < until ? p->at : until;

	for (unsigned int i = 0; i < p->n; i++) {
		const struct play_guest *g = &p->guests[i];
		uint64_t at = g->starts_at;

		if (!added(g))
			continue;
		if (g->left_ns)
			at = p->now + p->switching_ns + g->left_ns * jobs;
		if (at < next)
			next = at;
	}
	return next > p->now ? next : p->now;
}

static void pass(struct play *p, uint64_t ns, uint64_t jobs)
{
	uint64_t lost = ns < p->switching_ns ? ns : p->switching_ns;
	uint64_t each = jobs ? (ns - lost) / jobs : 0;

	p->now += ns;
	p->switching_ns -= lost;
	p->lost_ns += lost;
	if (!jobs)
		p->idle_ns += ns - lost;
	for (unsigned int i = 0; i < p->n; i++) {
		struct play_guest *g = &p->guests[i];

		if (!g->left_ns)
			continue;
		g->left_ns -= each;
		g->work_ns += each;
		g->busy_ns += ns;
		if (!g->left_ns)
			job_ends(p, g);
	}
}

void play_run(struct play *p, uint64_t until)
{
	while (p->now < until) {
		uint64_t jobs = on_gpu(p);

		pass(p, next_event(p, jobs, until) - p->now, jobs);
		for (unsigned int i = 0; i < p->n; i++) {
			struct play_guest *g = &p->guests[i];

			if (added(g) && g->starts_at <= p->now)
				asks(p, g);
		}
		decide(p);
	}
}
