// SPDX-License-Identifier: MIT
/*
 * fuzz_front_sqe.c - a program that asks for anything
 *
 * The input is a request, with an op that exists in most cases, its payload,
 * and a table of buffers. What must hold: a request that is taken names on the
 * wire only buffers of the table, in their ranges, and holds exactly these; it
 * has no unknown flags; its block is of its payload's memory, which nothing
 * else is written to; and translating it once more says the same.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpufront_sqe.h"

#define BUFFERS		8
#define WIRE(handle)	((handle) + 1000)
#define CANARY		0x5a
#define GUARD		64

static struct {
	struct vgpufront_target table[BUFFERS];
	struct vgpufront_payload payload;
	struct vgpufront_wire wire;
	_Alignas(8) uint8_t memory[VGPUFRONT_MAX_ROOM + GUARD];
	uint64_t named;		/* handles that translation looked up */
} f;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_front_sqe: %s\n", what);
	abort();
}

static bool find(void *owner, uint32_t handle, struct vgpufront_target *out)
{
	must(owner == &f, "another owner");
	must(handle && handle <= VGPUFRONT_MAX_BUFFERS, "handle out of range");
	if (handle > BUFFERS || !f.table[handle - 1].handle)
		return false;
	*out = f.table[handle - 1];
	f.named |= 1ULL << (handle - 1);

	return true;
}

/* A handle of the wire and what the request may reach of it. */
static void check_range(uint32_t handle, uint64_t offset, uint64_t octets,
			bool write)
{
	uint32_t slot = handle - WIRE(1);

	if (handle & VGPUFRONT_HANDLE_MEM)
		return;
	must(slot < BUFFERS && f.table[slot].handle == handle,
	     "a handle of nobody on the wire");
	must(octets <= f.table[slot].length &&
	     offset <= f.table[slot].length - octets, "out of range");
	must(!write || !f.table[slot].read_only, "writes what is read-only");
}

static void check_operand(const struct vgpu_operand *op, unsigned int unit,
			  bool write)
{
	if (op->handle || op->count || op->offset)
		check_range(op->handle, op->offset, (uint64_t)op->count * unit,
			    write);
}

static void check_relocs(const struct vgpu_launch_req *req)
{
	const uint8_t *args = f.memory + f.wire.block_at;
	uint32_t at = (req->args_len + 7) / 8 * 8;

	for (unsigned int i = 0; i < req->nr_relocs; i++) {
		struct vgpu_reloc reloc;
		uint64_t offset;

		memcpy(&reloc, args + at + i * sizeof(reloc), sizeof(reloc));
		must(reloc.at % 8 == 0 && reloc.at + 8 <= req->args_len &&
		     !reloc.reserved0, "relocation of nothing");
		memcpy(&offset, args + reloc.at, sizeof(offset));
		check_range(reloc.handle, offset, 0, true);
	}
}

static void check_request(void)
{
	const struct vgpu_request *req = &f.wire.req;

	switch (req->op) {
	case VGPU_OP_BUILTIN:
		for (unsigned int i = 0; i < VGPU_MAX_OPERANDS; i++)
			check_operand(&req->u.builtin.operand[i], 4, false);
		must(f.wire.block_len == req->u.builtin.param_len, "block");
		break;
	case VGPU_OP_COPY:
		check_range(req->u.copy.dst, req->u.copy.dst_offset,
			    req->u.copy.length, true);
		check_range(req->u.copy.src, req->u.copy.src_offset,
			    req->u.copy.length, false);
		break;
	case VGPU_OP_FILL:
		check_range(req->u.fill.handle, req->u.fill.offset,
			    req->u.fill.length, true);
		break;
	case VGPU_OP_MODULE_LOAD:
		check_operand(&req->u.module_load.image, 1, false);
		check_operand(&req->u.module_load.log, 1, true);
		break;
	case VGPU_OP_FUNCTION_GET:
		check_operand(&req->u.function_get.params, 1, true);
		must(f.wire.block_len == req->u.function_get.name_len, "block");
		break;
	case VGPU_OP_LAUNCH:
		must(f.wire.block_len >= req->u.launch.args_len, "block");
		check_relocs(&req->u.launch);
		break;
	}
}

static bool translate(const struct vgpufront_sqe *sqe)
{
	return !vgpufront_sqe_translate(sqe, f.memory, find, &f, &f.wire);
}

/* True: the request was taken. */
static bool run(const uint8_t *data, size_t size)
{
	static struct vgpufront_wire first;
	struct vgpufront_sqe sqe;
	unsigned int i;

	memset(&f, 0, sizeof(f));
	if (size < sizeof(sqe) + BUFFERS)
		return false;
	memcpy(&sqe, data, sizeof(sqe));
	data += sizeof(sqe);
	for (i = 0; i < BUFFERS; i++, data++) {
		f.table[i].handle = data[0] & 1 ? WIRE(i + 1) : 0;
		f.table[i].read_only = data[0] & 2;
		f.table[i].length = 1ULL << data[0] % 40;
	}
	size -= sizeof(sqe) + BUFFERS;
	if (vgpufront_sqe_check(&sqe, &f.payload))
		return false;

	must(f.payload.room <= VGPUFRONT_MAX_ROOM && f.payload.room % 8 == 0,
	     "room");
	memset(f.memory, CANARY, sizeof(f.memory));
	for (i = 0; i < 2; i++) {
		const struct vgpufront_part *part = &f.payload.part[i];

		must(part->at + part->len <= f.payload.room, "part");
		for (uint32_t at = 0; size && at < part->len; at++)
			f.memory[part->at + at] = data[at % size];
	}
	if (!translate(&sqe))
		return false;

	for (i = 0; i < GUARD; i++)
		must(f.memory[f.payload.room + i] == CANARY, "wrote outside");
	must(f.wire.block_at + f.wire.block_len <= f.payload.room &&
	     f.wire.block_len <= VGPUFRONT_MAX_BLOCK, "block");
	must(f.wire.held[0] == f.named && !f.wire.held[1] && !f.wire.held[2] &&
	     !f.wire.held[3], "holds others than it names");
	must(f.wire.req.op == sqe.op && f.wire.req.stream == sqe.stream &&
	     !(f.wire.req.flags & ~VGPU_REQF_QUIET), "header");
	check_request();
	first = f.wire;
	must(translate(&sqe) && !memcmp(&first, &f.wire, sizeof(first)),
	     "another result at the second time");

	return true;
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);

	return 0;
}
#else
static void tame_operand(struct vgpufront_operand *op)
{
	op->handle = random() % 4 ? 1 + random() % BUFFERS :
				    VGPUFRONT_HANDLE_MEM | 1;
	op->count = random() % 100;
	op->offset = random() % 100 * 4;
}

/* Numbers as programs would have them, so that many requests are taken. */
static void tame(struct vgpufront_sqe *sqe)
{
	/* Of each op from BUILTIN on: words of the body that are in use. */
	static const uint8_t used[] = {
		16, 0, 4, 1, 8, 8, 10, 1, 10, 12, 1, 1, 1, 0
	};
	uint32_t *words = (uint32_t *)sqe->body;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		if (random() % 8)
			words[i] = random() % 3 ? 0 : random() % 80;
		if (random() % 16 == 0)
			words[i] = VGPUFRONT_HANDLE_MEM | 5;
	}
	sqe->op = random();
	sqe->flags = random() % 4 == 0;
	sqe->reserved = random() % 16 == 0;
	if (random() % 8 == 0)
		return;
	i = random() % sizeof(used);
	sqe->op = VGPUFRONT_OP_BUILTIN + i;
	memset(words + used[i], 0, sizeof(sqe->body) - 4 * used[i]);
	if (sqe->op == VGPUFRONT_OP_BUILTIN && random() % 4) {
		sqe->builtin.param_len = 0;
		sqe->builtin.params = 0;
		for (i = 0; i < 3; i++)
			tame_operand(&sqe->builtin.operand[i]);
	}
	if (sqe->op == VGPUFRONT_OP_MODULE_LOAD)
		tame_operand(&sqe->module_load.image);
	if (sqe->op == VGPUFRONT_OP_FUNCTION_GET) {
		sqe->function_get.name_len = random() % 1100;
		sqe->function_get.reserved0 = 0;
	}
	if (sqe->op == VGPUFRONT_OP_LAUNCH) {
		sqe->launch.args_len = 8 + random() % 8 * 8;
		sqe->launch.nr_relocs = random() % 3;
		sqe->launch.reserved0 = 0;
	}
}

/* Relocations as programs would have them. */
static void tame_payload(uint8_t *data)
{
	struct vgpufront_reloc reloc = { 1 + random() % 9, random() % 4 * 8, 0 };

	if (random() % 4 == 0)
		reloc.handle = VGPUFRONT_HANDLE_MEM | 1;
	memcpy(data, &reloc, sizeof(reloc));
	memset(data + sizeof(reloc), 0, 24);
}

int main(void)
{
	static _Alignas(8) uint8_t data[256];
	unsigned int taken[256] = { 0 }, rare = -1U, refused = 0;

	for (unsigned int seed = 1; seed <= 400000; seed++) {
		srandom(seed);
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = random() >> 8;
		tame((struct vgpufront_sqe *)data);
		tame_payload(data + sizeof(struct vgpufront_sqe) + BUFFERS);
		if (run(data, sizeof(data)))
			taken[data[8]]++;
		else
			refused++;
	}
	for (unsigned int op = VGPUFRONT_OP_BUILTIN;
	     op <= VGPUFRONT_OP_STREAM_DESTROY; op++)
		rare = taken[op] < rare ? taken[op] : rare;
	printf("1..2\n%s 1 - each op was taken, the rarest %u times\n",
	       rare > 200 ? "ok" : "not ok", rare);
	printf("%s 2 - %u requests refused\n",
	       refused > 100000 ? "ok" : "not ok", refused);

	return rare > 200 && refused > 100000 ? 0 : 1;
}
#endif
