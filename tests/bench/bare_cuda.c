// SPDX-License-Identifier: MIT
/*
 * bare_cuda.c - the peer on a GPU: the driver API and nothing between
 *
 * Operands and result lie in pinned host memory, as they do for a guest. Every
 * way known to be good for some size is tried at each, and the fastest is
 * measured: the kernel on host memory across the bus (zero-copy), with the CPU
 * polling a word or the stream; or copy engines both ways beside the kernel, in
 * chunks on three streams (pipelined). Runs in a process of its own (peer.h).
 */
#include "peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cuda/cuda_driver.h"

#define STREAMS 3
#define MAX_CHUNK (16u << 20)
/* Of a block; of one that is alone. */
#define THREADS 256
#define MAX_THREADS 1024

/* Beyond what the product's engine asks of the driver. */
#define MORE_CALLS(X)                                                          \
	X(cuDevicePrimaryCtxSetFlags)                                          \
	X(cuMemHostRegister)

/* One place for a, b and c, of max_elements each. */
struct place {
	float *host[3];
	CUdeviceptr gpu[3];
};

struct bare {
	const struct cuda_driver *cu;
#define MORE_MEMBER(fn) __typeof__(fn) *fn;
	MORE_CALLS(MORE_MEMBER)
#undef MORE_MEMBER
	CUfunction add, persistent;
	CUstream stream[STREAMS];
	CUdeviceptr chunk[STREAMS]; /* a, b, c of MAX_CHUNK octets each */
	CUdeviceptr count;
	volatile uint32_t *word; /* pinned; [16] is another line */
	CUdeviceptr word_gpu;
	uint32_t seq;
	struct place place;
	const char *call; /* the one that failed */
};

struct variant {
	const char *name;
	bool (*run)(struct bare *b, const struct place *p, uint32_t n,
		    uint32_t param);
	uint32_t param; /* blocks at most, or octets of a chunk */
	uint32_t min;	/* elements */
};

extern const unsigned char bare_kernels_fatbin[];

static bool ok(struct bare *b, const char *call, CUresult err)
{
	if (err != CUDA_SUCCESS && !b->call)
		b->call = call;
	return err == CUDA_SUCCESS;
}

#define CU(b, fn, ...) ok(b, #fn, (b)->cu->fn(__VA_ARGS__))

static bool launch(struct bare *b, CUstream stream, const CUdeviceptr ptr[3],
		   uint64_t n, uint32_t blocks, CUdeviceptr word)
{
	uint32_t threads = blocks == 1 ? MAX_THREADS : THREADS;
	uint32_t need = (n / 4 + threads - 1) / threads;
	void *args[] = {(void *)&ptr[0], (void *)&ptr[1], (void *)&ptr[2], &n,
			&word,		 &b->seq,	  &b->count};

	if (n / 4 < threads)
		threads = (n / 4 + 31) / 32 * 32;
	return CU(b, cuLaunchKernel, b->add, need < blocks ? need : blocks, 1,
		  1, threads, 1, 1, 0, stream, args, NULL);
}

static bool zero_copy_word(struct bare *b, const struct place *p, uint32_t n,
			   uint32_t blocks)
{
	uint32_t spins = 0;

	b->seq++;
	if (!launch(b, b->stream[0], p->gpu, n, blocks, b->word_gpu))
		return false;
	while (*b->word != b->seq)
		/* A kernel that failed never writes it. */
		if (++spins % (1u << 24) == 0 &&
		    !CU(b, cuStreamSynchronize, b->stream[0]))
			return false;
	return true;
}

static bool zero_copy_sync(struct bare *b, const struct place *p, uint32_t n,
			   uint32_t blocks)
{
	return launch(b, b->stream[0], p->gpu, n, blocks, 0) &&
	       CU(b, cuStreamSynchronize, b->stream[0]);
}

/* One chunk at byte `at` of the operands, all of it on one stream. */
static bool queue_chunk(struct bare *b, unsigned int s, const struct place *p,
			size_t at, size_t bytes)
{
	const CUdeviceptr ptr[3] = {b->chunk[s], b->chunk[s] + MAX_CHUNK,
				    b->chunk[s] + 2 * MAX_CHUNK};

	return CU(b, cuMemcpyHtoDAsync, ptr[0], (char *)p->host[0] + at, bytes,
		  b->stream[s]) &&
	       CU(b, cuMemcpyHtoDAsync, ptr[1], (char *)p->host[1] + at, bytes,
		  b->stream[s]) &&
	       launch(b, b->stream[s], ptr, bytes / sizeof(float), 528, 0) &&
	       CU(b, cuMemcpyDtoHAsync, (char *)p->host[2] + at, ptr[2], bytes,
		  b->stream[s]);
}

/*
 * Chunks of that size; towards the end a part of what is left, but no less than
 * `least`: when the last one has come in, little is left to go out.
 */
static bool queue_chunks(struct bare *b, const struct place *p, uint32_t n,
			 uint32_t chunk, uint32_t least)
{
	size_t left, bytes = (size_t)n * sizeof(float);
	unsigned int s = 0;

	for (size_t at = 0; at < bytes; at += chunk) {
		left = bytes - at;
		while (chunk > least && chunk > left / 2)
			chunk /= 2;
		if (!queue_chunk(b, s, p, at, left < chunk ? left : chunk))
			return false;
		s = (s + 1) % STREAMS;
	}
	for (s = 0; s < STREAMS; s++)
		if (!CU(b, cuStreamSynchronize, b->stream[s]))
			return false;
	return true;
}

static bool pipelined(struct bare *b, const struct place *p, uint32_t n,
		      uint32_t chunk)
{
	return queue_chunks(b, p, n, chunk, chunk);
}

static bool tapered(struct bare *b, const struct place *p, uint32_t n,
		    uint32_t chunk)
{
	return queue_chunks(b, p, n, chunk, 1 << 20);
}

static const struct variant variants[] = {
	{"zero-copy, polled word, 1 block", zero_copy_word, 1, 0},
	{"zero-copy, polled word, 16 blocks", zero_copy_word, 16, 1 << 12},
	{"zero-copy, polled word, 64 blocks", zero_copy_word, 64, 1 << 14},
	{"zero-copy, polled word, 132 blocks", zero_copy_word, 132, 1 << 16},
	{"zero-copy, stream sync, 1 block", zero_copy_sync, 1, 0},
	{"zero-copy, stream sync, 16 blocks", zero_copy_sync, 16, 1 << 12},
	{"zero-copy, stream sync, 132 blocks", zero_copy_sync, 132, 1 << 16},
	{"pipelined, 1 MiB chunks", pipelined, 1 << 20, 1 << 18},
	{"pipelined, 2 MiB chunks", pipelined, 2 << 20, 1 << 20},
	{"pipelined, 4 MiB chunks", pipelined, 4 << 20, 1 << 20},
	{"pipelined, 8 MiB chunks", pipelined, 8 << 20, 4 << 20},
	{"pipelined, 16 MiB chunks", pipelined, 16 << 20, 4 << 20},
	{"pipelined, 8 ... 1 MiB chunks", tapered, 8 << 20, 4 << 20},
	{"pipelined, 16 ... 1 MiB chunks", tapered, 16 << 20, 4 << 20},
};

#define NR_VARIANTS (sizeof(variants) / sizeof(variants[0]))

static bool open_device(struct bare *b, struct results *r, char why[256])
{
	CUcontext ctx;
	CUdevice dev;
	void *lib;

	b->cu = cuda_driver(why);
	if (!b->cu)
		return false;
	lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
#define STR_OF(fn) #fn
#define STR(fn) STR_OF(fn)
#define LOOK_UP(fn) b->fn = (__typeof__(b->fn))dlsym(lib, STR(fn));
	MORE_CALLS(LOOK_UP)
#undef LOOK_UP
	if (!b->cuDevicePrimaryCtxSetFlags || !b->cuMemHostRegister) {
		snprintf(why, 256, "the NVIDIA driver is too old");
		return false;
	}
	if (CU(b, cuInit, 0) && CU(b, cuDeviceGet, &dev, 0) &&
	    ok(b, "cuDevicePrimaryCtxSetFlags",
	       b->cuDevicePrimaryCtxSetFlags(dev, CU_CTX_SCHED_SPIN)) &&
	    CU(b, cuDevicePrimaryCtxRetain, &ctx, dev) &&
	    CU(b, cuCtxSetCurrent, ctx) &&
	    CU(b, cuDeviceGetName, r->gpu, sizeof(r->gpu), dev))
		return true;
	snprintf(why, 256, "%s failed", b->call);
	return false;
}

static bool pin_place(struct bare *b, struct place *p, size_t bytes)
{
	for (int i = 0; i < 3; i++) {
		void *at;

		if (!CU(b, cuMemHostAlloc, &at, bytes,
			CU_MEMHOSTALLOC_DEVICEMAP) ||
		    !CU(b, cuMemHostGetDevicePointer, &p->gpu[i], at, 0))
			return false;
		p->host[i] = at;
	}
	return true;
}

/* Memory as a guest's is here: a file's pages of 4 KiB, pinned afterwards. */
static bool register_place(struct bare *b, struct place *p, size_t bytes)
{
	int fd = memfd_create("bare", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 3 * bytes))
		return ok(b, "memfd_create", CUDA_ERROR_OUT_OF_MEMORY);
	for (int i = 0; i < 3; i++) {
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, fd, i * bytes);

		if (at == MAP_FAILED)
			return ok(b, "mmap", CUDA_ERROR_OUT_OF_MEMORY);
		if (!ok(b, "cuMemHostRegister",
			b->cuMemHostRegister(at, bytes,
					     CU_MEMHOSTREGISTER_DEVICEMAP)) ||
		    !CU(b, cuMemHostGetDevicePointer, &p->gpu[i], at, 0))
			return false;
		p->host[i] = at;
	}
	close(fd);
	return true;
}

static bool prepare(struct bare *b, size_t bytes)
{
	CUmodule module;
	void *word;

	if (!CU(b, cuModuleLoadData, &module, bare_kernels_fatbin) ||
	    !CU(b, cuModuleGetFunction, &b->add, module, "bare_add") ||
	    !CU(b, cuModuleGetFunction, &b->persistent, module,
		"bare_persistent") ||
	    !CU(b, cuMemHostAlloc, &word, 4096, CU_MEMHOSTALLOC_DEVICEMAP) ||
	    !CU(b, cuMemHostGetDevicePointer, &b->word_gpu, word, 0) ||
	    !CU(b, cuMemAlloc, &b->count, sizeof(uint32_t)))
		return false;
	memset(word, 0, 4096);
	b->word = word;
	/* The count starts at 0. */
	if (!CU(b, cuMemcpyHtoD, b->count, word, sizeof(uint32_t)))
		return false;
	for (int i = 0; i < STREAMS; i++)
		if (!CU(b, cuStreamCreate, &b->stream[i],
			CU_STREAM_NON_BLOCKING) ||
		    !CU(b, cuMemAlloc, &b->chunk[i], 3 * MAX_CHUNK))
			return false;
	return pin_place(b, &b->place, bytes);
}

/* ops 0: as many as the plan wants. */
static bool measure(struct bare *b, const struct bench_plan *plan,
		    struct samples *s, const struct variant *v,
		    const struct place *p, uint32_t n, uint32_t ops)
{
	uint64_t last, now;

	for (int i = 0; i < 5; i++)
		if (!v->run(b, p, n, v->param))
			return false;
	samples_begin(s, plan->small_ops);
	last = bench_now();
	while (ops ? s->n < ops : samples_more(s, plan, n)) {
		if (!v->run(b, p, n, v->param))
			return false;
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static const struct variant *fastest(struct bare *b,
				     const struct bench_plan *plan,
				     struct samples *s, uint32_t n)
{
	uint32_t ops =
		n <= BENCH_SMALL ? 10 * plan->trial_ops : plan->trial_ops;
	const struct variant *best = NULL;
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < NR_VARIANTS; i++) {
		const struct variant *v = &variants[i];

		if (n < v->min)
			continue;
		if (!measure(b, plan, s, v, &b->place, n, ops))
			return NULL;
		qsort(s->ns, s->n, sizeof(*s->ns), by_time);
		if (s->ns[s->n / 2] >= least)
			continue;
		least = s->ns[s->n / 2];
		best = v;
	}
	return best;
}

static struct row *add_row(struct results *r, enum bench_section section,
			   const char *name, struct samples *s,
			   const char *variant, const struct place *p,
			   uint32_t n)
{
	struct row *row = results_row(r, section, name, s);

	row->elements = n;
	row->right = bench_check(p->host[2], n);
	snprintf(row->engine, sizeof(row->engine), "cuda");
	snprintf(row->variant, sizeof(row->variant), "%s", variant);
	return row;
}

static bool one_size(struct bare *b, struct results *r,
		     const struct bench_plan *plan, struct samples *s,
		     uint32_t n, const struct place *other)
{
	const struct place *p = &b->place;
	const struct variant *best;

	bench_fill(p->host[0], p->host[1], p->host[2], n);
	best = fastest(b, plan, s, n);
	if (!best || !measure(b, plan, s, best, p, n, 0))
		return false;
	if (!add_row(r, SECTION_BARE, "bare", s, best->name, p, n)->right)
		return ok(b, "comparing the sums", CUDA_ERROR_UNKNOWN);

	bench_fill(other->host[0], other->host[1], other->host[2], n);
	if (!measure(b, plan, s, best, other, n, 0))
		return false;
	return add_row(r, SECTION_REFERENCE, "bare, registered 4 KiB pages", s,
		       best->name, other, n)
		       ->right ||
	       ok(b, "comparing the sums", CUDA_ERROR_UNKNOWN);
}

static void ask_persistent(struct bare *b)
{
	b->word[0] = ++b->seq;
	while (b->word[16] != b->seq)
		;
}

/* It holds a multiprocessor for as long as it waits for work. */
static bool persistent(struct bare *b, struct results *r,
		       const struct bench_plan *plan, struct samples *s)
{
	const struct place *p = &b->place;
	CUdeviceptr answer = b->word_gpu + 16 * sizeof(*b->word);
	uint32_t n = bench_sizes[0];
	void *args[] = {(void *)&p->gpu[0], (void *)&p->gpu[1],
			(void *)&p->gpu[2], &n,
			&b->word_gpu,	    &answer};
	uint64_t last, now;

	bench_fill(p->host[0], p->host[1], p->host[2], n);
	b->seq = 1;
	b->word[0] = b->word[16] = 0;
	if (!CU(b, cuLaunchKernel, b->persistent, 1, 1, 1, THREADS, 1, 1, 0,
		b->stream[0], args, NULL))
		return false;
	for (int i = 0; i < 100; i++)
		ask_persistent(b);
	samples_begin(s, plan->small_ops);
	last = bench_now();
	while (samples_more(s, plan, n)) {
		ask_persistent(b);
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	b->word[0] = 0;
	if (!CU(b, cuStreamSynchronize, b->stream[0]))
		return false;
	return add_row(r, SECTION_REFERENCE, "bare, persistent kernel", s,
		       "mailbox; holds a multiprocessor", p, n)
		->right;
}

bool bare_cuda(struct results *r, const struct bench_plan *plan, char why[256])
{
	size_t bytes = (size_t)plan->max_elements * sizeof(float);
	struct bare b = {0};
	struct samples s = {0};
	struct place registered;
	bool done;

	if (!open_device(&b, r, why))
		return false;
	done = prepare(&b, bytes) && register_place(&b, &registered, bytes);
	for (unsigned int i = 0; i < bench_nr_sizes && done; i++)
		if (bench_sizes[i] <= plan->max_elements)
			done = one_size(&b, r, plan, &s, bench_sizes[i],
					&registered);
	done = done && persistent(&b, r, plan, &s);
	if (!done)
		snprintf(why, 256, "%s failed", b.call ? b.call : "bare CUDA");
	/* Pages, streams and context go with the process. */
	return done;
}
