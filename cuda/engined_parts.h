/* SPDX-License-Identifier: MIT */
/*
 * engined_parts.h - the jobs that a child of vgpu-engined has with its engine
 *
 * All of it is the child's one thread's. Memory is bounded: ENGINED_WINDOW + 1
 * buffers of one frame, whatever the client sends, and one image of a module.
 */
#ifndef VGPU_CUDA_ENGINED_PARTS_H
#define VGPU_CUDA_ENGINED_PARTS_H

#include "engined_objects.h"
#include "remote_frame.h"
#include "wire.h"

#define ENGINED_WINDOW	16
/* Objects that one job names: a function, its module, and what it works on. */
#define PART_NAMES	(2 + VGPU_MAX_RELOCS)

enum part_state { PART_FREE, PART_RUNNING, PART_ANSWERED };

struct part {
	enum part_state state;
	struct vgpu_job job;		/* owner: the part */
	uint64_t session;
	uint64_t id;
	uint16_t refused;		/* why the job is but a fence, or OK */
	unsigned int nr_names;
	struct object *named[PART_NAMES];
	unsigned char *image;		/* of a module to be loaded */
	char name[VGPU_MAX_KERNEL_NAME + 1];
	unsigned char *buffer;		/* the frame's payload */
	bool sent;
};

/* An image that comes in; module is NULL: none does. */
struct image {
	const struct object *module;
	uint32_t format;
	uint64_t total, have;
	unsigned char *data;
};

struct parts {
	struct vgpu_engine *eng;	/* NULL: not opened yet */
	char engine[VGPU_ENGINE_TEXT];	/* its name */
	bool modules;			/* it runs own code */
	struct vgpu_engine_stream *stream[REMOTE_STREAMS];
	struct vgpu_engine_region *region;
	unsigned char *memory;		/* of all buffers */
	struct part part[ENGINED_WINDOW];
	unsigned int nr_busy;		/* not free */
	unsigned int nr_running;
	unsigned int nr_spare;
	unsigned char *spare[ENGINED_WINDOW + 1];
	uint64_t session;
	uint8_t nonce[REMOTE_NONCE];	/* of it */
	struct objects *objects;
	struct image image;
	const struct part *loading;	/* its image is with the engine; or NULL */
	bool ended;			/* the engine is of no use any more */
	uint64_t nr_jobs, nr_failed;	/* answered by the engine */
};

/* Returns the buffer for the reader's first payload, NULL: out of memory. */
unsigned char *parts_init(struct parts *parts);

/* The engine is open: buffers become a region of it where it has a use. */
void parts_engine(struct parts *parts, struct vgpu_engine *eng);

/* Is there room for the JOB that in holds? */
bool parts_room(const struct parts *parts, const struct remote_in *in);

/*
 * Takes the JOB that in holds, and gives in another buffer. Answers it at once
 * where it has no stream. There must be room.
 */
void parts_take(struct parts *parts, struct remote_in *in,
		struct remote_out *out);

/* Takes the FREE that in holds. False: it breaks a rule. */
bool parts_free(struct parts *parts, const struct remote_in *in);

/* Queues the answers to what the engine has finished. */
void parts_reap(struct parts *parts, struct remote_out *out);

/* Frees the parts whose answers have been sent. */
void parts_sent(struct parts *parts);

/*
 * A new session, with that nonce: what came earlier gets no answer, and nothing
 * that it made has a number. Drops all that out holds but a frame that has been
 * sent in part.
 */
void parts_new_session(struct parts *parts, struct remote_out *out,
		       const uint8_t nonce[REMOTE_NONCE]);

/*
 * engined_jobs.c: makes part->job from the JOB in part->buffer, whose length is
 * that of its payload; names in part what it works on. Returns VGPU_RSP_OK, or
 * why there is no such job.
 */
uint16_t parts_make_job(struct parts *parts, struct part *part,
			const struct remote_job *j, uint32_t length);

/* What is forgotten of an image that comes in. */
void parts_drop_image(struct parts *parts);

/* Data of a JOB, and of its answer. */
static inline unsigned char *part_data(const struct part *part)
{
	return part->buffer + sizeof(struct remote_job);
}

#endif /* VGPU_CUDA_ENGINED_PARTS_H */
