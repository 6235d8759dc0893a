// SPDX-License-Identifier: MIT
/*
 * load.c - keeps a guest's device busy, and checks every result
 *
 * Runs in a guest of the bed, on libvgpufront. Each of its processes opens the
 * device and keeps a deep queue of equal jobs on it, so that the guest always has
 * work waiting, until SIGTERM. A job adds one to each element of a vector of the
 * device: one that was lost, done twice or torn shows in the sum at the end. It
 * never waits for a job before the queue is full again.
 *
 *   load [-p PROCESSES] [-n ELEMENTS]
 *
 * Each process says "busy" when it begins, and at the end "PASSED: 1200 jobs of
 * 65536 elements, 0 errors, 9.8 ms each, queue empty 0 times". Where that is not
 * 0, the guest was not busy all the time.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libvgpufront/vgpufront.h"

#define BATCH 8
#define BATCHES 4
/* Sums of ones are exact in binary32 as far as this. */
#define MAX_JOBS (1u << 24)
#define ONE 0x3f800000u

static volatile sig_atomic_t stopped;

/*
 * @ones, @sum: vectors of the device
 * @op: ends of the batches in flight; NULL: none there
 * @dry: how often all of them had ended when the next was made
 */
struct load {
	struct vgpu_device *dev;
	struct vgpu_mem *ones, *sum;
	size_t n;
	struct vgpu_op *op[BATCHES];
	uint64_t jobs;
	unsigned int dry;
};

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static int die(const char *what, int err)
{
	printf("FAILED: %s: %s\n", what, vgpu_strerror(err));
	return 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int begin(struct load *l)
{
	int err = vgpu_open(NULL, &l->dev);

	if (err)
		return err;
	vgpu_mem_alloc(l->dev, l->n * 4, 0, &l->ones);
	vgpu_mem_alloc(l->dev, l->n * 4, 0, &l->sum);
	vgpu_fill(l->dev, vgpu_at(l->ones, 0), ONE, 4, l->n * 4, 0);
	return vgpu_fence(l->dev, 0);
}

/* A batch of jobs and its fence, which takes the place of an earlier one. */
static int submit(struct load *l, struct vgpu_op **op)
{
	int err = 0;

	vgpu_batch_begin(l->dev);
	for (int i = 0; i < BATCH && !err; i++)
		err = vgpu_saxpy(l->dev, 1, vgpu_at(l->ones, 0),
				 vgpu_at(l->sum, 0), l->n, 0);
	if (!err)
		err = vgpu_fence_async(l->dev, 0, op);
	l->jobs += BATCH;
	vgpu_batch_end(l->dev);
	return err;
}

static int finish(struct vgpu_op **op)
{
	int err;

	if (!*op)
		return 0;
	vgpu_op_wait(*op, -1);
	err = vgpu_op_result(*op);
	vgpu_op_free(*op);
	*op = NULL;
	return err;
}

static int queue(struct load *l)
{
	unsigned int at = 0, last = BATCHES - 1;
	int err = 0;

	while (!err && !stopped && l->jobs < MAX_JOBS) {
		err = finish(&l->op[at]);
		l->dry += l->op[last] && vgpu_op_done(l->op[last]);
		if (!err)
			err = submit(l, &l->op[at]);
		last = at;
		at = (at + 1) % BATCHES;
	}
	for (unsigned int i = 0; i < BATCHES; i++) {
		int e = finish(&l->op[(at + i) % BATCHES]);

		err = err ? err : e;
	}
	return err;
}

/* Every element is the number of jobs. Returns how many are not; < 0: an error. */
static long wrong(struct load *l)
{
	float *got = malloc(l->n * 4);
	long n = 0;
	int err;

	if (!got)
		exit(99);
	vgpu_copy_out(l->dev, got, vgpu_at(l->sum, 0), l->n * 4, 0);
	err = vgpu_fence(l->dev, 0);
	for (size_t i = 0; i < l->n && !err; i++)
		n += got[i] != (float)l->jobs;
	free(got);
	return err ? err : n;
}

static int run(struct load *l)
{
	uint64_t began, took;
	long bad;
	int err = begin(l);

	if (err)
		return die("begin", err);
	puts("busy");
	fflush(stdout);
	began = now_ns();
	err = queue(l);
	took = now_ns() - began;
	if (err)
		return die("a job", err);
	bad = wrong(l);
	if (bad < 0)
		return die("the sum", (int)bad);
	vgpu_close(l->dev);
	printf("%s: %llu jobs of %zu elements, %ld errors, %.1f ms each, "
	       "queue empty %u times\n",
	       bad ? "FAILED" : "PASSED", (unsigned long long)l->jobs, l->n,
	       bad, l->jobs ? (double)took / 1e6 / (double)l->jobs : 0, l->dry);
	return bad != 0;
}

/* Of many processes: whether all ended well. */
static int wait_all(const pid_t *child, unsigned int n)
{
	int status, failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		while (waitpid(child[i], &status, 0) < 0)
			if (stopped)
				kill(child[i], SIGTERM);
		failed |= status;
	}
	return failed != 0;
}

int main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct load l = {.n = 65536};
	unsigned int processes = 1;
	pid_t child[16];
	int opt;

	while ((opt = getopt(argc, argv, "p:n:")) != -1) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 10) : 0;

		if (opt == 'p' && value && value <= 16)
			processes = (unsigned int)value;
		else if (opt == 'n' && value)
			l.n = value;
		else
			return 2;
	}
	/* No SA_RESTART: who waits for its children passes the signal on. */
	sigaction(SIGTERM, &act, NULL);
	for (unsigned int i = 0; i < processes; i++) {
		child[i] = fork();
		if (child[i] < 0)
			return 1;
		if (!child[i])
			return run(&l);
	}
	return wait_all(child, processes);
}
