// SPDX-License-Identifier: MIT
/*
 * cpu_kernels.c - vector add, saxpy, sum and fill on the host's processors
 *
 * The reference for what results must be: IEEE 754, one rounding for each
 * operation that is written here. Runs on the pool's threads. Must never be
 * compiled with contraction or any -ffast-math.
 */
#include <math.h>
#include <string.h>

#include "cpu_kernels.h"

/* Sums side by side, so that one addition need not wait for the one before. */
#define LANES	16

void cpu_vector_add(const float *a, const float *b, float *c, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		c[i] = a[i] + b[i];
}

static void saxpy_any(float alpha, const float *x, float *y, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		y[i] = fmaf(alpha, x[i], y[i]);
}

#ifdef __x86_64__

/* The same with the instruction that most processors have. */
__attribute__((target("avx2,fma"))) static void
saxpy_fma(float alpha, const float *x, float *y, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		y[i] = __builtin_fmaf(alpha, x[i], y[i]);
}

void cpu_saxpy(float alpha, const float *x, float *y, uint64_t n)
{
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		saxpy_fma(alpha, x, y, n);
	else
		saxpy_any(alpha, x, y, n);
}

#else

void cpu_saxpy(float alpha, const float *x, float *y, uint64_t n)
{
	saxpy_any(alpha, x, y, n);
}

#endif

double cpu_sum(const float *in, uint64_t n)
{
	double lane[LANES] = { 0 };
	double sum = 0;
	uint64_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		for (unsigned int k = 0; k < LANES; k++)
			lane[k] += (double)in[i + k];
	for (unsigned int k = 0; k < LANES; k++)
		sum += lane[k];
	for (; i < n; i++)
		sum += (double)in[i];
	return sum;
}

static void fill2(uint16_t *at, uint16_t pattern, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		at[i] = pattern;
}

static void fill4(uint32_t *at, uint32_t pattern, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		at[i] = pattern;
}

void cpu_fill(void *at, uint32_t pattern, uint32_t width, uint64_t bytes)
{
	if (width == 4)
		fill4(at, pattern, bytes / 4);
	else if (width == 2)
		fill2(at, (uint16_t)pattern, bytes / 2);
	else
		memset(at, (int)(pattern & 0xff), bytes);
}
