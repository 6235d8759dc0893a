// SPDX-License-Identifier: MIT
/*
 * engine_cuda.c - the engine that runs the work on an NVIDIA GPU
 *
 * Owns the device behind the gate, the pool, and what the other files of the
 * engine hold for it (engine_cuda.h says which way a job takes). All of this
 * file runs on the caller's thread but cuda_failed().
 *
 * After an error of the GPU its context is dead, and with it every other one
 * of this process. The engine says so with each job from then on, and never
 * waits for a GPU that has failed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_cuda.h"

static struct cuda_engine *to_cuda(struct vgpu_engine *eng)
{
	return (struct cuda_engine *)eng;
}

uint16_t cuda_failed(struct cuda_engine *eng, CUresult err)
{
	uint16_t status = cuda_status(err);
	unsigned int nobody = 0;

	if (err == CUDA_ERROR_OUT_OF_MEMORY)
		return status;
	if (atomic_load(&eng->fault_made)) {
		status = VGPU_RSP_DEVICE_LOST;
	} else if (status == VGPU_RSP_FAULT && atomic_load(&eng->launches)) {
		/* Kernels of ours do not fault. */
		if (!atomic_load(&eng->lost))
			atomic_compare_exchange_strong(&eng->blame, &nobody,
						       status);
		status = VGPU_RSP_DEVICE_LOST;
	}
	/* The context dies once: what others meet after that is its end. */
	return atomic_exchange(&eng->lost, true) ? VGPU_RSP_DEVICE_LOST :
						   status;
}

/* The context is current. */
static void close_ways(struct cuda_engine *eng)
{
	direct_close(eng);
	lanes_close(eng);
	queues_close(eng);
	memory_close(eng);
}

/* Takes back whatever of the engine was made. */
static void cuda_close(struct vgpu_engine *base)
{
	struct cuda_engine *eng = to_cuda(base);
	CUcontext popped;
	bool current;

	/*
	 * A kernel still runs: whoever asks the driver for anything back may wait
	 * for it for ever, and so may a thread of ours already. The end of the
	 * process ends it.
	 */
	if (atomic_load(&eng->stuck))
		return;
	watchdog_close(eng);
	if (eng->pool)
		pool_destroy(eng->pool);
	/* A lost device refuses these calls, and has nothing left to free. */
	current = eng->dev.cu->cuCtxPushCurrent(eng->dev.ctx) == CUDA_SUCCESS;
	blas_close(eng);
	modules_close(eng);
	if (current) {
		close_ways(eng);
		eng->dev.cu->cuCtxPopCurrent(&popped);
	}
	/* Not left current on the caller's thread either. */
	eng->dev.cu->cuCtxSetCurrent(NULL);
	cuda_device_close(&eng->dev);
	free(eng->queues);
	free(eng->direct);
	free(eng);
}

static int open_parts(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	if (modules_open(eng) || blas_init(eng)) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	return lanes_open(eng, why) || queues_open(eng, why) ||
	       direct_open(eng, why) || memory_open(eng, why);
}

static int open_ways(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	CUcontext popped;
	CUresult err = eng->dev.cu->cuCtxPushCurrent(eng->dev.ctx);
	int failed;

	if (err != CUDA_SUCCESS) {
		cuda_why(eng->dev.cu, why, "cuCtxPushCurrent", err);
		return -1;
	}
	failed = open_parts(eng, why);
	eng->dev.cu->cuCtxPopCurrent(&popped);
	if (failed)
		return -1;
	eng->pool = pool_create(&cuda_pool_ops, eng, eng->nr_lanes);
	if (eng->pool)
		errno = watchdog_open(eng);
	if (!eng->pool || errno) {
		snprintf(why, VGPU_ENGINE_WHY, "cannot start %u threads: %s",
			 eng->nr_lanes + 1, strerror(errno));
		return -1;
	}
	return 0;
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
	eng->max_job_ns = cfg->max_job_ns;
	if (cuda_device_open(&eng->dev, cfg->gpu, NULL, why)) {
		free(eng);
		return NULL;
	}
	if (open_ways(eng, why)) {
		cuda_close(&eng->base);
		return NULL;
	}
	tune(eng);
	if (atomic_load(&eng->lost)) {
		snprintf(why, VGPU_ENGINE_WHY,
			 "tuning: the GPU failed while its ways were measured");
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
	.region_test = region_test,
	.region_add = region_add,
	.region_remove = region_remove,
	.mem_free = memory_free,
	.module_unload = module_unload,
	.submit = cuda_submit,
	.reap = cuda_reap,
	.arm = cuda_arm,
	.fd = cuda_fd,
};
