// SPDX-License-Identifier: MIT
/*
 * sgemm.c - matrix products against a reference in binary64, within the error
 * that vgpuif.h allows
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"

struct gemm {
	struct vgpu_sgemm p;
	struct operand a, b, c, want;
};

static float element(const struct operand *o, uint32_t ld, bool transposed,
		     uint32_t row, uint32_t col)
{
	return float_of(o->bits[transposed ? col + (uint64_t)row * ld :
					     row + (uint64_t)col * ld]);
}

static void check_gemm(struct run *r, const struct gemm *g)
{
	const struct vgpu_sgemm *p = &g->p;
	const double alpha = (double)float_of(p->alpha);
	const double beta = (double)float_of(p->beta);

	for (uint32_t j = 0; j < p->n; j++)
		for (uint32_t i = 0; i < p->m; i++) {
			uint64_t at = i + (uint64_t)j * p->ldc;
			double before = beta != 0 ?
				beta * (double)float_of(g->want.bits[at]) : 0;
			double sum = 0, size = 0, got, error, bound;

			for (uint32_t l = 0; l < p->k; l++) {
				double t = (double)element(&g->a, p->lda,
							   p->trans_a, i, l) *
					   (double)element(&g->b, p->ldb,
							   p->trans_b, l, j);

				sum += t;
				size += fabs(t);
			}
			got = (double)float_of(g->c.bits[at]);
			error = fabs(got - (alpha * sum + before));
			bound = 2 * ((double)p->k + 2) * 0x1p-24 *
				(fabs(alpha) * size + fabs(before));
			CHECK(r, error <= bound,
			      "m %u n %u k %u lda %u ldb %u ldc %u trans %u %u alpha %g beta %g: C(%u, %u) is %.9g, not %.9g: off by %g, at most %g",
			      p->m, p->n, p->k, p->lda, p->ldb, p->ldc,
			      p->trans_a, p->trans_b, alpha, beta, i, j, got,
			      alpha * sum + before, error, bound);
		}
}

/* What lies between the columns of C is nobody's to write. */
static void check_between(struct run *r, const struct gemm *g)
{
	const struct vgpu_sgemm *p = &g->p;

	for (uint64_t at = 0; at < g->c.count; at++)
		CHECK(r, at % p->ldc < p->m || g->c.bits[at] == g->want.bits[at],
		      "m %u n %u k %u ldc %u: word %llu, beside C, was written",
		      p->m, p->n, p->k, p->ldc, (unsigned long long)at);
}

static uint64_t span(uint32_t rows, uint32_t cols, uint32_t ld)
{
	return rows && cols ? (uint64_t)(cols - 1) * ld + rows : 0;
}

/* -1 ... 1 everywhere, or what is not to be read. */
static void numbers(struct operand *o, uint64_t count, uint32_t seed, bool poison)
{
	uint32_t state = seed * 2654435761u + 1;

	operand_make(o, count, AT_END);
	for (uint64_t i = 0; i < count; i++)
		o->bits[i] = poison ? 0x7fc00000 :
			bits_of((float)(int)next_random(&state) * 0x1p-31f);
}

static void gemm_make(struct gemm *g, uint32_t m, uint32_t n, uint32_t k,
		      unsigned int kind)
{
	static const float alphas[] = { 1, -0.75f, 1, 3 };
	static const float betas[] = { 0, 1, -2.5f, 0, 0.125f };
	static const uint32_t more[] = { 0, 3, 0, 61 };
	struct vgpu_sgemm *p = &g->p;

	*p = (struct vgpu_sgemm){
		.m = m, .n = n, .k = k,
		.trans_a = kind & 1, .trans_b = kind >> 1 & 1,
		.alpha = bits_of(alphas[(m + n + k + kind) % 4]),
		.beta = bits_of(betas[(m + n + k + kind) % 5]),
	};
	p->lda = (p->trans_a ? k : m) + more[(m + kind) % 4];
	p->ldb = (p->trans_b ? n : k) + more[(n + kind) % 4];
	p->ldc = m + more[(k + kind) % 4];
	p->lda += !p->lda;
	p->ldb += !p->ldb;
	p->ldc += !p->ldc;
	numbers(&g->a, span(p->trans_a ? k : m, p->trans_a ? m : k, p->lda), 1,
		false);
	numbers(&g->b, span(p->trans_b ? n : k, p->trans_b ? k : n, p->ldb), 2,
		false);
	numbers(&g->c, span(m, n, p->ldc), 3, !p->beta);
	numbers(&g->want, span(m, n, p->ldc), 3, !p->beta);
	operand_protect(&g->a, PROT_READ);
	operand_protect(&g->b, PROT_READ);
}

static void gemm_free(struct gemm *g)
{
	operand_free(&g->a);
	operand_free(&g->b);
	operand_free(&g->c);
	operand_free(&g->want);
}

static uint64_t gemm_run(struct run *r, struct gemm *g, bool device)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_mem ma, mb, mc;
	struct vgpu_job job;

	job_kernel(&job, s, VGPU_KERNEL_SGEMM);
	job.sgemm = &g->p;
	job.operand[0] = operand_put(r, s, &g->a, &ma, device);
	job.operand[1] = operand_put(r, s, &g->b, &mb, device);
	job.operand[2] = operand_put(r, s, &g->c, &mc, device);
	run_well(r, &job, "sgemm");
	operand_drop(r, &ma);
	operand_drop(r, &mb);
	operand_take(r, s, &g->c, &mc);
	vgpu_engine_stream_destroy(r->eng, s);
	return job.time_ns;
}

/* Every shape of these sizes, every transposition, host and device in turns. */
static void case_gemm(struct run *r)
{
	static const uint32_t sizes[] = { 0, 1, 3, 64, 65, 257 };
	const unsigned int nr = r->quick ? 5 : 6;
	struct gemm g;

	for (unsigned int i = 0; i < nr * nr * nr * 4; i++) {
		unsigned int shape = i / 4;
		uint32_t m = sizes[shape % nr];
		uint32_t n = sizes[shape / nr % nr];
		uint32_t k = sizes[shape / nr / nr];

		gemm_make(&g, m, n, k, i % 4);
		gemm_run(r, &g, (i / 4 + i) % 2);
		check_gemm(r, &g);
		check_between(r, &g);
		gemm_free(&g);
		if (r->wrong[0])
			return;
	}
}

/* Operands that are partly on the device. */
static void case_gemm_mixed(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_mem mem[3];
	struct vgpu_job job;
	struct gemm g;

	for (unsigned int which = 0; which < 8; which++) {
		gemm_make(&g, 70, 51, 33, which % 4);
		job_kernel(&job, s, VGPU_KERNEL_SGEMM);
		job.sgemm = &g.p;
		job.operand[0] = operand_put(r, s, &g.a, &mem[0], which & 1);
		job.operand[1] = operand_put(r, s, &g.b, &mem[1], which & 2);
		job.operand[2] = operand_put(r, s, &g.c, &mem[2], which & 4);
		run_well(r, &job, "sgemm");
		operand_drop(r, &mem[0]);
		operand_drop(r, &mem[1]);
		operand_take(r, s, &g.c, &mem[2]);
		check_gemm(r, &g);
		check_between(r, &g);
		gemm_free(&g);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_gemm_large(struct run *r)
{
	struct gemm g;
	uint64_t ns;

	gemm_make(&g, 1000, 700, 900, 0);
	ns = gemm_run(r, &g, true);
	check_gemm(r, &g);
	check_between(r, &g);
	printf("# %s: sgemm 1000 x 700 x 900 in %llu us, %.1f Gflop/s\n",
	       r->label, (unsigned long long)ns / 1000,
	       2.0 * 1000 * 700 * 900 / (double)(ns ? ns : 1));
	gemm_free(&g);
}

static void refuse_gemm(struct run *r, struct vgpu_engine_stream *s,
			struct vgpu_sgemm p, const char *what)
{
	float a[6] = { 0 }, b[6] = { 0 }, c[4] = { 7, 7, 7, 7 };
	struct vgpu_job job;

	job_kernel(&job, s, VGPU_KERNEL_SGEMM);
	job.sgemm = &p;
	job.operand[0] = in_host(a, 6);
	job.operand[1] = in_host(b, 6);
	job.operand[2] = in_host(c, 4);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_INVALID, "sgemm, %s: status %u", what,
	      job.status);
	for (unsigned int i = 0; i < 4; i++)
		CHECK(r, c[i] == 7, "sgemm, %s: C was written", what);
}

static void case_refused(struct run *r)
{
	const struct vgpu_sgemm good = {
		.m = 2, .n = 2, .k = 3, .lda = 2, .ldb = 3, .ldc = 2,
	};
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_sgemm p;

#define REFUSED(what, change)					\
	do {							\
		p = good;					\
		change;						\
		refuse_gemm(r, s, p, what);			\
	} while (0)
	REFUSED("A too short", p.lda = 3);
	REFUSED("B too short", p.ldb = 4);
	REFUSED("C too short", p.ldc = 3);
	REFUSED("lda below the rows", p.lda = 1);
	REFUSED("ldb below the rows", p.ldb = 2);
	REFUSED("ldc below the rows", p.ldc = 1);
	REFUSED("lda 0", (p.m = 0, p.lda = 0));
	REFUSED("trans_a 2", p.trans_a = 2);
	REFUSED("trans_b 2", p.trans_b = 2);
	REFUSED("m 2^31", (p.m = 1u << 31, p.n = 0, p.lda = p.ldc = UINT32_MAX));
	REFUSED("k 2^32 - 1", (p.k = UINT32_MAX, p.ldb = UINT32_MAX));
	REFUSED("spans of 62 bits", (p.n = p.k = p.ldb = 0x7fffffff));
#undef REFUSED
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case sgemm_cases[] = {
	{ "sgemm: shapes, transpositions, leading dimensions, within its bound", case_gemm, ALWAYS },
	{ "sgemm: operands on host and device", case_gemm_mixed, ALWAYS },
	{ "sgemm: 1000 x 700 x 900", case_gemm_large, UNLESS_QUICK },
	{ "sgemm: shapes that cannot be are refused", case_refused, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
