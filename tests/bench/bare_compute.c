// SPDX-License-Identifier: MIT
/*
 * bare_compute.c - the peer of a guest's program: driver API and cuBLAS alone
 *
 * Launches, a product, copies from and to pinned memory: what measure_lib.c does
 * through the product, by the same rows. Runs in a process of its own (peer.h).
 */
#include "peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cuda/cuda_driver.h"
#include "compute.h"

#define THREADS 32
/* Products and copies before those that count. */
#define WARM_UP 3

/* Beyond what the product's engine asks of the driver. */
#define MORE_CALLS(X)                                                          \
	X(cuDevicePrimaryCtxSetFlags)                                          \
	X(cuMemcpyDtoDAsync)                                                   \
	X(cuMemsetD8)

/* Of <cublas_v2.h>, which no build needs for this. */
struct cublas {
	int (*create)(void **handle);
	int (*set_stream)(void *handle, CUstream stream);
	int (*sgemm)(void *handle, int trans_a, int trans_b, int m, int n,
		     int k, const float *alpha, const float *a, int lda,
		     const float *b, int ldb, const float *beta, float *c,
		     int ldc);
};

struct bare {
	const struct cuda_driver *cu;
#define MORE_MEMBER(fn) __typeof__(fn) *fn;
	MORE_CALLS(MORE_MEMBER)
#undef MORE_MEMBER
	CUfunction count;
	CUstream stream;
	CUdeviceptr counter;
	uint32_t launched;
	const char *call; /* the one that failed */
};

static bool ok(struct bare *b, const char *call, CUresult err)
{
	if (err != CUDA_SUCCESS && !b->call)
		b->call = call;
	return err == CUDA_SUCCESS;
}

#define CU(b, fn, ...) ok(b, #fn, (b)->cu->fn(__VA_ARGS__))
#define MORE(b, fn, ...) ok(b, #fn, (b)->fn(__VA_ARGS__))

static bool look_up(struct bare *b)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

#define STR_OF(fn) #fn
#define STR(fn) STR_OF(fn)
#define LOOK_UP(fn)                                                            \
	b->fn = (__typeof__(b->fn))dlsym(lib, STR(fn));                        \
	if (!b->fn)                                                            \
		return ok(b, STR(fn), CUDA_ERROR_NOT_FOUND);
	MORE_CALLS(LOOK_UP)
#undef LOOK_UP
	return true;
}

static bool open_device(struct bare *b, unsigned int flags, char why[256])
{
	CUmodule module;
	CUcontext ctx;
	CUdevice dev;

	b->cu = cuda_driver(why);
	return b->cu && look_up(b) && CU(b, cuInit, 0) &&
	       CU(b, cuDeviceGet, &dev, 0) &&
	       MORE(b, cuDevicePrimaryCtxSetFlags, dev, flags) &&
	       CU(b, cuDevicePrimaryCtxRetain, &ctx, dev) &&
	       CU(b, cuCtxSetCurrent, ctx) &&
	       CU(b, cuModuleLoadData, &module, compute_ptx) &&
	       CU(b, cuModuleGetFunction, &b->count, module, COMPUTE_KERNEL) &&
	       CU(b, cuStreamCreate, &b->stream, CU_STREAM_NON_BLOCKING) &&
	       CU(b, cuMemAlloc, &b->counter, sizeof(b->launched)) &&
	       MORE(b, cuMemsetD8, b->counter, 0, sizeof(b->launched));
}

static bool launch(struct bare *b)
{
	void *args[] = {&b->counter};

	b->launched++;
	return CU(b, cuLaunchKernel, b->count, 1, 1, 1, THREADS, 1, 1, 0,
		  b->stream, args, NULL);
}

static bool launch_many(struct bare *b, uint32_t n)
{
	while (n--)
		if (!launch(b))
			return false;
	return true;
}

static bool await(struct bare *b)
{
	return CU(b, cuStreamSynchronize, b->stream);
}

/* None was lost. */
static bool counted(struct bare *b)
{
	uint32_t is = 0;

	return CU(b, cuMemcpyDtoH, &is, b->counter, sizeof(is)) &&
	       ok(b, "counting the launches",
		  is == b->launched ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN);
}

static struct row *add_row(struct results *r, const char *name,
			   struct samples *s, uint32_t batch)
{
	struct row *row = results_row(r, SECTION_BARE_COMPUTE, name, s);

	row->batch = batch;
	snprintf(row->engine, sizeof(row->engine), "cuda");
	return row;
}

/* What the CPU pays: the end of the batch is waited for outside the time. */
static bool submits(struct bare *b, struct results *r,
		    const struct compute_plan *plan, struct samples *s,
		    uint32_t batch)
{
	char name[BENCH_TEXT];
	uint64_t start;

	samples_begin(s, plan->batches);
	while (s->n < plan->batches) {
		start = bench_now();
		if (!launch_many(b, batch))
			return false;
		samples_add(s, bench_now() - start);
		if (!await(b))
			return false;
	}
	add_row(r, compute_name_submit(name, batch), s, batch);
	return true;
}

static bool runs(struct bare *b, struct results *r,
		 const struct compute_plan *plan, struct samples *s)
{
	char name[BENCH_TEXT];
	uint64_t start;

	samples_begin(s, plan->runs);
	while (s->n < plan->runs) {
		start = bench_now();
		if (!launch_many(b, COMPUTE_RUN) || !await(b))
			return false;
		samples_add(s, bench_now() - start);
	}
	add_row(r, compute_name_run(name, 1), s, COMPUTE_RUN);
	return true;
}

static bool latency(struct bare *b, struct results *r,
		    const struct compute_plan *plan, struct samples *s,
		    bool spin)
{
	uint64_t last, now;

	for (int i = 0; i < 50; i++)
		if (!launch(b) || !await(b))
			return false;
	samples_begin(s, plan->launches);
	last = bench_now();
	while (s->n < plan->launches) {
		if (!launch(b) || !await(b))
			return false;
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	add_row(r, compute_name_latency(spin), s, 1);
	return counted(b);
}

static bool open_cublas(struct cublas *blas)
{
	static const char *const names[] = {"libcublas.so.13",
					    "libcublas.so.12"};
	void *lib = NULL;

	for (unsigned int i = 0; i < 2 && !lib; i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return false;
	blas->create = (__typeof__(blas->create))dlsym(lib, "cublasCreate_v2");
	blas->set_stream =
		(__typeof__(blas->set_stream))dlsym(lib, "cublasSetStream_v2");
	blas->sgemm = (__typeof__(blas->sgemm))dlsym(lib, "cublasSgemm_v2");
	return blas->create && blas->set_stream && blas->sgemm;
}

static bool cublas_ok(struct bare *b, const char *call, int status)
{
	return ok(b, call, status ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS);
}

static bool products(struct bare *b, struct results *r,
		     const struct compute_plan *plan, struct samples *s,
		     const struct cublas *blas, const CUdeviceptr at[3])
{
	const int n = plan->order;
	const float one = 1, zero = 0;
	char name[BENCH_TEXT];
	uint64_t start;
	void *handle;

	if (!cublas_ok(b, "cublasCreate", blas->create(&handle)) ||
	    !cublas_ok(b, "cublasSetStream",
		       blas->set_stream(handle, b->stream)))
		return false;
	samples_begin(s, plan->products);
	/* The first ones choose and load what is run. */
	for (uint32_t i = 0; i < plan->products + WARM_UP; i++) {
		start = bench_now();
		if (!cublas_ok(b, "cublasSgemm",
			       blas->sgemm(handle, 0, 0, n, n, n, &one,
					   (float *)at[0], n, (float *)at[1], n,
					   &zero, (float *)at[2], n)) ||
		    !await(b))
			return false;
		if (i >= WARM_UP)
			samples_add(s, bench_now() - start);
	}
	add_row(r, compute_name_sgemm(name, n), s, 1)->flops = 2.0 * n * n * n;
	return true;
}

/* Without cuBLAS there is nothing to compare with, and no row. */
static bool sgemm(struct bare *b, struct results *r,
		  const struct compute_plan *plan, struct samples *s)
{
	size_t bytes = (size_t)plan->order * plan->order * sizeof(float);
	struct cublas blas;
	CUdeviceptr at[3];
	float *host[3];
	bool done = true;

	if (!open_cublas(&blas))
		return true;
	for (int i = 0; i < 3; i++) {
		host[i] = malloc(bytes);
		done = done && host[i] && CU(b, cuMemAlloc, &at[i], bytes);
	}
	if (!done)
		return false;
	compute_fill_matrices(host[0], host[1], host[2], plan->order);
	for (int i = 0; i < 3; i++)
		done = done && CU(b, cuMemcpyHtoD, at[i], host[i], bytes);
	done = done && products(b, r, plan, s, &blas, at) &&
	       CU(b, cuMemcpyDtoH, host[2], at[2], bytes) &&
	       compute_check_product(host[2], plan->order);
	for (int i = 0; i < 3; i++) {
		free(host[i]);
		CU(b, cuMemFree, at[i]);
	}
	return done;
}

static bool copy_once(struct bare *b, enum compute_copy how, void *host,
		      const CUdeviceptr gpu[2], size_t bytes)
{
	switch (how) {
	case COPY_IN:
		return CU(b, cuMemcpyHtoDAsync, gpu[0], host, bytes, b->stream);
	case COPY_OUT:
		return CU(b, cuMemcpyDtoHAsync, host, gpu[1], bytes, b->stream);
	default:
		return MORE(b, cuMemcpyDtoDAsync, gpu[1], gpu[0], bytes,
			    b->stream);
	}
}

static bool copies_of(struct bare *b, struct results *r,
		      const struct compute_plan *plan, struct samples *s,
		      enum compute_copy how, const char *memory, void *host,
		      const CUdeviceptr gpu[2])
{
	char name[BENCH_TEXT];
	uint64_t start;

	samples_begin(s, plan->copies);
	for (uint32_t i = 0; i < plan->copies + WARM_UP; i++) {
		start = bench_now();
		if (!copy_once(b, how, host, gpu, plan->copy_bytes) ||
		    !await(b))
			return false;
		if (i >= WARM_UP)
			samples_add(s, bench_now() - start);
	}
	snprintf(name, sizeof(name), "%s%s", compute_copy_names[how], memory);
	add_row(r, name, s, 1)->bytes = plan->copy_bytes;
	return true;
}

static void *pinned(struct bare *b, size_t bytes)
{
	void *at;

	return CU(b, cuMemHostAlloc, &at, bytes, 0) ? at : NULL;
}

/* As a guest's is here: a file's pages of 4 KiB, pinned afterwards. */
static void *registered(struct bare *b, size_t bytes)
{
	int fd = memfd_create("bare", MFD_CLOEXEC);
	void *at = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, bytes))
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  0);
	close(fd);
	if (!ok(b, "mmap",
		at == MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS))
		return NULL;
	memset(at, 0, bytes);
	return CU(b, cuMemHostRegister, at, bytes, 0) ? at : NULL;
}

/* In, within, out: what comes out is what went in. */
static bool copies(struct bare *b, struct results *r,
		   const struct compute_plan *plan, struct samples *s,
		   const char *memory,
		   void *(*alloc)(struct bare *b, size_t bytes))
{
	const size_t bytes = plan->copy_bytes;
	void *in = alloc(b, bytes), *out = alloc(b, bytes);
	CUdeviceptr gpu[2];

	if (!in || !out || !CU(b, cuMemAlloc, &gpu[0], bytes) ||
	    !CU(b, cuMemAlloc, &gpu[1], bytes))
		return false;
	compute_fill_bytes(in, bytes, 1);
	memset(out, 0, bytes);
	return copies_of(b, r, plan, s, COPY_IN, memory, in, gpu) &&
	       copies_of(b, r, plan, s, COPY_WITHIN, memory, NULL, gpu) &&
	       copies_of(b, r, plan, s, COPY_OUT, memory, out, gpu) &&
	       compute_check_bytes(out, bytes, 1);
}

static bool finish(const struct bare *b, bool done, char why[256])
{
	/* Memory, stream and context go with the process. */
	if (!done && b->call)
		snprintf(why, 256, "%s failed", b->call);
	return done;
}

bool bare_compute(struct results *r, const struct bench_plan *bench,
		  char why[256])
{
	const struct compute_plan plan = compute_plan(bench, true);
	struct samples s = {0};
	struct bare b = {0};
	bool done;

	snprintf(why, 256, "bare CUDA failed");
	done = open_device(&b, CU_CTX_SCHED_SPIN, why) &&
	       launch_many(&b, 100) && await(&b);
	for (unsigned int i = 0; i < compute_nr_batches && done; i++)
		done = submits(&b, r, &plan, &s, compute_batches[i]);
	done = done && runs(&b, r, &plan, &s) &&
	       latency(&b, r, &plan, &s, true) && sgemm(&b, r, &plan, &s) &&
	       copies(&b, r, &plan, &s, "", pinned) &&
	       copies(&b, r, &plan, &s, ", 4 KiB pages", registered);
	return finish(&b, done, why);
}

bool bare_compute_sleeping(struct results *r, const struct bench_plan *bench,
			   char why[256])
{
	const struct compute_plan plan = compute_plan(bench, true);
	struct samples s = {0};
	struct bare b = {0};
	bool done;

	snprintf(why, 256, "bare CUDA failed");
	done = open_device(&b, CU_CTX_SCHED_BLOCKING_SYNC, why) &&
	       latency(&b, r, &plan, &s, false);
	return finish(&b, done, why);
}
