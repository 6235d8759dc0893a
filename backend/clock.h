/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the clock that all deadlines of supervisor and worker count on
 */
#ifndef VGPU_BACKEND_CLOCK_H
#define VGPU_BACKEND_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* The time until a deadline as poll(2) wants it; 0: no deadline. */
static inline int clock_until(uint64_t deadline, uint64_t now)
{
	if (!deadline)
		return -1;
	if (deadline <= now)
		return 0;
	return deadline - now > 60000 ? 60000 : (int)(deadline - now);
}

#endif /* VGPU_BACKEND_CLOCK_H */
