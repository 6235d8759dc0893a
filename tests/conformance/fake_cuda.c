// SPDX-License-Identifier: MIT
/*
 * fake_cuda.c - a libcuda.so.1 for tests: one or more GPUs that are not there
 *
 * Lets the cuda engine's host side run, and each of its calls fail, where there
 * is no GPU. Lives in build/test/fake and is found through LD_LIBRARY_PATH by
 * tests alone. "Device" memory is host memory, and the kernels are loops. Work
 * on a stream is done by a thread of that stream (fake_stream.c), so that what
 * the engine does too early or without order shows, to ThreadSanitizer above
 * all. Must end the program where the engine breaks a rule of the driver's.
 *
 * FAKE_CUDA_FAIL=CALL:CODE[:N]  CALL (a symbol) returns CODE, from its Nth time
 * FAKE_CUDA_WRONG=WHAT          a result is wrong: of a "copy", of the "kernel"
 *                               anywhere, of the kernel on pinned ("mapped")
 *                               memory; what is done to registered memory has no
 *                               effect: "copy-in", "copy-out", "kernel-in",
 *                               "kernel-out"; kernels never say they are done:
 *                               "word"
 * FAKE_CUDA_COUNT=N             GPUs
 * FAKE_CUDA_SLOW=1              work is never done when asked, only when awaited
 * FAKE_CUDA_FAST=1              work on more than 64 KiB has no effect, and takes no
 *                               time
 * FAKE_CUDA_BUSY=1              others are first: work on a stream takes 5 ms more
 * FAKE_CUDA_NO_READ_ONLY=1      read-only memory cannot be registered
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

atomic_int fake_live, fake_sticky;

int fake_cuda_live(void);
int fake_cuda_live(void)
{
	return fake_live;
}

CUresult told_to_fail(const char *name, atomic_int *times)
{
	const char *env = getenv("FAKE_CUDA_FAIL");
	size_t len = strlen(name);
	int code = 0, from = 1, sticky = atomic_load(&fake_sticky);

	if (sticky)
		return (CUresult)sticky;
	if (!env || strncmp(env, name, len) || env[len] != ':') {
		atomic_store(times, 0);
		return CUDA_SUCCESS;
	}
	sscanf(env + len + 1, "%d:%d", &code, &from);
	if (atomic_fetch_add(times, 1) + 1 < from)
		return CUDA_SUCCESS;
	/* Whoever learns of an error may rely on nothing being at work. */
	if (code != CUDA_ERROR_OUT_OF_MEMORY)
		fake_drain();
	return (CUresult)code;
}

void fake_misuse(const char *what)
{
	fprintf(stderr, "fake libcuda: %s\n", what);
	abort();
}

static int device_count(void)
{
	const char *env = getenv("FAKE_CUDA_COUNT");

	return env ? atoi(env) : 1;
}

int fake_wrong(const char *what)
{
	const char *env = getenv("FAKE_CUDA_WRONG");

	return env && !strcmp(env, what);
}

/* All memory that a GPU may reach. */
#define RANGES 256
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
	return found.kind ? CUDA_SUCCESS : unknown;
}

static CUresult make(enum memory kind, void **out, size_t len)
{
	*out = aligned_alloc(256, (len + 255) / 256 * 256);
	if (!*out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(*out, 0xa5, len);
	fake_live++;
	return kind ? add_range(kind, *out, len) : CUDA_SUCCESS;
}

static CUresult unmake(enum memory kind, void *p)
{
	if (kind && drop_range(kind, p, CUDA_ERROR_INVALID_VALUE))
		fake_misuse("memory freed that is none");
	free(p);
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
	(void)flags;
	MAY_FAIL(cuInit);
	return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
	MAY_FAIL(cuDriverGetVersion);
	*version = 13000;
	return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult err, const char **name)
{
	static char text[32];

	snprintf(text, sizeof(text), "FAKE_ERROR_%d", (int)err);
	*name = text;
	return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult err, const char **text)
{
	(void)err;
	*text = "told to fail";
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
	MAY_FAIL(cuDeviceGetCount);
	*count = device_count();
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *dev, int ordinal)
{
	MAY_FAIL(cuDeviceGet);
	*dev = ordinal;
	return ordinal < device_count() ? CUDA_SUCCESS :
					  CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
	MAY_FAIL(cuDeviceGetName);
	snprintf(name, (size_t)len, "Fake GPU %d of the tests", dev);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
	MAY_FAIL(cuDeviceGetUuid);
	memset(uuid->bytes, 0x11 * (dev + 1), sizeof(uuid->bytes));
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev)
{
	(void)dev;
	MAY_FAIL(cuDeviceTotalMem);
	*bytes = (size_t)1 << 30;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	(void)dev;
	MAY_FAIL(cuDeviceGetAttribute);
	*value = attr == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? 0 : 9;
	if (attr == CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED)
		*value = !getenv("FAKE_CUDA_NO_READ_ONLY");
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
	(void)dev;
	MAY_FAIL(cuDevicePrimaryCtxRetain);
	*ctx = (CUcontext)&fake_live;
	fake_live++;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
	(void)dev;
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext ctx)
{
	(void)ctx;
	MAY_FAIL(cuCtxPushCurrent);
	fake_live++;
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *ctx)
{
	*ctx = (CUcontext)&fake_live;
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
	(void)ctx;
	MAY_FAIL(cuCtxSetCurrent);
	return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	void *made;

	MAY_FAIL(cuModuleLoadData);
	/* A fat binary starts with this number. */
	if (memcmp(image, "\x50\xed\x55\xba", 4))
		return CUDA_ERROR_INVALID_IMAGE;
	make(UNKNOWN, &made, 256);
	*module = made;
	return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
	return unmake(UNKNOWN, module);
}

CUresult cuModuleGetFunction(CUfunction *fn, CUmodule module, const char *name)
{
	MAY_FAIL(cuModuleGetFunction);
	/* Told apart by the address: the module has two octets. */
	*fn = (CUfunction)((char *)module + !strcmp(name, "vgpu_fault"));
	return strcmp(name, "vgpu_vector_add") && strcmp(name, "vgpu_fault") ?
		       CUDA_ERROR_NOT_FOUND :
		       CUDA_SUCCESS;
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
	MAY_FAIL(cuMemFree);
	return unmake(DEVICE, (void *)(uintptr_t)ptr);
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
	MAY_FAIL(cuMemFreeHost);
	return unmake(PINNED, ptr);
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
