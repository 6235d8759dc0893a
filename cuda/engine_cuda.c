// SPDX-License-Identifier: MIT
/*
 * engine_cuda.c - the engine that runs the work on an NVIDIA GPU
 *
 * Owns the device behind the gate, a pool, and one lane for each of the pool's
 * threads: a CUDA stream with pinned staging memory of its own. part() runs on
 * the pool's threads, each on its own lane, so lanes need no locks; copying by
 * the CPU, both directions of the bus and the kernel overlap between lanes.
 *
 * Operands are ordinary host memory, which CUDA may not be able to pin, so the
 * CPU copies them through the staging memory:
 *
 *   a, b --CPU--> staging ==bus==> kernel ==bus==> staging --CPU--> c
 *
 * Small parts are added where they are: the kernel reads and writes the staging
 * memory across the bus (zero-copy), which saves three commands. Large parts
 * are copied to the GPU's memory and back by its copy engines, which use the
 * bus better when several lanes are at work. Another party may change operand
 * memory meanwhile: only data is ever read from it, once.
 *
 * After an error of the GPU its context is dead, and with it every other one
 * of this process. The engine says so with each job from then on, and never
 * waits for a GPU that has failed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda_device.h"
#include "pool.h"
#include "wire.h"

#define MAX_LANES	8
/* 4 MiB an operand at most. */
#define PART_MIN	65536
#define PART_MAX	1048576
/* Up to here, in elements, zero-copy is the faster way. */
#define ZERO_COPY_MAX	262144
#define PART_BYTES	(PART_MAX * sizeof(float))
#define LANE_BYTES	(VGPU_ENGINE_OPERANDS * PART_BYTES)

/* A wait that is over sooner is polled for, a longer one sleeps. */
#define POLL_NS		100000

struct lane {
	CUstream stream;
	CUevent done;
	unsigned char *host;		/* pinned staging: a, b, c */
	CUdeviceptr mapped;		/* the same memory, as the GPU sees it */
	CUdeviceptr mem;		/* as large, on the GPU */
};

struct cuda_engine {
	struct vgpu_engine base;
	struct cuda_device dev;
	struct pool *pool;
	unsigned int nr_lanes;
	struct lane lane[MAX_LANES];
	atomic_bool lost;
};

static struct cuda_engine *to_cuda(struct vgpu_engine *eng)
{
	return (struct cuda_engine *)eng;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Waits for the lane's event: polls first, since waking up takes longer. */
static CUresult lane_wait(const struct cuda_driver *cu, struct lane *lane)
{
	uint64_t end = now_ns() + POLL_NS;
	CUresult err;

	do {
		err = cu->cuEventQuery(lane->done);
		if (err != CUDA_ERROR_NOT_READY)
			return err;
	} while (now_ns() < end);
	return cu->cuEventSynchronize(lane->done);
}

/* Queues c = a + b from staging to staging memory, over the GPU's memory. */
static CUresult queue_copied(const struct cuda_device *d, struct lane *lane,
			     uint64_t count)
{
	const struct cuda_driver *cu = d->cu;
	size_t bytes = count * sizeof(float);
	CUresult err;

	err = cu->cuMemcpyHtoDAsync(lane->mem, lane->host, bytes, lane->stream);
	if (err == CUDA_SUCCESS)
		err = cu->cuMemcpyHtoDAsync(lane->mem + PART_BYTES,
					    lane->host + PART_BYTES, bytes,
					    lane->stream);
	if (err == CUDA_SUCCESS)
		err = cuda_vector_add(d, lane->stream, lane->mem,
				      lane->mem + PART_BYTES,
				      lane->mem + 2 * PART_BYTES, count);
	if (err == CUDA_SUCCESS)
		err = cu->cuMemcpyDtoHAsync(lane->host + 2 * PART_BYTES,
					    lane->mem + 2 * PART_BYTES, bytes,
					    lane->stream);
	return err;
}

/* c = a + b in the lane's staging memory; returns when it is there. */
static CUresult lane_vector_add(const struct cuda_device *d, struct lane *lane,
				uint64_t count)
{
	CUresult err;

	if (count <= ZERO_COPY_MAX)
		err = cuda_vector_add(d, lane->stream, lane->mapped,
				      lane->mapped + PART_BYTES,
				      lane->mapped + 2 * PART_BYTES, count);
	else
		err = queue_copied(d, lane, count);
	if (err == CUDA_SUCCESS)
		err = d->cu->cuEventRecord(lane->done, lane->stream);
	if (err == CUDA_SUCCESS)
		err = lane_wait(d->cu, lane);
	return err;
}

static uint16_t part(void *engine, unsigned int thread,
		     const struct vgpu_job *job, uint64_t first, uint64_t count)
{
	struct cuda_engine *eng = engine;
	struct lane *lane = &eng->lane[thread];
	const struct vgpu_engine_operand *op = job->operand;
	size_t bytes = count * sizeof(float);
	CUresult err;

	if (atomic_load(&eng->lost))
		return VGPU_RSP_DEVICE_LOST;
	memcpy(lane->host, (const float *)op[0].host + first, bytes);
	memcpy(lane->host + PART_BYTES, (const float *)op[1].host + first,
	       bytes);
	err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err == CUDA_SUCCESS)
		err = lane_vector_add(&eng->dev, lane, count);
	if (err != CUDA_SUCCESS) {
		if (err != CUDA_ERROR_OUT_OF_MEMORY)
			atomic_store(&eng->lost, true);
		return cuda_status(err);
	}
	memcpy((float *)op[2].host + first, lane->host + 2 * PART_BYTES, bytes);
	return VGPU_RSP_OK;
}

static const struct pool_ops cuda_pool_ops = {
	.part = part,
	.part_min = PART_MIN,
	.part_max = PART_MAX,
	.path = VGPU_PATH_STAGED_PIPELINED,
};

/* The context is current. */
static int lane_open(struct cuda_engine *eng, struct lane *lane,
		     char why[VGPU_ENGINE_WHY])
{
	const struct cuda_driver *cu = eng->dev.cu;
	const char *call = "cuStreamCreate";
	char reason[VGPU_ENGINE_WHY];
	void *host = NULL;
	CUresult err;

	err = cu->cuStreamCreate(&lane->stream, CU_STREAM_NON_BLOCKING);
	if (err == CUDA_SUCCESS) {
		call = "cuEventCreate";
		err = cu->cuEventCreate(&lane->done, CU_EVENT_BLOCKING_SYNC |
						     CU_EVENT_DISABLE_TIMING);
	}
	if (err == CUDA_SUCCESS) {
		call = "cuMemHostAlloc";
		err = cu->cuMemHostAlloc(&host, LANE_BYTES,
					 CU_MEMHOSTALLOC_DEVICEMAP);
		lane->host = host;
	}
	if (err == CUDA_SUCCESS) {
		call = "cuMemHostGetDevicePointer";
		err = cu->cuMemHostGetDevicePointer(&lane->mapped, host, 0);
	}
	if (err == CUDA_SUCCESS) {
		call = "cuMemAlloc";
		err = cu->cuMemAlloc(&lane->mem, LANE_BYTES);
	}
	if (err == CUDA_SUCCESS)
		return 0;
	cuda_why(cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "staging: %.240s", reason);
	return -1;
}

/* The context is current, and the lane's stream has nothing to do. */
static void lane_close(const struct cuda_driver *cu, struct lane *lane)
{
	if (lane->mem)
		cu->cuMemFree(lane->mem);
	if (lane->host)
		cu->cuMemFreeHost(lane->host);
	if (lane->done)
		cu->cuEventDestroy(lane->done);
	if (lane->stream)
		cu->cuStreamDestroy(lane->stream);
}

static int open_lanes(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	CUcontext popped;
	CUresult err = eng->dev.cu->cuCtxPushCurrent(eng->dev.ctx);
	int failed = 0;

	if (err != CUDA_SUCCESS) {
		cuda_why(eng->dev.cu, why, "cuCtxPushCurrent", err);
		return -1;
	}
	/* The CPU's copies need several threads to keep up with the bus. */
	eng->nr_lanes = pool_processors(MAX_LANES);
	if (eng->nr_lanes < 2)
		eng->nr_lanes = 2;
	for (unsigned int i = 0; i < eng->nr_lanes && !failed; i++)
		failed = lane_open(eng, &eng->lane[i], why);
	eng->dev.cu->cuCtxPopCurrent(&popped);
	return failed;
}

/* Takes back whatever of the engine was made. */
static void cuda_close(struct vgpu_engine *base)
{
	struct cuda_engine *eng = to_cuda(base);
	CUcontext popped;

	if (eng->pool)
		pool_destroy(eng->pool);
	/* A lost device refuses these calls, and has nothing left to free. */
	if (eng->dev.cu->cuCtxPushCurrent(eng->dev.ctx) == CUDA_SUCCESS) {
		for (unsigned int i = 0; i < eng->nr_lanes; i++)
			lane_close(eng->dev.cu, &eng->lane[i]);
		eng->dev.cu->cuCtxPopCurrent(&popped);
	}
	cuda_device_close(&eng->dev);
	free(eng);
}

static struct vgpu_engine *cuda_open(const struct vgpu_engine_config *cfg,
				     char why[VGPU_ENGINE_WHY])
{
	struct cuda_engine *eng = calloc(1, sizeof(*eng));

	if (!eng) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return NULL;
	}
	eng->base.ops = &vgpu_engine_cuda;
	if (cuda_device_open(&eng->dev, cfg->gpu, NULL, why)) {
		free(eng);
		return NULL;
	}
	if (open_lanes(eng, why)) {
		cuda_close(&eng->base);
		return NULL;
	}
	eng->pool = pool_create(&cuda_pool_ops, eng, eng->nr_lanes);
	if (!eng->pool) {
		snprintf(why, VGPU_ENGINE_WHY, "cannot start %u threads: %s",
			 eng->nr_lanes, strerror(errno));
		cuda_close(&eng->base);
		return NULL;
	}
	return &eng->base;
}

static void cuda_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *out)
{
	*out = to_cuda(eng)->dev.facts;
}

static void cuda_info(struct vgpu_engine *base, struct vgpu_engine_info *out)
{
	struct cuda_engine *eng = to_cuda(base);

	memset(out, 0, sizeof(*out));
	out->mem_total = eng->dev.facts.memory;
	if (eng->dev.nvml)
		nvml_info(eng->dev.nvml, out);
}

static struct vgpu_engine_stream *cuda_stream_create(struct vgpu_engine *eng)
{
	return pool_stream_create(to_cuda(eng)->pool);
}

static void cuda_stream_destroy(struct vgpu_engine *eng,
				struct vgpu_engine_stream *stream)
{
	pool_stream_destroy(to_cuda(eng)->pool, stream);
}

/*  */
static bool cuda_region_test(struct vgpu_engine *eng, void *base, size_t bytes,
			    char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	memset(base, 0, bytes);
	snprintf(why, VGPU_ENGINE_WHY, "not yet");
	return false;
}

static struct vgpu_engine_region *cuda_region_add(struct vgpu_engine *eng,
						 void *base, size_t bytes,
						 bool read_only)
{
	(void)eng;
	(void)base;
	(void)bytes;
	(void)read_only;
	return NULL;
}

static void cuda_region_remove(struct vgpu_engine *eng,
			      struct vgpu_engine_region *region)
{
	(void)eng;
	(void)region;
}

static void cuda_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	pool_submit(to_cuda(eng)->pool, job);
}

static struct vgpu_job *cuda_reap(struct vgpu_engine *eng)
{
	return pool_reap(to_cuda(eng)->pool);
}

static bool cuda_arm(struct vgpu_engine *eng)
{
	return pool_arm(to_cuda(eng)->pool);
}

static int cuda_fd(struct vgpu_engine *eng)
{
	return pool_fd(to_cuda(eng)->pool);
}

const struct vgpu_engine_ops vgpu_engine_cuda = {
	.name = "cuda",
	.open = cuda_open,
	.close = cuda_close,
	.facts = cuda_facts,
	.info = cuda_info,
	.stream_create = cuda_stream_create,
	.stream_destroy = cuda_stream_destroy,
	.submit = cuda_submit,
	.region_test = cuda_region_test,
	.region_add = cuda_region_add,
	.region_remove = cuda_region_remove,
	.reap = cuda_reap,
	.arm = cuda_arm,
	.fd = cuda_fd,
};
