/* SPDX-License-Identifier: MIT */
/*
 * cuda_driver.h - libcuda.so.1, opened at run time
 *
 * The functions of the driver API that are used, by their names in <cuda.h>,
 * as members of one table: cu->cuMemAlloc(...). <cuda.h> renames some to the
 * version they have today (cuMemAlloc is cuMemAlloc_v2); the macro expands for
 * the member, its type and the symbol looked up alike, so the three agree.
 *
 * While a kernel runs, some calls wait for it to end and keep others waiting:
 * cuMemFree, cuMemFreeHost, cuMemHostUnregister, cuModuleLoadData and
 * cuModuleUnload (seen with driver 580). A guest's kernel may never end: none of
 * them may be called where the engine must answer.
 */
#ifndef VGPU_CUDA_DRIVER_H
#define VGPU_CUDA_DRIVER_H

#include <cuda.h>

#include "engine.h"

#define CUDA_CALLS(X)				\
	X(cuInit)				\
	X(cuDriverGetVersion)			\
	X(cuGetErrorName)			\
	X(cuGetErrorString)			\
	X(cuDeviceGetCount)			\
	X(cuDeviceGet)				\
	X(cuDeviceGetName)			\
	X(cuDeviceGetUuid)			\
	X(cuDeviceTotalMem)			\
	X(cuDeviceGetAttribute)			\
	X(cuDevicePrimaryCtxRetain)		\
	X(cuDevicePrimaryCtxRelease)		\
	X(cuCtxPushCurrent)			\
	X(cuCtxPopCurrent)			\
	X(cuCtxSetCurrent)			\
	X(cuModuleLoadData)			\
	X(cuModuleUnload)			\
	X(cuModuleGetFunction)			\
	X(cuMemGetInfo)				\
	X(cuMemAlloc)				\
	X(cuMemFree)				\
	X(cuMemHostAlloc)			\
	X(cuMemFreeHost)			\
	X(cuMemHostGetDevicePointer)		\
	X(cuMemHostRegister)			\
	X(cuMemHostUnregister)			\
	X(cuMemcpyHtoD)				\
	X(cuMemcpyDtoH)				\
	X(cuMemcpyHtoDAsync)			\
	X(cuMemcpyDtoHAsync)			\
	X(cuMemcpyAsync)			\
	X(cuMemcpyDtoDAsync)			\
	X(cuMemsetD8Async)			\
	X(cuMemsetD16Async)			\
	X(cuMemsetD32Async)			\
	X(cuMemAllocAsync)			\
	X(cuMemFreeAsync)			\
	X(cuDeviceGetDefaultMemPool)		\
	X(cuMemPoolSetAttribute)		\
	X(cuMemPoolTrimTo)			\
	X(cuStreamCreate)			\
	X(cuStreamDestroy)			\
	X(cuStreamQuery)			\
	X(cuStreamSynchronize)			\
	X(cuStreamWriteValue32)			\
	X(cuEventCreate)			\
	X(cuEventDestroy)			\
	X(cuEventRecord)			\
	X(cuEventQuery)				\
	X(cuModuleLoadDataEx)			\
	X(cuFuncGetAttribute)			\
	X(cuFuncSetAttribute)			\
	X(cuLaunchKernel)

/* NULL where the driver is older than the call: CUDA 12.4. */
#define CUDA_OPTIONAL_CALLS(X)			\
	X(cuFuncGetParamInfo)

struct cuda_driver {
#define CUDA_MEMBER(fn) __typeof__(fn) *fn;
	CUDA_CALLS(CUDA_MEMBER)
	CUDA_OPTIONAL_CALLS(CUDA_MEMBER)
#undef CUDA_MEMBER
};

/*
 * The table, loaded at the first call and kept for the life of the process:
 * the driver has threads of its own and does not survive being unloaded. NULL,
 * with why, where the library or a function is missing.
 */
const struct cuda_driver *cuda_driver(char why[VGPU_ENGINE_WHY]);

/* One line: "cuInit: CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device ..." */
void cuda_why(const struct cuda_driver *cu, char why[VGPU_ENGINE_WHY],
	      const char *call, CUresult err);

/* What a job that met this error ends with: enum vgpu_status. */
uint16_t cuda_status(CUresult err);

#endif /* VGPU_CUDA_DRIVER_H */
