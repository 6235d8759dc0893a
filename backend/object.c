// SPDX-License-Identifier: MIT
/*
 * object.c - makes, finds and ends objects (see object.h)
 */
#include "object.h"

#include <string.h>
#include <sys/auxv.h>
#include <xen/io/vgpuif.h>

/* Without a quota. Engines round sizes up, which must not overflow. */
#define NO_QUOTA (UINT64_MAX / 2)

void objects_init(struct objects *o)
{
	const void *octets = (const void *)getauxval(AT_RANDOM);

	if (octets)
		memcpy(&o->secret, octets, sizeof(o->secret));
}

static struct object **chain_of(struct objects *o, uint16_t ctx,
				enum object_kind kind, uint32_t handle)
{
	uint64_t key = (uint64_t)kind << 48 | (uint64_t)ctx << 32 | handle;

	key = (key ^ o->secret) * 0x9e3779b97f4a7c15;
	key = (key ^ key >> 32) * 0xd6e8feb86659fd93;
	return &o->chain[(key >> 32) % OBJECT_CHAINS];
}

struct object *object_find(struct objects *o, uint16_t ctx,
			   enum object_kind kind, uint32_t handle)
{
	struct object *obj = *chain_of(o, ctx, kind, handle);

	while (obj &&
	       (obj->handle != handle || obj->ctx != ctx || obj->kind != kind))
		obj = obj->next;
	return obj;
}

static struct object *slot_get(struct objects *o)
{
	struct object *obj = o->free;

	if (obj)
		o->free = obj->next;
	else if (o->fresh < BACK_MAX_OBJECTS)
		obj = &o->pool[o->fresh++];
	return obj;
}

enum vgpu_status object_make(struct objects *o, uint16_t ctx,
			     enum object_kind kind, uint32_t handle,
			     struct object **out)
{
	struct object **chain = chain_of(o, ctx, kind, handle);
	struct object **mates = &o->ctx[ctx % OBJECT_CTXS];
	struct object *obj;

	if (object_find(o, ctx, kind, handle))
		return VGPU_RSP_EXISTS;
	obj = slot_get(o);
	if (!obj)
		return VGPU_RSP_QUOTA;
	*obj = (struct object){
		.next = *chain,
		.ctx_next = *mates,
		.ctx_link = mates,
		.handle = handle,
		.holders = 1,
		.ctx = ctx,
		.kind = kind,
		.named = true,
	};
	if (*mates)
		(*mates)->ctx_link = &obj->ctx_next;
	*mates = obj;
	*chain = obj;
	o->stats->objects++;
	*out = obj;
	return VGPU_RSP_OK;
}

enum vgpu_status object_make_mem(struct objects *o, uint16_t ctx,
				 uint32_t handle, uint64_t bytes,
				 struct object **out)
{
	uint64_t limit = o->quota ? o->quota : NO_QUOTA;
	uint64_t used = o->stats->mem_used;
	enum vgpu_status status;

	if (used > limit || bytes > limit - used)
		return o->quota ? VGPU_RSP_QUOTA : VGPU_RSP_NO_MEMORY;
	status = object_make(o, ctx, OBJECT_MEM, handle, out);
	if (status)
		return status;
	(*out)->u.mem.bytes = bytes;
	(*out)->charged = bytes;
	o->stats->mem_used += bytes;
	return VGPU_RSP_OK;
}

enum vgpu_status object_make_function(struct objects *o, struct object *module,
				      uint32_t handle, struct object **out)
{
	enum vgpu_status status =
		object_make(o, module->ctx, OBJECT_FUNCTION, handle, out);
	struct object *obj;

	if (status)
		return status;
	obj = *out;
	obj->module = module;
	obj->sibling = module->functions;
	obj->sibling_link = &module->functions;
	if (obj->sibling)
		obj->sibling->sibling_link = &obj->sibling;
	module->functions = obj;
	object_hold(module);
	return VGPU_RSP_OK;
}

static void give_quota_back(struct objects *o, struct object *obj)
{
	o->stats->mem_used -= obj->charged;
	obj->charged = 0;
}

/* Nobody holds it: it goes back to the engine. */
static void release(struct objects *o, struct object *obj)
{
	struct object *module = obj->module;

	if (obj->kind == OBJECT_MEM)
		vgpu_engine_mem_free(o->eng, &obj->u.mem);
	if (obj->kind == OBJECT_MODULE)
		vgpu_engine_module_unload(o->eng, &obj->u.module);
	give_quota_back(o, obj);
	o->stats->objects--;
	obj->next = o->free;
	o->free = obj;
	if (module)
		object_drop(o, module);
}

void object_drop(struct objects *o, struct object *obj)
{
	if (--obj->holders == 0)
		release(o, obj);
}

static void unlink_names(struct objects *o, struct object *obj)
{
	struct object **link = chain_of(o, obj->ctx, obj->kind, obj->handle);

	while (*link != obj)
		link = &(*link)->next;
	*link = obj->next;
	*obj->ctx_link = obj->ctx_next;
	if (obj->ctx_next)
		obj->ctx_next->ctx_link = obj->ctx_link;
	if (!obj->module)
		return;
	*obj->sibling_link = obj->sibling;
	if (obj->sibling)
		obj->sibling->sibling_link = obj->sibling_link;
}

void object_end(struct objects *o, struct object *obj)
{
	if (!obj->named)
		return;
	obj->named = false;
	while (obj->functions)
		object_end(o, obj->functions);
	unlink_names(o, obj);
	object_drop(o, obj);
}

void object_failed(struct objects *o, struct object *obj)
{
	give_quota_back(o, obj);
	object_end(o, obj);
}

bool objects_end_ctx(struct objects *o, uint16_t ctx, unsigned int max)
{
	struct object **link = &o->ctx[ctx % OBJECT_CTXS];

	while (*link) {
		if ((*link)->ctx != ctx) {
			link = &(*link)->ctx_next;
			continue;
		}
		if (!max--)
			return false;
		/* What links lie in is of other contexts, or the list's head. */
		object_end(o, *link);
	}
	return true;
}

void objects_end_all(struct objects *o)
{
	for (unsigned int i = 0; i < OBJECT_CTXS; i++)
		while (o->ctx[i])
			object_end(o, o->ctx[i]);
}
