// SPDX-License-Identifier: MIT
/*
 * cuda_lane.c - large jobs on the GPU, part by part
 *
 * Owns one lane for each of the pool's threads: a CUDA stream, pinned staging
 * memory and memory on the GPU. lane_part() runs on the pool's threads, each on
 * its own lane, so lanes need no locks; copying by the CPU, both directions of
 * the bus and the kernel overlap between lanes.
 *
 *   a, b --CPU--> staging --copy engine--> GPU: kernel --copy engine--> staging --CPU--> c
 *
 * The CPU copies only operands that are in no region. Small pieces are added
 * where they are, by a kernel that reaches across the bus. A lane begins with
 * little staging memory and none on the GPU. It asks once for more when it is
 * first given a part that needs it, and does without where there is none: the
 * pieces are smaller, or the kernel reaches across the bus.
 *
 * Another party may change operand memory meanwhile: only data is ever read
 * from it.
 */
#include <stdio.h>
#include <string.h>

#include "engine_cuda.h"

/*
 * 4 MiB an operand at most: copy engines reach their full rate with it
 * (measured: 1 MiB takes 13 % longer, 8 MiB is 1 % faster). Lanes begin with
 * staging memory for PART_MIN.
 */
#define PART_MIN	65536
#define PART_MAX	1048576
/* Up to here a kernel across the bus is faster than three commands more. */
#define ZERO_COPY_MAX	262144

/*
 * A wait that is over sooner is polled for, a longer one sleeps. Twelve lanes
 * that share the bus wait about a millisecond each; sleeping for that made
 * 64 Mi elements 20 % slower.
 */
#define POLL_NS		2000000

#define STAGING_BYTES(elements) (VGPU_ENGINE_OPERANDS * (elements) * sizeof(float))

/* Waits for the lane's event: polls first, since waking up takes longer. */
static CUresult lane_wait(const struct cuda_driver *cu, struct lane *lane)
{
	uint64_t end = pool_now_ns() + POLL_NS;
	CUresult err;

	do {
		err = cu->cuEventQuery(lane->done);
		if (err != CUDA_ERROR_NOT_READY)
			return err;
	} while (pool_now_ns() < end);
	return cu->cuEventSynchronize(lane->done);
}

/*
 * An error is the end of the GPU, whichever it is: work that cannot be waited
 * for may go on, with the lane's memory and the operands.
 */
static CUresult finish_stream(const struct cuda_driver *cu, struct lane *lane)
{
	CUresult err = cu->cuEventRecord(lane->done, lane->stream);

	if (err == CUDA_SUCCESS)
		err = lane_wait(cu, lane);
	return err == CUDA_ERROR_OUT_OF_MEMORY ? CUDA_ERROR_UNKNOWN : err;
}

/* Staging memory for `elements` in place of what the lane has; or which call failed. */
static CUresult lane_staging(const struct cuda_driver *cu, struct lane *lane,
			     uint64_t elements, const char **call)
{
	CUdeviceptr mapped = 0;
	void *host = NULL;
	CUresult err;

	*call = "cuMemHostAlloc";
	err = cu->cuMemHostAlloc(&host, STAGING_BYTES(elements),
				 CU_MEMHOSTALLOC_DEVICEMAP);
	if (err != CUDA_SUCCESS)
		return err;
	*call = "cuMemHostGetDevicePointer";
	err = cu->cuMemHostGetDevicePointer(&mapped, host, 0);
	if (err != CUDA_SUCCESS) {
		cu->cuMemFreeHost(host);
		return err;
	}
	if (lane->host)
		cu->cuMemFreeHost(lane->host);
	lane->host = host;
	lane->mapped = mapped;
	lane->host_size = elements;
	return CUDA_SUCCESS;
}

/* Once each; a lane that gets nothing goes on with what it has. */
static CUresult lane_grow(struct cuda_engine *eng, struct lane *lane,
			  bool staged, uint64_t count)
{
	const struct cuda_driver *cu = eng->dev.cu;
	CUresult err = CUDA_SUCCESS;
	const char *call;

	if (count <= ZERO_COPY_MAX)
		return CUDA_SUCCESS;
	if (staged && !lane->grown) {
		lane->grown = true;
		err = lane_staging(cu, lane, PART_MAX, &call);
	}
	if (!lane->mem_tried &&
	    (err == CUDA_SUCCESS || err == CUDA_ERROR_OUT_OF_MEMORY)) {
		lane->mem_tried = true;
		err = cu->cuMemAlloc(&lane->mem, STAGING_BYTES(PART_MAX));
	}
	return err == CUDA_ERROR_OUT_OF_MEMORY ? CUDA_SUCCESS : err;
}

/* One piece: where its operands are for the CPU, and for the GPU. */
struct piece {
	const struct vgpu_job *job;
	uint64_t first, count;
	unsigned char *host[VGPU_ENGINE_OPERANDS];
	CUdeviceptr mapped[VGPU_ENGINE_OPERANDS];
};

static void piece_place(struct piece *p, const struct lane *lane)
{
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		const struct vgpu_engine_operand *op = &p->job->operand[i];
		size_t at = i * lane->host_size * sizeof(float);

		if (op->region) {
			p->host[i] = (unsigned char *)op->host +
				     p->first * sizeof(float);
			p->mapped[i] = region_address(op, p->first);
		} else {
			p->host[i] = lane->host + at;
			p->mapped[i] = lane->mapped + at;
		}
	}
}

/* The CPU's copies: operands in no region, from or to staging memory. */
static void piece_copy(const struct piece *p, unsigned int i)
{
	const struct vgpu_engine_operand *op = &p->job->operand[i];
	unsigned char *at = (unsigned char *)op->host +
			    p->first * sizeof(float);

	if (op->region)
		return;
	if (i == 2)
		memcpy(at, p->host[i], p->count * sizeof(float));
	else
		memcpy(p->host[i], at, p->count * sizeof(float));
}

/* Queues c = a + b through the GPU's memory. */
static CUresult queue_copied(const struct cuda_device *d, struct lane *lane,
			     const struct piece *p)
{
	const size_t step = PART_MAX * sizeof(float);
	const size_t bytes = p->count * sizeof(float);
	const struct cuda_add add = {
		.a = lane->mem,
		.b = lane->mem + step,
		.c = lane->mem + 2 * step,
		.n = p->count,
	};
	CUresult err;

	err = d->cu->cuMemcpyHtoDAsync(add.a, p->host[0], bytes, lane->stream);
	if (err == CUDA_SUCCESS)
		err = d->cu->cuMemcpyHtoDAsync(add.b, p->host[1], bytes,
					       lane->stream);
	if (err == CUDA_SUCCESS)
		err = cuda_vector_add(d, lane->stream, &add);
	if (err == CUDA_SUCCESS)
		err = d->cu->cuMemcpyDtoHAsync(p->host[2], add.c, bytes,
					       lane->stream);
	return err;
}

static CUresult queue_zero_copy(const struct cuda_device *d, struct lane *lane,
				const struct piece *p)
{
	const struct cuda_add add = {
		.a = p->mapped[0],
		.b = p->mapped[1],
		.c = p->mapped[2],
		.n = p->count,
		.host = true,
	};

	return cuda_vector_add(d, lane->stream, &add);
}

static CUresult piece_run(const struct cuda_device *d, struct lane *lane,
			  struct piece *p, bool copied)
{
	CUresult err, end;

	piece_place(p, lane);
	piece_copy(p, 0);
	piece_copy(p, 1);
	if (copied)
		err = queue_copied(d, lane, p);
	else
		err = queue_zero_copy(d, lane, p);
	/* Where only memory was short, what is queued still reads operands. */
	end = finish_stream(d->cu, lane);
	if (err == CUDA_SUCCESS ||
	    (err == CUDA_ERROR_OUT_OF_MEMORY && end != CUDA_SUCCESS))
		err = end;
	if (err == CUDA_SUCCESS)
		piece_copy(p, 2);
	return err;
}

static uint8_t path_of(bool staged, bool copied)
{
	if (staged)
		return copied ? VGPU_PATH_STAGED_PIPELINED :
				VGPU_PATH_STAGED_ZERO_COPY;
	return copied ? VGPU_PATH_PIPELINED : VGPU_PATH_ZERO_COPY;
}

static CUresult part_run(struct cuda_engine *eng, struct lane *lane,
			 const struct vgpu_job *job, uint64_t first,
			 uint64_t count, uint8_t *path)
{
	bool staged = !all_in_regions(job);
	struct piece p = { .job = job, .first = first };
	uint64_t size = count;
	bool copied;
	CUresult err;

	err = lane_grow(eng, lane, staged, count);
	if (staged && size > lane->host_size)
		size = lane->host_size;
	copied = size > ZERO_COPY_MAX && lane->mem;
	*path = path_of(staged, copied);
	while (count && err == CUDA_SUCCESS) {
		p.count = count < size ? count : size;
		err = piece_run(&eng->dev, lane, &p, copied);
		p.first += p.count;
		count -= p.count;
	}
	return err;
}

static CUresult fault_run(struct cuda_engine *eng, struct lane *lane)
{
	CUresult err;

	/* From here on the blame for an error is known. */
	atomic_store(&eng->fault_made, true);
	err = cuda_fault(&eng->dev, lane->stream);
	if (err == CUDA_SUCCESS)
		err = finish_stream(eng->dev.cu, lane);
	/* A GPU on which that is no fault is not to be trusted. */
	return err == CUDA_SUCCESS ? CUDA_ERROR_ILLEGAL_ADDRESS : err;
}

uint16_t lane_part(void *engine, unsigned int thread,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path)
{
	struct cuda_engine *eng = engine;
	struct lane *lane = &eng->lane[thread];
	CUresult err;

	if (atomic_load(&eng->lost))
		return VGPU_RSP_DEVICE_LOST;
	err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err == CUDA_SUCCESS && job->kernel == VGPU_KERNEL_DEBUG_FAULT) {
		cuda_failed(eng, fault_run(eng, lane));
		return VGPU_RSP_FAULT;
	}
	if (err == CUDA_SUCCESS)
		err = part_run(eng, lane, job, first, count, path);
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

/*
 * All threads for jobs that the CPU copies. A few keep the copy engines busy;
 * more would only have the first results come later.
 */
struct pool_share lane_share(void *engine, const struct vgpu_job *job,
			     uint64_t count)
{
	const struct cuda_engine *eng = engine;
	struct pool_share share = { .width = eng->nr_lanes };

	if (all_in_regions(job) && share.width > COPY_LANES)
		share.width = COPY_LANES;
	share.part = (count - 1) / share.width + 1;
	if (share.part < PART_MIN)
		share.part = PART_MIN;
	if (share.part > PART_MAX)
		share.part = PART_MAX;
	return share;
}

static int lane_open(struct cuda_engine *eng, struct lane *lane,
		     char why[VGPU_ENGINE_WHY])
{
	const struct cuda_driver *cu = eng->dev.cu;
	const char *call = "cuStreamCreate";
	char reason[VGPU_ENGINE_WHY];
	CUresult err;

	err = cu->cuStreamCreate(&lane->stream, CU_STREAM_NON_BLOCKING);
	if (err == CUDA_SUCCESS) {
		call = "cuEventCreate";
		err = cu->cuEventCreate(&lane->done, CU_EVENT_BLOCKING_SYNC |
						     CU_EVENT_DISABLE_TIMING);
	}
	if (err == CUDA_SUCCESS)
		err = lane_staging(cu, lane, PART_MIN, &call);
	if (err == CUDA_SUCCESS)
		return 0;
	cuda_why(cu, reason, call, err);
	snprintf(why, VGPU_ENGINE_WHY, "staging: %.240s", reason);
	return -1;
}

int lanes_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY])
{
	/* Three of four processors copy; the caller needs one too. */
	unsigned int wanted = pool_processors(2 * MAX_LANES) * 3 / 4;

	if (wanted < 2)
		wanted = 2;
	if (wanted > MAX_LANES)
		wanted = MAX_LANES;
	for (eng->nr_lanes = 0; eng->nr_lanes < wanted; eng->nr_lanes++)
		if (lane_open(eng, &eng->lane[eng->nr_lanes], why))
			return -1;
	return 0;
}

void lanes_close(struct cuda_engine *eng)
{
	const struct cuda_driver *cu = eng->dev.cu;

	/* All: the one that could not be had in full too. */
	for (unsigned int i = 0; i < MAX_LANES; i++) {
		struct lane *lane = &eng->lane[i];

		if (lane->mem)
			cu->cuMemFree(lane->mem);
		if (lane->host)
			cu->cuMemFreeHost(lane->host);
		if (lane->done)
			cu->cuEventDestroy(lane->done);
		if (lane->stream)
			cu->cuStreamDestroy(lane->stream);
	}
}
