// SPDX-License-Identifier: MIT
/*
 * cuda_lane.c - large vector adds on the GPU, part by part
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
 * pieces are smaller, or the kernel reaches across the bus. What it has it keeps:
 * giving back would wait for kernels to end.
 *
 * Another party may change operand memory meanwhile: only data is ever read
 * from it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

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
 * A wait that is over sooner is polled for, in a longer one the thread naps
 * between looks, for a share of the time waited. Twelve lanes that share the bus
 * wait about a millisecond each; sleeping for that made 64 Mi elements 20 %
 * slower.
 */
#define POLL_NS		2000000
#define NAP_SHARE	128
#define NAP_MAX_NS	1000000

#define STAGING_BYTES(elements) (VGPU_ENGINE_OPERANDS * (elements) * sizeof(float))

static void nap(uint64_t waited_ns)
{
	uint64_t ns = waited_ns / NAP_SHARE;
	const struct timespec ts = {
		.tv_nsec = (long)(ns < NAP_MAX_NS ? ns : NAP_MAX_NS),
	};

	/* Naps are shorter than the usual slack. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	nanosleep(&ts, NULL);
}

/*
 * Nobody waits for an engine that is lost. Twice the time limit: a guest's kernel
 * that is in the way has its own, from when it was there.
 */
CUresult lane_event(struct cuda_engine *eng, CUevent event)
{
	uint64_t start = pool_now_ns(), waited;
	CUresult err;

	for (;;) {
		err = eng->dev.cu->cuEventQuery(event);
		if (err != CUDA_ERROR_NOT_READY)
			return err;
		if (atomic_load(&eng->lost))
			return CUDA_ERROR_CONTEXT_IS_DESTROYED;
		waited = pool_now_ns() - start;
		if (eng->max_job_ns && waited / 2 > eng->max_job_ns) {
			atomic_store(&eng->stuck, true);
			return CUDA_ERROR_LAUNCH_TIMEOUT;
		}
		if (waited > POLL_NS)
			nap(waited);
	}
}

/* Work that cannot be waited for may go on, with the lane's memory and operands. */
CUresult lane_wait(struct cuda_engine *eng, struct lane *lane)
{
	CUresult err = eng->dev.cu->cuEventRecord(lane->done, lane->stream);

	if (err == CUDA_SUCCESS)
		err = lane_event(eng, lane->done);
	return err == CUDA_ERROR_OUT_OF_MEMORY ? CUDA_ERROR_UNKNOWN : err;
}

/*
 * Staging memory for `elements`, once more than the lane began with; or which
 * call failed.
 */
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
	lane->first_host = lane->host;
	lane->host = host;
	lane->mapped = mapped;
	lane->host_size = elements;
	return CUDA_SUCCESS;
}

/* Both once; a lane that gets nothing goes on with what it has. */
CUresult lane_grow(struct cuda_engine *eng, struct lane *lane, uint64_t count)
{
	const char *call;
	CUresult err;

	if (count <= ZERO_COPY_MAX || lane->grown)
		return CUDA_SUCCESS;
	lane->grown = true;
	err = lane_staging(eng->dev.cu, lane, PART_MAX, &call);
	return err == CUDA_ERROR_OUT_OF_MEMORY ? CUDA_SUCCESS : err;
}

static CUresult lane_memory(struct cuda_engine *eng, struct lane *lane,
			    uint64_t count)
{
	CUresult err;

	if (count <= ZERO_COPY_MAX || lane->mem_tried)
		return CUDA_SUCCESS;
	lane->mem_tried = true;
	err = eng->dev.cu->cuMemAlloc(&lane->mem, STAGING_BYTES(PART_MAX));
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

static CUresult piece_run(struct cuda_engine *eng, struct lane *lane,
			  struct piece *p, bool copied)
{
	const struct cuda_device *d = &eng->dev;
	CUresult err, end;

	piece_place(p, lane);
	piece_copy(p, 0);
	piece_copy(p, 1);
	if (copied)
		err = queue_copied(d, lane, p);
	else
		err = queue_zero_copy(d, lane, p);
	/* Where only memory was short, what is queued still reads operands. */
	end = lane_wait(eng, lane);
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
	CUresult err = CUDA_SUCCESS;
	uint64_t size = count;
	bool copied;

	if (staged)
		err = lane_grow(eng, lane, count);
	if (err == CUDA_SUCCESS)
		err = lane_memory(eng, lane, count);
	if (staged && size > lane->host_size)
		size = lane->host_size;
	copied = size > ZERO_COPY_MAX && lane->mem;
	*path = path_of(staged, copied);
	while (count && err == CUDA_SUCCESS) {
		p.count = count < size ? count : size;
		err = piece_run(eng, lane, &p, copied);
		p.first += p.count;
		count -= p.count;
	}
	return err;
}

uint16_t lane_part(struct cuda_engine *eng, struct lane *lane,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path)
{
	CUresult err = part_run(eng, lane, job, first, count, path);

	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

/*
 * All threads for jobs that the CPU copies. A few keep the copy engines busy;
 * more would only have the first results come later.
 */
struct pool_share lane_share(const struct cuda_engine *eng,
			     const struct vgpu_job *job, uint64_t count)
{
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
	call = err == CUDA_SUCCESS ? "cuEventCreate" : call;
	for (unsigned int i = 0; i < 3 && err == CUDA_SUCCESS; i++)
		err = cu->cuEventCreate(i ? &lane->half[i - 1] : &lane->done,
					CU_EVENT_DISABLE_TIMING);
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
		if (lane->workspace)
			cu->cuMemFree(lane->workspace);
		if (lane->host)
			cu->cuMemFreeHost(lane->host);
		if (lane->first_host)
			cu->cuMemFreeHost(lane->first_host);
		if (lane->done)
			cu->cuEventDestroy(lane->done);
		for (unsigned int k = 0; k < 2; k++)
			if (lane->half[k])
				cu->cuEventDestroy(lane->half[k]);
		if (lane->stream)
			cu->cuStreamDestroy(lane->stream);
	}
}
