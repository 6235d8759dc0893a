// SPDX-License-Identifier: MIT
/*
 * fake_vgpufront_work.c - the backend's half of the double: objects, names, and
 * first failures
 *
 * Names are looked up when a request is taken, in the order of the ring, as the
 * wire protocol says; what it does (fake_vgpufront_run.c) happens when its
 * stream's turn comes.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_vgpufront.h"
#include "fake_vgpufront_work.h"

/* What a stream may name of others: behind which of their requests it is. */
struct seen {
	uint16_t stream, of;
	uint64_t index;
	struct seen *next;
};

static struct fake_object *objects;
static struct seen *seen;
uint64_t fake_mem_used;
static uint64_t taken, now;
static struct {
	int err;
	uint8_t op;
} sticky[FAKE_STREAMS];

static enum space space_of(uint8_t op)
{
	switch (op) {
	case VGPUFRONT_OP_MEM_ALLOC:
	case VGPUFRONT_OP_MEM_FREE:
		return SPACE_MEM;
	case VGPUFRONT_OP_MODULE_LOAD:
	case VGPUFRONT_OP_MODULE_UNLOAD:
		return SPACE_MODULE;
	case VGPUFRONT_OP_FUNCTION_GET:
	case VGPUFRONT_OP_LAUNCH:
		return SPACE_FUNCTION;
	default:
		return SPACE_EVENT;
	}
}

static struct fake_object **object_at(enum space space, uint32_t handle)
{
	struct fake_object **at;

	for (at = &objects; *at; at = &(*at)->next)
		if ((*at)->space == space && (*at)->handle == handle)
			return at;
	return NULL;
}

static void mark_put(struct fake_mark *mark)
{
	if (mark && !--mark->refs)
		free(mark);
}

static void object_put(struct fake_object *obj)
{
	if (!obj || --obj->refs)
		return;
	if (obj->space == SPACE_MEM && obj->made)
		fake_mem_used -= obj->size;
	free(obj->ptr);
	object_put(obj->module);
	mark_put(obj->mark);
	free(obj);
}

static struct fake_object *object_make(const struct fake_request *req,
				       enum space space, uint32_t handle)
{
	struct fake_object *obj;

	assert(handle && (space == SPACE_MEM) == (handle >> 31));
	/* The library picks the numbers: it must not pick one in use. */
	assert(!object_at(space, handle));
	obj = calloc(1, sizeof(*obj));
	assert(obj);
	obj->space = space;
	obj->handle = handle;
	obj->refs = 2;
	obj->stream = req->sqe.stream;
	obj->index = req->index;
	obj->next = objects;
	objects = obj;
	return obj;
}

static void object_unlink(enum space space, uint32_t handle)
{
	struct fake_object **at = object_at(space, handle), *obj;

	if (!at)
		return;
	obj = *at;
	*at = obj->next;
	if (space == SPACE_MODULE) {
		for (at = &objects; *at;) {
			struct fake_object *fn = *at;

			if (fn->module == obj) {
				*at = fn->next;
				object_put(fn);
			} else {
				at = &fn->next;
			}
		}
	}
	object_put(obj);
}

/* May a request of the stream name it yet? */
static bool is_visible(const struct fake_object *obj, uint16_t stream)
{
	const struct seen *s;

	if (obj->made || obj->failed || obj->stream == stream)
		return true;
	for (s = seen; s; s = s->next)
		if (s->stream == stream && s->of == obj->stream &&
		    s->index > obj->index)
			return true;
	return false;
}

static struct fake_object *object_name(struct fake_request *req,
				       enum space space, uint32_t handle)
{
	struct fake_object **at = object_at(space, handle);

	if (!at || !is_visible(*at, req->sqe.stream)) {
		req->err = -ENOENT;
		return NULL;
	}
	(*at)->refs++;
	return *at;
}

/* -ENOENT: the module knows no such buffer, and refuses the request. */
static int name_place(struct fake_request *req, struct fake_place *place,
		      uint32_t handle, uint64_t offset, uint64_t size,
		      bool output)
{
	place->offset = offset;
	if (handle >> 31) {
		place->mem = object_name(req, SPACE_MEM, handle);
		assert(!place->mem || (offset <= place->mem->size &&
				       size <= place->mem->size - offset));
		return 0;
	}
	place->buf = fake_buffer_find(handle);
	if (!place->buf)
		return -ENOENT;
	place->buf->busy++;
	assert(offset <= place->buf->size && size <= place->buf->size - offset);
	return output && place->buf->read_only ? -EACCES : 0;
}

static void put_place(struct fake_place *place)
{
	if (place->buf)
		place->buf->busy--;
	object_put(place->mem);
	place->buf = NULL;
	place->mem = NULL;
}

/* All that the operation does not have must be 0: only that is copied. */
static void check_reserved(const struct vgpufront_sqe *sqe)
{
	struct vgpufront_sqe want = {
		.user_data = sqe->user_data,
		.op = sqe->op,
		.flags = sqe->flags & VGPUFRONT_SQE_QUIET,
		.stream = sqe->stream,
	};

	switch (sqe->op) {
	case VGPUFRONT_OP_FENCE:
	case VGPUFRONT_OP_STREAM_DESTROY:
		assert(!sqe->flags);
		break;
	case VGPUFRONT_OP_MEM_ALLOC:
		want.mem_alloc.handle = sqe->mem_alloc.handle;
		want.mem_alloc.length = sqe->mem_alloc.length;
		break;
	case VGPUFRONT_OP_COPY:
		memcpy(want.body, sqe->body, 32);
		break;
	case VGPUFRONT_OP_FILL:
		want.fill = sqe->fill;
		want.fill.reserved0 = 0;
		memset(want.fill.reserved, 0, sizeof(want.fill.reserved));
		break;
	case VGPUFRONT_OP_BUILTIN:
		want.builtin = sqe->builtin;
		break;
	case VGPUFRONT_OP_MODULE_LOAD:
		assert(!sqe->flags);
		memcpy(want.body, sqe->body, 40);
		break;
	case VGPUFRONT_OP_FUNCTION_GET:
		assert(!sqe->flags);
		memcpy(want.body, sqe->body, 40);
		want.function_get.reserved0 = 0;
		break;
	case VGPUFRONT_OP_LAUNCH:
		memcpy(want.body, sqe->body, 48);
		want.launch.reserved0 = 0;
		break;
	case VGPUFRONT_OP_MEM_FREE:
	case VGPUFRONT_OP_MODULE_UNLOAD:
	case VGPUFRONT_OP_EVENT_RECORD:
	case VGPUFRONT_OP_EVENT_WAIT:
	case VGPUFRONT_OP_EVENT_DESTROY:
		want.handle.handle = sqe->handle.handle;
		break;
	default:
		abort();
	}
	assert(!memcmp(&want, sqe, sizeof(want)));
}

static void copy_blob(struct fake_request *req, uint64_t from, size_t len)
{
	req->blob = calloc(1, FAKE_BLOB);
	assert(req->blob && len <= FAKE_BLOB);
	assert(!len == !from);
	if (len)
		memcpy(req->blob, (void *)(uintptr_t)from, len);
}

static int take_builtin(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	unsigned int nr = sqe->builtin.kernel % 2 ? 3 : 2, i;
	int err;

	assert(sqe->builtin.kernel >= 1 && sqe->builtin.kernel <= 4);
	assert(sqe->builtin.param_len == (sqe->builtin.kernel == 3 ? 40 : 0));
	assert(sqe->builtin.kernel == 2 || !sqe->builtin.param);
	copy_blob(req, sqe->builtin.params, sqe->builtin.param_len);
	for (i = 0; i < 3; i++) {
		const struct vgpufront_operand *o = &sqe->builtin.operand[i];

		if (i >= nr) {
			assert(!o->handle && !o->count && !o->offset);
			continue;
		}
		assert(o->offset % 4 == 0);
		assert(sqe->builtin.kernel > 2 ||
		       (o->count && o->count == sqe->builtin.operand[0].count));
		err = name_place(req, &req->place[i], o->handle, o->offset,
				 4ull * o->count, i == nr - 1);
		if (err)
			return err;
	}
	return 0;
}

static int take_launch(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	struct vgpufront_reloc relocs[VGPUFRONT_MAX_RELOCS];
	unsigned int i;
	uint64_t offset;
	int err = 0;

	assert(sqe->launch.args_len <= VGPUFRONT_MAX_ARGS);
	assert(sqe->launch.nr_relocs <= VGPUFRONT_MAX_RELOCS);
	assert(!sqe->launch.nr_relocs == !sqe->launch.relocs);
	req->object = object_name(req, SPACE_FUNCTION, sqe->launch.function);
	copy_blob(req, sqe->launch.args, sqe->launch.args_len);
	if (sqe->launch.nr_relocs)
		memcpy(relocs, (void *)(uintptr_t)sqe->launch.relocs,
		       sqe->launch.nr_relocs * sizeof(relocs[0]));
	for (i = 0; i < sqe->launch.nr_relocs && !err; i++) {
		assert(!relocs[i].reserved && relocs[i].at % 8 == 0 &&
		       relocs[i].at + 8 <= sqe->launch.args_len);
		memcpy(&offset, req->blob + relocs[i].at, 8);
		req->reloc_at[i] = relocs[i].at;
		err = name_place(req, &req->reloc[i], relocs[i].handle, offset,
				 0, true);
	}
	return err;
}

static int take_function(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	struct fake_object *mod;

	assert(sqe->function_get.name_len &&
	       sqe->function_get.name_len <= VGPUFRONT_MAX_KERNEL_NAME);
	copy_blob(req, sqe->function_get.name, sqe->function_get.name_len);
	mod = object_name(req, SPACE_MODULE, sqe->function_get.module);
	req->object =
		object_make(req, SPACE_FUNCTION, sqe->function_get.function);
	req->object->module = mod;
	return name_place(req, &req->place[0], sqe->function_get.params.handle,
			  sqe->function_get.params.offset,
			  sqe->function_get.params.count, true);
}

static int take_module(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	int err;

	assert(sqe->module_load.format >= VGPUFRONT_MODULE_PTX &&
	       sqe->module_load.format <= VGPUFRONT_MODULE_FATBIN);
	assert(sqe->module_load.image.count);
	req->object = object_make(req, SPACE_MODULE, sqe->module_load.module);
	err = name_place(req, &req->place[0], sqe->module_load.image.handle,
			 sqe->module_load.image.offset,
			 sqe->module_load.image.count, false);
	if (!err && sqe->module_load.log.handle)
		err = name_place(req, &req->place[1],
				 sqe->module_load.log.handle,
				 sqe->module_load.log.offset,
				 sqe->module_load.log.count, true);
	return err;
}

static int take_event(struct fake_request *req)
{
	struct fake_object **at =
		object_at(SPACE_EVENT, req->sqe.handle.handle);
	struct fake_object *ev;
	struct seen *s;

	if (req->sqe.op == VGPUFRONT_OP_EVENT_WAIT) {
		if (!at)
			return 0;
		req->mark = (*at)->mark;
		req->mark->refs++;
		s = calloc(1, sizeof(*s));
		assert(s);
		*s = (struct seen){req->sqe.stream, req->mark->stream,
				   req->mark->index, seen};
		seen = s;
		return 0;
	}
	if (at) {
		ev = *at;
		ev->refs++;
	} else {
		ev = object_make(req, SPACE_EVENT, req->sqe.handle.handle);
		ev->made = true;
	}
	req->object = ev;
	mark_put(ev->mark);
	ev->mark = calloc(1, sizeof(*ev->mark));
	assert(ev->mark);
	*ev->mark = (struct fake_mark){2, false, req->sqe.stream, req->index};
	req->mark = ev->mark;
	return 0;
}

static void take_end(struct fake_request *req)
{
	enum space space = space_of(req->sqe.op);
	struct fake_object **at = object_at(space, req->sqe.handle.handle);

	/* Too early by another stream's measure is no name either. */
	if (!at || !is_visible(*at, req->sqe.stream))
		req->err = -ENOENT;
	else
		object_unlink(space, req->sqe.handle.handle);
}

int work_take(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	int err;

	check_reserved(sqe);
	req->index = ++taken;
	switch (sqe->op) {
	case VGPUFRONT_OP_BUILTIN:
		return take_builtin(req);
	case VGPUFRONT_OP_MEM_ALLOC:
		assert(sqe->mem_alloc.length);
		req->object =
			object_make(req, SPACE_MEM, sqe->mem_alloc.handle);
		req->object->size = sqe->mem_alloc.length;
		return 0;
	case VGPUFRONT_OP_COPY:
		assert(sqe->copy.length);
		err = name_place(req, &req->place[0], sqe->copy.dst,
				 sqe->copy.dst_offset, sqe->copy.length, true);
		return err ? err :
			     name_place(req, &req->place[1], sqe->copy.src,
					sqe->copy.src_offset, sqe->copy.length,
					false);
	case VGPUFRONT_OP_FILL:
		assert(sqe->fill.width == 1 || sqe->fill.width == 2 ||
		       sqe->fill.width == 4);
		assert(!(sqe->fill.offset % sqe->fill.width) &&
		       !(sqe->fill.length % sqe->fill.width));
		assert(sqe->fill.width == 4 ||
		       !(sqe->fill.pattern >> (8 * sqe->fill.width)));
		return name_place(req, &req->place[0], sqe->fill.handle,
				  sqe->fill.offset, sqe->fill.length, true);
	case VGPUFRONT_OP_MODULE_LOAD:
		return take_module(req);
	case VGPUFRONT_OP_FUNCTION_GET:
		return take_function(req);
	case VGPUFRONT_OP_LAUNCH:
		return take_launch(req);
	case VGPUFRONT_OP_EVENT_RECORD:
	case VGPUFRONT_OP_EVENT_WAIT:
		return take_event(req);
	case VGPUFRONT_OP_MEM_FREE:
	case VGPUFRONT_OP_MODULE_UNLOAD:
	case VGPUFRONT_OP_EVENT_DESTROY:
		take_end(req);
		return 0;
	default:
		return 0;
	}
}

bool work_may_run(const struct fake_request *req)
{
	return req->sqe.op != VGPUFRONT_OP_EVENT_WAIT || !req->mark ||
	       req->mark->reached;
}

static void done_fence(struct fake_request *req, int result)
{
	uint16_t stream = req->sqe.stream;

	if (!result && sticky[stream].err) {
		req->cqe.result = sticky[stream].err;
		req->cqe.value = sticky[stream].op;
	}
	sticky[stream].err = 0;
}

void work_done(struct fake_request *req, int result)
{
	uint16_t stream = req->sqe.stream;
	uint8_t op = req->sqe.op;
	unsigned int i;

	now += 1000;
	if (op == VGPUFRONT_OP_FENCE || op == VGPUFRONT_OP_STREAM_DESTROY) {
		done_fence(req, result);
	} else if (op == VGPUFRONT_OP_EVENT_RECORD) {
		req->mark->reached = true;
		req->cqe.value = now;
	} else if (op == VGPUFRONT_OP_MEM_ALLOC ||
		   op == VGPUFRONT_OP_MODULE_LOAD ||
		   op == VGPUFRONT_OP_FUNCTION_GET) {
		req->object->made = !result;
		req->object->failed = result;
		/* What was not made has no name. */
		if (result)
			object_unlink(space_of(op), req->object->handle);
	}
	if ((req->sqe.flags & VGPUFRONT_SQE_QUIET) && result &&
	    !sticky[stream].err) {
		sticky[stream].err = result;
		sticky[stream].op = op;
	}
	for (i = 0; i < FAKE_PLACES; i++)
		put_place(&req->place[i]);
	for (i = 0; i < VGPUFRONT_MAX_RELOCS; i++)
		put_place(&req->reloc[i]);
	object_put(req->object);
	mark_put(req->mark);
	free(req->blob);
}

unsigned int work_objects(void)
{
	struct fake_object *obj;
	unsigned int nr = 0;

	for (obj = objects; obj; obj = obj->next)
		nr++;
	return nr;
}

void work_reset(void)
{
	struct fake_object *obj;
	struct seen *s;

	while ((obj = objects)) {
		objects = obj->next;
		object_put(obj);
	}
	while ((s = seen)) {
		seen = s->next;
		free(s);
	}
	memset(sticky, 0, sizeof(sticky));
	fake_mem_used = 0;
}
