/* SPDX-License-Identifier: MIT */
/*
 * engined_parts.h - the jobs that a child of vgpu-engined has with its engine
 *
 * All of it is the child's one thread's. Memory is bounded: ENGINED_WINDOW + 1
 * buffers of one frame, whatever the client sends.
 */
#ifndef VGPU_CUDA_ENGINED_PARTS_H
#define VGPU_CUDA_ENGINED_PARTS_H

#include "remote_frame.h"
#include "engine.h"

#define ENGINED_WINDOW	16

enum part_state { PART_FREE, PART_RUNNING, PART_ANSWERED };

struct part {
	enum part_state state;
	struct vgpu_job job;		/* owner: the part */
	uint64_t session;
	uint64_t id;
	unsigned char *buffer;		/* the frame's payload */
	bool sent;
};

struct parts {
	struct vgpu_engine *eng;	/* NULL: not opened yet */
	char engine[VGPU_ENGINE_TEXT];	/* its name */
	struct vgpu_engine_stream *stream[REMOTE_STREAMS];
	struct vgpu_engine_region *region;
	unsigned char *memory;		/* of all buffers */
	struct part part[ENGINED_WINDOW];
	unsigned int nr_busy;		/* not free */
	unsigned int nr_running;
	unsigned int nr_spare;
	unsigned char *spare[ENGINED_WINDOW + 1];
	uint64_t session;
	bool ended;			/* the engine is of no use any more */
	uint64_t nr_jobs, nr_failed;	/* answered by the engine */
};

/* Returns the buffer for the reader's first payload, NULL: out of memory. */
unsigned char *parts_init(struct parts *parts);

/* The engine is open: buffers become a region of it where it has a use. */
void parts_engine(struct parts *parts, struct vgpu_engine *eng);

static inline bool parts_full(const struct parts *parts)
{
	return parts->nr_busy == ENGINED_WINDOW;
}

/*
 * Takes the JOB that in holds, and gives in another buffer. Answers it at once
 * where it cannot be run. parts must not be full.
 */
void parts_take(struct parts *parts, struct remote_in *in,
		struct remote_out *out);

/* Queues the answers to what the engine has finished. */
void parts_reap(struct parts *parts, struct remote_out *out);

/* Frees the parts whose answers have been sent. */
void parts_sent(struct parts *parts);

/*
 * A new session: what came earlier gets no answer. Drops all that out holds but
 * a frame that has been sent in part.
 */
void parts_new_session(struct parts *parts, struct remote_out *out);

#endif /* VGPU_CUDA_ENGINED_PARTS_H */
