/* SPDX-License-Identifier: MIT */
/*
 * measure.h - the measurements of the product: rows from a connected frontend
 *
 * Each makes a backend of its own, and leaves nothing of it. False, with a line
 * on stderr: the harness failed, or a sum was wrong.
 */
#ifndef VGPU_BENCH_MEASURE_H
#define VGPU_BENCH_MEASURE_H

#include "bench.h"

/* Round trips of a NOP and batches of them: spinning, sleeping, by default. */
bool measure_nops(struct results *r, const struct bench_plan *plan,
		  const char *engine);
/* Vector adds, front and backend spinning: pinned in place, or staged. */
bool measure_adds(struct results *r, const struct bench_plan *plan,
		  const char *engine, bool staged);

/* What was to be reached, where the engine is a GPU. */
void measure_targets(struct results *r);

#endif /* VGPU_BENCH_MEASURE_H */
