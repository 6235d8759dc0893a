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
 * And each change of the word that the workers make, by itself.
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
#define GRANTS 4000
#endif

#define WORKERS 2
#define BURST 8

/* A wake-up that takes longer is lost. */
#define LOST_MS 60000

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

#define H LEASE_HELD
#define B LEASE_BUSY
#define W LEASE_WANT
#define L LEASE_LEAVE
#define C LEASE_CONTENDED
#define A LEASE_ASLEEP

static bool start(struct lease *l)
{
	return lease_start(l);
}

static bool want(struct lease *l)
{
	return lease_want(l);
}

static bool end(struct lease *l)
{
	return lease_end(l, false, false);
}

static bool end_keeping(struct lease *l)
{
	return lease_end(l, true, false);
}

static bool end_wanting(struct lease *l)
{
	return lease_end(l, true, true);
}

static bool go_to_sleep(struct lease *l)
{
	return lease_sleep(l, false);
}

static bool go_to_sleep_wanting(struct lease *l)
{
	return lease_sleep(l, true);
}

static const struct step {
	bool (*step)(struct lease *l);
	uint32_t from;
	uint32_t to;
	bool says;
} steps[] = {
	{start, H, H | B, true},
	{start, H | C, H | B | C, true},
	{start, H | L, H | L, false},
	{start, 0, 0, false},
	{start, W | C, W | C, false},

	{want, 0, W, true},
	{want, C, C | W, true},
	{want, W, W, false},
	{want, H, H, false},

	{end_keeping, H | B, H, false},
	{end_keeping, H | B | C, H | C, false},
	{end_keeping, H | B | L | C, C, true},
	{end, H | B, H, false},
	{end, H | C, C, true},
	{end, C, C, false},
	{end_wanting, H | B | L, W, true},
	{end_wanting, H | B | C, H | C, false},

	{go_to_sleep, H, H | A, false},
	{go_to_sleep, H | C, C | A, true},
	{go_to_sleep, H | B | C, H | B | C | A, false},
	{go_to_sleep, H | B | L, H | B | L | A, false},
	{go_to_sleep, 0, A, false},
	{go_to_sleep_wanting, H | C, H | C | A, false},
	{go_to_sleep_wanting, C, W | C | A, true},
	{go_to_sleep_wanting, W, W | A, false},
};

static void each_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct lease l = {.word = steps[i].from};

		if (steps[i].step(&l) != steps[i].says || l.word != steps[i].to)
			fail_msg("step %zu: word %#x", i, (unsigned int)l.word);
	}
}

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
		cmocka_unit_test(each_step),
		cmocka_unit_test(never_both_and_never_asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
