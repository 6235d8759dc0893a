/* SPDX-License-Identifier: MIT */
/*
 * measure_neighbour.h - two guests on one GPU, beside two bare processes
 *
 * As measure.h. All that neighbour.h says is played by bare processes first, then
 * by guests of one backend, whose workers are processes of their own; then both
 * again as clients of NVIDIA's Multi-Process Service. What cannot be had here is
 * named in the results, with why.
 */
#ifndef VGPU_BENCH_MEASURE_NEIGHBOUR_H
#define VGPU_BENCH_MEASURE_NEIGHBOUR_H

#include "bench.h"

bool measure_neighbours(struct results *r, const struct bench_plan *plan);

/* What was to be reached, as measure_targets(). */
void neighbour_targets(struct results *r);

#endif /* VGPU_BENCH_MEASURE_NEIGHBOUR_H */
