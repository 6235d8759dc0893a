// SPDX-License-Identifier: MIT
/*
 * cuda_tune.c - measures, when the engine is opened, which way is the fastest
 *
 * Runs on the caller's thread, before there is any job but its own: these go
 * through the same submit and reap as all others, with the thresholds set so
 * that they take the way to be measured. Each time is the best of a few tries.
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

/* Times of a way, as a + b * n, come from these two numbers of elements. */
#define FEW		((uint64_t)4 << 20)
#define MANY		((uint64_t)16 << 20)
#define OPERAND_BYTES	(MANY * sizeof(float))
#define SCRATCH_BYTES	(VGPU_ENGINE_OPERANDS * OPERAND_BYTES)

/* Not believed: one kernel may hold its channel for a tenth of a second. */
#define ZERO_COPY_LEAST	((uint64_t)1 << 20)
#define ZERO_COPY_MOST	((uint64_t)512 << 20)

#define DEFAULT_ZERO_COPY	((uint64_t)16 << 20)
#define DEFAULT_INLINE_COPY	16384

struct bench {
	struct cuda_engine *eng;
	struct vgpu_engine_stream *stream;
	struct vgpu_engine_region *region;	/* or NULL: staged */
	unsigned char *scratch;
	bool failed;
};

static uint64_t run_once(struct bench *b, uint64_t count)
{
	struct vgpu_job job = {
		.stream = b->stream,
		.kernel = VGPU_KERNEL_VECTOR_ADD,
	};
	uint64_t start = pool_now_ns();

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		job.operand[i].host = b->scratch + i * OPERAND_BYTES;
		job.operand[i].count = count;
		job.operand[i].region = b->region;
	}
	pool_submit(b->eng->pool, &job);
	while (!pool_reap(b->eng->pool))
		;
	if (job.status != VGPU_RSP_OK)
		b->failed = true;
	return pool_now_ns() - start;
}

static uint64_t best_ns(struct bench *b, uint64_t count)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES && !b->failed; i++) {
		uint64_t ns = run_once(b, count);

		if (ns < best)
			best = ns;
	}
	return best;
}

/* The largest of a few sizes at which the caller's own copy is not slower. */
static void measure_inline(struct bench *b)
{
	struct cuda_tune *t = &b->eng->tune;
	uint64_t found = 0;

	for (uint64_t n = 1024; n <= DIRECT_STAGING && !b->failed; n *= 4) {
		uint64_t direct, threads;

		t->inline_copy = DIRECT_STAGING;
		direct = best_ns(b, n);
		t->inline_copy = 0;
		threads = best_ns(b, n);
		if (direct <= threads)
			found = n;
	}
	t->inline_copy = b->failed ? DEFAULT_INLINE_COPY : found;
}

/*
 * Copy engines have the higher rate or none, and more to do before the first
 * result: where the two lines cross they begin to win.
 */
static void measure_zero_copy(struct bench *b)
{
	struct cuda_tune *t = &b->eng->tune;
	double few[2], many[2], slope[2], n;

	for (int copied = 0; copied < 2; copied++) {
		t->zero_copy = copied ? 0 : UINT64_MAX;
		few[copied] = (double)best_ns(b, FEW);
		many[copied] = (double)best_ns(b, MANY);
		slope[copied] = (many[copied] - few[copied]) / (MANY - FEW);
	}
	t->zero_copy = DEFAULT_ZERO_COPY;
	if (b->failed)
		return;
	t->zero_copy = ZERO_COPY_MOST;
	if (slope[1] >= slope[0])
		return;
	n = (double)FEW + (few[1] - few[0]) / (slope[0] - slope[1]);
	if (n < (double)ZERO_COPY_LEAST)
		t->zero_copy = ZERO_COPY_LEAST;
	else if (n < (double)ZERO_COPY_MOST)
		t->zero_copy = (uint64_t)n;
}

static unsigned char *map_scratch(void)
{
	int fd = memfd_create("vgpu-tune", MFD_CLOEXEC);
	unsigned char *at;

	at = mmap(NULL, SCRATCH_BYTES, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fd < 0 || at == MAP_FAILED || ftruncate(fd, (off_t)FILE_BYTES))
		goto fail;
	for (size_t i = 0; i < SCRATCH_BYTES; i += FILE_BYTES)
		if (mmap(at + i, FILE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
			 0) == MAP_FAILED)
			goto fail;
	close(fd);
	return at;
fail:
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		munmap(at, SCRATCH_BYTES);
	return NULL;
}

static void say(struct cuda_engine *eng, bool measured)
{
	char *text = eng->dev.facts.tuning;
	size_t room = sizeof(eng->dev.facts.tuning);

	snprintf(text, room,
		 "%s: zero-copy up to %.1f MiB an operand, then chunks of 4 MiB; staging up to %llu KiB by the caller, then by %u threads",
		 measured ? "measured" : "not measured",
		 (double)eng->tune.zero_copy * sizeof(float) / (1 << 20),
		 (unsigned long long)eng->tune.inline_copy * sizeof(float) /
			 1024,
		 eng->nr_lanes);
}

void tune(struct cuda_engine *eng)
{
	struct bench b = { .eng = eng };

	eng->tune.zero_copy = DEFAULT_ZERO_COPY;
	eng->tune.inline_copy = DEFAULT_INLINE_COPY;
	b.stream = pool_stream_create(eng->pool);
	b.scratch = map_scratch();
	b.failed = !b.stream || !b.scratch;
	if (!b.failed)
		measure_inline(&b);
	if (!b.failed)
		b.region = region_add(&eng->base, b.scratch, SCRATCH_BYTES,
				      false);
	if (b.region)
		measure_zero_copy(&b);
	say(eng, b.region && !b.failed);
	if (b.region)
		region_remove(&eng->base, b.region);
	if (b.scratch)
		munmap(b.scratch, SCRATCH_BYTES);
	if (b.stream)
		pool_stream_destroy(eng->pool, b.stream);
}
