// SPDX-License-Identifier: MIT
/*
 * cuda_memory.c - memory on the GPU that guests ask for
 *
 * Memory comes from the driver's pool, in the order of a CUstream, and is zeroed
 * there: neither taking nor giving it back waits for any kernel, as cuMemFree
 * would. memory_alloc() runs on any thread, memory_free() on the caller's.
 *
 * Until the zeros are written only the stream that asked may name the memory:
 * for all others mem->address is still 0.
 *
 * What is given back goes to an idle CUstream, so that the pool has it at once.
 * Of that it keeps a little, and lets go of the rest when that stream is waited
 * for, which is over at once too: other processes need the memory as well.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine_cuda.h"

/* The pool keeps this much; and is looked after when so much was given back. */
#define KEEP	((uint64_t)64 << 20)

struct memory {
	CUdeviceptr at;
	const struct vgpu_engine_stream *maker;
};

bool memory_there(const struct vgpu_job *job, const struct vgpu_engine_mem *mem)
{
	const struct memory *m;

	if (__atomic_load_n(&mem->address, __ATOMIC_ACQUIRE))
		return true;
	m = __atomic_load_n(&mem->priv, __ATOMIC_ACQUIRE);
	return m && m->maker == job->stream;
}

CUdeviceptr memory_address(const struct vgpu_engine_mem *mem)
{
	const struct memory *m = mem->priv;

	return m->at;
}

/* Gives the pool's spare memory back to the GPU. */
static void trim(struct cuda_engine *eng, size_t keep)
{
	eng->dev.cu->cuStreamSynchronize(eng->memory);
	if (keep < KEEP) {
		CUmemoryPool pool;

		if (eng->dev.cu->cuDeviceGetDefaultMemPool(
			    &pool, eng->dev.dev) == CUDA_SUCCESS)
			eng->dev.cu->cuMemPoolTrimTo(pool, keep);
	}
}

CUresult memory_borrow(struct cuda_engine *eng, CUstream stream,
		       CUdeviceptr *at, size_t bytes)
{
	CUresult err;

	if (!eng->memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	err = eng->dev.cu->cuMemAllocAsync(at, bytes, stream);
	if (err != CUDA_ERROR_OUT_OF_MEMORY)
		return err;
	/* What the pool has is in pieces that do not fit. */
	trim(eng, 0);
	return eng->dev.cu->cuMemAllocAsync(at, bytes, stream);
}

void memory_return(struct cuda_engine *eng, CUstream stream, CUdeviceptr at)
{
	if (at)
		eng->dev.cu->cuMemFreeAsync(at, stream);
}

void memory_returned(struct cuda_engine *eng, uint64_t bytes)
{
	if (atomic_fetch_add(&eng->freed, bytes) + bytes < KEEP)
		return;
	atomic_store(&eng->freed, 0);
	trim(eng, KEEP);
}

uint16_t memory_alloc(struct cuda_engine *eng, struct vgpu_job *job,
		      struct way *way)
{
	struct memory *m;
	CUresult err;

	if (job->mem->bytes > eng->dev.facts.memory)
		return VGPU_RSP_NO_MEMORY;
	m = malloc(sizeof(*m));
	if (!m)
		return VGPU_RSP_NO_MEMORY;
	m->maker = job->stream;
	err = memory_borrow(eng, way->stream, &m->at, job->mem->bytes);
	if (err != CUDA_SUCCESS) {
		free(m);
		return cuda_failed(eng, err);
	}
	way->queued = true;
	err = eng->dev.cu->cuMemsetD8Async(m->at, 0, job->mem->bytes,
					   way->stream);
	if (err != CUDA_SUCCESS) {
		memory_return(eng, way->stream, m->at);
		free(m);
		return cuda_failed(eng, err);
	}
	__atomic_store_n(&job->mem->priv, m, __ATOMIC_RELEASE);
	return VGPU_RSP_OK;
}

void memory_made(struct vgpu_job *job)
{
	job->value = memory_address(job->mem);
	__atomic_store_n(&job->mem->address, job->value, __ATOMIC_RELEASE);
}

void memory_free(struct vgpu_engine *base, struct vgpu_engine_mem *mem)
{
	struct cuda_engine *eng = (struct cuda_engine *)base;
	const struct cuda_driver *cu = eng->dev.cu;
	struct memory *m = mem->priv;

	if (!m)
		return;
	mem->priv = NULL;
	mem->address = 0;
	/* A lost device has nothing left to give back. */
	if (!atomic_load(&eng->lost) &&
	    cu->cuCtxSetCurrent(eng->dev.ctx) == CUDA_SUCCESS) {
		cu->cuMemFreeAsync(m->at, eng->memory);
		memory_returned(eng, mem->bytes);
	}
	free(m);
}

int memory_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	const struct cuda_driver *cu = eng->dev.cu;
	const char *call = "cuDeviceGetDefaultMemPool";
	cuuint64_t keep = KEEP;
	char reason[VGPU_ENGINE_WHY];
	CUmemoryPool pool;
	CUdeviceptr at;
	CUresult err;

	if (!eng->dev.pools)
		return 0;
	err = cu->cuDeviceGetDefaultMemPool(&pool, eng->dev.dev);
	if (err == CUDA_SUCCESS) {
		call = "cuMemPoolSetAttribute";
		err = cu->cuMemPoolSetAttribute(
			pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep);
	}
	if (err == CUDA_SUCCESS) {
		call = "cuStreamCreate";
		err = cu->cuStreamCreate(&eng->memory, CU_STREAM_NON_BLOCKING);
	}
	/* The pool's first allocation takes milliseconds: not a guest's. */
	if (err == CUDA_SUCCESS) {
		call = "cuMemAllocAsync";
		err = cu->cuMemAllocAsync(&at, 1, eng->memory);
	}
	if (err == CUDA_SUCCESS) {
		call = "cuMemFreeAsync";
		err = cu->cuMemFreeAsync(at, eng->memory);
	}
	if (err == CUDA_SUCCESS)
		return 0;
	cuda_why(cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "memory pool: %.240s", reason);
	return -1;
}

void memory_close(struct cuda_engine *eng)
{
	if (!eng->memory)
		return;
	trim(eng, 0);
	eng->dev.cu->cuStreamDestroy(eng->memory);
}
