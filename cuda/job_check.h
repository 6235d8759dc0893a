/* SPDX-License-Identifier: MIT */
/*
 * job_check.h - what can be a job, and what cannot
 *
 * One set of rules for requests from a guest, frames from a far worker and the
 * engines themselves: shapes, counts, alignments, places in device memory. Pure
 * functions of what they are given; any thread. They never look at operand
 * memory.
 *
 * Included behind <xen/io/vgpuif.h>, or wire.h in its place.
 */
#ifndef VGPU_CUDA_JOB_CHECK_H
#define VGPU_CUDA_JOB_CHECK_H

#include "engine.h"

#define VGPU_SGEMM_MAX	0x7fffffffu

/* Elements of a matrix in memory, from its first to its last one. */
static inline uint64_t vgpu_matrix_span(uint32_t rows, uint32_t cols,
					uint32_t ld)
{
	if (!rows || !cols)
		return 0;
	return (uint64_t)(cols - 1) * ld + rows;
}

static inline bool vgpu_matrix_ok(uint32_t rows, uint32_t cols, uint32_t ld)
{
	return rows <= VGPU_SGEMM_MAX && cols <= VGPU_SGEMM_MAX &&
	       ld <= VGPU_SGEMM_MAX && ld >= rows && ld >= 1;
}

/* A shape that may be; and the elements that A, B and C must have for it. */
static inline bool vgpu_sgemm_shape(const struct vgpu_sgemm *p,
				    uint64_t span[VGPU_ENGINE_OPERANDS])
{
	uint32_t rows_a = p->trans_a ? p->k : p->m;
	uint32_t cols_a = p->trans_a ? p->m : p->k;
	uint32_t rows_b = p->trans_b ? p->n : p->k;
	uint32_t cols_b = p->trans_b ? p->k : p->n;

	if (p->trans_a > 1 || p->trans_b > 1 ||
	    !vgpu_matrix_ok(rows_a, cols_a, p->lda) ||
	    !vgpu_matrix_ok(rows_b, cols_b, p->ldb) ||
	    !vgpu_matrix_ok(p->m, p->n, p->ldc))
		return false;
	span[0] = vgpu_matrix_span(rows_a, cols_a, p->lda);
	span[1] = vgpu_matrix_span(rows_b, cols_b, p->ldb);
	span[2] = vgpu_matrix_span(p->m, p->n, p->ldc);
	return true;
}

/*
 * VGPU_RSP_OK where operands of these counts can be the kernel's, INVALID, or
 * UNSUPPORTED for a kernel that is none. sgemm: for SGEMM alone.
 */
static inline enum vgpu_status
vgpu_builtin_check(uint16_t kernel, const struct vgpu_sgemm *sgemm,
		   const uint64_t count[VGPU_ENGINE_OPERANDS])
{
	uint64_t span[VGPU_ENGINE_OPERANDS];
	bool ok = false;

	switch (kernel) {
	case VGPU_KERNEL_VECTOR_ADD:
	case VGPU_KERNEL_DEBUG_FAULT:
		ok = count[1] == count[0] && count[2] == count[0];
		break;
	case VGPU_KERNEL_SAXPY:
		ok = count[1] == count[0] && !count[2];
		break;
	case VGPU_KERNEL_REDUCE_SUM:
		ok = count[1] == 1 && !count[2];
		break;
	case VGPU_KERNEL_SGEMM:
		ok = vgpu_sgemm_shape(sgemm, span) && count[0] >= span[0] &&
		     count[1] >= span[1] && count[2] >= span[2];
		break;
	default:
		return VGPU_RSP_UNSUPPORTED;
	}
	return ok ? VGPU_RSP_OK : VGPU_RSP_INVALID;
}

/* Which operands a built-in kernel writes to: a bit each. */
static inline unsigned int vgpu_builtin_writes(uint16_t kernel)
{
	switch (kernel) {
	case VGPU_KERNEL_SAXPY:
	case VGPU_KERNEL_REDUCE_SUM:
		return 1u << 1;
	case VGPU_KERNEL_VECTOR_ADD:
	case VGPU_KERNEL_SGEMM:
	case VGPU_KERNEL_DEBUG_FAULT:
		return 1u << 2;
	default:
		return 0;
	}
}

/*
 * `unit` octets an element, aligned to as many: an operand that has a place for
 * all of them.
 */
static inline bool vgpu_operand_ok(const struct vgpu_engine_operand *op,
				   uint64_t unit, uint64_t align)
{
	uint64_t bytes;

	if (op->count > SIZE_MAX / unit)
		return false;
	bytes = op->count * unit;
	if (!op->mem)
		return (op->host || !bytes) && !((uintptr_t)op->host % align);
	return !(op->offset % align) && op->offset <= op->mem->bytes &&
	       bytes <= op->mem->bytes - op->offset;
}

static inline enum vgpu_status
vgpu_builtin_job_check(const struct vgpu_job *job)
{
	const struct vgpu_engine_operand *op = job->operand;
	const uint64_t count[] = { op[0].count, op[1].count, op[2].count };

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		if (!vgpu_operand_ok(&op[i], 4, 4))
			return VGPU_RSP_INVALID;
	return vgpu_builtin_check(job->kernel, job->sgemm, count);
}

static inline enum vgpu_status
vgpu_launch_check(const struct vgpu_engine_launch *l)
{
	for (unsigned int i = 0; i < 3; i++)
		if (!l->grid[i] || !l->block[i])
			return VGPU_RSP_LAUNCH;
	if (l->args_len > VGPU_MAX_ARGS || l->nr_relocs > VGPU_MAX_RELOCS)
		return VGPU_RSP_INVALID;
	for (uint32_t i = 0; i < l->nr_relocs; i++) {
		const struct vgpu_engine_reloc *reloc = &l->reloc[i];

		if (reloc->at % 8 || reloc->at + 8u > l->args_len ||
		    !vgpu_operand_ok(&reloc->target, 1, 1))
			return VGPU_RSP_INVALID;
		/* A kernel reaches no other memory of the host. */
		if (!reloc->target.mem && !reloc->target.region)
			return VGPU_RSP_UNSUPPORTED;
	}
	return VGPU_RSP_OK;
}

/* Can this be a job, whatever of what it names there is? */
static inline enum vgpu_status vgpu_job_check(const struct vgpu_job *job)
{
	const struct vgpu_engine_operand *op = job->operand;
	bool ok = false;

	switch (job->op) {
	case VGPU_OP_FENCE:
	case VGPU_OP_EVENT_RECORD:
	case VGPU_OP_EVENT_WAIT:
		ok = true;
		break;
	case VGPU_OP_BUILTIN:
		return vgpu_builtin_job_check(job);
	case VGPU_OP_MEM_ALLOC:
		ok = job->mem->bytes;
		break;
	case VGPU_OP_COPY:
		ok = op[0].count == op[1].count &&
		     vgpu_operand_ok(&op[0], 1, 1) &&
		     vgpu_operand_ok(&op[1], 1, 1);
		break;
	case VGPU_OP_FILL:
		ok = (job->width == 1 || job->width == 2 || job->width == 4) &&
		     !(op[0].count % job->width) &&
		     vgpu_operand_ok(&op[0], 1, job->width);
		break;
	case VGPU_OP_MODULE_LOAD:
		ok = job->format >= VGPU_MODULE_PTX &&
		     job->format <= VGPU_MODULE_FATBIN && !op[0].mem &&
		     !op[1].mem && op[0].count &&
		     op[0].count <= VGPU_MAX_IMAGE &&
		     vgpu_operand_ok(&op[0], 1, 1) &&
		     vgpu_operand_ok(&op[1], 1, 1);
		break;
	case VGPU_OP_FUNCTION_GET:
		ok = !op[0].mem && vgpu_operand_ok(&op[0], 1, 4);
		break;
	case VGPU_OP_LAUNCH:
		return vgpu_launch_check(&job->launch);
	default:
		return VGPU_RSP_UNSUPPORTED;
	}
	return ok ? VGPU_RSP_OK : VGPU_RSP_INVALID;
}

/* Device memory that a job names and that is not there: not yet, or never. */
static inline bool vgpu_job_lacks_memory(const struct vgpu_job *job)
{
	unsigned int operands = 0;

	switch (job->op) {
	case VGPU_OP_BUILTIN:
		operands = VGPU_ENGINE_OPERANDS;
		break;
	case VGPU_OP_COPY:
		operands = 2;
		break;
	case VGPU_OP_FILL:
		operands = 1;
		break;
	case VGPU_OP_LAUNCH:
		for (uint32_t i = 0; i < job->launch.nr_relocs; i++) {
			const struct vgpu_engine_mem *mem =
				job->launch.reloc[i].target.mem;

			if (mem && !mem->address)
				return true;
		}
		break;
	}
	for (unsigned int i = 0; i < operands; i++)
		if (job->operand[i].mem && !job->operand[i].mem->address)
			return true;
	return false;
}

#endif /* VGPU_CUDA_JOB_CHECK_H */
