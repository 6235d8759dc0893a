/* SPDX-License-Identifier: MIT */
/*
 * evil_compute.c - attacks with device memory, parameter blocks, events and
 * quiet requests
 *
 * As in evil_requests.c: one thing is wrong, the answer says so, and the device
 * works afterwards. Operations that need a GPU may be answered with NO_GPU.
 */
#include "evil_front.h"

#include <stdio.h>
#include <string.h>

#include "evil_tap.h"

#define S(status) (1u << VGPU_RSP_##status)
#define MEM(n) (VGPU_HANDLE_MEM | (n))
#define ARENA (EVIL_ARENA_PAGES * VGPUIF_PAGE_SIZE)
#define OTHER_CTX (EVIL_CTX + 1)
#define QUIET 20

static void expect(struct evil_link *l, struct vgpu_request req,
		   unsigned int allowed, const char *what)
{
	int status = link_call(l, &req);

	if (!tap(status >= 0 && allowed >> status & 1, "%s", what))
		tap_note("status %d, allowed mask 0x%x", status, allowed);
	if (!link_healthy(l)) {
		tap(false, "%s: works afterwards", what);
		if (!link_connect(l))
			tap_bail("the device does not come back");
	}
}

static struct vgpu_request on_handle(uint8_t op, uint32_t handle)
{
	struct vgpu_request req = link_request(op);

	req.u.handle.handle = handle;
	return req;
}

static struct vgpu_request alloc(uint32_t handle, uint64_t length)
{
	struct vgpu_request req = link_request(VGPU_OP_MEM_ALLOC);

	req.u.mem_alloc.handle = handle;
	req.u.mem_alloc.length = length;
	return req;
}

static struct vgpu_request copy(uint32_t dst, uint64_t dst_offset, uint32_t src,
				uint64_t src_offset, uint64_t length)
{
	struct vgpu_request req = link_request(VGPU_OP_COPY);

	req.u.copy.dst = dst;
	req.u.copy.dst_offset = dst_offset;
	req.u.copy.src = src;
	req.u.copy.src_offset = src_offset;
	req.u.copy.length = length;
	return req;
}

static void attack_memory(struct evil_link *l)
{
	uint32_t buf = l->good[0].handle;
	struct vgpu_request req;

	expect(l, alloc(MEM(1), 4096), S(OK), "memory: made");
	expect(l, alloc(MEM(1), 4096), S(EXISTS), "memory: made twice");
	expect(l, alloc(7, 4096), S(INVALID), "memory: handle without its bit");
	expect(l, alloc(MEM(2), 0), S(INVALID), "memory: no length");
	expect(l, alloc(MEM(2), ~0ull), S(QUOTA) | S(NO_MEMORY),
	       "memory: 2^64 - 1 octets");
	expect(l, alloc(MEM(2), ~0ull >> 1), S(QUOTA) | S(NO_MEMORY),
	       "memory: 2^63 - 1 octets");
	req = alloc(MEM(2), 4096);
	req.u.mem_alloc.flags = 1;
	expect(l, req, S(INVALID), "memory: unknown flag");
	req = alloc(MEM(2), 4096);
	req.u.mem_alloc.reserved[4] = 1;
	expect(l, req, S(INVALID), "memory: reserved field set");
	req = copy(buf, 0, MEM(1), 0, 64);
	req.ctx = OTHER_CTX;
	expect(l, req, S(NO_HANDLE), "memory: another context's");
	req = on_handle(VGPU_OP_MEM_FREE, MEM(1));
	req.ctx = OTHER_CTX;
	expect(l, req, S(NO_HANDLE), "memory: freed by another context");
	expect(l, copy(buf, 0, MEM(1), 4033, 64), S(RANGE),
	       "copy: from past the end");
	expect(l, copy(MEM(1), ~0ull - 3, buf, 0, 64), S(RANGE),
	       "copy: end that overflows");
	expect(l, copy(MEM(1), 0, buf, 0, ~0ull), S(RANGE),
	       "copy: 2^64 - 1 octets");
	expect(l, copy(MEM(3), 0, buf, 0, 0), S(NO_HANDLE),
	       "copy: nothing to nowhere");
	expect(l, copy(buf, 0, MEM(1), 0, 4096), S(OK), "copy: all of it");
	expect(l, on_handle(VGPU_OP_MEM_FREE, MEM(1)), S(OK), "memory: freed");
	expect(l, on_handle(VGPU_OP_MEM_FREE, MEM(1)), S(NO_HANDLE),
	       "memory: freed twice");
	expect(l, copy(buf, 0, MEM(1), 0, 4), S(NO_HANDLE),
	       "memory: used after it was freed");
	expect(l, on_handle(VGPU_OP_MEM_FREE, buf), S(NO_HANDLE) | S(INVALID),
	       "memory: a guest buffer freed as such");
}

/* An SGEMM of 2 x 2 on the good buffers, its block at that offset. */
static struct vgpu_request sgemm(struct evil_link *l, uint32_t at,
				 const struct vgpu_sgemm *p)
{
	struct vgpu_request req = add_request(l, 4);

	if (at + sizeof(*p) <= ARENA)
		memcpy(l->arena + at, p, sizeof(*p));
	req.u.builtin.kernel = VGPU_KERNEL_SGEMM;
	req.u.builtin.param = at;
	req.u.builtin.param_len = sizeof(*p);
	return req;
}

static void attack_blocks(struct evil_link *l)
{
	const struct vgpu_sgemm good = {2, 2, 2, 2, 2, 2, 0, 0, 0, 0};
	struct vgpu_sgemm p;
	struct vgpu_request req;

	expect(l, sgemm(l, 64, &good), S(OK), "block: a good one");
	expect(l, sgemm(l, ARENA, &good), S(RANGE), "block: behind the arena");
	expect(l, sgemm(l, ARENA - 39, &good), S(RANGE),
	       "block: across the arena's end");
	expect(l, sgemm(l, ~0u - 7, &good), S(RANGE),
	       "block: offset + length overflows");
	req = sgemm(l, 64, &good);
	req.u.builtin.param_len = 39;
	expect(l, req, S(INVALID), "block: too short");
	req.u.builtin.param_len = 65535;
	expect(l, req, S(INVALID) | S(RANGE), "block: too long");
#define WRONG(field, value)                                                    \
	(p = good, p.field = (value),                                          \
	 expect(l, sgemm(l, 64, &p), S(INVALID) | S(RANGE),                    \
		"block: " #field " of " #value))
	WRONG(m, ~0u);
	WRONG(m, 0x7fffffff);
	WRONG(n, 3);
	WRONG(k, 0x80000000u);
	WRONG(lda, 1);
	WRONG(lda, 0);
	WRONG(ldb, 0x7fffffff);
	WRONG(ldc, 3);
	WRONG(trans_a, 2);
#undef WRONG
}

static void put_quiet(struct evil_link *l, unsigned int n, uint8_t op,
		      uint8_t flags)
{
	struct vgpu_request req = on_handle(op, MEM(12345));

	/* Ids of quiet requests may repeat; the same for all is as good. */
	req.id = 7;
	req.flags = VGPU_REQF_QUIET | flags;
	while (n--)
		link_put(l, &req);
}

/* A quiet request of that kind and a fence: what the fence says. */
static void expect_silent(struct evil_link *l, struct vgpu_request req,
			  const char *what)
{
	struct vgpu_request fence = link_request(VGPU_OP_FENCE);
	struct vgpu_response rsp;

	req.id = 7;
	fence.id = 8;
	link_put(l, &req);
	link_put(l, &fence);
	link_kick(l);
	tap(link_get(l, &rsp) && rsp.id == 8 && rsp.retired == 1 &&
		    rsp.status == VGPU_RSP_INVALID &&
		    (rsp.value & 0xff) == req.op && rsp.value >> 8 == 7,
	    "%s: not answered, and the fence tells", what);
	tap(link_healthy(l), "%s: works afterwards", what);
}

/* What can not be quiet, or not retired, or has unknown flags beside it. */
static void attack_flags(struct evil_link *l)
{
	static const uint8_t loud[] = {
		VGPU_OP_NOP,	     VGPU_OP_INFO,
		VGPU_OP_BUFFER_MAP,  VGPU_OP_BUFFER_UNMAP,
		VGPU_OP_MODULE_LOAD, VGPU_OP_FUNCTION_GET,
		VGPU_OP_FENCE,	     VGPU_OP_STREAM_DESTROY,
		VGPU_OP_CTX_DESTROY};
	struct vgpu_request req;
	char what[48];

	for (size_t i = 0; i < sizeof(loud); i++) {
		req = link_request(loud[i]);
		req.flags = VGPU_REQF_QUIET;
		snprintf(what, sizeof(what), "op %u, quiet", loud[i]);
		expect_silent(l, req, what);
	}
	req = on_handle(VGPU_OP_EVENT_WAIT, 1);
	req.flags = (uint8_t)~VGPU_REQF_RETIRE;
	expect_silent(l, req, "quiet, with unknown flags");
	req.flags = VGPU_REQF_RETIRE;
	expect(l, req, S(INVALID), "retired, but not quiet");
}

/* What they did is told by the fence; their slots come with answers. */
static void attack_quiet(struct evil_link *l)
{
	struct vgpu_request fence = link_request(VGPU_OP_FENCE);
	struct vgpu_response rsp;
	unsigned int retired = 0, answers = 0;

	put_quiet(l, QUIET, VGPU_OP_EVENT_WAIT, 0);
	put_quiet(l, 1, VGPU_OP_MEM_FREE, 0);
	put_quiet(l, 1, VGPU_OP_EVENT_WAIT, VGPU_REQF_RETIRE);
	fence.id = 8;
	link_put(l, &fence);
	link_kick(l);
	while (answers < 2 && link_get(l, &rsp)) {
		retired += rsp.retired;
		answers++;
		if (rsp.id == 7)
			tap(rsp.status == VGPU_RSP_OK,
			    "quiet: a retired one is answered with OK");
		else
			tap(rsp.id == 8 && rsp.status == VGPU_RSP_NO_HANDLE &&
				    (rsp.value & 0xff) == VGPU_OP_MEM_FREE,
			    "quiet: the fence tells of the first failure");
	}
	tap(answers == 2 && retired == QUIET + 1, "quiet: all slots come back");
	expect(l, link_request(VGPU_OP_FENCE), S(OK), "quiet: the next fence");
}

/* Nothing can be said any more: a guest's own loss, until it connects anew. */
static void attack_full(struct evil_link *l)
{
	put_quiet(l, RING_SIZE(&l->ring), VGPU_OP_EVENT_WAIT, 0);
	link_kick(l);
	tap(link_connect(l) && link_healthy(l),
	    "quiet: a ring full of them harms that guest alone");
}

void attack_compute(struct evil_link *l)
{
	if (!tap(link_connect(l) && link_healthy(l), "compute: connected"))
		return;
	attack_memory(l);
	attack_blocks(l);
	attack_flags(l);
	attack_quiet(l);
	attack_full(l);
	tap(link_reset(l), "compute: closed, and offered again");
}
