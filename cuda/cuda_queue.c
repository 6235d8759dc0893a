// SPDX-License-Identifier: MIT
/*
 * cuda_queue.c - jobs that are begun without waiting, and how their end is seen
 *
 * Owns the CUstreams that jobs are queued on, one for each stream that has jobs
 * in flight, made when first needed and used again; and a word in pinned memory
 * for each. queue_take() and queue_put() run on any thread, queues_collect() on
 * the caller's and queues_ready() on the watch's too; the pool's lock guards all
 * of it. queues_hold() and queues_release() take it.
 *
 * Jobs of a queue are numbered. The GPU writes a number to the queue's word when
 * the job and all before it are done: vector adds do so themselves, all others
 * need a marker behind them. One marker serves all jobs queued since the one
 * before, and is put there when somebody looks: 64 launches and a fence cost 64
 * launches and one marker. Looking at the word is a plain load; neither queueing
 * nor looking is a system call.
 *
 * Jobs seen to be over at once share the time they took. With a time limit there
 * is a marker at least every GROUP_MOST jobs, and they share the limit as well.
 *
 * Some calls of the driver wait for kernels to end and keep all others waiting
 * meanwhile, and a guest's kernel may never end. Who makes one has the queues held
 * first: jobs that come then are begun, but started only when it is through. So
 * no thread ever waits in the driver for a guest, and the time limit is kept.
 *
 * A launch of which it is not known that it is brief has a marker before and one
 * behind it: what it does to time, or to the GPU, is put down to it alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda_queue.h"

/* Of one stream: the driver makes its caller wait behind a thousand. */
#define BEHIND_MOST	512
/* Jobs that share a marker, where there is a time limit. */
#define GROUP_MOST	16
static struct queue *queue_make(struct cuda_engine *eng)
{
	struct cuda_queues *qs = eng->queues;
	struct queue *queue = &qs->queue[qs->nr_queues];

	if (qs->nr_queues == MAX_QUEUES ||
	    eng->dev.cu->cuStreamCreate(&queue->stream,
					CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS)
		return NULL;
	TAILQ_INIT(&queue->inflight);
	qs->nr_queues++;
	return queue;
}

/* For a stream without jobs in flight: an idle one, its last one best. */
static struct queue *queue_for(struct cuda_engine *eng, uint32_t note)
{
	struct cuda_queues *qs = eng->queues;
	struct queue *best = NULL;

	if ((note & NOTE_QUEUE) < qs->nr_queues &&
	    !qs->queue[note & NOTE_QUEUE].nr_inflight)
		return &qs->queue[note & NOTE_QUEUE];
	for (unsigned int i = 0; i < qs->nr_queues; i++)
		if (!best || qs->queue[i].nr_inflight < best->nr_inflight)
			best = &qs->queue[i];
	if (best && !best->nr_inflight)
		return best;
	/* Shared with another stream where there can be no more. */
	return queue_make(eng) ?: best;
}

void queue_blame(struct cuda_engine *eng, struct queued *q, CUresult err)
{
	uint16_t status = cuda_failed(eng, err);

	if (status != VGPU_RSP_DEVICE_LOST)
		q->failed = status;
}

void queue_mark(struct cuda_engine *eng, struct queue *queue)
{
	struct cuda_queues *qs = eng->queues;
	const struct cuda_driver *cu = eng->dev.cu;
	struct queued *last;
	CUresult err;

	if (queue->marked == queue->newest || atomic_load(&eng->lost))
		return;
	/* Behind it may be jobs that are not started yet. */
	TAILQ_FOREACH_REVERSE(last, &queue->inflight, entries, entry)
		if (last->started)
			break;
	err = cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err == CUDA_SUCCESS)
		err = cu->cuStreamWriteValue32(
			queue->stream,
			qs->mapped + queue_number(qs, queue) * WORD_STRIDE,
			queue->newest, CU_STREAM_WRITE_VALUE_DEFAULT);
	/* What nobody can wait for is the end of the GPU. */
	if (err == CUDA_ERROR_OUT_OF_MEMORY)
		err = CUDA_ERROR_UNKNOWN;
	if (err != CUDA_SUCCESS)
		queue_blame(eng, last, err);
	last->way.marked = true;
	queue->marked = queue->newest;
}

static bool is_alone(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_LAUNCH && !launch_is_brief(job);
}

struct queued *queue_take(struct cuda_engine *eng, struct vgpu_job *job,
			  unsigned int behind, uint32_t *note)
{
	struct cuda_queues *qs = eng->queues;
	struct queued *q = TAILQ_FIRST(&qs->free);
	struct queue *queue;
	unsigned int n;

	if (!q || behind >= BEHIND_MOST)
		return NULL;
	queue = behind ? &qs->queue[*note & NOTE_QUEUE] : queue_for(eng, *note);
	if (!queue)
		return NULL;
	n = queue_number(qs, queue);
	TAILQ_REMOVE(&qs->free, q, entry);
	*note = n;
	memset(q, 0, sizeof(*q));
	q->job = job;
	q->queue = queue;
	q->staging = -1;
	q->way.stream = queue->stream;
	q->way.workspace = &queue->workspace;
	q->way.scratch = eng->scratch + n * SCRATCH_BYTES;
	q->way.word = qs->mapped + n * WORD_STRIDE;
	return q;
}

static void start(struct cuda_engine *eng, struct queued *q)
{
	struct queue *queue = q->queue;
	bool alone = is_alone(q->job);

	if (alone)
		queue_mark(eng, queue);
	q->started = true;
	q->start_ns = pool_now_ns();
	q->way.seq = queue->newest + 1;
	if (q->job->op == VGPU_OP_LAUNCH)
		atomic_fetch_add(&eng->launches, 1);
	q->failed = job_start(eng, q);
	if (!q->way.queued)
		return;
	queue->newest = q->way.seq;
	if (q->way.marked)
		queue->marked = q->way.seq;
	else if (alone || (eng->max_job_ns &&
			   queue->newest - queue->marked >= GROUP_MOST))
		queue_mark(eng, queue);
}

/* What was held is started, unless that goes on. */
static void start_held(struct cuda_engine *eng)
{
	struct cuda_queues *qs = eng->queues;
	struct queued *q;

	while (!qs->holds && !atomic_load(&eng->lost) &&
	       (q = TAILQ_FIRST(&qs->held))) {
		TAILQ_REMOVE(&qs->held, q, held);
		start(eng, q);
	}
}

void queue_put(struct cuda_engine *eng, struct queued *q)
{
	struct cuda_queues *qs = eng->queues;
	struct queue *queue = q->queue;

	TAILQ_INSERT_TAIL(&queue->inflight, q, entry);
	queue->nr_inflight++;
	qs->nr_inflight++;
	if (!queue->busy)
		TAILQ_INSERT_TAIL(&qs->busy, queue, entry);
	queue->busy = true;
	if (qs->holds)
		TAILQ_INSERT_TAIL(&qs->held, q, held);
	else
		start(eng, q);
}

bool queues_ready(void *engine)
{
	struct cuda_engine *eng = engine;
	struct queue *queue;
	bool ready = false;

	queues_ask(eng);
	TAILQ_FOREACH(queue, &eng->queues->busy, entry) {
		struct queued *q = TAILQ_FIRST(&queue->inflight);

		/* Who sleeps is told of all that is queued by now. */
		queue_mark(eng, queue);
		ready |= pool_may_end(q->job) && is_over(eng, q);
	}
	return ready;
}

static void end_job(struct cuda_engine *eng, struct queued *q, uint64_t ns,
		    struct pool *pool)
{
	struct cuda_queues *qs = eng->queues;
	struct queue *queue = q->queue;
	struct vgpu_job *job = q->job;
	bool done = q->way.queued &&
		    reached(read_word(qs, queue), q->way.seq);

	if (q->failed)
		job->status = q->failed;
	else if (!done)
		job->status = VGPU_RSP_DEVICE_LOST;
	if (q->staging >= 0)
		direct_end(eng, q, job->status == VGPU_RSP_OK);
	if (job->op == VGPU_OP_MEM_ALLOC && job->status == VGPU_RSP_OK)
		memory_made(job);
	if (!q->started)
		TAILQ_REMOVE(&qs->held, q, held);
	if (job->op == VGPU_OP_LAUNCH && q->started) {
		atomic_fetch_sub(&eng->launches, 1);
		if (job->status == VGPU_RSP_OK)
			launch_ended(job, ns);
	}
	job->time_ns = ns;
	TAILQ_REMOVE(&queue->inflight, q, entry);
	TAILQ_INSERT_HEAD(&qs->free, q, entry);
	queue->nr_inflight--;
	qs->nr_inflight--;
	pool_end(pool, job);
}

/* Ends the jobs at the queue's head that are over; they took equally long. */
static void collect(struct cuda_engine *eng, struct queue *queue,
		    struct pool *pool)
{
	const struct queued *q = TAILQ_FIRST(&queue->inflight);
	uint64_t start = q->start_ns, now, ns;
	unsigned int n = 0;

	for (; q && is_over(eng, q); q = TAILQ_NEXT(q, entry))
		n++;
	if (!n)
		return;
	now = pool_now_ns();
	/* Behind another job it was not busy before that one's end. */
	if (start < queue->last_end_ns)
		start = queue->last_end_ns;
	queue->last_end_ns = now;
	ns = now > start ? now - start : 1;
	/* Jobs that begin meanwhile are not over yet, or are seen next time. */
	for (; n; n--) {
		struct queued *first = TAILQ_FIRST(&queue->inflight);
		uint64_t share = ns / n;

		if (!pool_may_end(first->job))
			return;
		ns -= share;
		end_job(eng, first, share ? share : 1, pool);
	}
}

void queues_collect(void *engine, struct pool *pool)
{
	struct cuda_engine *eng = engine;
	struct cuda_queues *qs = eng->queues;
	struct queue *queue, *next;

	queues_ask(eng);
	if (atomic_load(&eng->lost))
		queues_lay_blame(eng);
	for (queue = TAILQ_FIRST(&qs->busy); queue; queue = next) {
		collect(eng, queue, pool);
		next = TAILQ_NEXT(queue, entry);
		if (!queue->nr_inflight) {
			TAILQ_REMOVE(&qs->busy, queue, entry);
			queue->busy = false;
		} else if (reached(read_word(qs, queue), queue->marked)) {
			/* Else there is a marker on its way: one at a time. */
			queue_mark(eng, queue);
		}
	}
	if (!qs->nr_inflight)
		modules_sweep(eng);
}

bool queues_idle(const struct cuda_engine *eng)
{
	return !eng->queues->nr_inflight;
}

bool queues_held(const struct cuda_engine *eng)
{
	return eng->queues->holds;
}

/* Is there nothing left to wait for? What is queued is looked for from now on. */
static bool all_over(struct cuda_engine *eng)
{
	struct cuda_queues *qs = eng->queues;
	uint64_t before = hook_enter(eng);
	struct queue *queue;
	bool over = true;

	if (!TAILQ_EMPTY(&qs->busy))
		queues_ask(eng);
	TAILQ_FOREACH(queue, &qs->busy, entry) {
		queue_mark(eng, queue);
		over &= reached(read_word(qs, queue), queue->newest);
	}
	hook_leave(eng, before);
	return over || atomic_load(&eng->lost);
}

bool queues_hold(struct cuda_engine *eng)
{
	const struct timespec nap = { 0, 20000 };

	pool_lock(eng->pool);
	eng->queues->holds++;
	while (!all_over(eng)) {
		pool_unlock(eng->pool);
		nanosleep(&nap, NULL);
		pool_lock(eng->pool);
	}
	pool_unlock(eng->pool);
	return !atomic_load(&eng->lost);
}

void queues_release(struct cuda_engine *eng)
{
	uint64_t before;

	pool_lock(eng->pool);
	before = hook_enter(eng);
	eng->queues->holds--;
	start_held(eng);
	hook_leave(eng, before);
	pool_unlock(eng->pool);
}

static CUresult open_memory(struct cuda_engine *eng, const char **call)
{
	static const unsigned char zeros[SCRATCH_BYTES];
	const struct cuda_driver *cu = eng->dev.cu;
	struct cuda_queues *qs = eng->queues;
	void *host = NULL;
	CUresult err;

	*call = "cuMemHostAlloc";
	err = cu->cuMemHostAlloc(&host, WORDS_BYTES, CU_MEMHOSTALLOC_DEVICEMAP);
	if (err != CUDA_SUCCESS)
		return err;
	qs->host = host;
	memset(host, 0, WORDS_BYTES);
	*call = "cuMemHostGetDevicePointer";
	err = cu->cuMemHostGetDevicePointer(&qs->mapped, host, 0);
	if (err != CUDA_SUCCESS)
		return err;
	*call = "cuMemAlloc";
	err = cu->cuMemAlloc(&eng->scratch,
			     (MAX_QUEUES + MAX_LANES) * SCRATCH_BYTES);
	*call = err == CUDA_SUCCESS ? "cuMemcpyHtoD" : *call;
	for (unsigned int i = 0;
	     i < MAX_QUEUES + MAX_LANES && err == CUDA_SUCCESS; i++)
		err = cu->cuMemcpyHtoD(eng->scratch + i * SCRATCH_BYTES, zeros,
				       SCRATCH_BYTES);
	return err;
}

int queues_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct cuda_queues *qs = calloc(1, sizeof(*qs));
	char reason[VGPU_ENGINE_WHY];
	const char *call;
	CUresult err;

	if (!qs) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	eng->queues = qs;
	TAILQ_INIT(&qs->busy);
	TAILQ_INIT(&qs->free);
	TAILQ_INIT(&qs->held);
	for (unsigned int i = 0; i < ENTRIES; i++)
		TAILQ_INSERT_TAIL(&qs->free, &qs->entry[i], entry);
	err = open_memory(eng, &call);
	if (err == CUDA_SUCCESS) {
		call = "cuStreamCreate";
		/* The first: without it nothing could be queued. */
		if (queue_make(eng))
			return 0;
		err = CUDA_ERROR_OUT_OF_MEMORY;
	}
	cuda_why(eng->dev.cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "queues: %.240s", reason);
	return -1;
}

void queues_close(struct cuda_engine *eng)
{
	const struct cuda_driver *cu = eng->dev.cu;
	struct cuda_queues *qs = eng->queues;

	if (!qs)
		return;
	for (unsigned int i = 0; i < qs->nr_queues; i++) {
		cu->cuStreamDestroy(qs->queue[i].stream);
		if (qs->queue[i].workspace)
			cu->cuMemFree(qs->queue[i].workspace);
	}
	if (eng->scratch)
		cu->cuMemFree(eng->scratch);
	if (qs->host)
		cu->cuMemFreeHost(qs->host);
}
