/* SPDX-License-Identifier: MIT */
/*
 * remote_frame.h - octets to frames and frames to octets, at either end
 *
 * struct remote_in takes what was read, in pieces of any size, checks it
 * against the list in remote_proto.h and hands out whole frames; struct
 * remote_out holds frames until the descriptor has taken them. Neither waits.
 * Each belongs to one thread.
 *
 * Reading goes round in three steps:
 *
 *	n = read(fd, where, remote_in_room(in, &where));
 *	remote_in_got(in, n);
 *	while ((event = remote_in_next(in, why)) != REMOTE_MORE)
 *		...
 */
#ifndef VGPU_CUDA_REMOTE_FRAME_H
#define VGPU_CUDA_REMOTE_FRAME_H

#include <stdbool.h>
#include <sys/types.h>

#include "remote_proto.h"

#define REMOTE_IN_BUFFER	65536

enum remote_event {
	REMOTE_MORE,	/* nothing until more octets are there */
	REMOTE_FRAME,	/* head and payload hold a frame, until the next call */
	REMOTE_BAD,	/* a frame broke a rule: now out of sync */
};

struct remote_in {
	enum remote_end self;
	/*
	 * Where payloads go: REMOTE_PAYLOAD_MAX octets of the owner, who may
	 * change it after each frame.
	 */
	unsigned char *payload;
	/* What the frame that ends a search must start with, or NULL: any. */
	const uint8_t *nonce;
	bool synced;
	bool in_payload;
	struct remote_header head;
	size_t have;			/* of the payload */
	uint64_t skipped;		/* octets, since out of sync */
	size_t at, end;			/* what is not used yet of buf */
	unsigned char buf[REMOTE_IN_BUFFER];
};

/* Starts out of sync for a client, which waits for its nonce, else in sync. */
void remote_in_init(struct remote_in *in, enum remote_end self,
		    unsigned char *payload);

/* Where the next octets go, and how many; at least 1. */
size_t remote_in_room(struct remote_in *in, unsigned char **where);
void remote_in_got(struct remote_in *in, size_t octets);

/*
 * The next frame. REMOTE_BAD with one line in why. A frame of a type that is
 * not in the list is handed out like others, when it has a length that can be.
 */
enum remote_event remote_in_next(struct remote_in *in, char why[REMOTE_WHY]);

/* For an owner who finds fault with a frame: discards until the next HELLO. */
void remote_in_lose_sync(struct remote_in *in);

/* "job" ...; NULL for what is no type of this version. */
const char *remote_type_name(unsigned int type);

/* Bit i of reads and writes: operand i. */
struct remote_kernel {
	unsigned int operands, reads, writes;
};

/* A kernel that may be in a JOB; NULL: any other. */
const struct remote_kernel *remote_kernel(unsigned int kernel);

/*
 * Does a JOB or DONE in payload, of length octets, end with the session's mark?
 * Such frames are long enough.
 */
bool remote_marked(const unsigned char *payload, size_t length,
		   const uint8_t nonce[REMOTE_NONCE]);

/* Is an engine of that name of no use after a job with that status? */
bool remote_ends_engine(const char *engine, unsigned int status);

/*
 * May a text of a frame be shown? False where it does not end with a NUL, or
 * has what is not printable ASCII.
 */
bool remote_text_ok(const char *text, size_t size);

/* Frames that wait in remote_out at most: a window of jobs, and others. */
#define REMOTE_OUT_FRAMES	(2 * REMOTE_WINDOW_MAX)
#define REMOTE_HEAD_MAX		(sizeof(struct remote_header) + \
				 sizeof(struct remote_welcome))

struct remote_out_frame {
	size_t head_len, data_len;
	const void *data;		/* the sender's, until done */
	bool *done;
	unsigned char head[REMOTE_HEAD_MAX];
};

struct remote_out {
	unsigned int first, count;
	size_t sent;			/* of the first frame */
	bool is_socket;
	struct remote_out_frame frame[REMOTE_OUT_FRAMES];
};

/*
 * Queues a frame: what body points to is copied, data is not. *done, unless
 * done is NULL, becomes true when the descriptor has taken all of it. There
 * must be room.
 */
void remote_out_put(struct remote_out *out, enum remote_type type, uint64_t id,
		    const void *body, size_t body_len, const void *data,
		    size_t data_len, bool *done);

/* Queues octets that are no frame. */
void remote_out_filler(struct remote_out *out, const void *data, size_t len);

static inline unsigned int remote_out_room(const struct remote_out *out)
{
	return REMOTE_OUT_FRAMES - out->count;
}

/* Forgets all frames but one that has been sent in part. */
void remote_out_drop(struct remote_out *out);

/* The done of the frame that has been sent in part; NULL: none, or no done. */
const bool *remote_out_partial(const struct remote_out *out);

/*
 * Writes until nothing is left or the descriptor takes no more. Returns the
 * octets written, or -1 with errno set.
 */
ssize_t remote_out_write(struct remote_out *out, int fd);

#endif /* VGPU_CUDA_REMOTE_FRAME_H */
