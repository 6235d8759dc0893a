// SPDX-License-Identifier: MIT
/*
 * fake_kernels.c - what the kernels do that the fake libcuda.so.1 knows, as loops
 *
 * Each runs on the thread of its stream, with its arguments where the launch had
 * them: the engine's own in turns of 8 octets, a guest's as its parameters lie.
 * Memory is asked for before it is touched; what a GPU would fault on is a fault.
 */
#include <math.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "fake_cuda.h"

static void *pointer(const struct work *w, size_t at)
{
	void *p;

	memcpy(&p, w->args + at, sizeof(p));
	return p;
}

static uint64_t number(const struct work *w, size_t at, size_t octets)
{
	uint64_t n = 0;

	memcpy(&n, w->args + at, octets);
	return n;
}

static float real(const struct work *w, size_t at)
{
	float f;

	memcpy(&f, w->args + at, sizeof(f));
	return f;
}

static int saxpy(const float *x, float *y, uint64_t n, float alpha)
{
	if (!fake_may_read(x, n * 4) || !fake_may_write(y, n * 4))
		return 0;
	for (uint64_t i = 0; i < n; i++)
		y[i] = fmaf(alpha, x[i], y[i]);
	return 1;
}

static int vgpu_saxpy(const struct work *w)
{
	return saxpy(pointer(w, 0), pointer(w, 8), number(w, 16, 8),
		     real(w, 24));
}

/* Each block its turn of 256 elements, as the real one. */
static int vgpu_sum_parts(const struct work *w)
{
	const float *in = pointer(w, 0);
	uint64_t n = number(w, 8, 8);
	double *part = pointer(w, 16);

	if ((n && !fake_may_read(in, n * 4)) ||
	    fake_memory(part, w->grid * sizeof(double)) != DEVICE)
		return 0;
	for (unsigned int block = 0; block < w->grid; block++) {
		part[block] = 0;
		for (uint64_t i = block * 256ull; i < n;
		     i += w->grid * 256ull)
			for (uint64_t k = i; k < i + 256 && k < n; k++)
				part[block] += (double)in[k];
	}
	return 1;
}

static int vgpu_sum(const struct work *w)
{
	const double *part = pointer(w, 0);
	uint64_t n = number(w, 8, 4);
	float *out = pointer(w, 16);
	double sum = 0;

	if (fake_memory(part, n * sizeof(double)) != DEVICE ||
	    !fake_may_write(out, 4))
		return 0;
	for (uint64_t i = 0; i < n; i++)
		sum += part[i];
	*out = (float)sum;
	return 1;
}

static float product(const struct fake_sgemm *g, uint64_t row, uint64_t col)
{
	float sum = 0;

	for (uint64_t i = 0; i < g->k && g->alpha != 0; i++)
		sum = fmaf(g->a[g->trans_a ? row * g->lda + i : i * g->lda + row],
			   g->b[g->trans_b ? i * g->ldb + col : col * g->ldb + i],
			   sum);
	return g->alpha == 0 ? 0 : g->alpha * sum;
}

static int vgpu_sgemm(const struct work *w)
{
	struct fake_sgemm g;

	memcpy(&g, w->args, sizeof(g));
	/* The engine brings all operands to the GPU. */
	if (fake_memory(g.c, ((g.n - 1) * g.ldc + g.m) * 4) != DEVICE ||
	    (g.k && (fake_memory(g.a, 4) != DEVICE ||
		     fake_memory(g.b, 4) != DEVICE)))
		return 0;
	for (uint64_t col = 0; col < g.n; col++) {
		for (uint64_t row = 0; row < g.m; row++) {
			float *c = &g.c[col * g.ldc + row];
			float v = product(&g, row, col);

			*c = g.beta == 0 ? v : fmaf(g.beta, *c, v);
		}
	}
	return 1;
}

CUresult fake_sgemm(CUstream stream, const struct fake_sgemm *g)
{
	struct work w = { .type = KERNEL, .kernel = vgpu_sgemm, .grid = 1 };

	memcpy(w.args, g, sizeof(*g));
	return fake_queue(stream, &w);
}

/* From here on kernels.ptx. */

static int guest_saxpy(const struct work *w)
{
	uint64_t n = number(w, 16, 4), threads = (uint64_t)w->grid * w->block;

	return saxpy(pointer(w, 0), pointer(w, 8), n < threads ? n : threads,
		     real(w, 20));
}

static int guest_count(const struct work *w)
{
	uint32_t *counter = pointer(w, 0);

	if (!fake_may_write(counter, 4))
		return 0;
	*counter += 1;
	return 1;
}

static int guest_exchange(const struct work *w)
{
	uint32_t *out = pointer(w, 0), *in = pointer(w, 8), v[256];

	if (!fake_may_write(out, sizeof(v)) || !fake_may_read(in, sizeof(v)))
		return 0;
	memcpy(v, in, sizeof(v));
	for (int i = 0; i < 256; i++)
		out[i] = v[255 - i] + 2 * v[(i + 1) % 256];
	return 1;
}

static int guest_gather(const struct work *w)
{
	uint32_t **table = pointer(w, 0), *out = pointer(w, 8);
	uint64_t n = number(w, 16, 4);

	if (!fake_may_read(table, n * 8) || !fake_may_write(out, n * 4))
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		if (!fake_may_read(table[i], 4))
			return 0;
		out[i] = *table[i];
	}
	return 1;
}

static int guest_odd(const struct work *w)
{
	uint32_t *out = pointer(w, 40);

	if (!fake_may_write(out, 12))
		return 0;
	out[0] = (uint32_t)number(w, 0, 1);
	out[1] = (uint32_t)number(w, 28, 4);
	out[2] = (uint32_t)number(w, 32, 2);
	return 1;
}

static int guest_nothing(const struct work *w)
{
	(void)w;
	return 1;
}

static int guest_delay(const struct work *w)
{
	uint64_t ns = number(w, 0, 8);
	const struct timespec ts = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000),
	};

	nanosleep(&ts, NULL);
	return 1;
}

static int guest_spin(const struct work *w)
{
	const struct timespec nap = { 0, 100000 };
	const uint32_t *flag = pointer(w, 0);

	if (!fake_may_read(flag, 4))
		return 0;
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		nanosleep(&nap, NULL);
	return 1;
}

static int guest_store(const struct work *w)
{
	uint32_t *at = pointer(w, 0);

	if (!fake_may_write(at, 4))
		return 0;
	*at = 1;
	return 1;
}

struct named {
	const char *name;
	fake_kernel kernel;
};

static fake_kernel find(const struct named *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return list[i].kernel;
	return NULL;
}

fake_kernel fake_builtin(const char *name)
{
	static const struct named list[] = {
		{ "vgpu_saxpy", vgpu_saxpy },
		{ "vgpu_sum_parts", vgpu_sum_parts },
		{ "vgpu_sum", vgpu_sum },
		{ "vgpu_sgemm", vgpu_sgemm },
	};

	return find(list, sizeof(list) / sizeof(list[0]), name);
}

fake_kernel fake_guest(const char *name)
{
	static const struct named list[] = {
		{ "saxpy", guest_saxpy },	{ "count", guest_count },
		{ "exchange", guest_exchange }, { "gather", guest_gather },
		{ "odd", guest_odd },		{ "nothing", guest_nothing },
		{ "delay", guest_delay },	{ "spin", guest_spin },
		{ "store", guest_store },
	};

	return find(list, sizeof(list) / sizeof(list[0]), name);
}
