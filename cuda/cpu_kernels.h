/* SPDX-License-Identifier: MIT */
/*
 * cpu_kernels.h - the arithmetic of the cpu engine
 *
 * Pure loops over memory that another party may change meanwhile: each element
 * is only ever data, never an index, a length or a branch. Any thread, in the
 * default floating-point environment.
 */
#ifndef VGPU_CUDA_CPU_KERNELS_H
#define VGPU_CUDA_CPU_KERNELS_H

#include <stdint.h>

#include "wire.h"

/* c may be a or b. */
void cpu_vector_add(const float *a, const float *b, float *c, uint64_t n);
/* y = fma(alpha, x, y), rounded once; y may be x. */
void cpu_saxpy(float alpha, const float *x, float *y, uint64_t n);
/* In an order that depends on n alone. */
double cpu_sum(const float *in, uint64_t n);
/* width: 1, 2 or 4; at and bytes are multiples of it. */
void cpu_fill(void *at, uint32_t pattern, uint32_t width, uint64_t bytes);

/* cpu_sgemm.c: C is computed tile by tile, in any order. */
uint64_t cpu_sgemm_tiles(const struct vgpu_sgemm *p);
void cpu_sgemm_tile(const struct vgpu_sgemm *p, const float *a, const float *b,
		    float *c, uint64_t tile);

#endif /* VGPU_CUDA_CPU_KERNELS_H */
