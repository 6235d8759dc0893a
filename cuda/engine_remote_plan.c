// SPDX-License-Identifier: MIT
/*
 * engine_remote_plan.c - which steps a job of the remote engine takes
 *
 * Functions of a job alone, for any thread. Most jobs are one frame. What lies in
 * host memory is taken there or back in parts; a built-in kernel whose operands
 * do not all lie there borrows memory for those that are here:
 *
 *   step  0 1 2    3 4 5    6          7 8 9
 *         ALLOC    IN       WHOLE      OUT         a kernel that borrows
 *                           WHOLE                  all other jobs; or ADD, IN,
 *                                                  OUT, IMAGE, LOCAL
 *
 * Must never read or write operand memory, but in remote_do_local() and for an
 * empty log.
 */
#include <string.h>

#include "engine_remote.h"
#include "job_check.h"

/* So much of a copy here holds up no other stream. */
#define LOCAL_PART	(1 << 20)

/* The steps' places. */
#define ALLOC		0
#define IN		3
#define WHOLE		6
#define OUT		7

_Static_assert(OUT + VGPU_ENGINE_OPERANDS == REMOTE_STEPS, "steps");

uint16_t remote_check(const struct remote_engine *eng,
		      const struct vgpu_job *job)
{
	bool module = job->op == VGPU_OP_MODULE_LOAD ||
		      job->op == VGPU_OP_FUNCTION_GET ||
		      job->op == VGPU_OP_LAUNCH;

	if (module && !eng->facts.modules)
		return VGPU_RSP_NO_GPU;
	return (uint16_t)vgpu_job_check(job);
}

bool remote_is_nothing(const struct vgpu_job *job)
{
	switch (job->op) {
	case VGPU_OP_COPY:
	case VGPU_OP_FILL:
		return !job->operand[0].count;
	case VGPU_OP_BUILTIN:
		break;
	default:
		return false;
	}
	switch (job->kernel) {
	case VGPU_KERNEL_VECTOR_ADD:
	case VGPU_KERNEL_SAXPY:
		return !job->operand[0].count;
	case VGPU_KERNEL_SGEMM:
		return !job->sgemm->m || !job->sgemm->n;
	}
	return false;
}

static bool on_host(const struct vgpu_job *job, unsigned int operand)
{
	return !job->operand[operand].mem;
}

/* A vector add goes with its data, if all of it is here. */
static bool adds_data(const struct vgpu_job *job)
{
	return job->kernel == VGPU_KERNEL_VECTOR_ADD && on_host(job, 0) &&
	       on_host(job, 1) && on_host(job, 2);
}

bool remote_borrows(const struct vgpu_job *job)
{
	unsigned int i;

	if (job->op != VGPU_OP_BUILTIN || adds_data(job))
		return false;
	for (i = 0; i < remote_kernel(job->kernel)->operands; i++)
		if (on_host(job, i))
			return true;
	return false;
}

uint64_t remote_elements(const struct vgpu_job *job, unsigned int operand)
{
	uint64_t span[VGPU_ENGINE_OPERANDS];

	if (job->kernel == VGPU_KERNEL_SGEMM &&
	    vgpu_sgemm_shape(job->sgemm, span))
		return span[operand];
	return job->operand[operand].count;
}

static struct remote_step whole(void)
{
	return (struct remote_step){ STEP_WHOLE, 0, 1, 1 };
}

/* Octets, in parts of a frame. */
static struct remote_step octets(enum remote_step_kind kind,
				 unsigned int operand, uint64_t count)
{
	return (struct remote_step){ kind, operand, count, REMOTE_DATA_MAX };
}

static struct remote_step builtin_step(const struct vgpu_job *job,
				       unsigned int step)
{
	const struct remote_kernel *kernel = remote_kernel(job->kernel);
	unsigned int i = step < WHOLE ? step % IN : step - OUT;

	if (step == WHOLE && adds_data(job))
		return (struct remote_step){ STEP_ADD, 0, job->operand[0].count,
					     REMOTE_DATA_MAX / 8 };
	if (step == WHOLE)
		return whole();
	if (!remote_borrows(job) || i >= kernel->operands || !on_host(job, i))
		return (struct remote_step){ STEP_NONE, 0, 0, 0 };
	if (step < IN)
		return (struct remote_step){ STEP_ALLOC, i, 1, 1 };
	if (step < WHOLE && kernel->reads >> i & 1)
		return octets(STEP_IN, i, remote_elements(job, i) * 4);
	if (step >= OUT && kernel->writes >> i & 1)
		return octets(STEP_OUT, i, remote_elements(job, i) * 4);
	return (struct remote_step){ STEP_NONE, 0, 0, 0 };
}

static struct remote_step local(const struct vgpu_job *job)
{
	return (struct remote_step){ STEP_LOCAL, 0, job->operand[0].count,
				     LOCAL_PART };
}

struct remote_step remote_step(const struct vgpu_job *job, unsigned int step)
{
	if (job->op == VGPU_OP_BUILTIN)
		return builtin_step(job, step);
	if (step != WHOLE)
		return (struct remote_step){ STEP_NONE, 0, 0, 0 };
	switch (job->op) {
	case VGPU_OP_COPY:
		if (on_host(job, 0) && on_host(job, 1))
			return local(job);
		if (on_host(job, 1))
			return octets(STEP_IN, 1, job->operand[1].count);
		if (on_host(job, 0))
			return octets(STEP_OUT, 0, job->operand[0].count);
		break;
	case VGPU_OP_FILL:
		if (on_host(job, 0))
			return local(job);
		break;
	case VGPU_OP_MODULE_LOAD:
		return octets(STEP_IMAGE, 0, job->operand[0].count);
	}
	return whole();
}

/* Which operands in host memory it reads and writes, and the octets of one. */
struct use {
	unsigned int reads, writes, unit;
};

static struct use use_of(const struct vgpu_job *job)
{
	const struct remote_kernel *kernel = remote_kernel(job->kernel);

	switch (job->op) {
	case VGPU_OP_BUILTIN:
		return kernel ? (struct use){ kernel->reads, kernel->writes, 4 } :
				(struct use){ 0, 0, 4 };
	case VGPU_OP_COPY:
		return (struct use){ 2, 1, 1 };
	case VGPU_OP_FILL:
	case VGPU_OP_FUNCTION_GET:
		return (struct use){ 0, 1, 1 };
	case VGPU_OP_MODULE_LOAD:
		return (struct use){ 1, 2, 1 };
	}
	return (struct use){ 0, 0, 1 };
}

static bool overlap(const struct vgpu_engine_operand *a, unsigned int unit_a,
		    const struct vgpu_engine_operand *b, unsigned int unit_b)
{
	uintptr_t at_a = (uintptr_t)a->host, at_b = (uintptr_t)b->host;

	return !a->mem && !b->mem && at_a < at_b + b->count * unit_b &&
	       at_b < at_a + a->count * unit_a;
}

bool remote_depends(const struct vgpu_job *job, const struct vgpu_job *before)
{
	struct use now = use_of(job), then = use_of(before);

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		for (unsigned int k = 0; k < VGPU_ENGINE_OPERANDS; k++)
			if (now.reads >> i & 1 && then.writes >> k & 1 &&
			    overlap(&job->operand[i], now.unit,
				    &before->operand[k], then.unit))
				return true;
	return false;
}

void remote_empty_log(const struct vgpu_job *job)
{
	if (job->op == VGPU_OP_MODULE_LOAD && job->operand[1].host &&
	    job->operand[1].count)
		*(char *)job->operand[1].host = '\0';
}

void remote_do_local(const struct vgpu_job *job, uint64_t first, uint64_t count)
{
	unsigned char *to = (unsigned char *)job->operand[0].host + first;

	if (job->op == VGPU_OP_COPY) {
		memmove(to, (unsigned char *)job->operand[1].host + first,
			count);
		return;
	}
	/* Parts are multiples of any width. */
	for (uint64_t i = 0; i < count; i += job->width)
		memcpy(to + i, &job->pattern, job->width);
}
