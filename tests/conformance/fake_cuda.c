// SPDX-License-Identifier: MIT
/*
 * fake_cuda.c - a libcuda.so.1 for tests: one or more GPUs that are not there
 *
 * Lets the cuda engine's host side run, and each of its calls fail, where there
 * is no GPU. Lives in build/test/fake and is found through LD_LIBRARY_PATH by
 * tests alone. "Device" memory is host memory (fake_memory.c), and the kernels are
 * loops (fake_kernels.c), a guest's too, if they are those of kernels.ptx
 * (fake_module.c). Work on a stream is done by a thread of that stream
 * (fake_stream.c), so that what the engine does too early or without order shows,
 * to ThreadSanitizer above all. Calls that wait for running kernels to end do so
 * here. Must end the program where the engine breaks a rule of the driver's.
 *
 * This file: the rules of failing, the device, its context.
 *
 * FAKE_CUDA_FAIL=CALL:CODE[:N]  CALL (a symbol) returns CODE, from its Nth time
 * FAKE_CUDA_WRONG=WHAT          a result is wrong: of a "copy", of the "kernel"
 *                               anywhere, of the kernel on pinned ("mapped")
 *                               memory; what is done to registered memory has no
 *                               effect: "copy-in", "copy-out", "kernel-in",
 *                               "kernel-out"; kernels never say they are done:
 *                               "word"
 * FAKE_CUDA_COUNT=N             GPUs
 * FAKE_CUDA_SLOW=1              an event is done when it was asked for the 100th time
 * FAKE_CUDA_HANG=1              a launch does not return
 * FAKE_CUDA_FAST=1              work on more than 64 KiB has no effect, and takes no
 *                               time
 * FAKE_CUDA_BUSY=1              others are first: work on a stream takes 5 ms more
 * FAKE_CUDA_NO_READ_ONLY=1      read-only memory cannot be registered
 * FAKE_CUDA_PAGEABLE=1          the GPU reaches all memory of the process
 * FAKE_CUDA_NO_POOLS=1          no memory in the order of streams
 * FAKE_CUBLAS_FAIL=1            no cuBLAS handle is to be had (fake_cublas.c)
 */
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
	switch ((int)attr) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*value = 0;
		break;
	case CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED:
		*value = !getenv("FAKE_CUDA_NO_READ_ONLY");
		break;
	case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS:
		*value = !!getenv("FAKE_CUDA_PAGEABLE");
		break;
	case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
		*value = !getenv("FAKE_CUDA_NO_POOLS");
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
		*value = INT32_MAX;
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
		*value = 65535;
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
		*value = 1024;
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
		*value = 64;
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
		*value = 232448;
		break;
	default:
		*value = 9;
	}
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
