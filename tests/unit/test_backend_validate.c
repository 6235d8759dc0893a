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
	case VGPU_OP_MEM_ALLOC:
		r.u.mem_alloc.handle = VGPU_HANDLE_MEM;
		r.u.mem_alloc.length = 1;
		break;
	case VGPU_OP_COPY:
		r.u.copy.dst = 1;
		r.u.copy.src = VGPU_HANDLE_MEM | 1;
		r.u.copy.length = 3;
		break;
	case VGPU_OP_FILL:
		r.u.fill.handle = 1;
		r.u.fill.width = 2;
		r.u.fill.pattern = 0xffff;
		r.u.fill.offset = 2;
		r.u.fill.length = 6;
		break;
	case VGPU_OP_MODULE_LOAD:
		r.u.module_load.module = 0xffffffff;
		r.u.module_load.format = VGPU_MODULE_FATBIN;
		r.u.module_load.image.handle = 1;
		r.u.module_load.image.count = VGPU_MAX_IMAGE;
		break;
	case VGPU_OP_FUNCTION_GET:
		r.u.function_get.module = 1;
		r.u.function_get.function = 1;
		r.u.function_get.name_offset = ARENA - VGPU_MAX_KERNEL_NAME;
		r.u.function_get.name_len = VGPU_MAX_KERNEL_NAME;
		break;
	case VGPU_OP_LAUNCH:
		r.u.launch.function = 1;
		for (int i = 0; i < 3; i++)
			r.u.launch.grid[i] = r.u.launch.block[i] = 1;
		r.u.launch.args_len = 13;
		r.u.launch.args_offset = ARENA - 16 - 8 * 2;
		r.u.launch.nr_relocs = 2;
		break;
	case VGPU_OP_EVENT_RECORD:
	case VGPU_OP_EVENT_WAIT:
		r.u.handle.handle = 5;
		break;
	default:
		break;
	}
	return r;
}

static struct vgpu_request good_kernel(uint16_t kernel)
{
	struct vgpu_request r = good(VGPU_OP_BUILTIN);

	r.u.builtin.kernel = kernel;
	if (kernel == VGPU_KERNEL_SGEMM) {
		r.u.builtin.param_len = sizeof(struct vgpu_sgemm);
		r.u.builtin.param = ARENA - sizeof(struct vgpu_sgemm);
	}
	if (kernel == VGPU_KERNEL_SAXPY)
		r.u.builtin.param = 0x3f800000;
	if (kernel == VGPU_KERNEL_REDUCE_SUM)
		r.u.builtin.operand[1].count = 1;
	if (kernel == VGPU_KERNEL_SAXPY || kernel == VGPU_KERNEL_REDUCE_SUM)
		memset(&r.u.builtin.operand[2], 0, sizeof(struct vgpu_operand));
	return r;
}

/* Modules, every kernel but the debugging ones. */
static const struct rules rules = {ARENA, BACK_MAX_BUFFERS, BACK_KERNELS, true};

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

static const struct rule rule_list[] = {
	{"nop", VGPU_OP_NOP, {}, VALID},
	{"nop: reserved", VGPU_OP_NOP, {SET(u.nop.reserved[0], 1)}, INVALID},
	{"nop: last octet", VGPU_OP_NOP, {LAST_OCTET(1)}, INVALID},
	{"nop can not be quiet",
	 VGPU_OP_NOP,
	 {SET(flags, VGPU_REQF_QUIET)},
	 INVALID},
	{"a fence can not be quiet",
	 VGPU_OP_FENCE,
	 {SET(flags, VGPU_REQF_QUIET)},
	 INVALID},
	{"function-get can not be quiet",
	 VGPU_OP_FUNCTION_GET,
	 {SET(flags, VGPU_REQF_QUIET | VGPU_REQF_RETIRE)},
	 INVALID},
	{"quiet launch", VGPU_OP_LAUNCH, {SET(flags, VGPU_REQF_QUIET)}, VALID},
	{"quiet launch that retires",
	 VGPU_OP_LAUNCH,
	 {SET(flags, VGPU_REQF_QUIET | VGPU_REQF_RETIRE)},
	 VALID},
	{"retires, and is not quiet",
	 VGPU_OP_LAUNCH,
	 {SET(flags, VGPU_REQF_RETIRE)},
	 INVALID},
	{"quiet, and unknown flag",
	 VGPU_OP_LAUNCH,
	 {SET(flags, VGPU_REQF_QUIET | 4)},
	 INVALID},
	{"unknown flag", VGPU_OP_NOP, {SET(flags, 0x80)}, INVALID},
	{"op 0", VGPU_OP_NOP, {SET(op, 0)}, VGPU_RSP_UNSUPPORTED},
	{"op 255", VGPU_OP_NOP, {SET(op, 255)}, VGPU_RSP_UNSUPPORTED},
	{"op 33 is not op 1", VGPU_OP_NOP, {SET(op, 33)}, VGPU_RSP_UNSUPPORTED},
	{"op 20", VGPU_OP_NOP, {SET(op, 20)}, VGPU_RSP_UNSUPPORTED},

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
	{"stream-destroy", VGPU_OP_STREAM_DESTROY, {}, VALID},
	{"stream-destroy: reserved",
	 VGPU_OP_STREAM_DESTROY,
	 {LAST_OCTET(1)},
	 INVALID},
	{"ctx-destroy", VGPU_OP_CTX_DESTROY, {}, VALID},
	{"ctx-destroy: reserved",
	 VGPU_OP_CTX_DESTROY,
	 {SET(u.empty.reserved[6], 1)},
	 INVALID},

	{"mem-alloc of number 0", VGPU_OP_MEM_ALLOC, {}, VALID},
	{"mem-alloc: no memory's handle",
	 VGPU_OP_MEM_ALLOC,
	 {SET(u.mem_alloc.handle, 0x7fffffff)},
	 INVALID},
	{"mem-alloc: flags",
	 VGPU_OP_MEM_ALLOC,
	 {SET(u.mem_alloc.flags, 1)},
	 INVALID},
	{"mem-alloc: nothing",
	 VGPU_OP_MEM_ALLOC,
	 {SET(u.mem_alloc.length, 0)},
	 INVALID},
	{"mem-alloc: reserved", VGPU_OP_MEM_ALLOC, {LAST_OCTET(1)}, INVALID},

	{"copy", VGPU_OP_COPY, {}, VALID},
	{"copy: nothing", VGPU_OP_COPY, {SET(u.copy.length, 0)}, VALID},
	{"copy: reserved", VGPU_OP_COPY, {LAST_OCTET(1)}, INVALID},

	{"fill", VGPU_OP_FILL, {}, VALID},
	{"fill: all of a pattern of 4",
	 VGPU_OP_FILL,
	 {SET(u.fill.width, 4), SET(u.fill.pattern, ~0u),
	  SET(u.fill.offset, 4)},
	 INVALID},
	{"fill: width 4",
	 VGPU_OP_FILL,
	 {SET(u.fill.width, 4), SET(u.fill.offset, 0), SET(u.fill.length, 8)},
	 VALID},
	{"fill: width 3", VGPU_OP_FILL, {SET(u.fill.width, 3)}, INVALID},
	{"fill: width 0", VGPU_OP_FILL, {SET(u.fill.width, 0)}, INVALID},
	{"fill: width 8", VGPU_OP_FILL, {SET(u.fill.width, 8)}, INVALID},
	{"fill: pattern wider than width",
	 VGPU_OP_FILL,
	 {SET(u.fill.pattern, 0x10000)},
	 INVALID},
	{"fill: odd offset", VGPU_OP_FILL, {SET(u.fill.offset, 1)}, INVALID},
	{"fill: odd length", VGPU_OP_FILL, {SET(u.fill.length, 7)}, INVALID},
	{"fill: reserved0", VGPU_OP_FILL, {SET(u.fill.reserved0, 1)}, INVALID},
	{"fill: reserved", VGPU_OP_FILL, {LAST_OCTET(1)}, INVALID},

	{"module-load", VGPU_OP_MODULE_LOAD, {}, VALID},
	{"module-load: handle 0",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.module, 0)},
	 INVALID},
	{"module-load: format 0",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.format, 0)},
	 INVALID},
	{"module-load: format 4",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.format, 4)},
	 INVALID},
	{"module-load: no image",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.image.count, 0)},
	 INVALID},
	{"module-load: image too large",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.image.count, VGPU_MAX_IMAGE + 1)},
	 INVALID},
	{"module-load: image in no buffer",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.image.handle, 0)},
	 INVALID},
	{"module-load: image in device memory",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.image.handle, VGPU_HANDLE_MEM | 1)},
	 INVALID},
	{"module-load: log in device memory",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.log.handle, VGPU_HANDLE_MEM | 1)},
	 INVALID},
	{"module-load: log in no buffer",
	 VGPU_OP_MODULE_LOAD,
	 {SET(u.module_load.log.count, 1)},
	 INVALID},
	{"module-load: reserved",
	 VGPU_OP_MODULE_LOAD,
	 {LAST_OCTET(1)},
	 INVALID},

	{"function-get at the arena's end", VGPU_OP_FUNCTION_GET, {}, VALID},
	{"function-get: handle 0",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.function, 0)},
	 INVALID},
	{"function-get: no name",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.name_len, 0)},
	 INVALID},
	{"function-get: name too long",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.name_len, VGPU_MAX_KERNEL_NAME + 1),
	  SET(u.function_get.name_offset, 0)},
	 INVALID},
	{"function-get: name behind the arena",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.name_offset, ARENA - 1022)},
	 VGPU_RSP_RANGE},
	{"function-get: name's offset overflows",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.name_offset, 0xffffffff)},
	 VGPU_RSP_RANGE},
	{"function-get: params in device memory",
	 VGPU_OP_FUNCTION_GET,
	 {SET(u.function_get.params.handle, VGPU_HANDLE_MEM)},
	 INVALID},
	{"function-get: reserved",
	 VGPU_OP_FUNCTION_GET,
	 {LAST_OCTET(1)},
	 INVALID},

	{"launch at the arena's end", VGPU_OP_LAUNCH, {}, VALID},
	{"launch: one relocation too many",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.nr_relocs, 3)},
	 VGPU_RSP_RANGE},
	{"launch: arguments longer by a step",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_len, 17)},
	 VGPU_RSP_RANGE},
	{"launch: arguments at the top",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_offset, 0xfffffff8)},
	 VGPU_RSP_RANGE},
	{"launch: arguments misaligned",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_offset, 4)},
	 INVALID},
	{"launch: arguments too long",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_offset, 0),
	  SET(u.launch.args_len, VGPU_MAX_ARGS + 1)},
	 INVALID},
	{"launch: the longest arguments",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_offset, 0), SET(u.launch.args_len, VGPU_MAX_ARGS),
	  SET(u.launch.nr_relocs, VGPU_MAX_RELOCS)},
	 VALID},
	{"launch: too many relocations",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_offset, 0),
	  SET(u.launch.nr_relocs, VGPU_MAX_RELOCS + 1)},
	 INVALID},
	{"launch: no arguments",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_len, 0), SET(u.launch.args_offset, 0),
	  SET(u.launch.nr_relocs, 0)},
	 VALID},
	{"launch: no arguments, somewhere",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_len, 0), SET(u.launch.nr_relocs, 0)},
	 INVALID},
	{"launch: no arguments, but relocations",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.args_len, 0), SET(u.launch.args_offset, 0)},
	 INVALID},
	{"launch: no blocks",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.grid[2], 0)},
	 VGPU_RSP_LAUNCH},
	{"launch: no threads",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.block[1], 0)},
	 VGPU_RSP_LAUNCH},
	{"launch: reserved0",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.reserved0, 1)},
	 INVALID},
	{"launch: reserved1",
	 VGPU_OP_LAUNCH,
	 {SET(u.launch.reserved1, 1)},
	 INVALID},
	{"launch: reserved", VGPU_OP_LAUNCH, {LAST_OCTET(1)}, INVALID},

	{"event-record", VGPU_OP_EVENT_RECORD, {}, VALID},
	{"event-record: handle 0",
	 VGPU_OP_EVENT_RECORD,
	 {SET(u.handle.handle, 0)},
	 INVALID},
	{"event-wait", VGPU_OP_EVENT_WAIT, {}, VALID},
	{"event-wait: reserved", VGPU_OP_EVENT_WAIT, {LAST_OCTET(1)}, INVALID},
	{"mem-free: reserved0",
	 VGPU_OP_MEM_FREE,
	 {SET(u.handle.reserved0, 1)},
	 INVALID},
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_list) / sizeof(rule_list[0]); i++) {
		const struct rule *rule = &rule_list[i];
		struct vgpu_request r = good(rule->op);
		enum vgpu_status got;

		for (int c = 0; c < 3; c++)
			memcpy((uint8_t *)&r + rule->change[c].offset,
			       &rule->change[c].value, rule->change[c].size);
		got = request_check(&r, &rules);
		if (got != rule->want)
			fail_msg("%s: status %d, want %d", rule->name, got,
				 rule->want);
	}
}

struct kernel_rule {
	const char *name;
	uint16_t kernel;
	struct change change;
	enum vgpu_status want;
};

static const struct kernel_rule kernel_rules[] = {
	{"saxpy", VGPU_KERNEL_SAXPY, {}, VALID},
	{"saxpy: third operand", VGPU_KERNEL_SAXPY,
	 SET(u.builtin.operand[2].handle, 1), INVALID},
	{"saxpy: counts", VGPU_KERNEL_SAXPY,
	 SET(u.builtin.operand[1].count, 1023), INVALID},
	{"saxpy: param_len", VGPU_KERNEL_SAXPY, SET(u.builtin.param_len, 4),
	 INVALID},
	{"reduce-sum", VGPU_KERNEL_REDUCE_SUM, {}, VALID},
	{"reduce-sum: param", VGPU_KERNEL_REDUCE_SUM, SET(u.builtin.param, 1),
	 INVALID},
	{"reduce-sum: two results", VGPU_KERNEL_REDUCE_SUM,
	 SET(u.builtin.operand[1].count, 2), INVALID},
	{"reduce-sum: no result", VGPU_KERNEL_REDUCE_SUM,
	 SET(u.builtin.operand[1].count, 0), INVALID},
	{"reduce-sum: third operand", VGPU_KERNEL_REDUCE_SUM,
	 SET(u.builtin.operand[2].offset, 4), INVALID},
	{"sgemm at the arena's end", VGPU_KERNEL_SGEMM, {}, VALID},
	{"sgemm: counts differ", VGPU_KERNEL_SGEMM,
	 SET(u.builtin.operand[1].count, 1), VALID},
	{"sgemm: block behind the arena", VGPU_KERNEL_SGEMM,
	 SET(u.builtin.param, ARENA - 39), VGPU_RSP_RANGE},
	{"sgemm: block at the top", VGPU_KERNEL_SGEMM,
	 SET(u.builtin.param, 0xfffffff0), VGPU_RSP_RANGE},
	{"sgemm: block too short", VGPU_KERNEL_SGEMM,
	 SET(u.builtin.param_len, 36), INVALID},
	{"sgemm: no block", VGPU_KERNEL_SGEMM, SET(u.builtin.param_len, 0),
	 INVALID},
};

static void each_kernel_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kernel_rules) / sizeof(*kernel_rules);
	     i++) {
		const struct kernel_rule *rule = &kernel_rules[i];
		struct vgpu_request r = good_kernel(rule->kernel);
		enum vgpu_status got;

		memcpy((uint8_t *)&r + rule->change.offset, &rule->change.value,
		       rule->change.size);
		got = request_check(&r, &rules);
		if (got != rule->want)
			fail_msg("%s: status %d, want %d", rule->name, got,
				 rule->want);
	}
}

static void debug_kernels_are_asked_for(void **state)
{
	struct rules debug = rules;
	struct vgpu_request r = good_kernel(VGPU_KERNEL_DEBUG_FAULT);

	(void)state;
	assert_int_equal(request_check(&r, &rules), VGPU_RSP_UNSUPPORTED);
	debug.kernels |= BACK_DEBUG_KERNELS;
	assert_int_equal(request_check(&r, &debug), VGPU_RSP_OK);
	/* It is held to the rules of VECTOR_ADD. */
	r.u.builtin.operand[2].count--;
	assert_int_equal(request_check(&r, &debug), VGPU_RSP_INVALID);
	assert_true(kernel_writes(VGPU_KERNEL_DEBUG_FAULT, 2));
}

static void modules_need_a_gpu(void **state)
{
	static const uint8_t ops[] = {VGPU_OP_MODULE_LOAD,
				      VGPU_OP_MODULE_UNLOAD,
				      VGPU_OP_FUNCTION_GET, VGPU_OP_LAUNCH};
	struct rules cpu = rules;
	struct vgpu_request r;

	(void)state;
	cpu.modules = false;
	for (size_t i = 0; i < sizeof(ops); i++) {
		r = good(ops[i]);
		assert_int_equal(request_check(&r, &rules), VGPU_RSP_OK);
		assert_int_equal(request_check(&r, &cpu), VGPU_RSP_NO_GPU);
	}
	r = good(VGPU_OP_EVENT_RECORD);
	assert_int_equal(request_check(&r, &cpu), VGPU_RSP_OK);
}

/* A device may have fewer than the backend has room for. */
static void buffers_of_the_device(void **state)
{
	struct vgpu_request r = good(VGPU_OP_BUFFER_MAP);
	struct rules few = rules;

	(void)state;
	few.max_buffers = 3;
	r.u.map.handle = 3;
	assert_int_equal(request_check(&r, &few), VGPU_RSP_OK);
	r.u.map.handle = 4;
	assert_int_equal(request_check(&r, &rules), VGPU_RSP_OK);
	assert_int_equal(request_check(&r, &few), VGPU_RSP_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule),
		cmocka_unit_test(each_kernel_rule),
		cmocka_unit_test(debug_kernels_are_asked_for),
		cmocka_unit_test(modules_need_a_gpu),
		cmocka_unit_test(buffers_of_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
