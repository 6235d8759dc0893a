// SPDX-License-Identifier: MIT
/*
 * engined_parts.c - from JOB to DONE (see engined_parts.h)
 *
 * Runs on the one thread of a child of vgpu-engined. A part's buffer goes from
 * the reader to the engine and on to the writer without a copy; the output
 * takes the place of the first input. The frame's fields are copied out and
 * checked before they are used.
 *
 *   FREE -> (JOB) -> RUNNING -> (reaped) -> ANSWERED -> (sent) -> FREE
 *
 * Must never answer a part of an earlier session.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../backend/log.h"
#include "engined_parts.h"
#include "wire.h"

#define JOB_OCTETS	sizeof(struct remote_job)
/* The payload starts such that its data is aligned for vector instructions. */
#define BUFFER_START	(64 - JOB_OCTETS)
#define BUFFER_OCTETS	(REMOTE_DATA_MAX + 4096)
#define MEMORY_OCTETS	((ENGINED_WINDOW + 1) * (size_t)BUFFER_OCTETS)

unsigned char *parts_init(struct parts *parts)
{
	unsigned char *memory = mmap(NULL, MEMORY_OCTETS,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(parts, 0, sizeof(*parts));
	if (memory == MAP_FAILED)
		return NULL;
	parts->memory = memory;
	while (parts->nr_spare <= ENGINED_WINDOW) {
		parts->spare[parts->nr_spare++] = memory + BUFFER_START;
		memory += BUFFER_OCTETS;
	}
	return parts->spare[--parts->nr_spare];
}

void parts_engine(struct parts *parts, struct vgpu_engine *eng)
{
	struct vgpu_engine_facts facts;
	char why[VGPU_ENGINE_WHY] = "";

	vgpu_engine_facts(eng, &facts);
	memcpy(parts->engine, facts.engine, sizeof(parts->engine));
	parts->eng = eng;
	if (vgpu_engine_region_test(eng, parts->memory, MEMORY_OCTETS, why))
		parts->region = vgpu_engine_region_add(eng, parts->memory,
						       MEMORY_OCTETS, false);
	log_event(LOG_DEBUG, "buffers",
		  F_STR("in_place", parts->region ? "yes" : "no"),
		  F_STR("why", why));
}

static void free_part(struct parts *parts, struct part *part)
{
	parts->spare[parts->nr_spare++] = part->buffer;
	parts->nr_busy--;
	part->buffer = NULL;
	part->state = PART_FREE;
}

static void answer(struct part *part, struct remote_out *out)
{
	const struct remote_done done = {
		.status = part->job.status,
		.time_ns = part->job.time_ns,
	};
	const struct vgpu_engine_operand *output = &part->job.operand[2];
	bool ok = done.status == VGPU_RSP_OK;

	part->state = PART_ANSWERED;
	part->sent = false;
	remote_out_put(out, REMOTE_DONE, part->id, &done, sizeof(done),
		       output->host, ok ? output->count * 4 : 0, &part->sent);
}

/* Fills in the job; its status, where it cannot be run. */
static uint16_t make_job(struct parts *parts, struct part *part,
			 const struct remote_job *j, uint32_t length)
{
	const struct remote_kernel *kernel = remote_kernel(j->kernel);
	size_t octets = (size_t)j->count * 4;
	struct vgpu_engine_stream **stream;

	if (!kernel)
		return VGPU_RSP_UNSUPPORTED;
	if (j->reserved0 || j->reserved[0] || j->reserved[1] || !j->count ||
	    j->stream >= REMOTE_STREAMS || j->count > REMOTE_DATA_MAX / 4 ||
	    length != JOB_OCTETS + octets * kernel->inputs)
		return VGPU_RSP_INVALID;
	stream = &parts->stream[j->stream];
	if (!*stream)
		*stream = vgpu_engine_stream_create(parts->eng);
	if (!*stream)
		return VGPU_RSP_NO_MEMORY;
	part->job.stream = *stream;
	part->job.op = VGPU_OP_BUILTIN;
	part->job.kernel = j->kernel;
	part->job.param = j->param;
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		part->job.operand[i] = (struct vgpu_engine_operand){
			.host = part->buffer + JOB_OCTETS +
				(i < kernel->inputs ? i * octets : 0),
			.count = kernel->outputs ? j->count : 0,
			.region = parts->region,
		};
	return VGPU_RSP_OK;
}

void parts_take(struct parts *parts, struct remote_in *in,
		struct remote_out *out)
{
	struct part *part = parts->part;
	struct remote_job j;

	while (part->state != PART_FREE)
		part++;
	memset(&part->job, 0, sizeof(part->job));
	part->job.owner = part;
	part->session = parts->session;
	part->id = in->head.id;
	part->buffer = in->payload;
	in->payload = parts->spare[--parts->nr_spare];
	parts->nr_busy++;
	memcpy(&j, part->buffer, sizeof(j));
	part->job.status = make_job(parts, part, &j, in->head.length);
	if (part->job.status != VGPU_RSP_OK) {
		parts->nr_failed++;
		answer(part, out);
		return;
	}
	part->state = PART_RUNNING;
	parts->nr_running++;
	vgpu_engine_submit(parts->eng, &part->job);
}

void parts_reap(struct parts *parts, struct remote_out *out)
{
	struct vgpu_job *job, *next;

	for (job = vgpu_engine_reap(parts->eng); job; job = next) {
		struct part *part = job->owner;

		next = job->next;
		parts->nr_running--;
		parts->nr_jobs++;
		if (job->status != VGPU_RSP_OK)
			parts->nr_failed++;
		if (remote_ends_engine(parts->engine, job->status))
			parts->ended = true;
		if (part->session == parts->session)
			answer(part, out);
		else
			free_part(parts, part);
	}
}

void parts_sent(struct parts *parts)
{
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++)
		if (parts->part[i].state == PART_ANSWERED && parts->part[i].sent)
			free_part(parts, &parts->part[i]);
}

void parts_new_session(struct parts *parts, struct remote_out *out)
{
	const bool *kept;

	parts_sent(parts);
	remote_out_drop(out);
	kept = remote_out_partial(out);
	parts->session++;
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++) {
		struct part *part = &parts->part[i];

		if (part->state == PART_ANSWERED && &part->sent != kept)
			free_part(parts, part);
	}
}
