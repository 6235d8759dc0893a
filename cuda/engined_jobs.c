// SPDX-License-Identifier: MIT
/*
 * engined_jobs.c - a job of the engine from a JOB of a client, all of it checked
 *
 * Runs on the one thread of a child of vgpu-engined. An engine relies on what
 * its caller has checked: numbers, ranges, counts, and what the wire protocol
 * says of a request by itself. Here that is done, for a client that is hostile.
 * The frame lies in memory of this process alone: what was checked stays so.
 *
 * Must never give the engine a range that is not all in its object or buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "engined_parts.h"
#include "job_check.h"

#define JOB_OCTETS	sizeof(struct remote_job)

/* All ones: what an operation uses of a JOB. The rest must be 0. */
#define ANY		.op = UINT16_MAX, .stream = UINT32_MAX
#define NUMBER		.number = UINT32_MAX
#define PARAM		.param = UINT32_MAX
#define ROOM		.room = UINT32_MAX
#define OPERAND		{ UINT32_MAX, 0, UINT64_MAX, UINT64_MAX }

static const struct remote_job used[] = {
	[VGPU_OP_BUILTIN] = { ANY, PARAM, .kernel = UINT16_MAX,
			      .operand = { OPERAND, OPERAND, OPERAND } },
	[VGPU_OP_MEM_ALLOC] = { ANY, NUMBER,
				.operand = { { .count = UINT64_MAX } } },
	[VGPU_OP_COPY] = { ANY, .operand = { OPERAND, OPERAND } },
	[VGPU_OP_FILL] = { ANY, PARAM, .width = UINT32_MAX,
			   .operand = { OPERAND } },
	[VGPU_OP_MODULE_LOAD] = { ANY, NUMBER, PARAM, ROOM,
				  .operand = { { .offset = UINT64_MAX,
						 .count = UINT64_MAX } } },
	[VGPU_OP_FUNCTION_GET] = { ANY, NUMBER, PARAM, ROOM },
	[VGPU_OP_LAUNCH] = { ANY, NUMBER, PARAM },
};

static bool is_known(unsigned int op)
{
	return op < sizeof(used) / sizeof(used[0]) && used[op].op;
}

static bool unused_is_zero(const struct remote_job *j)
{
	const unsigned char *may = (const unsigned char *)&used[j->op];
	const unsigned char *is = (const unsigned char *)j;

	for (size_t i = 0; i < sizeof(*j); i++)
		if (is[i] & ~may[i])
			return false;
	return true;
}

/* What a frame holds: the part of it that makes a job. */
struct request {
	struct parts *parts;
	struct part *part;
	struct vgpu_job *job;
	const struct remote_job *j;
	unsigned char *data;
	size_t octets;			/* of data */
};

/* NULL: the number stands for nothing. */
static struct object *name(struct request *r, enum remote_kind_of_number kind,
			   uint32_t number)
{
	struct object *object = objects_find(r->parts->objects, kind, number);

	if (!object)
		return NULL;
	object->users++;
	r->part->named[r->part->nr_names++] = object;
	return object;
}

/* Makes what a number is to stand for, and names it. */
static uint16_t make(struct request *r, enum remote_kind_of_number kind,
		     struct object **object)
{
	if (!objects_number_ok(r->j->number))
		return VGPU_RSP_INVALID;
	if (objects_find(r->parts->objects, kind, r->j->number))
		return VGPU_RSP_EXISTS;
	if (!objects_make(r->parts->objects, kind, r->j->number))
		return VGPU_RSP_NO_MEMORY;
	*object = name(r, kind, r->j->number);
	return VGPU_RSP_OK;
}

/* Operand i, in memory, of units of so many octets. */
static uint16_t in_memory(struct request *r, unsigned int i, unsigned int unit)
{
	const struct remote_operand *o = &r->j->operand[i];
	struct object *object = name(r, REMOTE_KIND_MEMORY, o->memory);

	if (!object)
		return VGPU_RSP_NO_HANDLE;
	if (o->offset > object->mem.bytes ||
	    o->count > (object->mem.bytes - o->offset) / unit)
		return VGPU_RSP_RANGE;
	r->job->operand[i] = (struct vgpu_engine_operand){
		.mem = &object->mem,
		.offset = o->offset,
		.count = o->count,
	};
	return VGPU_RSP_OK;
}

/* Operand i is so many units at that place of the frame's buffer. */
static void in_frame(struct request *r, unsigned int i, unsigned char *at,
		     uint64_t count)
{
	r->job->operand[i] = (struct vgpu_engine_operand){
		.host = at,
		.count = count,
		.region = r->parts->region,
	};
}

/* All operands are in the frame. */
static uint16_t vector_add(struct request *r)
{
	const struct remote_operand *o = r->j->operand;
	uint64_t count = o[0].count;

	if (!count || count > REMOTE_DATA_MAX / 8 || o[1].count != count ||
	    o[2].count != count || o[1].memory || o[2].memory || o[0].offset ||
	    o[1].offset || o[2].offset || r->octets != 2 * count * 4)
		return VGPU_RSP_INVALID;
	in_frame(r, 0, r->data, count);
	in_frame(r, 1, r->data + count * 4, count);
	in_frame(r, 2, r->data, count);
	return VGPU_RSP_OK;
}

static uint16_t builtin(struct request *r)
{
	const struct remote_kernel *kernel = remote_kernel(r->j->kernel);
	static const struct remote_operand none;
	uint16_t status;

	if (!kernel)
		return VGPU_RSP_UNSUPPORTED;
	for (unsigned int i = kernel->operands; i < VGPU_ENGINE_OPERANDS; i++)
		if (memcmp(&r->j->operand[i], &none, sizeof(none)))
			return VGPU_RSP_INVALID;
	if (r->j->param && r->j->kernel != VGPU_KERNEL_SAXPY)
		return VGPU_RSP_INVALID;
	r->job->kernel = r->j->kernel;
	r->job->param = r->j->param;
	if (r->j->kernel == VGPU_KERNEL_VECTOR_ADD && !r->j->operand[0].memory)
		return vector_add(r);
	if (r->octets !=
	    (r->j->kernel == VGPU_KERNEL_SGEMM ? sizeof(struct vgpu_sgemm) : 0))
		return VGPU_RSP_INVALID;
	r->job->sgemm = (const void *)r->data;
	for (unsigned int i = 0; i < kernel->operands; i++) {
		status = in_memory(r, i, 4);
		if (status)
			return status;
	}
	return VGPU_RSP_OK;
}

static uint16_t mem_alloc(struct request *r)
{
	struct object *object;
	uint16_t status;

	if (!r->j->operand[0].count || r->octets)
		return VGPU_RSP_INVALID;
	status = make(r, REMOTE_KIND_MEMORY, &object);
	if (status)
		return status;
	object->mem.bytes = r->j->operand[0].count;
	r->job->mem = &object->mem;
	return VGPU_RSP_OK;
}

static uint16_t copy(struct request *r)
{
	const struct remote_operand *o = r->j->operand;
	uint64_t count = o[0].count;
	size_t octets = o[1].memory ? 0 : count;
	uint16_t status;

	if (!count || o[1].count != count || r->octets != octets ||
	    (!o[0].memory && !o[1].memory))
		return VGPU_RSP_INVALID;
	for (unsigned int i = 0; i < 2; i++) {
		if (o[i].memory) {
			status = in_memory(r, i, 1);
			if (status)
				return status;
			continue;
		}
		if (o[i].offset || count > REMOTE_DATA_MAX)
			return VGPU_RSP_INVALID;
		in_frame(r, i, r->data, count);
	}
	return VGPU_RSP_OK;
}

static uint16_t fill(struct request *r)
{
	if (r->octets || (r->j->width < 4 &&
			  r->j->param >> (8 * r->j->width)))
		return VGPU_RSP_INVALID;
	r->job->pattern = r->j->param;
	r->job->width = r->j->width;
	return in_memory(r, 0, 1);
}

void parts_drop_image(struct parts *parts)
{
	free(parts->image.data);
	memset(&parts->image, 0, sizeof(parts->image));
}

/* The first part of an image. */
static uint16_t begin_image(struct request *r)
{
	struct image *image = &r->parts->image;
	uint64_t total = r->j->operand[0].count;
	struct object *object;
	uint16_t status;

	if (image->module || r->parts->loading || total > VGPU_MAX_IMAGE ||
	    r->j->param < VGPU_MODULE_PTX || r->j->param > VGPU_MODULE_FATBIN)
		return VGPU_RSP_INVALID;
	status = make(r, REMOTE_KIND_MODULE, &object);
	if (status)
		return status;
	image->data = malloc(total);
	if (!image->data)
		return VGPU_RSP_NO_MEMORY;
	image->module = object;
	image->format = r->j->param;
	image->total = total;
	image->have = 0;
	return VGPU_RSP_OK;
}

/* The image is whole. */
static void load(struct request *r, struct object *object)
{
	struct image *image = &r->parts->image;

	r->job->op = VGPU_OP_MODULE_LOAD;
	r->job->module = &object->module;
	r->job->format = image->format;
	r->job->operand[0].host = r->part->image = image->data;
	r->job->operand[0].count = image->total;
	image->data = NULL;
	parts_drop_image(r->parts);
	/* An engine without a word to say leaves no text of somebody else. */
	r->data[0] = '\0';
	in_frame(r, 1, r->data, r->j->room);
}

static uint16_t module_load(struct request *r)
{
	const struct remote_operand *o = &r->j->operand[0];
	struct image *image = &r->parts->image;
	struct object *object;
	bool last;

	if (!r->octets || o->offset > o->count ||
	    r->octets > o->count - o->offset || r->j->room > REMOTE_DATA_MAX)
		return VGPU_RSP_INVALID;
	last = r->octets == o->count - o->offset;
	if (r->j->room && !last)
		return VGPU_RSP_INVALID;
	if (!o->offset) {
		uint16_t status = begin_image(r);

		if (status)
			return status;
		object = r->part->named[0];
	} else {
		object = name(r, REMOTE_KIND_MODULE, r->j->number);
	}
	if (!object)
		return VGPU_RSP_NO_HANDLE;
	if (image->module != object || image->format != r->j->param ||
	    image->total != o->count || image->have != o->offset)
		return VGPU_RSP_INVALID;
	memcpy(image->data + image->have, r->data, r->octets);
	image->have += r->octets;
	/* What is not the last one is done with its place in the order. */
	r->job->op = VGPU_OP_FENCE;
	if (last)
		load(r, object);
	return VGPU_RSP_OK;
}

static uint16_t function_get(struct request *r)
{
	struct object *module, *object;
	uint16_t status;

	if (r->octets > VGPU_MAX_KERNEL_NAME || r->j->room % 4 ||
	    r->j->room > REMOTE_DATA_MAX)
		return VGPU_RSP_INVALID;
	for (size_t i = 0; i < r->octets; i++)
		if (r->data[i] < 0x20 || r->data[i] > 0x7e)
			return VGPU_RSP_INVALID;
	module = objects_find(r->parts->objects, REMOTE_KIND_MODULE,
			      r->j->param);
	if (!module)
		return VGPU_RSP_NO_HANDLE;
	status = make(r, REMOTE_KIND_FUNCTION, &object);
	if (status)
		return status;
	object->of = name(r, REMOTE_KIND_MODULE, r->j->param);
	memcpy(r->part->name, r->data, r->octets);
	r->part->name[r->octets] = '\0';
	r->job->module = &module->module;
	r->job->function = &object->function;
	r->job->name = r->part->name;
	in_frame(r, 0, r->data, r->j->room);
	return VGPU_RSP_OK;
}

/* The relocations, made where the frame's buffer has room behind its data. */
static uint16_t take_relocs(struct request *r, const unsigned char *from,
			    uint32_t count)
{
	struct vgpu_engine_reloc *reloc =
		(void *)(r->data + REMOTE_DATA_MAX / 2);

	r->job->launch.reloc = reloc;
	r->job->launch.nr_relocs = count;
	for (uint32_t i = 0; i < count; i++) {
		struct remote_reloc rr;
		struct object *object;

		memcpy(&rr, from + i * sizeof(rr), sizeof(rr));
		if (rr.reserved)
			return VGPU_RSP_INVALID;
		object = name(r, REMOTE_KIND_MEMORY, rr.memory);
		if (!object)
			return VGPU_RSP_NO_HANDLE;
		if (rr.offset > object->mem.bytes)
			return VGPU_RSP_RANGE;
		reloc[i] = (struct vgpu_engine_reloc){
			.target = { .mem = &object->mem, .offset = rr.offset },
			.at = rr.at,
		};
	}
	return VGPU_RSP_OK;
}

static uint16_t launch(struct request *r)
{
	struct vgpu_engine_launch *l = &r->job->launch;
	struct remote_launch rl;
	struct object *object;
	size_t args;

	if (r->octets < sizeof(rl))
		return VGPU_RSP_INVALID;
	memcpy(&rl, r->data, sizeof(rl));
	if (rl.args_len > VGPU_MAX_ARGS || rl.nr_relocs > VGPU_MAX_RELOCS)
		return VGPU_RSP_INVALID;
	args = (rl.args_len + 7u) & ~7u;
	if (r->octets != sizeof(rl) + args +
				rl.nr_relocs * sizeof(struct remote_reloc))
		return VGPU_RSP_INVALID;
	for (size_t i = rl.args_len; i < args; i++)
		if (r->data[sizeof(rl) + i])
			return VGPU_RSP_INVALID;
	object = name(r, REMOTE_KIND_FUNCTION, r->j->number);
	if (!object)
		return VGPU_RSP_NO_HANDLE;
	/* A function that has a number has a module that has one. */
	name(r, REMOTE_KIND_MODULE, object->of->number);
	l->function = &object->function;
	memcpy(l->grid, rl.grid, sizeof(l->grid));
	memcpy(l->block, rl.block, sizeof(l->block));
	l->shared = r->j->param;
	l->args_len = rl.args_len;
	l->args = r->data + sizeof(rl);
	return take_relocs(r, r->data + sizeof(rl) + args, rl.nr_relocs);
}

/* The job, but for what job_check.h says of it. */
static uint16_t make_job(struct parts *parts, struct part *part,
			 const struct remote_job *j, uint32_t length)
{
	struct request r = {
		.parts = parts,
		.part = part,
		.job = &part->job,
		.j = j,
		.data = part_data(part),
		.octets = length - JOB_OCTETS - REMOTE_MARK,
	};
	bool module = j->op == VGPU_OP_MODULE_LOAD ||
		      j->op == VGPU_OP_FUNCTION_GET || j->op == VGPU_OP_LAUNCH;

	if (!is_known(j->op))
		return VGPU_RSP_UNSUPPORTED;
	if (!unused_is_zero(j))
		return VGPU_RSP_INVALID;
	part->job.op = (uint8_t)j->op;
	if (module && !parts->modules)
		return VGPU_RSP_NO_GPU;
	switch (j->op) {
	case VGPU_OP_BUILTIN:
		return builtin(&r);
	case VGPU_OP_MEM_ALLOC:
		return mem_alloc(&r);
	case VGPU_OP_COPY:
		return copy(&r);
	case VGPU_OP_FILL:
		return fill(&r);
	case VGPU_OP_MODULE_LOAD:
		return module_load(&r);
	case VGPU_OP_FUNCTION_GET:
		return function_get(&r);
	default:
		return launch(&r);
	}
}

uint16_t parts_make_job(struct parts *parts, struct part *part,
			const struct remote_job *j, uint32_t length)
{
	uint16_t status = make_job(parts, part, j, length);

	return status ? status : vgpu_job_check(&part->job);
}
