// SPDX-License-Identifier: MIT
/*
 * fake_stream.c - streams, events, copies and kernels of the fake libcuda.so.1
 *
 * Owns the streams. Each has a thread, which does its work one by one, some
 * time after the call that queued it; the NULL stream does it at once. A kernel
 * on memory that is none, or that only may be read, kills the context: all that
 * is queued is dropped, and every call fails from then on.
 */
#include <fenv.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_cuda.h"

struct event {
	int pending;			/* under the lock */
};

struct work {
	enum { ADD, FAULT, COPY, EVENT } type;
	void *dst;
	const void *src[2];
	size_t len;			/* octets */
	int spoil;			/* one bit of the result is wrong */
	int drop;			/* without effect */
	int late;			/* others are first */
	uint32_t *word, *counter;
	uint32_t seq;
	struct event *event;
	struct work *next;
};

struct stream {
	pthread_t thread;
	pthread_cond_t more;
	struct work *head, *tail;
	int stop;
	struct stream *next;
};

/* Guards all streams and events; announced: any work done. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static struct stream *streams;

static int within(const void *at, const void *p, size_t len)
{
	return (uintptr_t)at >= (uintptr_t)p &&
	       (uintptr_t)at < (uintptr_t)p + len;
}

void fake_drain(void)
{
	struct stream *s;

	pthread_mutex_lock(&lock);
	do {
		for (s = streams; s && !s->head; s = s->next)
			;
		if (s)
			pthread_cond_wait(&done, &lock);
	} while (s);
	pthread_mutex_unlock(&lock);
}

int fake_in_use(const void *p, size_t len)
{
	int used = 0;

	pthread_mutex_lock(&lock);
	for (struct stream *s = streams; s; s = s->next)
		for (struct work *w = s->head; w; w = w->next)
			used |= w->type < EVENT &&
				(within(w->dst, p, len) ||
				 within(w->src[0], p, len) ||
				 within(w->src[1], p, len) ||
				 within(w->word, p, len) ||
				 within(w->counter, p, len));
	pthread_mutex_unlock(&lock);
	return used && !atomic_load(&fake_sticky);
}

/* May a kernel do this? A GPU finds out when it does. */
static int legal(const struct work *w)
{
	enum memory out = fake_memory(w->dst, w->len);

	return w->type == ADD && fake_memory(w->src[0], w->len) &&
	       fake_memory(w->src[1], w->len) && out &&
	       out != REGISTERED_READ_ONLY &&
	       (!w->word || (fake_memory(w->word, 4) == PINNED &&
			     fake_memory(w->counter, 4) == DEVICE));
}

static void add(const struct work *w)
{
	const float *a = w->src[0], *b = w->src[1];
	float *c = w->dst;

	/* A GPU does not care how the host rounds. */
	fesetenv(FE_DFL_ENV);
	if (!w->drop)
		for (size_t i = 0; i < w->len / 4; i++)
			c[i] = a[i] + b[i];
}

static void perform(const struct work *w)
{
	const struct timespec slice = { 0, 5000000 };
	fenv_t env;

	if (atomic_load(&fake_sticky))
		return;
	if (w->type == FAULT || (w->type == ADD && !legal(w))) {
		atomic_store(&fake_sticky, CUDA_ERROR_ILLEGAL_ADDRESS);
		return;
	}
	if (w->late)
		nanosleep(&slice, NULL);
	fegetenv(&env);
	if (w->type == ADD)
		add(w);
	else if (w->type == COPY && !w->drop)
		memcpy(w->dst, w->src[0], w->len);
	fesetenv(&env);
	if (w->spoil && w->len)
		((unsigned char *)w->dst)[w->len - (w->type == ADD ? 4 : 1)] ^= 1;
}

/* See FAKE_CUDA_FAST. */
static int is_skipped(size_t len)
{
	return len > 65536 && getenv("FAKE_CUDA_FAST");
}

/* The last act: from here on nothing of the work is in use. */
static void complete(const struct work *w)
{
	if (w->type == EVENT)
		w->event->pending--;
	if (w->word && !atomic_load(&fake_sticky))
		__atomic_store_n(w->word, w->seq, __ATOMIC_RELEASE);
}

static void *stream_thread(void *arg)
{
	struct stream *s = arg;

	pthread_mutex_lock(&lock);
	while (s->head || !s->stop) {
		struct work *w = s->head;

		if (!w) {
			pthread_cond_wait(&s->more, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		perform(w);
		pthread_mutex_lock(&lock);
		s->head = w->next;
		complete(w);
		free(w);
		pthread_cond_broadcast(&done);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static CUresult queue(CUstream stream, const struct work *what)
{
	struct stream *s = (struct stream *)stream;
	struct work *w;

	if (!s) {
		perform(what);
		complete(what);
		return (CUresult)atomic_load(&fake_sticky);
	}
	w = malloc(sizeof(*w));
	*w = *what;
	w->late = getenv("FAKE_CUDA_BUSY") && w->type == ADD;
	w->next = NULL;
	pthread_mutex_lock(&lock);
	if (s->head)
		s->tail->next = w;
	else
		s->head = w;
	s->tail = w;
	if (w->type == EVENT)
		w->event->pending++;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	struct stream *s;

	MAY_FAIL(cuStreamCreate);
	if (flags != CU_STREAM_NON_BLOCKING)
		fake_misuse("a stream that waits for the NULL stream");
	s = calloc(1, sizeof(*s));
	pthread_cond_init(&s->more, NULL);
	if (pthread_create(&s->thread, NULL, stream_thread, s))
		fake_misuse("no thread for a stream");
	pthread_mutex_lock(&lock);
	s->next = streams;
	streams = s;
	pthread_mutex_unlock(&lock);
	fake_live++;
	*stream = (CUstream)s;
	return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream)
{
	struct stream *s = (struct stream *)stream, **link = &streams;

	pthread_mutex_lock(&lock);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	s->stop = 1;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->more);
	free(s);
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuStreamQuery(CUstream stream)
{
	struct stream *s = (struct stream *)stream;
	int busy;

	MAY_FAIL(cuStreamQuery);
	pthread_mutex_lock(&lock);
	busy = !!s->head;
	pthread_mutex_unlock(&lock);
	return busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream)
{
	MAY_FAIL(cuStreamSynchronize);
	if (stream)
		fake_misuse("a stream is waited for that is not the NULL one");
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
	(void)flags;
	MAY_FAIL(cuEventCreate);
	*event = calloc(1, sizeof(struct event));
	fake_live++;
	return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event)
{
	free(event);
	fake_live--;
	return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
	const struct work w = { .type = EVENT, .event = (struct event *)event };

	MAY_FAIL(cuEventRecord);
	return queue(stream, &w);
}

CUresult cuEventQuery(CUevent event)
{
	int pending;

	MAY_FAIL(cuEventQuery);
	pthread_mutex_lock(&lock);
	pending = ((struct event *)event)->pending;
	pthread_mutex_unlock(&lock);
	return pending || getenv("FAKE_CUDA_SLOW") ? CUDA_ERROR_NOT_READY :
						     CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event)
{
	MAY_FAIL(cuEventSynchronize);
	pthread_mutex_lock(&lock);
	while (((struct event *)event)->pending)
		pthread_cond_wait(&done, &lock);
	pthread_mutex_unlock(&lock);
	return (CUresult)atomic_load(&fake_sticky);
}

static CUresult copy(CUstream stream, void *dst, const void *src, size_t len,
		     int spoil, const char *without_effect)
{
	const struct work w = {
		.type = COPY, .dst = dst, .src = { src, src }, .len = len,
		.spoil = spoil,
		.drop = is_skipped(len) ||
			(fake_wrong(without_effect) &&
			 (fake_memory(dst, 1) == REGISTERED ||
			  fake_memory(src, 1) == REGISTERED)),
	};

	if (fake_memory(dst, len) == REGISTERED_READ_ONLY)
		return CUDA_ERROR_INVALID_VALUE;
	return queue(stream, &w);
}

CUresult cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t len)
{
	MAY_FAIL(cuMemcpyHtoD);
	return copy(NULL, (void *)(uintptr_t)dst, src, len, 0, "copy-in");
}

CUresult cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t len)
{
	MAY_FAIL(cuMemcpyDtoH);
	return copy(NULL, dst, (const void *)(uintptr_t)src, len,
		    fake_wrong("copy"), "copy-out");
}

/* From memory that is not pinned the driver copies before it returns. */
static int is_async(const void *host, size_t len)
{
	return fake_memory(host, len) >= PINNED;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t len,
			   CUstream stream)
{
	MAY_FAIL(cuMemcpyHtoDAsync);
	if (!is_async(src, len) ||
	    fake_memory((void *)(uintptr_t)dst, len) != DEVICE)
		fake_misuse("an asynchronous copy of memory that is not pinned");
	return copy(stream, (void *)(uintptr_t)dst, src, len, 0, "copy-in");
}

CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t len,
			   CUstream stream)
{
	MAY_FAIL(cuMemcpyDtoHAsync);
	if (!is_async(dst, len) ||
	    fake_memory((void *)(uintptr_t)src, len) != DEVICE)
		fake_misuse("an asynchronous copy to memory that is not pinned");
	return copy(stream, dst, (const void *)(uintptr_t)src, len, 0,
		    "copy-out");
}

static CUresult launch_add(CUstream stream, void **params)
{
	struct work w = {
		.type = ADD,
		.src = { *(const void **)params[0], *(const void **)params[1] },
		.dst = *(void **)params[2],
		.len = *(unsigned long long *)params[3] * sizeof(float),
		.counter = *(uint32_t **)params[4],
		.word = *(uint32_t **)params[5],
		.seq = *(uint32_t *)params[6],
	};

	if ((uintptr_t)w.src[0] % 4 || (uintptr_t)w.src[1] % 4 ||
	    (uintptr_t)w.dst % 4)
		return CUDA_ERROR_MISALIGNED_ADDRESS;
	w.spoil = fake_wrong("kernel") ||
		  (fake_wrong("mapped") && fake_memory(w.dst, 1) == PINNED);
	w.drop = is_skipped(w.len) ||
		 (fake_wrong("kernel-in") &&
		  fake_memory(w.src[0], 1) == REGISTERED) ||
		 (fake_wrong("kernel-out") &&
		  fake_memory(w.dst, 1) == REGISTERED);
	if (fake_wrong("word"))
		w.word = NULL;
	return queue(stream, &w);
}

CUresult cuLaunchKernel(CUfunction fn, unsigned int gx, unsigned int gy,
			unsigned int gz, unsigned int bx, unsigned int by,
			unsigned int bz, unsigned int shared, CUstream stream,
			void **params, void **extra)
{
	const struct work fault = { .type = FAULT };

	MAY_FAIL(cuLaunchKernel);
	if (!gx || gy != 1 || gz != 1 || !bx || bx % 32 || bx > 1024 ||
	    by != 1 || bz != 1 || shared || extra)
		return CUDA_ERROR_INVALID_VALUE;
	/* See cuModuleGetFunction(). */
	return (uintptr_t)fn % 2 ? queue(stream, &fault) :
				   launch_add(stream, params);
}
