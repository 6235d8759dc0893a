/* SPDX-License-Identifier: MIT */
/*
 * engined_objects.h - what the numbers of a client of vgpu-engined stand for
 *
 * All of it is the child's one thread's. An object has a number until the client
 * frees it, or its session ends; jobs that name it keep it for longer. It is
 * given back to the engine when neither does any more. Its memory is bounded by
 * the numbers there are.
 */
#ifndef VGPU_CUDA_ENGINED_OBJECTS_H
#define VGPU_CUDA_ENGINED_OBJECTS_H

#include "engine.h"
#include "remote_proto.h"

struct object {
	enum remote_kind_of_number kind;
	uint32_t number;
	bool gone;			/* no number stands for it */
	unsigned int users;		/* jobs that name it */
	const struct object *of;	/* a function's module */
	union {
		struct vgpu_engine_mem mem;
		struct vgpu_engine_module module;
		struct vgpu_engine_function function;
	};
};

/* All zero but for eng: none. */
struct objects {
	struct vgpu_engine *eng;
	/* Numbers from end on stand for nothing. */
	uint32_t end[REMOTE_NR_KINDS];
	struct object *table[REMOTE_NR_KINDS][REMOTE_NUMBERS];
};

/* Numbers that can be, whatever they stand for. */
static inline bool objects_number_ok(uint32_t number)
{
	return number && number < REMOTE_NUMBERS;
}

/* NULL: it stands for nothing, or cannot be a number. */
struct object *objects_find(const struct objects *objects,
			    enum remote_kind_of_number kind, uint32_t number);

/* A number that can be, and stands for nothing. NULL: out of memory. */
struct object *objects_make(struct objects *objects,
			    enum remote_kind_of_number kind, uint32_t number);

/* Its number stands for nothing any more, nor do those of its functions. */
void objects_forget(struct objects *objects, struct object *object);
void objects_forget_all(struct objects *objects);

/* A job that named it (object->users) is over. */
void objects_release(struct objects *objects, struct object *object);

#endif /* VGPU_CUDA_ENGINED_OBJECTS_H */
