// SPDX-License-Identifier: MIT
/*
 * test_front_refused.c - what the frontend refuses of a program's requests
 */
#include "front_sqe.h"

/* The errno of a request after one field of it was set. */
#define REFUSED(err, make, field, value) do {				\
	struct vgpufront_sqe sqe_ = (make);				\
	sqe_.field = value;						\
	assert_int_equal(translate(&sqe_), -(err));			\
} while (0)

static void test_refused_header(void **state)
{
	static const uint8_t not_quiet[] = {
		VGPUFRONT_OP_NOP, VGPUFRONT_OP_MODULE_LOAD,
		VGPUFRONT_OP_FUNCTION_GET, VGPUFRONT_OP_FENCE,
		VGPUFRONT_OP_STREAM_DESTROY,
	};
	struct vgpufront_sqe sqe;

	(void)state;
	for (unsigned int op = 0; op < 256; op++) {
		bool known = op == VGPUFRONT_OP_NOP ||
			     (op >= VGPUFRONT_OP_BUILTIN &&
			      op <= VGPUFRONT_OP_STREAM_DESTROY);
		int err;

		sqe = make(op);
		/* All but the reserved fields may be 0 for check(). */
		if (op == VGPUFRONT_OP_FUNCTION_GET)
			sqe.function_get.name_len = 1;
		err = vgpufront_sqe_check(&sqe, &payload);
		assert_int_equal(err, known ? 0 : -EINVAL);
		sqe.flags = VGPUFRONT_SQE_QUIET << 1;
		err = vgpufront_sqe_check(&sqe, &payload);
		assert_int_equal(err, -EINVAL);
		sqe.flags = 0;
		sqe.reserved = 1;
		err = vgpufront_sqe_check(&sqe, &payload);
		assert_int_equal(err, -EINVAL);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(not_quiet); i++) {
		sqe = make(not_quiet[i]);
		sqe.flags = VGPUFRONT_SQE_QUIET;
		if (sqe.op == VGPUFRONT_OP_FUNCTION_GET)
			sqe.function_get.name_len = 1;
		assert_int_equal(vgpufront_sqe_check(&sqe, &payload), -EINVAL);
	}
}

/* Each reserved word of each op, and nothing else, is refused. */
static void test_refused_reserved(void **state)
{
	struct vgpufront_sqe alloc = make(VGPUFRONT_OP_MEM_ALLOC);
	struct vgpufront_sqe fence = make(VGPUFRONT_OP_FENCE);
	struct vgpufront_sqe nop = make(VGPUFRONT_OP_NOP);

	(void)state;
	for (unsigned int op = VGPUFRONT_OP_MEM_FREE;
	     op <= VGPUFRONT_OP_EVENT_DESTROY; op++) {
		if (op != VGPUFRONT_OP_MEM_FREE &&
		    op != VGPUFRONT_OP_MODULE_UNLOAD &&
		    op < VGPUFRONT_OP_EVENT_RECORD)
			continue;
		REFUSED(EINVAL, make(op), handle.reserved0, 1);
		for (unsigned int i = 0; i < 7; i++)
			REFUSED(EINVAL, make(op), handle.reserved[i], 1);
	}
	for (unsigned int i = 0; i < 8; i++) {
		REFUSED(EINVAL, fence, body[i], 1);
		REFUSED(EINVAL, make(VGPUFRONT_OP_STREAM_DESTROY), body[i], 1);
	}
	for (unsigned int i = 0; i < 7; i++)
		REFUSED(EINVAL, nop, nop.reserved[i], 1);
	REFUSED(EINVAL, alloc, mem_alloc.reserved0, 1);
	for (unsigned int i = 0; i < 6; i++)
		REFUSED(EINVAL, alloc, mem_alloc.reserved[i], 1);
	REFUSED(EINVAL, a_fill(), fill.reserved0, 1);
	for (unsigned int i = 0; i < 4; i++) {
		REFUSED(EINVAL, a_copy(), copy.reserved[i], 1);
		REFUSED(EINVAL, a_fill(), fill.reserved[i], 1);
	}
	REFUSED(EINVAL, a_get(), function_get.reserved0, 1);
	for (unsigned int i = 0; i < 3; i++) {
		REFUSED(EINVAL, a_load(), module_load.reserved[i], 1);
		REFUSED(EINVAL, a_get(), function_get.reserved[i], 1);
	}
	REFUSED(EINVAL, a_launch(), launch.reserved0, 1);
	for (unsigned int i = 0; i < 2; i++)
		REFUSED(EINVAL, a_launch(), launch.reserved[i], 1);
}

static void test_refused_lengths(void **state)
{
	struct vgpufront_sqe block = a_builtin();

	(void)state;
	block.builtin.param = 0;
	block.builtin.params = (uintptr_t)args;
	REFUSED(0, block, builtin.param_len, VGPUFRONT_MAX_PARAMS);
	REFUSED(EINVAL, block, builtin.param_len, VGPUFRONT_MAX_PARAMS + 1);
	REFUSED(EINVAL, block, builtin.param_len, 0);
	block.builtin.param_len = 8;
	REFUSED(EINVAL, block, builtin.param, 1);
	REFUSED(EINVAL, a_get(), function_get.name_len, 0);
	REFUSED(EINVAL, a_get(), function_get.name_len,
		VGPUFRONT_MAX_KERNEL_NAME + 1);
	REFUSED(EINVAL, a_get(), function_get.name_len, UINT32_MAX);
	REFUSED(EINVAL, a_launch(), launch.args_len, VGPUFRONT_MAX_ARGS + 1);
	REFUSED(EINVAL, a_launch(), launch.args_len, UINT16_MAX);
	REFUSED(EINVAL, a_launch(), launch.nr_relocs, VGPUFRONT_MAX_RELOCS + 1);
	REFUSED(EINVAL, a_launch(), launch.nr_relocs, UINT16_MAX);
	REFUSED(EINVAL, a_launch(), launch.args_len, 0);
	REFUSED(EINVAL, a_launch(), launch.args_len, 7);
}

/* No such buffer: unused places, 0, one too far, and device memory as one. */
static void test_refused_handles(void **state)
{
	static const uint32_t none[] = { 3, 0, 255, 257, 0x7fffffff };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
		REFUSED(ENOENT, a_builtin(), builtin.operand[0].handle,
			none[i]);
		REFUSED(ENOENT, a_builtin(), builtin.operand[1].handle,
			none[i]);
		REFUSED(ENOENT, a_copy(), copy.dst, none[i]);
		REFUSED(ENOENT, a_copy(), copy.src, none[i]);
		REFUSED(ENOENT, a_fill(), fill.handle, none[i]);
		REFUSED(ENOENT, a_load(), module_load.image.handle, none[i]);
		REFUSED(ENOENT, a_load(), module_load.log.handle, none[i]);
		REFUSED(ENOENT, a_get(), function_get.params.handle, none[i]);
	}
	REFUSED(ENOENT, a_load(), module_load.image.handle, MEM(1));
	REFUSED(ENOENT, a_load(), module_load.log.handle, MEM(1));
	REFUSED(ENOENT, a_get(), function_get.params.handle, MEM(1));
}

static void test_refused_ranges(void **state)
{
	(void)state;
	REFUSED(ERANGE, a_builtin(), builtin.operand[0].count, 25);
	REFUSED(ERANGE, a_builtin(), builtin.operand[0].count, UINT32_MAX);
	REFUSED(ERANGE, a_builtin(), builtin.operand[0].count, 0x40000001);
	REFUSED(ERANGE, a_builtin(), builtin.operand[0].offset, 4004);
	REFUSED(ERANGE, a_builtin(), builtin.operand[0].offset, -4ULL);
	REFUSED(EINVAL, a_builtin(), builtin.operand[0].offset, 3);
	REFUSED(ERANGE, a_copy(), copy.length, 7);
	REFUSED(ERANGE, a_copy(), copy.length, UINT64_MAX);
	REFUSED(ERANGE, a_copy(), copy.dst_offset, 4091);
	REFUSED(ERANGE, a_copy(), copy.src_offset, 95);
	REFUSED(ERANGE, a_copy(), copy.src_offset, UINT64_MAX);
	REFUSED(ERANGE, a_fill(), fill.length, 9);
	REFUSED(ERANGE, a_fill(), fill.offset, LARGE - 7);
	REFUSED(ERANGE, a_fill(), fill.offset, -8ULL);
	REFUSED(ERANGE, a_load(), module_load.image.count, 100);
	REFUSED(ERANGE, a_load(), module_load.image.offset, 2);
	REFUSED(ERANGE, a_load(), module_load.log.count, 96);
	REFUSED(ERANGE, a_get(), function_get.params.count, 97);
	REFUSED(EINVAL, a_get(), function_get.params.offset, 3998);
}

static void test_refused_access(void **state)
{
	struct vgpufront_sqe copy = a_copy();

	(void)state;
	copy.copy.dst_offset = 0;
	REFUSED(EACCES, copy, copy.dst, 2);
	copy = a_fill();
	copy.fill.offset = 0;
	REFUSED(EACCES, copy, fill.handle, 2);
	copy = a_load();
	copy.module_load.log = (struct vgpufront_operand){ 0, 10, 0 };
	REFUSED(EACCES, copy, module_load.log.handle, 2);
	copy = a_get();
	copy.function_get.params = (struct vgpufront_operand){ 0, 8, 0 };
	REFUSED(EACCES, copy, function_get.params.handle, 2);
	/* What a kernel does with its operands is not known here. */
	REFUSED(0, a_builtin(), builtin.operand[2],
		((struct vgpufront_operand){ 2, 25, 0 }));
}

static int launch_with(uint32_t handle, uint16_t at, uint16_t reserved,
		       uint64_t offset)
{
	struct vgpufront_sqe sqe = a_launch();

	if (at <= 20)
		memcpy(args + at, &offset, sizeof(offset));
	relocs[1] = (struct vgpufront_reloc){ handle, at, reserved };

	return translate(&sqe);
}

static void test_refused_relocs(void **state)
{
	(void)state;
	assert_int_equal(launch_with(1, 16, 0, 4096), 0);
	assert_int_equal(launch_with(1, 16, 0, 4097), -ERANGE);
	assert_int_equal(launch_with(1, 16, 0, UINT64_MAX), -ERANGE);
	assert_int_equal(launch_with(2, 16, 0, 0), -EACCES);
	assert_int_equal(launch_with(3, 16, 0, 0), -ENOENT);
	assert_int_equal(launch_with(0, 16, 0, 0), -ENOENT);
	assert_int_equal(launch_with(257, 16, 0, 0), -ENOENT);
	assert_int_equal(launch_with(MEM(1), 16, 0, UINT64_MAX), 0);
	assert_int_equal(launch_with(MEM(1), 16, 1, 0), -EINVAL);
	assert_int_equal(launch_with(MEM(1), 20, 0, 0), -EINVAL);
	assert_int_equal(launch_with(MEM(1), 12, 0, 0), -EINVAL);
	/* 28 octets: the last multiple of 8 that has 8 behind it is 16. */
	assert_int_equal(launch_with(MEM(1), 24, 0, 0), -EINVAL);
	assert_int_equal(launch_with(MEM(1), UINT16_MAX - 7, 0, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_header),
		cmocka_unit_test(test_refused_reserved),
		cmocka_unit_test(test_refused_lengths),
		cmocka_unit_test(test_refused_handles),
		cmocka_unit_test(test_refused_ranges),
		cmocka_unit_test(test_refused_access),
		cmocka_unit_test(test_refused_relocs),
	};

	return cmocka_run_group_tests_name("front_refused", tests, NULL, NULL);
}
