// SPDX-License-Identifier: MIT
/*
 * test_backend_lease.c - lease.h and gate.c under load: two workers, an arbiter
 *
 * Three threads that share nothing but the pages, kicks and wakes. The workers have
 * gates and engines of their own, which end jobs at once or when the worker sleeps;
 * the arbiter here grants, tells and asks to leave at random moments. What must
 * hold: never does one engine have work while the other has; whoever waits for a
 * kick or a wake gets it; jobs come back, each once, in order.
 *
 * Built three times: as it is, with ASan and UBSan, and with TSan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xen/io/vgpuif.h>

#include "gate.h"

/* How often the GPU changes hands. */
#ifndef GRANTS
#define GRANTS 20000
#endif

#define WORKERS 2
#define BURST 8

/* A wake-up that takes longer is lost. */
#define LOST_MS 20000

/*
 * @eng: the first member, as the engine's are
 * @announce: its descriptor
 * @queued: jobs it has, @ended: to be reaped
 * @page ... @wake: the lease
 * @expected: the job that is to come back next
 */
struct worker {
	struct vgpu_engine eng;
	int announce;
	struct vgpu_job *queued;
	struct vgpu_job *ended;
	unsigned int seed;
	unsigned int number;
	struct lease page;
	int kick;
	int wake[2];
	struct gate gate;
	struct vgpu_job job[BURST];
	struct gate_job gate_job[BURST];
	unsigned int expected;
	uint64_t jobs;
};

static struct worker workers[WORKERS];
/* Whose work the GPU has: a worker's number + 1. */
static _Atomic unsigned int gpu;
static _Atomic bool stop;
static _Atomic unsigned int stopped;

/* A thread that cmocka does not know of cannot go on by its asserts. */
static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "test_backend_lease: %s\n", what);
	abort();
}

static void ring_bell(int fd)
{
	const uint64_t one = 1;

	must(write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN,
	     "a descriptor does not work");
}

/* ---- the engine --------------------------------------------------------- */

static void append(struct vgpu_job **list, struct vgpu_job *one)
{
	while (*list)
		list = &(*list)->next;
	one->next = NULL;
	*list = one;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *one)
{
	struct worker *w = (void *)eng;
	unsigned int had = atomic_exchange(&gpu, w->number + 1);

	must(!had || had == w->number + 1, "two have the GPU");
	append(&w->queued, one);
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct worker *w = (void *)eng;
	struct vgpu_job *done = w->ended;
	uint64_t count;

	if (read(w->announce, &count, sizeof(count)) < 0)
		must(errno == EAGAIN, "the engine's descriptor does not work");
	w->ended = NULL;
	if (w->queued && rand_r(&w->seed) % 2) {
		struct vgpu_job *one = w->queued;

		w->queued = one->next;
		append(&done, one);
	}
	if (done && !w->queued)
		must(atomic_exchange(&gpu, 0) == w->number + 1,
		     "another had the GPU meanwhile");
	return done;
}

/* Asleep, the next job ends, and says so. */
static bool fake_arm(struct vgpu_engine *eng)
{
	struct worker *w = (void *)eng;
	struct vgpu_job *one = w->queued;

	if (w->ended)
		return false;
	w->queued = one->next;
	append(&w->ended, one);
	ring_bell(w->announce);
	return true;
}

static const struct vgpu_engine_ops fake_ops = {
	.submit = fake_submit,
	.reap = fake_reap,
	.arm = fake_arm,
};

/* ---- a worker ----------------------------------------------------------- */

static void burst(struct worker *w, unsigned int n)
{
	w->expected = 0;
	for (unsigned int i = 0; i < n; i++) {
		w->job[i].op = VGPU_OP_BUILTIN;
		w->job[i].kernel = i;
		w->gate_job[i].job = &w->job[i];
		gate_submit(&w->gate, &w->gate_job[i]);
	}
}

static void turn(struct worker *w)
{
	struct vgpu_job *done;

	for (done = gate_reap(&w->gate); done; done = done->next) {
		must(done == &w->job[w->expected], "a job out of its order");
		w->expected++;
		w->jobs++;
	}
}

/* timeout: as poll(2); 0: something else wakes it at once, as a guest would. */
static void nap(struct worker *w, int timeout)
{
	struct pollfd fds[] = {
		{.fd = w->wake[0], .events = POLLIN},
		{.fd = w->announce, .events = POLLIN},
	};
	int n;

	if (!gate_arm(&w->gate))
		return;
	n = poll(fds, 2, timeout);
	must(n > 0 || !timeout, "nobody woke a worker with jobs");
	gate_awake(&w->gate);
	if (fds[0].revents)
		gate_woken(&w->gate);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!stop) {
		unsigned int n = 1 + rand_r(&w->seed) % BURST;

		burst(w, n);
		while (w->expected < n) {
			turn(w);
			if (w->expected < n && rand_r(&w->seed) % 4 == 0)
				nap(w, LOST_MS);
		}
		/* The guest thinks, and its worker polls, sleeps, or neither. */
		for (n = rand_r(&w->seed) % 4; n; n--)
			turn(w);
		if (rand_r(&w->seed) % 2)
			nap(w, 0);
	}
	/* It keeps nobody from the GPU. */
	gate_arm(&w->gate);
	stopped++;
	ring_bell(w->kick);
	return NULL;
}

/* ---- the arbiter -------------------------------------------------------- */

static bool others_want(const struct worker *holder)
{
	bool want = false;

	for (unsigned int i = 0; i < WORKERS; i++)
		want |= &workers[i] != holder &&
			lease_word(&workers[i].page) & LEASE_WANT;
	return want;
}

static void wait_for_kicks(void)
{
	struct pollfd fds[WORKERS];
	uint64_t count;

	for (unsigned int i = 0; i < WORKERS; i++)
		fds[i] = (struct pollfd){workers[i].kick, POLLIN, 0};
	must(poll(fds, WORKERS, LOST_MS) > 0, "nobody kicked the arbiter");
	for (unsigned int i = 0; i < WORKERS; i++)
		if (fds[i].revents)
			must(read(workers[i].kick, &count, sizeof(count)) ==
				     sizeof(count),
			     "a kick cannot be read");
}

static struct worker *grant_next(unsigned int *next)
{
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[(*next + i) % WORKERS];

		if (!(lease_word(&w->page) & LEASE_WANT))
			continue;
		*next += i + 1;
		if (lease_grant(&w->page))
			ring_bell(w->wake[1]);
		return w;
	}
	return NULL;
}

static void arbitrate(void)
{
	struct worker *holder = NULL;
	unsigned int next = 0, seed = 7;
	unsigned int grants = 0;

	while (stopped < WORKERS) {
		if (holder && !(lease_word(&holder->page) & LEASE_HELD))
			holder = NULL;
		if (!holder) {
			holder = grant_next(&next);
			grants += holder != NULL;
			stop = grants >= GRANTS;
		}
		if (holder && lease_contend(&holder->page, others_want(holder)))
			holder = NULL;
		if (holder && others_want(holder) && rand_r(&seed) % 2 &&
		    lease_leave(&holder->page))
			holder = NULL;
		if (holder || !others_want(NULL))
			wait_for_kicks();
	}
}

/* ---- the tests ---------------------------------------------------------- */

static void never_both_and_never_asleep(void **state)
{
	pthread_t thread[WORKERS];

	(void)state;
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		w->eng.ops = &fake_ops;
		w->seed = w->number = i;
		w->announce = eventfd(0, EFD_NONBLOCK);
		w->kick = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(pipe2(w->wake, O_NONBLOCK), 0);
		/* One knows no bound, the other keeps one. */
		w->page.bound_ns = i * 50000;
		gate_init(&w->gate, &w->eng, &w->page, w->kick, w->wake[0]);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, work, &workers[i]), 0);
	arbitrate();
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		assert_true(workers[i].jobs > GRANTS / 8);
		assert_int_equal(workers[i].page.busy_since, 0);
		assert_false(workers[i].page.word & (LEASE_BUSY | LEASE_WANT));
		close(workers[i].announce);
		close(workers[i].kick);
		close(workers[i].wake[0]);
		close(workers[i].wake[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_both_and_never_asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
