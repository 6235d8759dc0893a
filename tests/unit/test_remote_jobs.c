// SPDX-License-Identifier: MIT
/*
 * test_remote_jobs.c - what a child of vgpu-engined makes of a JOB, right or not:
 * memory, copies, fills, built-in kernels
 */
#include "remote_parts.h"

static void test_mem_alloc(void **state)
{
	struct remote_job j = {.op = VGPU_OP_MEM_ALLOC, .number = 5,
			       .operand = {{.count = 4096}}};
	const unsigned char *data;
	size_t octets;

	(void)state;
	assert_int_equal(try_job(&j, NULL, 0), VGPU_RSP_OK);
	assert_int_equal(submitted[0]->op, VGPU_OP_MEM_ALLOC);
	assert_int_equal(submitted[0]->mem->bytes, 4096);
	submitted[0]->value = 0x700;
	finish(0, VGPU_RSP_OK);
	assert_int_equal(last_done(&octets, &data)->value, 0x700);
	send_all();
	bad(&j, NULL, 0, VGPU_RSP_EXISTS);
	/* One that fails has its number until it is freed. */
	j.number = 6;
	assert_int_equal(try_job(&j, NULL, 0), VGPU_RSP_OK);
	submitted[0]->value = 0x800;
	finish(0, VGPU_RSP_NO_MEMORY);
	assert_int_equal(last_done(&octets, &data)->value, 0);
	send_all();
	bad(&j, NULL, 0, VGPU_RSP_EXISTS);
	assert_true(take_free(REMOTE_KIND_MEMORY, 6));
	assert_int_equal(nr_mem_freed, 1);
	good(&j, NULL, 0);
	j.number = 0;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.number = REMOTE_NUMBERS;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.number = UINT32_MAX;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.number = 7;
	bad(&j, "data", 4, VGPU_RSP_INVALID);
	j.operand[0].offset = 1;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[0].offset = 0;
	j.operand[0].count = 0;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
}

static void test_copy(void **state)
{
	struct remote_job j = {.op = VGPU_OP_COPY,
			       .operand = {OP(1, 10, 90), OP(2, 0, 90)}};
	static unsigned char data[REMOTE_DATA_MAX];
	const unsigned char *answer;
	size_t octets;

	(void)state;
	alloc(1, 100);
	alloc(2, UINT64_MAX);
	good(&j, NULL, 0);
	j.operand[0].offset = 11;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	j.operand[0].offset = UINT64_MAX - 10;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	j.operand[0].offset = 100;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	j.operand[0] = j.operand[1];
	j.operand[0].count = j.operand[1].count = UINT64_MAX;
	good(&j, NULL, 0);
	j.operand[1].offset = 1;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	/* Counts that differ, none, no memory, memory that is not there. */
	j = (struct remote_job){.op = VGPU_OP_COPY,
				.operand = {OP(1, 0, 8), OP(2, 0, 9)}};
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[0].count = j.operand[1].count = 0;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j = (struct remote_job){.op = VGPU_OP_COPY,
				.operand = {OP(0, 0, 8), OP(0, 0, 8)}};
	bad(&j, data, 8, VGPU_RSP_INVALID);
	j.operand[0].memory = 3;
	bad(&j, data, 8, VGPU_RSP_NO_HANDLE);
	j.operand[0].memory = REMOTE_NUMBERS + 1;
	bad(&j, data, 8, VGPU_RSP_NO_HANDLE);
	/* Data: as much as the count says. */
	j.operand[0].memory = 1;
	good(&j, data, 8);
	bad(&j, data, 7, VGPU_RSP_INVALID);
	bad(&j, data, 9, VGPU_RSP_INVALID);
	j.operand[1].offset = 1;
	bad(&j, data, 8, VGPU_RSP_INVALID);
	/* And back, as much as a frame holds. */
	j = (struct remote_job){.op = VGPU_OP_COPY,
				.operand = {OP(0, 0, REMOTE_DATA_MAX),
					    OP(2, 0, REMOTE_DATA_MAX)}};
	bad(&j, data, 1, VGPU_RSP_INVALID);
	assert_int_equal(try_job(&j, NULL, 0), VGPU_RSP_OK);
	memset(submitted[0]->operand[0].host, 7, REMOTE_DATA_MAX);
	finish(0, VGPU_RSP_OK);
	last_done(&octets, &answer);
	assert_int_equal(octets, REMOTE_DATA_MAX);
	assert_int_equal(answer[REMOTE_DATA_MAX - 1], 7);
	assert_memory_equal(answer + octets, parts.nonce, REMOTE_MARK);
	send_all();
	/* One that fails brings none. */
	assert_int_equal(try_job(&j, NULL, 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_NO_MEMORY);
	last_done(&octets, &answer);
	assert_int_equal(octets, 0);
	send_all();
	j.operand[0].count = j.operand[1].count = REMOTE_DATA_MAX + 1;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
}

static void test_fill(void **state)
{
	struct remote_job j = {.op = VGPU_OP_FILL, .param = 0xabcd, .width = 2,
			       .operand = {OP(1, 2, 98)}};

	(void)state;
	alloc(1, 100);
	good(&j, NULL, 0);
	bad(&j, "x", 1, VGPU_RSP_INVALID);
	j.param = 0x10000;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.param = 1;
	j.width = 4;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.width = 3;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.width = 0;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.width = 1;
	good(&j, NULL, 0);
	j.operand[0].count = 99;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	j.operand[0].memory = 0;
	bad(&j, NULL, 0, VGPU_RSP_NO_HANDLE);
	j.operand[0].memory = 1;
	j.operand[1].count = 1;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
}

static void test_builtins(void **state)
{
	struct remote_job j = {.op = VGPU_OP_BUILTIN,
			       .kernel = VGPU_KERNEL_SAXPY, .param = 9,
			       .operand = {OP(1, 0, 25), OP(1, 0, 25)}};

	(void)state;
	alloc(1, 100);
	good(&j, NULL, 0);
	bad(&j, "data", 4, VGPU_RSP_INVALID);
	j.operand[1].count = 24;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[1].offset = 4;
	j.operand[0].count = 24;
	good(&j, NULL, 0);
	j.operand[1].offset = 2;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[1].offset = 8;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	/* 2^62 elements: no octets at all, to 64 bits. */
	j.operand[0].count = j.operand[1].count = UINT64_C(1) << 62;
	bad(&j, NULL, 0, VGPU_RSP_RANGE);
	j = (struct remote_job){.op = VGPU_OP_BUILTIN,
				.kernel = VGPU_KERNEL_REDUCE_SUM,
				.operand = {OP(1, 0, 0), OP(1, 96, 1)}};
	good(&j, NULL, 0);
	j.operand[1].count = 0;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[1].count = 1;
	j.operand[2].offset = 4;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j.operand[2].offset = 0;
	/* Only a vector add brings data of its own. */
	j.operand[0].memory = 0;
	bad(&j, NULL, 0, VGPU_RSP_NO_HANDLE);
	j.operand[0].memory = 1;
	j.param = 1;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	j = (struct remote_job){.op = VGPU_OP_BUILTIN,
				.kernel = VGPU_KERNEL_VECTOR_ADD,
				.operand = {OP(1, 0, 8), OP(1, 4, 8),
					    OP(1, 8, 8)}};
	good(&j, NULL, 0);
	j.operand[2].memory = 0;
	bad(&j, NULL, 0, VGPU_RSP_NO_HANDLE);
	j.kernel = VGPU_KERNEL_DEBUG_FAULT;
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
}

static void test_sgemm(void **state)
{
	struct vgpu_sgemm g = {.m = 3, .n = 4, .k = 5, .lda = 3, .ldb = 5,
			       .ldc = 4};
	struct remote_job j = {.op = VGPU_OP_BUILTIN,
			       .kernel = VGPU_KERNEL_SGEMM,
			       .operand = {OP(1, 0, 15), OP(1, 0, 20),
					   OP(1, 0, 15)}};

	(void)state;
	alloc(1, 100);
	assert_int_equal(try_job(&j, &g, sizeof(g)), VGPU_RSP_OK);
	assert_memory_equal(submitted[0]->sgemm, &g, sizeof(g));
	finish(0, VGPU_RSP_OK);
	send_all();
	bad(&j, &g, sizeof(g) - 1, VGPU_RSP_INVALID);
	bad(&j, NULL, 0, VGPU_RSP_INVALID);
	for (int i = 0; i < 3; i++) {
		j.operand[i].count--;
		bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
		j.operand[i].count++;
	}
	g.lda = 2;
	bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
	g.lda = UINT32_MAX;
	bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
	g.lda = 3;
	g.trans_b = 2;
	bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
	g.trans_b = 0;
	/* 2^31 * 2^31 elements must not become few. */
	g.m = g.n = g.k = g.lda = g.ldb = g.ldc = INT32_MAX;
	bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
	g.m = UINT32_MAX;
	bad(&j, &g, sizeof(g), VGPU_RSP_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(test_mem_alloc),
		PARTS_TEST(test_copy),
		PARTS_TEST(test_fill),
		PARTS_TEST(test_builtins),
		PARTS_TEST(test_sgemm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
