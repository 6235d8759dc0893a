// SPDX-License-Identifier: MIT
/*
 * engined_objects.c - what a client's numbers stand for (see engined_objects.h)
 *
 * Runs on the one thread of a child of vgpu-engined. Must never give an object
 * back while a job names it, nor find one of an earlier session.
 */
#include <stdlib.h>

#include "engined_objects.h"

struct object *objects_find(const struct objects *objects,
			    enum remote_kind_of_number kind, uint32_t number)
{
	return objects_number_ok(number) ? objects->table[kind][number] : NULL;
}

struct object *objects_make(struct objects *objects,
			    enum remote_kind_of_number kind, uint32_t number)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->kind = kind;
	object->number = number;
	objects->table[kind][number] = object;
	if (objects->end[kind] <= number)
		objects->end[kind] = number + 1;
	return object;
}

static void end_if_unused(struct objects *objects, struct object *object)
{
	if (!object->gone || object->users)
		return;
	if (object->kind == REMOTE_KIND_MEMORY)
		vgpu_engine_mem_free(objects->eng, &object->mem);
	/* A function goes with its module, which every job of it names, too. */
	if (object->kind == REMOTE_KIND_MODULE)
		vgpu_engine_module_unload(objects->eng, &object->module);
	free(object);
}

static void forget_functions(struct objects *objects,
			     const struct object *module)
{
	struct object **table = objects->table[REMOTE_KIND_FUNCTION];

	for (uint32_t i = 1; i < objects->end[REMOTE_KIND_FUNCTION]; i++)
		if (table[i] && table[i]->of == module)
			objects_forget(objects, table[i]);
}

void objects_forget(struct objects *objects, struct object *object)
{
	if (object->kind == REMOTE_KIND_MODULE)
		forget_functions(objects, object);
	objects->table[object->kind][object->number] = NULL;
	object->gone = true;
	end_if_unused(objects, object);
}

void objects_forget_all(struct objects *objects)
{
	for (unsigned int kind = 0; kind < REMOTE_NR_KINDS; kind++) {
		for (uint32_t i = 1; i < objects->end[kind]; i++)
			if (objects->table[kind][i])
				objects_forget(objects,
					       objects->table[kind][i]);
		objects->end[kind] = 0;
	}
}

void objects_release(struct objects *objects, struct object *object)
{
	object->users--;
	end_if_unused(objects, object);
}
