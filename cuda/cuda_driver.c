// SPDX-License-Identifier: MIT
/*
 * cuda_driver.c - libcuda.so.1, opened at run time; what its errors mean
 *
 * Owns the table of functions. cuda_driver() runs on the engine's caller
 * thread, the rest anywhere. Must never need CUDA at link time: the programs
 * also run where there is no driver.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda_driver.h"
#include "wire.h"

#define LIBCUDA "libcuda.so.1"
#define SYMBOL_OF(fn) #fn
#define SYMBOL(fn) SYMBOL_OF(fn)

const struct cuda_driver *cuda_driver(char why[VGPU_ENGINE_WHY])
{
	static struct cuda_driver table;
	static void *lib;
	const char *missing = NULL;

	if (lib)
		return &table;
	/*
	 * As many hardware queues as a GPU has: with the default of 8, streams
	 * that share one wait for each other's kernels. Read by cuInit.
	 */
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
	lib = dlopen(LIBCUDA, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		snprintf(why, VGPU_ENGINE_WHY,
			 "dlopen: %.150s; is the NVIDIA driver installed in this domain?",
			 dlerror());
		return NULL;
	}
#define CUDA_LOOK_UP(fn)						\
	table.fn = (__typeof__(table.fn))dlsym(lib, SYMBOL(fn));
#define CUDA_MUST_HAVE(fn)						\
	if (!table.fn)							\
		missing = SYMBOL(fn);
	CUDA_CALLS(CUDA_LOOK_UP)
	CUDA_OPTIONAL_CALLS(CUDA_LOOK_UP)
	CUDA_CALLS(CUDA_MUST_HAVE)
#undef CUDA_MUST_HAVE
#undef CUDA_LOOK_UP
	if (missing) {
		snprintf(why, VGPU_ENGINE_WHY,
			 "%s has no %s: the NVIDIA driver is too old", LIBCUDA,
			 missing);
		dlclose(lib);
		lib = NULL;
		return NULL;
	}
	return &table;
}

void cuda_why(const struct cuda_driver *cu, char why[VGPU_ENGINE_WHY],
	      const char *call, CUresult err)
{
	const char *name = NULL, *text = NULL;

	if (cu->cuGetErrorName(err, &name) != CUDA_SUCCESS || !name)
		name = "unknown error";
	if (cu->cuGetErrorString(err, &text) != CUDA_SUCCESS || !text)
		text = "no text for it";
	snprintf(why, VGPU_ENGINE_WHY, "%s: %.60s (%d): %.120s", call, name,
		 (int)err, text);
}

uint16_t cuda_status(CUresult err)
{
	switch (err) {
	case CUDA_SUCCESS:
		return VGPU_RSP_OK;
	case CUDA_ERROR_OUT_OF_MEMORY:
		return VGPU_RSP_NO_MEMORY;
	case CUDA_ERROR_LAUNCH_TIMEOUT:
		return VGPU_RSP_TIMEOUT;
	case CUDA_ERROR_ILLEGAL_ADDRESS:
	case CUDA_ERROR_ILLEGAL_INSTRUCTION:
	case CUDA_ERROR_MISALIGNED_ADDRESS:
	case CUDA_ERROR_INVALID_ADDRESS_SPACE:
	case CUDA_ERROR_INVALID_PC:
	case CUDA_ERROR_HARDWARE_STACK_ERROR:
	case CUDA_ERROR_ASSERT:
	case CUDA_ERROR_LAUNCH_FAILED:
		return VGPU_RSP_FAULT;
	default:
		return VGPU_RSP_DEVICE_LOST;
	}
}
