// SPDX-License-Identifier: MIT
/*
 * builtins.c - saxpy and sum against references of the test's own, in host and in
 * device memory, within the errors that vgpuif.h allows
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"

static void check_saxpy(struct run *r, uint32_t alpha, const uint32_t *x,
			const uint32_t *y, const uint32_t *got, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint32_t want = bits_of(fmaf(float_of(alpha), float_of(x[i]),
					     float_of(y[i])));

		CHECK(r, same_bits(want, got[i]),
		      "element %llu of %llu: fma(0x%08x, 0x%08x, 0x%08x) gave 0x%08x, not 0x%08x",
		      (unsigned long long)i, (unsigned long long)n, alpha, x[i],
		      y[i], got[i], want);
	}
}

static void saxpy_once(struct run *r, uint64_t n, uint32_t alpha, bool device)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_mem mx, my;
	struct operand x, y, before;
	struct vgpu_job job;

	operand_make(&x, n, AT_END);
	operand_make(&y, n, AT_END);
	operand_make(&before, n, AT_END);
	operand_fill(&x, 1 + (uint32_t)n);
	operand_fill(&y, 2 + (uint32_t)n);
	operand_fill(&before, 2 + (uint32_t)n);
	operand_protect(&x, PROT_READ);
	job_kernel(&job, s, VGPU_KERNEL_SAXPY);
	job.param = alpha;
	job.operand[0] = operand_put(r, s, &x, &mx, device);
	job.operand[1] = operand_put(r, s, &y, &my, device);
	run_well(r, &job, "saxpy");
	operand_drop(r, &mx);
	operand_take(r, s, &y, &my);
	check_saxpy(r, alpha, x.bits, before.bits, y.bits, n);
	if (n > 1 << 20)
		printf("# %s: saxpy of %llu elements on the %s in %llu us\n",
		       r->label, (unsigned long long)n,
		       device ? "device" : "host",
		       (unsigned long long)job.time_ns / 1000);
	operand_free(&x);
	operand_free(&y);
	operand_free(&before);
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_saxpy(struct run *r)
{
	static const uint32_t sizes[] = { 0, 1, 3, 1023, 4097, 65537, 1300007 };
	static const uint32_t alphas[] = {
		0x3f800000, 0, 0x80000000, 0x3f800001, 0xc0490fdb, 0x00000001,
		0x7f7fffff, 0x7f800000, 0x7fc00000,
	};
	enum { NR = sizeof(alphas) / sizeof(alphas[0]) };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (r->quick && sizes[i] > 5000)
			break;
		for (unsigned int k = 0; k < NR; k++) {
			if (sizes[i] > 5000 && k > 4)
				break;
			saxpy_once(r, sizes[i], alphas[k], k % 2);
			saxpy_once(r, sizes[i], alphas[k], !(k % 2));
		}
	}
}

/* One rounding, not two: the product alone would lose what decides. */
static void case_fused(struct run *r)
{
	static const uint32_t table[][4] = {
		/* (1 + 2^-12)^2 - 1 - 2^-11 = 2^-24 */
		{ 0x3f800800, 0x3f800800, 0xbf801000, 0x33800000 },
		/* (1 + 2^-23) * (1 - 2^-23) - 1 = -2^-46 */
		{ 0x3f800001, 0x3f7ffffe, 0xbf800000, 0xa8800000 },
		/* 2^127 * 2 - 2^127 is no overflow */
		{ 0x7f000000, 0x40000000, 0xff000000, 0x7f000000 },
		/* a product below the least subnormal still turns a tie */
		{ 0x00800000, 0x33000000, 0x3f800000, 0x3f800000 },
		{ 0x34000000, 0x3f000001, 0x3f800000, 0x3f800001 },
	};
	enum { N = sizeof(table) / sizeof(table[0]) };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_job job;

	for (unsigned int i = 0; i < N; i++) {
		uint32_t x = table[i][1], y = table[i][2];

		job_kernel(&job, s, VGPU_KERNEL_SAXPY);
		job.param = table[i][0];
		job.operand[0] = in_host(&x, 1);
		job.operand[1] = in_host(&y, 1);
		run_well(r, &job, "saxpy");
		CHECK(r, y == table[i][3],
		      "fma(0x%08x, 0x%08x, 0x%08x) gave 0x%08x, not 0x%08x",
		      table[i][0], x, table[i][2], y, table[i][3]);
	}
	/* y and x in one: y = 2 * y + y. */
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t y[3] = { bits_of(1), bits_of(-5), bits_of(0.5f) };

		job_kernel(&job, s, VGPU_KERNEL_SAXPY);
		job.param = bits_of(2);
		job.operand[0] = job.operand[1] = in_host(y, 3);
		run_well(r, &job, "saxpy of one operand");
		CHECK(r, y[0] == bits_of(3) && y[1] == bits_of(-15) &&
		      y[2] == bits_of(1.5f), "2 * y + y gave %g, %g, %g",
		      (double)float_of(y[0]), (double)float_of(y[1]),
		      (double)float_of(y[2]));
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

/* The engine's sum of what is in `in`. */
static float sum_of(struct run *r, struct operand *in, bool device)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct operand out;
	struct vgpu_engine_mem mi, mo;
	struct vgpu_job job;
	float sum;

	operand_make(&out, 1, AT_END);
	out.bits[0] = 0x7fc00000;
	job_kernel(&job, s, VGPU_KERNEL_REDUCE_SUM);
	job.operand[0] = operand_put(r, s, in, &mi, device);
	job.operand[1] = operand_put(r, s, &out, &mo, device);
	run_well(r, &job, "sum");
	operand_drop(r, &mi);
	operand_take(r, s, &out, &mo);
	sum = float_of(out.bits[0]);
	operand_free(&out);
	vgpu_engine_stream_destroy(r->eng, s);
	return sum;
}

/*
 * Whole numbers, whose sum is exact in whatever order; then any, of which the
 * error is at most that of n additions in binary64 and of one rounding.
 */
static void sum_once(struct run *r, uint64_t n, bool device)
{
	long double exact = 0, size = 0;
	uint32_t state = (uint32_t)n + 5;
	struct operand in;
	double error;
	float got;

	operand_make(&in, n, AT_END);
	for (uint64_t i = 0; i < n; i++) {
		float v = (float)(int)(next_random(&state) % 2001 - 1000);

		in.bits[i] = bits_of(v);
		exact += (long double)v;
	}
	got = sum_of(r, &in, device);
	CHECK(r, got == (float)exact, "sum of %llu whole numbers: %.9g, not %.9g",
	      (unsigned long long)n, (double)got, (double)exact);
	exact = 0;
	for (uint64_t i = 0; i < n; i++) {
		float v = ldexpf((float)(int)next_random(&state),
				 (int)(next_random(&state) % 40) - 40);

		in.bits[i] = bits_of(v);
		exact += (long double)v;
		size += fabsl((long double)v);
	}
	got = sum_of(r, &in, device);
	error = fabs((double)((long double)got - exact));
	CHECK(r, error <= (double)n * 0x1p-52 * (double)size +
			  0x1.0001p-24 * fabs((double)exact),
	      "sum of %llu numbers: %.9g, not %.9g", (unsigned long long)n,
	      (double)got, (double)exact);
	operand_free(&in);
}

static void case_sum(struct run *r)
{
	static const uint32_t sizes[] = {
		0, 1, 2, 31, 1025, 4099, 65535, 65536, 65537, 131073, 3000003,
	};
	struct operand special;
	float sum;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (r->quick && sizes[i] > 70000)
			break;
		sum_once(r, sizes[i], false);
		sum_once(r, sizes[i], true);
	}
	operand_make(&special, 1000, AT_END);
	operand_zero(&special);
	special.bits[777] = 0x7f800000;
	sum = sum_of(r, &special, false);
	CHECK(r, sum == INFINITY, "infinity and zeros: %g", (double)sum);
	special.bits[3] = 0xff800000;
	sum = sum_of(r, &special, false);
	CHECK(r, isnan(sum), "infinity - infinity: %g", (double)sum);
	/* Beyond binary32, but not in binary64. */
	operand_zero(&special);
	special.bits[0] = special.bits[1] = 0x7f7fffff;
	special.bits[999] = special.bits[998] = 0xff7fffff;
	special.bits[500] = bits_of(1);
	sum = sum_of(r, &special, false);
	CHECK(r, sum == 1 || sum == 0, "large numbers that cancel: %g",
	      (double)sum);
	operand_free(&special);
}

static void case_refused(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	float x[8] = { 0 };
	struct vgpu_job job;

	for (unsigned int bad = 0; bad < 5; bad++) {
		job_kernel(&job, s, bad < 3 ? VGPU_KERNEL_SAXPY :
					      VGPU_KERNEL_REDUCE_SUM);
		job.operand[0] = in_host(x, 4);
		job.operand[1] = in_host(x + 4, bad < 3 ? 4 : 1);
		if (bad == 0)
			job.operand[1].count = 3;
		else if (bad == 1)
			job.operand[2] = in_host(x, 4);
		else if (bad == 2)
			job.operand[1].host = NULL;
		else if (bad == 3)
			job.operand[1].count = 2;
		else
			job.operand[1].count = 0;
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_INVALID,
		      "mistake %u: status %u", bad, job.status);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case builtin_cases[] = {
	{ "saxpy: sizes and alphas, every kind of float", case_saxpy, ALWAYS },
	{ "saxpy rounds once", case_fused, ALWAYS },
	{ "sum: exact where it can be, else within binary64's error", case_sum, ALWAYS },
	{ "built-in kernels: shapes that cannot be are refused", case_refused, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
