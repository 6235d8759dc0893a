/* SPDX-License-Identifier: MIT */
/*
 * pace.h - how often a device may start over
 *
 * A leaky bucket in milliseconds: each offer costs one second, each failure
 * four more, and sixteen seconds may be owed. So a module may be reloaded ten
 * times in a row without a wait, while a guest whose device fails each time,
 * or that only makes the backend start workers, is held to one start in five
 * seconds, or one in a second. Pure; used by the supervisor.
 */
#ifndef VGPU_BACKEND_PACE_H
#define VGPU_BACKEND_PACE_H

#include <stdint.h>

#define PACE_OFFER_MS 1000
#define PACE_FAILURE_MS 4000
#define PACE_BURST_MS 16000

/* paid_at: when all that was charged is paid off. */
struct pace {
	uint64_t paid_at;
};

static inline void pace_charge(struct pace *p, uint64_t now, uint64_t cost)
{
	p->paid_at = (p->paid_at > now ? p->paid_at : now) + cost;
}

/* From when on the next start is allowed. */
static inline uint64_t pace_ready_at(const struct pace *p)
{
	return p->paid_at > PACE_BURST_MS ? p->paid_at - PACE_BURST_MS : 0;
}

#endif /* VGPU_BACKEND_PACE_H */
