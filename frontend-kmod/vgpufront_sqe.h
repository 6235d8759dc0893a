/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront_sqe.h - from a program's request to one for the wire
 *
 * Owns what the frontend checks of a request (flags, reserved fields, lengths,
 * guest buffers and ranges in them, relocations) and how handles of a program
 * become handles on the wire. What a kernel or an engine makes of it, and all
 * that names objects of the backend, is for the backend to judge: new kernels
 * need no new frontend. It uses no kernel service: the module, the unit tests,
 * the fuzzer and the device in user space compile the same source.
 *
 * The steps of a request, each on a private copy of it:
 *
 *   check      needs nothing but the request. Says which octets of the
 *              program's memory belong to it
 *   (caller)   copies these to memory of its own
 *   translate  under the lock of buffers and ring: fills in the wire's request
 *   (caller)   makes sure of a free slot, and of room for the block
 *   place      takes the block in the arena and decides whether a quiet request
 *              is to be answered
 *   (caller)   copies the block to its place and puts the request; one that has
 *              an id keeps its buffers held until the response
 *
 * All but place() leave ring and arena alone, and can be done again.
 */
#ifndef VGPUFRONT_SQE_H
#define VGPUFRONT_SQE_H

#include <uapi/vgpufront.h>
#include "vgpufront_arena.h"
#include "vgpufront_ring.h"

#define VGPUFRONT_HELD_WORDS	(VGPUFRONT_MAX_BUFFERS / 64)

/* Octets of the program's memory, and where they go in the caller's. */
struct vgpufront_part {
	uint64_t addr;
	uint32_t len;		/* 0: nothing to copy */
	uint32_t at;
};

/* Largest vgpufront_payload.room. */
#define VGPUFRONT_MAX_ROOM \
	(VGPUFRONT_MAX_BLOCK + VGPU_MAX_RELOCS * sizeof(struct vgpufront_reloc))

/*
 * What a request has beside its fields.
 *
 * @room:	octets of memory, aligned to 8, that the caller gives to
 *		translate: with the parts copied in, and room to work; 0: none
 */
struct vgpufront_payload {
	struct vgpufront_part part[2];
	uint32_t room;
};

/* What translation has to know of a guest buffer. */
struct vgpufront_target {
	uint32_t handle;	/* on the wire */
	bool read_only;
	uint64_t length;
};

/*
 * The buffer of a program's handle, 1 ... VGPUFRONT_MAX_BUFFERS. False: there
 * is none that requests may name.
 */
typedef bool vgpufront_find(void *owner, uint32_t handle,
			    struct vgpufront_target *out);

/*
 * A request for the wire.
 *
 * @req:	all but its id and ctx
 * @held:	bit n: the buffer of handle n + 1 is named and must stay mapped
 *		until the request is done
 * @block_at, @block_len: octets of the payload's memory that go to the arena;
 *		block_len 0: none
 */
struct vgpufront_wire {
	struct vgpu_request req;
	__u64 held[VGPUFRONT_HELD_WORDS];
	uint32_t block_at;
	uint32_t block_len;
};

/* 0, or -EINVAL; payload is filled in for 0 alone. */
int vgpufront_sqe_check(const struct vgpufront_sqe *sqe,
			struct vgpufront_payload *payload);

/*
 * For a request that was checked; memory is the payload's. 0, -ENOENT (no such
 * buffer), -ERANGE, -EACCES (read-only), -EINVAL. Whatever the result, only
 * wire and octets of memory that are no part change.
 */
int vgpufront_sqe_translate(const struct vgpufront_sqe *sqe, void *memory,
			    vgpufront_find *find, void *owner,
			    struct vgpufront_wire *wire);

/*
 * There is a free slot, and room for wire->block_len octets. Returns the
 * block's place in the arena, 0 where there is none.
 */
uint32_t vgpufront_sqe_place(struct vgpufront_wire *wire,
			     const struct vgpufront_ring *ring,
			     struct vgpufront_arena *arena);

/* The value of a response as programs get it. */
static inline uint64_t vgpufront_sqe_value(const struct vgpu_response *rsp)
{
	/* The wire's ids mean nothing to them: which op failed does. */
	if (rsp->op == VGPU_OP_FENCE || rsp->op == VGPU_OP_STREAM_DESTROY)
		return rsp->value & 0xff;

	return rsp->value;
}

#endif /* VGPUFRONT_SQE_H */
