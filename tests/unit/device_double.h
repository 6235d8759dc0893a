/* SPDX-License-Identifier: MIT */
/*
 * device_double.h - one device's session, and doubles of what it stands on
 *
 * Session, rules, buffer and stream tables are real; the ring collects answers,
 * the grants hand out one piece of memory, and the engine ends a job when the
 * test says so. Asserts by cmocka.
 */
#ifndef TEST_DEVICE_DOUBLE_H
#define TEST_DEVICE_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "session.h"

#define SLOTS 32

extern struct session *s;
extern struct vgpu_stats stats;
extern uint8_t arena[8192];

/* All that were given, oldest first. */
extern struct vgpu_response answers[1024];
extern unsigned int nr_answers;

/* What is there at present. */
extern int mappings, regions, streams;
/* What the next mapping says; how the last one was made; what it was of. */
extern enum vgpu_status map_status;
extern bool mapped_read_only;
extern uint8_t memory[16 * 4096];
/* The engine makes no regions. */
extern bool regions_fail;

/* Jobs with the engine, oldest first, linked by next. */
extern struct vgpu_job *queued;
/* How often the engine was asked for what changes. */
extern unsigned int infos;

/* A session; and that nothing is left of it. */
int setup(void **state);
int teardown(void **state);

/* The engine ends the first n, and they are reaped. */
void finish(unsigned int n, enum vgpu_status status);

/* Sends it and expects the answer at once, or no answer yet. */
enum vgpu_status now(const struct vgpu_request *r);
void later(const struct vgpu_request *r);
const struct vgpu_response *last(void);

struct vgpu_request request(uint8_t op, uint16_t id, uint16_t ctx);
/* Of 16 elements, all in buffer 1. */
struct vgpu_request add(uint16_t id, uint16_t ctx, uint16_t stream);

/* One page. */
enum vgpu_status map_flags(uint16_t ctx, uint32_t handle, uint32_t flags);
enum vgpu_status map(uint16_t ctx, uint32_t handle);
enum vgpu_status unmap(uint16_t ctx, uint32_t handle);

#endif /* TEST_DEVICE_DOUBLE_H */
