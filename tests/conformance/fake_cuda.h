/* SPDX-License-Identifier: MIT */
/*
 * fake_cuda.h - what the files of the fake libcuda.so.1 share
 */
#ifndef VGPU_TESTS_FAKE_CUDA_H
#define VGPU_TESTS_FAKE_CUDA_H

#include <cuda.h>
#include <stdatomic.h>

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

/* Memory that a GPU may reach. */
enum memory { UNKNOWN, DEVICE, PINNED, REGISTERED, REGISTERED_READ_ONLY };

/* All of p ... p + len is memory of one kind. */
enum memory fake_memory(const void *p, size_t len);

/* Waits until no stream has anything to do. */
void fake_drain(void);

/* A stream's work still to be done uses p ... p + len. */
int fake_in_use(const void *p, size_t len);

#endif /* VGPU_TESTS_FAKE_CUDA_H */
