// SPDX-License-Identifier: MIT
/*
 * cuda_tune.c - measures, when the engine is opened, which way is the fastest
 *
 * Runs on the caller's thread, before there is any job but its own: these go
 * through the same submit and reap as all others, with the thresholds set so
 * that they take the way to be measured. Each time is the best of a few tries,
 * and the ways take turns, so that a busy moment does not spoil one alone.
 *
 * On a GPU that others keep busy a try may take a thousand times as long, and
 * says nothing. So there is a budget: what does not fit into it, or would not
 * by the time that small tries took, keeps its default.
 *
 * Owns memory that is as large as needed only in appearance: a small file in
 * memory mapped again and again. What is added there does not matter.
 *
 * Must never fail: what cannot be measured keeps its default, and is said so.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine_cuda.h"

#define TRIES		3
#define FILE_BYTES	((size_t)4 << 20)

/* Of all tries together. An H200 with nobody beside takes a third of it. */
#define BUDGET_NS	UINT64_C(100000000)

/* Times of a way, as a + b * n, come from these two numbers of elements. */
#define FEW		((uint64_t)4 << 20)
#define MANY		((uint64_t)16 << 20)

/* What tells how long those will take: so many of these, at least. */
#define PROBE		((uint64_t)1 << 18)
#define PROBES		(2 * TRIES * (FEW + MANY) / PROBE)

/* Not believed: too far from what was measured. */
#define ZERO_COPY_LEAST	(FEW / 4)
#define ZERO_COPY_MOST	(MANY * 4)

#define DEFAULT_ZERO_COPY	((uint64_t)16 << 20)
#define DEFAULT_INLINE_COPY	16384
/* Waking a thread takes longer than to copy this; not worth measuring. */
#define LEAST_INLINE_COPY	1024

struct bench {
	struct cuda_engine *eng;
	struct vgpu_engine_stream *stream;
	struct vgpu_engine_region *region;	/* or NULL: staged */
	unsigned char *scratch;			/* or NULL */
	size_t scratch_bytes;
	uint64_t spent_ns;
	const char *failed;			/* why nothing more is measured */
};

static uint64_t run_once(struct bench *b, uint64_t count)
{
	struct vgpu_job job = {
		.stream = b->stream,
		.op = VGPU_OP_BUILTIN,
		.kernel = VGPU_KERNEL_VECTOR_ADD,
	};
	uint64_t start = pool_now_ns(), ns;

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		job.operand[i].host = b->scratch + i * count * sizeof(float);
		job.operand[i].count = count;
		job.operand[i].region = b->region;
	}
	pool_submit(b->eng->pool, &job);
	while (!pool_reap(b->eng->pool))
		;
	ns = pool_now_ns() - start;
	b->spent_ns += ns;
	if (job.status != VGPU_RSP_OK)
		b->failed = "an addition failed";
	else if (b->spent_ns > BUDGET_NS)
		b->failed = "the GPU is slow or busy";
	return ns;
}

/* The best of a few tries of each of two ways; way() sets thresholds for one. */
static void measure(struct bench *b, uint64_t count,
		    void (*way)(struct cuda_tune *t, bool second),
		    uint64_t best[2])
{
	best[0] = best[1] = UINT64_MAX;
	for (int i = 0; i < 2 * TRIES && !b->failed; i++) {
		uint64_t ns;

		way(&b->eng->tune, i % 2);
		ns = run_once(b, count);
		if (ns < best[i % 2])
			best[i % 2] = ns;
	}
}

static void way_inline(struct cuda_tune *t, bool threads)
{
	t->inline_copy = threads ? 0 : DIRECT_STAGING;
}

static void way_zero_copy(struct cuda_tune *t, bool copied)
{
	t->zero_copy = copied ? 0 : UINT64_MAX;
}

/* The largest of a few sizes at which the caller's own copy is not slower. */
static void measure_inline(struct bench *b)
{
	uint64_t found = LEAST_INLINE_COPY;

	for (uint64_t n = 4 * LEAST_INLINE_COPY; n <= DIRECT_STAGING; n *= 4) {
		uint64_t best[2];

		measure(b, n, way_inline, best);
		if (best[0] <= best[1])
			found = n;
	}
	b->eng->tune.inline_copy = b->failed ? DEFAULT_INLINE_COPY : found;
}

/* Small tries first: large ones on a busy GPU would take long, for nothing. */
static void probe(struct bench *b)
{
	uint64_t best = UINT64_MAX;

	way_zero_copy(&b->eng->tune, false);
	for (int i = 0; i < TRIES && !b->failed; i++) {
		uint64_t ns = run_once(b, PROBE);

		if (ns < best)
			best = ns;
	}
	if (!b->failed && b->spent_ns + best * PROBES > BUDGET_NS)
		b->failed = "the GPU is slow or busy";
	b->eng->tune.zero_copy = DEFAULT_ZERO_COPY;
}

/*
 * Copy engines have the higher rate or none, and more to do before the first
 * result: where the two lines cross they begin to win.
 */
static uint64_t crossing(const uint64_t few[2], const uint64_t many[2])
{
	double slope[2], n;

	for (int way = 0; way < 2; way++)
		slope[way] = ((double)many[way] - (double)few[way]) /
			     (double)(MANY - FEW);
	if (slope[1] >= slope[0])
		return ZERO_COPY_MOST;
	n = (double)FEW + ((double)few[1] - (double)few[0]) /
				  (slope[0] - slope[1]);
	if (n < (double)ZERO_COPY_LEAST)
		return ZERO_COPY_LEAST;
	return n < (double)ZERO_COPY_MOST ? (uint64_t)n : ZERO_COPY_MOST;
}

static void measure_zero_copy(struct bench *b)
{
	uint64_t few[2], many[2];

	measure(b, FEW, way_zero_copy, few);
	measure(b, MANY, way_zero_copy, many);
	b->eng->tune.zero_copy = b->failed ? DEFAULT_ZERO_COPY :
					     crossing(few, many);
}

static unsigned char *map_scratch(size_t bytes)
{
	int fd = memfd_create("vgpu-tune", MFD_CLOEXEC);
	unsigned char *at;

	at = mmap(NULL, bytes, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fd < 0 || at == MAP_FAILED || ftruncate(fd, (off_t)FILE_BYTES))
		goto fail;
	for (size_t i = 0; i < bytes; i += FILE_BYTES)
		if (mmap(at + i, FILE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			goto fail;
	close(fd);
	return at;
fail:
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		munmap(at, bytes);
	return NULL;
}

/* For operands of `count` elements. */
static void scratch_open(struct bench *b, uint64_t count)
{
	size_t bytes = VGPU_ENGINE_OPERANDS * count * sizeof(float);

	b->scratch_bytes = (bytes + FILE_BYTES - 1) / FILE_BYTES * FILE_BYTES;
	b->scratch = map_scratch(b->scratch_bytes);
	if (!b->scratch)
		b->failed = "no memory";
}

static void scratch_register(struct bench *b)
{
	if (b->failed)
		return;
	b->region = region_add(&b->eng->base, b->scratch, b->scratch_bytes,
			       false);
	if (!b->region)
		b->failed = "memory cannot be registered";
}

static void scratch_close(struct bench *b)
{
	if (b->region)
		region_remove(&b->eng->base, b->region);
	if (b->scratch)
		munmap(b->scratch, b->scratch_bytes);
	b->region = NULL;
	b->scratch = NULL;
}

static void measure_small(struct bench *b)
{
	scratch_open(b, PROBE);
	if (!b->failed)
		measure_inline(b);
	scratch_register(b);
	probe(b);
	scratch_close(b);
}

static void measure_large(struct bench *b)
{
	scratch_open(b, MANY);
	scratch_register(b);
	measure_zero_copy(b);
	scratch_close(b);
}

static void say(const struct bench *b)
{
	struct cuda_engine *eng = b->eng;
	char *text = eng->dev.facts.tuning;
	size_t room = sizeof(eng->dev.facts.tuning);

	snprintf(text, room,
		 "%s%s%s: zero-copy up to %.1f MiB an operand, then chunks of 4 MiB; staging up to %llu KiB by the caller, then by %u threads%s%s",
		 b->failed ? "not measured (" : "measured",
		 b->failed ? b->failed : "", b->failed ? ")" : "",
		 (double)eng->tune.zero_copy * sizeof(float) / (1 << 20),
		 (unsigned long long)eng->tune.inline_copy * sizeof(float) /
			 1024,
		 eng->nr_lanes, eng->dev.no_modules ? "; no modules: " : "",
		 eng->dev.no_modules ? eng->dev.no_modules : "");
}

void tune(struct cuda_engine *eng)
{
	struct bench b = { .eng = eng };

	eng->tune.zero_copy = DEFAULT_ZERO_COPY;
	eng->tune.inline_copy = DEFAULT_INLINE_COPY;
	b.stream = pool_stream_create(eng->pool);
	if (!b.stream)
		b.failed = "no memory";
	if (!b.failed)
		measure_small(&b);
	if (!b.failed)
		measure_large(&b);
	say(&b);
	if (b.stream)
		pool_stream_destroy(eng->pool, b.stream);
}
