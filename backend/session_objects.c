// SPDX-License-Identifier: MIT
/*
 * session_objects.c - jobs that make objects, and what requests end (see
 * session_parts.h)
 */
#include "session_parts.h"

/* An operand in a guest buffer, its count in bytes; all 0: there is none. */
static enum vgpu_status take_bytes(struct session *s, struct inflight *fl,
				   const struct vgpu_operand *opnd,
				   uint32_t align, bool output,
				   struct vgpu_engine_operand *out)
{
	struct target t = {.buf = buffer_get(&s->bufs, fl->ctx, opnd->handle)};
	enum vgpu_status status;

	if (!opnd->handle)
		return VGPU_RSP_OK;
	status = range_check(&t, opnd->offset, opnd->count, align, output, out);
	if (!status)
		inflight_hold_buffer(fl, t.buf);
	return status;
}

static void made(struct inflight *fl, struct object *obj)
{
	fl->made = obj;
	inflight_hold_object(fl, obj);
}

static enum vgpu_status prepare_mem_alloc(struct session *s,
					  const struct vgpu_mem_alloc_req *r,
					  struct inflight *fl)
{
	struct object *obj;
	enum vgpu_status status = object_make_mem(&s->objects, fl->ctx,
						  r->handle, r->length, &obj);

	if (status)
		return status;
	made(fl, obj);
	fl->job.mem = &obj->u.mem;
	return VGPU_RSP_OK;
}

static enum vgpu_status
prepare_module_load(struct session *s, const struct vgpu_module_load_req *r,
		    struct inflight *fl)
{
	struct object *obj;
	enum vgpu_status status =
		take_bytes(s, fl, &r->image, 1, false, &fl->job.operand[0]);

	if (!status)
		status = take_bytes(s, fl, &r->log, 1, true,
				    &fl->job.operand[1]);
	if (!status)
		status = object_make(&s->objects, fl->ctx, OBJECT_MODULE,
				     r->module, &obj);
	if (status)
		return status;
	made(fl, obj);
	fl->job.module = &obj->u.module;
	fl->job.format = r->format;
	return VGPU_RSP_OK;
}

static enum vgpu_status
prepare_function_get(struct session *s, const struct vgpu_function_get_req *r,
		     struct inflight *fl)
{
	struct object *module =
		object_find(&s->objects, fl->ctx, OBJECT_MODULE, r->module);
	enum vgpu_status status;
	struct object *obj;

	if (!module)
		return VGPU_RSP_NO_HANDLE;
	status = payload_name(&fl->payload, s->arena, r);
	if (!status)
		status = take_bytes(s, fl, &r->params, 4, true,
				    &fl->job.operand[0]);
	if (!status)
		status = object_make_function(&s->objects, module, r->function,
					      &obj);
	if (status)
		return status;
	made(fl, obj);
	fl->job.module = &module->u.module;
	fl->job.function = &obj->u.function;
	fl->job.name = fl->payload.name;
	return VGPU_RSP_OK;
}

enum vgpu_status objects_prepare(struct session *s,
				 const struct vgpu_request *req,
				 struct inflight *fl)
{
	switch (req->op) {
	case VGPU_OP_MEM_ALLOC:
		return prepare_mem_alloc(s, &req->u.mem_alloc, fl);
	case VGPU_OP_MODULE_LOAD:
		return prepare_module_load(s, &req->u.module_load, fl);
	default:
		return prepare_function_get(s, &req->u.function_get, fl);
	}
}

struct object *objects_named(struct session *s, const struct vgpu_request *req)
{
	enum object_kind kind = req->op == VGPU_OP_MEM_FREE ? OBJECT_MEM :
				req->op == VGPU_OP_MODULE_UNLOAD ?
							      OBJECT_MODULE :
							      OBJECT_EVENT;

	return object_find(&s->objects, req->ctx, kind, req->u.handle.handle);
}
