// SPDX-License-Identifier: MIT
/*
 * engine_remote_parts.c - parts of jobs: taken out of the streams, and answered
 *
 * Runs on the I/O thread. The streams take turns, part by part, so that a large
 * job holds up no other stream. What a part makes at the far end gets its number
 * here, and loses it where nothing was made.
 *
 * Must never read or write operand memory, nor touch the link.
 */
#include <string.h>

#include "engine_remote.h"

/* All parts of the job that is next are taken, or never will be. */
static void job_taken(struct remote_engine *eng,
		      struct vgpu_engine_stream *stream)
{
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		if (stream->temp[i])
			remote_number_free(&eng->numbers[REMOTE_KIND_MEMORY],
					   (uint16_t)stream->temp[i]);
		stream->temp[i] = 0;
	}
	stream->next = stream->next->next;
	stream->nr_begun++;
	remote_put_advancing(eng, stream);
}

/* A number for what the object is to be: in *priv. The lock is held. */
static uint16_t number_object(struct remote_engine *eng, unsigned int kind,
			      uint16_t of, void **priv)
{
	uint16_t number = remote_number_take(&eng->numbers[kind], of);

	if (!number)
		return VGPU_RSP_NO_MEMORY;
	*priv = (void *)(uintptr_t)number;
	eng->nr_kept += kind != REMOTE_KIND_FUNCTION;
	return VGPU_RSP_OK;
}

/* Numbers for what the part makes. The lock is held. */
static uint16_t number_part(struct remote_engine *eng,
			    struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->next;

	if (stream->now.kind == STEP_ALLOC) {
		uint16_t number = remote_number_take(
			&eng->numbers[REMOTE_KIND_MEMORY], 1);

		stream->temp[stream->now.operand] = number;
		return number ? VGPU_RSP_OK : VGPU_RSP_NO_MEMORY;
	}
	switch (job->op) {
	case VGPU_OP_MEM_ALLOC:
		return number_object(eng, REMOTE_KIND_MEMORY, 1,
				     &job->mem->priv);
	case VGPU_OP_MODULE_LOAD:
		eng->loading = job;
		if (stream->taken)
			return VGPU_RSP_OK;
		return number_object(eng, REMOTE_KIND_MODULE, 1,
				     &job->module->priv);
	case VGPU_OP_FUNCTION_GET:
		if (!job->module->priv)
			return VGPU_RSP_NO_HANDLE;
		return number_object(eng, REMOTE_KIND_FUNCTION,
				     remote_number(job->module->priv),
				     &job->function->priv);
	}
	return VGPU_RSP_OK;
}

/* NULL: there is none whose part may be taken now. The lock is held. */
static struct vgpu_engine_stream *takeable(const struct remote_engine *eng)
{
	struct vgpu_engine_stream *stream = eng->first_runnable;

	/* What is freed first is there for what is allocated next. */
	if (remote_frees_wait(eng))
		return NULL;
	/* One image at a time. */
	while (stream && stream->now.kind == STEP_IMAGE && eng->loading &&
	       eng->loading != stream->next)
		stream = stream->next_runnable;
	return stream;
}

bool remote_may_take(const struct remote_engine *eng)
{
	return takeable(eng);
}

/* The lock is held. */
static void take_part(struct remote_engine *eng,
		      struct vgpu_engine_stream *stream,
		      struct remote_slot *slot)
{
	struct vgpu_job *job = stream->next;
	uint64_t left = stream->now.total - stream->taken;
	uintptr_t state = remote_job_state(job);

	remote_take_runnable(eng, stream);
	if (!(state & REMOTE_JOB_KEEPS) && remote_borrows(job)) {
		state |= REMOTE_JOB_KEEPS;
		eng->nr_kept++;
	}
	remote_set_job_state(job, state + 1);
	slot->stream = stream;
	slot->job = job;
	slot->step = stream->now;
	slot->first = stream->taken;
	slot->count = left < stream->now.part ? left : stream->now.part;
	slot->refused = number_part(eng, stream);
	memcpy(slot->temp, stream->temp, sizeof(slot->temp));
	stream->taken += slot->count;
	if (stream->taken == stream->now.total) {
		stream->step++;
		if (!remote_find_step(stream)) {
			job_taken(eng, stream);
			remote_advance(eng);
			return;
		}
	}
	remote_put_runnable(eng, stream);
}

bool remote_take_part(struct remote_engine *eng, struct remote_slot *slot)
{
	struct vgpu_engine_stream *stream;

	pthread_mutex_lock(&eng->lock);
	stream = takeable(eng);
	if (stream)
		take_part(eng, stream, slot);
	pthread_mutex_unlock(&eng->lock);
	return stream;
}

/* The object is none: whoever names it is told so. The lock is held. */
static void unmake_object(struct remote_engine *eng, struct vgpu_job *job)
{
	bool memory = job->op == VGPU_OP_MEM_ALLOC;
	void **priv = memory ? &job->mem->priv : &job->module->priv;

	if (*priv) {
		remote_number_free(&eng->numbers[memory ? REMOTE_KIND_MEMORY :
							  REMOTE_KIND_MODULE],
				   remote_number(*priv));
		eng->nr_kept--;
	}
	*priv = NULL;
}

/* The lock is held. */
static void unmake(struct remote_engine *eng, struct vgpu_job *job)
{
	if (job->op == VGPU_OP_MEM_ALLOC || job->op == VGPU_OP_MODULE_LOAD)
		unmake_object(eng, job);
	if (job->op != VGPU_OP_FUNCTION_GET)
		return;
	if (job->function->priv)
		remote_number_give(&eng->numbers[REMOTE_KIND_FUNCTION],
				   remote_number(job->function->priv));
	job->function->priv = NULL;
}

/* What has not been taken of the job that is next never will be. */
static void give_up_rest(struct remote_engine *eng,
			 struct vgpu_engine_stream *stream)
{
	remote_take_runnable(eng, stream);
	job_taken(eng, stream);
}

void remote_part_done(struct remote_engine *eng, struct remote_slot *slot,
		      uint16_t status, uint64_t time_ns)
{
	struct vgpu_engine_stream *stream = slot->stream;
	struct vgpu_job *job = slot->job;

	slot->stream = NULL;
	pthread_mutex_lock(&eng->lock);
	job->time_ns += time_ns;
	remote_set_job_state(job, remote_job_state(job) - 1);
	if (status != VGPU_RSP_OK) {
		if (job->status == VGPU_RSP_OK)
			job->status = status;
		unmake(eng, job);
		if (stream->next == job)
			give_up_rest(eng, stream);
	}
	remote_put_advancing(eng, stream);
	remote_advance(eng);
	pthread_mutex_unlock(&eng->lock);
}

void remote_lose(struct remote_engine *eng)
{
	pthread_mutex_lock(&eng->lock);
	eng->lost = true;
	eng->up = false;
	pthread_cond_broadcast(&eng->info_came);
	/* The rest of jobs, then what is in flight. */
	while (eng->first_runnable) {
		struct vgpu_engine_stream *stream = eng->first_runnable;

		if (stream->next->status == VGPU_RSP_OK)
			stream->next->status = VGPU_RSP_DEVICE_LOST;
		unmake(eng, stream->next);
		give_up_rest(eng, stream);
	}
	remote_advance(eng);
	pthread_mutex_unlock(&eng->lock);
	for (unsigned int i = 0; i < eng->window; i++)
		if (eng->slot[i].stream)
			remote_part_done(eng, &eng->slot[i],
					 VGPU_RSP_DEVICE_LOST, 0);
	eng->nr_busy = 0;
}
