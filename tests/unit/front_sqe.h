/* SPDX-License-Identifier: MIT */
/*
 * front_sqe.h - a program's requests and its buffers, for tests of translation
 *
 * The program has buffer 1 (4096 octets), 2 (read-only, 100 octets) and 256
 * (6 GiB); what it names is checked against these. Each a_...() is a request
 * that is taken.
 */
#ifndef FRONT_SQE_H
#define FRONT_SQE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vgpufront_sqe.h"

#define MEM(n)		(VGPUFRONT_HANDLE_MEM | (n))
#define LARGE		(6ULL << 30)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

/* What came of the last translation. */
static struct vgpufront_payload payload;
static struct vgpufront_wire wire;
static _Alignas(8) uint8_t memory[VGPUFRONT_MAX_ROOM];

static inline bool find(void *owner, uint32_t handle, struct vgpufront_target *out)
{
	static const struct vgpufront_target first = { 77, false, 4096 };
	static const struct vgpufront_target read_only = { 88, true, 100 };
	static const struct vgpufront_target large = { 99, false, LARGE };

	assert_ptr_equal(owner, memory);
	assert_in_range(handle, 1, VGPUFRONT_MAX_BUFFERS);
	if (handle == 1)
		*out = first;
	else if (handle == 2)
		*out = read_only;
	else if (handle == 256)
		*out = large;
	else
		return false;

	return true;
}

/* All steps with the program's memory at its own addresses. */
static inline int translate(const struct vgpufront_sqe *sqe)
{
	int err = vgpufront_sqe_check(sqe, &payload);

	if (err)
		return err;
	assert_true(payload.room <= VGPUFRONT_MAX_ROOM);
	memset(memory, 0xee, sizeof(memory));
	for (unsigned int i = 0; i < 2; i++) {
		const struct vgpufront_part *part = &payload.part[i];

		if (!part->len)
			continue;
		assert_true(part->at + part->len <= payload.room);
		memcpy(memory + part->at, (void *)(uintptr_t)part->addr,
		       part->len);
	}
	err = vgpufront_sqe_translate(sqe, memory, find, memory, &wire);
	assert_true(wire.block_at + wire.block_len <= payload.room);

	return err;
}

static inline struct vgpufront_sqe make(uint8_t op)
{
	struct vgpufront_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	sqe.op = op;
	sqe.stream = 9;

	return sqe;
}

static inline void assert_held(uint64_t first, uint64_t last)
{
	assert_true(wire.held[0] == first);
	assert_true(!wire.held[1] && !wire.held[2] && wire.held[3] == last);
}

static inline struct vgpufront_sqe a_builtin(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_BUILTIN);

	sqe.builtin.kernel = VGPU_KERNEL_SAXPY;
	sqe.builtin.param = 0x3f800000;
	sqe.builtin.operand[0] = (struct vgpufront_operand){ 1, 24, 4000 };
	sqe.builtin.operand[1] = (struct vgpufront_operand){ MEM(5), 9, 8 };

	return sqe;
}

static inline struct vgpufront_sqe a_copy(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_COPY);

	sqe.copy.dst = 1;
	sqe.copy.src = 2;
	sqe.copy.dst_offset = 4090;
	sqe.copy.src_offset = 94;
	sqe.copy.length = 6;

	return sqe;
}

static inline struct vgpufront_sqe a_fill(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_FILL);

	sqe.fill.handle = 256;
	sqe.fill.pattern = 0xabcd;
	sqe.fill.width = 2;
	sqe.fill.offset = LARGE - 8;
	sqe.fill.length = 8;

	return sqe;
}

static inline struct vgpufront_sqe a_load(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_MODULE_LOAD);

	sqe.module_load.module = 3;
	sqe.module_load.format = VGPUFRONT_MODULE_PTX;
	sqe.module_load.image = (struct vgpufront_operand){ 2, 99, 1 };
	sqe.module_load.log = (struct vgpufront_operand){ 1, 95, 4001 };

	return sqe;
}

static const char kernel_name[] = "tiled_matmul";

static inline struct vgpufront_sqe a_get(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_FUNCTION_GET);

	sqe.function_get.module = 3;
	sqe.function_get.function = 4;
	sqe.function_get.name = (uintptr_t)kernel_name;
	sqe.function_get.name_len = strlen(kernel_name);
	sqe.function_get.params = (struct vgpufront_operand){ 1, 96, 4000 };

	return sqe;
}

/* 28 octets: offsets at 0 and 16, then four and four of its own. */
static uint8_t args[VGPUFRONT_MAX_ARGS];
static struct vgpufront_reloc relocs[VGPUFRONT_MAX_RELOCS];

static inline struct vgpufront_sqe a_launch(void)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_LAUNCH);
	uint64_t offset = 4096;

	for (unsigned int i = 0; i < sizeof(args); i++)
		args[i] = i;
	memcpy(args, &offset, 8);
	memset(relocs, 0, sizeof(relocs));
	relocs[0] = (struct vgpufront_reloc){ .handle = 1, .at = 0 };
	relocs[1] = (struct vgpufront_reloc){ .handle = MEM(7), .at = 16 };
	sqe.launch.function = 4;
	sqe.launch.grid[0] = 70000;
	sqe.launch.grid[1] = 2;
	sqe.launch.grid[2] = 3;
	sqe.launch.block[0] = 256;
	sqe.launch.block[1] = 5;
	sqe.launch.block[2] = 6;
	sqe.launch.shared = 1024;
	sqe.launch.args = (uintptr_t)args;
	sqe.launch.args_len = 28;
	sqe.launch.relocs = (uintptr_t)relocs;
	sqe.launch.nr_relocs = 2;

	return sqe;
}

#endif /* FRONT_SQE_H */
