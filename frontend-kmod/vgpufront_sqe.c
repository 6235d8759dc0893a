// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_sqe.c - from a program's request to one for the wire
 *
 * See vgpufront_sqe.h. Runs on private copies of the request and its payload;
 * never sleeps, allocates or touches a program's memory.
 */
#include "vgpufront_sqe.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))
#endif

#define RELOC_SIZE	sizeof(struct vgpufront_reloc)

/* One translation: whose buffers, and what it writes. */
struct job {
	vgpufront_find *find;
	void *owner;
	struct vgpufront_wire *wire;
};

static bool all_zero(const __u64 *words, unsigned int nr)
{
	uint64_t all = 0;

	while (nr--)
		all |= words[nr];

	return !all;
}

#define IS_ZERO(words)	all_zero(words, ARRAY_SIZE(words))

static bool may_be_quiet(uint8_t op)
{
	switch (op) {
	case VGPUFRONT_OP_NOP:
	case VGPUFRONT_OP_MODULE_LOAD:
	case VGPUFRONT_OP_FUNCTION_GET:
	case VGPUFRONT_OP_FENCE:
	case VGPUFRONT_OP_STREAM_DESTROY:
		return false;
	default:
		return true;
	}
}

/* Octets to the next multiple of 8. */
static uint32_t pad_of(uint32_t len)
{
	return -len % 8;
}

/* A payload of one part that goes to the arena as it is. */
static void one_part(struct vgpufront_payload *payload, uint64_t addr,
		     uint32_t len)
{
	payload->part[0].addr = addr;
	payload->part[0].len = len;
	payload->room = len + pad_of(len);
}

static bool check_builtin(const struct vgpufront_sqe *sqe,
			  struct vgpufront_payload *payload)
{
	uint32_t len = sqe->builtin.param_len;

	if (!len)
		return !sqe->builtin.params;
	if (len > VGPUFRONT_MAX_PARAMS || sqe->builtin.param)
		return false;
	one_part(payload, sqe->builtin.params, len);

	return true;
}

static bool check_function_get(const struct vgpufront_sqe *sqe,
			       struct vgpufront_payload *payload)
{
	uint32_t len = sqe->function_get.name_len;

	if (!len || len > VGPUFRONT_MAX_KERNEL_NAME ||
	    sqe->function_get.reserved0 || !IS_ZERO(sqe->function_get.reserved))
		return false;
	one_part(payload, sqe->function_get.name, len);

	return true;
}

/*
 * The memory of a LAUNCH: relocations as the program gave them, then the
 * block, which is the arguments and the relocations for the wire.
 */
static bool check_launch(const struct vgpufront_sqe *sqe,
			 struct vgpufront_payload *payload)
{
	uint32_t relocs = sqe->launch.nr_relocs * RELOC_SIZE;
	uint32_t len = sqe->launch.args_len;

	if (len > VGPUFRONT_MAX_ARGS ||
	    sqe->launch.nr_relocs > VGPUFRONT_MAX_RELOCS ||
	    sqe->launch.reserved0 || !IS_ZERO(sqe->launch.reserved))
		return false;
	/* Each patches 8 octets of the arguments. */
	if (relocs && len < 8)
		return false;
	payload->part[0].addr = sqe->launch.args;
	payload->part[0].len = len;
	payload->part[0].at = relocs;
	payload->part[1].addr = sqe->launch.relocs;
	payload->part[1].len = relocs;
	payload->room = relocs + len + pad_of(len) + relocs;

	return true;
}

static bool check_op(const struct vgpufront_sqe *sqe,
		     struct vgpufront_payload *payload)
{
	switch (sqe->op) {
	case VGPUFRONT_OP_NOP:
		return IS_ZERO(sqe->nop.reserved);
	case VGPUFRONT_OP_BUILTIN:
		return check_builtin(sqe, payload);
	case VGPUFRONT_OP_FENCE:
	case VGPUFRONT_OP_STREAM_DESTROY:
		return IS_ZERO(sqe->body);
	case VGPUFRONT_OP_MEM_ALLOC:
		return !sqe->mem_alloc.reserved0 &&
		       IS_ZERO(sqe->mem_alloc.reserved);
	case VGPUFRONT_OP_COPY:
		return IS_ZERO(sqe->copy.reserved);
	case VGPUFRONT_OP_FILL:
		return !sqe->fill.reserved0 && IS_ZERO(sqe->fill.reserved);
	case VGPUFRONT_OP_MODULE_LOAD:
		return IS_ZERO(sqe->module_load.reserved);
	case VGPUFRONT_OP_FUNCTION_GET:
		return check_function_get(sqe, payload);
	case VGPUFRONT_OP_LAUNCH:
		return check_launch(sqe, payload);
	case VGPUFRONT_OP_MEM_FREE:
	case VGPUFRONT_OP_MODULE_UNLOAD:
	case VGPUFRONT_OP_EVENT_RECORD:
	case VGPUFRONT_OP_EVENT_WAIT:
	case VGPUFRONT_OP_EVENT_DESTROY:
		return !sqe->handle.reserved0 && IS_ZERO(sqe->handle.reserved);
	default:
		return false;
	}
}

int vgpufront_sqe_check(const struct vgpufront_sqe *sqe,
			struct vgpufront_payload *payload)
{
	memset(payload, 0, sizeof(*payload));
	if (sqe->flags & ~VGPUFRONT_SQE_QUIET || sqe->reserved)
		return -EINVAL;
	if (sqe->flags & VGPUFRONT_SQE_QUIET && !may_be_quiet(sqe->op))
		return -EINVAL;

	return check_op(sqe, payload) ? 0 : -EINVAL;
}

/* A range of a guest buffer; write: the request changes it. */
static int use_buffer(struct job *j, uint32_t handle, uint64_t offset,
		      uint64_t octets, bool write, uint32_t *out)
{
	struct vgpufront_target target;
	uint32_t slot = handle - 1;

	if (slot >= VGPUFRONT_MAX_BUFFERS ||
	    !j->find(j->owner, handle, &target))
		return -ENOENT;
	if (octets > target.length || offset > target.length - octets)
		return -ERANGE;
	if (write && target.read_only)
		return -EACCES;
	j->wire->held[slot / 64] |= 1ULL << slot % 64;
	*out = target.handle;

	return 0;
}

/* The same, or device memory, of which the backend alone knows. */
static int use_memory(struct job *j, uint32_t handle, uint64_t offset,
		      uint64_t octets, bool write, uint32_t *out)
{
	if (!(handle & VGPUFRONT_HANDLE_MEM))
		return use_buffer(j, handle, offset, octets, write, out);
	*out = handle;

	return 0;
}

static bool is_unused(const struct vgpufront_operand *op)
{
	return !op->handle && !op->count && !op->offset;
}

/* An operand of octets in a guest buffer. */
static int use_octets(struct job *j, const struct vgpufront_operand *in,
		      bool write, struct vgpu_operand *out)
{
	out->count = in->count;
	out->offset = in->offset;

	return use_buffer(j, in->handle, in->offset, in->count, write,
			  &out->handle);
}

static int translate_builtin(struct job *j, const struct vgpufront_sqe *sqe)
{
	struct vgpu_builtin_req *req = &j->wire->req.u.builtin;
	unsigned int i;
	int err = 0;

	req->kernel = sqe->builtin.kernel;
	req->param_len = sqe->builtin.param_len;
	req->param = sqe->builtin.param;
	j->wire->block_len = sqe->builtin.param_len;
	for (i = 0; i < VGPU_MAX_OPERANDS && !err; i++) {
		const struct vgpufront_operand *in = &sqe->builtin.operand[i];

		/* One that the kernel does not have. */
		if (is_unused(in))
			continue;
		if (in->offset % 4)
			return -EINVAL;
		req->operand[i].count = in->count;
		req->operand[i].offset = in->offset;
		err = use_memory(j, in->handle, in->offset,
				 (uint64_t)in->count * 4, false,
				 &req->operand[i].handle);
	}

	return err;
}

static int translate_copy(struct job *j, const struct vgpufront_sqe *sqe)
{
	struct vgpu_copy_req *req = &j->wire->req.u.copy;
	int err;

	req->dst_offset = sqe->copy.dst_offset;
	req->src_offset = sqe->copy.src_offset;
	req->length = sqe->copy.length;
	err = use_memory(j, sqe->copy.dst, req->dst_offset, req->length, true,
			 &req->dst);

	return err ? err : use_memory(j, sqe->copy.src, req->src_offset,
				      req->length, false, &req->src);
}

static int translate_fill(struct job *j, const struct vgpufront_sqe *sqe)
{
	struct vgpu_fill_req *req = &j->wire->req.u.fill;

	req->pattern = sqe->fill.pattern;
	req->width = sqe->fill.width;
	req->offset = sqe->fill.offset;
	req->length = sqe->fill.length;

	return use_memory(j, sqe->fill.handle, req->offset, req->length, true,
			  &req->handle);
}

static int translate_module_load(struct job *j, const struct vgpufront_sqe *sqe)
{
	struct vgpu_module_load_req *req = &j->wire->req.u.module_load;
	int err;

	req->module = sqe->module_load.module;
	req->format = sqe->module_load.format;
	err = use_octets(j, &sqe->module_load.image, false, &req->image);
	if (err || is_unused(&sqe->module_load.log))
		return err;

	return use_octets(j, &sqe->module_load.log, true, &req->log);
}

static int translate_function_get(struct job *j,
				  const struct vgpufront_sqe *sqe)
{
	struct vgpu_function_get_req *req = &j->wire->req.u.function_get;

	req->module = sqe->function_get.module;
	req->function = sqe->function_get.function;
	req->name_len = sqe->function_get.name_len;
	j->wire->block_len = req->name_len;
	if (is_unused(&sqe->function_get.params))
		return 0;
	if (sqe->function_get.params.offset % 4)
		return -EINVAL;

	return use_octets(j, &sqe->function_get.params, true, &req->params);
}

/* The argument that it patches is an offset into its object. */
static int translate_reloc(struct job *j, const struct vgpufront_reloc *in,
			   const uint8_t *args, uint32_t args_len,
			   struct vgpu_reloc *out)
{
	uint64_t offset;

	if (in->reserved || in->at % 8 || in->at > args_len - 8)
		return -EINVAL;
	memcpy(&offset, args + in->at, sizeof(offset));
	out->at = in->at;
	out->reserved0 = 0;

	return use_memory(j, in->handle, offset, 0, true, &out->handle);
}

static int translate_launch(struct job *j, const struct vgpufront_sqe *sqe,
			    uint8_t *memory)
{
	struct vgpu_launch_req *req = &j->wire->req.u.launch;
	uint32_t len = sqe->launch.args_len, pad = pad_of(len);
	uint32_t relocs = sqe->launch.nr_relocs * RELOC_SIZE, i;
	uint8_t *args = memory + relocs;
	int err = 0;

	req->function = sqe->launch.function;
	req->args_len = len;
	req->shared = sqe->launch.shared;
	req->nr_relocs = sqe->launch.nr_relocs;
	for (i = 0; i < 3; i++) {
		req->grid[i] = sqe->launch.grid[i];
		req->block[i] = sqe->launch.block[i];
	}
	j->wire->block_at = relocs;
	j->wire->block_len = relocs ? len + pad + relocs : len;
	if (relocs)
		memset(args + len, 0, pad);
	for (i = 0; i < relocs && !err; i += RELOC_SIZE)
		err = translate_reloc(j, (void *)(memory + i), args, len,
				      (void *)(args + len + pad + i));

	return err;
}

static int translate_op(struct job *j, const struct vgpufront_sqe *sqe,
			void *memory)
{
	struct vgpu_request *req = &j->wire->req;

	switch (sqe->op) {
	case VGPUFRONT_OP_NOP:
		req->u.nop.cookie = sqe->nop.cookie;
		return 0;
	case VGPUFRONT_OP_BUILTIN:
		return translate_builtin(j, sqe);
	case VGPUFRONT_OP_MEM_ALLOC:
		req->u.mem_alloc.handle = sqe->mem_alloc.handle;
		req->u.mem_alloc.length = sqe->mem_alloc.length;
		return 0;
	case VGPUFRONT_OP_COPY:
		return translate_copy(j, sqe);
	case VGPUFRONT_OP_FILL:
		return translate_fill(j, sqe);
	case VGPUFRONT_OP_MODULE_LOAD:
		return translate_module_load(j, sqe);
	case VGPUFRONT_OP_FUNCTION_GET:
		return translate_function_get(j, sqe);
	case VGPUFRONT_OP_LAUNCH:
		return translate_launch(j, sqe, memory);
	case VGPUFRONT_OP_MEM_FREE:
	case VGPUFRONT_OP_MODULE_UNLOAD:
	case VGPUFRONT_OP_EVENT_RECORD:
	case VGPUFRONT_OP_EVENT_WAIT:
	case VGPUFRONT_OP_EVENT_DESTROY:
		req->u.handle.handle = sqe->handle.handle;
		return 0;
	default:
		/* FENCE and STREAM_DESTROY have no fields. */
		return 0;
	}
}

int vgpufront_sqe_translate(const struct vgpufront_sqe *sqe, void *memory,
			    vgpufront_find *find, void *owner,
			    struct vgpufront_wire *wire)
{
	struct job j = { .find = find, .owner = owner, .wire = wire };

	memset(wire, 0, sizeof(*wire));
	wire->req.op = sqe->op;
	wire->req.stream = sqe->stream;
	if (sqe->flags & VGPUFRONT_SQE_QUIET)
		wire->req.flags = VGPU_REQF_QUIET;

	return translate_op(&j, sqe, memory);
}

uint32_t vgpufront_sqe_place(struct vgpufront_wire *wire,
			     const struct vgpufront_ring *ring,
			     struct vgpufront_arena *arena)
{
	struct vgpu_request *req = &wire->req;
	uint32_t at;

	if (req->flags & VGPU_REQF_QUIET &&
	    (!IS_ZERO(wire->held) || vgpufront_ring_retire_due(ring) ||
	     vgpufront_arena_retire_due(arena, wire->block_len)))
		req->flags |= VGPU_REQF_RETIRE;
	if (!wire->block_len)
		return 0;

	at = vgpufront_arena_make(arena, wire->block_len);
	if (req->op == VGPU_OP_BUILTIN)
		req->u.builtin.param = at;
	else if (req->op == VGPU_OP_FUNCTION_GET)
		req->u.function_get.name_offset = at;
	else
		req->u.launch.args_offset = at;

	return at;
}

#define SAME(name)	VGPUIF_ASSERT(VGPUFRONT_##name == VGPU_##name)
SAME(OP_NOP);
SAME(OP_BUILTIN);
SAME(OP_FENCE);
SAME(OP_MEM_ALLOC);
SAME(OP_MEM_FREE);
SAME(OP_COPY);
SAME(OP_FILL);
SAME(OP_MODULE_LOAD);
SAME(OP_MODULE_UNLOAD);
SAME(OP_FUNCTION_GET);
SAME(OP_LAUNCH);
SAME(OP_EVENT_RECORD);
SAME(OP_EVENT_WAIT);
SAME(OP_EVENT_DESTROY);
SAME(OP_STREAM_DESTROY);
SAME(HANDLE_MEM);
SAME(MAX_KERNEL_NAME);
SAME(MAX_ARGS);
SAME(MAX_RELOCS);
SAME(MODULE_PTX);
SAME(MODULE_CUBIN);
SAME(MODULE_FATBIN);
VGPUIF_ASSERT(sizeof(struct vgpufront_reloc) == sizeof(struct vgpu_reloc));
VGPUIF_ASSERT(sizeof(struct vgpufront_sqe) == 80);
