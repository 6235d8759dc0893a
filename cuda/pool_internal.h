/* SPDX-License-Identifier: MIT */
/*
 * pool_internal.h - what pool.c and pool_threads.c share; for them alone
 */
#ifndef VGPU_CUDA_POOL_INTERNAL_H
#define VGPU_CUDA_POOL_INTERNAL_H

#include <pthread.h>

#include "pool.h"

/*
 * Jobs before next are begun, by the engine, or marks that are done when those
 * are. Fields from count on describe the job at the head while it is shared out.
 */
struct vgpu_engine_stream {
	struct vgpu_job *head, *tail;
	struct vgpu_job *next;		/* the first one not begun */
	unsigned int nr_begun;		/* by the engine */
	uint32_t note;			/* the engine's */
	bool advancing;			/* is on the list of those to advance */
	struct vgpu_engine_stream *next_advancing;
	bool shared;
	uint64_t count;			/* its units */
	uint64_t part;			/* units given to a thread at once */
	unsigned int width;		/* threads that may work on it at once */
	unsigned int running;		/* threads that do */
	uint64_t taken;			/* of count: given to threads */
	uint64_t finished;		/* of count: run */
	uint64_t start_ns;
	bool runnable;
	struct vgpu_engine_stream *next_runnable;
};

/*
 * A thread that runs parts. Each has a condition that it alone waits for: of
 * several waiters glibc before 2.41 may wake none (its bug 25847), and a job would
 * never begin.
 */
struct pool_thread {
	struct pool *pool;
	pthread_t thread;
	unsigned int number;
	pthread_cond_t wake;
	bool idle;			/* on the list of those to be woken */
	struct pool_thread *next_idle;
};

struct pool {
	const struct pool_ops *ops;
	void *engine;
	int fd;
	unsigned int nr_threads;
	struct pool_thread *thread;
	bool watched;			/* there is a watch */
	pthread_t watch;

	pthread_mutex_t lock;
	pthread_cond_t look;		/* for the watch: something to look for */
	bool stop;
	bool armed;			/* the next job to finish is announced */
	bool announced;			/* the eventfd counts 1 */
	uint64_t look_since;		/* the watch looks more often at first */
	struct pool_thread *first_idle;
	unsigned int nr_begun;		/* jobs of all streams */
	bool advancing;			/* a thread advances the streams below */
	struct vgpu_engine_stream *first_advancing;
	struct vgpu_engine_stream *first_runnable, *last_runnable;
	struct vgpu_job *first_done, *last_done;
};

/* The lock is held for all of these. */

/* Wakes one of the idle threads. False: there is none. */
bool pool_wake_thread(struct pool *pool);
/* Wakes the watch: what it looks for may be over soon. */
void pool_look(struct pool *pool);
/* Makes the descriptor readable, as the armed pool has promised. */
void pool_announce(struct pool *pool);
/* Takes a part of the first runnable stream and runs it, without the lock. */
void pool_run_part(struct pool *pool, unsigned int thread);

#endif /* VGPU_CUDA_POOL_INTERNAL_H */
