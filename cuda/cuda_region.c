// SPDX-License-Identifier: MIT
/*
 * cuda_region.c - host memory that the GPU reaches in place
 *
 * Owns nothing but the regions it hands out. Runs on the engine's caller
 * thread (region_holds() on any). Memory is registered with CUDA once, when it
 * becomes a region, and unregistered before the caller unmaps it: never per
 * job. The driver unregisters when no kernel runs, so removing a region waits for
 * those that do. It is ordinary memory mapped page by page, such as grants are, never a
 * device's: CU_MEMHOSTREGISTER_IOMEMORY would be wrong for it.
 *
 * Whether registering such pages is worth anything must be seen: where a host
 * bounces DMA through other pages (swiotlb in a PV domain), or a mapping's pages
 * are not those the GPU reaches, both sides see their own, older data. So the
 * test writes and reads in turns, from both sides, more than once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine_cuda.h"

#define ROUNDS		4
/* Tested at once, through as much memory of our own. */
#define TEST_ELEMENTS	65536
#define TEST_BYTES	(TEST_ELEMENTS * sizeof(uint32_t))

/* What the test holds: pinned memory to compare with, and the GPU's. */
struct test {
	struct cuda_engine *eng;
	char *why;
	uint32_t *memory;		/* under test */
	CUdeviceptr mapped;
	size_t elements;
	bool registered;
	uint32_t *want;			/* what the step wrote */
	void *pinned;			/* what the GPU saw */
	CUdeviceptr gpu, zeros;
};

#define TRY(t, fn, ...)							\
	do {								\
		CUresult try_err = (t)->eng->dev.cu->fn(__VA_ARGS__);	\
									\
		if (try_err != CUDA_SUCCESS) {				\
			cuda_why((t)->eng->dev.cu, (t)->why, #fn,	\
				 try_err);				\
			return -1;					\
		}							\
	} while (0)

/*
 * Each step writes words of its own, so that none passes for the one before.
 * They are random: who shares the memory cannot write them in the GPU's place,
 * and words seen already tell nothing of the others. They are whole numbers
 * that a float holds, so that adding 0 changes nothing.
 */
static int new_pattern(struct test *t, size_t n)
{
	unsigned char *at = (unsigned char *)t->want;
	size_t left = n * sizeof(uint32_t);

	while (left) {
		ssize_t got = getrandom(at, left, 0);

		if (got < 0 && errno != EINTR) {
			snprintf(t->why, VGPU_ENGINE_WHY, "getrandom: %s",
				 strerror(errno));
			return -1;
		}
		if (got > 0) {
			at += got;
			left -= (size_t)got;
		}
	}
	for (size_t i = 0; i < n; i++) {
		float value = (float)(t->want[i] >> 8);

		memcpy(&t->want[i], &value, sizeof(value));
	}
	return 0;
}

static void write_pattern(const struct test *t, uint32_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint32_t *)at)[i] = t->want[i];
}

static int check_pattern(struct test *t, const uint32_t *at, size_t first,
			 size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t got = ((const volatile uint32_t *)at)[i];

		if (got == t->want[i])
			continue;
		snprintf(t->why, VGPU_ENGINE_WHY,
			 "%s: word %zu is 0x%08x, not 0x%08x", what, first + i,
			 got, t->want[i]);
		return -1;
	}
	return 0;
}

/* to = from + 0, by a kernel. */
static int move(struct test *t, CUdeviceptr from, CUdeviceptr to, size_t n)
{
	const struct cuda_add add = {
		.a = from, .b = t->zeros, .c = to, .n = n, .host = true,
	};
	CUresult err = cuda_vector_add(&t->eng->dev, NULL, &add);

	if (err != CUDA_SUCCESS) {
		cuda_why(t->eng->dev.cu, t->why, "cuLaunchKernel", err);
		return -1;
	}
	TRY(t, cuStreamSynchronize, NULL);
	return 0;
}

/* The CPU writes; the GPU's copy engine and a kernel read. */
static int gpu_reads(struct test *t, size_t first, size_t n)
{
	CUdeviceptr at = t->mapped + first * sizeof(uint32_t);
	size_t bytes = n * sizeof(uint32_t);

	if (new_pattern(t, n))
		return -1;
	write_pattern(t, t->memory + first, n);
	TRY(t, cuMemcpyHtoD, t->gpu, t->memory + first, bytes);
	TRY(t, cuMemcpyDtoH, t->pinned, t->gpu, bytes);
	if (check_pattern(t, t->pinned, first, n,
			  "a copy engine does not read what the processor wrote") ||
	    new_pattern(t, n))
		return -1;
	write_pattern(t, t->memory + first, n);
	if (move(t, at, t->gpu, n))
		return -1;
	TRY(t, cuMemcpyDtoH, t->pinned, t->gpu, bytes);
	return check_pattern(t, t->pinned, first, n,
			     "a kernel does not read what the processor wrote");
}

/* The GPU writes; the CPU reads. */
static int gpu_writes(struct test *t, size_t first, size_t n)
{
	CUdeviceptr at = t->mapped + first * sizeof(uint32_t);
	size_t bytes = n * sizeof(uint32_t);

	if (new_pattern(t, n))
		return -1;
	write_pattern(t, t->pinned, n);
	TRY(t, cuMemcpyHtoD, t->gpu, t->pinned, bytes);
	if (move(t, t->gpu, at, n))
		return -1;
	if (check_pattern(t, t->memory + first, first, n,
			  "the processor does not read what a kernel wrote") ||
	    new_pattern(t, n))
		return -1;
	write_pattern(t, t->pinned, n);
	TRY(t, cuMemcpyHtoD, t->gpu, t->pinned, bytes);
	TRY(t, cuMemcpyDtoH, t->memory + first, t->gpu, bytes);
	return check_pattern(t, t->memory + first, first, n,
			     "the processor does not read what a copy engine wrote");
}

static int test_open(struct test *t)
{
	size_t bytes = t->elements * sizeof(uint32_t);

	t->want = malloc(TEST_BYTES);
	if (!t->want) {
		snprintf(t->why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	TRY(t, cuMemHostAlloc, &t->pinned, TEST_BYTES,
	    CU_MEMHOSTALLOC_DEVICEMAP);
	TRY(t, cuMemAlloc, &t->gpu, TEST_BYTES);
	TRY(t, cuMemAlloc, &t->zeros, TEST_BYTES);
	memset(t->pinned, 0, TEST_BYTES);
	TRY(t, cuMemcpyHtoD, t->zeros, t->pinned, TEST_BYTES);
	TRY(t, cuMemHostRegister, t->memory, bytes,
	    CU_MEMHOSTREGISTER_DEVICEMAP);
	t->registered = true;
	TRY(t, cuMemHostGetDevicePointer, &t->mapped, t->memory, 0);
	return 0;
}

static int test_close(struct test *t)
{
	const struct cuda_driver *cu = t->eng->dev.cu;

	free(t->want);
	if (t->zeros)
		cu->cuMemFree(t->zeros);
	if (t->gpu)
		cu->cuMemFree(t->gpu);
	if (t->pinned)
		cu->cuMemFreeHost(t->pinned);
	if (t->registered)
		TRY(t, cuMemHostUnregister, t->memory);
	return 0;
}

static int test_rounds(struct test *t)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (size_t first = 0; first < t->elements;
		     first += TEST_ELEMENTS) {
			size_t left = t->elements - first;
			size_t n = left < TEST_ELEMENTS ? left : TEST_ELEMENTS;

			if (gpu_reads(t, first, n) || gpu_writes(t, first, n))
				return -1;
		}
	}
	return 0;
}

bool region_test(struct vgpu_engine *base, void *memory, size_t bytes,
		 char why[VGPU_ENGINE_WHY])
{
	struct cuda_engine *eng = (struct cuda_engine *)base;
	struct test t = {
		.eng = eng,
		.why = why,
		.memory = memory,
		.elements = bytes / sizeof(uint32_t),
	};
	CUresult err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	char later[VGPU_ENGINE_WHY];
	bool ok = false;

	if (err != CUDA_SUCCESS) {
		cuda_why(eng->dev.cu, why, "cuCtxSetCurrent", err);
	} else {
		ok = !test_open(&t) && !test_rounds(&t);
		/* The reason that came first stays. */
		if (!ok)
			t.why = later;
		if (test_close(&t))
			ok = false;
	}
	memset(memory, 0, bytes);
	if (!ok)
		eng->no_regions = true;
	return ok;
}

struct vgpu_engine_region *region_add(struct vgpu_engine *base, void *memory,
				      size_t bytes, bool read_only)
{
	struct cuda_engine *eng = (struct cuda_engine *)base;
	const struct cuda_driver *cu = eng->dev.cu;
	struct vgpu_engine_region *region;
	unsigned int flags = CU_MEMHOSTREGISTER_DEVICEMAP;

	if (eng->no_regions || (read_only && !eng->dev.read_only) ||
	    cu->cuCtxSetCurrent(eng->dev.ctx) != CUDA_SUCCESS)
		return NULL;
	region = calloc(1, sizeof(*region));
	if (!region)
		return NULL;
	if (read_only)
		flags |= CU_MEMHOSTREGISTER_READ_ONLY;
	region->base = memory;
	region->bytes = bytes;
	region->read_only = read_only;
	if (cu->cuMemHostRegister(memory, bytes, flags) != CUDA_SUCCESS) {
		free(region);
		return NULL;
	}
	if (cu->cuMemHostGetDevicePointer(&region->mapped, memory, 0) !=
	    CUDA_SUCCESS) {
		cu->cuMemHostUnregister(memory);
		free(region);
		return NULL;
	}
	return region;
}

void region_remove(struct vgpu_engine *base, struct vgpu_engine_region *region)
{
	struct cuda_engine *eng = (struct cuda_engine *)base;
	const struct cuda_driver *cu = eng->dev.cu;

	/* With our own eyes: who waits in the driver sees no time limit. */
	queues_hold(eng);
	/*
	 * A lost device refuses these calls, and reaches no memory any more;
	 * where a kernel still runs, the pages stay pinned until the process ends.
	 */
	if (!atomic_load(&eng->stuck) &&
	    cu->cuCtxSetCurrent(eng->dev.ctx) == CUDA_SUCCESS)
		cu->cuMemHostUnregister(region->base);
	queues_release(eng);
	free(region);
}

bool region_holds(const struct vgpu_engine_operand *op, uint64_t bytes,
		  bool output)
{
	const struct vgpu_engine_region *r = op->region;
	uintptr_t at = (uintptr_t)op->host, base = (uintptr_t)r->base;

	return at >= base && at - base <= r->bytes &&
	       bytes <= r->bytes - (at - base) && !(output && r->read_only);
}
