// SPDX-License-Identifier: MIT
/*
 * pool.c - streams of jobs: what begins when, and where finished jobs go
 *
 * Owns the streams and the queues of submitted and finished jobs. Runs on the
 * engine's caller thread, and pool_run_part() with all that follows from a job's
 * end on each of the pool's threads (pool_threads.c).
 *
 * A stream is a queue of jobs. What the engine can do without a thread it
 * begins at once, one job behind the other where it says so; all else is shared
 * out when it has come to the queue's head. While that job has parts that no
 * thread has taken, the stream is on the pool's list of runnable streams. A
 * thread takes one part of the first runnable stream and puts the stream at the
 * list's end, so streams share the threads, and one large job alone uses as
 * many of them as the engine wants.
 *
 * Fences and events are the pool's own. One behind begun jobs does not keep the
 * jobs behind it from beginning: it is done when those before it are. Only an
 * EVENT_WAIT whose record is not done holds its stream up, and that record's
 * end puts the stream on the list of those to advance.
 *
 *   submit -> stream queue -> begun by the engine -------> done list -> reap
 *                          -> head: parts -> threads ->
 *
 * Begun jobs are ended by reap, which looks for them: no thread is woken for
 * them and no system call made. Only when the caller goes to sleep does the
 * watch look in its place, and announces the first one that is over.
 *
 * One lock guards all of it and is never held while a part runs. A stream may
 * be destroyed as soon as its last job is reaped, so whoever finishes a job
 * must not let go of the lock before it is through with the stream.
 *
 * Must never read or write operand memory.
 */
#include <stdlib.h>
#include <unistd.h>

#include "events.h"
#include "pool_internal.h"

void pool_announce(struct pool *pool)
{
	const uint64_t one = 1;

	pool->armed = false;
	pool->announced = true;
	/* Cannot fail: the counter is 0. */
	if (write(pool->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* The job has left its stream. The lock is held. */
static void finish(struct pool *pool, struct vgpu_job *job)
{
	job->next = NULL;
	if (pool->first_done)
		pool->last_done->next = job;
	else
		pool->first_done = job;
	pool->last_done = job;
	if (pool->armed)
		pool_announce(pool);
}

/* The lock is held. */
static void put_runnable(struct pool *pool, struct vgpu_engine_stream *stream)
{
	stream->runnable = true;
	stream->next_runnable = NULL;
	if (pool->first_runnable)
		pool->last_runnable->next_runnable = stream;
	else
		pool->first_runnable = stream;
	pool->last_runnable = stream;
}

/* The lock is held. */
static void take_runnable(struct pool *pool, struct vgpu_engine_stream *stream)
{
	struct vgpu_engine_stream **link = &pool->first_runnable;
	struct vgpu_engine_stream *prev = NULL;

	while (*link != stream) {
		prev = *link;
		link = &prev->next_runnable;
	}
	*link = stream->next_runnable;
	if (pool->last_runnable == stream)
		pool->last_runnable = prev;
	stream->runnable = false;
}

/* What takes no time but to be come to, and an EVENT_WAIT what it waits for. */
static bool is_mark(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_FENCE || job->op == VGPU_OP_EVENT_RECORD ||
	       job->op == VGPU_OP_EVENT_WAIT;
}

/* The lock is held; who holds it comes to advance() before letting go. */
static void put_advancing(struct pool *pool, struct vgpu_engine_stream *stream)
{
	if (stream->advancing)
		return;
	stream->advancing = true;
	stream->next_advancing = pool->first_advancing;
	pool->first_advancing = stream;
}

/* Gives the job at the head, of `count` elements, to threads. */
static void share_out(struct pool *pool, struct vgpu_engine_stream *stream,
		      uint64_t count)
{
	struct pool_share share = pool->ops->share(pool->engine, stream->head,
						   count);
	uint64_t wake = (count - 1) / share.part + 1;

	stream->shared = true;
	stream->count = count;
	stream->part = share.part;
	stream->width = share.width;
	stream->running = 0;
	stream->taken = stream->finished = 0;
	put_runnable(pool, stream);
	if (wake > share.width)
		wake = share.width;
	while (wake && pool_wake_thread(pool))
		wake--;
}

/* Streams that wait at their heads for this record go on. */
static void reach(struct pool *pool, struct vgpu_job *record)
{
	struct vgpu_job *wait, *next;

	record->value = pool_now_ns();
	for (wait = events_reached(record); wait; wait = next) {
		next = wait->waiters;
		if (wait->stream->head == wait)
			put_advancing(pool, wait->stream);
	}
}

/* Takes the job at the head out of its stream. The lock is held. */
static void leave(struct pool *pool, struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->head;

	stream->head = job->next;
	if (job->op == VGPU_OP_EVENT_RECORD)
		reach(pool, job);
	finish(pool, job);
}

static bool begin(struct pool *pool, struct vgpu_engine_stream *stream)
{
	if (!pool->ops->begin ||
	    !pool->ops->begin(pool->engine, stream->next, stream->nr_begun,
			      &stream->note))
		return false;
	stream->next = stream->next->next;
	stream->nr_begun++;
	pool->nr_begun++;
	if (pool->armed)
		pool_look(pool);
	return true;
}

/*
 * The job that is next: false where it must wait, or is with the threads now.
 * The lock is held.
 */
static bool start_next(struct pool *pool, struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->next;
	uint64_t count = 0;

	if (events_hold(job))
		return false;
	if (!is_mark(job)) {
		job->status = VGPU_RSP_OK;
		count = pool->ops->count(pool->engine, job);
		if (count && begin(pool, stream))
			return true;
		if (stream->nr_begun)
			return false;
	}
	if (count) {
		share_out(pool, stream, count);
		return false;
	}
	stream->next = job->next;
	/* Else it leaves when the begun jobs before it have. */
	if (!stream->nr_begun)
		leave(pool, stream);
	return true;
}

/*
 * Gets the streams on the list going with the jobs that can begin now, and
 * finishes those at their heads that have nothing to run. The lock is held. Not
 * entered again: a mark that is reached here puts further streams on the list,
 * and maybe the same one.
 */
static void advance(struct pool *pool)
{
	struct vgpu_engine_stream *stream;

	if (pool->advancing)
		return;
	pool->advancing = true;
	while ((stream = pool->first_advancing)) {
		pool->first_advancing = stream->next_advancing;
		stream->advancing = false;
		while (stream->next && !stream->shared &&
		       start_next(pool, stream))
			;
	}
	pool->advancing = false;
}

/* One part of the job at the head is over. The lock is held. */
static void part_over(struct pool *pool, struct vgpu_engine_stream *stream,
		      uint64_t count, uint16_t status, uint8_t path)
{
	struct vgpu_job *job = stream->head;

	stream->running--;
	stream->finished += count;
	if (path > job->path)
		job->path = path;
	if (status != VGPU_RSP_OK) {
		/* Lost is what later parts say of what an earlier one met. */
		if (job->status == VGPU_RSP_OK ||
		    job->status == VGPU_RSP_DEVICE_LOST)
			job->status = status;
		/* Nobody needs the parts that no thread has taken yet. */
		stream->finished += stream->count - stream->taken;
		stream->taken = stream->count;
		if (stream->runnable)
			take_runnable(pool, stream);
	}
	if (stream->taken < stream->count && !stream->runnable)
		put_runnable(pool, stream);
	if (stream->finished < stream->count)
		return;
	job->time_ns = pool_now_ns() - stream->start_ns;
	stream->shared = false;
	stream->next = job->next;
	leave(pool, stream);
	put_advancing(pool, stream);
	advance(pool);
}

void pool_run_part(struct pool *pool, unsigned int thread)
{
	struct vgpu_engine_stream *stream = pool->first_runnable;
	struct vgpu_job *job = stream->head;
	uint64_t first = stream->taken;
	uint64_t left = stream->count - first;
	uint64_t count = left < stream->part ? left : stream->part;
	uint8_t path = VGPU_PATH_NONE;
	uint16_t status;

	if (!first)
		stream->start_ns = pool_now_ns();
	stream->taken += count;
	stream->running++;
	take_runnable(pool, stream);
	if (stream->taken < stream->count && stream->running < stream->width)
		put_runnable(pool, stream);

	pthread_mutex_unlock(&pool->lock);
	status = pool->ops->part(pool->engine, thread, job, first, count,
				 &path);
	pthread_mutex_lock(&pool->lock);
	part_over(pool, stream, count, status, path);
}

struct vgpu_engine_stream *pool_stream_create(struct pool *pool)
{
	(void)pool;
	return calloc(1, sizeof(struct vgpu_engine_stream));
}

void pool_stream_destroy(struct pool *pool, struct vgpu_engine_stream *stream)
{
	/* Whoever finished the stream's last job may still be at it. */
	pthread_mutex_lock(&pool->lock);
	pthread_mutex_unlock(&pool->lock);
	free(stream);
}

void pool_submit(struct pool *pool, struct vgpu_job *job)
{
	struct vgpu_engine_stream *stream = job->stream;

	job->next = NULL;
	job->status = VGPU_RSP_OK;
	job->path = VGPU_PATH_NONE;
	job->time_ns = 0;
	job->value = 0;
	job->priv = NULL;
	pthread_mutex_lock(&pool->lock);
	if (stream->head)
		stream->tail->next = job;
	else
		stream->head = job;
	stream->tail = job;
	if (!stream->next)
		stream->next = job;
	events_submit(job);
	if (!stream->shared) {
		put_advancing(pool, stream);
		advance(pool);
	}
	pthread_mutex_unlock(&pool->lock);
}

void pool_lock(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
}

void pool_unlock(struct pool *pool)
{
	pthread_mutex_unlock(&pool->lock);
}

bool pool_may_end(const struct vgpu_job *job)
{
	return job->stream->head == job;
}

void pool_end(struct pool *pool, struct vgpu_job *job)
{
	struct vgpu_engine_stream *stream = job->stream;

	pool->nr_begun--;
	stream->nr_begun--;
	leave(pool, stream);
	/* Marks between it and the next one that is begun. */
	while (stream->head != stream->next && is_mark(stream->head))
		leave(pool, stream);
	put_advancing(pool, stream);
	advance(pool);
}

struct vgpu_job *pool_reap(struct pool *pool)
{
	struct vgpu_job *done;
	uint64_t events;

	pthread_mutex_lock(&pool->lock);
	/* What ends here needs no announcement. */
	pool->armed = false;
	if (pool->nr_begun)
		pool->ops->collect(pool->engine, pool);
	done = pool->first_done;
	pool->first_done = NULL;
	if (pool->announced &&
	    read(pool->fd, &events, sizeof(events)) != sizeof(events))
		abort();
	pool->announced = false;
	pthread_mutex_unlock(&pool->lock);
	return done;
}

bool pool_arm(struct pool *pool)
{
	bool armed;

	pthread_mutex_lock(&pool->lock);
	armed = !pool->first_done &&
		!(pool->nr_begun && pool->ops->ready(pool->engine));
	pool->armed = armed;
	if (armed && pool->nr_begun)
		pool_look(pool);
	pthread_mutex_unlock(&pool->lock);
	return armed;
}

int pool_fd(const struct pool *pool)
{
	return pool->fd;
}
