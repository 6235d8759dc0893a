// SPDX-License-Identifier: MIT
/*
 * pipeline.c - while one chunk is computed, the next one travels
 *
 *   cc pipeline.c $(pkg-config --cflags --libs vgpufront)
 *   ./a.out -k pipeline.ptx
 *
 * Data comes in chunks. Each is copied to the device, computed there, and copied
 * back. On one stream these are done one after the other: while the GPU
 * computes, the way to it lies idle, and the other way round. On two streams
 * that take the chunks in turns, the device copies one while it computes
 * another. With each of the three as long as the others, two streams take half
 * the time; three would take a third.
 *
 * Events tie streams together. vgpu_event_wait() makes a stream wait for a mark
 * in another, on the device, while the program goes on:
 *
 *   fork:  the second stream begins when the first has come to "start"
 *   join:  the first one's "end" comes behind the last work of the second
 *
 * so the time from start to end, by the device's clock, is that of all the work.
 *
 * Copies only overlap where the memory here is used in place: it is allocated by
 * vgpu_buffer_alloc(). The memory there is named in the launch by a relocation:
 * the device fills in its address, and nobody has to ask for it.
 */
#include "example.h"

#define CHUNK (1u << 19) /* elements: 2 MiB */
#define CHUNK_BYTES (CHUNK * sizeof(uint32_t))
#define THREADS 256u
#define STREAMS 2
#define RUNS 5
#define ROUNDS 1000u
#define A 1664525u
#define C 1013904223u

struct pipeline {
	unsigned int chunks;
	struct vgpu_function *scramble;
	struct vgpu_buffer *in, *out; /* all chunks, one after the other */
	struct vgpu_mem *mem[STREAMS];
	unsigned int stream[STREAMS];
	struct vgpu_event *start, *end,
		*done; /* of all; of the second stream */
};

/* As the kernel's parameters lie: vgpu_function_param() tells where. */
struct arguments {
	uint64_t data;
	uint32_t n, a, c, rounds;
};

static void compute(struct example *ex, const struct pipeline *p,
		    unsigned int lane)
{
	const struct arguments args = {0, CHUNK, A, C, ROUNDS};
	const struct vgpu_reloc reloc = {
		vgpu_at(p->mem[lane], 0),
		offsetof(struct arguments, data),
	};

	example_must(
		ex,
		vgpu_launch_packed(p->scramble, example_dim(CHUNK / THREADS, 1),
				   example_dim(THREADS, 1), 0, p->stream[lane],
				   &args, sizeof(args), &reloc, 1),
		"vgpu_launch_packed");
}

/* The way of one chunk. The stream keeps the three in order. */
static void chunk(struct example *ex, const struct pipeline *p, unsigned int i,
		  unsigned int lane)
{
	const uint64_t at = i * CHUNK_BYTES;
	const struct vgpu_ref there = vgpu_at(p->mem[lane], 0);

	example_must(ex,
		     vgpu_copy(ex->dev, there, vgpu_in(p->in, at), CHUNK_BYTES,
			       p->stream[lane]),
		     "vgpu_copy in");
	compute(ex, p, lane);
	example_must(ex,
		     vgpu_copy(ex->dev, vgpu_in(p->out, at), there, CHUNK_BYTES,
			       p->stream[lane]),
		     "vgpu_copy out");
}

/* All chunks, on one stream or on two; nanoseconds. */
static int64_t run(struct example *ex, const struct pipeline *p,
		   unsigned int streams)
{
	unsigned int i;
	int64_t ns;

	memset(vgpu_buffer_ptr(p->out), 0, p->chunks * CHUNK_BYTES);
	vgpu_batch_begin(ex->dev);
	example_must(ex, vgpu_event_record(p->start, p->stream[0]), "fork");
	example_must(ex, vgpu_event_wait(p->start, p->stream[1]), "fork");
	for (i = 0; i < p->chunks; i++)
		chunk(ex, p, i, i % streams);
	example_must(ex, vgpu_event_record(p->done, p->stream[1]), "join");
	example_must(ex, vgpu_event_wait(p->done, p->stream[0]), "join");
	example_must(ex, vgpu_event_record(p->end, p->stream[0]), "join");
	example_must(ex, vgpu_batch_end(ex->dev), "vgpu_batch_end");

	/* Each stream's fence says what failed on it. */
	for (i = 0; i < STREAMS; i++)
		example_must(ex, vgpu_fence(ex->dev, p->stream[i]),
			     "vgpu_fence");
	example_must(ex, vgpu_event_elapsed(p->start, p->end, &ns),
		     "vgpu_event_elapsed");
	return ns > 0 ? ns : 1;
}

/* x * a + c, as often as the kernel does it, is x * all_a + all_c. */
static unsigned int count_wrong(const struct pipeline *p)
{
	const uint32_t *in = vgpu_buffer_ptr(p->in);
	const uint32_t *out = vgpu_buffer_ptr(p->out);
	uint32_t all_a = 1, all_c = 0;
	unsigned int i, wrong = 0;

	for (i = 0; i < ROUNDS; i++) {
		all_a *= A;
		all_c = all_c * A + C;
	}
	for (i = 0; i < p->chunks * CHUNK; i++)
		wrong += out[i] != in[i] * all_a + all_c;
	return wrong;
}

/* The best of some runs; the result of each is checked. */
static int64_t best_of(struct example *ex, const struct pipeline *p,
		       unsigned int streams)
{
	int64_t ns, best = INT64_MAX;
	unsigned int i, wrong;

	for (i = 0; i < RUNS; i++) {
		ns = run(ex, p, streams);
		wrong = count_wrong(p);
		if (wrong)
			example_failed(
				ex, "%u streams: %u of %u elements are wrong",
				streams, wrong, p->chunks * CHUNK);
		best = ns < best ? ns : best;
	}
	return best;
}

static void prepare(struct example *ex, struct pipeline *p)
{
	const size_t size = p->chunks * CHUNK_BYTES;
	uint32_t *in;
	unsigned int i;

	example_must(ex, vgpu_buffer_alloc(ex->dev, size, &p->in),
		     "vgpu_buffer_alloc");
	example_must(ex, vgpu_buffer_alloc(ex->dev, size, &p->out),
		     "vgpu_buffer_alloc");
	in = vgpu_buffer_ptr(p->in);
	for (i = 0; i < p->chunks * CHUNK; i++)
		in[i] = i * 2654435761u;
	for (i = 0; i < STREAMS; i++) {
		example_must(ex, vgpu_stream_create(ex->dev, &p->stream[i]),
			     "vgpu_stream_create");
		/* The stream's own memory: no other stream uses it. */
		example_must(ex,
			     vgpu_mem_alloc(ex->dev, CHUNK_BYTES, p->stream[i],
					    &p->mem[i]),
			     "vgpu_mem_alloc");
	}
	example_must(ex, vgpu_event_create(ex->dev, &p->start), "start");
	example_must(ex, vgpu_event_create(ex->dev, &p->end), "end");
	example_must(ex, vgpu_event_create(ex->dev, &p->done), "done");
}

int main(int argc, char **argv)
{
	struct example ex = {
		.name = "pipeline",
		.n_is = "chunks of 2 MiB",
		.n = 16,
		.min_n = 1,
		.max_n = 512,
	};
	struct pipeline p = {0};
	int64_t one, two;

	example_begin(&ex, argc, argv);
	p.scramble = example_function(&ex, example_load(&ex), "scramble");
	p.chunks = ex.n;
	prepare(&ex, &p);
	one = best_of(&ex, &p, 1);
	two = best_of(&ex, &p, STREAMS);
	printf("one stream: %.1f us; two streams: %.1f us, %.2f times as fast\n",
	       (double)one / 1e3, (double)two / 1e3, (double)one / (double)two);
	vgpu_close(ex.dev);
	example_passed(&ex, "%u chunks of %zu bytes, 0 errors", ex.n,
		       CHUNK_BYTES);
}
