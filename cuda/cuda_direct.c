// SPDX-License-Identifier: MIT
/*
 * cuda_direct.c - jobs that need no thread: one kernel across the bus
 *
 * Owns the slots of jobs in flight, the CUDA streams ("channels") they run on,
 * and pinned staging memory for small operands. direct_begin() and
 * direct_collect() run on the caller's thread, direct_ready() on the watch's
 * too; the pool's lock guards all of it.
 *
 * Operands in regions are added where they are; others are copied by the
 * caller's thread into the slot's staging memory and, when the job is
 * collected, out of it. The kernel's last act is to write a number to the
 * slot's completion word in pinned memory: looking at that is all it takes to
 * know that the job is over. Neither launching nor looking is a system call.
 *
 * Jobs of one stream may follow each other on one channel, which keeps them in
 * order, as long as all of them are in place: a copy by the CPU must see what
 * the jobs before have written.
 *
 * A kernel that dies writes no word. So a channel whose oldest job takes long
 * is asked now and then whether it still lives; and when any thread has met an
 * error of the GPU all jobs in flight are over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "engine_cuda.h"

#define SLOTS		64
/* Slots with staging memory: 12 MiB in all. */
#define STAGED_SLOTS	16
#define CHANNELS	8
/* Above it, in elements, copy engines make up for operands out of line. */
#define UNALIGNED_MOST	((uint64_t)4 << 20)
/* The driver is asked about a job this old, and again after as long. */
#define ASK_NS		200000

#define OPERAND_BYTES	(DIRECT_STAGING * sizeof(float))
#define SLOT_BYTES	(VGPU_ENGINE_OPERANDS * OPERAND_BYTES)
#define WORDS_BYTES	4096

/* The note of a stream with jobs in flight: its channel, and whether staged. */
#define NOTE_STAGED	0x100u
#define NOTE_CHANNEL	0xffu

struct slot {
	struct vgpu_job *job;
	unsigned int channel;
	uint32_t seq;			/* of the last launch */
	bool staged;
	uint16_t failed;		/* the launch did: enum vgpu_status */
	uint64_t start_ns;
	TAILQ_ENTRY(slot) entry;
};

TAILQ_HEAD(slots, slot);

struct channel {
	CUstream stream;
	unsigned int inflight;
	uint64_t last_end_ns;
};

struct cuda_direct {
	unsigned char *host;		/* pinned: words, then staging memory */
	CUdeviceptr mapped;		/* the same, as the GPU sees it */
	CUdeviceptr counters;		/* the kernels' own, one a slot */
	uint64_t free_slots;		/* a bit each */
	struct slots inflight;		/* oldest first */
	uint64_t asked_ns;
	struct slot slot[SLOTS];
	struct channel channel[CHANNELS];
};

static unsigned int slot_number(const struct cuda_direct *dir,
				const struct slot *slot)
{
	return (unsigned int)(slot - dir->slot);
}

static const uint32_t *slot_word(const struct cuda_direct *dir,
				 const struct slot *slot)
{
	return (const uint32_t *)dir->host + slot_number(dir, slot);
}

/* Of operand i, in the pinned memory. */
static size_t staging_offset(const struct cuda_direct *dir,
			     const struct slot *slot, unsigned int i)
{
	return WORDS_BYTES + slot_number(dir, slot) * SLOT_BYTES +
	       i * OPERAND_BYTES;
}

/* Those with staging memory come first, and last for jobs in place. */
static struct slot *slot_get(struct cuda_direct *dir, bool staged)
{
	uint64_t fit = dir->free_slots;
	unsigned int n;

	if (staged)
		fit &= (UINT64_C(1) << STAGED_SLOTS) - 1;
	if (!fit)
		return NULL;
	n = staged ? (unsigned int)__builtin_ctzll(fit) :
		     63 - (unsigned int)__builtin_clzll(fit);
	dir->free_slots &= ~(UINT64_C(1) << n);
	return &dir->slot[n];
}

static unsigned int idlest_channel(const struct cuda_direct *dir)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i < CHANNELS; i++)
		if (dir->channel[i].inflight < dir->channel[best].inflight)
			best = i;
	return best;
}

static CUdeviceptr place(struct cuda_direct *dir, const struct slot *slot,
			 unsigned int i)
{
	const struct vgpu_engine_operand *op = &slot->job->operand[i];
	size_t at = staging_offset(dir, slot, i);

	if (op->region)
		return region_address(op, 0);
	if (i < 2)
		memcpy(dir->host + at, op->host, op->count * sizeof(float));
	return dir->mapped + at;
}

static void launch(struct cuda_engine *eng, struct slot *slot)
{
	struct cuda_direct *dir = eng->direct;
	const unsigned int n = slot_number(dir, slot);
	const struct cuda_add add = {
		.a = place(dir, slot, 0),
		.b = place(dir, slot, 1),
		.c = place(dir, slot, 2),
		.n = slot->job->operand[0].count,
		.host = true,
		.word = dir->mapped + n * sizeof(uint32_t),
		.counter = dir->counters + n * sizeof(uint32_t),
		.seq = ++slot->seq,
	};
	CUresult err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);

	if (err == CUDA_SUCCESS)
		err = cuda_vector_add(&eng->dev,
				      dir->channel[slot->channel].stream, &add);
	slot->failed = VGPU_RSP_OK;
	if (err != CUDA_SUCCESS)
		slot->failed = cuda_failed(eng, err);
}

/* A kernel across the bus reads whole lines; else it takes a quarter longer. */
static bool same_alignment(const struct vgpu_job *job)
{
	uintptr_t a = (uintptr_t)job->operand[0].host;
	uintptr_t b = (uintptr_t)job->operand[1].host;
	uintptr_t c = (uintptr_t)job->operand[2].host;

	return !((a - c) % 16) && !((b - c) % 16);
}

/* The most elements that are not worth a thread. */
static uint64_t most(const struct cuda_tune *t, const struct vgpu_job *job,
		     bool staged)
{
	if (staged)
		return t->inline_copy;
	if (t->zero_copy < UNALIGNED_MOST || same_alignment(job))
		return t->zero_copy;
	return UNALIGNED_MOST;
}

bool direct_begin(void *engine, struct vgpu_job *job, unsigned int behind,
		  uint32_t *note)
{
	struct cuda_engine *eng = engine;
	struct cuda_direct *dir = eng->direct;
	bool staged = !all_in_regions(job);
	struct slot *slot;

	if (job->kernel != VGPU_KERNEL_VECTOR_ADD || atomic_load(&eng->lost))
		return false;
	if (job->operand[0].count > most(&eng->tune, job, staged))
		return false;
	if (behind && (staged || *note & NOTE_STAGED))
		return false;
	slot = slot_get(dir, staged);
	if (!slot)
		return false;
	slot->job = job;
	slot->staged = staged;
	slot->channel = behind ? *note & NOTE_CHANNEL : idlest_channel(dir);
	slot->start_ns = pool_now_ns();
	*note = slot->channel | (staged ? NOTE_STAGED : 0);
	dir->channel[slot->channel].inflight++;
	TAILQ_INSERT_TAIL(&dir->inflight, slot, entry);
	job->path = staged ? VGPU_PATH_STAGED_ZERO_COPY : VGPU_PATH_ZERO_COPY;
	launch(eng, slot);
	return true;
}

/* Acquires what the kernel wrote before its word. */
static bool word_written(const struct cuda_direct *dir, const struct slot *slot)
{
	return __atomic_load_n(slot_word(dir, slot), __ATOMIC_ACQUIRE) ==
	       slot->seq;
}

static bool is_over(const struct cuda_engine *eng, const struct slot *slot)
{
	return slot->failed || word_written(eng->direct, slot) ||
	       atomic_load(&eng->lost);
}

/* Does the GPU still answer? Not asked before the oldest job is old. */
static void ask(struct cuda_engine *eng)
{
	struct cuda_direct *dir = eng->direct;
	struct slot *oldest = TAILQ_FIRST(&dir->inflight);
	uint64_t now = pool_now_ns();
	CUresult err;

	if (atomic_load(&eng->lost) || now - oldest->start_ns < ASK_NS ||
	    now - dir->asked_ns < ASK_NS)
		return;
	dir->asked_ns = now;
	err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err == CUDA_SUCCESS)
		err = eng->dev.cu->cuStreamQuery(
			dir->channel[oldest->channel].stream);
	/* Short of memory is no answer: the kernel may still be at work. */
	if (err == CUDA_SUCCESS || err == CUDA_ERROR_NOT_READY ||
	    err == CUDA_ERROR_OUT_OF_MEMORY)
		return;
	oldest->failed = cuda_failed(eng, err);
}

bool direct_ready(void *engine)
{
	struct cuda_engine *eng = engine;
	struct slot *slot;

	if (TAILQ_EMPTY(&eng->direct->inflight))
		return false;
	ask(eng);
	TAILQ_FOREACH(slot, &eng->direct->inflight, entry)
		if (pool_may_end(slot->job) && is_over(eng, slot))
			return true;
	return false;
}

static void end_job(struct cuda_engine *eng, struct slot *slot,
		    struct pool *pool)
{
	struct cuda_direct *dir = eng->direct;
	struct channel *channel = &dir->channel[slot->channel];
	const struct vgpu_engine_operand *out = &slot->job->operand[2];
	uint64_t now = pool_now_ns(), start = slot->start_ns;

	if (slot->failed)
		slot->job->status = slot->failed;
	else if (!word_written(dir, slot))
		slot->job->status = VGPU_RSP_DEVICE_LOST;
	else if (!out->region)
		memcpy(out->host, dir->host + staging_offset(dir, slot, 2),
		       out->count * sizeof(float));
	/* Behind another job it was not busy before that one's end. */
	if (start < channel->last_end_ns)
		start = channel->last_end_ns;
	slot->job->time_ns = now > start ? now - start : 1;
	channel->last_end_ns = now;
	channel->inflight--;
	TAILQ_REMOVE(&dir->inflight, slot, entry);
	dir->free_slots |= UINT64_C(1) << slot_number(dir, slot);
	pool_end(pool, slot->job);
}

void direct_collect(void *engine, struct pool *pool)
{
	struct cuda_engine *eng = engine;
	struct slot *slot, *next;

	ask(eng);
	for (slot = TAILQ_FIRST(&eng->direct->inflight); slot; slot = next) {
		/* What begins now is not over yet, or is seen next time. */
		next = TAILQ_NEXT(slot, entry);
		if (pool_may_end(slot->job) && is_over(eng, slot))
			end_job(eng, slot, pool);
	}
}

static CUresult open_memory(const struct cuda_driver *cu,
			    struct cuda_direct *dir, const char **call)
{
	static const uint32_t zeros[SLOTS];
	void *host = NULL;
	CUresult err;

	*call = "cuMemHostAlloc";
	err = cu->cuMemHostAlloc(&host, WORDS_BYTES + STAGED_SLOTS * SLOT_BYTES,
				 CU_MEMHOSTALLOC_DEVICEMAP);
	if (err != CUDA_SUCCESS)
		return err;
	dir->host = host;
	memset(host, 0, WORDS_BYTES);
	*call = "cuMemHostGetDevicePointer";
	err = cu->cuMemHostGetDevicePointer(&dir->mapped, host, 0);
	if (err != CUDA_SUCCESS)
		return err;
	*call = "cuMemAlloc";
	err = cu->cuMemAlloc(&dir->counters, sizeof(zeros));
	if (err != CUDA_SUCCESS)
		return err;
	*call = "cuMemcpyHtoD";
	return cu->cuMemcpyHtoD(dir->counters, zeros, sizeof(zeros));
}

int direct_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	const struct cuda_driver *cu = eng->dev.cu;
	struct cuda_direct *dir = calloc(1, sizeof(*dir));
	char reason[VGPU_ENGINE_WHY];
	const char *call;
	CUresult err;

	if (!dir) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	eng->direct = dir;
	dir->free_slots = UINT64_MAX;
	TAILQ_INIT(&dir->inflight);
	err = open_memory(cu, dir, &call);
	for (unsigned int i = 0; i < CHANNELS && err == CUDA_SUCCESS; i++) {
		call = "cuStreamCreate";
		err = cu->cuStreamCreate(&dir->channel[i].stream,
					 CU_STREAM_NON_BLOCKING);
	}
	if (err == CUDA_SUCCESS)
		return 0;
	cuda_why(cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "small jobs: %.240s", reason);
	return -1;
}

void direct_close(struct cuda_engine *eng)
{
	const struct cuda_driver *cu = eng->dev.cu;
	struct cuda_direct *dir = eng->direct;

	if (!dir)
		return;
	for (unsigned int i = 0; i < CHANNELS; i++)
		if (dir->channel[i].stream)
			cu->cuStreamDestroy(dir->channel[i].stream);
	if (dir->counters)
		cu->cuMemFree(dir->counters);
	if (dir->host)
		cu->cuMemFreeHost(dir->host);
}
