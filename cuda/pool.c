// SPDX-License-Identifier: MIT
/*
 * pool.c - threads that run the jobs of an engine's streams, part by part
 *
 * Owns the streams, the queues of submitted and finished jobs, the threads and
 * the eventfd. pool_submit() and pool_reap() run on the engine's caller thread,
 * pool_thread() on each of the pool's.
 *
 * A stream is a queue of jobs. Only the job at its head is worked on, which is
 * what keeps a stream in order. While that job has parts that no thread has
 * taken, the stream is on the pool's list of runnable streams. A thread takes
 * one part of the first runnable stream and puts the stream at the list's end,
 * so streams share the threads, and one large job alone uses all of them.
 *
 *   submit -> stream queue -> head: parts -> threads -> done list -> reap
 *
 * One lock guards all of it and is never held while a part runs. A stream may
 * be destroyed as soon as its last job is reaped, so whoever finishes a job
 * must not let go of the lock before it is through with the stream.
 *
 * Must never read or write operand memory.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"
#include "wire.h"

/* Fields below the first line describe the job at the head. */
struct vgpu_engine_stream {
	struct vgpu_job *head, *tail;
	uint64_t count;			/* its elements */
	uint64_t part;			/* elements given to a thread at once */
	uint64_t taken;			/* of these: given to threads */
	uint64_t finished;		/* of these: run */
	uint64_t start_ns;
	bool runnable;
	struct vgpu_engine_stream *next_runnable;
};

struct pool {
	const struct pool_ops *ops;
	void *engine;
	int fd;
	unsigned int nr_threads;
	pthread_t *thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	bool armed;			/* the next job to finish is announced */
	bool announced;			/* the eventfd counts 1 */
	unsigned int nr_idle;
	unsigned int nr_numbered;	/* threads that have their number */
	struct vgpu_engine_stream *first_runnable, *last_runnable;
	struct vgpu_job *first_done, *last_done;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The lock is held. */
static void finish(struct pool *pool, struct vgpu_job *job)
{
	const uint64_t one = 1;

	job->next = NULL;
	if (pool->first_done)
		pool->last_done->next = job;
	else
		pool->first_done = job;
	pool->last_done = job;
	if (!pool->armed)
		return;
	pool->armed = false;
	pool->announced = true;
	/* Cannot fail: the counter is 0. */
	if (write(pool->fd, &one, sizeof(one)) != sizeof(one))
		abort();
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

/*
 * What a job has to run: 0 for a fence, for no elements, and for a job that is
 * refused, with the reason in its status.
 */
static uint64_t job_elements(struct vgpu_job *job)
{
	unsigned int i;

	if (job->kernel == 0)
		return 0;
	if (job->kernel != VGPU_KERNEL_VECTOR_ADD) {
		job->status = VGPU_RSP_UNSUPPORTED;
		return 0;
	}
	for (i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];

		if (op->count != job->operand[0].count ||
		    op->count > SIZE_MAX / 4 ||
		    (op->count && !op->host) || (uintptr_t)op->host % 4) {
			job->status = VGPU_RSP_INVALID;
			return 0;
		}
	}
	return job->operand[0].count;
}

static uint64_t part_size(const struct pool *pool, uint64_t count)
{
	uint64_t part = (count - 1) / pool->nr_threads + 1;

	if (part < pool->ops->part_min)
		return pool->ops->part_min;
	return part < pool->ops->part_max ? part : pool->ops->part_max;
}

/*
 * Gets the stream going with the job now at its head, and finishes those that
 * have nothing to run. The lock is held.
 */
static void stream_advance(struct pool *pool,
			   struct vgpu_engine_stream *stream)
{
	uint64_t parts;
	unsigned int wake;

	while (stream->head) {
		struct vgpu_job *job = stream->head;

		stream->count = job_elements(job);
		if (stream->count)
			break;
		stream->head = job->next;
		finish(pool, job);
	}
	if (!stream->head)
		return;
	stream->head->path = pool->ops->path;
	stream->part = part_size(pool, stream->count);
	stream->taken = stream->finished = 0;
	put_runnable(pool, stream);
	parts = (stream->count - 1) / stream->part + 1;
	wake = parts < pool->nr_idle ? (unsigned int)parts : pool->nr_idle;
	while (wake--)
		pthread_cond_signal(&pool->wake);
}

/* Takes a part of the first runnable stream and runs it. The lock is held. */
static void run_part(struct pool *pool, unsigned int thread)
{
	struct vgpu_engine_stream *stream = pool->first_runnable;
	struct vgpu_job *job = stream->head;
	uint64_t first = stream->taken;
	uint64_t left = stream->count - first;
	uint64_t count = left < stream->part ? left : stream->part;
	uint16_t status;

	if (!first)
		stream->start_ns = now_ns();
	stream->taken += count;
	take_runnable(pool, stream);
	if (stream->taken < stream->count)
		put_runnable(pool, stream);

	pthread_mutex_unlock(&pool->lock);
	status = pool->ops->part(pool->engine, thread, job, first, count);
	pthread_mutex_lock(&pool->lock);

	stream->finished += count;
	if (status != VGPU_RSP_OK && job->status == VGPU_RSP_OK) {
		job->status = status;
		/* Nobody needs the parts that no thread has taken yet. */
		stream->finished += stream->count - stream->taken;
		stream->taken = stream->count;
		if (stream->runnable)
			take_runnable(pool, stream);
	}
	if (stream->finished < stream->count)
		return;
	job->time_ns = now_ns() - stream->start_ns;
	stream->head = job->next;
	finish(pool, job);
	stream_advance(pool, stream);
}

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;
	unsigned int thread;

	pthread_mutex_lock(&pool->lock);
	thread = pool->nr_numbered++;
	while (!pool->stop) {
		if (pool->first_runnable) {
			run_part(pool, thread);
			continue;
		}
		pool->nr_idle++;
		pthread_cond_wait(&pool->wake, &pool->lock);
		pool->nr_idle--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

unsigned int pool_processors(unsigned int max)
{
	cpu_set_t set;
	int n = 0;

	CPU_ZERO(&set);
	if (!sched_getaffinity(0, sizeof(set), &set))
		n = CPU_COUNT(&set);
	if (n < 1)
		n = 1;
	return (unsigned int)n < max ? (unsigned int)n : max;
}

static void stop_threads(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	while (pool->nr_threads)
		pthread_join(pool->thread[--pool->nr_threads], NULL);
}

static int start_threads(struct pool *pool, unsigned int threads)
{
	int err = 0;

	while (pool->nr_threads < threads && !err) {
		err = pthread_create(&pool->thread[pool->nr_threads], NULL,
				     pool_thread, pool);
		if (!err)
			pool->nr_threads++;
	}
	return err;
}

struct pool *pool_create(const struct pool_ops *ops, void *engine,
			 unsigned int threads)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int err = ENOMEM;

	if (!pool)
		return NULL;
	pool->ops = ops;
	pool->engine = engine;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->fd < 0) {
		err = errno;
		goto fail;
	}
	pool->thread = calloc(threads, sizeof(*pool->thread));
	if (!pool->thread)
		goto fail;
	err = start_threads(pool, threads);
	if (err)
		goto fail;
	return pool;
fail:
	pool_destroy(pool);
	errno = err;
	return NULL;
}

void pool_destroy(struct pool *pool)
{
	stop_threads(pool);
	if (pool->fd >= 0)
		close(pool->fd);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool->thread);
	free(pool);
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
	pthread_mutex_lock(&pool->lock);
	if (stream->head) {
		stream->tail->next = job;
		stream->tail = job;
	} else {
		stream->head = stream->tail = job;
		stream_advance(pool, stream);
	}
	pthread_mutex_unlock(&pool->lock);
}

struct vgpu_job *pool_reap(struct pool *pool)
{
	struct vgpu_job *done;
	uint64_t events;

	pthread_mutex_lock(&pool->lock);
	done = pool->first_done;
	pool->first_done = NULL;
	pool->armed = false;
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
	armed = pool->armed = !pool->first_done;
	pthread_mutex_unlock(&pool->lock);
	return armed;
}

int pool_fd(const struct pool *pool)
{
	return pool->fd;
}
