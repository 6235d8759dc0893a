/* SPDX-License-Identifier: MIT */
/*
 * cuda_queue.h - what cuda_queue.c and cuda_watch.c share; for them alone
 *
 * All of it is guarded by the pool's lock.
 */
#ifndef VGPU_CUDA_QUEUE_H
#define VGPU_CUDA_QUEUE_H

#include "engine_cuda.h"

/* A device's ring has no more requests, and the engine no more jobs, but few. */
#define ENTRIES		1024
#define WORDS_BYTES	4096
/* Of the queues' words: a line each, so that none is written beside another. */
#define WORD_STRIDE	(WORDS_BYTES / MAX_QUEUES)

TAILQ_HEAD(entries, queued);

struct queue {
	CUstream stream;
	struct entries inflight;	/* oldest first */
	unsigned int nr_inflight;
	uint32_t newest;		/* number of the job queued last */
	uint32_t marked;		/* the last that the GPU will write */
	bool busy;
	CUdeviceptr workspace;		/* cuda_blas.c's; 0: none yet */
	uint64_t last_end_ns;
	TAILQ_ENTRY(queue) entry;
};

TAILQ_HEAD(queue_list, queue);

struct cuda_queues {
	unsigned char *host;		/* pinned: the words */
	CUdeviceptr mapped;		/* the same, as the GPU sees it */
	unsigned int nr_queues, nr_inflight;
	unsigned int holds;
	struct entries held;		/* to be started, in this order */
	struct queue_list busy;
	struct entries free;
	uint64_t asked_ns;
	struct queue queue[MAX_QUEUES];
	struct queued entry[ENTRIES];
};

static inline unsigned int queue_number(const struct cuda_queues *qs,
					const struct queue *queue)
{
	return (unsigned int)(queue - qs->queue);
}

/* Acquires what the GPU wrote before its word. */
static inline uint32_t read_word(const struct cuda_queues *qs,
				 const struct queue *queue)
{
	const uint32_t *word = (const uint32_t *)(const void *)
		(qs->host + queue_number(qs, queue) * WORD_STRIDE);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Numbers go round. */
static inline bool reached(uint32_t word, uint32_t seq)
{
	return (int32_t)(word - seq) >= 0;
}

static inline bool is_over(const struct cuda_engine *eng, const struct queued *q)
{
	if (!q->started || atomic_load(&eng->lost))
		return atomic_load(&eng->lost);
	return !q->way.queued ||
	       reached(read_word(eng->queues, q->queue), q->way.seq);
}

/* cuda_queue.c: has the GPU say when all that is on the queue is done. */
void queue_mark(struct cuda_engine *eng, struct queue *queue);
/* An error that was met on behalf of this job, unless another one is to blame. */
void queue_blame(struct cuda_engine *eng, struct queued *q, CUresult err);

/*
 * cuda_watch.c: does the GPU still answer, and in time? The driver is asked when
 * the oldest job is old, and again after as long.
 */
void queues_ask(struct cuda_engine *eng);
/* Somebody met a fault while guests' kernels ran: one of them gets the blame. */
void queues_lay_blame(struct cuda_engine *eng);

#endif /* VGPU_CUDA_QUEUE_H */
