// SPDX-License-Identifier: MIT
/*
 * fake_memory.c - memory of the fake libcuda.so.1: what there is, and of which kind
 *
 * Owns a table of all memory that the fake GPU may reach, behind a lock. Calls
 * are made on any thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

/* The fake GPU's, octets. */
#define TOTAL ((size_t)1 << 30)

static atomic_size_t used;

/* All memory that a GPU may reach. */
#define RANGES 2048
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;
static struct range {
	enum memory kind;
	const char *at;
	size_t len;
} ranges[RANGES];

static int overlaps(const struct range *r, const char *p, size_t len)
{
	return r->kind && p < r->at + r->len && r->at < p + len;
}

enum memory fake_memory(const void *p, size_t len)
{
	enum memory kind = UNKNOWN;

	pthread_mutex_lock(&ranges_lock);
	for (int i = 0; i < RANGES; i++)
		if (overlaps(&ranges[i], p, 1) &&
		    (const char *)p + len <= ranges[i].at + ranges[i].len)
			kind = ranges[i].kind;
	pthread_mutex_unlock(&ranges_lock);
	return kind;
}

int fake_may_read(const void *p, size_t len)
{
	return fake_memory(p, len) != UNKNOWN;
}

int fake_may_write(const void *p, size_t len)
{
	enum memory kind = fake_memory(p, len);

	return kind != UNKNOWN && kind != REGISTERED_READ_ONLY;
}

static CUresult add_range(enum memory kind, const void *p, size_t len)
{
	struct range *free_one = NULL;
	int taken = 0;

	pthread_mutex_lock(&ranges_lock);
	for (int i = 0; i < RANGES; i++) {
		taken |= overlaps(&ranges[i], p, len);
		if (!ranges[i].kind)
			free_one = &ranges[i];
	}
	if (!free_one)
		fake_misuse("more memory than there is a table for");
	if (!taken)
		*free_one = (struct range){ kind, p, len };
	pthread_mutex_unlock(&ranges_lock);
	return taken ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : CUDA_SUCCESS;
}

/* Memory that begins at p and is of this kind, or the one kind above it. */
static CUresult drop_range(enum memory kind, const void *p, CUresult unknown)
{
	struct range found = { UNKNOWN, NULL, 0 };

	pthread_mutex_lock(&ranges_lock);
	for (int i = 0; i < RANGES; i++) {
		if (ranges[i].at != p || (ranges[i].kind != kind &&
					  (kind != REGISTERED ||
					   ranges[i].kind != kind + 1)))
			continue;
		found = ranges[i];
		ranges[i] = (struct range){ UNKNOWN, NULL, 0 };
	}
	pthread_mutex_unlock(&ranges_lock);
	if (found.kind && fake_in_use(found.at, found.len))
		fake_misuse("memory given back while a stream works on it");
	if (found.kind == DEVICE)
		atomic_fetch_sub(&used, found.len);
	return found.kind ? CUDA_SUCCESS : unknown;
}

static CUresult make(enum memory kind, void **out, size_t len)
{
	if (kind == DEVICE && (len > TOTAL || atomic_load(&used) > TOTAL - len))
		return CUDA_ERROR_OUT_OF_MEMORY;
	*out = aligned_alloc(256, (len + 255) / 256 * 256);
	if (!*out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (kind == DEVICE)
		atomic_fetch_add(&used, len);
	memset(*out, 0xa5, len);
	fake_live++;
	return add_range(kind, *out, len);
}

static CUresult unmake(enum memory kind, void *p)
{
	if (drop_range(kind, p, CUDA_ERROR_INVALID_VALUE))
		fake_misuse("memory freed that is none");
	free(p);
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total)
{
	MAY_FAIL(cuMemGetInfo);
	*free_bytes = *total = (size_t)1 << 30;
	return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *ptr, size_t len)
{
	void *made;

	MAY_FAIL(cuMemAlloc);
	if (make(DEVICE, &made, len) != CUDA_SUCCESS)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*ptr = (CUdeviceptr)(uintptr_t)made;
	return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr ptr)
{
	CUresult err;

	MAY_FAIL(cuMemFree);
	err = unmake(DEVICE, (void *)(uintptr_t)ptr);
	fake_drain();
	return err;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice dev)
{
	(void)dev;
	MAY_FAIL(cuDeviceGetDefaultMemPool);
	*pool = (CUmemoryPool)&used;
	return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr,
			       void *value)
{
	(void)value;
	MAY_FAIL(cuMemPoolSetAttribute);
	return pool == (CUmemoryPool)&used &&
	       attr == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD ?
		       CUDA_SUCCESS :
		       CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
	(void)pool;
	(void)keep;
	MAY_FAIL(cuMemPoolTrimTo);
	return CUDA_SUCCESS;
}

/* There at once; a real one only in the order of the stream. */
CUresult cuMemAllocAsync(CUdeviceptr *ptr, size_t len, CUstream stream)
{
	void *made;

	MAY_FAIL(cuMemAllocAsync);
	if (!stream || getenv("FAKE_CUDA_NO_POOLS"))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!len)
		return CUDA_ERROR_INVALID_VALUE;
	if (make(DEVICE, &made, len) != CUDA_SUCCESS)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*ptr = (CUdeviceptr)(uintptr_t)made;
	return CUDA_SUCCESS;
}

void fake_free(void *p)
{
	unmake(DEVICE, p);
}

CUresult cuMemFreeAsync(CUdeviceptr ptr, CUstream stream)
{
	const struct work w = { .type = FREE, .dst = (void *)(uintptr_t)ptr };

	MAY_FAIL(cuMemFreeAsync);
	if (fake_memory(w.dst, 1) != DEVICE)
		fake_misuse("memory freed that is none");
	return fake_queue(stream, &w);
}

CUresult cuMemHostAlloc(void **ptr, size_t len, unsigned int flags)
{
	MAY_FAIL(cuMemHostAlloc);
	if (!(flags & CU_MEMHOSTALLOC_DEVICEMAP))
		return CUDA_ERROR_INVALID_VALUE;
	return make(PINNED, ptr, len);
}

CUresult cuMemFreeHost(void *ptr)
{
	CUresult err;

	MAY_FAIL(cuMemFreeHost);
	err = unmake(PINNED, ptr);
	fake_drain();
	return err;
}

CUresult cuMemHostRegister(void *p, size_t len, unsigned int flags)
{
	int read_only = !!(flags & CU_MEMHOSTREGISTER_READ_ONLY);
	CUresult err;

	MAY_FAIL(cuMemHostRegister);
	if (!(flags & CU_MEMHOSTREGISTER_DEVICEMAP) ||
	    flags & CU_MEMHOSTREGISTER_IOMEMORY || !len ||
	    (uintptr_t)p % 4096 || len % 4096)
		return CUDA_ERROR_INVALID_VALUE;
	if (read_only && getenv("FAKE_CUDA_NO_READ_ONLY"))
		return CUDA_ERROR_NOT_SUPPORTED;
	err = add_range(read_only ? REGISTERED_READ_ONLY : REGISTERED, p, len);
	if (err == CUDA_SUCCESS)
		fake_live++;
	return err;
}

CUresult cuMemHostUnregister(void *p)
{
	CUresult err;

	MAY_FAIL(cuMemHostUnregister);
	err = drop_range(REGISTERED, p,
			 CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	if (err != CUDA_SUCCESS)
		fake_misuse("memory unregistered that is not registered");
	fake_drain();
	fake_live--;
	return err;
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr *dev, void *host,
				   unsigned int flags)
{
	(void)flags;
	MAY_FAIL(cuMemHostGetDevicePointer);
	if (fake_memory(host, 1) < PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	*dev = (CUdeviceptr)(uintptr_t)host;
	return CUDA_SUCCESS;
}
