// SPDX-License-Identifier: MIT
/*
 * engine_remote_jobs.c - jobs of the remote engine and their streams
 *
 * Owns the queues: of each stream, of the streams that have a part to send, of
 * the finished jobs.
 *
 *   submit -> stream queue -> next: parts -> slots -> head: done list -> reap
 *
 * A job begins when all parts of the one before it have been taken, whether they
 * are answered or not: the far engine keeps the order of a stream's frames. But
 * a job that reads host memory which one in flight is to write to waits for it:
 * what is to be read is still on its way. Addresses tell; the same memory mapped
 * twice is two memories. Jobs end in their order all the same.
 *
 * Events and fences are kept here, and cost no frame: this end learns of the end
 * of each job anyway, and a wait at the far end would hold up all streams that
 * share its number there.
 *
 * Must never read or write operand memory, but for an empty log, nor touch the
 * link.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine_remote.h"
#include "events.h"

/* Begun jobs of a stream: all that a window may hold, and some marks. */
#define BEGUN_MAX	(2 * REMOTE_WINDOW_MAX)

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
void remote_put_runnable(struct remote_engine *eng,
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
void remote_take_runnable(struct remote_engine *eng,
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

/* The lock is held; who holds it comes to remote_advance() before letting go. */
void remote_put_advancing(struct remote_engine *eng,
			  struct vgpu_engine_stream *stream)
{
	if (stream->advancing)
		return;
	stream->advancing = true;
	stream->next_advancing = eng->first_advancing;
	eng->first_advancing = stream;
}

/* What takes no time but to be come to, and an EVENT_WAIT what it waits for. */
static bool is_mark(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_FENCE || job->op == VGPU_OP_EVENT_RECORD ||
	       job->op == VGPU_OP_EVENT_WAIT;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Streams that wait for this record go on. The lock is held. */
static void reach(struct remote_engine *eng, struct vgpu_job *record)
{
	struct vgpu_job *wait, *next;

	record->value = now_ns();
	for (wait = events_reached(record); wait; wait = next) {
		next = wait->waiters;
		if (wait->stream->next == wait)
			remote_put_advancing(eng, wait->stream);
	}
}

/* The job at the head is over. The lock is held. */
static void leave(struct remote_engine *eng, struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->head;

	stream->head = job->next;
	stream->nr_begun--;
	if (job->op == VGPU_OP_EVENT_RECORD)
		reach(eng, job);
	if (remote_job_state(job) & REMOTE_JOB_KEEPS)
		eng->nr_kept--;
	if (eng->loading == job)
		eng->loading = NULL;
	finish(eng, job);
}

/*
 * Is there something to run? Else the job ends when it comes to the head, with
 * the reason in its status. The lock is held.
 */
static bool has_work(const struct remote_engine *eng, struct vgpu_job *job)
{
	if (is_mark(job))
		return false;
	job->status = remote_check(eng, job);
	if (job->status != VGPU_RSP_OK || remote_is_nothing(job))
		return false;
	if (eng->lost)
		job->status = VGPU_RSP_DEVICE_LOST;
	return !eng->lost;
}

/* May the job that is next begin beside those that are begun? */
static bool may_begin(const struct vgpu_engine_stream *stream)
{
	const struct vgpu_job *job;

	if (stream->now.kind == STEP_LOCAL)
		return !stream->nr_begun;
	for (job = stream->head; job != stream->next; job = job->next)
		if (remote_depends(stream->next, job))
			return false;
	return true;
}

/* The first step that the job takes from stream->step on. False: there is none. */
bool remote_find_step(struct vgpu_engine_stream *stream)
{
	stream->taken = 0;
	for (; stream->step < REMOTE_STEPS; stream->step++) {
		stream->now = remote_step(stream->next, stream->step);
		if (stream->now.total)
			return true;
	}
	return false;
}

/*
 * The job that is next: true when it is begun, and there is nothing of it to be
 * taken. The lock is held.
 */
static bool begin_next(struct remote_engine *eng,
		       struct vgpu_engine_stream *stream)
{
	if (events_hold(stream->next) || stream->nr_begun == BEGUN_MAX)
		return false;
	stream->step = 0;
	if (has_work(eng, stream->next) && remote_find_step(stream)) {
		if (!may_begin(stream))
			return false;
		remote_empty_log(stream->next);
		remote_put_runnable(eng, stream);
		remote_kick(eng);
		return false;
	}
	remote_empty_log(stream->next);
	stream->next = stream->next->next;
	stream->nr_begun++;
	return true;
}

/* Ends the jobs at the head that are over. */
static void end_jobs(struct remote_engine *eng,
		     struct vgpu_engine_stream *stream)
{
	while (stream->head != stream->next &&
	       !(remote_job_state(stream->head) & REMOTE_JOB_PARTS))
		leave(eng, stream);
}

/*
 * Gets the streams on the list going. The lock is held. A mark that is reached
 * puts further streams on the list, and maybe the same one.
 */
void remote_advance(struct remote_engine *eng)
{
	struct vgpu_engine_stream *stream;

	while ((stream = eng->first_advancing)) {
		eng->first_advancing = stream->next_advancing;
		stream->advancing = false;
		end_jobs(eng, stream);
		while (stream->next && !stream->runnable &&
		       begin_next(eng, stream))
			end_jobs(eng, stream);
	}
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
	job->value = 0;
	job->priv = NULL;
	pthread_mutex_lock(&eng->lock);
	if (stream->head)
		stream->tail->next = job;
	else
		stream->head = job;
	stream->tail = job;
	if (!stream->next)
		stream->next = job;
	events_submit(job);
	remote_put_advancing(eng, stream);
	remote_advance(eng);
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
