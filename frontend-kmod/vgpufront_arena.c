// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_arena.c - blocks of the payload arena, first in, first out
 *
 * See vgpufront_arena.h. Called with the caller's ring lock held, from any
 * context. What a backend does can not reach it but through the order of its
 * answers, and a wrong order only spoils what that backend reads.
 */
#include "vgpufront_arena.h"

#define BLOCK_ALIGN	8U

/*
 * Quiet requests may take half of the arena before one of them asks. What is
 * left then has room for the largest block, wherever it starts, in an arena of
 * four of them; in a smaller one each block asks.
 */
#define MIN_QUIET	(4 * VGPUFRONT_MAX_BLOCK)

void vgpufront_arena_init(struct vgpufront_arena *a, uint32_t base,
			  uint32_t size)
{
	*a = (struct vgpufront_arena){ .base = base, .size = size };
}

/* The empty arena starts anew: the largest block always fits. */
static uint32_t start(const struct vgpufront_arena *a)
{
	return a->made == a->read ? 0 : a->at;
}

static uint32_t rounded(uint32_t len)
{
	return (len + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

/* A block is in one piece: what is left at the end may be too short for it. */
static uint32_t place(const struct vgpufront_arena *a, uint32_t len)
{
	return rounded(len) <= a->size - start(a) ? start(a) : 0;
}

/* Octets that it takes, with what it leaves at the end. */
static uint32_t cost(const struct vgpufront_arena *a, uint32_t len)
{
	uint32_t skipped = place(a, len) < start(a) ? a->size - start(a) : 0;

	return skipped + rounded(len);
}

bool vgpufront_arena_fits(const struct vgpufront_arena *a, uint32_t len)
{
	return cost(a, len) <= a->size - vgpufront_arena_in_use(a);
}

bool vgpufront_arena_retire_due(const struct vgpufront_arena *a, uint32_t len)
{
	uint32_t limit = a->size < MIN_QUIET ? 0 : a->size / 2;

	return len && a->made - a->asked + cost(a, len) > limit;
}

uint32_t vgpufront_arena_make(struct vgpufront_arena *a, uint32_t len)
{
	uint32_t at = place(a, len);

	a->made += cost(a, len);
	a->at = at + rounded(len);

	return a->base + at;
}

uint32_t vgpufront_arena_ask(struct vgpufront_arena *a)
{
	a->asked = a->made;

	return a->made;
}

void vgpufront_arena_read(struct vgpufront_arena *a, uint32_t mark)
{
	/* Answers come in any order: an older one tells nothing new. */
	if ((int32_t)(mark - a->read) > 0)
		a->read = mark;
}
