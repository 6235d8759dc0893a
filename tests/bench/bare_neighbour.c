// SPDX-License-Identifier: MIT
/*
 * bare_neighbour.c - the peer of two guests: two processes on one GPU, by the
 * driver API and nothing between
 *
 * Nobody tells either of them to wait for the other: how the GPU is shared is the
 * driver's matter, or that of NVIDIA's Multi-Process Service where they are its
 * clients. Each has a context of its own and spins while it waits. Who adds does it
 * in pinned host memory and polls a word, the fastest way known for so few.
 */
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../cuda/cuda_driver.h"
#include "../native/mps.h"
#include "neighbour.h"

/* Rounds of a trial, and how many; before them, until the clocks are settled. */
#define TRIAL_ROUNDS 4096
#define TRIALS 50
#define SETTLE_TRIALS 1500

extern const unsigned char bare_kernels_fatbin[];

struct bare {
	const struct cuda_driver *cu;
	const uint32_t *rounds;
	CUfunction add, work;
	CUstream stream;
	CUdeviceptr counter;
	uint32_t launched;
	CUevent end[NEIGHBOUR_MAX_DEPTH];
	uint32_t first, last;
	float *host[3];
	CUdeviceptr gpu[3];
	volatile uint32_t *word;
	CUdeviceptr word_gpu;
	uint32_t seq;
	const char *call; /* the one that failed */
};

/* What the two processes and the director share. */
struct stage {
	struct player player[2];
	uint32_t rounds[NR_WORKS];
	_Atomic bool calibrated;
	char why[2][256];
};

static bool ok(struct bare *b, const char *call, CUresult err)
{
	if (err != CUDA_SUCCESS && !b->call)
		b->call = call;
	return err == CUDA_SUCCESS;
}

#define CU(b, fn, ...) ok(b, #fn, (b)->cu->fn(__VA_ARGS__))

static bool launch(struct bare *b, uint32_t rounds)
{
	void *args[] = {&b->counter, &rounds};

	b->launched++;
	return CU(b, cuLaunchKernel, b->work, NEIGHBOUR_BLOCKS, 1, 1,
		  NEIGHBOUR_THREADS, 1, 1, 0, b->stream, args, NULL);
}

static bool put(void *me, uint32_t kind)
{
	struct bare *b = me;

	return launch(b, b->rounds[kind]) &&
	       CU(b, cuEventRecord, b->end[b->last++ % NEIGHBOUR_MAX_DEPTH],
		  b->stream);
}

static bool take(void *me)
{
	struct bare *b = me;
	CUevent end = b->end[b->first++ % NEIGHBOUR_MAX_DEPTH];
	CUresult err;

	do
		err = b->cu->cuEventQuery(end);
	while (err == CUDA_ERROR_NOT_READY);
	return ok(b, "cuEventQuery", err);
}

static bool add(void *me)
{
	uint64_t n = NEIGHBOUR_ELEMENTS;
	struct bare *b = me;
	CUdeviceptr count = 0;
	void *args[] = {&b->gpu[0],   &b->gpu[1], &b->gpu[2], &n,
			&b->word_gpu, &b->seq,	  &count};
	uint32_t spins = 0;

	b->seq++;
	if (!CU(b, cuLaunchKernel, b->add, 1, 1, 1, NEIGHBOUR_ELEMENTS / 4, 1,
		1, 0, b->stream, args, NULL))
		return false;
	while (*b->word != b->seq)
		/* A kernel that failed never writes it. */
		if (++spins % (1u << 24) == 0 &&
		    !CU(b, cuStreamSynchronize, b->stream))
			return false;
	return true;
}

static bool pinned(struct bare *b, size_t bytes, void **host, CUdeviceptr *gpu)
{
	return CU(b, cuMemHostAlloc, host, bytes, CU_MEMHOSTALLOC_DEVICEMAP) &&
	       CU(b, cuMemHostGetDevicePointer, gpu, *host, 0);
}

static bool open_device(struct bare *b)
{
	CUmodule module;
	CUcontext ctx;
	CUdevice dev;
	void *host;

	if (!CU(b, cuInit, 0) || !CU(b, cuDeviceGet, &dev, 0) ||
	    !CU(b, cuDevicePrimaryCtxRetain, &ctx, dev) ||
	    !CU(b, cuCtxSetCurrent, ctx) ||
	    !CU(b, cuModuleLoadData, &module, bare_kernels_fatbin) ||
	    !CU(b, cuModuleGetFunction, &b->add, module, "bare_add") ||
	    !CU(b, cuModuleLoadData, &module, neighbour_ptx) ||
	    !CU(b, cuModuleGetFunction, &b->work, module, NEIGHBOUR_KERNEL) ||
	    !CU(b, cuStreamCreate, &b->stream, CU_STREAM_NON_BLOCKING) ||
	    !CU(b, cuMemAlloc, &b->counter, sizeof(b->launched)) ||
	    !CU(b, cuMemcpyHtoD, b->counter, &b->launched,
		sizeof(b->launched)) ||
	    !pinned(b, sizeof(*b->word), &host, &b->word_gpu))
		return false;
	b->word = host;
	*b->word = 0;
	for (int i = 0; i < 3; i++) {
		if (!pinned(b, NEIGHBOUR_ELEMENTS * sizeof(float), &host,
			    &b->gpu[i]))
			return false;
		b->host[i] = host;
	}
	bench_fill(b->host[0], b->host[1], b->host[2], NEIGHBOUR_ELEMENTS);
	for (int i = 0; i < NEIGHBOUR_MAX_DEPTH; i++)
		if (!CU(b, cuEventCreate, &b->end[i], CU_EVENT_DISABLE_TIMING))
			return false;
	return add(b);
}

static bool timed(struct bare *b, uint32_t rounds, uint32_t launches,
		  uint64_t *ns)
{
	uint64_t start = bench_now();

	while (launches--)
		if (!launch(b, rounds))
			return false;
	if (!CU(b, cuStreamSynchronize, b->stream))
		return false;
	*ns = bench_now() - start;
	return true;
}

/*
 * One launch and one round have a price each: what it is, is seen from kernels of
 * two lengths, back to back.
 */
static bool calibrate(struct bare *b, uint32_t rounds[NR_WORKS])
{
	uint64_t one, two;
	double round;

	if (!timed(b, TRIAL_ROUNDS, SETTLE_TRIALS, &one) ||
	    !timed(b, TRIAL_ROUNDS, TRIALS, &one) ||
	    !timed(b, 2 * TRIAL_ROUNDS, TRIALS, &two) || two <= one)
		return ok(b, "timing a kernel", CUDA_ERROR_UNKNOWN);
	round = (double)(two - one) / TRIALS / TRIAL_ROUNDS;
	for (int kind = 0; kind < NR_WORKS; kind++)
		rounds[kind] = neighbour_kinds[kind].ns / round;
	return rounds[WORK_SHORT] ||
	       ok(b, "a kernel of 20 us", CUDA_ERROR_UNKNOWN);
}

/* No kernel was lost, no sum is wrong. */
static bool right(struct bare *b)
{
	uint32_t is = 0;

	return CU(b, cuMemcpyDtoH, &is, b->counter, sizeof(is)) &&
	       ok(b, "counting the kernels",
		  is == b->launched ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN) &&
	       ok(b, "comparing the sums",
		  bench_check(b->host[2], NEIGHBOUR_ELEMENTS) ?
			  CUDA_SUCCESS :
			  CUDA_ERROR_UNKNOWN);
}

static const struct player_ops ops = {put, take, add};

static bool play(struct stage *st, int who)
{
	struct bare b = {.rounds = st->rounds};
	bool done;

	b.cu = cuda_driver(st->why[who]);
	if (!b.cu)
		return false;
	done = open_device(&b);
	/* One at a time: the first measures while the other does nothing. */
	if (done && !who && !st->rounds[0])
		done = calibrate(&b, st->rounds);
	if (done && !who)
		st->calibrated = true;
	if (done)
		player_run(&st->player[who], &ops, &b);
	done = done && !st->player[who].broken && right(&b);
	if (!done)
		snprintf(st->why[who], sizeof(st->why[who]), "%s failed",
			 b.call ? b.call : "bare CUDA");
	return done;
}

static pid_t start(struct stage *st, int who)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom(who);
	if (play(st, who))
		_exit(0);
	st->player[who].broken = true;
	_exit(1);
}

static bool direct(struct play *p, const struct stage *st)
{
	while (!st->calibrated && !p->player[0]->broken)
		usleep(1000);
	return play_alone(p) && play_adds(p) &&
	       play_both(p, WORK_SHORT, 1, 1) && play_both(p, WORK_LONG, 1, 1);
}

static bool bare(struct results *r, const struct bench_plan *plan,
		 const char *mode, char why[256])
{
	struct stage *st = mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct play p = {
		.r = r,
		.plan = plan,
		.section = SECTION_BARE_NEIGHBOUR,
		.mode = mode,
		.how = "",
	};
	int status = -1;
	pid_t pid[2];
	bool done;

	if (st == MAP_FAILED)
		return false;
	memcpy(st->rounds, r->rounds, sizeof(st->rounds));
	for (int i = 0; i < 2; i++) {
		p.player[i] = &st->player[i];
		pid[i] = start(st, i);
	}
	done = pid[0] > 0 && pid[1] > 0 && direct(&p, st);
	play_end(&p);
	for (int i = 0; i < 2; i++) {
		if (pid[i] <= 0 || waitpid(pid[i], &status, 0) != pid[i] ||
		    status)
			done = false;
		if (*st->why[i])
			snprintf(why, 256, "%s", st->why[i]);
	}
	memcpy(r->rounds, st->rounds, sizeof(st->rounds));
	munmap(st, sizeof(*st));
	return done;
}

bool bare_neighbours(struct results *r, const struct bench_plan *plan,
		     char why[256])
{
	mps_never();
	return bare(r, plan, "", why);
}

/* The daemon runs, and the environment leads to it. */
bool bare_neighbours_mps(struct results *r, const struct bench_plan *plan,
			 char why[256])
{
	return bare(r, plan, NEIGHBOUR_MPS, why);
}
