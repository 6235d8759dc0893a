/* SPDX-License-Identifier: MIT */
/*
 * remote_script.h - far ends that are scripts, and jobs to try them with: what
 * the tests of the remote engine share
 *
 * A script runs on a thread of its own, behind a Unix socket. Times are short,
 * but for the one that ends a hang. Every job has to come back once, with its
 * result or with a status.
 */
#ifndef VGPU_TESTS_REMOTE_SCRIPT_H
#define VGPU_TESTS_REMOTE_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../backend/log.h"
#include "remote_peer.h"

#define JOBS 12

/* On a script's thread. */
#define NEED(cond) peer_must(cond, #cond)

static const struct remote_times quick = {
	.hello = 300,
	.hold = 1500,
	.ping = 100,
	.silence = 200,
	.retry = 5,
	.retry_max = 40,
	.give_up = 10000,
};

static char dir[] = "/tmp/vgpu-remote-XXXXXX";
static char path[64], address[72], log_path[64];
static char why[VGPU_ENGINE_WHY];

static pthread_t thread;
static int listener;
static unsigned int nr_connections; /* of the script */

static inline void run_script(void *(*script)(void *), void *arg)
{
	nr_connections = 0;
	listener = peer_listen(path);
	assert_int_equal(pthread_create(&thread, NULL, script, arg), 0);
}

static inline void end_script(void)
{
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}

static inline int next_client(void)
{
	int fd = peer_accept(listener);

	nr_connections++;
	return fd;
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline struct vgpu_engine *open_quick(const struct remote_times *times)
{
	struct vgpu_engine *eng;

	why[0] = '\0';
	eng = remote_open(address, times, why);
	if (!eng)
		fail_msg("%s", why);
	return eng;
}

static inline void expect_refused(const char *text)
{
	why[0] = '\0';
	assert_null(remote_open(address, &quick, why));
	if (!strstr(why, text) || !strstr(why, address))
		fail_msg("the reason is \"%s\", not \"%s\"", why, text);
}

/* One job that adds b to a in place, so that to run it twice would show. */
struct add {
	struct vgpu_job job;
	unsigned int times_reaped;
	uint32_t count;
	float *a, *b;
};

static inline void add_make(struct add *add, struct vgpu_engine_stream *stream,
		     uint32_t count)
{
	memset(add, 0, sizeof(*add));
	add->count = count;
	add->a = malloc(count * 4);
	add->b = malloc(count * 4);
	for (uint32_t i = 0; i < count; i++) {
		add->a[i] = (float)(i % 4099);
		add->b[i] = (float)(i % 555) + 0.5f;
	}
	add->job.stream = stream;
	add->job.op = VGPU_OP_BUILTIN;
	add->job.kernel = VGPU_KERNEL_VECTOR_ADD;
	add->job.owner = add;
	for (int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		add->job.operand[i].host = i == 1 ? add->b : add->a;
		add->job.operand[i].count = count;
	}
}

static inline void add_check(struct add *add, uint16_t status)
{
	assert_int_equal(add->times_reaped, 1);
	assert_int_equal(add->job.status, status);
	for (uint32_t i = 0; status == VGPU_RSP_OK && i < add->count; i++)
		if (add->a[i] != (float)(i % 4099) + add->b[i])
			fail_msg("element %u is %f", i, (double)add->a[i]);
	free(add->a);
	free(add->b);
}

static inline void reap(struct vgpu_engine *eng, unsigned int count)
{
	struct pollfd pfd = {.fd = vgpu_engine_fd(eng), .events = POLLIN};

	while (count) {
		struct vgpu_job *job;

		if (vgpu_engine_arm(eng) && poll(&pfd, 1, PEER_MS) != 1)
			fail_msg("the engine hangs: %u jobs are left", count);
		for (job = vgpu_engine_reap(eng); job; job = job->next) {
			((struct add *)job->owner)->times_reaped++;
			assert_true(count-- > 0);
		}
	}
	assert_null(vgpu_engine_reap(eng));
}

/* JOBS jobs on 3 streams, of one part and of many. */
static inline void submit_all(struct vgpu_engine *eng, struct vgpu_engine_stream *s[3],
		       struct add add[JOBS])
{
	static const uint32_t counts[] = {1, 1000, 32768, 32769, 200001};

	for (int i = 0; i < 3; i++)
		s[i] = vgpu_engine_stream_create(eng);
	for (int i = 0; i < JOBS; i++) {
		add_make(&add[i], s[i % 3], counts[i % 5]);
		vgpu_engine_submit(eng, &add[i].job);
	}
}

/* Runs them against the script; all must be right. */
static inline void expect_all_right(const struct remote_times *times)
{
	struct vgpu_engine *eng = open_quick(times);
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS];

	submit_all(eng, s, add);
	reap(eng, JOBS);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], VGPU_RSP_OK);
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
}

/* Answers until the client goes. */
static inline void serve_well(int fd, size_t piece)
{
	struct peer_frame *job = malloc(sizeof(*job));
	struct peer_frame *done = malloc(sizeof(*done));

	peer_welcome(fd, "Honest");
	while (peer_next_job(fd, job)) {
		peer_answer(job, done);
		if (!peer_send(fd, done, peer_octets(done), piece))
			break;
	}
	close(fd);
	free(job);
	free(done);
}

/* For main(): before the tests, where the socket is to be. */
static inline int begin_remote_tests(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* That a connection broke is what is tested, and no news. */
	log_set_level(LOG_ERROR);
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	return 0;
}

#endif /* VGPU_TESTS_REMOTE_SCRIPT_H */
