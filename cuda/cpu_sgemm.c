// SPDX-License-Identifier: MIT
/*
 * cpu_sgemm.c - C = alpha * op(A) * op(B) + beta * C on the host's processors
 *
 * C is cut into tiles, which the pool's threads compute one by one. For a tile,
 * blocks of op(A) and op(B) are copied ("packed") into the order in which the
 * innermost loop reads them, zeros beyond the edges, so that it has neither
 * strides nor edges and runs in vector instructions out of the cache.
 *
 *   op(A) TILE x DEPTH, as panels of MR rows      op(B) DEPTH x TILE, of NR columns
 *
 * A sum is k products added one after the other in binary32, fused where the
 * processor can: within the error that vgpuif.h allows, and the same whatever
 * the number of threads.
 */
#include <string.h>

#include "cpu_kernels.h"

#define TILE	128
#define DEPTH	128
#define MR	16
#define NR	4

typedef float vec __attribute__((vector_size(32), may_alias));

#define VEC	(sizeof(vec) / sizeof(float))

struct work {
	float a[TILE * DEPTH] __attribute__((aligned(64)));
	float b[TILE * DEPTH] __attribute__((aligned(64)));
	float c[TILE * TILE] __attribute__((aligned(64)));
};

/* Where a tile is, and how much of it is in C. */
struct place {
	uint64_t row, col;
	unsigned int rows, cols;
};

static uint64_t tiles_of(uint32_t n)
{
	return ((uint64_t)n + TILE - 1) / TILE;
}

uint64_t cpu_sgemm_tiles(const struct vgpu_sgemm *p)
{
	return tiles_of(p->m) * tiles_of(p->n);
}

static unsigned int at_most(uint64_t left, unsigned int most)
{
	return left < most ? (unsigned int)left : most;
}

static unsigned int round_up(unsigned int n, unsigned int to)
{
	return (n + to - 1) / to * to;
}

/*
 * Copies `width` lines of `depth` elements to panels of `panel` lines side by
 * side. Element l of line i is at from[i * line + l * step].
 */
static void pack(float *to, unsigned int panel, const float *from,
		 uint64_t line, uint64_t step, unsigned int width,
		 unsigned int depth)
{
	for (unsigned int first = 0; first < width; first += panel) {
		unsigned int used = at_most(width - first, panel);
		const float *lines = from + first * line;

		for (unsigned int l = 0; l < depth; l++) {
			for (unsigned int i = 0; i < used; i++)
				to[i] = lines[i * line + l * step];
			for (unsigned int i = used; i < panel; i++)
				to[i] = 0;
			to += panel;
		}
	}
}

/* MR x NR sums of c, TILE from one column to the next, go on for depth products. */
static inline __attribute__((always_inline)) void
micro(const float *a, const float *b, float *c, unsigned int depth)
{
	vec sum[NR][MR / VEC];

	for (unsigned int j = 0; j < NR; j++)
		for (unsigned int i = 0; i < MR / VEC; i++)
			sum[j][i] = *(const vec *)(c + j * TILE + i * VEC);
	for (unsigned int l = 0; l < depth; l++, a += MR, b += NR)
		for (unsigned int j = 0; j < NR; j++)
			for (unsigned int i = 0; i < MR / VEC; i++)
				sum[j][i] += *(const vec *)(a + i * VEC) * b[j];
	for (unsigned int j = 0; j < NR; j++)
		for (unsigned int i = 0; i < MR / VEC; i++)
			*(vec *)(c + j * TILE + i * VEC) = sum[j][i];
}

static inline __attribute__((always_inline)) void
block(struct work *w, const struct place *at, unsigned int depth)
{
	for (unsigned int j = 0; j < at->cols; j += NR)
		for (unsigned int i = 0; i < at->rows; i += MR)
			micro(w->a + i * depth, w->b + j * depth,
			      w->c + j * TILE + i, depth);
}

static void block_any(struct work *w, const struct place *at,
		      unsigned int depth)
{
	block(w, at, depth);
}

#ifdef __x86_64__

__attribute__((target("avx2,fma"))) static void
block_fma(struct work *w, const struct place *at, unsigned int depth)
{
	block(w, at, depth);
}

static void block_best(struct work *w, const struct place *at,
		       unsigned int depth)
{
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		block_fma(w, at, depth);
	else
		block_any(w, at, depth);
}

#else

static void block_best(struct work *w, const struct place *at,
		       unsigned int depth)
{
	block_any(w, at, depth);
}

#endif

static float bits_to_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Without products there is no alpha, and with beta 0 nothing is read. */
static void put(const struct vgpu_sgemm *p, const struct work *w,
		const struct place *at, float *c)
{
	const float alpha = bits_to_float(p->alpha);
	const float beta = bits_to_float(p->beta);

	for (unsigned int j = 0; j < at->cols; j++) {
		float *to = c + (at->col + j) * p->ldc + at->row;
		const float *sum = w->c + j * TILE;

		for (unsigned int i = 0; i < at->rows; i++) {
			float product = p->k ? alpha * sum[i] : 0;

			to[i] = beta != 0 ? product + beta * to[i] : product;
		}
	}
}

void cpu_sgemm_tile(const struct vgpu_sgemm *p, const float *a, const float *b,
		    float *c, uint64_t tile)
{
	const uint64_t line_a = p->trans_a ? p->lda : 1;
	const uint64_t step_a = p->trans_a ? 1 : p->lda;
	const uint64_t line_b = p->trans_b ? 1 : p->ldb;
	const uint64_t step_b = p->trans_b ? p->ldb : 1;
	struct place at = {
		.row = tile % tiles_of(p->m) * TILE,
		.col = tile / tiles_of(p->m) * TILE,
	};
	struct work w;
	unsigned int depth;

	at.rows = at_most(p->m - at.row, TILE);
	at.cols = at_most(p->n - at.col, TILE);
	memset(w.c, 0, round_up(at.cols, NR) * TILE * sizeof(float));
	for (uint64_t l = 0; l < p->k; l += depth) {
		depth = at_most(p->k - l, DEPTH);
		pack(w.a, MR, a + at.row * line_a + l * step_a, line_a, step_a,
		     at.rows, depth);
		pack(w.b, NR, b + at.col * line_b + l * step_b, line_b, step_b,
		     at.cols, depth);
		block_best(&w, &at, depth);
	}
	put(p, &w, &at, c);
}
