// SPDX-License-Identifier: MIT
/*
 * compute.c - a guest's program that does general compute and checks all of it
 *
 * Runs in a guest of the bed, on libvgpufront, and prints TAP. Every result is
 * compared with what the processor makes of the same numbers. "compute hold"
 * allocates memory, starts work on it and waits to be killed.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libvgpufront/vgpufront.h"

#define N 100003u
#define MIB (1u << 20)
#define BATCH 64

static struct vgpu_device *dev;
static unsigned int tests, failed;

static bool __attribute__((format(printf, 2, 3)))
ok(bool good, const char *fmt, ...)
{
	va_list ap;

	failed += !good;
	printf("%sok %u - ", good ? "" : "not ", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return good;
}

static void is(int got, int want, const char *what)
{
	if (!ok(got == want, "%s", what))
		printf("# got %d (%s), not %d\n", got, vgpu_strerror(got),
		       want);
}

static float *floats(size_t n, unsigned int seed)
{
	float *f = malloc(n * sizeof(*f));

	if (!f)
		exit(99);
	for (size_t i = 0; i < n; i++)
		f[i] = (float)((i * 2654435761u + seed) % 4096) / 64 - 32;
	return f;
}

static bool same(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(&a[i], &b[i], 4)) {
			printf("# element %zu: %a, not %a\n", i, (double)a[i],
			       (double)b[i]);
			return false;
		}
	}
	return true;
}

static struct vgpu_device_info info(void)
{
	struct vgpu_device_info i;

	memset(&i, 0, sizeof(i));
	if (vgpu_get_info(dev, &i))
		exit(99);
	return i;
}

/* Device memory from ordinary memory and back, with a kernel between. */
static void test_saxpy(void)
{
	float *x = floats(N, 1), *y = floats(N, 2), *got = floats(N, 3);
	struct vgpu_mem *dx, *dy;

	is(vgpu_mem_alloc(dev, N * 4, 0, &dx), 0, "memory for x");
	is(vgpu_mem_alloc(dev, N * 4, 0, &dy), 0, "memory for y");
	vgpu_copy_in(dev, vgpu_at(dx, 0), x, N * 4, 0);
	vgpu_copy_in(dev, vgpu_at(dy, 0), y, N * 4, 0);
	vgpu_saxpy(dev, 1.5f, vgpu_at(dx, 0), vgpu_at(dy, 0), N, 0);
	vgpu_copy_out(dev, got, vgpu_at(dy, 0), N * 4, 0);
	is(vgpu_fence(dev, 0), 0, "saxpy on device memory, from and to ordinary memory");
	for (size_t i = 0; i < N; i++)
		y[i] = fmaf(1.5f, x[i], y[i]);
	ok(same(got, y, N), "saxpy: every bit of %u elements", N);
	vgpu_mem_free(dx, 0);
	vgpu_mem_free(dy, 0);
	is(vgpu_fence(dev, 0), 0, "both are freed");
	free(x);
	free(y);
	free(got);
}

static void test_zeroed(void)
{
	unsigned char *got = malloc(MIB);
	struct vgpu_mem *mem;
	size_t i;

	for (int round = 0; round < 3; round++) {
		vgpu_mem_alloc(dev, MIB, 0, &mem);
		memset(got, 0xff, MIB);
		vgpu_copy_out(dev, got, vgpu_at(mem, 0), MIB, 0);
		vgpu_fill(dev, vgpu_at(mem, 0), 0xa5, 1, MIB, 0);
		vgpu_mem_free(mem, 0);
		is(vgpu_fence(dev, 0), 0, "allocated, read, filled, freed");
		for (i = 0; i < MIB && !got[i]; i++)
			;
		ok(i == MIB, "memory is zero before anybody wrote it (%d)",
		   round + 1);
	}
	free(got);
}

static void test_sgemm(void)
{
	enum { M = 65, NN = 33, K = 70 };
	float *a = floats(M * K, 4), *b = floats(K * NN, 5);
	struct vgpu_buffer *buf;
	struct vgpu_mem *da, *db;
	double worst = 0;
	float *c;

	is(vgpu_buffer_alloc(dev, M * NN * 4, &buf), 0, "a buffer for C");
	c = vgpu_buffer_ptr(buf);
	vgpu_mem_alloc(dev, M * K * 4, 0, &da);
	vgpu_mem_alloc(dev, K * NN * 4, 0, &db);
	vgpu_copy_in(dev, vgpu_at(da, 0), a, M * K * 4, 0);
	vgpu_copy_in(dev, vgpu_at(db, 0), b, K * NN * 4, 0);
	vgpu_sgemm(dev, M, NN, K, 1,
		   (struct vgpu_matrix){vgpu_at(da, 0), M, false},
		   (struct vgpu_matrix){vgpu_at(db, 0), K, false}, 0,
		   (struct vgpu_matrix){vgpu_in(buf, 0), M, false}, 0);
	is(vgpu_fence(dev, 0), 0, "sgemm, C in a buffer");
	for (int i = 0; i < M; i++) {
		for (int j = 0; j < NN; j++) {
			double sum = 0, size = 0, err;

			for (int k = 0; k < K; k++) {
				double t = (double)a[i + k * M] * b[k + j * K];

				sum += t;
				size += fabs(t);
			}
			err = fabs(sum - (double)c[i + j * M]) /
			      (2 * (K + 2) * ldexp(size, -24));
			worst = err > worst ? err : worst;
		}
	}
	ok(worst <= 1, "sgemm: error at most %.3f of the bound", worst);
	vgpu_mem_free(da, 0);
	vgpu_mem_free(db, 0);
	is(vgpu_fence(dev, 0), 0, "freed");
	is(vgpu_buffer_free(buf), 0, "the buffer, too");
	free(a);
	free(b);
}

static void test_reduce(void)
{
	float *x = floats(N, 6), got = 0;
	struct vgpu_mem *in, *out;
	double sum = 0;

	vgpu_mem_alloc(dev, N * 4, 0, &in);
	vgpu_mem_alloc(dev, 4, 0, &out);
	vgpu_copy_in(dev, vgpu_at(in, 0), x, N * 4, 0);
	vgpu_reduce_sum(dev, vgpu_at(in, 0), vgpu_at(out, 0), N, 0);
	vgpu_copy_out(dev, &got, vgpu_at(out, 0), 4, 0);
	is(vgpu_fence(dev, 0), 0, "sum of a vector");
	for (size_t i = 0; i < N; i++)
		sum += (double)x[i];
	/* Exact: the addends are multiples of 1/64, and small. */
	ok(got == (float)sum, "the sum is %g", sum);
	vgpu_mem_free(in, 0);
	vgpu_mem_free(out, 0);
	vgpu_fence(dev, 0);
	free(x);
}

/* One stream fills, the other reads behind an event, many times. */
static void test_events(void)
{
	unsigned int a, b, wrong = 0;
	struct vgpu_event *full, *read;
	struct vgpu_buffer *buf;
	struct vgpu_mem *mem;
	const uint32_t *got;
	uint64_t address;
	int64_t ns = -1;

	is(vgpu_stream_create(dev, &a), 0, "a stream");
	is(vgpu_stream_create(dev, &b), 0, "another one");
	ok(a && b && a != b, "they have numbers of their own");
	vgpu_event_create(dev, &full);
	vgpu_event_create(dev, &read);
	vgpu_buffer_alloc(dev, 50 * 4, &buf);
	vgpu_mem_alloc(dev, MIB, a, &mem);
	is(vgpu_mem_address(mem, &address), 0, "memory that both may use");
	ok(address && address % 256 == 0, "its address is aligned");
	for (unsigned int i = 0; i < 50; i++) {
		vgpu_event_wait(read, a);
		vgpu_fill(dev, vgpu_at(mem, 0), i + 1, 4, MIB, a);
		vgpu_event_record(full, a);
		vgpu_event_wait(full, b);
		vgpu_copy(dev, vgpu_in(buf, i * 4), vgpu_at(mem, MIB - 4), 4, b);
		vgpu_event_record(read, b);
	}
	is(vgpu_event_synchronize(read), 0, "the last event is reached");
	is(vgpu_event_query(full), 0, "and so is the one before it");
	is(vgpu_event_elapsed(full, read, &ns), 0, "the time between them");
	ok(ns >= 0, "it is not negative");
	is(vgpu_fence(dev, a), 0, "nothing failed on the first stream");
	is(vgpu_fence(dev, b), 0, "nor on the second one");
	got = vgpu_buffer_ptr(buf);
	for (unsigned int i = 0; i < 50; i++)
		wrong += got[i] != i + 1;
	ok(!wrong, "each of 50 fills was read before the next one");
	vgpu_mem_free(mem, a);
	vgpu_event_destroy(full);
	vgpu_event_destroy(read);
	is(vgpu_stream_destroy(dev, a), 0, "the streams are destroyed");
	is(vgpu_stream_destroy(dev, b), 0, "both");
	is(vgpu_buffer_free(buf), 0, "and the buffer");
}

/* Failures of quiet work come with the fence, once, the first one. */
static void test_failures(void)
{
	struct vgpu_mem *mem, *big;
	uint64_t address;

	vgpu_mem_alloc(dev, 4096, 0, &mem);
	is(vgpu_copy(dev, vgpu_at(mem, 4000), vgpu_at(mem, 0), 97, 0), -ERANGE,
	   "a copy past the end is refused at once");
	is(vgpu_fence(dev, 0), 0, "and is no failure of the stream");
	is(vgpu_mem_alloc(dev, 1ull << 31, 0, &big), 0,
	   "more memory than the quota");
	vgpu_fill(dev, vgpu_at(big, 0), 0, 1, 16, 0);
	is(vgpu_fence(dev, 0), -EDQUOT, "is said by the fence");
	is(vgpu_fence(dev, 0), 0, "once");
	is(vgpu_mem_address(big, &address), -EDQUOT, "and by its address");
	vgpu_mem_free(big, 0);
	vgpu_mem_free(mem, 0);
	vgpu_fence(dev, 0);
}

/* Nothing in it but what every image has; the examples run kernels. */
static void test_modules(void)
{
	static const char ptx[] = ".version 7.0\n.target sm_75\n";
	bool gpu = strcmp(info().engine, "cpu") != 0;
	struct vgpu_module *mod = NULL;
	char log[64] = "x";

	is(vgpu_module_load(dev, ptx, sizeof(ptx), log, sizeof(log), &mod),
	   gpu ? 0 : -ENXIO,
	   gpu ? "PTX is loaded" :
		 "PTX: an engine that is no GPU has an error of its own");
	is(vgpu_module_unload(mod), 0, "and unloaded, where there was a GPU");
	vgpu_fence(dev, 0);
}

/* So many requests leave the guest at once: see the module's counters. */
static void test_batch(void)
{
	struct vgpu_mem *mem;
	float *got = floats(N, 7);
	size_t wrong = 0;

	vgpu_mem_alloc(dev, N * 4, 0, &mem);
	vgpu_fill(dev, vgpu_at(mem, 0), 0x3f800000, 4, N * 4, 0);
	vgpu_batch_begin(dev);
	for (int i = 0; i < BATCH; i++)
		vgpu_saxpy(dev, 1, vgpu_at(mem, 0), vgpu_at(mem, 0), 3, 0);
	is(vgpu_batch_end(dev), 0, "a batch");
	vgpu_copy_out(dev, got, vgpu_at(mem, 0), N * 4, 0);
	is(vgpu_fence(dev, 0), 0, "is done");
	for (size_t i = 0; i < N; i++)
		wrong += got[i] != (i < 3 ? ldexpf(1, BATCH) : 1);
	ok(!wrong, "in order: 64 times doubled is 2^64");
	vgpu_mem_free(mem, 0);
	vgpu_fence(dev, 0);
	free(got);
}

static int hold(void)
{
	struct vgpu_mem *mem[8];
	struct vgpu_event *ev;

	vgpu_event_create(dev, &ev);
	for (int i = 0; i < 8; i++)
		if (vgpu_mem_alloc(dev, MIB, i, &mem[i]) ||
		    vgpu_fill(dev, vgpu_at(mem[i], 0), 1, 1, MIB, i) ||
		    vgpu_event_record(ev, i) || vgpu_fence(dev, i))
			return 1;
	printf("holding %llu bytes and %u objects\n",
	       (unsigned long long)info().mem_used, info().nr_objects);
	fflush(stdout);
	for (;;)
		for (int i = 0; i < 8; i++)
			vgpu_fill(dev, vgpu_at(mem[i], 0), 1, 1, MIB, i);
}

int main(int argc, char **argv)
{
	if (vgpu_open(NULL, &dev)) {
		puts("Bail out! cannot open /dev/vgpufront");
		return 1;
	}
	if (argc > 1 && !strcmp(argv[1], "hold"))
		return hold();
	if (argc > 1 && !strcmp(argv[1], "batch")) {
		test_batch();
	} else {
		test_saxpy();
		test_zeroed();
		test_sgemm();
		test_reduce();
		test_events();
		test_failures();
		test_modules();
		ok(info().mem_used == 0 && info().nr_objects == 0,
		   "nothing is left: %llu bytes, %u objects",
		   (unsigned long long)info().mem_used, info().nr_objects);
	}
	vgpu_close(dev);
	printf("1..%u\n", tests);
	return failed != 0;
}
