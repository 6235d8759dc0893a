// SPDX-License-Identifier: MIT
/*
 * test_backend_validate.c - the request rules of vgpuif.h, one case each
 *
 * A case takes a good request of an op, changes it by a function, and says
 * what must come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "validate.h"

#define ARENA 8192u

static struct vgpu_request good(uint8_t op)
{
	struct vgpu_request r;

	memset(&r, 0, sizeof(r));
	r.op = op;
	r.id = 7;
	switch (op) {
	case VGPU_OP_NOP:
		r.u.nop.cookie = ~0ull;
		break;
	case VGPU_OP_INFO:
		r.u.info.arena_offset = ARENA - sizeof(struct vgpu_info);
		r.u.info.length = sizeof(struct vgpu_info);
		break;
	case VGPU_OP_BUFFER_MAP:
		r.u.map.handle = BACK_MAX_BUFFERS;
		r.u.map.flags = VGPU_BUF_READ_ONLY;
		r.u.map.directory = 9;
		r.u.map.nr_pages = 2;
		r.u.map.first_offset = 4;
		r.u.map.length = 8188;
		break;
	case VGPU_OP_BUFFER_UNMAP:
		r.u.handle.handle = 1;
		break;
	case VGPU_OP_BUILTIN:
		r.u.builtin.kernel = VGPU_KERNEL_VECTOR_ADD;
		for (int i = 0; i < 3; i++) {
			r.u.builtin.operand[i].handle = i + 1;
			r.u.builtin.operand[i].count = 1024;
		}
		break;
	default:
		break;
	}
	return r;
}

/* SET(field, value): one change of a request. */
struct change {
	size_t offset;
	size_t size;
	uint64_t value;
};

#define SET(field, v)                                                          \
	{                                                                      \
		offsetof(struct vgpu_request, field),                          \
			sizeof(((struct vgpu_request *)0)->field), (v)         \
	}
#define LAST_OCTET(v)                                                          \
	{                                                                      \
		sizeof(struct vgpu_request) - 1, 1, (v)                        \
	}

struct rule {
	const char *name;
	uint8_t op;
	struct change change[3];
	enum vgpu_status want;
};

#define VALID VGPU_RSP_OK
#define INVALID VGPU_RSP_INVALID

static const struct rule rules[] = {
	{"nop", VGPU_OP_NOP, {}, VALID},
	{"nop: reserved", VGPU_OP_NOP, {SET(u.nop.reserved[0], 1)}, INVALID},
	{"nop: last octet", VGPU_OP_NOP, {LAST_OCTET(1)}, INVALID},
	{"quiet without feature-quiet",
	 VGPU_OP_NOP,
	 {SET(flags, VGPU_REQF_QUIET)},
	 INVALID},
	{"unknown flag", VGPU_OP_NOP, {SET(flags, 0x80)}, INVALID},
	{"op 0", VGPU_OP_NOP, {SET(op, 0)}, VGPU_RSP_UNSUPPORTED},
	{"op 255", VGPU_OP_NOP, {SET(op, 255)}, VGPU_RSP_UNSUPPORTED},
	{"op 33 is not op 1", VGPU_OP_NOP, {SET(op, 33)}, VGPU_RSP_UNSUPPORTED},
	{"mem-alloc", VGPU_OP_MEM_ALLOC, {}, VGPU_RSP_UNSUPPORTED},
	{"launch", VGPU_OP_LAUNCH, {}, VGPU_RSP_UNSUPPORTED},
	{"stream-destroy", VGPU_OP_STREAM_DESTROY, {}, VGPU_RSP_UNSUPPORTED},

	{"info at the arena's end", VGPU_OP_INFO, {}, VALID},
	{"info: reserved", VGPU_OP_INFO, {SET(u.info.reserved[5], 1)}, INVALID},
	{"info: offset not of 8",
	 VGPU_OP_INFO,
	 {SET(u.info.arena_offset, 4)},
	 INVALID},
	{"info: too short", VGPU_OP_INFO, {SET(u.info.length, 127)}, INVALID},
	{"info: past the end",
	 VGPU_OP_INFO,
	 {SET(u.info.arena_offset, ARENA - 120)},
	 VGPU_RSP_RANGE},
	{"info: length past the end",
	 VGPU_OP_INFO,
	 {SET(u.info.length, 136)},
	 VGPU_RSP_RANGE},
	{"info: offset behind the arena",
	 VGPU_OP_INFO,
	 {SET(u.info.arena_offset, ARENA + 8)},
	 VGPU_RSP_RANGE},
	{"info: sum overflows",
	 VGPU_OP_INFO,
	 {SET(u.info.arena_offset, 0xfffffff8), SET(u.info.length, 0x100)},
	 VGPU_RSP_RANGE},

	{"map", VGPU_OP_BUFFER_MAP, {}, VALID},
	{"map: reserved0",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.reserved0, 1)},
	 INVALID},
	{"map: reserved",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.reserved[2], 1)},
	 INVALID},
	{"map: handle 0", VGPU_OP_BUFFER_MAP, {SET(u.map.handle, 0)}, INVALID},
	{"map: handle too large",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.handle, BACK_MAX_BUFFERS + 1)},
	 INVALID},
	{"map: unknown flag",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.flags, 2)},
	 INVALID},
	{"map: no pages",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.nr_pages, 0)},
	 INVALID},
	{"map: too many pages",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.nr_pages, BACK_MAX_BUFFER_PAGES + 1)},
	 VGPU_RSP_QUOTA},
	{"map: 4G pages",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.nr_pages, 0xffffffff)},
	 VGPU_RSP_QUOTA},
	{"map: first_offset a page",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.first_offset, 4096)},
	 INVALID},
	{"map: from a page's last octet to the next one's first",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.first_offset, 4095), SET(u.map.length, 2)},
	 VALID},
	{"map: in a page's last octet, and not the next",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.first_offset, 4095), SET(u.map.length, 1)},
	 INVALID},
	{"map: one octet in the last page",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.first_offset, 0), SET(u.map.length, 4097)},
	 VALID},
	{"map: length 0", VGPU_OP_BUFFER_MAP, {SET(u.map.length, 0)}, INVALID},
	{"map: past the last page",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.length, 8189)},
	 INVALID},
	{"map: last page unused",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.length, 4092)},
	 INVALID},
	{"map: length overflows the sum",
	 VGPU_OP_BUFFER_MAP,
	 {SET(u.map.length, ~0ull)},
	 INVALID},

	{"unmap", VGPU_OP_BUFFER_UNMAP, {}, VALID},
	{"unmap: handle 0",
	 VGPU_OP_BUFFER_UNMAP,
	 {SET(u.handle.handle, 0)},
	 VGPU_RSP_NO_HANDLE},
	{"unmap: handle too large",
	 VGPU_OP_BUFFER_UNMAP,
	 {SET(u.handle.handle, BACK_MAX_BUFFERS + 1)},
	 VGPU_RSP_NO_HANDLE},
	{"unmap: reserved0",
	 VGPU_OP_BUFFER_UNMAP,
	 {SET(u.handle.reserved0, 1)},
	 INVALID},
	{"unmap: reserved",
	 VGPU_OP_BUFFER_UNMAP,
	 {SET(u.handle.reserved[0], 1)},
	 INVALID},

	{"vector-add", VGPU_OP_BUILTIN, {}, VALID},
	{"kernel 0",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.kernel, 0)},
	 VGPU_RSP_UNSUPPORTED},
	{"saxpy",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.kernel, VGPU_KERNEL_SAXPY)},
	 VGPU_RSP_UNSUPPORTED},
	{"kernel 33 is not kernel 1",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.kernel, 33)},
	 VGPU_RSP_UNSUPPORTED},
	{"kernel 65535",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.kernel, 0xffff)},
	 VGPU_RSP_UNSUPPORTED},
	{"vector-add: param",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.param, 1)},
	 INVALID},
	{"vector-add: param_len",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.param_len, 1)},
	 INVALID},
	{"vector-add: second count",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.operand[1].count, 1023)},
	 INVALID},
	{"vector-add: third count",
	 VGPU_OP_BUILTIN,
	 {SET(u.builtin.operand[2].count, 1025)},
	 INVALID},

	{"fence", VGPU_OP_FENCE, {}, VALID},
	{"fence: reserved",
	 VGPU_OP_FENCE,
	 {SET(u.empty.reserved[0], 1)},
	 INVALID},
	{"fence: last octet", VGPU_OP_FENCE, {LAST_OCTET(0x80)}, INVALID},
	{"ctx-destroy", VGPU_OP_CTX_DESTROY, {}, VALID},
	{"ctx-destroy: reserved",
	 VGPU_OP_CTX_DESTROY,
	 {SET(u.empty.reserved[6], 1)},
	 INVALID},
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];
		struct vgpu_request r = good(rule->op);
		enum vgpu_status got;

		for (int c = 0; c < 3; c++)
			memcpy((uint8_t *)&r + rule->change[c].offset,
			       &rule->change[c].value, rule->change[c].size);
		got = request_check(&r, ARENA, BACK_KERNELS);
		if (got != rule->want)
			fail_msg("%s: status %d, want %d", rule->name, got,
				 rule->want);
	}
}

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
		const struct buffer buf = buffer(rule->read_only);
		struct vgpu_engine_operand out = {0};
		enum vgpu_status got =
			operand_check(&opnd, &buf, rule->output, &out);

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
	struct vgpu_engine_operand out;

	(void)state;
	assert_int_equal(operand_check(&opnd, NULL, false, &out),
			 VGPU_RSP_NO_HANDLE);
}

/* first_offset 1 makes offset 3 an aligned one, and 0 not. */
static void alignment_counts_first_offset(void **state)
{
	struct buffer buf = buffer(false);
	struct vgpu_operand opnd = {.handle = 1, .count = 1};
	struct vgpu_engine_operand out;

	(void)state;
	buf.data = page + 1;
	assert_int_equal(operand_check(&opnd, &buf, false, &out),
			 VGPU_RSP_INVALID);
	opnd.offset = 3;
	assert_int_equal(operand_check(&opnd, &buf, false, &out), VGPU_RSP_OK);
}

static void debug_kernels_are_asked_for(void **state)
{
	struct vgpu_request r = good(VGPU_OP_BUILTIN);

	(void)state;
	r.u.builtin.kernel = VGPU_KERNEL_DEBUG_FAULT;
	assert_int_equal(request_check(&r, ARENA, BACK_KERNELS),
			 VGPU_RSP_UNSUPPORTED);
	assert_int_equal(
		request_check(&r, ARENA, BACK_KERNELS | BACK_DEBUG_KERNELS),
		VGPU_RSP_OK);
	/* It is held to the rules of VECTOR_ADD. */
	r.u.builtin.operand[2].count--;
	assert_int_equal(request_check(&r, ARENA, BACK_DEBUG_KERNELS),
			 VGPU_RSP_INVALID);
	assert_true(kernel_writes(VGPU_KERNEL_DEBUG_FAULT, 2));
}

static void only_the_third_operand_is_written(void **state)
{
	(void)state;
	assert_false(kernel_writes(VGPU_KERNEL_VECTOR_ADD, 0));
	assert_false(kernel_writes(VGPU_KERNEL_VECTOR_ADD, 1));
	assert_true(kernel_writes(VGPU_KERNEL_VECTOR_ADD, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule),
		cmocka_unit_test(each_operand_rule),
		cmocka_unit_test(operand_without_buffer),
		cmocka_unit_test(alignment_counts_first_offset),
		cmocka_unit_test(debug_kernels_are_asked_for),
		cmocka_unit_test(only_the_third_operand_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
