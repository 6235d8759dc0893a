// SPDX-License-Identifier: MIT
/*
 * validate.c - request rules (see validate.h); each check is one rule
 *
 * The order of the checks is part of the behaviour: flags, then op, then the
 * fields in the order of the slot.
 */
#include "validate.h"

#include "../cuda/job_check.h"
#include "limits.h"

static bool all_zero(const void *mem, size_t len)
{
	const uint8_t *p = mem;
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

#define ZERO(field) all_zero(&(field), sizeof(field))

static enum vgpu_status check_nop(const struct vgpu_nop_req *r)
{
	return ZERO(r->reserved) ? VGPU_RSP_OK : VGPU_RSP_INVALID;
}

static enum vgpu_status check_arena(uint32_t offset, uint32_t len,
				    const struct rules *rules)
{
	if (offset > rules->arena_len || len > rules->arena_len - offset)
		return VGPU_RSP_RANGE;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_info(const struct vgpu_info_req *r,
				   const struct rules *rules)
{
	if (!ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (r->arena_offset % 8)
		return VGPU_RSP_INVALID;
	if (r->length < sizeof(struct vgpu_info))
		return VGPU_RSP_INVALID;
	return check_arena(r->arena_offset, r->length, rules);
}

static enum vgpu_status check_buffer_map(const struct vgpu_buffer_map_req *r,
					 const struct rules *rules)
{
	uint64_t pages;

	if (r->reserved0 || !ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (!r->handle || r->handle > rules->max_buffers)
		return VGPU_RSP_INVALID;
	if (r->flags & ~VGPU_BUF_READ_ONLY)
		return VGPU_RSP_INVALID;
	if (!r->nr_pages)
		return VGPU_RSP_INVALID;
	if (r->nr_pages > BACK_MAX_BUFFER_PAGES)
		return VGPU_RSP_QUOTA;
	if (r->first_offset >= VGPUIF_PAGE_SIZE)
		return VGPU_RSP_INVALID;
	/* Bounding length by the pages first keeps the sum from overflowing. */
	pages = (uint64_t)r->nr_pages * VGPUIF_PAGE_SIZE;
	if (!r->length || r->length > pages ||
	    r->first_offset + r->length > pages)
		return VGPU_RSP_INVALID;
	if (r->first_offset + r->length <= pages - VGPUIF_PAGE_SIZE)
		return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_handle(const struct vgpu_handle_req *r)
{
	return r->reserved0 || !ZERO(r->reserved) ? VGPU_RSP_INVALID :
						    VGPU_RSP_OK;
}

/* A handle that is to be made. */
static enum vgpu_status check_event_record(const struct vgpu_handle_req *r)
{
	return r->handle ? check_handle(r) : VGPU_RSP_INVALID;
}

static enum vgpu_status check_empty(const struct vgpu_empty_req *r)
{
	return ZERO(r->reserved) ? VGPU_RSP_OK : VGPU_RSP_INVALID;
}

/* Are operands of these counts the kernel's? */
static enum vgpu_status check_counts(const struct vgpu_operand *operand,
				     uint16_t kernel,
				     const struct vgpu_sgemm *sgemm)
{
	const uint64_t count[VGPU_ENGINE_OPERANDS] = {
		operand[0].count, operand[1].count, operand[2].count};

	return vgpu_builtin_check(kernel, sgemm, count);
}

static enum vgpu_status check_builtin(const struct vgpu_builtin_req *r,
				      const struct rules *rules)
{
	if (r->kernel >= 32 || !(rules->kernels & (1u << r->kernel)))
		return VGPU_RSP_UNSUPPORTED;
	for (unsigned int i = kernel_operands(r->kernel); i < VGPU_MAX_OPERANDS;
	     i++)
		if (!ZERO(r->operand[i]))
			return VGPU_RSP_INVALID;
	if (r->kernel == VGPU_KERNEL_SGEMM) {
		if (r->param_len != sizeof(struct vgpu_sgemm))
			return VGPU_RSP_INVALID;
		return check_arena(r->param, r->param_len, rules);
	}
	if (r->param_len || (r->param && r->kernel != VGPU_KERNEL_SAXPY))
		return VGPU_RSP_INVALID;
	return check_counts(r->operand, r->kernel, NULL);
}

static enum vgpu_status check_mem_alloc(const struct vgpu_mem_alloc_req *r)
{
	if (!ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (!(r->handle & VGPU_HANDLE_MEM) || r->flags || !r->length)
		return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_copy(const struct vgpu_copy_req *r)
{
	return ZERO(r->reserved) ? VGPU_RSP_OK : VGPU_RSP_INVALID;
}

static enum vgpu_status check_fill(const struct vgpu_fill_req *r)
{
	if (r->reserved0 || !ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (r->width != 1 && r->width != 2 && r->width != 4)
		return VGPU_RSP_INVALID;
	if (r->width < 4 && r->pattern >> (8 * r->width))
		return VGPU_RSP_INVALID;
	if (r->offset % r->width || r->length % r->width)
		return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

/* In a guest buffer, or, where that is allowed, all 0. */
static bool in_a_buffer(const struct vgpu_operand *opnd, bool optional)
{
	if (optional && ZERO(*opnd))
		return true;
	return opnd->handle && !(opnd->handle & VGPU_HANDLE_MEM);
}

static enum vgpu_status check_module_load(const struct vgpu_module_load_req *r)
{
	if (!ZERO(r->reserved) || !r->module)
		return VGPU_RSP_INVALID;
	if (r->format < VGPU_MODULE_PTX || r->format > VGPU_MODULE_FATBIN)
		return VGPU_RSP_INVALID;
	if (!in_a_buffer(&r->image, false) || !in_a_buffer(&r->log, true))
		return VGPU_RSP_INVALID;
	if (!r->image.count || r->image.count > VGPU_MAX_IMAGE)
		return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

static enum vgpu_status
check_function_get(const struct vgpu_function_get_req *r,
		   const struct rules *rules)
{
	if (!ZERO(r->reserved) || !r->function)
		return VGPU_RSP_INVALID;
	if (!r->name_len || r->name_len > VGPU_MAX_KERNEL_NAME)
		return VGPU_RSP_INVALID;
	if (!in_a_buffer(&r->params, true))
		return VGPU_RSP_INVALID;
	return check_arena(r->name_offset, r->name_len, rules);
}

static enum vgpu_status check_launch(const struct vgpu_launch_req *r,
				     const struct rules *rules)
{
	uint32_t len = r->args_len;

	if (r->reserved0 || r->reserved1 || !ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	for (unsigned int i = 0; i < 3; i++)
		if (!r->grid[i] || !r->block[i])
			return VGPU_RSP_LAUNCH;
	if (len > VGPU_MAX_ARGS || r->nr_relocs > VGPU_MAX_RELOCS)
		return VGPU_RSP_INVALID;
	if (r->args_offset % 8)
		return VGPU_RSP_INVALID;
	if (!len)
		return r->args_offset || r->nr_relocs ? VGPU_RSP_INVALID :
							VGPU_RSP_OK;
	if (r->nr_relocs)
		len = (len + 7) / 8 * 8 +
		      r->nr_relocs * (uint32_t)sizeof(struct vgpu_reloc);
	return check_arena(r->args_offset, len, rules);
}

static enum vgpu_status check_head(const struct vgpu_request *req,
				   const struct rules *rules)
{
	uint32_t op;

	if (req->flags & ~(VGPU_REQF_QUIET | VGPU_REQF_RETIRE))
		return VGPU_RSP_INVALID;
	if (req->op >= 32)
		return VGPU_RSP_UNSUPPORTED;
	op = 1u << req->op;
	if (!(BACK_OPS & op))
		return VGPU_RSP_UNSUPPORTED;
	if (req->flags && !(req->flags & VGPU_REQF_QUIET))
		return VGPU_RSP_INVALID;
	if (req->flags && !(BACK_QUIET_OPS & op))
		return VGPU_RSP_INVALID;
	if ((BACK_MODULE_OPS & op) && !rules->modules)
		return VGPU_RSP_NO_GPU;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_body(const struct vgpu_request *req,
				   const struct rules *rules)
{
	switch (req->op) {
	case VGPU_OP_NOP:
		return check_nop(&req->u.nop);
	case VGPU_OP_INFO:
		return check_info(&req->u.info, rules);
	case VGPU_OP_BUFFER_MAP:
		return check_buffer_map(&req->u.map, rules);
	case VGPU_OP_BUFFER_UNMAP:
	case VGPU_OP_MEM_FREE:
	case VGPU_OP_MODULE_UNLOAD:
	case VGPU_OP_EVENT_WAIT:
	case VGPU_OP_EVENT_DESTROY:
		return check_handle(&req->u.handle);
	case VGPU_OP_EVENT_RECORD:
		return check_event_record(&req->u.handle);
	case VGPU_OP_BUILTIN:
		return check_builtin(&req->u.builtin, rules);
	case VGPU_OP_FENCE:
	case VGPU_OP_STREAM_DESTROY:
	case VGPU_OP_CTX_DESTROY:
		return check_empty(&req->u.empty);
	case VGPU_OP_MEM_ALLOC:
		return check_mem_alloc(&req->u.mem_alloc);
	case VGPU_OP_COPY:
		return check_copy(&req->u.copy);
	case VGPU_OP_FILL:
		return check_fill(&req->u.fill);
	case VGPU_OP_MODULE_LOAD:
		return check_module_load(&req->u.module_load);
	case VGPU_OP_FUNCTION_GET:
		return check_function_get(&req->u.function_get, rules);
	case VGPU_OP_LAUNCH:
		return check_launch(&req->u.launch, rules);
	default:
		return VGPU_RSP_UNSUPPORTED;
	}
}

enum vgpu_status request_check(const struct vgpu_request *req,
			       const struct rules *rules)
{
	enum vgpu_status status = check_head(req, rules);

	return status ? status : check_body(req, rules);
}

enum vgpu_status range_check(const struct target *t, uint64_t offset,
			     uint64_t bytes, uint32_t align, bool output,
			     struct vgpu_engine_operand *out)
{
	const struct buffer *buf = t->buf;
	uint64_t length;

	if (!buf && !t->mem)
		return VGPU_RSP_NO_HANDLE;
	length = buf ? buf->length : t->mem->u.mem.bytes;
	if (offset > length || bytes > length - offset)
		return VGPU_RSP_RANGE;
	/* data carries first_offset, and pages are aligned. */
	if (((buf ? (uintptr_t)buf->data : 0) + offset) & (align - 1))
		return VGPU_RSP_INVALID;
	if (output && buf && buf->read_only)
		return VGPU_RSP_ACCESS;
	if (buf)
		*out = (struct vgpu_engine_operand){.host = buf->data + offset,
						    .count = bytes,
						    .region = buf->region};
	else
		*out = (struct vgpu_engine_operand){.mem = &t->mem->u.mem,
						    .count = bytes,
						    .offset = offset};
	return VGPU_RSP_OK;
}

enum vgpu_status operand_check(const struct vgpu_operand *opnd,
			       const struct target *t, bool output,
			       struct vgpu_engine_operand *out)
{
	enum vgpu_status status = range_check(
		t, opnd->offset, (uint64_t)opnd->count * 4, 4, output, out);

	if (!status)
		out->count = opnd->count;
	return status;
}

enum vgpu_status sgemm_check(const struct vgpu_sgemm *p,
			     const struct vgpu_operand operand[3])
{
	return check_counts(operand, VGPU_KERNEL_SGEMM, p);
}

unsigned int kernel_operands(uint16_t kernel)
{
	return kernel == VGPU_KERNEL_SAXPY || kernel == VGPU_KERNEL_REDUCE_SUM ?
		       2 :
		       3;
}

bool kernel_writes(uint16_t kernel, unsigned int i)
{
	return vgpu_builtin_writes(kernel) >> i & 1;
}
