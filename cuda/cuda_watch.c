// SPDX-License-Identifier: MIT
/*
 * cuda_watch.c - jobs on the queues that do not end, and who is to blame for it
 *
 * Runs on any thread with the pool's lock, but for the watchdog, which has a
 * thread of its own.
 *
 * A kernel that dies writes no word. So while the oldest job takes long the
 * driver is asked now and then whether the GPU still lives; and when any thread
 * has met an error of the GPU all jobs in flight are over. Which of a guest's
 * kernels it was nobody says: the oldest one whose end was not seen is blamed.
 *
 * A kernel that takes longer than the time limit is the end of the engine, and of
 * its process soon after: nothing else ends a kernel. Jobs that share a marker
 * share the limit too.
 *
 * The driver may keep its caller waiting for a kernel in ways that nobody foresaw
 * (a launch that needs more local memory than any before it). Then nobody looks
 * at the time. With a limit there is a watchdog: when a hook of the pool's has
 * not come back for far longer than that, it ends the process.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuda_queue.h"

/* The driver is asked about a job this old, and again after as long. */
#define ASK_NS		200000
/* Beyond twice the limit: no hook takes so long by itself. */
#define STUCK_NS	UINT64_C(1000000000)
#define LOOK_MOST_NS	UINT64_C(500000000)

/* How long the queue's oldest jobs are over their time; 0: they are not. */
static uint64_t overdue(const struct cuda_engine *eng,
			const struct queue *queue, uint64_t now)
{
	const struct queued *q = TAILQ_FIRST(&queue->inflight);
	uint64_t start, limit = 0;

	/* Some may be over, and nobody has looked. */
	while (q && is_over(eng, q))
		q = TAILQ_NEXT(q, entry);
	if (!eng->max_job_ns || !q || !q->started)
		return 0;
	start = q->start_ns;
	if (start < queue->last_end_ns)
		start = queue->last_end_ns;
	for (; q; q = TAILQ_NEXT(q, entry)) {
		limit += eng->max_job_ns;
		if (q->way.marked)
			break;
	}
	return now > start && now - start > limit ? now - start - limit : 0;
}

/* A kernel that does not end ends the engine: nothing else would. */
static void hold_to_limit(struct cuda_engine *eng, uint64_t now)
{
	struct queue *queue, *worst = NULL;
	uint64_t most = 0;
	struct queued *q;

	TAILQ_FOREACH(queue, &eng->queues->busy, entry) {
		uint64_t ns = overdue(eng, queue, now);

		if (ns <= most)
			continue;
		most = ns;
		worst = queue;
	}
	if (!worst)
		return;
	TAILQ_FOREACH(q, &worst->inflight, entry)
		if (!is_over(eng, q))
			break;
	q->failed = VGPU_RSP_TIMEOUT;
	atomic_store(&eng->stuck, true);
	atomic_store(&eng->lost, true);
}

static struct queued *oldest(const struct cuda_engine *eng, bool launch)
{
	struct queued *found = NULL, *q;
	struct queue *queue;

	TAILQ_FOREACH(queue, &eng->queues->busy, entry) {
		uint32_t word = read_word(eng->queues, queue);

		TAILQ_FOREACH(q, &queue->inflight, entry)
			if (q->started && !q->failed &&
			    !reached(word, q->way.seq) &&
			    (!launch || q->job->op == VGPU_OP_LAUNCH))
				break;
		if (q && (!found || q->start_ns < found->start_ns))
			found = q;
	}
	return found;
}

/* Does the GPU still answer? Not asked before the oldest job is old. */
void queues_ask(struct cuda_engine *eng)
{
	struct cuda_queues *qs = eng->queues;
	struct queued *q;
	uint64_t now = pool_now_ns();
	CUresult err;

	if (atomic_load(&eng->lost) || now - qs->asked_ns < ASK_NS)
		return;
	q = oldest(eng, false);
	if (!q || now - q->start_ns < ASK_NS)
		return;
	qs->asked_ns = now;
	err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err == CUDA_SUCCESS)
		err = eng->dev.cu->cuStreamQuery(q->queue->stream);
	/* Short of memory is no answer: the kernel may still be at work. */
	if (err == CUDA_SUCCESS || err == CUDA_ERROR_NOT_READY ||
	    err == CUDA_ERROR_OUT_OF_MEMORY)
		hold_to_limit(eng, now);
	else
		queue_blame(eng, q, err);
}

/* Somebody met a fault while guests' kernels ran. */
void queues_lay_blame(struct cuda_engine *eng)
{
	unsigned int status = atomic_exchange(&eng->blame, 0);
	struct queued *q;

	if (!status)
		return;
	q = oldest(eng, true) ?: oldest(eng, false);
	if (q)
		q->failed = (uint16_t)status;
}

struct watchdog {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static void end_process(void)
{
	static const char text[] =
		"cuda: the driver waits for a kernel that exceeds its time limit: ending the process\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

static bool is_stuck(struct cuda_engine *eng)
{
	uint64_t since = atomic_load(&eng->in_hook), now = pool_now_ns();

	return since && now > since &&
	       now - since > 2 * eng->max_job_ns + STUCK_NS;
}

static void look_at(struct timespec *ts, uint64_t ns)
{
	uint64_t at = pool_now_ns() + (ns < LOOK_MOST_NS ? ns : LOOK_MOST_NS);

	ts->tv_sec = (time_t)(at / 1000000000);
	ts->tv_nsec = (long)(at % 1000000000);
}

static void *watchdog_thread(void *arg)
{
	struct cuda_engine *eng = arg;
	struct watchdog *dog = eng->watchdog;
	struct timespec at;

	pthread_mutex_lock(&dog->lock);
	while (!dog->stop) {
		if (is_stuck(eng))
			end_process();
		look_at(&at, eng->max_job_ns + STUCK_NS / 10);
		pthread_cond_timedwait(&dog->wake, &dog->lock, &at);
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

int watchdog_open(struct cuda_engine *eng)
{
	struct watchdog *dog;
	pthread_condattr_t attr;
	int err;

	if (!eng->max_job_ns)
		return 0;
	dog = calloc(1, sizeof(*dog));
	if (!dog)
		return ENOMEM;
	pthread_mutex_init(&dog->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dog->wake, &attr);
	pthread_condattr_destroy(&attr);
	eng->watchdog = dog;
	err = pthread_create(&dog->thread, NULL, watchdog_thread, eng);
	if (!err)
		return 0;
	eng->watchdog = NULL;
	free(dog);
	return err;
}

void watchdog_close(struct cuda_engine *eng)
{
	struct watchdog *dog = eng->watchdog;

	if (!dog)
		return;
	pthread_mutex_lock(&dog->lock);
	dog->stop = true;
	pthread_cond_signal(&dog->wake);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	pthread_cond_destroy(&dog->wake);
	pthread_mutex_destroy(&dog->lock);
	free(dog);
}
