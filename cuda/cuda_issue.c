// SPDX-License-Identifier: MIT
/*
 * cuda_issue.c - puts a job on a CUstream: copies, fills, built-in kernels
 *
 * Runs on any thread, under the pool's lock for queues and without it for lanes.
 * Owns nothing. Must never wait for the GPU. Operands have been checked.
 */
#include <string.h>

#include "engine_cuda.h"

#define THREADS		256
#define BLOCKS_PER_SM	8
/* Elements that a thread is worth. */
#define EACH		4
/* Across the bus more blocks only keep other kernels out. */
#define HOST_BLOCKS	64
/* As in kernels.cu. */
#define TILE		64
#define TILE_THREADS	16

CUdeviceptr operand_address(const struct vgpu_engine_operand *op)
{
	if (op->mem)
		return memory_address(op->mem) + op->offset;
	return op->region ? region_address(op, 0) : 0;
}

static unsigned int blocks_for(const struct cuda_engine *eng, uint64_t n,
			       bool host)
{
	uint64_t most = host ? HOST_BLOCKS :
			       (uint64_t)eng->dev.processors * BLOCKS_PER_SM;
	uint64_t wanted = n / (THREADS * EACH) + 1;

	return (unsigned int)(wanted < most ? wanted : most);
}

static CUresult launch(struct cuda_engine *eng, struct way *way, CUfunction fn,
		       unsigned int blocks, unsigned int threads_y,
		       void **params)
{
	unsigned int threads = threads_y > 1 ? TILE_THREADS : THREADS;
	CUresult err = eng->dev.cu->cuLaunchKernel(fn, blocks, 1, 1, threads,
						   threads_y, 1, 0,
						   way->stream, params, NULL);

	way->queued |= err == CUDA_SUCCESS;
	return err;
}

static CUresult issue_add(struct cuda_engine *eng, const struct vgpu_job *job,
			  const CUdeviceptr at[], struct way *way)
{
	const struct cuda_add add = {
		.a = at[0],
		.b = at[1],
		.c = at[2],
		.n = job->operand[0].count,
		.host = way->host,
		.word = way->word,
		.counter = way->scratch + SCRATCH_COUNTER,
		.seq = way->seq,
	};
	CUresult err = cuda_vector_add(&eng->dev, way->stream, &add);

	way->queued = err == CUDA_SUCCESS;
	way->marked = way->queued && way->word;
	return err;
}

static CUresult issue_saxpy(struct cuda_engine *eng, const struct vgpu_job *job,
			    const CUdeviceptr at[], struct way *way)
{
	CUdeviceptr x = at[0], y = at[1];
	unsigned long long n = job->operand[0].count;
	uint32_t alpha = job->param;
	void *params[] = { &x, &y, &n, &alpha };

	return launch(eng, way, eng->dev.saxpy, blocks_for(eng, n, way->host),
		      1, params);
}

/* In two steps, so that the order of the sums is always the same. */
static CUresult issue_sum(struct cuda_engine *eng, const struct vgpu_job *job,
			  const CUdeviceptr at[], struct way *way)
{
	CUdeviceptr in = at[0], out = at[1], sums = way->scratch;
	unsigned long long n = job->operand[0].count;
	unsigned int blocks = blocks_for(eng, n, way->host);
	void *parts[] = { &in, &n, &sums };
	void *all[] = { &sums, &blocks, &out };
	CUresult err;

	if (blocks > SCRATCH_SUMS)
		blocks = SCRATCH_SUMS;
	err = launch(eng, way, eng->dev.sum_parts, blocks, 1, parts);
	if (err == CUDA_SUCCESS)
		err = launch(eng, way, eng->dev.sum, 1, 1, all);
	return err;
}

static CUresult issue_sgemm(struct cuda_engine *eng, const struct vgpu_job *job,
			    const CUdeviceptr at[], struct way *way)
{
	const struct vgpu_sgemm *p = job->sgemm;
	/* As in kernels.cu. */
	struct {
		CUdeviceptr a, b, c;
		uint64_t lda, ldb, ldc;
		uint32_t m, n, k, alpha, beta, trans_a, trans_b;
	} g = {
		.a = at[0], .b = at[1], .c = at[2],
		.lda = p->lda, .ldb = p->ldb, .ldc = p->ldc,
		.m = p->m, .n = p->n, .k = p->k,
		.alpha = p->alpha, .beta = p->beta,
		.trans_a = p->trans_a, .trans_b = p->trans_b,
	};
	uint64_t tiles = ((p->m + (uint64_t)TILE - 1) / TILE) *
			 ((p->n + (uint64_t)TILE - 1) / TILE);
	void *params[] = { &g };

	return launch(eng, way, eng->dev.sgemm,
		      tiles < INT32_MAX ? (unsigned int)tiles : INT32_MAX,
		      TILE_THREADS, params);
}

CUresult issue_builtin(struct cuda_engine *eng, const struct vgpu_job *job,
		       const CUdeviceptr at[VGPU_ENGINE_OPERANDS],
		       struct way *way)
{
	switch (job->kernel) {
	case VGPU_KERNEL_VECTOR_ADD:
		return issue_add(eng, job, at, way);
	case VGPU_KERNEL_SAXPY:
		return issue_saxpy(eng, job, at, way);
	case VGPU_KERNEL_REDUCE_SUM:
		return issue_sum(eng, job, at, way);
	default:
		return issue_sgemm(eng, job, at, way);
	}
}

static CUresult issue_in_place(struct cuda_engine *eng,
			       const struct vgpu_job *job, struct way *way)
{
	CUdeviceptr at[VGPU_ENGINE_OPERANDS];

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		at[i] = operand_address(&job->operand[i]);
		way->host |= job->operand[i].region && !job->operand[i].mem;
	}
	return issue_builtin(eng, job, at, way);
}

/* Of a shape that is known: nothing need be held. */
static uint16_t issue_multiply(struct cuda_engine *eng,
			       const struct vgpu_job *job, struct way *way)
{
	CUdeviceptr at[VGPU_ENGINE_OPERANDS];

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		at[i] = operand_address(&job->operand[i]);
	return blas_sgemm(eng, job, at, way, false);
}

static CUresult issue_copy(const struct cuda_driver *cu,
			   const struct vgpu_job *job, struct way *way)
{
	const struct vgpu_engine_operand *to = &job->operand[0];
	const struct vgpu_engine_operand *from = &job->operand[1];
	size_t bytes = to->count;
	CUresult err;

	if (to->mem && from->mem)
		err = cu->cuMemcpyDtoDAsync(operand_address(to),
					    operand_address(from), bytes,
					    way->stream);
	else if (to->mem)
		err = cu->cuMemcpyHtoDAsync(operand_address(to), from->host,
					    bytes, way->stream);
	else if (from->mem)
		err = cu->cuMemcpyDtoHAsync(to->host, operand_address(from),
					    bytes, way->stream);
	else
		err = cu->cuMemcpyAsync(operand_address(to),
					operand_address(from), bytes,
					way->stream);
	way->queued = err == CUDA_SUCCESS;
	return err;
}

static CUresult issue_fill(const struct cuda_driver *cu,
			   const struct vgpu_job *job, struct way *way)
{
	CUdeviceptr at = operand_address(&job->operand[0]);
	size_t n = job->operand[0].count / job->width;
	CUresult err;

	if (job->width == 1)
		err = cu->cuMemsetD8Async(at, (unsigned char)job->pattern, n,
					  way->stream);
	else if (job->width == 2)
		err = cu->cuMemsetD16Async(at, (unsigned short)job->pattern, n,
					   way->stream);
	else
		err = cu->cuMemsetD32Async(at, job->pattern, n, way->stream);
	way->queued = err == CUDA_SUCCESS;
	return err;
}

uint16_t issue(struct cuda_engine *eng, struct vgpu_job *job, struct way *way)
{
	CUresult err;

	switch (job->op) {
	case VGPU_OP_MEM_ALLOC:
		return memory_alloc(eng, job, way);
	case VGPU_OP_LAUNCH:
		return launch_issue(eng, job, way);
	case VGPU_OP_BUILTIN:
		if (job->kernel == VGPU_KERNEL_SGEMM)
			return issue_multiply(eng, job, way);
		err = issue_in_place(eng, job, way);
		break;
	case VGPU_OP_COPY:
		err = issue_copy(eng->dev.cu, job, way);
		break;
	default:
		err = issue_fill(eng->dev.cu, job, way);
		break;
	}
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}
