// SPDX-License-Identifier: MIT
/*
 * pool.c - streams of jobs, and threads that run the jobs part by part
 *
 * Owns the streams, the queues of submitted and finished jobs, the threads and
 * the eventfd. pool_submit() and pool_reap() run on the engine's caller thread,
 * pool_thread() on each of the pool's, pool_watch() on one of its own.
 *
 * A stream is a queue of jobs. What the engine can do without a thread it
 * begins at once on the caller's thread, one job behind the other where it
 * says so; all else is shared out when it has come to the queue's head. While
 * that job has parts that no thread has taken, the stream is on the pool's list
 * of runnable streams. A thread takes one part of the first runnable stream and
 * puts the stream at the list's end, so streams share the threads, and one
 * large job alone uses as many of them as the engine wants.
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
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"
#include "wire.h"

/* How long the watch sleeps between two looks: a share of the time it waited. */
#define NAP_SHARE	8
#define NAP_MIN_NS	10000
#define NAP_MAX_NS	1000000

/* Fields from count on describe the job at the head while it is shared out. */
struct vgpu_engine_stream {
	struct vgpu_job *head, *tail;
	struct vgpu_job *next;		/* the first one not begun */
	unsigned int nr_begun;		/* those before it */
	uint32_t note;			/* the engine's */
	bool shared;
	uint64_t count;			/* its elements */
	uint64_t part;			/* elements given to a thread at once */
	unsigned int width;		/* threads that may work on it at once */
	unsigned int running;		/* threads that do */
	uint64_t taken;			/* of count: given to threads */
	uint64_t finished;		/* of count: run */
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
	bool watched;			/* there is a watch */
	pthread_t watch;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t look;		/* for the watch: something to look for */
	bool stop;
	bool armed;			/* the next job to finish is announced */
	bool announced;			/* the eventfd counts 1 */
	unsigned int nr_idle;
	unsigned int nr_numbered;	/* threads that have their number */
	unsigned int nr_begun;		/* jobs of all streams */
	struct vgpu_engine_stream *first_runnable, *last_runnable;
	struct vgpu_job *first_done, *last_done;
};

uint64_t pool_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The lock is held. */
static void announce(struct pool *pool)
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
		announce(pool);
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
 * refused, with the reason in its status. A fault to be made is one element.
 */
static uint64_t job_elements(const struct pool *pool, struct vgpu_job *job)
{
	bool fault = job->kernel == VGPU_KERNEL_DEBUG_FAULT;
	unsigned int i;

	if (job->kernel == 0)
		return 0;
	if (job->kernel != VGPU_KERNEL_VECTOR_ADD && !fault) {
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
	if (job->operand[0].count && pool->ops->check)
		job->status = pool->ops->check(pool->engine, job);
	if (job->status != VGPU_RSP_OK)
		return 0;
	return fault ? 1 : job->operand[0].count;
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
	if (wake > pool->nr_idle)
		wake = pool->nr_idle;
	while (wake--)
		pthread_cond_signal(&pool->wake);
}

/* Takes the job at the head out of its stream. The lock is held. */
static void leave(struct pool *pool, struct vgpu_engine_stream *stream)
{
	struct vgpu_job *job = stream->head;

	stream->head = job->next;
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
	return true;
}

/*
 * Gets the stream going with the jobs that can begin now, and finishes those
 * at its head that have nothing to run. The lock is held, and no job of the
 * stream is shared out.
 */
static void stream_advance(struct pool *pool,
			   struct vgpu_engine_stream *stream, bool caller)
{
	while (stream->next) {
		uint64_t count = job_elements(pool, stream->next);

		if (!count && !stream->nr_begun) {
			stream->next = stream->next->next;
			leave(pool, stream);
			continue;
		}
		if (count && caller && begin(pool, stream))
			continue;
		if (!stream->nr_begun)
			share_out(pool, stream, count);
		return;
	}
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
	if (status != VGPU_RSP_OK && job->status == VGPU_RSP_OK) {
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
	stream_advance(pool, stream, false);
}

/* Takes a part of the first runnable stream and runs it. The lock is held. */
static void run_part(struct pool *pool, unsigned int thread)
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

static uint64_t nap_ns(uint64_t waited_ns)
{
	uint64_t nap = waited_ns / NAP_SHARE;

	if (nap < NAP_MIN_NS)
		return NAP_MIN_NS;
	return nap < NAP_MAX_NS ? nap : NAP_MAX_NS;
}

/*
 * Looks for begun jobs that are over, while the caller sleeps and there are
 * any. It naps between looks, for an eighth of the time waited so far: a job's
 * end is seen that much late at most, on whichever stream it is and whether or
 * not the device still answers.
 */
static void *pool_watch(void *arg)
{
	struct pool *pool = arg;
	uint64_t since = 0;

	/* Naps are shorter than the usual slack. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		struct timespec nap = { 0, 0 };

		if (!pool->armed || !pool->nr_begun) {
			pthread_cond_wait(&pool->look, &pool->lock);
			since = pool_now_ns();
			continue;
		}
		if (pool->ops->ready(pool->engine)) {
			announce(pool);
			continue;
		}
		nap.tv_nsec = (long)nap_ns(pool_now_ns() - since);
		pthread_mutex_unlock(&pool->lock);
		nanosleep(&nap, NULL);
		pthread_mutex_lock(&pool->lock);
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
	pthread_cond_broadcast(&pool->look);
	pthread_mutex_unlock(&pool->lock);
	if (pool->watched)
		pthread_join(pool->watch, NULL);
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
	if (!err && pool->ops->begin) {
		err = pthread_create(&pool->watch, NULL, pool_watch, pool);
		pool->watched = !err;
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
	pthread_cond_init(&pool->look, NULL);
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
	pthread_cond_destroy(&pool->look);
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
	if (stream->head)
		stream->tail->next = job;
	else
		stream->head = job;
	stream->tail = job;
	if (!stream->next)
		stream->next = job;
	if (!stream->shared)
		stream_advance(pool, stream, true);
	if (pool->armed && pool->nr_begun)
		pthread_cond_signal(&pool->look);
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
	stream_advance(pool, stream, true);
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
		pthread_cond_signal(&pool->look);
	pthread_mutex_unlock(&pool->lock);
	return armed;
}

int pool_fd(const struct pool *pool)
{
	return pool->fd;
}
