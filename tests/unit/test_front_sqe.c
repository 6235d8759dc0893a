// SPDX-License-Identifier: MIT
/*
 * test_front_sqe.c - a program's requests translated for the wire
 */
#include "front_sqe.h"

static void test_nop(void **state)
{
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_NOP);

	(void)state;
	sqe.nop.cookie = 0x1122334455667788;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.op, VGPU_OP_NOP);
	assert_int_equal(wire.req.stream, 9);
	assert_int_equal(wire.req.flags, 0);
	assert_true(wire.req.u.nop.cookie == 0x1122334455667788);
	assert_int_equal(payload.room, 0);
	assert_int_equal(wire.block_len, 0);
	assert_held(0, 0);
}

static void test_builtin(void **state)
{
	struct vgpufront_sqe sqe = a_builtin();
	const struct vgpu_builtin_req *req = &wire.req.u.builtin;

	(void)state;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(req->kernel, VGPU_KERNEL_SAXPY);
	assert_int_equal(req->param, 0x3f800000);
	assert_int_equal(req->param_len, 0);
	assert_int_equal(req->operand[0].handle, 77);
	assert_int_equal(req->operand[0].count, 24);
	assert_int_equal(req->operand[0].offset, 4000);
	assert_int_equal(req->operand[1].handle, MEM(5));
	assert_int_equal(req->operand[1].count, 9);
	assert_int_equal(req->operand[1].offset, 8);
	assert_int_equal(req->operand[2].handle, 0);
	assert_held(1, 0);
}

static void test_builtin_block(void **state)
{
	struct vgpu_sgemm shape = { .m = 1, .n = 2, .k = 3, .beta = 99 };
	struct vgpufront_sqe sqe = a_builtin();

	(void)state;
	sqe.builtin.kernel = VGPU_KERNEL_SGEMM;
	sqe.builtin.param = 0;
	sqe.builtin.params = (uintptr_t)&shape;
	sqe.builtin.param_len = sizeof(shape);
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.u.builtin.param_len, sizeof(shape));
	assert_int_equal(wire.block_len, sizeof(shape));
	assert_memory_equal(memory + wire.block_at, &shape, sizeof(shape));
}

static void test_objects(void **state)
{
	static const uint8_t by_handle[] = {
		VGPUFRONT_OP_MEM_FREE, VGPUFRONT_OP_MODULE_UNLOAD,
		VGPUFRONT_OP_EVENT_RECORD, VGPUFRONT_OP_EVENT_WAIT,
		VGPUFRONT_OP_EVENT_DESTROY,
	};
	struct vgpufront_sqe sqe = make(VGPUFRONT_OP_MEM_ALLOC);

	(void)state;
	sqe.mem_alloc.handle = MEM(8);
	sqe.mem_alloc.length = LARGE;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.u.mem_alloc.handle, MEM(8));
	assert_int_equal(wire.req.u.mem_alloc.flags, 0);
	assert_true(wire.req.u.mem_alloc.length == LARGE);

	/* Not a guest buffer's number, however small. */
	for (unsigned int i = 0; i < ARRAY_SIZE(by_handle); i++) {
		sqe = make(by_handle[i]);
		sqe.handle.handle = 1;
		assert_int_equal(translate(&sqe), 0);
		assert_int_equal(wire.req.op, by_handle[i]);
		assert_int_equal(wire.req.u.handle.handle, 1);
		assert_held(0, 0);
	}
}

static void test_copy_fill(void **state)
{
	struct vgpufront_sqe sqe = a_copy();

	(void)state;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.u.copy.dst, 77);
	assert_int_equal(wire.req.u.copy.src, 88);
	assert_int_equal(wire.req.u.copy.dst_offset, 4090);
	assert_int_equal(wire.req.u.copy.src_offset, 94);
	assert_int_equal(wire.req.u.copy.length, 6);
	assert_held(3, 0);

	sqe.copy.dst = MEM(1);
	sqe.copy.dst_offset = UINT64_MAX;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.u.copy.dst, MEM(1));
	assert_true(wire.req.u.copy.dst_offset == UINT64_MAX);
	assert_held(2, 0);

	sqe = a_fill();
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.req.u.fill.handle, 99);
	assert_int_equal(wire.req.u.fill.pattern, 0xabcd);
	assert_int_equal(wire.req.u.fill.width, 2);
	assert_true(wire.req.u.fill.offset == LARGE - 8);
	assert_int_equal(wire.req.u.fill.length, 8);
	assert_held(0, 1ULL << 63);
}

static void test_module(void **state)
{
	struct vgpufront_sqe sqe = a_load();
	const struct vgpu_module_load_req *load = &wire.req.u.module_load;
	const struct vgpu_function_get_req *get = &wire.req.u.function_get;

	(void)state;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(load->module, 3);
	assert_int_equal(load->format, VGPU_MODULE_PTX);
	assert_int_equal(load->image.handle, 88);
	assert_int_equal(load->image.count, 99);
	assert_int_equal(load->image.offset, 1);
	assert_int_equal(load->log.handle, 77);
	assert_int_equal(load->log.count, 95);
	assert_int_equal(load->log.offset, 4001);
	assert_held(3, 0);

	memset(&sqe.module_load.log, 0, sizeof(sqe.module_load.log));
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(load->log.handle, 0);
	assert_held(2, 0);

	sqe = a_get();
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(get->module, 3);
	assert_int_equal(get->function, 4);
	assert_int_equal(get->name_len, strlen(kernel_name));
	assert_int_equal(wire.block_len, strlen(kernel_name));
	assert_memory_equal(memory + wire.block_at, kernel_name,
			    wire.block_len);
	assert_int_equal(get->params.handle, 77);
	assert_int_equal(get->params.count, 96);
	assert_int_equal(get->params.offset, 4000);
	assert_held(1, 0);
}

static void test_launch(void **state)
{
	struct vgpufront_sqe sqe = a_launch();
	const struct vgpu_launch_req *req = &wire.req.u.launch;
	struct vgpu_reloc out[2];

	(void)state;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(req->function, 4);
	assert_int_equal(req->grid[0], 70000);
	assert_int_equal(req->grid[1], 2);
	assert_int_equal(req->grid[2], 3);
	assert_int_equal(req->block[0], 256);
	assert_int_equal(req->block[1], 5);
	assert_int_equal(req->block[2], 6);
	assert_int_equal(req->args_len, 28);
	assert_int_equal(req->shared, 1024);
	assert_int_equal(req->nr_relocs, 2);
	assert_held(1, 0);

	/* Arguments, zeros to the multiple of 8, relocations. */
	assert_int_equal(wire.block_len, 32 + 2 * sizeof(out[0]));
	assert_memory_equal(memory + wire.block_at, args, 28);
	assert_memory_equal(memory + wire.block_at + 28, "\0\0\0\0", 4);
	memcpy(out, memory + wire.block_at + 32, sizeof(out));
	assert_int_equal(out[0].handle, 77);
	assert_int_equal(out[0].at, 0);
	assert_int_equal(out[0].reserved0, 0);
	assert_int_equal(out[1].handle, MEM(7));
	assert_int_equal(out[1].at, 16);
	assert_int_equal(out[1].reserved0, 0);
}

/* After a wait for room the same memory is translated again. */
static void test_again(void **state)
{
	struct vgpufront_sqe sqe = a_launch();
	struct vgpu_reloc out;

	(void)state;
	assert_int_equal(translate(&sqe), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(vgpufront_sqe_translate(&sqe, memory, find,
							 memory, &wire), 0);
	memcpy(&out, memory + wire.block_at + 32, sizeof(out));
	assert_int_equal(out.handle, 77);
	assert_held(1, 0);
}

static void test_launch_sizes(void **state)
{
	struct vgpufront_sqe sqe = a_launch();

	(void)state;
	sqe.launch.args_len = 0;
	sqe.launch.nr_relocs = 0;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.block_len, 0);

	sqe.launch.args_len = 13;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(wire.block_len, 13);
	assert_memory_equal(memory + wire.block_at, args, 13);

	sqe = a_launch();
	sqe.launch.args_len = VGPUFRONT_MAX_ARGS;
	sqe.launch.nr_relocs = VGPUFRONT_MAX_RELOCS;
	for (unsigned int i = 0; i < VGPUFRONT_MAX_RELOCS; i++)
		relocs[i] = (struct vgpufront_reloc){
			.handle = MEM(i + 1), .at = VGPUFRONT_MAX_ARGS - 8 };
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(payload.room, VGPUFRONT_MAX_ROOM);
	assert_int_equal(wire.block_len, VGPUFRONT_MAX_BLOCK);
	assert_memory_equal(memory + wire.block_at, args, VGPUFRONT_MAX_ARGS);
}

/* place() on an empty ring of one page and an arena behind 4096 octets. */
static uint8_t placed_flags(struct vgpufront_ring *ring,
			    struct vgpufront_arena *arena,
			    struct vgpufront_sqe sqe)
{
	sqe.flags = VGPUFRONT_SQE_QUIET;
	assert_int_equal(translate(&sqe), 0);
	vgpufront_sqe_place(&wire, ring, arena);

	return wire.req.flags;
}

static void test_place(void **state)
{
	static _Alignas(64) uint8_t page[VGPUIF_PAGE_SIZE];
	const uint8_t answered = VGPU_REQF_QUIET | VGPU_REQF_RETIRE;
	struct vgpufront_sqe launch = a_launch(), sqe;
	struct vgpufront_arena arena;
	struct vgpufront_ring ring;

	(void)state;
	vgpufront_ring_init(&ring, (void *)page, sizeof(page));
	vgpufront_arena_init(&arena, 4096, 4 * VGPUFRONT_MAX_BLOCK);

	sqe = a_get();
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(vgpufront_sqe_place(&wire, &ring, &arena), 4096);
	assert_int_equal(wire.req.u.function_get.name_offset, 4096);
	assert_int_equal(wire.req.flags, 0);
	sqe = a_builtin();
	sqe.builtin.param = 0;
	sqe.builtin.params = (uintptr_t)args;
	sqe.builtin.param_len = 40;
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(vgpufront_sqe_place(&wire, &ring, &arena), 4112);
	assert_int_equal(wire.req.u.builtin.param, 4112);
	assert_int_equal(translate(&launch), 0);
	assert_int_equal(vgpufront_sqe_place(&wire, &ring, &arena), 4152);
	assert_int_equal(wire.req.u.launch.args_offset, 4152);
	vgpufront_arena_ask(&arena);

	/* A guest buffer must be held until its request is done. */
	assert_int_equal(placed_flags(&ring, &arena, launch), answered);
	relocs[0].handle = MEM(1);
	assert_int_equal(placed_flags(&ring, &arena, launch), VGPU_REQF_QUIET);
	/* So must the arena's room and the ring's slots come back. */
	arena.asked -= 2 * VGPUFRONT_MAX_BLOCK;
	assert_int_equal(placed_flags(&ring, &arena, launch), answered);
	vgpufront_arena_ask(&arena);
	ring.quiet_run = 7;
	assert_int_equal(placed_flags(&ring, &arena, launch), answered);
	/* Neither for a request that is not quiet, nor without a block. */
	arena.asked -= 2 * VGPUFRONT_MAX_BLOCK;
	sqe = make(VGPUFRONT_OP_FENCE);
	assert_int_equal(translate(&sqe), 0);
	assert_int_equal(vgpufront_sqe_place(&wire, &ring, &arena), 0);
	assert_int_equal(wire.req.flags, 0);
	ring.quiet_run = 0;
	assert_int_equal(placed_flags(&ring, &arena,
				      make(VGPUFRONT_OP_MEM_FREE)),
			 VGPU_REQF_QUIET);
}

static void test_value(void **state)
{
	struct vgpu_response rsp = { .op = VGPU_OP_FENCE,
				     .value = 14 | 0xabcd << 8 };

	(void)state;
	assert_int_equal(vgpufront_sqe_value(&rsp), 14);
	rsp.op = VGPU_OP_STREAM_DESTROY;
	assert_int_equal(vgpufront_sqe_value(&rsp), 14);
	rsp.op = VGPU_OP_EVENT_RECORD;
	assert_int_equal(vgpufront_sqe_value(&rsp), 14 | 0xabcd << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nop),
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_builtin_block),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_copy_fill),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_launch_sizes),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_value),
	};

	return cmocka_run_group_tests_name("front_sqe", tests, NULL, NULL);
}
