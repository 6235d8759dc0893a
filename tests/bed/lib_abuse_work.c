// SPDX-License-Identifier: MIT
/*
 * lib_abuse_work.c - abuse with work in flight: freeing, closing and dying in
 * the middle of it, many threads, time limits, poll; part of lib_abuse
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib_abuse.h"

#define THREADS 8
#define PER_THREAD 400
#define BATCH 16
#define ELEMENTS 256

#define RECLAIM_S 150

struct vgpufront_sqe long_work(uint64_t user_data, uint32_t handle,
			       unsigned int level)
{
	static struct sgemm params[LONG_LEVELS];
	const uint32_t n = 64u << level;
	struct sgemm *p = &params[level];
	struct vgpufront_sqe sqe = {
		.user_data = user_data,
		.op = VGPUFRONT_OP_BUILTIN,
		.builtin = {.kernel = KERNEL_SGEMM,
			    .param_len = sizeof(*p),
			    .params = (uintptr_t)p},
	};

	*p = (struct sgemm){.shape = {n, n, n, n, n, n}, .alpha = 1};
	for (unsigned int i = 0; i < 3; i++)
		sqe.builtin.operand[i] = (struct vgpufront_operand){
			.handle = handle,
			.count = n * n,
			.offset = (uint64_t)i * n * n * 4};
	return sqe;
}

static void submit_long(int fd, uint32_t handle, unsigned int level)
{
	struct vgpufront_sqe sqes[LONG_WORK];
	unsigned int i;

	for (i = 0; i < LONG_WORK; i++)
		sqes[i] = long_work(i, handle, level);
	if (submit(fd, sqes, LONG_WORK) != LONG_WORK)
		bail("submit");
}

static void test_free_in_flight(int fd)
{
	unsigned int level, done = 0;
	struct buffer buf;
	int err = 0;

	for (level = 0; level < LONG_LEVELS && !err; level++) {
		buf = buffer_new(fd, LONG_OCTETS);
		submit_long(fd, buf.handle, level);
		err = buffer_free(fd, buf.handle);
		done = drain(fd);
		if (!err)
			munmap(buf.ptr, buf.size);
	}
	is(err, -EBUSY, "a buffer in use by work in flight is not freed");
	is((int)done, LONG_WORK, "the work goes on");
	if (err)
		buffer_end(fd, &buf);
	ok(true, "then it is");
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* What ENTER gave that may wait not at all, a nanosecond, until a signal. */
struct looks {
	int now, nanosecond, nonblock, interrupted;
	unsigned int early; /* reaped by all of them */
	unsigned int total; /* and until nothing was in flight */
};

/* One ENTER; success with nothing in it is -EPROTO. */
static int look(int fd, struct vgpufront_enter *req, struct looks *looks)
{
	int err = enter(fd, req);

	looks->early += req->completed;
	return err || req->completed ? err : -EPROTO;
}

static struct looks look_at(int fd, uint32_t handle, unsigned int level)
{
	struct vgpufront_cqe cqes[LONG_WORK];
	/* Again and again: the first may come before the wait has begun. */
	struct itimerval often = {.it_value.tv_usec = 2000,
				  .it_interval.tv_usec = 2000};
	struct itimerval never = {.it_value.tv_usec = 0};
	struct vgpufront_enter req = {
		.cqes = (uintptr_t)cqes,
		.nr_cqes = LONG_WORK,
		.min_complete = LONG_WORK,
	};
	struct looks looks = {.early = 0};

	submit_long(fd, handle, level);
	looks.now = look(fd, &req, &looks);
	req.timeout_ns = 1;
	looks.nanosecond = look(fd, &req, &looks);
	req.timeout_ns = -1;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	looks.nonblock = look(fd, &req, &looks);
	fcntl(fd, F_SETFL, 0);
	setitimer(ITIMER_REAL, &often, NULL);
	looks.interrupted = look(fd, &req, &looks);
	setitimer(ITIMER_REAL, &never, NULL);
	looks.total = looks.early + drain(fd);
	return looks;
}

static void test_time(int fd)
{
	struct buffer buf = buffer_new(fd, LONG_OCTETS);
	struct sigaction sa = {.sa_handler = on_alarm};
	struct looks looks = {.early = LONG_WORK};
	unsigned int level;

	sigaction(SIGALRM, &sa, NULL);
	/* A call which waits for all of it does so at every level. */
	for (level = 0; level < LONG_LEVELS && looks.early == LONG_WORK;
	     level++)
		looks = look_at(fd, buf.handle, level);
	ok(looks.early < LONG_WORK, "each of these ends before the work does");
	ok(looks.now == -EAGAIN || !looks.now,
	   "without waiting: EAGAIN, or what is there");
	ok(looks.nanosecond == -ETIME || !looks.nanosecond,
	   "a nanosecond: ETIME, or what is there");
	ok(looks.nonblock == -EAGAIN || !looks.nonblock,
	   "O_NONBLOCK never waits");
	ok(looks.interrupted == -EINTR || !looks.interrupted,
	   "a signal ends the wait");
	is((int)looks.total, LONG_WORK, "and nothing is lost by it");
	buffer_end(fd, &buf);
}

static void test_poll(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct vgpufront_sqe sqe = nop(1);

	is(poll(&pfd, 1, 0), 0, "poll: nothing to reap");
	if (submit(fd, &sqe, 1) != 1)
		bail("submit");
	is(poll(&pfd, 1, 150000), 1, "poll wakes at a completion");
	ok(pfd.revents == POLLIN, "with POLLIN alone");
	is(poll(&pfd, 1, 0), 1, "it stays until it is reaped");
	is((int)drain(fd), 1, "which is once");
	is(poll(&pfd, 1, 0), 0, "then it is quiet again");
}

static void test_limit(int fd)
{
	static struct vgpufront_sqe sqes[VGPUFRONT_MAX_REQUESTS + 76];
	unsigned int i;
	int taken;

	for (i = 0; i < VGPUFRONT_MAX_REQUESTS + 76; i++)
		sqes[i] = nop(i);
	taken = submit(fd, sqes, VGPUFRONT_MAX_REQUESTS + 76);
	is(taken, VGPUFRONT_MAX_REQUESTS,
	   "a context has at most so many requests not reaped");
	is(submit(fd, sqes, 1), -EAGAIN, "and not one more");
	is((int)drain(fd), VGPUFRONT_MAX_REQUESTS, "all of them are answered");
}

/* Many threads, one file: any thread reaps any completion. */
static struct {
	int fd;
	uint32_t handle;
	float *memory;
	unsigned char seen[THREADS * PER_THREAD];
	unsigned int reaped, bad;
	bool stop;
} shared;

static void take(const struct vgpufront_cqe *cqe)
{
	if (cqe->user_data >= THREADS * PER_THREAD || cqe->result ||
	    __atomic_exchange_n(&shared.seen[cqe->user_data], 1,
				__ATOMIC_RELAXED))
		__atomic_add_fetch(&shared.bad, 1, __ATOMIC_RELAXED);
}

static void *worker(void *arg)
{
	unsigned int nr = (unsigned int)(uintptr_t)arg, next = 0, i;
	/* a and b are the thread's, behind them there is a c for each request. */
	uint64_t own = (uint64_t)nr * ELEMENTS * 8;
	uint64_t out = (uint64_t)THREADS * ELEMENTS * 8;
	struct vgpufront_sqe sqes[BATCH];
	struct vgpufront_cqe cqes[BATCH];
	int err;

	while (__atomic_load_n(&shared.reaped, __ATOMIC_ACQUIRE) <
	       THREADS * PER_THREAD) {
		struct vgpufront_enter req = {
			.sqes = (uintptr_t)sqes,
			.cqes = (uintptr_t)cqes,
			.nr_cqes = BATCH,
			.min_complete = 1,
			.timeout_ns = 10000000,
		};

		for (i = 0; i < BATCH && next + i < PER_THREAD; i++) {
			unsigned int id = nr * PER_THREAD + next + i;

			sqes[i] = add(id, shared.handle, shared.handle,
				      shared.handle, ELEMENTS);
			sqes[i].stream = (uint16_t)nr;
			sqes[i].builtin.operand[0].offset = own;
			sqes[i].builtin.operand[1].offset = own + ELEMENTS * 4;
			sqes[i].builtin.operand[2].offset =
				out + (uint64_t)id * ELEMENTS * 4;
		}
		req.nr_sqes = i;
		err = enter(shared.fd, &req);
		if (err && err != -EAGAIN && err != -ETIME && err != -EINTR)
			__atomic_add_fetch(&shared.bad, 1, __ATOMIC_RELAXED);
		next += req.submitted;
		for (i = 0; i < req.completed; i++)
			take(&cqes[i]);
		__atomic_add_fetch(&shared.reaped, req.completed,
				   __ATOMIC_RELEASE);
	}
	return NULL;
}

static void test_threads(int fd)
{
	struct buffer buf = buffer_new(
		fd, (THREADS * 2 + THREADS * PER_THREAD) * ELEMENTS * 4);
	pthread_t threads[THREADS];
	unsigned int i, k, wrong = 0;
	float *c;

	shared.fd = fd;
	shared.handle = buf.handle;
	shared.memory = buf.ptr;
	for (i = 0; i < THREADS * 2 * ELEMENTS; i++)
		shared.memory[i] = (float)(i * 37 % 1001) / 3;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, worker,
				   (void *)(uintptr_t)i))
			bail("thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < THREADS * PER_THREAD; i++) {
		const float *a = shared.memory + i / PER_THREAD * ELEMENTS * 2;
		const float *b = a + ELEMENTS;

		c = shared.memory + (THREADS * 2 + i) * ELEMENTS;
		for (k = 0; k < ELEMENTS; k++)
			wrong += c[k] != a[k] + b[k];
		wrong += !shared.seen[i];
	}
	is((int)shared.bad, 0,
	   "%d threads on one file: %d requests, each answered once, without error",
	   THREADS, THREADS * PER_THREAD);
	is((int)wrong, 0, "and every sum is right");
	is((int)drain(fd), 0, "nothing is left");
	buffer_end(fd, &buf);
}

/* Another thread scribbles over the requests while they are read. */
static void *scribble(void *arg)
{
	struct vgpufront_sqe *sqes = arg;
	unsigned int i;

	for (i = 0; !__atomic_load_n(&shared.stop, __ATOMIC_ACQUIRE); i++) {
		volatile struct vgpufront_sqe *sqe = &sqes[i % BATCH];

		sqe->op = (uint8_t)(i >> 4);
		sqe->builtin.operand[i % 3].handle = i;
		sqe->builtin.operand[i % 3].count = i * 2654435761u;
		sqe->builtin.operand[i % 3].offset = ~0ull << (i % 64);
	}
	return NULL;
}

static void test_scribbled(int fd)
{
	struct buffer buf = buffer_new(fd, PAGE);
	struct vgpufront_sqe sqes[BATCH];
	unsigned int i, k, taken = 0, got = 0;
	pthread_t thread;
	int n;

	for (k = 0; k < BATCH; k++)
		sqes[k] = add(k, buf.handle, buf.handle, buf.handle, 4);
	if (pthread_create(&thread, NULL, scribble, sqes))
		bail("thread");
	for (i = 0; i < 200; i++) {
		for (k = 0; k < BATCH; k++)
			((volatile struct vgpufront_sqe *)sqes)[k].op =
				VGPUFRONT_OP_BUILTIN;
		n = submit(fd, sqes, BATCH);
		taken += n > 0 ? (unsigned int)n : 0;
		got += drain(fd);
	}
	__atomic_store_n(&shared.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ok(taken == 200 * BATCH && got == taken,
	   "requests that change while they are read: each has one answer");
	buffer_end(fd, &buf);
}

uint32_t settled_buffers(int fd, uint32_t want)
{
	time_t end = time(NULL) + RECLAIM_S;
	uint32_t nr;

	/* Each question waits for the backend's answer. */
	do
		nr = device_info(fd).nr_buffers;
	while (nr != want && time(NULL) < end);
	return nr;
}

static void busy_then(bool die)
{
	int fd = open_device();
	struct buffer buf = buffer_new(fd, LONG_OCTETS);
	uint32_t pinned;

	if (buffer_register(fd, malloc(100000), 100000, 0, &pinned))
		_exit(1);
	submit_long(fd, buf.handle, 0);
	if (die)
		raise(SIGKILL);
	munmap(buf.ptr, buf.size);
	close(fd);
}

static void test_sudden_end(int fd)
{
	uint32_t before = device_info(fd).nr_buffers;
	unsigned int i, killed = 0;
	int status;
	pid_t pid;

	for (i = 0; i < 5; i++)
		busy_then(false);
	is((int)settled_buffers(fd, before), (int)before,
	   "files closed with work in flight: the backend has nothing of them");
	for (i = 0; i < 5; i++) {
		pid = fork();
		if (!pid) {
			busy_then(true);
			_exit(1);
		}
		killed += waitpid(pid, &status, 0) == pid &&
			  WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	is((int)killed, 5, "processes killed with work in flight");
	is((int)settled_buffers(fd, before), (int)before,
	   "the backend has nothing of them either");
}

void test_work(void)
{
	int fd = open_device();

	test_free_in_flight(fd);
	test_time(fd);
	test_poll(fd);
	test_limit(fd);
	test_threads(fd);
	test_scribbled(fd);
	test_sudden_end(fd);
	close(fd);
}
