// SPDX-License-Identifier: MIT
/*
 * cpu_jobs.c - jobs on the host's processors: how each is cut up, and its parts
 *
 * Owns the partial sums of a REDUCE_SUM from its start to its last part. count()
 * and share() run under the pool's lock, part() on the pool's threads.
 *
 * A part's result does not depend on how many threads there are: elements
 * and tiles are computed each by itself, and a sum is cut at fixed places.
 */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_kernels.h"
#include "engine_cpu.h"
#include "job_check.h"

/* Large enough to forget the lock; small enough for fairness and the L2. */
#define PART_MIN	16384
#define PART_MAX	65536
/* Elements of a partial sum. */
#define SUM_PART	65536

struct sums {
	_Atomic uint64_t left;		/* parts to come */
	double part[];
};

static unsigned char *place(const struct vgpu_engine_operand *op)
{
	if (op->mem)
		return (unsigned char *)(uintptr_t)op->mem->address + op->offset;
	return op->host;
}

static uint64_t count_sum(struct vgpu_job *job)
{
	uint64_t n = job->operand[0].count;
	/* Of no elements too: somebody must write the 0. */
	uint64_t parts = n ? (n - 1) / SUM_PART + 1 : 1;
	struct sums *sums = malloc(sizeof(*sums) + parts * sizeof(double));

	if (!sums) {
		job->status = VGPU_RSP_NO_MEMORY;
		return 0;
	}
	atomic_init(&sums->left, parts);
	job->priv = sums;
	return parts;
}

static uint64_t count_builtin(struct vgpu_job *job)
{
	switch (job->kernel) {
	case VGPU_KERNEL_DEBUG_FAULT:
		return 1;
	case VGPU_KERNEL_SGEMM:
		return cpu_sgemm_tiles(job->sgemm);
	case VGPU_KERNEL_REDUCE_SUM:
		return count_sum(job);
	default:
		return job->operand[0].count;
	}
}

static uint64_t count(void *engine, struct vgpu_job *job)
{
	struct cpu_engine *eng = engine;

	if (job->op == VGPU_OP_MODULE_LOAD || job->op == VGPU_OP_FUNCTION_GET ||
	    job->op == VGPU_OP_LAUNCH)
		job->status = VGPU_RSP_NO_GPU;
	else
		job->status = vgpu_job_check(job);
	if (job->status == VGPU_RSP_OK && vgpu_job_lacks_memory(job))
		job->status = VGPU_RSP_NO_HANDLE;
	if (job->status != VGPU_RSP_OK)
		return 0;
	if (job->op == VGPU_OP_BUILTIN)
		return count_builtin(job);
	if (job->op != VGPU_OP_MEM_ALLOC)
		return job->operand[0].count;
	job->status = cpu_memory_alloc(&eng->memory, job->mem);
	job->value = job->mem->address;
	return 0;
}

/* Ranges that share octets without being the same. */
static bool overlap(const struct vgpu_job *job)
{
	uintptr_t to = (uintptr_t)place(&job->operand[0]);
	uintptr_t from = (uintptr_t)place(&job->operand[1]);
	uint64_t n = job->operand[0].count;

	return to > from ? to - from < n : from - to < n;
}

/* Among all threads, as far as the bounds allow. */
static struct pool_share share_evenly(const struct cpu_engine *eng,
				      uint64_t count, uint64_t unit)
{
	struct pool_share share = { .width = eng->threads };

	share.part = (count - 1) / eng->threads + 1;
	if (share.part < PART_MIN * unit)
		share.part = PART_MIN * unit;
	if (share.part > PART_MAX * unit)
		share.part = PART_MAX * unit;
	/* Octets of a fill: its width must not be cut. */
	share.part -= share.part % unit;
	return share;
}

static struct pool_share share(void *engine, const struct vgpu_job *job,
			       uint64_t count)
{
	const struct cpu_engine *eng = engine;

	if (job->op == VGPU_OP_COPY && overlap(job))
		return (struct pool_share){ .part = count, .width = 1 };
	if (job->op != VGPU_OP_BUILTIN)
		return share_evenly(eng, count, sizeof(float));
	if (job->kernel == VGPU_KERNEL_SGEMM ||
	    job->kernel == VGPU_KERNEL_REDUCE_SUM)
		return (struct pool_share){ .part = 1, .width = eng->threads };
	return share_evenly(eng, count, 1);
}

static void part_sum(const struct vgpu_job *job, uint64_t first, uint64_t count)
{
	const float *in = (const float *)place(&job->operand[0]);
	uint64_t n = job->operand[0].count;
	struct sums *sums = job->priv;
	double sum = 0;
	float out;

	for (uint64_t i = first; i < first + count; i++) {
		uint64_t at = i * SUM_PART, left = n - at;

		sums->part[i] = cpu_sum(in + at,
					left < SUM_PART ? left : SUM_PART);
	}
	if (atomic_fetch_sub(&sums->left, count) != count)
		return;
	/* The last one: all parts are there. */
	for (uint64_t at = 0, i = 0; at < n; at += SUM_PART, i++)
		sum += sums->part[i];
	out = (float)sum;
	memcpy(place(&job->operand[1]), &out, sizeof(out));
	free(sums);
}

static uint16_t part_builtin(const struct vgpu_job *job, uint64_t first,
			     uint64_t count)
{
	const struct vgpu_engine_operand *op = job->operand;
	float alpha;

	switch (job->kernel) {
	case VGPU_KERNEL_VECTOR_ADD:
		cpu_vector_add((const float *)place(&op[0]) + first,
			       (const float *)place(&op[1]) + first,
			       (float *)place(&op[2]) + first, count);
		return VGPU_RSP_OK;
	case VGPU_KERNEL_SAXPY:
		memcpy(&alpha, &job->param, sizeof(alpha));
		cpu_saxpy(alpha, (const float *)place(&op[0]) + first,
			  (float *)place(&op[1]) + first, count);
		return VGPU_RSP_OK;
	case VGPU_KERNEL_SGEMM:
		for (uint64_t tile = first; tile < first + count; tile++)
			cpu_sgemm_tile(job->sgemm, (const float *)place(&op[0]),
				       (const float *)place(&op[1]),
				       (float *)place(&op[2]), tile);
		return VGPU_RSP_OK;
	case VGPU_KERNEL_REDUCE_SUM:
		part_sum(job, first, count);
		return VGPU_RSP_OK;
	default:
		return VGPU_RSP_FAULT;
	}
}

static uint16_t part(void *engine, unsigned int thread,
		     const struct vgpu_job *job, uint64_t first, uint64_t count,
		     uint8_t *path)
{
	unsigned char *to = place(&job->operand[0]);

	(void)engine;
	(void)thread;
	if (job->op != VGPU_OP_BUILTIN ||
	    job->kernel != VGPU_KERNEL_DEBUG_FAULT)
		*path = VGPU_PATH_HOST;
	/* A new thread inherits rounding and flush-to-zero from its creator. */
	fesetenv(FE_DFL_ENV);
	if (job->op == VGPU_OP_COPY)
		memmove(to + first, place(&job->operand[1]) + first, count);
	else if (job->op == VGPU_OP_FILL)
		cpu_fill(to + first, job->pattern, job->width, count);
	else
		return part_builtin(job, first, count);
	return VGPU_RSP_OK;
}

const struct pool_ops cpu_pool_ops = {
	.count = count,
	.part = part,
	.share = share,
};
