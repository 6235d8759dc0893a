// SPDX-License-Identifier: MIT
/*
 * gate_kinds.c - how long jobs take, by their kind (see gate_kinds.h)
 *
 * Pure. Run by the worker's thread. An estimate bounds what waits in the engine
 * before another guest's first job, and nothing else: what is charged is measured.
 * A guest that misleads it is let be beside the next one after a while (sched.h).
 */
#include "gate_kinds.h"

#include <xen/io/vgpuif.h>

/* A new time counts for one in so many. */
#define SHARE_OF_NEW 4

/* 0 for 0, else 1 and the logarithm to base 2. */
static uint64_t magnitude(uint64_t n)
{
	return n ? 64 - (uint64_t)__builtin_clzll(n) : 0;
}

static uint64_t mix(uint64_t key, uint64_t more)
{
	key = (key ^ more) * 0x9e3779b97f4a7c15;
	return key ^ key >> 32;
}

static uint64_t operand_kind(const struct vgpu_engine_operand *op)
{
	return magnitude(op->count) << 2 | (op->mem ? 2 : 0) |
	       (op->region ? 1 : 0);
}

/* The same function with threads of the same order of magnitude. */
static uint64_t launch_kind(const struct vgpu_engine_launch *l)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < 3; i++)
		size += magnitude(l->grid[i]) + magnitude(l->block[i]);
	return mix((uintptr_t)l->function, size);
}

uint64_t gate_key(const struct vgpu_job *job)
{
	uint64_t key = mix(job->op, job->kernel);

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		key = mix(key, operand_kind(&job->operand[i]));
	if (job->op == VGPU_OP_LAUNCH)
		key = mix(key, launch_kind(&job->launch));
	else if (job->op == VGPU_OP_MEM_ALLOC)
		key = mix(key, magnitude(job->mem->bytes));
	else if (job->sgemm)
		key = mix(key, magnitude(job->sgemm->m) +
				       magnitude(job->sgemm->n) +
				       magnitude(job->sgemm->k));
	return key ? key : 1;
}

static struct gate_kind *set_of(struct gate *g, uint64_t key)
{
	return &g->kind[(key >> 32) % (GATE_KINDS / GATE_WAYS) * GATE_WAYS];
}

static struct gate_kind *find(struct gate *g, uint64_t key)
{
	struct gate_kind *set = set_of(g, key);

	for (unsigned int i = 0; i < GATE_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

uint64_t gate_estimate(struct gate *g, uint64_t key, uint64_t unseen)
{
	const struct gate_kind *kind = find(g, key);

	return kind ? kind->ns : unseen;
}

static void remember(struct gate *g, uint64_t key, uint64_t ns)
{
	struct gate_kind *kind = find(g, key);

	if (kind) {
		ns = (kind->ns * (SHARE_OF_NEW - 1) + ns) / SHARE_OF_NEW;
	} else {
		kind = set_of(g, key) + g->victim++ % GATE_WAYS;
		kind->key = key;
	}
	kind->ns = ns ? ns : 1;
}

void gate_learn(struct gate *g, struct vgpu_job *done, uint64_t elapsed_ns)
{
	uint64_t sum = 0;

	if (elapsed_ns > GATE_MAX_NS)
		elapsed_ns = GATE_MAX_NS;
	for (const struct vgpu_job *job = done; job; job = job->next)
		sum += ((const struct gate_job *)job->owner)->estimate_ns;
	for (const struct vgpu_job *job = done; job; job = job->next) {
		const struct gate_job *gj = job->owner;

		/* Both are GATE_MAX_NS at most. */
		if (gj->estimate_ns)
			remember(g, gj->key,
				 elapsed_ns * gj->estimate_ns / sum);
	}
}
