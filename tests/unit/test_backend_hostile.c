// SPDX-License-Identifier: MIT
/*
 * test_backend_hostile.c - workers in a guest's hands, against the arbiter; and
 * that it loses no wake-up, and nothing of what it opens
 *
 * The test plays the workers (arbiter_player.h).
 */
#include "arbiter_player.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
	part_two(a, &p, &q);
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

#define WAKES 10000

/* What a worker has of the descriptors does not reach the arbiter. */
static void descriptors_are_the_arbiters(void **state)
{
	struct arbiter *a = arbiter_start(&brisk);
	const uint64_t full = UINT64_MAX - 2;
	struct player p, q;

	(void)state;
	join_two(a, &p, &q);
	/* A page that shrinks would be SIGBUS for who reads it. */
	assert_int_equal(ftruncate(p.fds.lease, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(p.fds.lease, F_ADD_SEALS, F_SEAL_WRITE), -1);
	/* Nor can a wake be made to block, or anything be sent to where it is from. */
	assert_int_equal(send(p.fds.wake, &full, sizeof(full), MSG_NOSIGNAL),
			 -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(fcntl(p.fds.wake, F_SETFL, 0), 0);
	assert_int_equal(fcntl(p.fds.kick, F_SETFL, 0), 0);
	/* More wakes than a socket holds, all unread. */
	atomic_store(&p.l->word, LEASE_WANT | LEASE_ASLEEP);
	kick(&p);
	assert_true(await(&p, LEASE_HELD, LEASE_HELD));
	for (int i = 0; i < WAKES; i++) {
		atomic_store(&p.l->word, LEASE_WANT | LEASE_ASLEEP);
		use_of(&p);
	}
	assert_true(use_of(&p).grants >= WAKES);
	/* And one that nobody can read any more. */
	assert_int_equal(shutdown(p.fds.wake, SHUT_RDWR), 0);
	atomic_store(&p.l->word, LEASE_WANT | LEASE_ASLEEP);
	assert_true(use_of(&p).grants >= WAKES);
	/* As many kicks as are counted, with the one before. */
	assert_int_equal(write(p.fds.kick, &full, sizeof(full)), 8);
	for (int i = 0; i < 100; i++) {
		assert_true(get(&q));
		part(&q);
		join(&q, a, 0, 256, 0);
	}
	part_two(a, &p, &q);
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

static void all_have_their_rounds(uint32_t poll_us)
{
	struct arbiter *a = arbiter_start(&brisk);
	struct player p[3];
	pthread_t thread[3];
	void *why;

	arbiter_poll(a, poll_us);
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

static void no_wake_up_is_lost(void **state)
{
	(void)state;
	all_have_their_rounds(0);
}

static void no_wake_up_is_lost_to_one_who_polls(void **state)
{
	(void)state;
	all_have_their_rounds(50);
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
	/* It does not sleep, so some go while it has their kick in hand. */
	arbiter_poll(a, 1000);
	for (int i = 0; i < 1000; i++) {
		join(&p, a, 0, 256, 0);
		join(&q, a, 0, 256, 0);
		want(&p);
		want(&q);
		part(&p);
		part(&q);
	}
	arbiter_stop(a);
	assert_int_equal(open_files(), before);
}

#define MAX_THREADS 16

/* This process's; some may have been joined already, and are about to go. */
static unsigned int threads(long tid[MAX_THREADS])
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;
	struct dirent *e;

	while ((e = readdir(dir)) && n < MAX_THREADS)
		if (e->d_name[0] != '.')
			tid[n++] = strtol(e->d_name, NULL, 10);
	closedir(dir);
	return n;
}

/* It blocks all the signals of the supervisor. */
static bool is_deaf(long tid)
{
	const unsigned long long ours = 1ull << (SIGTERM - 1) |
					1ull << (SIGCHLD - 1) |
					1ull << (SIGUSR1 - 1);
	unsigned long long blocked = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
			break;
	if (f)
		fclose(f);
	return (blocked & ours) == ours;
}

/* A signal to the supervisor must reach its signalfd. */
static void thread_takes_no_signals(void **state)
{
	long before[MAX_THREADS], tid[MAX_THREADS];
	unsigned int n_before = threads(before), n, made = 0;
	struct arbiter *a = arbiter_start(&patient);
	struct player p;

	(void)state;
	join(&p, a, 0, 256, 0);
	/* By then it runs, and is no more as pthread_create() begins it. */
	assert_true(get(&p));
	part(&p);
	n = threads(tid);
	for (unsigned int i = 0; i < n; i++) {
		bool old = false;

		for (unsigned int k = 0; k < n_before; k++)
			old |= tid[i] == before[k];
		if (old)
			continue;
		assert_true(is_deaf(tid[i]));
		made++;
	}
	assert_int_equal(made, 1);
	arbiter_stop(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_words_cost_others_their_bounds),
		cmocka_unit_test(who_never_leaves_is_overlapped_each_time),
		cmocka_unit_test(descriptors_are_the_arbiters),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(no_wake_up_is_lost_to_one_who_polls),
		cmocka_unit_test(nothing_is_left_open),
		cmocka_unit_test(thread_takes_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
