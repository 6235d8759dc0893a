/* SPDX-License-Identifier: MIT */
/*
 * pool.h - streams of jobs, and threads that run the jobs part by part
 *
 * What the engines have in common: streams that are queues of jobs, threads
 * that take parts of the jobs at the queues' heads, events between the streams,
 * the list of finished jobs and the descriptor that announces it. An engine
 * adds how one part is run, and may begin jobs by itself, without the threads.
 *
 * The functions below are called from the engine's one caller thread. The
 * callbacks run where they say; all threads are started by pool_create().
 */
#ifndef VGPU_CUDA_POOL_H
#define VGPU_CUDA_POOL_H

#include "engine.h"

struct pool;

/* How a job is shared out: units of a part, parts that run at once. */
struct pool_share {
	uint64_t part;
	unsigned int width;
};

/*
 * The pool itself ends FENCE, EVENT_RECORD and EVENT_WAIT, and asks the engine
 * nothing about them.
 */
struct pool_ops {
	/*
	 * On any thread, with the lock held, when the job may begin: into how
	 * many units it can be shared out, be they elements, octets or tiles.
	 * 0: nothing is left to run; it is done, or refused with the reason in
	 * its status. Behind begun jobs the answer may be given up and asked
	 * for again: an effect must be had once.
	 */
	uint64_t (*count)(void *engine, struct vgpu_job *job);
	/*
	 * Runs units first ... first + count - 1 of a job on pool thread number
	 * `thread`, and says which way they took. Returns enum vgpu_status.
	 * Without the lock.
	 */
	uint16_t (*part)(void *engine, unsigned int thread,
			 const struct vgpu_job *job, uint64_t first,
			 uint64_t count, uint8_t *path);
	/* Any thread, with the lock held. Both at least 1. */
	struct pool_share (*share)(void *engine, const struct vgpu_job *job,
				   uint64_t count);
	/*
	 * The rest, or none of it: jobs that need no thread. Always with the
	 * lock held.
	 *
	 * begin: on any thread. True: the engine has begun the job and will end
	 * it in collect(). `behind` jobs of its stream are begun and not ended;
	 * where it must not run beside them the answer is false, and it is
	 * asked again when they have ended. False with none: the threads run
	 * the job. *note is the stream's, 0 at first.
	 */
	bool (*begin)(void *engine, struct vgpu_job *job, unsigned int behind,
		      uint32_t *note);
	/* On any thread: would collect() end a job? */
	bool (*ready)(void *engine);
	/* On the caller's thread: pool_end() for begun jobs that are over. */
	void (*collect)(void *engine, struct pool *pool);
};

/* Processors this process may run on, 1 ... max. */
unsigned int pool_processors(unsigned int max);

/* Nanoseconds of a clock that only goes forward. */
uint64_t pool_now_ns(void);

/*
 * Starts `threads` threads. NULL with errno set: no memory, descriptors or
 * threads. ops and engine must outlive the pool.
 */
struct pool *pool_create(const struct pool_ops *ops, void *engine,
			 unsigned int threads);

/* All jobs have been reaped and all streams destroyed. Joins the threads. */
void pool_destroy(struct pool *pool);

/* NULL: out of memory. */
struct vgpu_engine_stream *pool_stream_create(struct pool *pool);
void pool_stream_destroy(struct pool *pool, struct vgpu_engine_stream *stream);

/* As in struct vgpu_engine_ops. */
void pool_submit(struct pool *pool, struct vgpu_job *job);
struct vgpu_job *pool_reap(struct pool *pool);
bool pool_arm(struct pool *pool);
int pool_fd(const struct pool *pool);

/*
 * The lock that the callbacks are called with: for an engine's calls that look
 * at what these keep. Not from a callback.
 */
void pool_lock(struct pool *pool);
void pool_unlock(struct pool *pool);

/*
 * For collect() and ready() only. Of the begun jobs of one stream, the oldest
 * is the one that may end now.
 */
bool pool_may_end(const struct vgpu_job *job);
void pool_end(struct pool *pool, struct vgpu_job *job);

#endif /* VGPU_CUDA_POOL_H */
