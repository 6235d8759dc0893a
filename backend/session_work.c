// SPDX-License-Identifier: MIT
/*
 * session_work.c - jobs that work on what is there (see session_parts.h)
 */
#include "session_parts.h"

static struct target find_target(struct session *s, uint16_t ctx,
				 uint32_t handle)
{
	if (handle & VGPU_HANDLE_MEM)
		return (struct target){.mem = object_find(&s->objects, ctx,
							  OBJECT_MEM, handle)};
	return (struct target){.buf = buffer_get(&s->bufs, ctx, handle)};
}

static void hold_target(struct inflight *fl, const struct target *t)
{
	if (t->buf)
		inflight_hold_buffer(fl, t->buf);
	else
		inflight_hold_object(fl, t->mem);
}

static enum vgpu_status take_range(struct session *s, struct inflight *fl,
				   uint32_t handle, uint64_t offset,
				   uint64_t bytes, uint32_t align, bool output,
				   struct vgpu_engine_operand *out)
{
	struct target t = find_target(s, fl->ctx, handle);
	enum vgpu_status status =
		range_check(&t, offset, bytes, align, output, out);

	if (!status)
		hold_target(fl, &t);
	return status;
}

static enum vgpu_status prepare_builtin(struct session *s,
					const struct vgpu_builtin_req *r,
					struct inflight *fl)
{
	unsigned int n = kernel_operands(r->kernel);

	for (unsigned int i = 0; i < n; i++) {
		struct target t = find_target(s, fl->ctx, r->operand[i].handle);
		enum vgpu_status status = operand_check(
			&r->operand[i], &t, kernel_writes(r->kernel, i),
			&fl->job.operand[i]);

		if (status)
			return status;
		hold_target(fl, &t);
	}
	fl->job.kernel = r->kernel;
	fl->job.param = r->param;
	if (r->kernel != VGPU_KERNEL_SGEMM)
		return VGPU_RSP_OK;
	payload_sgemm(&fl->payload, s->arena, r->param);
	fl->job.param = 0;
	fl->job.sgemm = &fl->payload.sgemm;
	return sgemm_check(&fl->payload.sgemm, r->operand);
}

static enum vgpu_status prepare_copy(struct session *s,
				     const struct vgpu_copy_req *r,
				     struct inflight *fl)
{
	enum vgpu_status status =
		take_range(s, fl, r->dst, r->dst_offset, r->length, 1, true,
			   &fl->job.operand[0]);

	if (status)
		return status;
	return take_range(s, fl, r->src, r->src_offset, r->length, 1, false,
			  &fl->job.operand[1]);
}

static enum vgpu_status prepare_fill(struct session *s,
				     const struct vgpu_fill_req *r,
				     struct inflight *fl)
{
	fl->job.pattern = r->pattern;
	fl->job.width = r->width;
	return take_range(s, fl, r->handle, r->offset, r->length, r->width,
			  true, &fl->job.operand[0]);
}

static enum vgpu_status take_reloc(struct session *s,
				   const struct vgpu_launch_req *r,
				   struct inflight *fl, unsigned int i)
{
	struct vgpu_engine_reloc *out = &fl->reloc[i];
	struct vgpu_reloc reloc;
	enum vgpu_status status;
	uint64_t offset;

	status = payload_reloc(&fl->payload, r, i, &reloc, &offset);
	if (status)
		return status;
	out->at = reloc.at;
	status = take_range(s, fl, reloc.handle, offset, 0, 1, true,
			    &out->target);
	if (status)
		return status;
	/* Device memory, or what the device reaches where it lies. */
	return out->target.mem || out->target.region ? VGPU_RSP_OK :
						       VGPU_RSP_UNSUPPORTED;
}

static enum vgpu_status prepare_launch(struct session *s,
				       const struct vgpu_launch_req *r,
				       struct inflight *fl)
{
	struct vgpu_engine_launch *l = &fl->job.launch;
	struct object *function =
		object_find(&s->objects, fl->ctx, OBJECT_FUNCTION, r->function);
	enum vgpu_status status;

	if (!function)
		return VGPU_RSP_NO_HANDLE;
	inflight_hold_object(fl, function);
	payload_args(&fl->payload, s->arena, r);
	l->function = &function->u.function;
	for (unsigned int i = 0; i < 3; i++) {
		l->grid[i] = r->grid[i];
		l->block[i] = r->block[i];
	}
	l->shared = r->shared;
	l->args_len = r->args_len;
	l->args = fl->payload.args;
	l->nr_relocs = r->nr_relocs;
	l->reloc = fl->reloc;
	for (unsigned int i = 0; i < r->nr_relocs; i++) {
		status = take_reloc(s, r, fl, i);
		if (status)
			return status;
	}
	return VGPU_RSP_OK;
}

static enum vgpu_status prepare_event(struct session *s,
				      const struct vgpu_request *req,
				      struct inflight *fl)
{
	uint32_t handle = req->u.handle.handle;
	struct object *event =
		object_find(&s->objects, fl->ctx, OBJECT_EVENT, handle);
	enum vgpu_status status;

	if (!event) {
		status = object_make(&s->objects, fl->ctx, OBJECT_EVENT, handle,
				     &event);
		if (status)
			return status;
		fl->made = event;
	}
	inflight_hold_object(fl, event);
	fl->job.event = &event->u.event;
	return VGPU_RSP_OK;
}

enum vgpu_status work_prepare(struct session *s, const struct vgpu_request *req,
			      struct inflight *fl)
{
	switch (req->op) {
	case VGPU_OP_BUILTIN:
		return prepare_builtin(s, &req->u.builtin, fl);
	case VGPU_OP_COPY:
		return prepare_copy(s, &req->u.copy, fl);
	case VGPU_OP_FILL:
		return prepare_fill(s, &req->u.fill, fl);
	case VGPU_OP_LAUNCH:
		return prepare_launch(s, &req->u.launch, fl);
	default:
		return prepare_event(s, req, fl);
	}
}
