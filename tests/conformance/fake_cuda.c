// SPDX-License-Identifier: MIT
/*
 * fake_cuda.c - a libcuda.so.1 for tests: one or more GPUs that are not there
 *
 * Lets the cuda engine's host side run, and each of its calls fail, where there
 * is no GPU. Lives in build/test/fake and is found through LD_LIBRARY_PATH by
 * tests alone. "Device" memory is host memory, the one kernel is an addition.
 *
 * FAKE_CUDA_FAIL=CALL:CODE[:N]  CALL (a symbol) returns CODE, from its Nth time
 * FAKE_CUDA_WRONG=copy|kernel|mapped  one bit of a result is wrong: of a copy, of
 *                               the kernel anywhere, of the kernel on host memory
 * FAKE_CUDA_COUNT=N             GPUs
 * FAKE_CUDA_SLOW=1              work is never done when asked, only when awaited
 */
#include <cuda.h>
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Objects that exist: what a leak would leave. */
static atomic_int live;

int fake_cuda_live(void);
int fake_cuda_live(void)
{
	return live;
}

static CUresult told_to_fail(const char *name, atomic_int *times)
{
	const char *env = getenv("FAKE_CUDA_FAIL");
	size_t len = strlen(name);
	int code = 0, from = 1;

	if (!env || strncmp(env, name, len) || env[len] != ':') {
		atomic_store(times, 0);
		return CUDA_SUCCESS;
	}
	sscanf(env + len + 1, "%d:%d", &code, &from);
	return atomic_fetch_add(times, 1) + 1 >= from ? (CUresult)code :
							CUDA_SUCCESS;
}

static int device_count(void)
{
	const char *env = getenv("FAKE_CUDA_COUNT");

	return env ? atoi(env) : 1;
}

static int wrong(const char *what)
{
	const char *env = getenv("FAKE_CUDA_WRONG");

	return env && !strcmp(env, what);
}

/* Host memory pinned so far, to tell it from "device" memory. */
static pthread_mutex_t pinned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char *at;
	size_t len;
} pinned[64];

static int is_pinned(const void *p)
{
	int i, found = 0;

	pthread_mutex_lock(&pinned_lock);
	for (i = 0; i < 64; i++)
		if ((const char *)p >= pinned[i].at &&
		    (const char *)p < pinned[i].at + pinned[i].len)
			found = 1;
	pthread_mutex_unlock(&pinned_lock);
	return found;
}

static CUresult make(void **out, size_t len)
{
	*out = aligned_alloc(256, (len + 255) / 256 * 256);
	if (!*out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(*out, 0xa5, len);
	live++;
	return CUDA_SUCCESS;
}

static CUresult unmake(void *p)
{
	free(p);
	live--;
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
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
	(void)dev;
	MAY_FAIL(cuDevicePrimaryCtxRetain);
	*ctx = (CUcontext)&live;
	live++;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
	(void)dev;
	live--;
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext ctx)
{
	(void)ctx;
	MAY_FAIL(cuCtxPushCurrent);
	live++;
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *ctx)
{
	*ctx = (CUcontext)&live;
	live--;
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
	make(&made, 1);
	*module = made;
	return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
	return unmake(module);
}

CUresult cuModuleGetFunction(CUfunction *fn, CUmodule module, const char *name)
{
	MAY_FAIL(cuModuleGetFunction);
	*fn = (CUfunction)module;
	return strcmp(name, "vgpu_vector_add") ? CUDA_ERROR_NOT_FOUND :
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
	if (make(&made, len) != CUDA_SUCCESS)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*ptr = (CUdeviceptr)(uintptr_t)made;
	return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr ptr)
{
	MAY_FAIL(cuMemFree);
	return unmake((void *)(uintptr_t)ptr);
}

CUresult cuMemHostAlloc(void **ptr, size_t len, unsigned int flags)
{
	int i;

	MAY_FAIL(cuMemHostAlloc);
	if (!(flags & CU_MEMHOSTALLOC_DEVICEMAP))
		return CUDA_ERROR_INVALID_VALUE;
	if (make(ptr, len) != CUDA_SUCCESS)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&pinned_lock);
	for (i = 0; i < 63 && pinned[i].len; i++)
		;
	pinned[i].at = *ptr;
	pinned[i].len = len;
	pthread_mutex_unlock(&pinned_lock);
	return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *ptr)
{
	int i;

	MAY_FAIL(cuMemFreeHost);
	pthread_mutex_lock(&pinned_lock);
	for (i = 0; i < 64; i++)
		if (pinned[i].at == ptr)
			pinned[i].len = 0;
	pthread_mutex_unlock(&pinned_lock);
	return unmake(ptr);
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr *dev, void *host,
				   unsigned int flags)
{
	(void)flags;
	MAY_FAIL(cuMemHostGetDevicePointer);
	*dev = (CUdeviceptr)(uintptr_t)host;
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t len)
{
	MAY_FAIL(cuMemcpyHtoD);
	memcpy((void *)(uintptr_t)dst, src, len);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t len)
{
	MAY_FAIL(cuMemcpyDtoH);
	memcpy(dst, (const void *)(uintptr_t)src, len);
	if (wrong("copy"))
		((unsigned char *)dst)[len - 1] ^= 1;
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t len,
			   CUstream stream)
{
	(void)stream;
	MAY_FAIL(cuMemcpyHtoDAsync);
	memcpy((void *)(uintptr_t)dst, src, len);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t len,
			   CUstream stream)
{
	(void)stream;
	MAY_FAIL(cuMemcpyDtoHAsync);
	memcpy(dst, (const void *)(uintptr_t)src, len);
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	void *made;

	MAY_FAIL(cuStreamCreate);
	(void)flags;
	make(&made, 1);
	*stream = made;
	return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream)
{
	return unmake(stream);
}

CUresult cuStreamSynchronize(CUstream stream)
{
	(void)stream;
	MAY_FAIL(cuStreamSynchronize);
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
	void *made;

	MAY_FAIL(cuEventCreate);
	(void)flags;
	make(&made, 1);
	*event = made;
	return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event)
{
	return unmake(event);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
	(void)event;
	(void)stream;
	MAY_FAIL(cuEventRecord);
	return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event)
{
	(void)event;
	MAY_FAIL(cuEventQuery);
	return getenv("FAKE_CUDA_SLOW") ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event)
{
	(void)event;
	MAY_FAIL(cuEventSynchronize);
	return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction fn, unsigned int gx, unsigned int gy,
			unsigned int gz, unsigned int bx, unsigned int by,
			unsigned int bz, unsigned int shared, CUstream stream,
			void **params, void **extra)
{
	const float *a = *(const float **)params[0];
	const float *b = *(const float **)params[1];
	float *c = *(float **)params[2];
	unsigned long long n = *(unsigned long long *)params[3], i;
	fenv_t env;

	(void)fn;
	(void)shared;
	(void)stream;
	MAY_FAIL(cuLaunchKernel);
	if (!gx || gy != 1 || gz != 1 || !bx || by != 1 || bz != 1 || extra)
		return CUDA_ERROR_INVALID_VALUE;
	if ((uintptr_t)a % 16 || (uintptr_t)b % 16 || (uintptr_t)c % 16)
		return CUDA_ERROR_MISALIGNED_ADDRESS;
	/* A GPU does not care how the host rounds. */
	fegetenv(&env);
	fesetenv(FE_DFL_ENV);
	for (i = 0; i < n; i++)
		c[i] = a[i] + b[i];
	fesetenv(&env);
	if (wrong("kernel") || (wrong("mapped") && is_pinned(c)))
		((unsigned char *)c)[(n - 1) * 4] ^= 1;
	return CUDA_SUCCESS;
}
