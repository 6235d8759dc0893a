/* SPDX-License-Identifier: MIT */
/*
 * measure_lib.h - the measurements of a guest's program: calls of libvgpufront
 *
 * As measure.h, beside the rows of bare_compute().
 */
#ifndef VGPU_BENCH_MEASURE_LIB_H
#define VGPU_BENCH_MEASURE_LIB_H

#include "bench.h"

/*
 * Launches one by one and in batches, a product, copies; then how often kernel
 * and hypervisor are called for them. Where the engine is no GPU, requests that
 * it does carry out stand for launches, and rows say so.
 */
bool measure_lib(struct results *r, const struct bench_plan *plan);

#endif /* VGPU_BENCH_MEASURE_LIB_H */
