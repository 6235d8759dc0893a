// SPDX-License-Identifier: MIT
/*
 * engine_remote_frames.c - a part of a job as a frame, and what came of it
 *
 * Runs on the I/O thread, without the lock: a job and all that it points to stay
 * as they are while the engine has it, and only this thread gives numbers to
 * what a job makes. Inputs are copied once out of the operands; outputs are
 * written when the whole answer is there and has been checked.
 *
 * What the far end says is hostile: lengths, status, addresses, counts and text.
 */
#include <string.h>

#include "engine_remote.h"
#include "job_check.h"

static bool to_memory(struct remote_operand *o,
		      const struct vgpu_engine_mem *mem, uint64_t offset,
		      uint64_t count)
{
	*o = (struct remote_operand){
		.memory = remote_number(mem->priv),
		.offset = offset,
		.count = count,
	};
	return o->memory;
}

/* The memory at the far end of an IN or OUT: the job's, or borrowed. */
static bool far_side(const struct remote_slot *slot, struct remote_operand *o)
{
	const struct vgpu_job *job = slot->job;

	if (job->op == VGPU_OP_COPY) {
		const struct vgpu_engine_operand *far =
			&job->operand[!slot->step.operand];

		return to_memory(o, far->mem, far->offset + slot->first,
				 slot->count);
	}
	*o = (struct remote_operand){
		.memory = slot->temp[slot->step.operand],
		.offset = slot->first,
		.count = slot->count,
	};
	return true;
}

static unsigned char *near_side(const struct remote_slot *slot)
{
	return (unsigned char *)slot->job->operand[slot->step.operand].host +
	       slot->first;
}

static uint16_t make_copy(struct remote_slot *slot)
{
	unsigned int near = slot->step.kind == STEP_IN;

	slot->frame.op = VGPU_OP_COPY;
	slot->frame.operand[near].count = slot->count;
	if (!far_side(slot, &slot->frame.operand[!near]))
		return VGPU_RSP_NO_HANDLE;
	if (slot->step.kind == STEP_OUT)
		return VGPU_RSP_OK;
	memcpy(slot->data, near_side(slot), slot->count);
	slot->octets = slot->count;
	return VGPU_RSP_OK;
}

static uint16_t make_alloc(struct remote_slot *slot)
{
	uint64_t octets = remote_elements(slot->job, slot->step.operand) * 4;

	slot->frame.op = VGPU_OP_MEM_ALLOC;
	slot->frame.number = slot->temp[slot->step.operand];
	/* No elements are an operand all the same. */
	slot->frame.operand[0].count = octets ? octets : 4;
	return VGPU_RSP_OK;
}

static uint16_t make_add(struct remote_slot *slot)
{
	const struct vgpu_job *job = slot->job;
	size_t bytes = slot->count * 4;

	slot->frame.kernel = job->kernel;
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		slot->frame.operand[i].count = slot->count;
	for (unsigned int i = 0; i < 2; i++)
		memcpy(slot->data + i * bytes,
		       (unsigned char *)job->operand[i].host + slot->first * 4,
		       bytes);
	slot->octets = 2 * bytes;
	return VGPU_RSP_OK;
}

/* Octets of text or parameters that an operand has room for. */
static uint32_t room_for(const struct vgpu_engine_operand *op)
{
	return op->count < REMOTE_DATA_MAX ? (uint32_t)op->count :
					     REMOTE_DATA_MAX;
}

static bool last_part(const struct remote_slot *slot)
{
	return slot->first + slot->count == slot->step.total;
}

static uint16_t make_image(struct remote_slot *slot)
{
	const struct vgpu_job *job = slot->job;

	slot->frame.number = remote_number(job->module->priv);
	slot->frame.param = job->format;
	slot->frame.operand[0].offset = slot->first;
	slot->frame.operand[0].count = slot->step.total;
	if (last_part(slot))
		slot->frame.room = room_for(&job->operand[1]);
	memcpy(slot->data, near_side(slot), slot->count);
	slot->octets = slot->count;
	return VGPU_RSP_OK;
}

static uint16_t make_builtin(struct remote_slot *slot)
{
	const struct vgpu_job *job = slot->job;
	unsigned int i;

	slot->frame.kernel = job->kernel;
	if (job->kernel == VGPU_KERNEL_SAXPY)
		slot->frame.param = job->param;
	if (job->kernel == VGPU_KERNEL_SGEMM) {
		memcpy(slot->data, job->sgemm, sizeof(*job->sgemm));
		slot->octets = sizeof(*job->sgemm);
	}
	for (i = 0; i < remote_kernel(job->kernel)->operands; i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];
		struct remote_operand *o = &slot->frame.operand[i];

		if (!op->mem)
			*o = (struct remote_operand){
				.memory = slot->temp[i],
				.count = remote_elements(job, i),
			};
		else if (!to_memory(o, op->mem, op->offset, op->count))
			return VGPU_RSP_NO_HANDLE;
	}
	return VGPU_RSP_OK;
}

static uint16_t make_function_get(struct remote_slot *slot)
{
	const struct vgpu_job *job = slot->job;

	slot->frame.number = remote_number(job->function->priv);
	slot->frame.param = remote_number(job->module->priv);
	slot->frame.room = room_for(&job->operand[0]) & ~3u;
	slot->octets = strnlen(job->name, VGPU_MAX_KERNEL_NAME);
	memcpy(slot->data, job->name, slot->octets);
	return VGPU_RSP_OK;
}

static uint16_t make_launch(struct remote_slot *slot)
{
	const struct vgpu_engine_launch *l = &slot->job->launch;
	struct remote_launch rl = {
		.args_len = l->args_len,
		.nr_relocs = l->nr_relocs,
	};
	unsigned char *at = slot->data;

	slot->frame.number = remote_number(l->function->priv);
	slot->frame.param = l->shared;
	if (!slot->frame.number)
		return VGPU_RSP_NO_HANDLE;
	memcpy(rl.grid, l->grid, sizeof(rl.grid));
	memcpy(rl.block, l->block, sizeof(rl.block));
	memcpy(at, &rl, sizeof(rl));
	at += sizeof(rl);
	memset(at, 0, (l->args_len + 7u) & ~7u);
	if (l->args_len)
		memcpy(at, l->args, l->args_len);
	at += (l->args_len + 7u) & ~7u;
	for (uint32_t i = 0; i < l->nr_relocs; i++) {
		const struct vgpu_engine_operand *target = &l->reloc[i].target;
		const struct remote_reloc r = {
			.memory = remote_number(target->mem->priv),
			.at = l->reloc[i].at,
			.offset = target->offset,
		};

		if (!r.memory)
			return VGPU_RSP_NO_HANDLE;
		memcpy(at, &r, sizeof(r));
		at += sizeof(r);
	}
	slot->octets = (size_t)(at - slot->data);
	return VGPU_RSP_OK;
}

static uint16_t make_whole(struct remote_slot *slot)
{
	const struct vgpu_job *job = slot->job;
	const struct vgpu_engine_operand *op = job->operand;
	struct remote_operand *o = slot->frame.operand;

	switch (job->op) {
	case VGPU_OP_BUILTIN:
		return make_builtin(slot);
	case VGPU_OP_MEM_ALLOC:
		slot->frame.number = remote_number(job->mem->priv);
		o[0].count = job->mem->bytes;
		return VGPU_RSP_OK;
	case VGPU_OP_COPY:
		return to_memory(&o[0], op[0].mem, op[0].offset, op[0].count) &&
		       to_memory(&o[1], op[1].mem, op[1].offset, op[1].count) ?
			       VGPU_RSP_OK : VGPU_RSP_NO_HANDLE;
	case VGPU_OP_FILL:
		slot->frame.param = job->pattern;
		slot->frame.width = job->width;
		return to_memory(&o[0], op[0].mem, op[0].offset, op[0].count) ?
			       VGPU_RSP_OK : VGPU_RSP_NO_HANDLE;
	case VGPU_OP_FUNCTION_GET:
		return make_function_get(slot);
	default:
		return make_launch(slot);
	}
}

uint16_t remote_make_frame(struct remote_slot *slot)
{
	slot->octets = 0;
	slot->frame = (struct remote_job){
		.op = slot->job->op,
		.stream = slot->stream->number,
	};
	switch (slot->step.kind) {
	case STEP_ADD:
		return make_add(slot);
	case STEP_ALLOC:
		return make_alloc(slot);
	case STEP_IN:
	case STEP_OUT:
		return make_copy(slot);
	case STEP_IMAGE:
		return make_image(slot);
	default:
		return make_whole(slot);
	}
}

/* C's own elements alone: others may be at work on those between its columns. */
static void write_columns(const struct remote_slot *slot,
			  const unsigned char *data)
{
	const struct vgpu_sgemm *g = slot->job->sgemm;
	unsigned char *to = near_side(slot);
	uint64_t at = slot->first / 4, end = at + slot->count / 4;

	while (at < end) {
		uint64_t row = at % g->ldc;
		uint64_t n = row < g->m ? g->m - row : g->ldc - row;

		if (n > end - at)
			n = end - at;
		if (row < g->m)
			memcpy(to, data, n * 4);
		to += n * 4;
		data += n * 4;
		at += n;
	}
}

static void write_out(const struct remote_slot *slot, const unsigned char *data)
{
	if (slot->job->op == VGPU_OP_BUILTIN &&
	    slot->job->kernel == VGPU_KERNEL_SGEMM)
		write_columns(slot, data);
	else
		memcpy(near_side(slot), data, slot->count);
}

/* Text that a person may see, with a NUL. */
static void write_log(const struct vgpu_engine_operand *log,
		      const unsigned char *text, size_t octets)
{
	char *to = log->host;
	size_t i;

	if (!log->count)
		return;
	for (i = 0; i < octets && i < log->count - 1 && text[i]; i++)
		to[i] = text[i] == '\n' || text[i] == '\t' ||
			(text[i] >= 0x20 && text[i] <= 0x7e) ? (char)text[i] :
							       '?';
	to[i] = '\0';
}

static bool take_address(struct vgpu_engine_mem *mem, uint64_t address,
			 char why[VGPU_ENGINE_WHY])
{
	if (!address || address % 256 || address > UINT64_MAX - mem->bytes)
		return remote_broken(why,
				     "memory at an address where none can be");
	mem->address = address;
	return true;
}

static bool take_function(struct remote_slot *slot, uint64_t value,
			  const unsigned char *data, size_t octets,
			  char why[VGPU_ENGINE_WHY])
{
	uint32_t args_len = (uint32_t)value, count = (uint32_t)(value >> 32);
	size_t want = count * sizeof(struct vgpu_param) < slot->frame.room ?
			      count * sizeof(struct vgpu_param) :
			      slot->frame.room;
	struct vgpu_param p;

	/* Each has an octet at least. */
	if (args_len > UINT16_MAX || count > args_len || octets != want)
		return remote_broken(why,
				     "a function whose parameters cannot be");
	for (size_t i = 0; i < octets; i += sizeof(p)) {
		memcpy(&p, data + i, sizeof(p));
		if ((uint32_t)p.offset + p.size > args_len)
			return remote_broken(why,
					     "a parameter outside the arguments");
	}
	if (octets)
		memcpy(slot->job->operand[0].host, data, octets);
	slot->job->function->args_len = args_len;
	slot->job->value = value;
	return true;
}

/* A frame that was a whole job, and was carried out. */
static bool take_whole(struct remote_slot *slot, const struct remote_done *done,
		       const unsigned char *data, size_t octets,
		       char why[VGPU_ENGINE_WHY])
{
	struct vgpu_job *job = slot->job;

	if (job->op == VGPU_OP_FUNCTION_GET)
		return take_function(slot, done->value, data, octets, why);
	if (octets)
		return remote_broken(why,
				     "an answer with a wrong status or length");
	if (job->op == VGPU_OP_MEM_ALLOC) {
		if (!take_address(job->mem, done->value, why))
			return false;
		job->value = done->value;
		return true;
	}
	return !done->value || remote_broken(why, "an answer with a value");
}

bool remote_take_done(struct remote_slot *slot, const struct remote_done *done,
		      const unsigned char *data, size_t octets,
		      char why[VGPU_ENGINE_WHY])
{
	bool ok = done->status == VGPU_RSP_OK;
	size_t want = 0;

	if (done->status > VGPU_RSP_MAX || done->reserved0 || done->reserved1)
		return remote_broken(why,
				     "an answer with a wrong status or length");
	if (slot->step.kind == STEP_IMAGE && last_part(slot)) {
		if (octets > slot->frame.room || done->value)
			return remote_broken(why, "a log that is too long");
		write_log(&slot->job->operand[1], data, octets);
		return true;
	}
	if (ok && slot->step.kind == STEP_WHOLE)
		return take_whole(slot, done, data, octets, why);
	if (ok && slot->step.kind == STEP_ADD)
		want = slot->count * 4;
	if (ok && slot->step.kind == STEP_OUT)
		want = slot->count;
	if (octets != want)
		return remote_broken(why,
				     "an answer with a wrong status or length");
	if (done->value && !(ok && slot->step.kind == STEP_ALLOC))
		return remote_broken(why, "an answer with a value");
	if (ok && slot->step.kind == STEP_ADD)
		memcpy((unsigned char *)slot->job->operand[2].host +
			       slot->first * 4, data, want);
	if (ok && slot->step.kind == STEP_OUT)
		write_out(slot, data);
	return true;
}
