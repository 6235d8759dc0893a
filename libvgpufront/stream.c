// SPDX-License-Identifier: MIT
/*
 * stream.c - streams: their numbers, the positions of calls in them, and the
 * first failure since a fence
 *
 * Owns struct stream. Any thread, with the device's lock. A failure belongs to
 * the first fence that was called for behind the work that failed, whoever made
 * it; of several, the one at the earliest position wins.
 *
 * A failed quiet request is known by the next FENCE's answer alone, and not
 * where it was. So before work whose own answer tells of its failure there is a
 * FENCE of the library's, a checkpoint, where quiet requests came before. Only
 * between a quiet request that failed in the backend, and one behind it that the
 * module refused or a mark that could not be made, is the earlier not known: the
 * latter is told.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* user_data of quiet requests: no address of a chunk, which are even. */
#define QUIET 1u
#define NR_SHIFT 1
#define POSITION_SHIFT 17

static struct stream *stream_at(const struct vgpu_device *dev, unsigned int nr)
{
	struct stream *page = dev->streams[nr / STREAM_PAGE];

	return page ? &page[nr % STREAM_PAGE] : NULL;
}

static int stream_make(struct vgpu_device *dev, unsigned int nr)
{
	struct stream *page = calloc(STREAM_PAGE, sizeof(*page));
	unsigned int i;

	if (!page)
		return -ENOMEM;
	for (i = 0; i < STREAM_PAGE; i++) {
		page[i].nr = (uint16_t)(nr / STREAM_PAGE * STREAM_PAGE + i);
		list_init(&page[i].ops);
	}
	dev->streams[nr / STREAM_PAGE] = page;
	return 0;
}

int stream_use(struct vgpu_device *dev, unsigned int nr, struct stream **out)
{
	int err;

	if (nr > VGPU_MAX_STREAM)
		return -EINVAL;
	if (!stream_at(dev, nr)) {
		err = stream_make(dev, nr);
		if (err)
			return err;
	}
	*out = stream_at(dev, nr);
	(*out)->used = true;
	return 0;
}

static bool stream_used(const struct vgpu_device *dev, unsigned int nr)
{
	const struct stream *st = stream_at(dev, nr);

	return st && st->used;
}

/* From the other end than the caller's; harmless if it uses the number, too. */
int stream_service(struct vgpu_device *dev, struct stream **out)
{
	unsigned int nr = VGPU_MAX_STREAM;
	int err = 0;

	if (!dev->service) {
		while (nr && stream_used(dev, nr))
			nr--;
		err = stream_use(dev, nr, &dev->service);
	}
	*out = dev->service;
	return err;
}

uint64_t stream_quiet_data(const struct stream *st)
{
	return QUIET | (uint64_t)st->nr << NR_SHIFT |
	       st->position << POSITION_SHIFT;
}

static void failure_note(struct failure *failure, uint64_t at, int err)
{
	if (failure->err && failure->at < at)
		return;
	failure->at = at;
	failure->err = err;
}

void stream_fail(struct stream *st, uint64_t position, int err)
{
	struct list *at;

	for (at = st->ops.next; at != &st->ops; at = at->next) {
		struct vgpu_op *op = container_of(at, struct vgpu_op, snode);

		if (op->kind == OP_FENCE && !op->checkpoint &&
		    op->position > position) {
			failure_note(&op->failure, position, err);
			return;
		}
	}
	failure_note(&st->failure, position, err);
}

/* A quiet request did not come to the backend. */
void stream_refused(struct vgpu_device *dev, uint64_t user_data, int err)
{
	struct stream *st =
		stream_at(dev, (user_data >> NR_SHIFT) & VGPU_MAX_STREAM);

	if (st)
		stream_fail(st, user_data >> POSITION_SHIFT, err);
}

int stream_checkpoint(struct vgpu_device *dev, struct stream *st)
{
	struct vgpu_op *op;

	if (!st->quiet)
		return 0;
	op = op_new(dev, VGPUFRONT_OP_FENCE, 0, 0);
	if (!op)
		return -ENOMEM;
	op->kind = OP_FENCE;
	op->checkpoint = true;
	return op_begin(op, st);
}

static int fence_run(struct vgpu_device *dev, unsigned int stream, uint8_t code)
{
	struct stream *st;
	struct vgpu_op op;
	int err;

	if (!dev)
		return -EINVAL;
	dev_lock(dev);
	err = stream_use(dev, stream, &st);
	if (!err && code == VGPUFRONT_OP_STREAM_DESTROY && !st->created)
		err = -EINVAL;
	if (!err) {
		op_init(&op, dev, OP_FENCE, code);
		err = op_run(&op, st);
		if (code == VGPUFRONT_OP_STREAM_DESTROY)
			st->created = st->used = st->quiet = false;
	}
	dev_unlock(dev);
	return err;
}

VISIBLE int vgpu_fence(struct vgpu_device *dev, unsigned int stream)
{
	return fence_run(dev, stream, VGPUFRONT_OP_FENCE);
}

VISIBLE int vgpu_fence_async(struct vgpu_device *dev, unsigned int stream,
			     struct vgpu_op **out)
{
	struct stream *st;
	struct vgpu_op *op;
	int err;

	if (!dev || !out)
		return -EINVAL;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	dev_lock(dev);
	op_init(op, dev, OP_FENCE, VGPUFRONT_OP_FENCE);
	op->async = true;
	err = stream_use(dev, stream, &st);
	if (!err)
		err = op_start(op, st);
	dev_unlock(dev);
	if (err)
		free(op);
	else
		*out = op;
	return err;
}

VISIBLE int vgpu_stream_create(struct vgpu_device *dev, unsigned int *stream)
{
	struct stream *st;
	unsigned int nr;
	int err;

	if (!dev || !stream)
		return -EINVAL;
	dev_lock(dev);
	for (nr = 1; nr <= VGPU_MAX_STREAM && stream_used(dev, nr); nr++)
		;
	err = dev_lost(dev);
	if (!err)
		err = nr > VGPU_MAX_STREAM ? -EMFILE : stream_use(dev, nr, &st);
	if (!err) {
		st->created = true;
		*stream = nr;
	}
	dev_unlock(dev);
	return err;
}

VISIBLE int vgpu_stream_destroy(struct vgpu_device *dev, unsigned int stream)
{
	return fence_run(dev, stream, VGPUFRONT_OP_STREAM_DESTROY);
}

static void quiesce(struct vgpu_device *dev, struct stream *st)
{
	struct vgpu_op op;

	if (!st->quiet || dev->lost)
		return;
	op_init(&op, dev, OP_FENCE, VGPUFRONT_OP_FENCE);
	op_run(&op, st);
}

/*
 * With all operations done: what quiet requests do to the caller's memory is
 * over when this returns.
 */
void streams_quiesce(struct vgpu_device *dev)
{
	unsigned int page, i;

	for (page = 0; page < STREAM_PAGES; page++)
		for (i = 0; dev->streams[page] && i < STREAM_PAGE; i++)
			quiesce(dev, &dev->streams[page][i]);
}

void streams_destroy(struct vgpu_device *dev)
{
	unsigned int i;

	for (i = 0; i < STREAM_PAGES; i++)
		free(dev->streams[i]);
}
