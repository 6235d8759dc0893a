/* SPDX-License-Identifier: MIT */
/*
 * peer.h - what the product is measured against, in the same run
 *
 * The same work by the shortest way there is, in a process that has nothing to
 * do with Xen, ring or backend: two bare processes for a NOP, bare CUDA or bare
 * threads for a vector add. They must stay the best that is known: a ratio to a
 * slow peer says nothing.
 */
#ifndef VGPU_BENCH_PEER_H
#define VGPU_BENCH_PEER_H

#include "bench.h"

/* Two processes and one line of memory that both spin on. */
bool peer_cache_line(struct results *r, const struct bench_plan *plan);
/* Two processes that sleep on an eventfd each. */
bool peer_eventfd(struct results *r, const struct bench_plan *plan);

/*
 * How long it takes a process that has slept for milliseconds to run when it is
 * woken: what a backend that sleeps cannot avoid. In SECTION_BARE_NEIGHBOUR.
 */
bool peer_wake(struct results *r, const struct bench_plan *plan);

/*
 * CUDA's driver; false with why where there is none, or it fails. r->gpu is
 * set as soon as there is a GPU that can be used.
 */
bool bare_cuda(struct results *r, const struct bench_plan *plan, char why[256]);
/*
 * What a guest's program does by the library, by the driver's API and cuBLAS:
 * the CPU spins while it waits; or sleeps, latencies alone.
 */
bool bare_compute(struct results *r, const struct bench_plan *plan,
		  char why[256]);
bool bare_compute_sleeping(struct results *r, const struct bench_plan *plan,
			   char why[256]);
/*
 * Two processes on one GPU, which the driver shares between them (neighbour.h); the
 * second time as clients of the MPS daemon that the environment leads to. The first
 * sets r->rounds.
 */
bool bare_neighbours(struct results *r, const struct bench_plan *plan,
		     char why[256]);
bool bare_neighbours_mps(struct results *r, const struct bench_plan *plan,
			 char why[256]);
/* As many threads as the cpu engine has. */
bool bare_cpu(struct results *r, const struct bench_plan *plan, char why[256]);

/*
 * Runs one of them in a process that is gone when this returns, with all that
 * its driver has, and takes what it has put into the results.
 */
typedef bool bare_fn(struct results *r, const struct bench_plan *plan,
		     char why[256]);
bool bare_apart(bare_fn *fn, struct results *r, const struct bench_plan *plan,
		char why[256]);

#endif /* VGPU_BENCH_PEER_H */
