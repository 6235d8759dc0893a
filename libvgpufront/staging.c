// SPDX-License-Identifier: MIT
/*
 * staging.c - memory shared with the backend that operands are copied through
 *
 * Owns up to MAX_ARENAS kernel buffers ("arenas"), made when first needed and
 * kept until the device is closed, and gives them out in runs of pages: one to
 * three operands of equally many pages. Called with the device's lock; only the copy
 * functions are called without it. Never waits for a run: that is the caller's.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static uint64_t bits(unsigned int nr)
{
	return nr < 64 ? (1ull << nr) - 1 : ~0ull;
}

static bool run_find(struct vgpu_device *dev, unsigned int pages,
		     unsigned int operands, struct run *run)
{
	unsigned int i, at, nr = operands * pages;

	for (i = 0; i < dev->nr_arenas; i++) {
		struct arena *arena = &dev->arenas[i];

		for (at = 0; at + nr <= arena->pages; at++) {
			if (arena->used & (bits(nr) << at))
				continue;
			arena->used |= bits(nr) << at;
			*run = (struct run){arena, at, pages, operands};
			return true;
		}
	}
	return false;
}

/*
 * Can the kernel copy to the arena with the safe calls? Where it forbids them
 * (a seccomp filter) or can not pin the arena, memcpy() has to do.
 */
static bool copy_works(const struct arena *arena)
{
	unsigned char probe[8] = "vgpu", back[8] = "";
	struct iovec user = {probe, sizeof(probe)};
	struct iovec again = {back, sizeof(back)};
	struct iovec staging = {arena->ptr, sizeof(probe)};
	bool works;

	works = !sys_copy_in(&user, &staging, 1) &&
		!sys_copy_out(&again, &staging) &&
		!memcmp(probe, back, sizeof(probe));
	memset(arena->ptr, 0, sizeof(probe));
	return works;
}

static int arena_alloc(struct vgpu_device *dev, struct arena *arena,
		       unsigned int pages)
{
	uint32_t handle;
	void *ptr;
	int err;

	err = dev_alloc_pages(dev, (uint64_t)pages * PAGE, &handle, &ptr);
	if (err)
		return err;
	*arena = (struct arena){ptr, handle, pages, 0};
	return 0;
}

/* Adds an arena, as large as can be had. Drops the lock. */
static int arena_grow(struct vgpu_device *dev)
{
	struct arena arena;
	bool safe = true;
	unsigned int pages;
	int err;

	dev->growing = true;
	pthread_mutex_unlock(&dev->lock);
	for (pages = ARENA_PAGES;; pages /= 2) {
		if (pages < NR_OPERANDS)
			pages = NR_OPERANDS;
		err = arena_alloc(dev, &arena, pages);
		if (!err || err == -ENODEV || pages == NR_OPERANDS)
			break;
	}
	if (!err)
		safe = copy_works(&arena);
	pthread_mutex_lock(&dev->lock);
	dev->growing = false;
	if (!err) {
		if (!safe)
			__atomic_store_n(&dev->unsafe_copy, true,
					 __ATOMIC_RELAXED);
		dev->arenas[dev->nr_arenas++] = arena;
		dev_kick_starved(dev);
	} else if (dev->nr_arenas) {
		/* The present ones do; do not ask again for each chunk. */
		dev->max_arenas = dev->nr_arenas;
	}
	return err;
}

int run_get(struct vgpu_device *dev, unsigned int want, unsigned int nr,
	    struct run *run)
{
	int err = -EAGAIN;

	for (;;) {
		if (run_find(dev, want, nr, run))
			return 0;
		if (dev->growing || dev->nr_arenas >= dev->max_arenas)
			break;
		err = arena_grow(dev);
		if (err)
			break;
	}
	while ((want /= 2))
		if (run_find(dev, want, nr, run))
			return 0;
	return dev->nr_arenas || dev->growing ? -EAGAIN : err;
}

void run_put(struct run *run)
{
	if (run->arena)
		run->arena->used &= ~(bits(run->nr * run->pages) << run->page);
	run->arena = NULL;
}

unsigned char *run_operand(const struct run *run, unsigned int operand,
			   uint64_t *offset)
{
	*offset = ((uint64_t)run->page + operand * run->pages) * PAGE;
	return run->arena->ptr + *offset;
}

int staging_in(struct vgpu_device *dev, const struct iovec *user,
	       const struct iovec *staging, unsigned int nr)
{
	unsigned int i;

	if (!__atomic_load_n(&dev->unsafe_copy, __ATOMIC_RELAXED))
		return nr ? sys_copy_in(user, staging, nr) : 0;
	for (i = 0; i < nr; i++)
		memcpy(staging[i].iov_base, user[i].iov_base, user[i].iov_len);
	return 0;
}

int staging_out(struct vgpu_device *dev, const struct iovec *user,
		const struct iovec *staging)
{
	if (!__atomic_load_n(&dev->unsafe_copy, __ATOMIC_RELAXED))
		return sys_copy_out(user, staging);
	memcpy(user->iov_base, staging->iov_base, user->iov_len);
	return 0;
}

void staging_destroy(struct vgpu_device *dev)
{
	unsigned int i;

	/* The kernel takes the buffers back when the descriptor is closed. */
	for (i = 0; i < dev->nr_arenas; i++)
		sys_munmap(dev->arenas[i].ptr,
			   (size_t)dev->arenas[i].pages * PAGE);
	dev->nr_arenas = 0;
}
