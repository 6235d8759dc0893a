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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "remote_peer.h"

#define JOBS 12

/* On a script's thread. */
#define NEED(cond) peer_must(cond, #cond)

/* For far ends that say nothing. */
extern const struct remote_times quick;
/*
 * For all others: lies are to be found out as such, not by the silence after them;
 * and honest ones may stand still for as long as a busy machine lets them.
 */
extern const struct remote_times patient;

/* Where the test's far ends are. */
extern char path[64], address[72], log_path[64];
extern char why[VGPU_ENGINE_WHY];

/* The script's. */
extern struct peer_frame job_frame, done_frame;
extern unsigned int nr_connections;

void run_script(void *(*script)(void *), void *arg);
void end_script(void);
int next_client(void);
/* Is there one before the test ends its script? */
bool is_client(void);
/* Reads until the client is gone. */
void await_end(int fd);
/* Answers adds until the client goes. */
void serve_well(int fd, size_t piece);
/* Sends the answer that has no data. */
void answer_with(int fd, const struct remote_done *done);
/* The JOB that was read last. */
static inline const struct remote_job *the_job(void)
{
	return (const void *)job_frame.body;
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* However short the times are, it is opened patiently. */
struct vgpu_engine *open_quick(const struct remote_times *times);
void expect_refused(const struct remote_times *times, const char *text);

/* A job that counts how often it came back. */
struct tried {
	struct vgpu_job job;
	unsigned int times_reaped;
};

/* All come back, one way or the other. */
void reap(struct vgpu_engine *eng, unsigned int count);
/* Submits one, waits for it. Returns its status. */
uint16_t run_one(struct vgpu_engine *eng, struct tried *t);

/* One job that adds b to a in place, so that to run it twice would show. */
struct add {
	struct tried t;
	uint32_t count;
	float *a, *b;
};

void add_make(struct add *add, struct vgpu_engine_stream *stream,
	      uint32_t count);
void add_check(struct add *add, uint16_t status);

/* JOBS jobs on 3 streams, of one part and of many. */
void submit_all(struct vgpu_engine *eng, struct vgpu_engine_stream *s[3],
		struct add add[JOBS]);
/* Runs them against the script; all must be right. */
void expect_all_right(void);
/* Runs one job of so many elements against the script, to that status. */
void expect_add(uint32_t count, uint16_t status);

/* main() of these tests. */
int run_remote_tests(const struct CMUnitTest *tests, size_t count);
#define RUN_REMOTE_TESTS(tests) \
	run_remote_tests(tests, sizeof(tests) / sizeof((tests)[0]))

#endif /* VGPU_TESTS_REMOTE_SCRIPT_H */
