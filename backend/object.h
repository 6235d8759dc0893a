/* SPDX-License-Identifier: MIT */
/*
 * object.h - a device's objects: device memory, modules, functions and events
 *
 * Owns what engines keep in them, and counts device memory against the device's
 * quota. Used by the worker's thread. Room for all is there from the start, so
 * that no guest makes the worker grow. Finding one costs the same however many
 * there are: which chain an object is in depends on a number that guests do not
 * know.
 *
 * An object has a name, its context, kind and handle, until the guest ends it,
 * or it could not be made. It is there as long as somebody holds it: its name,
 * each request in flight that needs it, for a module each of its functions.
 * With the last one it goes back to the engine, and its memory to the quota.
 */
#ifndef VGPU_BACKEND_OBJECT_H
#define VGPU_BACKEND_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "limits.h"
#include "stats.h"

#define OBJECT_CHAINS 4096
#define OBJECT_CTXS 256

enum object_kind {
	OBJECT_MEM,
	OBJECT_MODULE,
	OBJECT_FUNCTION,
	OBJECT_EVENT,
};

/*
 * @mem ... @event: the engine's, by kind
 * @charged: bytes of the quota
 * @next: in its chain, or of the free ones
 * @ctx_next, @ctx_link: among those of its context
 * @module: of a function
 * @functions: of a module: those that have a name, linked by sibling
 */
struct object {
	union {
		struct vgpu_engine_mem mem;
		struct vgpu_engine_module module;
		struct vgpu_engine_function function;
		struct vgpu_engine_event event;
	} u;
	uint64_t charged;
	struct object *next;
	struct object *ctx_next;
	struct object **ctx_link;
	struct object *module;
	struct object *functions;
	struct object *sibling;
	struct object **sibling_link;
	uint32_t handle;
	uint32_t holders;
	uint16_t ctx;
	uint8_t kind;
	bool named;
};

/*
 * @quota: bytes of device memory, 0: none
 * @secret: what guests do not know
 * @chain: by name; @ctx: by context; objects that have a name
 * @fresh: how many of the pool have ever been used
 */
struct objects {
	struct vgpu_engine *eng;
	struct vgpu_stats *stats;
	uint64_t quota;
	uint64_t secret;
	struct object *chain[OBJECT_CHAINS];
	struct object *ctx[OBJECT_CTXS];
	struct object *free;
	uint32_t fresh;
	struct object pool[BACK_MAX_OBJECTS];
};

/* eng, stats and quota are set, all else is zero before. */
void objects_init(struct objects *o);

/* NULL: there is none of that name. */
struct object *object_find(struct objects *o, uint16_t ctx,
			   enum object_kind kind, uint32_t handle);

/*
 * Makes an object with a name; the engine's part is zero. VGPU_RSP_EXISTS,
 * VGPU_RSP_QUOTA. bytes, of device memory, are charged now, and what is more
 * than anybody can have is VGPU_RSP_NO_MEMORY. A function holds its module.
 */
enum vgpu_status object_make(struct objects *o, uint16_t ctx,
			     enum object_kind kind, uint32_t handle,
			     struct object **out);
enum vgpu_status object_make_mem(struct objects *o, uint16_t ctx,
				 uint32_t handle, uint64_t bytes,
				 struct object **out);
enum vgpu_status object_make_function(struct objects *o, struct object *module,
				      uint32_t handle, struct object **out);

static inline void object_hold(struct object *obj)
{
	obj->holders++;
}

void object_drop(struct objects *o, struct object *obj);

/* Takes its name, where it still has it; a module's functions lose theirs. */
void object_end(struct objects *o, struct object *obj);

/* The engine could not make it: the same, and its memory is not charged. */
void object_failed(struct objects *o, struct object *obj);

/*
 * Ends those of a context, at most max at a time; true: none is left. Or all of
 * the device. Nothing in flight holds any of them.
 */
bool objects_end_ctx(struct objects *o, uint16_t ctx, unsigned int max);
void objects_end_all(struct objects *o);

#endif /* VGPU_BACKEND_OBJECT_H */
