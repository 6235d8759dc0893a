// SPDX-License-Identifier: MIT
/*
 * support.c - operands between guard pages, the reference sum, waiting
 *
 * Runs on the test's one thread. Must never wait by sleeping: whatever is
 * awaited announces itself on the engine's descriptor.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define HANG_MS 120000

static void die(const char *what)
{
	printf("Bail out! %s\n", what);
	fflush(stdout);
	exit(255);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void operand_make(struct operand *o, uint64_t count, enum place place)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = count * 4;
	size_t room = (bytes + page - 1) / page * page;

	o->count = count;
	o->map_len = room + 2 * page;
	o->map = mmap(NULL, o->map_len, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->map == MAP_FAILED)
		die("no memory for operands");
	if (room && mprotect(o->map + page, room, PROT_READ | PROT_WRITE))
		die("mprotect");
	o->bits = (uint32_t *)(o->map + page +
			       (place == AT_END ? room - bytes : 0));
}

void operand_protect(struct operand *o, int prot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (o->map_len > 2 * page &&
	    mprotect(o->map + page, o->map_len - 2 * page, prot))
		die("mprotect");
}

void operand_free(struct operand *o)
{
	munmap(o->map, o->map_len);
}

uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void operand_fill(struct operand *o, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	uint64_t i;

	for (i = 0; i < o->count; i++) {
		uint32_t v = next_random(&state);

		switch (i % 8) {
		case 5: /* zeros and subnormals of both signs */
			v &= v & 0x100 ? 0x807fffff : 0x80000000;
			break;
		case 6: /* of like magnitude, so that sums round */
			v = (v & 0x80ffffff) | 0x3f000000;
			break;
		case 7: /* infinities and NaNs, quiet and signalling */
			v |= 0x7f800000;
			if (v & 0x40)
				v &= 0xff800000;
			break;
		}
		o->bits[i] = v;
	}
}

void operand_zero(struct operand *o)
{
	memset(o->bits, 0, o->count * 4);
}

uint32_t add_bits(uint32_t a, uint32_t b)
{
	float x, y;
	volatile float sum;
	float result;
	uint32_t bits;

	memcpy(&x, &a, 4);
	memcpy(&y, &b, 4);
	sum = x + y;
	result = sum;
	memcpy(&bits, &result, 4);
	return bits;
}

static bool is_nan(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

bool same_bits(uint32_t want, uint32_t got)
{
	if (is_nan(want))
		return is_nan(got) && (got & 0x00400000);
	return want == got;
}

void check_sum(struct run *r, const uint32_t *a, const uint32_t *b,
	       const uint32_t *c, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		uint32_t want = add_bits(a[i], b[i]);

		if (same_bits(want, c[i]))
			continue;
		FAIL(r, "element %llu of %llu: 0x%08x + 0x%08x gave 0x%08x, not 0x%08x",
		     (unsigned long long)i, (unsigned long long)count, a[i],
		     b[i], c[i], want);
		return;
	}
}

void job_add(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	     const void *a, const void *b, void *c, uint64_t count)
{
	/* Whatever the engine must set is poisoned. */
	memset(job, 0xee, sizeof(*job));
	job->stream = stream;
	job->op = VGPU_OP_BUILTIN;
	job->kernel = VGPU_KERNEL_VECTOR_ADD;
	job->param = 0;
	job->operand[0] = (struct vgpu_engine_operand){ .host = (void *)a };
	job->operand[1] = (struct vgpu_engine_operand){ .host = (void *)b };
	job->operand[2] = (struct vgpu_engine_operand){ .host = c };
	job->operand[0].count = count;
	job->operand[1].count = count;
	job->operand[2].count = count;
	job->owner = job;
}

void job_fence(struct vgpu_job *job, struct vgpu_engine_stream *stream)
{
	memset(job, 0xee, sizeof(*job));
	job->stream = stream;
	job->op = VGPU_OP_FENCE;
	job->owner = job;
}

void job_op(struct vgpu_job *job, struct vgpu_engine_stream *stream, uint8_t op)
{
	memset(job, 0xee, sizeof(*job));
	memset(job->operand, 0, sizeof(job->operand));
	job->stream = stream;
	job->op = op;
	job->owner = job;
}

void job_kernel(struct vgpu_job *job, struct vgpu_engine_stream *stream,
		uint16_t kernel)
{
	job_op(job, stream, VGPU_OP_BUILTIN);
	job->kernel = kernel;
	job->param = 0;
}

void job_alloc(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	       struct vgpu_engine_mem *mem, uint64_t bytes)
{
	*mem = (struct vgpu_engine_mem){ .bytes = bytes };
	job_op(job, stream, VGPU_OP_MEM_ALLOC);
	job->mem = mem;
}

void job_copy(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	      struct vgpu_engine_operand to, struct vgpu_engine_operand from)
{
	job_op(job, stream, VGPU_OP_COPY);
	job->operand[0] = to;
	job->operand[1] = from;
}

void job_fill(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	      struct vgpu_engine_operand to, uint32_t pattern, uint32_t width)
{
	job_op(job, stream, VGPU_OP_FILL);
	job->operand[0] = to;
	job->pattern = pattern;
	job->width = width;
}

void job_event(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	       uint8_t op, struct vgpu_engine_event *event)
{
	job_op(job, stream, op);
	job->event = event;
}

struct vgpu_engine_operand in_host(const void *at, uint64_t count)
{
	return (struct vgpu_engine_operand){ .host = (void *)at, .count = count };
}

struct vgpu_engine_operand in_mapping(const struct mapping *m, uint64_t offset,
				      uint64_t count)
{
	return (struct vgpu_engine_operand){
		.host = m->base + offset, .count = count, .region = m->region,
	};
}

struct vgpu_engine_operand in_mem(struct vgpu_engine_mem *mem, uint64_t offset,
				  uint64_t count)
{
	return (struct vgpu_engine_operand){
		.mem = mem, .offset = offset, .count = count,
	};
}

void reap_jobs(struct run *r, unsigned int count,
	       void (*seen)(struct vgpu_job *job, void *arg), void *arg)
{
	struct pollfd pfd = { .fd = vgpu_engine_fd(r->eng), .events = POLLIN };

	while (count) {
		struct vgpu_job *job, *next;
		bool armed = vgpu_engine_arm(r->eng);

		if (armed && poll(&pfd, 1, HANG_MS) != 1)
			die("the engine hangs: no job finished in 120 s");
		job = vgpu_engine_reap(r->eng);
		if (!job && armed)
			die("the descriptor is readable, but there is nothing to reap");
		if (!job)
			die("the engine would not be armed, but there is nothing to reap");
		for (; job; job = next) {
			next = job->next;
			if (job->owner != job)
				die("the engine changed the owner of a job");
			if (!count)
				die("the engine returned a job twice");
			count--;
			if (seen)
				seen(job, arg);
		}
	}
}

void run_job(struct run *r, struct vgpu_job *job)
{
	vgpu_engine_submit(r->eng, job);
	reap_jobs(r, 1, NULL, NULL);
}

void run_well(struct run *r, struct vgpu_job *job, const char *what)
{
	run_job(r, job);
	CHECK(r, job->status == VGPU_RSP_OK, "%s: status %u", what, job->status);
}

void mem_make(struct run *r, struct vgpu_engine_stream *s,
	      struct vgpu_engine_mem *mem, uint64_t bytes)
{
	struct vgpu_job job;

	job_alloc(&job, s, mem, bytes);
	run_well(r, &job, "memory");
	CHECK(r, mem->address && !(mem->address % 256) &&
	      job.value == mem->address,
	      "%llu bytes are at 0x%llx, and the job says 0x%llx",
	      (unsigned long long)bytes, (unsigned long long)mem->address,
	      (unsigned long long)job.value);
}

void mem_write(struct run *r, struct vgpu_engine_stream *s,
	       struct vgpu_engine_mem *mem, const void *from, uint64_t bytes)
{
	struct vgpu_job job;

	job_copy(&job, s, in_mem(mem, 0, bytes), in_host(from, bytes));
	run_well(r, &job, "copy to the device");
}

void mem_read(struct run *r, struct vgpu_engine_stream *s,
	      struct vgpu_engine_mem *mem, void *to, uint64_t bytes)
{
	struct vgpu_job job;

	job_copy(&job, s, in_host(to, bytes), in_mem(mem, 0, bytes));
	run_well(r, &job, "copy from the device");
}

struct vgpu_engine_operand operand_put(struct run *r,
				       struct vgpu_engine_stream *s,
				       struct operand *o,
				       struct vgpu_engine_mem *mem, bool device)
{
	*mem = (struct vgpu_engine_mem){ 0 };
	if (!device || !o->count)
		return in_host(o->bits, o->count);
	mem_make(r, s, mem, o->count * 4);
	mem_write(r, s, mem, o->bits, o->count * 4);
	return in_mem(mem, 0, o->count);
}

void operand_take(struct run *r, struct vgpu_engine_stream *s,
		  struct operand *o, struct vgpu_engine_mem *mem)
{
	if (!mem->address)
		return;
	mem_read(r, s, mem, o->bits, o->count * 4);
	vgpu_engine_mem_free(r->eng, mem);
}

void operand_drop(struct run *r, struct vgpu_engine_mem *mem)
{
	if (mem->address)
		vgpu_engine_mem_free(r->eng, mem);
}

void check_octets(struct run *r, const char *what, const void *want,
		  const void *got, uint64_t count)
{
	const unsigned char *w = want, *g = got;

	if (!memcmp(want, got, count))
		return;
	for (uint64_t i = 0; i < count; i++)
		CHECK(r, w[i] == g[i], "%s: octet %llu of %llu is 0x%02x, not 0x%02x",
		      what, (unsigned long long)i, (unsigned long long)count,
		      g[i], w[i]);
}

float float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

uint32_t bits_of(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

void open_engine(struct run *r)
{
	char why[VGPU_ENGINE_WHY] = "";

	r->eng = vgpu_engine_open(r->engine, &r->cfg, why);
	if (!r->eng) {
		printf("# %s\n", why);
		die("the engine does not open a second time");
	}
}
