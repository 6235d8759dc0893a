/* SPDX-License-Identifier: MIT */
/*
 * engine_cuda.h - what the files of the cuda engine share
 *
 * A job's data takes one of these ways (enum vgpu_path):
 *
 *   direct  cuda_direct.c  begun and ended on the caller's thread: a kernel on
 *                          the operands where they are, or on copies of small
 *                          ones in pinned memory; the end is a word in memory
 *   lanes   cuda_lane.c    large jobs, part by part on the pool's threads, by
 *                          copy engines; and large operands in no region
 *
 * Which one: eng->tune, measured by cuda_tune.c when the engine is opened.
 */
#ifndef VGPU_ENGINE_CUDA_H
#define VGPU_ENGINE_CUDA_H

#include <stdatomic.h>

#include "cuda_device.h"
#include "pool.h"
#include "wire.h"

#define MAX_LANES	12
/* Threads that keep the copy engines busy, without copies by the CPU. */
#define COPY_LANES	4

struct cuda_direct;

/* Owned by cuda_lane.c. Sizes in elements of an operand. */
struct lane {
	CUstream stream;
	CUevent done;
	unsigned char *host;		/* pinned staging: a, b, c */
	CUdeviceptr mapped;		/* the same memory, as the GPU sees it */
	uint64_t host_size;
	CUdeviceptr mem;		/* a, b, c on the GPU; 0: none */
	bool grown, mem_tried;		/* asked for more, had or not */
};

/* In elements: the largest job that ... */
struct cuda_tune {
	uint64_t zero_copy;	/* one kernel does across the bus, in place */
	uint64_t inline_copy;	/* the caller's thread copies */
};

struct cuda_engine {
	struct vgpu_engine base;
	struct cuda_device dev;
	struct pool *pool;
	unsigned int nr_lanes;
	struct lane lane[MAX_LANES];
	struct cuda_direct *direct;
	struct cuda_tune tune;		/* the caller's thread */
	bool no_regions;		/* a region_test() failed */
	atomic_bool lost;
	atomic_bool fault_made;		/* by a job that asked for it */
};

/* Host memory that the GPU reaches in place. */
struct vgpu_engine_region {
	unsigned char *base;
	size_t bytes;
	CUdeviceptr mapped;
	bool read_only;
};

/*
 * Notes an error of the GPU: unless it is only memory that was short, the
 * context is dead. Returns what the job that met it ends with. Any thread.
 */
uint16_t cuda_failed(struct cuda_engine *eng, CUresult err);

/* Where the GPU finds element `first` of an operand in a region. */
static inline CUdeviceptr region_address(const struct vgpu_engine_operand *op,
					 uint64_t first)
{
	return op->region->mapped +
	       (CUdeviceptr)((unsigned char *)op->host - op->region->base) +
	       first * sizeof(float);
}

static inline bool all_in_regions(const struct vgpu_job *job)
{
	return job->operand[0].region && job->operand[1].region &&
	       job->operand[2].region;
}

/* cuda_lane.c. The context is current for open and close. */
int lanes_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void lanes_close(struct cuda_engine *eng);
uint16_t lane_part(void *engine, unsigned int thread,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path);
struct pool_share lane_share(void *engine, const struct vgpu_job *job,
			     uint64_t count);

/* cuda_direct.c. The context is current for open and close. */
int direct_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void direct_close(struct cuda_engine *eng);
bool direct_begin(void *engine, struct vgpu_job *job, unsigned int behind,
		  uint32_t *note);
bool direct_ready(void *engine);
void direct_collect(void *engine, struct pool *pool);
/* The most that tune.inline_copy may be. */
#define DIRECT_STAGING	65536

/* cuda_region.c: as in struct vgpu_engine_ops. */
bool region_test(struct vgpu_engine *eng, void *base, size_t bytes,
		 char why[VGPU_ENGINE_WHY]);
struct vgpu_engine_region *region_add(struct vgpu_engine *eng, void *base,
				      size_t bytes, bool read_only);
void region_remove(struct vgpu_engine *eng, struct vgpu_engine_region *region);
/* For the pool: may the job's operands lie in their regions as they do? */
uint16_t region_check(void *engine, const struct vgpu_job *job);

/*
 * cuda_tune.c: measures eng->tune by jobs of its own, for a tenth of a second at
 * most unless one job takes longer, and says in eng->dev.facts.tuning what came
 * of it. The engine is otherwise open.
 */
void tune(struct cuda_engine *eng);

#endif /* VGPU_ENGINE_CUDA_H */
