// SPDX-License-Identifier: MIT
/*
 * fifo.c - the peer of the policy: one queue for all (see play_fifo())
 */
#include "play.h"

#include <stddef.h>

static void queue(struct play *p, struct play_guest *g, uint64_t at)
{
	g->asked_at = at;
	g->starts_at = PLAY_NEVER;
	g->queued = NULL;
	*p->end = g;
	p->end = &g->queued;
}

static struct play_guest *next_to_ask(struct play *p)
{
	if (p->asks)
		return p->asks;
	p->asks = &p->guests[0];
	for (unsigned int i = 1; i < p->n; i++)
		if (p->guests[i].starts_at < p->asks->starts_at)
			p->asks = &p->guests[i];
	return p->asks;
}

static void arrive(struct play *p)
{
	struct play_guest *g = next_to_ask(p);

	while (g->starts_at <= p->now) {
		queue(p, g, g->starts_at);
		p->asks = NULL;
		g = next_to_ask(p);
	}
}

static void serve(struct play *p)
{
	struct play_guest *g = p->first;

	p->first = g->queued;
	if (!p->first)
		p->end = &p->first;
	if (p->last != g) {
		p->now += p->switch_ns;
		p->lost_ns += p->switch_ns;
	}
	p->last = g;
	if (p->waited)
		p->waited(g, p->now - g->asked_at);
	p->now += g->job_ns;
	g->work_ns += g->job_ns;
	arrive(p);
	if (!g->think_ns) {
		queue(p, g, p->now);
		return;
	}
	g->starts_at = p->now + play_think(p, g);
	p->asks = NULL;
}

void play_fifo(struct play *p, uint64_t until)
{
	arrive(p);
	while (p->now < until) {
		uint64_t at;

		if (p->first) {
			serve(p);
			continue;
		}
		at = next_to_ask(p)->starts_at;
		p->idle_ns += at - p->now;
		p->now = at;
		arrive(p);
	}
}
