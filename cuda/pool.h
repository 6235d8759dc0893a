/* SPDX-License-Identifier: MIT */
/*
 * pool.h - threads that run the jobs of an engine's streams, part by part
 *
 * What the engines have in common: streams that are queues of jobs, threads
 * that take parts of the jobs at the queues' heads, the list of finished jobs
 * and the descriptor that announces it. An engine adds how one part is run.
 *
 * The functions below are called from the engine's one caller thread; the
 * callbacks run on the pool's threads, which are all started by pool_create().
 */
#ifndef VGPU_CUDA_POOL_H
#define VGPU_CUDA_POOL_H

#include "engine.h"

struct pool;

struct pool_ops {
	/*
	 * Runs elements first ... first + count - 1 of a job's kernel on pool
	 * thread number `thread`. Returns enum vgpu_status.
	 */
	uint16_t (*part)(void *engine, unsigned int thread,
			 const struct vgpu_job *job, uint64_t first,
			 uint64_t count);
	/*
	 * Elements of a part: a job is shared out among all threads as far as
	 * these bounds allow.
	 */
	uint64_t part_min, part_max;
	uint8_t path;			/* of jobs that have parts */
};

/* Processors this process may run on, 1 ... max. */
unsigned int pool_processors(unsigned int max);

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

#endif /* VGPU_CUDA_POOL_H */
