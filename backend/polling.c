// SPDX-License-Identifier: MIT
/*
 * polling.c - the window of polling and how it adapts (see polling.h)
 */
#include "polling.h"

#include <string.h>

void polling_init(struct polling *p, uint32_t limit_us,
		  struct vgpu_stats *stats)
{
	memset(p, 0, sizeof(*p));
	p->stats = stats;
	p->limit_ns = (uint64_t)limit_us * 1000;
	p->window_ns = p->limit_ns;
}

/* It came after the window, or the worker would not have slept. */
static void adapt(struct polling *p)
{
	uint64_t grown = p->window_ns ? 2 * p->window_ns : POLLING_START_NS;

	if (p->ended_at - p->idle_since < p->limit_ns)
		p->window_ns = grown < p->limit_ns ? grown : p->limit_ns;
	else
		p->window_ns = ++p->late % POLLING_TRIAL ? 0 : p->limit_ns;
}

void polling_worked(struct polling *p)
{
	if (p->slept)
		adapt(p);
	else if (p->idle)
		p->stats->polls_hit++;
	p->slept = false;
	p->idle_since = 0;
}

bool polling_sleep(struct polling *p, uint64_t now)
{
	p->turns = 0;
	/* Woken by what was no work: the same sleep goes on. */
	if (p->slept)
		return true;
	if (!p->idle_since)
		p->idle_since = now;
	if (now - p->idle_since < p->window_ns)
		return false;
	p->slept = true;
	p->ended_at = now;
	if (p->window_ns)
		p->stats->polls_vain++;
	return true;
}

void polling_woken(struct polling *p, uint64_t now)
{
	p->ended_at = now;
	p->stats->sleeps++;
}
