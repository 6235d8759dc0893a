/* SPDX-License-Identifier: MIT */
/*
 * device_double.h - one device's session, and doubles of what it stands on
 *
 * Session, rules, buffer, object and stream tables are real; the ring collects
 * answers, the grants hand out one piece of memory, and the engine ends a job
 * when the test says so, which sees to it that what the job names is still there.
 * Asserts by cmocka.
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
#define QUOTA (1u << 20)

extern struct session *s;
extern struct vgpu_stats stats;
extern uint8_t arena[8192];

/* All that were given, oldest first. */
extern struct vgpu_response answers[1024];
extern unsigned int nr_answers;
/* Quiet requests that are done. */
extern unsigned int retired;

/* What is there at present; of the last two, in the engine. */
extern int mappings, regions, streams, mems, modules;
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
/* Sends it, the engine is idle and ends it well; what the answer says. */
enum vgpu_status done(const struct vgpu_request *r);
/* Sends it, quiet, and it is done at once. */
void silent(const struct vgpu_request *r);
const struct vgpu_response *last(void);

struct vgpu_request request(uint8_t op, uint16_t id, uint16_t ctx);
/* Of 16 elements, all in buffer 1. */
struct vgpu_request add(uint16_t id, uint16_t ctx, uint16_t stream);

/* One page. */
enum vgpu_status map_flags(uint16_t ctx, uint32_t handle, uint32_t flags);
enum vgpu_status map(uint16_t ctx, uint32_t handle);
enum vgpu_status unmap(uint16_t ctx, uint32_t handle);

/* Device memory is named by its number, without VGPU_HANDLE_MEM. */
struct vgpu_request mem_alloc(uint16_t id, uint16_t ctx, uint32_t number,
			      uint64_t length);
/* MEM_FREE, MODULE_UNLOAD, EVENT_*. */
struct vgpu_request handle(uint8_t op, uint16_t id, uint16_t ctx,
			   uint32_t number);
/* The first 64 octets. */
struct vgpu_request fill(uint16_t id, uint16_t ctx, uint32_t number);
/* From buffer 1; a name at arena + 64. */
struct vgpu_request module_load(uint16_t id, uint16_t ctx, uint32_t module);
struct vgpu_request function_get(uint16_t id, uint16_t ctx, uint32_t module,
				 uint32_t function);
/* With 24 octets of arguments at arena + 128. */
struct vgpu_request launch(uint16_t id, uint16_t ctx, uint32_t function);
/* One more relocation of it, with that offset in the arguments. */
void reloc(struct vgpu_request *r, uint32_t target, uint16_t at,
	   uint64_t offset);

/* All is well: memory, and function 1 of module 1, from buffer 1. */
void make_mem(uint16_t ctx, uint32_t number, uint64_t length);
void make_function(uint16_t ctx);
/* MEM_FREE, MODULE_UNLOAD or EVENT_DESTROY on an idle stream. */
void end(uint8_t op, uint16_t ctx, uint32_t number);

#endif /* TEST_DEVICE_DOUBLE_H */
