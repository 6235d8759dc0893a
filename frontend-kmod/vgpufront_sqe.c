// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_sqe.c - from a program's request to one for the wire
 *
 * Runs under vgf_dev.lock, on a private copy of the program's request. Checks
 * what the module alone can check (reserved fields, handles of this context,
 * ranges) and replaces handles. What a kernel makes of its operands is for the
 * backend to judge, so new kernels need no new module.
 */
#include "vgpufront.h"

static bool is_zero(const u64 *words, unsigned int nr)
{
	u64 all = 0;

	while (nr--)
		all |= words[nr];

	return !all;
}

static int prepare_operand(struct vgf_ctx *ctx,
			   const struct vgpufront_operand *in,
			   struct vgpu_operand *out, struct vgf_buffer **bufp)
{
	u64 octets = (u64)in->count * 4;
	struct vgf_buffer *buf;

	/* An operand that the kernel does not have. */
	if (!in->handle && !in->count && !in->offset)
		return 0;

	buf = vgf_buffer_find(ctx, in->handle);
	if (!buf)
		return -ENOENT;
	if (in->offset % 4)
		return -EINVAL;
	if (octets > buf->length || in->offset > buf->length - octets)
		return -ERANGE;
	out->handle = buf->handle;
	out->count = in->count;
	out->offset = in->offset;
	*bufp = buf;

	return 0;
}

static int prepare_builtin(struct vgf_ctx *ctx, const struct vgpufront_sqe *sqe,
			   struct vgpu_request *req, struct vgf_inflight *what)
{
	unsigned int i;
	int err;

	if (sqe->builtin.param_len || sqe->builtin.params)
		return -EINVAL;
	req->u.builtin.kernel = sqe->builtin.kernel;
	req->u.builtin.param = sqe->builtin.param;
	for (i = 0; i < VGPU_MAX_OPERANDS; i++) {
		err = prepare_operand(ctx, &sqe->builtin.operand[i],
				      &req->u.builtin.operand[i],
				      &what->buf[i]);
		if (err)
			return err;
	}

	return 0;
}

/* Fills zeroed req and what; nothing else changes. 0, or why it is refused. */
int vgf_sqe_prepare(struct vgf_ctx *ctx, const struct vgpufront_sqe *sqe,
		    struct vgpu_request *req, struct vgf_inflight *what)
{
	if (sqe->flags || sqe->reserved)
		return -EINVAL;

	req->op = sqe->op;
	req->ctx = ctx->id;
	req->stream = sqe->stream;
	what->ctx = ctx;
	what->user_data = sqe->user_data;

	switch (sqe->op) {
	case VGPUFRONT_OP_NOP:
		if (!is_zero(sqe->nop.reserved, ARRAY_SIZE(sqe->nop.reserved)))
			return -EINVAL;
		req->u.nop.cookie = sqe->nop.cookie;
		return 0;
	case VGPUFRONT_OP_FENCE:
		return is_zero(sqe->body, ARRAY_SIZE(sqe->body)) ? 0 : -EINVAL;
	case VGPUFRONT_OP_BUILTIN:
		return prepare_builtin(ctx, sqe, req, what);
	default:
		return -EINVAL;
	}
}

static_assert(VGPUFRONT_OP_NOP == VGPU_OP_NOP);
static_assert(VGPUFRONT_OP_BUILTIN == VGPU_OP_BUILTIN);
static_assert(VGPUFRONT_OP_FENCE == VGPU_OP_FENCE);
