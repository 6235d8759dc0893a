/* SPDX-License-Identifier: MIT */
/*
 * arbiter_player.h - a worker for tests of the arbiter: real descriptors, and the
 * steps of a worker's gate by lease.h
 *
 * Over a mapping of its own. A player that waits sleeps as a worker does, and says
 * so where nothing wakes it: a lost wake-up is a test that fails, not one that
 * hangs. Each is one thread's. Asserts by cmocka.
 */
#ifndef TEST_ARBITER_PLAYER_H
#define TEST_ARBITER_PLAYER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arbiter.h"
#include "clock.h"
#include "lease.h"

#define MS 1000000ull
/* Nothing takes that long, on a busy machine neither. */
#define TIMEOUT_MS 60000
/* Nothing that ends then is waited for: what happens does so for another reason. */
#define HOUR (3600000 * MS)

/* A slice that no test sees the end of, and a short one. */
extern const struct sched_params patient, brisk;

struct player {
	struct arbiter *a;
	struct arbiter_client *c;
	struct arbiter_fds fds;
	struct lease *l;
};

void join(struct player *p, struct arbiter *a, uint32_t gpu, uint32_t weight,
	  uint32_t cap);
void part(struct player *p);

/* Two alike on GPU 0; and the end of both, and of the arbiter. */
void join_two(struct arbiter *a, struct player *p, struct player *q);
void part_two(struct arbiter *a, struct player *p, struct player *q);

bool kick(const struct player *p);
struct arbiter_use use_of(const struct player *p);

/* BUSY, and says since when. False: it has not got the GPU, or is to leave. */
bool start(struct player *p);
/* Nothing to do any more; keep: as lease_end(). */
void end(struct player *p, bool keep);
/* True: it did not want it before. */
bool want(struct player *p);
/* Waits for the GPU until it has it and is BUSY. False: nothing woke it. */
bool get(struct player *p);

bool readable(int fd, int timeout_ms);
void drain(int fd);

/* Until the bits of mask are these; false after the timeout. */
bool await(const struct player *p, uint32_t mask, uint32_t bits);
void pass_time(uint64_t ns);

#endif /* TEST_ARBITER_PLAYER_H */
