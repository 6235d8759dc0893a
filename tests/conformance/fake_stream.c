// SPDX-License-Identifier: MIT
/*
 * fake_stream.c - streams, events and copies of the fake libcuda.so.1
 *
 * Owns the streams. Each has a thread, which does its work one by one, some
 * time after the call that queued it; the NULL stream does it at once. A kernel
 * on memory that is none, or that only may be read, kills the context: all that
 * is queued is dropped, and every call fails from then on.
 */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_cuda.h"

struct event {
	int pending;			/* under the lock */
	int asked;
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
			used |= within(w->word, p, len) ||
				within(w->counter, p, len) ||
				(w->type < EVENT &&
				 (within(w->dst, p, len) ||
				  within(w->src[0], p, len) ||
				  within(w->src[1], p, len)));
	pthread_mutex_unlock(&lock);
	return used && !atomic_load(&fake_sticky);
}

/* May a kernel do this? A GPU finds out when it does. */
static int add_is_legal(const struct work *w)
{
	return fake_may_read(w->src[0], w->len) &&
	       fake_may_read(w->src[1], w->len) &&
	       fake_may_write(w->dst, w->len) &&
	       (!w->word || (fake_memory(w->word, 4) == PINNED &&
			     fake_memory(w->counter, 4) == DEVICE));
}

static void add(const struct work *w)
{
	const float *a = w->src[0], *b = w->src[1];
	float *c = w->dst;

	if (!w->drop)
		for (size_t i = 0; i < w->len / 4; i++)
			c[i] = a[i] + b[i];
}

static void set(const struct work *w)
{
	unsigned char *at = w->dst;

	for (size_t i = 0; i < w->len; i += w->width)
		memcpy(at + i, &w->seq, w->width);
}

/* 0: the kernel did what no kernel may. */
static int run_kernel(const struct work *w)
{
	fenv_t env;
	int ok = 1;

	/* A GPU does not care how the host rounds. */
	fegetenv(&env);
	fesetenv(FE_DFL_ENV);
	if (w->type == FAULT)
		ok = 0;
	else if (w->type == KERNEL)
		ok = w->kernel(w);
	else if ((ok = add_is_legal(w)))
		add(w);
	fesetenv(&env);
	return ok;
}

static void perform(const struct work *w)
{
	const struct timespec slice = { 0, 5000000 };

	if (w->type == FREE)
		fake_free(w->dst);
	if (atomic_load(&fake_sticky))
		return;
	if (w->late)
		nanosleep(&slice, NULL);
	if (w->type <= KERNEL && !run_kernel(w))
		atomic_store(&fake_sticky, CUDA_ERROR_ILLEGAL_ADDRESS);
	if (w->type == COPY && !w->drop)
		memmove(w->dst, w->src[0], w->len);
	else if (w->type == SET)
		set(w);
	if (w->spoil && w->len)
		((unsigned char *)w->dst)[w->len - (w->type == ADD ? 4 : 1)] ^= 1;
}

/* See FAKE_CUDA_FAST. */
int fake_is_skipped(size_t len)
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

CUresult fake_queue(CUstream stream, const struct work *what)
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
	w->late = getenv("FAKE_CUDA_BUSY") && w->type <= KERNEL;
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
	sigset_t all, before;
	struct stream *s;

	MAY_FAIL(cuStreamCreate);
	if (flags != CU_STREAM_NON_BLOCKING)
		fake_misuse("a stream that waits for the NULL stream");
	s = calloc(1, sizeof(*s));
	pthread_cond_init(&s->more, NULL);
	/* A real stream has no thread that could catch a signal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&s->thread, NULL, stream_thread, s))
		fake_misuse("no thread for a stream");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
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
	struct stream *s = (struct stream *)stream;

	MAY_FAIL(cuStreamSynchronize);
	pthread_mutex_lock(&lock);
	for (struct work *w = s ? s->head : NULL; w; w = w->next)
		if (w->type != FREE)
			fake_misuse("a stream is waited for that has work");
	while (s && s->head)
		pthread_cond_wait(&done, &lock);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr at, cuuint32_t value,
			      unsigned int flags)
{
	const struct work w = {
		.type = WRITE, .word = (uint32_t *)(uintptr_t)at, .seq = value,
	};

	MAY_FAIL(cuStreamWriteValue32);
	if (flags != CU_STREAM_WRITE_VALUE_DEFAULT || at % 4 ||
	    fake_memory(w.word, 4) != PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	return fake_queue(stream, &w);
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
	return fake_queue(stream, &w);
}

CUresult cuEventQuery(CUevent event)
{
	struct event *e = (struct event *)event;
	int pending;

	MAY_FAIL(cuEventQuery);
	pthread_mutex_lock(&lock);
	pending = e->pending ||
		  (getenv("FAKE_CUDA_SLOW") && ++e->asked % 100);
	pthread_mutex_unlock(&lock);
	if (pending)
		return CUDA_ERROR_NOT_READY;
	return (CUresult)atomic_load(&fake_sticky);
}

static CUresult copy(CUstream stream, void *dst, const void *src, size_t len,
		     int spoil, const char *without_effect)
{
	const struct work w = {
		.type = COPY, .dst = dst, .src = { src, src }, .len = len,
		.spoil = spoil,
		.drop = fake_is_skipped(len) ||
			(fake_wrong(without_effect) &&
			 (fake_memory(dst, 1) == REGISTERED ||
			  fake_memory(src, 1) == REGISTERED)),
	};

	if (fake_memory(dst, len) == REGISTERED_READ_ONLY)
		return CUDA_ERROR_INVALID_VALUE;
	return fake_queue(stream, &w);
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

CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t len,
			   CUstream stream)
{
	MAY_FAIL(cuMemcpyDtoDAsync);
	if (fake_memory((void *)(uintptr_t)dst, len) != DEVICE ||
	    fake_memory((void *)(uintptr_t)src, len) != DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return copy(stream, (void *)(uintptr_t)dst,
		    (const void *)(uintptr_t)src, len, 0, "");
}

/* Used for what is pinned on both sides. */
CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t len,
		       CUstream stream)
{
	MAY_FAIL(cuMemcpyAsync);
	if (!is_async((void *)(uintptr_t)dst, len) ||
	    !is_async((void *)(uintptr_t)src, len))
		return CUDA_ERROR_INVALID_VALUE;
	return copy(stream, (void *)(uintptr_t)dst,
		    (const void *)(uintptr_t)src, len, 0, "copy-out");
}

static CUresult set_async(CUstream stream, CUdeviceptr at, uint32_t value,
			  unsigned int width, size_t n)
{
	const struct work w = {
		.type = SET, .dst = (void *)(uintptr_t)at, .seq = value,
		.width = width, .len = n * width,
	};

	if (at % width || !fake_may_write(w.dst, w.len))
		return CUDA_ERROR_INVALID_VALUE;
	return fake_queue(stream, &w);
}

CUresult cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t n,
			 CUstream stream)
{
	MAY_FAIL(cuMemsetD8Async);
	return set_async(stream, at, value, 1, n);
}

CUresult cuMemsetD16Async(CUdeviceptr at, unsigned short value, size_t n,
			  CUstream stream)
{
	MAY_FAIL(cuMemsetD16Async);
	return set_async(stream, at, value, 2, n);
}

CUresult cuMemsetD32Async(CUdeviceptr at, unsigned int value, size_t n,
			  CUstream stream)
{
	MAY_FAIL(cuMemsetD32Async);
	return set_async(stream, at, value, 4, n);
}
