/* SPDX-License-Identifier: MIT */
/*
 * neighbour_guest.h - a guest that plays what neighbour.h says
 *
 * A domain of a world with one device, its frontend, and a thread that is the
 * player; begun and ended by the director's thread. Nothing is left of it, and
 * what it computed is right, or its end fails.
 */
#ifndef VGPU_BENCH_NEIGHBOUR_GUEST_H
#define VGPU_BENCH_NEIGHBOUR_GUEST_H

#include <pthread.h>

#include "../native/buffer.h"
#include "../native/world.h"
#include "neighbour.h"

/*
 * @add: the small vector add; @work: of each kind
 * @launched: to be compared with what the kernels have counted
 * @gpu: the engine is one
 * @open, @plays: there is something to end
 */
struct guest {
	struct front f;
	struct front_buffer buf[3];
	struct vgpu_request add;
	struct vgpu_request work[NR_WORKS];
	uint32_t launched;
	struct player player;
	pthread_t thread;
	bool gpu, open, plays;
};

/*
 * g is zero before. nodes: as of world_attach_with(). False, with why on stderr;
 * the end is due all the same.
 */
bool neighbour_guest_begin(struct guest *g, struct world *w, uint32_t domid,
			   const char *const *nodes, const struct results *r);
/* done: all went well so far, and so it is asked for its results. */
bool neighbour_guest_end(struct guest *g, bool done);

#endif /* VGPU_BENCH_NEIGHBOUR_GUEST_H */
