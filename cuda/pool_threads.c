// SPDX-License-Identifier: MIT
/*
 * pool_threads.c - the pool's threads: those that run parts, and the watch
 *
 * Owns the threads and the eventfd, from pool_create() to pool_destroy(), which
 * run on the engine's caller thread. pool_thread() runs on each of the threads,
 * pool_watch() on one of its own, where the engine begins jobs by itself.
 *
 * Must never run without the pool's lock but for parts.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "pool_internal.h"

/* How long the watch sleeps between two looks: a share of the time it waited. */
#define NAP_SHARE	8
#define NAP_MIN_NS	10000
#define NAP_MAX_NS	1000000

uint64_t pool_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

bool pool_wake_thread(struct pool *pool)
{
	struct pool_thread *t = pool->first_idle;

	if (!t)
		return false;
	pool->first_idle = t->next_idle;
	t->idle = false;
	pthread_cond_signal(&t->wake);
	return true;
}

/* Until somebody takes it off the list of those who are idle. */
static void idle(struct pool *pool, struct pool_thread *t)
{
	t->idle = true;
	t->next_idle = pool->first_idle;
	pool->first_idle = t;
	while (t->idle)
		pthread_cond_wait(&t->wake, &pool->lock);
}

static void *pool_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct pool *pool = t->pool;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		if (pool->first_runnable)
			pool_run_part(pool, t->number);
		else
			idle(pool, t);
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

/* Ends early when the caller arms the pool again: a nap is for older jobs. */
static void nap(struct pool *pool)
{
	uint64_t now = pool_now_ns();
	uint64_t end = now + nap_ns(now - pool->look_since);
	const struct timespec at = {
		.tv_sec = (time_t)(end / 1000000000),
		.tv_nsec = (long)(end % 1000000000),
	};

	pthread_cond_timedwait(&pool->look, &pool->lock, &at);
}

void pool_look(struct pool *pool)
{
	pool->look_since = pool_now_ns();
	pthread_cond_signal(&pool->look);
}

/*
 * Looks for begun jobs that are over, while the caller sleeps and there are
 * any. It naps between looks, for an eighth of the time the caller has slept:
 * a job's end is seen that much late at most, on whichever stream it is and
 * whether or not the device still answers.
 */
static void *pool_watch(void *arg)
{
	struct pool *pool = arg;

	/* Naps are shorter than the usual slack. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		if (!pool->armed || !pool->nr_begun)
			pthread_cond_wait(&pool->look, &pool->lock);
		else if (pool->ops->ready(pool->engine))
			pool_announce(pool);
		else
			nap(pool);
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
	while (pool_wake_thread(pool))
		;
	pthread_cond_signal(&pool->look);
	pthread_mutex_unlock(&pool->lock);
	if (pool->watched)
		pthread_join(pool->watch, NULL);
	while (pool->nr_threads) {
		struct pool_thread *t = &pool->thread[--pool->nr_threads];

		pthread_join(t->thread, NULL);
		pthread_cond_destroy(&t->wake);
	}
}

static int start_threads(struct pool *pool, unsigned int threads)
{
	int err = 0;

	while (pool->nr_threads < threads && !err) {
		struct pool_thread *t = &pool->thread[pool->nr_threads];

		t->pool = pool;
		t->number = pool->nr_threads;
		pthread_cond_init(&t->wake, NULL);
		err = pthread_create(&t->thread, NULL, pool_thread, t);
		if (err)
			pthread_cond_destroy(&t->wake);
		else
			pool->nr_threads++;
	}
	if (!err && pool->ops->begin) {
		err = pthread_create(&pool->watch, NULL, pool_watch, pool);
		pool->watched = !err;
	}
	return err;
}

/* With times as pool_now_ns() has them. */
static void init_look(pthread_cond_t *look)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(look, &attr);
	pthread_condattr_destroy(&attr);
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
	init_look(&pool->look);
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
	pthread_cond_destroy(&pool->look);
	pthread_mutex_destroy(&pool->lock);
	free(pool->thread);
	free(pool);
}
