// SPDX-License-Identifier: MIT
/*
 * test_backend_operands.c - the rules for what requests work on: ranges of
 * buffers and of device memory, operands, matrices
 *
 * Those for requests by themselves are in test_backend_validate.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "validate.h"

#define VALID VGPU_RSP_OK
#define INVALID VGPU_RSP_INVALID

/* A buffer of 100 octets that starts at first_offset 4 of a page. */
static uint8_t page[4096] __attribute__((aligned(4096)));

static struct buffer buffer(bool read_only)
{
	return (struct buffer){.data = page + 4,
			       .base = page,
			       .region = (void *)page,
			       .length = 100,
			       .used = true,
			       .read_only = read_only};
}

struct operand_rule {
	const char *name;
	uint64_t offset;
	uint32_t count;
	bool output;
	bool read_only;
	enum vgpu_status want;
};

static const struct operand_rule operand_rules[] = {
	{"all of it", 0, 25, false, false, VALID},
	{"its last element", 96, 1, true, false, VALID},
	{"none at its end", 100, 0, false, false, VALID},
	{"none behind its end", 104, 0, false, false, VGPU_RSP_RANGE},
	{"one too many", 0, 26, false, false, VGPU_RSP_RANGE},
	{"one behind the end", 100, 1, false, false, VGPU_RSP_RANGE},
	{"offset overflows", ~3ull, 2, false, false, VGPU_RSP_RANGE},
	{"offset at the top", 1ull << 63, 1, false, false, VGPU_RSP_RANGE},
	{"count * 4 overflows 32 bits", 0, 0x40000000, false, false,
	 VGPU_RSP_RANGE},
	{"count at the top", 0, 0xffffffff, false, false, VGPU_RSP_RANGE},
	{"odd offset", 2, 1, false, false, VGPU_RSP_INVALID},
	{"input, read-only", 0, 25, false, true, VALID},
	{"output, read-only", 0, 25, true, true, VGPU_RSP_ACCESS},
};

static void each_operand_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(operand_rules) / sizeof(*operand_rules);
	     i++) {
		const struct operand_rule *rule = &operand_rules[i];
		const struct vgpu_operand opnd = {.handle = 1,
						  .count = rule->count,
						  .offset = rule->offset};
		struct buffer buf = buffer(rule->read_only);
		const struct target t = {.buf = &buf};
		struct vgpu_engine_operand out = {0};
		enum vgpu_status got =
			operand_check(&opnd, &t, rule->output, &out);

		if (got != rule->want)
			fail_msg("%s: status %d, want %d", rule->name, got,
				 rule->want);
		if (got)
			continue;
		assert_ptr_equal(out.host, page + 4 + rule->offset);
		assert_int_equal(out.count, rule->count);
		assert_ptr_equal(out.region, buf.region);
	}
}

static void operand_without_buffer(void **state)
{
	const struct vgpu_operand opnd = {.handle = 1};
	const struct target none = {0};
	struct vgpu_engine_operand out;

	(void)state;
	assert_int_equal(operand_check(&opnd, &none, false, &out),
			 VGPU_RSP_NO_HANDLE);
}

/* first_offset 1 makes offset 3 an aligned one, and 0 not. */
static void alignment_counts_first_offset(void **state)
{
	struct buffer buf = buffer(false);
	const struct target t = {.buf = &buf};
	struct vgpu_operand opnd = {.handle = 1, .count = 1};
	struct vgpu_engine_operand out;

	(void)state;
	buf.data = page + 1;
	assert_int_equal(operand_check(&opnd, &t, false, &out),
			 VGPU_RSP_INVALID);
	opnd.offset = 3;
	assert_int_equal(operand_check(&opnd, &t, false, &out), VGPU_RSP_OK);
}

static void the_last_operand_is_written(void **state)
{
	static const uint16_t kernel[] = {VGPU_KERNEL_VECTOR_ADD,
					  VGPU_KERNEL_SAXPY, VGPU_KERNEL_SGEMM,
					  VGPU_KERNEL_REDUCE_SUM};
	static const unsigned int last[] = {2, 1, 2, 1};

	(void)state;
	for (int i = 0; i < 4; i++)
		for (unsigned int k = 0; k <= last[i]; k++)
			assert_int_equal(kernel_writes(kernel[i], k),
					 k == last[i]);
}

struct matrix_rule {
	const char *name;
	struct vgpu_sgemm p;
	uint32_t count[3];
	enum vgpu_status want;
};

#define TOP INT32_MAX
#define LD(m, n, k, lda, ldb, ldc) m, n, k, lda, ldb, ldc, 0, 0

static const struct matrix_rule matrix_rules[] = {
	/* A 3 x 5, B 5 x 4, C 3 x 4; leading dimensions larger by 1 */
	{"to the last element",
	 {LD(3, 4, 5, 4, 6, 4), 0, 0},
	 {19, 23, 15},
	 VALID},
	{"A one short", {LD(3, 4, 5, 4, 6, 4), 0, 0}, {18, 23, 15}, INVALID},
	{"B one short", {LD(3, 4, 5, 4, 6, 4), 0, 0}, {19, 22, 15}, INVALID},
	{"C one short", {LD(3, 4, 5, 4, 6, 4), 0, 0}, {19, 23, 14}, INVALID},
	{"A and B transposed",
	 {LD(3, 4, 5, 5, 4, 3), 1, 1},
	 {15, 20, 12},
	 VALID},
	{"A transposed, lda of A",
	 {LD(3, 4, 5, 3, 5, 3), 1, 0},
	 {99, 99, 99},
	 INVALID},
	{"B transposed, ldb of B",
	 {LD(3, 5, 4, 3, 4, 3), 0, 1},
	 {99, 99, 99},
	 INVALID},
	{"lda too small", {LD(3, 4, 5, 2, 5, 3), 0, 0}, {99, 99, 99}, INVALID},
	{"ldc too small", {LD(3, 4, 5, 3, 5, 2), 0, 0}, {99, 99, 99}, INVALID},
	{"lda 0", {LD(0, 4, 5, 0, 5, 1), 0, 0}, {99, 99, 99}, INVALID},
	{"lda too large",
	 {LD(3, 4, 5, 1u << 31, 5, 3), 0, 0},
	 {~0u, ~0u, ~0u},
	 INVALID},
	{"m too large",
	 {LD(1u << 31, 4, 5, TOP, 5, TOP), 0, 0},
	 {~0u, ~0u, ~0u},
	 INVALID},
	{"k of all bits",
	 {LD(1, 1, ~0u, 1, ~0u, 1), 0, 0},
	 {~0u, ~0u, ~0u},
	 INVALID},
	{"trans 2", {LD(3, 4, 5, 4, 6, 4), 2, 0}, {99, 99, 99}, INVALID},
	{"trans_b of all bits",
	 {LD(3, 4, 5, 4, 6, 4), 0, ~0u},
	 {99, 99, 99},
	 INVALID},
	{"the largest does not overflow",
	 {LD(TOP, TOP, TOP, TOP, TOP, TOP), 0, 0},
	 {~0u, ~0u, ~0u},
	 INVALID},
	{"product of 2^32 and a bit",
	 {LD(65536, 65537, 1, 65536, 1, 65536), 0, 0},
	 {65536, 65537, 65536},
	 INVALID},
	{"nothing to do needs no elements",
	 {LD(0, 4, 5, 1, 5, 1), 0, 0},
	 {0, 20, 0},
	 VALID},
	{"k 0 needs C alone", {LD(3, 4, 0, 3, 1, 3), 0, 0}, {0, 0, 12}, VALID},
};

static void each_matrix_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matrix_rules) / sizeof(*matrix_rules);
	     i++) {
		const struct matrix_rule *rule = &matrix_rules[i];
		struct vgpu_operand operand[3] = {0};
		enum vgpu_status got;

		for (int k = 0; k < 3; k++)
			operand[k].count = rule->count[k];
		got = sgemm_check(&rule->p, operand);
		if (got != rule->want)
			fail_msg("%s: status %d, want %d", rule->name, got,
				 rule->want);
	}
}

/* Device memory has an end and no alignment of its own. */
static void ranges_in_device_memory(void **state)
{
	struct object mem = {.u.mem = {.bytes = 100}};
	const struct target t = {.mem = &mem};
	struct vgpu_engine_operand out;

	(void)state;
	assert_int_equal(range_check(&t, 3, 97, 1, true, &out), VGPU_RSP_OK);
	assert_ptr_equal(out.mem, &mem.u.mem);
	assert_null(out.host);
	assert_null(out.region);
	assert_int_equal(out.offset, 3);
	assert_int_equal(out.count, 97);
	assert_int_equal(range_check(&t, 100, 0, 1, true, &out), VGPU_RSP_OK);
	assert_int_equal(range_check(&t, 3, 98, 1, true, &out), VGPU_RSP_RANGE);
	assert_int_equal(range_check(&t, ~0ull, 2, 1, true, &out),
			 VGPU_RSP_RANGE);
	assert_int_equal(range_check(&t, 1, ~0ull, 1, true, &out),
			 VGPU_RSP_RANGE);
	assert_int_equal(range_check(&t, 2, 4, 4, true, &out),
			 VGPU_RSP_INVALID);
	assert_int_equal(range_check(&t, 2, 4, 2, true, &out), VGPU_RSP_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operand_rule),
		cmocka_unit_test(operand_without_buffer),
		cmocka_unit_test(alignment_counts_first_offset),
		cmocka_unit_test(the_last_operand_is_written),
		cmocka_unit_test(each_matrix_rule),
		cmocka_unit_test(ranges_in_device_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
