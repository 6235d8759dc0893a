// SPDX-License-Identifier: MIT
/*
 * validate.c - request rules (see validate.h); each check is one rule
 *
 * The order of the checks is part of the behaviour: flags, then op, then the
 * fields in the order of the slot.
 */
#include "validate.h"

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

static enum vgpu_status check_info(const struct vgpu_info_req *r,
				   uint32_t arena_len)
{
	if (!ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (r->arena_offset % 8)
		return VGPU_RSP_INVALID;
	if (r->length < sizeof(struct vgpu_info))
		return VGPU_RSP_INVALID;
	if (r->arena_offset > arena_len ||
	    r->length > arena_len - r->arena_offset)
		return VGPU_RSP_RANGE;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_buffer_map(const struct vgpu_buffer_map_req *r)
{
	uint64_t pages;

	if (r->reserved0 || !ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (!r->handle || r->handle > BACK_MAX_BUFFERS)
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
	if (r->reserved0 || !ZERO(r->reserved))
		return VGPU_RSP_INVALID;
	if (!r->handle || r->handle > BACK_MAX_BUFFERS)
		return VGPU_RSP_NO_HANDLE;
	return VGPU_RSP_OK;
}

static enum vgpu_status check_builtin(const struct vgpu_builtin_req *r,
				      uint32_t kernels)
{
	if (r->kernel >= 32 || !(kernels & (1u << r->kernel)))
		return VGPU_RSP_UNSUPPORTED;
	/* All there are so far take what VECTOR_ADD takes. */
	if (r->param_len || r->param)
		return VGPU_RSP_INVALID;
	for (unsigned int i = 1; i < VGPU_MAX_OPERANDS; i++)
		if (r->operand[i].count != r->operand[0].count)
			return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

enum vgpu_status request_check(const struct vgpu_request *req,
			       uint32_t arena_len, uint32_t kernels)
{
	/* feature-quiet is not offered, so that QUIET is an unknown flag too. */
	if (req->flags)
		return VGPU_RSP_INVALID;
	if (req->op >= 32 || !(BACK_OPS & (1u << req->op)))
		return VGPU_RSP_UNSUPPORTED;
	switch (req->op) {
	case VGPU_OP_NOP:
		return check_nop(&req->u.nop);
	case VGPU_OP_INFO:
		return check_info(&req->u.info, arena_len);
	case VGPU_OP_BUFFER_MAP:
		return check_buffer_map(&req->u.map);
	case VGPU_OP_BUFFER_UNMAP:
		return check_handle(&req->u.handle);
	case VGPU_OP_BUILTIN:
		return check_builtin(&req->u.builtin, kernels);
	case VGPU_OP_FENCE:
	case VGPU_OP_CTX_DESTROY:
		return ZERO(req->u.empty) ? VGPU_RSP_OK : VGPU_RSP_INVALID;
	default:
		return VGPU_RSP_UNSUPPORTED;
	}
}

enum vgpu_status operand_check(const struct vgpu_operand *opnd,
			       const struct buffer *buf, bool output,
			       struct vgpu_engine_operand *out)
{
	uint64_t bytes = (uint64_t)opnd->count * 4;

	if (!buf)
		return VGPU_RSP_NO_HANDLE;
	if (opnd->offset > buf->length || bytes > buf->length - opnd->offset)
		return VGPU_RSP_RANGE;
	/* data carries first_offset, and pages are aligned. */
	if (((uintptr_t)buf->data + opnd->offset) % 4)
		return VGPU_RSP_INVALID;
	if (output && buf->read_only)
		return VGPU_RSP_ACCESS;
	*out = (struct vgpu_engine_operand){
		.host = buf->data + opnd->offset,
		.count = opnd->count,
		.region = buf->region,
	};
	return VGPU_RSP_OK;
}

bool kernel_writes(uint16_t kernel, unsigned int i)
{
	return (BACK_KERNELS | BACK_DEBUG_KERNELS) & (1u << kernel) && i == 2;
}
