/* SPDX-License-Identifier: MIT */
/*
 * remote_served.h - a vgpu-engined for each test, and a client that is honest
 * until the test is not: what the tests of vgpu-engined share
 */
#ifndef VGPU_TESTS_REMOTE_SERVED_H
#define VGPU_TESTS_REMOTE_SERVED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../cuda/engined.h"
#include "../../cuda/engined_parts.h"
#include "remote_peer.h"

#define SUM_MAX 32768

extern char path[64], address[72], log_path[64];
extern pid_t engined;		/* 0: the test has ended it */
extern struct peer_frame f, g;
extern float a[SUM_MAX], b[SUM_MAX];

int served_setup(void **state);
int served_teardown(void **state);

/* A job runs, so all is well. */
void expect_sum(int fd, uint64_t id, uint32_t count);
/* An ERROR of that reason, with that text in it, into f. */
void expect_error(int fd, uint32_t reason, const char *text);
/* The answer to the JOB in g has that status and no data; into f. */
void check_job(int fd, uint16_t status);
/* The same for a JOB without data. */
void check_op(int fd, const struct remote_job *j, uint16_t status);

#define SERVED(test) \
	cmocka_unit_test_setup_teardown(test, served_setup, served_teardown)

/* main() of these tests. */
int run_served_tests(const struct CMUnitTest *tests, size_t count);
#define RUN_SERVED_TESTS(tests) \
	run_served_tests(tests, sizeof(tests) / sizeof((tests)[0]))

#endif /* VGPU_TESTS_REMOTE_SERVED_H */
