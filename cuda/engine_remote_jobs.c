// SPDX-License-Identifier: MIT
/*
 * engine_remote_jobs.c - jobs of the remote engine, their streams and parts
 *
 * Owns the queues: of each stream, of the streams that have a part to send, of
 * the finished jobs. As in pool.c only the job at a stream's head is worked
 * on: it may need what the one before it wrote. The streams take turns, part by
 * part, so that a large job holds up no other stream.
 *
 *   submit -> stream queue -> head: parts -> slots -> done list -> reap
 *
 * Must never read or write operand memory, nor touch the link.
 */
#include <stdlib.h>
#include <unistd.h>

#include "engine_remote.h"

static struct remote_engine *to_remote(struct vgpu_engine *eng)
{
	return (struct remote_engine *)eng;
}

static void ring_bell(int fd)
{
	const uint64_t one = 1;

	/* Cannot fail: the counter is small. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

void remote_kick(struct remote_engine *eng)
{
	if (!eng->sleeping)
		return;
	eng->sleeping = false;
	ring_bell(eng->wake);
}

/* The lock is held. */
static void finish(struct remote_engine *eng, struct vgpu_job *job)
{
	job->next = NULL;
	if (eng->first_done)
		eng->last_done->next = job;
	else
		eng->first_done = job;
	eng->last_done = job;
	if (!eng->armed)
		return;
	eng->armed = false;
	eng->announced = true;
	ring_bell(eng->fd);
}

/* The lock is held. */
static void put_runnable(struct remote_engine *eng,
			 struct vgpu_engine_stream *stream)
{
	stream->runnable = true;
	stream->next_runnable = NULL;
	if (eng->first_runnable)
		eng->last_runnable->next_runnable = stream;
	else
		eng->first_runnable = stream;
	eng->last_runnable = stream;
}

/* The lock is held. */
static void take_runnable(struct remote_engine *eng,
			  struct vgpu_engine_stream *stream)
{
	struct vgpu_engine_stream **link = &eng->first_runnable;
	struct vgpu_engine_stream *prev = NULL;

	while (*link != stream) {
		prev = *link;
		link = &prev->next_runnable;
	}
	*link = stream->next_runnable;
	if (eng->last_runnable == stream)
		eng->last_runnable = prev;
	stream->runnable = false;
}

/*
 * What a job has to run: 0 for a fence, for no elements, and for a job that
 * ends at once, with the reason in its status. What has no data is one element.
 * The lock is held.
 */
static uint64_t job_elements(const struct remote_engine *eng,
			     struct vgpu_job *job)
{
	uint64_t count;

	if (job->op == VGPU_OP_FENCE)
		return 0;
	if (job->op != VGPU_OP_BUILTIN || !remote_kernel(job->kernel)) {
		job->status = VGPU_RSP_UNSUPPORTED;
		return 0;
	}
	if (!vgpu_job_operands_ok(job)) {
		job->status = VGPU_RSP_INVALID;
		return 0;
	}
	count = remote_kernel(job->kernel)->inputs ? job->operand[0].count : 1;
	if (!count || !eng->lost)
		return count;
	job->status = VGPU_RSP_DEVICE_LOST;
	return 0;
}

/*
 * Gets the stream going with the job now at its head, and finishes those that
 * have nothing to run. The lock is held.
 */
static void stream_advance(struct remote_engine *eng,
			   struct vgpu_engine_stream *stream)
{
	while (stream->head) {
		struct vgpu_job *job = stream->head;

		stream->count = job_elements(eng, job);
		if (stream->count)
			break;
		stream->head = job->next;
		finish(eng, job);
	}
	if (!stream->head)
		return;
	stream->head->path = VGPU_PATH_REMOTE;
	stream->taken = stream->finished = 0;
	put_runnable(eng, stream);
	remote_kick(eng);
}

/* The head failed: what has not been taken never will be. The lock is held. */
static void give_up_rest(struct remote_engine *eng,
			 struct vgpu_engine_stream *stream, uint16_t status)
{
	if (stream->head->status == VGPU_RSP_OK)
		stream->head->status = status;
	stream->finished += stream->count - stream->taken;
	stream->taken = stream->count;
	if (stream->runnable)
		take_runnable(eng, stream);
}

/* The lock is held. */
static void end_if_finished(struct remote_engine *eng,
			    struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->head;

	if (stream->finished < stream->count)
		return;
	stream->head = job->next;
	finish(eng, job);
	stream_advance(eng, stream);
}

bool remote_take_part(struct remote_engine *eng, struct remote_slot *slot)
{
	struct vgpu_engine_stream *stream;
	uint64_t left, part;
	unsigned int inputs;

	pthread_mutex_lock(&eng->lock);
	stream = eng->first_runnable;
	if (stream) {
		take_runnable(eng, stream);
		inputs = remote_kernel(stream->head->kernel)->inputs;
		part = inputs ? REMOTE_DATA_MAX / 4 / inputs : 1;
		left = stream->count - stream->taken;
		slot->stream = stream;
		slot->job = stream->head;
		slot->first = stream->taken;
		slot->count = (uint32_t)(left < part ? left : part);
		stream->taken += slot->count;
		if (stream->taken < stream->count)
			put_runnable(eng, stream);
	}
	pthread_mutex_unlock(&eng->lock);
	return stream;
}

void remote_part_done(struct remote_engine *eng, struct remote_slot *slot,
		      uint16_t status, uint64_t time_ns)
{
	struct vgpu_engine_stream *stream = slot->stream;

	slot->stream = NULL;
	pthread_mutex_lock(&eng->lock);
	stream->head->time_ns += time_ns;
	stream->finished += slot->count;
	if (status != VGPU_RSP_OK)
		give_up_rest(eng, stream, status);
	end_if_finished(eng, stream);
	pthread_mutex_unlock(&eng->lock);
}

void remote_lose(struct remote_engine *eng)
{
	pthread_mutex_lock(&eng->lock);
	eng->lost = true;
	eng->up = false;
	pthread_cond_broadcast(&eng->info_came);
	pthread_mutex_unlock(&eng->lock);
	for (unsigned int i = 0; i < eng->window; i++)
		if (eng->slot[i].stream)
			remote_part_done(eng, &eng->slot[i],
					 VGPU_RSP_DEVICE_LOST, 0);
	eng->nr_busy = 0;
	/* What is left has no part on its way. */
	pthread_mutex_lock(&eng->lock);
	while (eng->first_runnable) {
		struct vgpu_engine_stream *stream = eng->first_runnable;

		give_up_rest(eng, stream, VGPU_RSP_DEVICE_LOST);
		end_if_finished(eng, stream);
	}
	pthread_mutex_unlock(&eng->lock);
}

struct vgpu_engine_stream *remote_stream_create(struct vgpu_engine *base)
{
	struct remote_engine *eng = to_remote(base);
	struct vgpu_engine_stream *stream = calloc(1, sizeof(*stream));

	if (stream)
		stream->number = eng->next_stream++ % REMOTE_STREAMS;
	return stream;
}

void remote_stream_destroy(struct vgpu_engine *base,
			   struct vgpu_engine_stream *stream)
{
	struct remote_engine *eng = to_remote(base);

	/* Whoever finished the stream's last job may still be at it. */
	pthread_mutex_lock(&eng->lock);
	pthread_mutex_unlock(&eng->lock);
	free(stream);
}

void remote_submit(struct vgpu_engine *base, struct vgpu_job *job)
{
	struct remote_engine *eng = to_remote(base);
	struct vgpu_engine_stream *stream = job->stream;

	job->next = NULL;
	job->status = VGPU_RSP_OK;
	job->path = VGPU_PATH_NONE;
	job->time_ns = 0;
	pthread_mutex_lock(&eng->lock);
	if (stream->head) {
		stream->tail->next = job;
		stream->tail = job;
	} else {
		stream->head = stream->tail = job;
		stream_advance(eng, stream);
	}
	pthread_mutex_unlock(&eng->lock);
}

struct vgpu_job *remote_reap(struct vgpu_engine *base)
{
	struct remote_engine *eng = to_remote(base);
	struct vgpu_job *done;
	uint64_t events;

	pthread_mutex_lock(&eng->lock);
	done = eng->first_done;
	eng->first_done = NULL;
	eng->armed = false;
	if (eng->announced &&
	    read(eng->fd, &events, sizeof(events)) != sizeof(events))
		abort();
	eng->announced = false;
	pthread_mutex_unlock(&eng->lock);
	return done;
}

bool remote_arm(struct vgpu_engine *base)
{
	struct remote_engine *eng = to_remote(base);
	bool armed;

	pthread_mutex_lock(&eng->lock);
	armed = eng->armed = !eng->first_done;
	pthread_mutex_unlock(&eng->lock);
	return armed;
}
