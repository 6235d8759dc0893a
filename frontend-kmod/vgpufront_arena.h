/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront_arena.h - blocks of the payload arena, first in, first out
 *
 * Owns which octets of the arena hold payload that the backend may still have
 * to read: parameters, names, arguments. It counts only and never touches the
 * memory. Like the ring core it uses no kernel service and leaves locking to
 * the caller.
 *
 * The life of a block:
 *
 *   make   it is taken behind the one made before, for the request that is put
 *          next
 *   ask    a request that will be answered was put; the mark that this returns
 *          says how far blocks had been made, and is kept with that request
 *   read   the request was answered: as the backend reads in order, it has read
 *          all blocks up to the mark, and their room is free
 *
 * So the room of a quiet request comes back with a later one's answer. Whoever
 * heeds vgpufront_arena_retire_due() can wait for room: the largest block fits
 * as soon as no answer is to come.
 */
#ifndef VGPUFRONT_ARENA_H
#define VGPUFRONT_ARENA_H

#include <xen/io/vgpuif.h>

#ifndef __KERNEL__
#include <stdbool.h>
#endif

/* Octets of the largest block: a LAUNCH's. An arena has at least these. */
#define VGPUFRONT_MAX_BLOCK \
	(VGPU_MAX_ARGS + VGPU_MAX_RELOCS * sizeof(struct vgpu_reloc))

struct vgpufront_arena {
	uint32_t base;		/* of the blocks, octets from the arena's start */
	uint32_t size;
	uint32_t at;		/* where the next block goes, from base */
	uint32_t made;		/* octets taken since the start; wraps */
	uint32_t asked;		/* made at the last ask */
	uint32_t read;		/* made at the newest mark answered */
};

/* base and size are multiples of 8, size at least VGPUFRONT_MAX_BLOCK. */
void vgpufront_arena_init(struct vgpufront_arena *a, uint32_t base,
			  uint32_t size);

/* Is there room for len octets, at most VGPUFRONT_MAX_BLOCK? 0 always fits. */
bool vgpufront_arena_fits(const struct vgpufront_arena *a, uint32_t len);

/* Must a quiet request with a block of len octets have VGPU_REQF_RETIRE? */
bool vgpufront_arena_retire_due(const struct vgpufront_arena *a, uint32_t len);

/* Take a block that fits, of at least 1 octet; its place in the arena. */
uint32_t vgpufront_arena_make(struct vgpufront_arena *a, uint32_t len);

uint32_t vgpufront_arena_ask(struct vgpufront_arena *a);
void vgpufront_arena_read(struct vgpufront_arena *a, uint32_t mark);

/* Octets taken and not free again. */
static inline uint32_t vgpufront_arena_in_use(const struct vgpufront_arena *a)
{
	return a->made - a->read;
}

#endif /* VGPUFRONT_ARENA_H */
