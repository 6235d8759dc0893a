/* SPDX-License-Identifier: MIT */
/*
 * neighbour.h - two who share a GPU: what both sides do, to be compared
 *
 * The same play twice, once by two bare processes and once by two guests. A
 * player is a thread or a process that does what it is told: work without pause,
 * or small vector adds, each after it has been idle for a while. The director
 * tells them, and takes times and counts; it does nothing else meanwhile.
 *
 * The work is a kernel that fills the GPU with arithmetic for so many rounds, not
 * for so long: two of them side by side take twice as long, so that no way of
 * sharing can look better than it is. How many rounds are how long is measured
 * once, alone.
 */
#ifndef VGPU_BENCH_NEIGHBOUR_H
#define VGPU_BENCH_NEIGHBOUR_H

#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"

/* PTX of the kernel (u64 counter, u32 rounds), which counts itself once. */
extern const char neighbour_ptx[];
extern const size_t neighbour_ptx_size;
#define NEIGHBOUR_KERNEL "bench_work"
/* One wave of an H200: eight blocks on each multiprocessor. */
#define NEIGHBOUR_BLOCKS 1056
#define NEIGHBOUR_THREADS 256

#define NEIGHBOUR_ELEMENTS 1024
#define NEIGHBOUR_MAX_ADDS 1024
#define NEIGHBOUR_MAX_DEPTH 8

/*
 * @ns: of one kernel, alone
 * @depth: how many of them a player has under way at a time
 */
struct neighbour_kind {
	const char *name;
	uint32_t ns;
	uint32_t depth;
};

extern const struct neighbour_kind neighbour_kinds[NR_WORKS];

enum player_order { PLAYER_REST, PLAYER_WORK, PLAYER_ADDS, PLAYER_END };

/*
 * In memory that both share. @order, @kind, @wanted: the director's; the others
 * the player's.
 *
 * @doing: the order that it follows; PLAYER_ADDS becomes PLAYER_REST by itself
 * @done: kernels that have ended
 * @broken: it is no more
 */
struct player {
	_Atomic uint32_t order;
	uint32_t kind;
	uint32_t wanted;
	_Atomic uint32_t doing;
	_Atomic uint64_t done;
	_Atomic bool broken;
	uint64_t ns[NEIGHBOUR_MAX_ADDS];
};

/* All may wait. put: one kernel more; take: the oldest has ended. */
struct player_ops {
	bool (*put)(void *me, uint32_t kind);
	bool (*take)(void *me);
	bool (*add)(void *me);
};

/* The player's own thread or process: until PLAYER_END, or it fails. */
void player_run(struct player *p, const struct player_ops *ops, void *me);

/*
 * @section: of the rows
 * @mode: "", or what their names end in
 * @peer: the same of those that they are compared with: adds with bare ones, work
 *	with one alone; NULL: none, and one alone of this mode
 * @how: of the rows; what stands for kernels where there is no GPU, or ""
 * @used: what the daemon has charged to both until now; NULL: nobody says so
 */
struct play {
	struct results *r;
	const struct bench_plan *plan;
	enum bench_section section;
	const char *mode;
	const char *peer;
	const char *how;
	struct player *player[2];
	bool (*used)(void *ctx, uint64_t ns[2]);
	void *ctx;
};

/* Both are at rest when these return. False: one of them is broken. */

/* One alone, kind by kind: what a share of the GPU is a share of. */
bool play_alone(struct play *p);
/* Adds of the second: with the first at rest, then beside each kind. */
bool play_adds(struct play *p);
/* Both work. weight: of the names, and what is judged. */
bool play_both(struct play *p, uint32_t kind, uint32_t first, uint32_t second);
void play_end(struct play *p);

/* Names of rows, by which both sides find each other. kind NR_WORKS: none. */
const char *neighbour_name_add(char name[BENCH_TEXT], uint32_t kind,
			       const char *mode);
const char *neighbour_name_share(char name[BENCH_TEXT], uint32_t kind,
				 uint32_t first, uint32_t second,
				 const char *mode);

#define NEIGHBOUR_MPS ", MPS"
#define NEIGHBOUR_DELIVERED ", as delivered"

/* How long one who adds is idle before each: never in step with anything. */
static inline uint32_t neighbour_idle_us(void)
{
	return 2000 + random() % 1500;
}

#endif /* VGPU_BENCH_NEIGHBOUR_H */
