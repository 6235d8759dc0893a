/* SPDX-License-Identifier: MIT */
/*
 * cuda_device.h - one GPU behind the sanity gate
 *
 * cuda_device_open() is the only way to a GPU, for the engine and for
 * cuda_sanity: what it returns has been seen to allocate, copy both ways and
 * run a kernel with the right result, on its own memory and on the host's.
 */
#ifndef VGPU_CUDA_DEVICE_H
#define VGPU_CUDA_DEVICE_H

#include "cuda_driver.h"
#include "cuda_nvml.h"

/* Its context is current to no thread: each one sets it (cuCtxSetCurrent). */
struct cuda_device {
	const struct cuda_driver *cu;
	struct nvml *nvml;		/* NULL where there is none */
	CUdevice dev;
	CUcontext ctx;
	CUmodule module;
	CUfunction vector_add, saxpy, sum_parts, sum, sgemm, fault;
	unsigned int processors;	/* multiprocessors */
	int grid[3], block[3];		/* the most of a launch */
	int shared;			/* octets, of a block that asks for it */
	bool read_only;			/* read-only host memory can be registered */
	bool pools;			/* memory in the order of streams */
	struct vgpu_engine_facts facts;
	const char *no_modules;		/* in a few words why, or NULL */
};

/* Called after each step of the gate that passed, in order. */
typedef void (*cuda_say)(const char *step, const char *found);

/*
 * Opens GPU number `gpu` as NVML counts, or as CUDA counts where there is no
 * NVML. Blocks, up to seconds. On failure -1, nothing is held, and why is
 * "STEP: CALL: ERROR (number): text". say may be NULL.
 */
int cuda_device_open(struct cuda_device *d, unsigned int gpu, cuda_say say,
		     char why[VGPU_ENGINE_WHY]);
/* The device may be lost. Its context must be current to no other thread. */
void cuda_device_close(struct cuda_device *d);

/*
 * c = a + b. The addresses are the device's, 4-byte aligned; n is at least 1.
 *
 * @host:	an operand is in host memory: few threads saturate the bus
 * @word:	where seq is written when c is complete, in pinned host memory;
 *		or 0
 * @counter:	device memory for the kernel's own use while it runs, 0 before;
 *		with word only
 */
struct cuda_add {
	CUdeviceptr a, b, c;
	uint64_t n;
	bool host;
	CUdeviceptr word, counter;
	uint32_t seq;
};

/* Queue a kernel on a stream. The context is current. */
CUresult cuda_vector_add(const struct cuda_device *d, CUstream stream,
			 const struct cuda_add *add);
/* Stores to an illegal address: the end of the context. */
CUresult cuda_fault(const struct cuda_device *d, CUstream stream);

#endif /* VGPU_CUDA_DEVICE_H */
