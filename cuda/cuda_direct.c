// SPDX-License-Identifier: MIT
/*
 * cuda_direct.c - vector adds that need no thread: one kernel, maybe across the bus
 *
 * Owns pinned staging memory for small operands. direct_begin() runs on any
 * thread, direct_end() on the caller's; the pool's lock guards all of it.
 *
 * Operands in regions and in the GPU's memory are added where they are; others
 * are copied by whoever begins the job into a slot of staging memory and, when
 * the job has ended, out of it. The kernel's last act is to write the job's
 * number to the word of its queue.
 *
 * Jobs of one stream may follow each other on the GPU as long as all of them are
 * in place: a copy by the CPU must see what the jobs before have written, and
 * those behind must see what it has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_cuda.h"

/* Of staging memory: 12 MiB in all. */
#define SLOTS		16
/* Above it, in elements, copy engines make up for operands out of line. */
#define UNALIGNED_MOST	((uint64_t)4 << 20)

#define OPERAND_BYTES	(DIRECT_STAGING * sizeof(float))
#define SLOT_BYTES	(VGPU_ENGINE_OPERANDS * OPERAND_BYTES)

struct cuda_direct {
	unsigned char *host;		/* pinned */
	CUdeviceptr mapped;		/* the same, as the GPU sees it */
	unsigned int free_slots;	/* a bit each */
};

/* Of operand i, in the pinned memory. */
static size_t staging_offset(int slot, unsigned int i)
{
	return (unsigned int)slot * SLOT_BYTES + i * OPERAND_BYTES;
}

static CUdeviceptr place(struct cuda_direct *dir, const struct queued *q,
			 unsigned int i)
{
	const struct vgpu_engine_operand *op = &q->job->operand[i];
	size_t at;

	if (in_place(op))
		return operand_address(op);
	at = staging_offset(q->staging, i);
	if (i < 2)
		memcpy(dir->host + at, op->host, op->count * sizeof(float));
	return dir->mapped + at;
}

/* A kernel across the bus reads whole lines; else it takes a quarter longer. */
static bool same_alignment(const struct vgpu_job *job)
{
	uintptr_t a = (uintptr_t)job->operand[0].host;
	uintptr_t b = (uintptr_t)job->operand[1].host;
	uintptr_t c = (uintptr_t)job->operand[2].host;

	return !((a - c) % 16) && !((b - c) % 16);
}

/* The most elements that are not worth a thread. */
static uint64_t most(const struct cuda_tune *t, const struct vgpu_job *job,
		     bool staged)
{
	const struct vgpu_engine_operand *op = job->operand;

	if (staged)
		return t->inline_copy;
	/* Lanes have no way for the GPU's memory, and nothing to win by one. */
	if (op[0].mem || op[1].mem || op[2].mem)
		return UINT64_MAX;
	if (t->zero_copy < UNALIGNED_MOST || same_alignment(job))
		return t->zero_copy;
	return UNALIGNED_MOST;
}

bool direct_begin(struct cuda_engine *eng, struct vgpu_job *job,
		  unsigned int behind, uint32_t *note)
{
	struct cuda_direct *dir = eng->direct;
	bool staged = !in_place(&job->operand[0]) ||
		      !in_place(&job->operand[1]) ||
		      !in_place(&job->operand[2]);
	struct queued *q;

	if (job->operand[0].count > most(&eng->tune, job, staged))
		return false;
	if (staged && (behind || !dir->free_slots))
		return false;
	q = queue_take(eng, job, behind, note);
	if (!q)
		return false;
	job->path = VGPU_PATH_ZERO_COPY;
	if (staged) {
		q->staging = __builtin_ctz(dir->free_slots);
		dir->free_slots &= ~(1u << q->staging);
		*note |= NOTE_STAGED;
		job->path = VGPU_PATH_STAGED_ZERO_COPY;
	}
	queue_put(eng, q);
	return true;
}

CUresult direct_start(struct cuda_engine *eng, struct queued *q)
{
	CUdeviceptr at[VGPU_ENGINE_OPERANDS];

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		at[i] = place(eng->direct, q, i);
		q->way.host |= !q->job->operand[i].mem;
	}
	return issue_builtin(eng, q->job, at, &q->way);
}

void direct_end(struct cuda_engine *eng, const struct queued *q, bool copy)
{
	const struct vgpu_engine_operand *out = &q->job->operand[2];
	struct cuda_direct *dir = eng->direct;

	if (copy && !in_place(out))
		memcpy(out->host, dir->host + staging_offset(q->staging, 2),
		       out->count * sizeof(float));
	dir->free_slots |= 1u << q->staging;
}

int direct_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	const struct cuda_driver *cu = eng->dev.cu;
	struct cuda_direct *dir = calloc(1, sizeof(*dir));
	const char *call = "cuMemHostAlloc";
	char reason[VGPU_ENGINE_WHY];
	void *host = NULL;
	CUresult err;

	if (!dir) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	eng->direct = dir;
	dir->free_slots = (1u << SLOTS) - 1;
	err = cu->cuMemHostAlloc(&host, SLOTS * SLOT_BYTES,
				 CU_MEMHOSTALLOC_DEVICEMAP);
	if (err == CUDA_SUCCESS) {
		dir->host = host;
		call = "cuMemHostGetDevicePointer";
		err = cu->cuMemHostGetDevicePointer(&dir->mapped, host, 0);
	}
	if (err == CUDA_SUCCESS)
		return 0;
	cuda_why(cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "small jobs: %.240s", reason);
	return -1;
}

void direct_close(struct cuda_engine *eng)
{
	if (eng->direct && eng->direct->host)
		eng->dev.cu->cuMemFreeHost(eng->direct->host);
}
