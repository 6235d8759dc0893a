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

/* Work that lasts: a chain of additions to 1 Mi elements. */
#define LONG_ELEMENTS (1u << 20)
#define LONG_CHAIN 32

#define THREADS 8
#define PER_THREAD 400
#define BATCH 16
#define ELEMENTS 256

#define RECLAIM_S 30

static void submit_long(int fd, uint32_t handle)
{
	struct vgpufront_sqe sqes[LONG_CHAIN];
	unsigned int i;

	for (i = 0; i < LONG_CHAIN; i++)
		sqes[i] = add(i, handle, handle, handle, LONG_ELEMENTS);
	if (submit(fd, sqes, LONG_CHAIN) != LONG_CHAIN)
		bail("submit");
}

static void test_free_in_flight(int fd)
{
	struct buffer buf = buffer_new(fd, LONG_ELEMENTS * 4);

	submit_long(fd, buf.handle);
	is(buffer_free(fd, buf.handle), -EBUSY,
	   "a buffer in use by work in flight is not freed");
	is((int)drain(fd), LONG_CHAIN, "the work goes on");
	buffer_end(fd, &buf);
	ok(true, "then it is");
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_time(int fd)
{
	struct buffer buf = buffer_new(fd, LONG_ELEMENTS * 4);
	struct itimerval soon = {.it_value.tv_usec = 2000};
	struct sigaction sa = {.sa_handler = on_alarm};
	struct vgpufront_cqe cqes[LONG_CHAIN];
	struct vgpufront_enter req = {
		.cqes = (uintptr_t)cqes,
		.nr_cqes = LONG_CHAIN,
		.min_complete = LONG_CHAIN,
	};
	unsigned int done = 0;
	int err;

	/* Each of these may reap some; none can have reaped all. */
	submit_long(fd, buf.handle);
	err = enter(fd, &req);
	done += req.completed;
	ok(err == -EAGAIN || (!err && done < LONG_CHAIN),
	   "without waiting: EAGAIN, or what is there");
	req.timeout_ns = 1;
	err = enter(fd, &req);
	done += req.completed;
	ok(err == -ETIME || (!err && done < LONG_CHAIN),
	   "a nanosecond: ETIME, or what is there");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	req.timeout_ns = -1;
	err = enter(fd, &req);
	done += req.completed;
	fcntl(fd, F_SETFL, 0);
	ok(err == -EAGAIN || (!err && done < LONG_CHAIN),
	   "O_NONBLOCK never waits");
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	err = enter(fd, &req);
	done += req.completed;
	ok(err == -EINTR || !err, "a signal ends the wait");
	is((int)(done + drain(fd)), LONG_CHAIN, "and nothing is lost by it");
	buffer_end(fd, &buf);
}

static void test_poll(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct vgpufront_sqe sqe = nop(1);

	is(poll(&pfd, 1, 0), 0, "poll: nothing to reap");
	if (submit(fd, &sqe, 1) != 1)
		bail("submit");
	is(poll(&pfd, 1, 10000), 1, "poll wakes at a completion");
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
	struct buffer buf = buffer_new(fd, LONG_ELEMENTS * 4);
	uint32_t pinned;

	if (buffer_register(fd, malloc(100000), 100000, 0, &pinned))
		_exit(1);
	submit_long(fd, buf.handle);
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
