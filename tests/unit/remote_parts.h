/* SPDX-License-Identifier: MIT */
/*
 * remote_parts.h - the parts of a child of vgpu-engined with an engine that
 * finishes a job when the test says so
 */
#ifndef VGPU_TESTS_REMOTE_PARTS_H
#define VGPU_TESTS_REMOTE_PARTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../cuda/engined_parts.h"
#include "remote_peer.h"

/* Of the engine. */
extern const char *engine_name;
extern bool engine_modules;
extern struct vgpu_job *submitted[ENGINED_WINDOW];
extern unsigned int nr_submitted;
extern unsigned int nr_mem_freed, nr_unloaded;
extern struct vgpu_job *finished;

extern struct parts parts;
extern struct remote_in in;
extern struct remote_out out;
extern struct peer_frame f;

/* A session of nonce 0 with an empty engine. */
int parts_setup(void **state);
int parts_teardown(void **state);

/* The JOB or FREE in f comes in. */
void take_frame(void);
bool take_free(unsigned int kind, uint32_t number);
/* Ends the job that was submitted in that place. */
void finish(unsigned int place, uint16_t status);
/* What is queued has been written. */
void send_all(void);
/* The DONE that was queued last. */
const struct remote_done *last_done(size_t *octets, const unsigned char **data);
/*
 * The JOB in f is submitted (true), or goes in as a fence and comes back with a
 * status that is not OK. All that was queued is written.
 */
uint16_t try_frame(void);
uint16_t try_job(const struct remote_job *j, const void *data, size_t octets);
/* Submits it and ends it well; it was right. */
void good(const struct remote_job *j, const void *data, size_t octets);
void bad(const struct remote_job *j, const void *data, size_t octets,
	 uint16_t status);
void alloc(uint32_t number, uint64_t octets);

/* An operand: memory, offset, count. */
#define OP(memory, offset, count) {memory, 0, offset, count}

#define PARTS_TEST(test) \
	cmocka_unit_test_setup_teardown(test, parts_setup, parts_teardown)

#endif /* VGPU_TESTS_REMOTE_PARTS_H */
