// SPDX-License-Identifier: MIT
/*
 * stream.c - makes, finds and frees streams (see stream.h)
 */
#include "stream.h"

#include <string.h>
#include <xen/io/vgpuif.h>

/* Contexts and streams are counted from 0 by honest guests. */
static struct stream **chain_of(struct streams *st, uint16_t ctx, uint16_t id)
{
	return &st->chain[(ctx * 31u + id) % STREAM_CHAINS];
}

void streams_init(struct streams *st)
{
	for (unsigned int i = BACK_MAX_STREAMS; i-- > 0;) {
		st->slot[i].next = st->free;
		st->free = &st->slot[i];
	}
}

struct stream *stream_find(struct streams *st, uint16_t ctx, uint16_t id)
{
	struct stream *s = *chain_of(st, ctx, id);

	while (s && (s->ctx != ctx || s->id != id))
		s = s->next;
	return s;
}

enum vgpu_status stream_make(struct streams *st, struct vgpu_engine *eng,
			     uint16_t ctx, uint16_t id, struct stream **out)
{
	struct stream **chain = chain_of(st, ctx, id);
	struct stream *s = st->free;

	if (!s)
		return VGPU_RSP_QUOTA;
	s->eng_stream = vgpu_engine_stream_create(eng);
	if (!s->eng_stream)
		return VGPU_RSP_NO_MEMORY;
	st->free = s->next;
	s->inflight = 0;
	s->failed = VGPU_RSP_OK;
	s->failed_value = 0;
	s->ended = false;
	s->ctx = ctx;
	s->id = id;
	s->next = *chain;
	*chain = s;
	*out = s;
	return VGPU_RSP_OK;
}

void stream_fail(struct stream *s, uint16_t id, uint8_t op,
		 enum vgpu_status status)
{
	if (s->failed)
		return;
	s->failed = status;
	s->failed_value = op | (uint32_t)id << 8;
}

enum vgpu_status stream_take_failure(struct stream *s, uint64_t *value)
{
	enum vgpu_status status = s->failed;

	*value = s->failed_value;
	s->failed = VGPU_RSP_OK;
	s->failed_value = 0;
	return status;
}

bool streams_busy(const struct streams *st, uint16_t ctx)
{
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++) {
		const struct stream *s = &st->slot[i];

		if (s->eng_stream && s->ctx == ctx && s->inflight)
			return true;
	}
	return false;
}

void stream_end(struct streams *st, struct stream *s)
{
	struct stream **link = chain_of(st, s->ctx, s->id);

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	s->ended = true;
}

void stream_free(struct streams *st, struct vgpu_engine *eng, struct stream *s)
{
	if (!s->ended)
		stream_end(st, s);
	vgpu_engine_stream_destroy(eng, s->eng_stream);
	s->eng_stream = NULL;
	s->next = st->free;
	st->free = s;
}

void streams_free_ctx(struct streams *st, struct vgpu_engine *eng, uint16_t ctx)
{
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++)
		if (st->slot[i].eng_stream && st->slot[i].ctx == ctx)
			stream_free(st, eng, &st->slot[i]);
}

void streams_free_all(struct streams *st, struct vgpu_engine *eng)
{
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++)
		if (st->slot[i].eng_stream)
			stream_free(st, eng, &st->slot[i]);
}
