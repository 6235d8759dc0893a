// SPDX-License-Identifier: MIT
/*
 * engined_parts.c - from JOB to DONE (see engined_parts.h)
 *
 * Runs on the one thread of a child of vgpu-engined. A part's buffer goes from
 * the reader to the engine and on to the writer without a copy; the output of a
 * vector add takes the place of the first input. What cannot be run goes to the
 * engine as a fence, so that its answer keeps the order of its stream.
 *
 *   FREE -> (JOB) -> RUNNING -> (reaped) -> ANSWERED -> (sent) -> FREE
 *
 * Must never answer a part of an earlier session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../backend/log.h"
#include "engined_parts.h"

#define JOB_OCTETS	sizeof(struct remote_job)
/* The payload starts such that its data is aligned for vector instructions. */
#define BUFFER_START	(128 - JOB_OCTETS)
#define BUFFER_OCTETS	(REMOTE_DATA_MAX + 4096)
#define MEMORY_OCTETS	((ENGINED_WINDOW + 1) * (size_t)BUFFER_OCTETS)

_Static_assert(BUFFER_START + REMOTE_PAYLOAD_MAX <= BUFFER_OCTETS, "a buffer");

unsigned char *parts_init(struct parts *parts)
{
	unsigned char *memory = mmap(NULL, MEMORY_OCTETS,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(parts, 0, sizeof(*parts));
	/* Large, and mostly never touched. */
	parts->objects = calloc(1, sizeof(*parts->objects));
	if (memory == MAP_FAILED || !parts->objects)
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
	parts->modules = facts.modules;
	parts->eng = parts->objects->eng = eng;
	if (vgpu_engine_region_test(eng, parts->memory, MEMORY_OCTETS, why))
		parts->region = vgpu_engine_region_add(eng, parts->memory,
						       MEMORY_OCTETS, false);
	log_event(LOG_DEBUG, "buffers",
		  F_STR("in_place", parts->region ? "yes" : "no"),
		  F_STR("why", why));
}

bool parts_room(const struct parts *parts, const struct remote_in *in)
{
	struct remote_job j;

	if (parts->nr_busy == ENGINED_WINDOW)
		return false;
	/* There is memory for one image. */
	memcpy(&j, in->payload, sizeof(j));
	return j.op != VGPU_OP_MODULE_LOAD || !parts->loading ||
	       parts->loading->session == parts->session;
}

static void free_part(struct parts *parts, struct part *part)
{
	parts->spare[parts->nr_spare++] = part->buffer;
	parts->nr_busy--;
	part->buffer = NULL;
	part->state = PART_FREE;
}

/* What the answer has of data, at part_data(). */
static size_t answer_octets(const struct part *part)
{
	const struct vgpu_job *job = &part->job;
	uint64_t params, room;

	if (job->op == VGPU_OP_MODULE_LOAD)
		return strnlen((const char *)part_data(part),
			       job->operand[1].count);
	if (job->status != VGPU_RSP_OK)
		return 0;
	switch (job->op) {
	case VGPU_OP_BUILTIN:
		return job->operand[2].mem ? 0 : job->operand[2].count * 4;
	case VGPU_OP_COPY:
		return job->operand[0].mem ? 0 : job->operand[0].count;
	case VGPU_OP_FUNCTION_GET:
		params = (job->value >> 32) * sizeof(struct vgpu_param);
		room = job->operand[0].count;
		return params < room ? params : room;
	}
	return 0;
}

static void answer(struct parts *parts, struct part *part,
		   struct remote_out *out)
{
	struct remote_done done = { .status = part->refused };
	size_t octets = 0;

	if (part->refused == VGPU_RSP_OK) {
		octets = answer_octets(part);
		done.status = part->job.status;
		done.time_ns = part->job.time_ns;
		if (done.status == VGPU_RSP_OK)
			done.value = part->job.value;
	}
	memcpy(part_data(part) + octets, parts->nonce, REMOTE_MARK);
	part->state = PART_ANSWERED;
	part->sent = false;
	remote_out_put(out, REMOTE_DONE, part->id, &done, sizeof(done),
		       part_data(part), octets + REMOTE_MARK, &part->sent);
}

static void unname(struct parts *parts, struct part *part)
{
	while (part->nr_names)
		objects_release(parts->objects, part->named[--part->nr_names]);
}

/* NULL: there is none, or no memory for one. */
static struct vgpu_engine_stream *stream_of(struct parts *parts,
					    const struct remote_job *j)
{
	struct vgpu_engine_stream **stream;

	if (j->stream >= REMOTE_STREAMS)
		return NULL;
	stream = &parts->stream[j->stream];
	if (!*stream)
		*stream = vgpu_engine_stream_create(parts->eng);
	return *stream;
}

static struct part *new_part(struct parts *parts, struct remote_in *in)
{
	struct part *part = parts->part;

	while (part->state != PART_FREE)
		part++;
	memset(&part->job, 0, sizeof(part->job));
	part->job.owner = part;
	part->session = parts->session;
	part->id = in->head.id;
	part->refused = VGPU_RSP_OK;
	part->image = NULL;
	part->buffer = in->payload;
	in->payload = parts->spare[--parts->nr_spare];
	parts->nr_busy++;
	return part;
}

static void make_fence(struct parts *parts, struct part *part)
{
	unname(parts, part);
	part->job = (struct vgpu_job){ .op = VGPU_OP_FENCE, .owner = part };
}

void parts_take(struct parts *parts, struct remote_in *in,
		struct remote_out *out)
{
	struct part *part = new_part(parts, in);
	struct vgpu_engine_stream *stream;
	struct remote_job j;

	memcpy(&j, part->buffer, sizeof(j));
	stream = stream_of(parts, &j);
	if (!stream) {
		parts->nr_failed++;
		part->refused = j.stream < REMOTE_STREAMS ? VGPU_RSP_NO_MEMORY :
							    VGPU_RSP_INVALID;
		answer(parts, part, out);
		return;
	}
	part->refused = parts_make_job(parts, part, &j, in->head.length);
	if (part->refused != VGPU_RSP_OK)
		make_fence(parts, part);
	part->job.stream = stream;
	if (part->image)
		parts->loading = part;
	part->state = PART_RUNNING;
	parts->nr_running++;
	vgpu_engine_submit(parts->eng, &part->job);
}

bool parts_free(struct parts *parts, const struct remote_in *in)
{
	struct object *object;
	struct remote_free f;

	memcpy(&f, in->payload, sizeof(f));
	if (f.kind > REMOTE_KIND_MODULE || f.reserved ||
	    !objects_number_ok(f.number))
		return false;
	object = objects_find(parts->objects, f.kind, f.number);
	if (!object)
		return true;
	if (parts->image.module == object)
		parts_drop_image(parts);
	objects_forget(parts->objects, object);
	return true;
}

/* What the engine made of a job, where that is more than an answer. */
static void settle(struct parts *parts, struct part *part)
{
	struct vgpu_job *job = &part->job;

	if (parts->loading == part)
		parts->loading = NULL;
	free(part->image);
	part->image = NULL;
	/* The first one named; it may have been forgotten meanwhile. */
	if (job->op == VGPU_OP_FUNCTION_GET && job->status != VGPU_RSP_OK &&
	    !part->named[0]->gone)
		objects_forget(parts->objects, part->named[0]);
	unname(parts, part);
}

void parts_reap(struct parts *parts, struct remote_out *out)
{
	struct vgpu_job *job, *next;

	for (job = vgpu_engine_reap(parts->eng); job; job = next) {
		struct part *part = job->owner;

		next = job->next;
		parts->nr_running--;
		parts->nr_jobs++;
		if (job->status != VGPU_RSP_OK || part->refused != VGPU_RSP_OK)
			parts->nr_failed++;
		if (remote_ends_engine(parts->engine, job->status))
			parts->ended = true;
		settle(parts, part);
		if (part->session == parts->session)
			answer(parts, part, out);
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

void parts_new_session(struct parts *parts, struct remote_out *out,
		       const uint8_t nonce[REMOTE_NONCE])
{
	const bool *kept;

	parts_sent(parts);
	remote_out_drop(out);
	kept = remote_out_partial(out);
	parts->session++;
	memcpy(parts->nonce, nonce, REMOTE_NONCE);
	parts_drop_image(parts);
	objects_forget_all(parts->objects);
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++) {
		struct part *part = &parts->part[i];

		if (part->state == PART_ANSWERED && &part->sent != kept)
			free_part(parts, part);
	}
}
