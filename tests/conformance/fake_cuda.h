/* SPDX-License-Identifier: MIT */
/*
 * fake_cuda.h - what the files of the fake libcuda.so.1 share
 */
#ifndef VGPU_TESTS_FAKE_CUDA_H
#define VGPU_TESTS_FAKE_CUDA_H

#include <cuda.h>
#include <stdatomic.h>
#include <stdint.h>

#define NAME_OF(fn) #fn
#define NAME(fn) NAME_OF(fn)

/* Returns from the calling function where this call is to fail. */
#define MAY_FAIL(fn)							\
	do {								\
		static atomic_int times;				\
		CUresult fail_code = told_to_fail(NAME(fn), &times);	\
									\
		if (fail_code)						\
			return fail_code;				\
	} while (0)

CUresult told_to_fail(const char *name, atomic_int *times);

/* The error that killed the context, returned by every call from then on. */
extern atomic_int fake_sticky;

/* Objects that exist: what a leak would leave. */
extern atomic_int fake_live;

/* Is FAKE_CUDA_WRONG this? */
int fake_wrong(const char *what);

/* Ends the program: the engine broke a rule of the driver's. */
void fake_misuse(const char *what);

/* fake_memory.c: memory that a GPU may reach. */
enum memory { UNKNOWN, DEVICE, PINNED, REGISTERED, REGISTERED_READ_ONLY };

/* All of p ... p + len is memory of one kind. */
enum memory fake_memory(const void *p, size_t len);
/* A kernel may do that there. */
int fake_may_read(const void *p, size_t len);
int fake_may_write(const void *p, size_t len);
/* The memory of a cuMemFreeAsync, when its turn has come. */
void fake_free(void *p);

/*
 * fake_stream.c: work on streams, one by one.
 *
 * ADD is c = a + b over len octets, KERNEL what its function does with its
 * arguments. What may be in use shows in dst, src, word and counter.
 */
#define FAKE_ARGS 256

struct work;
typedef int (*fake_kernel)(const struct work *w);	/* 0: it faulted */

struct work {
	enum { ADD, FAULT, KERNEL, COPY, SET, EVENT, WRITE, FREE } type;
	void *dst;
	const void *src[2];
	size_t len;			/* octets */
	int spoil;			/* one bit of the result is wrong */
	int drop;			/* without effect */
	int late;			/* others are first */
	uint32_t *word, *counter;
	uint32_t seq;
	unsigned int width;		/* SET */
	fake_kernel kernel;
	unsigned int grid, block;
	_Alignas(16) unsigned char args[FAKE_ARGS];
	struct event *event;
	struct work *next;
};

CUresult fake_queue(CUstream stream, const struct work *what);
/* See FAKE_CUDA_FAST. */
int fake_is_skipped(size_t len);

/* Waits until no stream has anything to do, as some of the driver's calls. */
void fake_drain(void);

/* A stream's work still to be done uses p ... p + len. */
int fake_in_use(const void *p, size_t len);

/* fake_kernels.c: what a kernel of this name does, or NULL. */
fake_kernel fake_builtin(const char *name);
fake_kernel fake_guest(const char *name);
/* Of cublasSgemm_v2, for fake_cublas.c. */
struct fake_sgemm {
	const float *a, *b;
	float *c;
	uint64_t lda, ldb, ldc;
	uint32_t m, n, k;
	float alpha, beta;
	uint32_t trans_a, trans_b;
};

CUresult fake_sgemm(CUstream stream, const struct fake_sgemm *g);

#endif /* VGPU_TESTS_FAKE_CUDA_H */
