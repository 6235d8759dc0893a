// SPDX-License-Identifier: MIT
/*
 * test_backend_arbiter.c - who gets the GPU, with the real thread and the real
 * descriptors
 *
 * The test plays the workers, by lease.h, over mappings of its own. A player that
 * waits sleeps as a worker does, and fails where nothing wakes it: a lost wake-up
 * is a test that fails, not one that hangs. The policy alone is in
 * test_backend_sched.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "arbiter.h"
#include "clock.h"
#include "lease.h"

#define MS 1000000ull
/* Nothing takes that long. */
#define TIMEOUT_MS 10000

/* A slice that no test sees the end of, unless it waits for that. */
static const struct sched_params patient = {
	.slice_ns = 400 * MS, .min_run_ns = MS / 2, .grace_ns = 2 * MS};
static const struct sched_params brisk = {
	.slice_ns = 2 * MS, .min_run_ns = MS / 2, .grace_ns = 2 * MS};

struct player {
	struct arbiter *a;
	struct arbiter_client *c;
	struct arbiter_fds fds;
	struct lease *l;
};

static void join(struct player *p, struct arbiter *a, uint32_t gpu,
		 uint32_t weight, uint32_t cap)
{
	p->a = a;
	p->c = arbiter_add(a, gpu, weight, cap, &p->fds);
	assert_non_null(p->c);
	p->l = mmap(NULL, LEASE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    p->fds.lease, 0);
	assert_ptr_not_equal(p->l, MAP_FAILED);
}

static void part(struct player *p)
{
	munmap(p->l, LEASE_BYTES);
	arbiter_remove(p->a, p->c);
}

static bool kick(const struct player *p)
{
	const uint64_t one = 1;

	return write(p->fds.kick, &one, sizeof(one)) == sizeof(one);
}

static struct arbiter_use use_of(const struct player *p)
{
	struct arbiter_use use;

	arbiter_use(p->a, p->c, &use);
	return use;
}

/* As the worker's gate: BUSY, and says since when. */
static bool start(struct player *p)
{
	if (!lease_start(p->l))
		return false;
	if (!atomic_load(&p->l->busy_since))
		atomic_store(&p->l->busy_since, clock_ns());
	return true;
}

static void end(struct player *p, bool keep)
{
	uint64_t since = atomic_exchange(&p->l->busy_since, 0);

	if (since)
		atomic_fetch_add(&p->l->busy_ns, clock_ns() - since);
	if (lease_end(p->l, keep, false))
		kick(p);
}

static bool want(struct player *p)
{
	return lease_want(p->l) && kick(p);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, timeout_ms) == 1;
}

static void drain(int fd)
{
	char buf[64];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

/*
 * As the gate: wants what it has not got, and sleeps until something wakes it.
 * False: nothing did.
 */
static bool sleep_for_grant(struct player *p)
{
	bool ok = true;

	if (lease_sleep(p->l, true))
		kick(p);
	if (lease_word(p->l) & LEASE_WANT) {
		ok = readable(p->fds.wake, TIMEOUT_MS);
		drain(p->fds.wake);
	}
	lease_awake(p->l);
	return ok;
}

/* Waits for the GPU until it has it and is BUSY. */
static bool get(struct player *p)
{
	while (!start(p))
		if (!sleep_for_grant(p))
			return false;
	return true;
}

/* Until the bits of mask are these. */
static bool await(const struct player *p, uint32_t mask, uint32_t bits)
{
	uint64_t give_up = clock_ms() + TIMEOUT_MS;

	while ((lease_word(p->l) & mask) != bits) {
		if (clock_ms() > give_up)
			return false;
		sched_yield();
	}
	return true;
}

static void pass_time(uint64_t ns)
{
	uint64_t to = clock_ns() + ns;

	while (clock_ns() < to)
		sched_yield();
}

/* ---- tests ------------------------------------------------------------- */

static void one_client_gets_it(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_int_equal(lease_word(p.l), 0);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	assert_true(get(&p));
	assert_int_equal(lease_word(p.l), LEASE_HELD | LEASE_BUSY);
	assert_int_equal(use_of(&p).grants, 1);
	/* It keeps it, busy or not: nobody else wants it. */
	end(&p, false);
	assert_false(lease_sleep(p.l, false));
	assert_int_equal(use_of(&p).grants, 1);
	assert_true(start(&p));
	part(&p);
	arbiter_stop(a);
}

static void who_is_alone_and_uncapped_has_no_bound(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_int_equal(atomic_load(&p.l->bound_ns), ARBITER_BOUND_NS);
	assert_int_equal(atomic_load(&q.l->bound_ns), ARBITER_BOUND_NS);
	part(&q);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	arbiter_set(a, p.c, 256, 50);
	assert_int_equal(atomic_load(&p.l->bound_ns), ARBITER_BOUND_NS);
	arbiter_set(a, p.c, 256, 0);
	assert_int_equal(atomic_load(&p.l->bound_ns), 0);
	part(&p);
	arbiter_stop(a);
}

/* Nobody has to be woken for it, and it is not lost on the sleeper. */
static void idle_gpu_of_a_sleeper_is_taken(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	/* The wake of its own grant is in the pipe by then, if there was one. */
	assert_int_equal(use_of(&p).grants, 1);
	drain(p.fds.wake);
	end(&p, true);
	assert_false(lease_sleep(p.l, false));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & (LEASE_HELD | LEASE_ASLEEP),
			 LEASE_ASLEEP);
	assert_false(readable(p.fds.wake, 0));
	assert_false(start(&p));
	end(&q, false);
	lease_awake(p.l);
	assert_true(get(&p));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* An idle holder that is awake gives it back itself, when it is told. */
static void idle_holder_is_told_of_others(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	end(&p, true);
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	assert_true(start(&p));
	assert_int_equal(lease_word(q.l) & LEASE_HELD, 0);
	end(&p, false);
	assert_int_equal(lease_word(p.l) & LEASE_HELD, 0);
	assert_true(await(&q, LEASE_HELD | LEASE_CONTENDED, LEASE_HELD));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* Its next grant finds it told of nothing, if nobody waits by then. */
static void contended_ends(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part(&q);
	assert_int_equal(lease_word(p.l) & LEASE_CONTENDED, 0);
	join(&q, a, 0, 256, 0);
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* Idle, awake, and deaf: its slice is the end of it, without a grace. */
static void idle_holder_that_keeps_it_loses_it(void **state)
{
	const struct sched_params no_grace = {.slice_ns = 2 * MS,
					      .min_run_ns = MS / 2,
					      .grace_ns = 2000 * MS};
	struct arbiter *a = arbiter_start(&no_grace);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	end(&p, true);
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & LEASE_HELD, 0);
	assert_true(use_of(&q).wait_max_ns < no_grace.grace_ns);
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* Others wait, too; but it has not even looked yet. */
static void a_grant_is_not_taken_from_a_sleeper(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q, r;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	join(&r, a, 0, 256, 0);
	assert_true(get(&q));
	assert_true(lease_sleep(p.l, true));
	kick(&p);
	assert_true(await(&q, LEASE_CONTENDED, LEASE_CONTENDED));
	assert_true(want(&r));
	/* p's kick was before: it is first. */
	end(&q, false);
	assert_true(readable(p.fds.wake, TIMEOUT_MS));
	assert_int_equal(use_of(&r).grants, 0);
	assert_true(start(&p));
	part(&p);
	part(&q);
	part(&r);
	arbiter_stop(a);
}

static void idleness_is_not_charged(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t busy;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_true(get(&p));
	pass_time(20 * MS);
	end(&p, true);
	pass_time(200 * MS);
	busy = atomic_load(&p.l->busy_ns);
	assert_true(busy >= 20 * MS);
	assert_in_range(use_of(&p).used_ns, busy / 2, busy + 20 * MS);
	part(&p);
	arbiter_stop(a);
}

static uint64_t processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Kicks are not read, and still each is heard once. */
static void idle_arbiter_sleeps(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t t0;

	(void)state;
	join(&p, a, 0, 256, 0);
	assert_true(get(&p));
	t0 = processor_time();
	drain(p.fds.wake);
	assert_false(readable(p.fds.wake, 200));
	assert_true(processor_time() - t0 < 100 * MS);
	part(&p);
	arbiter_stop(a);
}

static void who_wakes_up_is_served_at_once(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;
	uint64_t asked;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	/* More than half a slice ahead of q. */
	pass_time(patient.slice_ns * 5 / 8);
	asked = clock_ns();
	assert_true(want(&q));
	assert_true(await(&p, LEASE_LEAVE, LEASE_LEAVE));
	assert_true(clock_ns() - asked < patient.slice_ns / 4);
	assert_false(start(&p));
	end(&p, true);
	assert_true(await(&q, LEASE_HELD, LEASE_HELD));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

static void who_stays_too_long_gets_company(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l) & (LEASE_HELD | LEASE_LEAVE),
			 LEASE_HELD | LEASE_LEAVE);
	/* It went by slice and grace, not by p's leave. */
	assert_true(use_of(&q).wait_max_ns >= brisk.grace_ns);
	/* Both are charged; and when it leaves at last, it is heard. */
	assert_true(lease_end(p.l, true, true));
	assert_true(kick(&p));
	end(&q, false);
	assert_true(await(&p, LEASE_HELD | LEASE_LEAVE, LEASE_HELD));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

static void a_dead_worker_frees_the_gpu(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	assert_true(get(&p));
	assert_true(want(&q));
	assert_true(await(&p, LEASE_CONTENDED, LEASE_CONTENDED));
	part(&p);
	assert_true(lease_word(q.l) & LEASE_HELD);
	part(&q);
	arbiter_stop(a);
}

static void gpus_are_independent(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, BACK_MAX_GPUS - 1, 256, 0);
	assert_true(get(&p));
	assert_true(get(&q));
	assert_int_equal(lease_word(p.l), LEASE_HELD | LEASE_BUSY);
	assert_int_equal(atomic_load(&q.l->bound_ns), 0);
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* One who always has work: it works in steps, and leaves when it is told. */
static void toil(struct player *p)
{
	if (lease_word(p->l) & LEASE_LEAVE)
		end(p, true);
	else if (!start(p))
		want(p);
}

static void busy_pair(struct player *p, struct player *q, uint64_t ns)
{
	uint64_t to = clock_ns() + ns;

	while (clock_ns() < to) {
		toil(p);
		toil(q);
		sched_yield();
	}
}

/*
 * Each stays BUSY until it is told to leave. Shares come out of what was charged,
 * so they hold however seldom this test is given a processor.
 */
static void busy_ones_share_by_weight_and_live(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct arbiter_use p0, q0, p1, q1;
	struct player p, q;
	double part_of_p;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 512, 0);
	busy_pair(&p, &q, 200 * MS);
	p0 = use_of(&p);
	q0 = use_of(&q);
	assert_true(p0.grants >= 5 && q0.grants >= 5);
	part_of_p = (double)p0.used_ns / (double)(p0.used_ns + q0.used_ns);
	assert_true(part_of_p > 0.25 && part_of_p < 0.42);
	arbiter_set(a, p.c, 768, 0);
	arbiter_set(a, q.c, 256, 0);
	busy_pair(&p, &q, 200 * MS);
	p1 = use_of(&p);
	q1 = use_of(&q);
	part_of_p = (double)(p1.used_ns - p0.used_ns) /
		    (double)(p1.used_ns - p0.used_ns + q1.used_ns - q0.used_ns);
	assert_true(part_of_p > 0.66 && part_of_p < 0.84);
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* Alone, and still no more than its cap. */
static void cap_holds_for_one_alone(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p;
	uint64_t t0;
	double part_of_all;

	(void)state;
	join(&p, a, 0, 256, 25);
	t0 = clock_ns();
	while (clock_ns() - t0 < 300 * MS) {
		toil(&p);
		sched_yield();
	}
	part_of_all = (double)use_of(&p).used_ns / (double)(clock_ns() - t0);
	assert_true(part_of_all > 0.15 && part_of_all < 0.35);
	part(&p);
	arbiter_stop(a);
}

/* ---- hostile workers --------------------------------------------------- */

static _Atomic bool stop_mischief;

/* Any bits, any numbers, and kicks without end. */
static void *mischief(void *arg)
{
	struct player *p = arg;
	uint32_t seed = 1;

	while (!atomic_load(&stop_mischief)) {
		seed = seed * 1664525 + 1013904223;
		atomic_store(&p->l->word, seed >> 7);
		atomic_store(&p->l->busy_ns, (uint64_t)seed << (seed & 31));
		atomic_store(&p->l->busy_since, (uint64_t)seed << 32);
		kick(p);
	}
	return NULL;
}

static void hostile_words_cost_others_their_bounds(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player bad, p, q;
	pthread_t thread;

	(void)state;
	join(&bad, a, 0, 256, 10);
	join(&p, a, 0, 256, 0);
	join(&q, a, 1, 256, 0);
	atomic_store(&stop_mischief, false);
	assert_int_equal(pthread_create(&thread, NULL, mischief, &bad), 0);
	for (int i = 0; i < 50; i++) {
		assert_true(get(&p));
		assert_true(get(&q));
		end(&p, false);
		end(&q, false);
	}
	atomic_store(&stop_mischief, true);
	pthread_join(thread, NULL);
	assert_true(use_of(&p).grants >= 1);
	/* And nothing of it outlives the device. */
	part(&bad);
	assert_true(get(&p));
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* It has the GPU, is asleep to all calls, and says that it is not. */
static void who_never_leaves_is_overlapped_each_time(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player bad, p;

	(void)state;
	join(&bad, a, 0, 65535, 0);
	join(&p, a, 0, 1, 0);
	assert_true(get(&bad));
	for (int i = 0; i < 5; i++) {
		assert_true(get(&p));
		end(&p, false);
	}
	assert_true(lease_word(bad.l) & LEASE_HELD);
	part(&bad);
	part(&p);
	arbiter_stop(a);
}

/* What a worker has of the descriptors does not reach the arbiter. */
static void descriptors_are_the_arbiters(void **state)
{
	struct arbiter *a = arbiter_start(&patient);
	const uint64_t full = UINT64_MAX - 1;
	struct player p, q;

	(void)state;
	join(&p, a, 0, 256, 0);
	join(&q, a, 0, 256, 0);
	/* A page that shrinks would be SIGBUS for who reads it. */
	assert_int_equal(ftruncate(p.fds.lease, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(p.fds.lease, F_ADD_SEALS, F_SEAL_WRITE), -1);
	/* Nor can a wake be made to block: the worker has the reading end. */
	assert_int_equal(write(p.fds.wake, &full, sizeof(full)), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fcntl(p.fds.wake, F_SETFL, 0), 0);
	assert_int_equal(fcntl(p.fds.kick, F_SETFL, 0), 0);
	assert_int_equal(write(p.fds.kick, &full, sizeof(full)), 8);
	/* More wakes than a pipe holds, all unread. */
	for (int i = 0; i < 70000 / 8; i++) {
		atomic_store(&p.l->word, LEASE_WANT | LEASE_ASLEEP);
		arbiter_use(a, p.c, &(struct arbiter_use){0});
		arbiter_set(a, p.c, 256, 0);
		part(&q);
		join(&q, a, 0, 256, 0);
		if (!(i % 1000))
			assert_true(get(&q));
	}
	part(&p);
	part(&q);
	arbiter_stop(a);
}

/* ---- no wake-up is lost, nothing is left ------------------------------- */

#define ROUNDS 3000

static void *rounds(void *arg)
{
	struct player *p = arg;
	uint32_t seed = (uint32_t)(uintptr_t)p;

	for (int i = 0; i < ROUNDS; i++) {
		if (!get(p))
			return "nothing woke it";
		seed = seed * 1664525 + 1013904223;
		for (uint32_t n = seed >> 24; n; n--)
			atomic_load(&p->l->word);
		end(p, seed & (1 << 20));
		if (!(seed & (1 << 21)) && lease_sleep(p->l, false))
			kick(p);
		lease_awake(p->l);
	}
	/* As a worker that ends: it holds nothing. */
	if (lease_sleep(p->l, false))
		kick(p);
	return NULL;
}

static void no_wake_up_is_lost(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p[3];
	pthread_t thread[3];
	void *why;

	(void)state;
	for (int i = 0; i < 3; i++)
		join(&p[i], a, 0, 256 << i, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, rounds, &p[i]), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &why);
		assert_null(why);
	}
	for (int i = 0; i < 3; i++)
		part(&p[i]);
	arbiter_stop(a);
}

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void nothing_is_left_open(void **state)
{
	unsigned int before = open_files();
	struct arbiter *a = arbiter_start(&patient);
	struct player p, q;

	(void)state;
	for (int i = 0; i < 10; i++) {
		join(&p, a, 0, 256, 0);
		join(&q, a, 0, 256, 0);
		want(&q);
		part(&p);
		part(&q);
	}
	arbiter_stop(a);
	assert_int_equal(open_files(), before);
}

/* Other threads of this process that block all the signals of the supervisor. */
static unsigned int deaf_threads(void)
{
	const unsigned long long ours = 1ull << (SIGTERM - 1) |
					1ull << (SIGCHLD - 1) |
					1ull << (SIGUSR1 - 1);
	unsigned long long blocked = 0;
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;
	char path[300], line[128];
	struct dirent *e;
	FILE *f;

	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 e->d_name);
		f = fopen(path, "re");
		blocked = 0;
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
				break;
		if (f)
			fclose(f);
		n += (blocked & ours) == ours;
	}
	closedir(dir);
	return n;
}

/* A signal to the supervisor must reach its signalfd. */
static void thread_takes_no_signals(void **state)
{
	unsigned int before = deaf_threads();
	struct arbiter *a = arbiter_start(&patient);
	struct player p;

	(void)state;
	join(&p, a, 0, 256, 0);
	/* By then it runs, and is no more as pthread_create() begins it. */
	assert_true(get(&p));
	part(&p);
	assert_int_equal(deaf_threads(), before + 1);
	arbiter_stop(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_client_gets_it),
		cmocka_unit_test(who_is_alone_and_uncapped_has_no_bound),
		cmocka_unit_test(idle_gpu_of_a_sleeper_is_taken),
		cmocka_unit_test(idle_holder_is_told_of_others),
		cmocka_unit_test(contended_ends),
		cmocka_unit_test(idle_holder_that_keeps_it_loses_it),
		cmocka_unit_test(a_grant_is_not_taken_from_a_sleeper),
		cmocka_unit_test(idleness_is_not_charged),
		cmocka_unit_test(idle_arbiter_sleeps),
		cmocka_unit_test(who_wakes_up_is_served_at_once),
		cmocka_unit_test(who_stays_too_long_gets_company),
		cmocka_unit_test(a_dead_worker_frees_the_gpu),
		cmocka_unit_test(gpus_are_independent),
		cmocka_unit_test(busy_ones_share_by_weight_and_live),
		cmocka_unit_test(cap_holds_for_one_alone),
		cmocka_unit_test(hostile_words_cost_others_their_bounds),
		cmocka_unit_test(who_never_leaves_is_overlapped_each_time),
		cmocka_unit_test(descriptors_are_the_arbiters),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(nothing_is_left_open),
		cmocka_unit_test(thread_takes_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
