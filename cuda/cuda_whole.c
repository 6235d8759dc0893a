// SPDX-License-Identifier: MIT
/*
 * cuda_whole.c - jobs that one of the pool's threads runs from start to end
 *
 * Runs on the pool's threads, each with its own lane. Here is what makes its
 * caller wait: modules, sgemm, much memory; and built-in kernels with operands
 * that the GPU does not reach, which are brought to memory of the GPU's and taken
 * back. Owns nothing beyond a call.
 *
 * Another party may change host memory meanwhile: it is only ever data.
 */
#include <string.h>

#include "engine_cuda.h"
#include "job_check.h"

/* A built-in kernel's operands on the GPU, and which of them were brought. */
struct brought {
	CUdeviceptr at[VGPU_ENGINE_OPERANDS];
	size_t bytes[VGPU_ENGINE_OPERANDS];	/* 0: in place */
};

/* Octets that the kernel may touch. */
static void spans(const struct vgpu_job *job, struct brought *b)
{
	uint64_t span[VGPU_ENGINE_OPERANDS] = { job->operand[0].count,
						job->operand[1].count,
						job->operand[2].count };

	if (job->kernel == VGPU_KERNEL_SGEMM)
		vgpu_sgemm_shape(job->sgemm, span);
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		b->bytes[i] = span[i] * sizeof(float);
}

/* A matrix is read many times: across the bus that would take for ever. */
static bool stays(const struct vgpu_job *job, unsigned int i)
{
	const struct vgpu_engine_operand *op = &job->operand[i];

	return op->mem || (op->region && job->kernel != VGPU_KERNEL_SGEMM);
}

/* Outputs too: octets between a matrix's columns are written back as they are. */
static bool is_read(const struct vgpu_job *job, unsigned int i)
{
	return job->kernel == VGPU_KERNEL_SGEMM ||
	       job->kernel == VGPU_KERNEL_SAXPY ||
	       !(vgpu_builtin_writes(job->kernel) >> i & 1);
}

static CUresult bring(struct cuda_engine *eng, struct lane *lane,
		      const struct vgpu_job *job, struct brought *b)
{
	CUresult err = CUDA_SUCCESS;

	spans(job, b);
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];

		if (stays(job, i)) {
			b->at[i] = operand_address(op);
			b->bytes[i] = 0;
		}
		if (!b->bytes[i])
			continue;
		err = memory_borrow(eng, lane->stream, &b->at[i], b->bytes[i]);
		if (err != CUDA_SUCCESS)
			return err;
		if (!is_read(job, i))
			continue;
		if (op->region)
			err = eng->dev.cu->cuMemcpyHtoDAsync(b->at[i], op->host,
							     b->bytes[i],
							     lane->stream);
		else
			err = copy_in(eng, lane, b->at[i], op->host,
				      b->bytes[i]);
		if (err != CUDA_SUCCESS)
			return err;
	}
	return err;
}

static CUresult take_back(struct cuda_engine *eng, struct lane *lane,
			  const struct vgpu_job *job, const struct brought *b)
{
	CUresult err = CUDA_SUCCESS;

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];

		if (!b->bytes[i] || err != CUDA_SUCCESS ||
		    !(vgpu_builtin_writes(job->kernel) >> i & 1))
			continue;
		if (op->region)
			err = eng->dev.cu->cuMemcpyDtoHAsync(op->host, b->at[i],
							     b->bytes[i],
							     lane->stream);
		else
			err = copy_out(eng, lane, op->host, b->at[i],
				       b->bytes[i]);
	}
	return err;
}

static uint16_t run_builtin(struct cuda_engine *eng, struct lane *lane,
			    const struct vgpu_job *job, struct way *way)
{
	struct brought b = { .at = { 0 } };
	uint16_t status = VGPU_RSP_OK;
	uint64_t bytes = 0;
	CUresult err, end;

	err = lane_grow(eng, lane, job->operand[0].count);
	if (err == CUDA_SUCCESS)
		err = bring(eng, lane, job, &b);
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		way->host |= stays(job, i) && !job->operand[i].mem;
	if (err == CUDA_SUCCESS && job->kernel == VGPU_KERNEL_SGEMM)
		status = blas_sgemm(eng, job, b.at, way, true);
	else if (err == CUDA_SUCCESS)
		err = issue_builtin(eng, job, b.at, way);
	if (err == CUDA_SUCCESS && status == VGPU_RSP_OK)
		err = take_back(eng, lane, job, &b);
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		bytes += b.bytes[i];
		if (b.bytes[i])
			memory_return(eng, lane->stream, b.at[i]);
	}
	/* Where only memory was short, what is queued still uses the operands. */
	end = lane_wait(eng, lane);
	if (end == CUDA_SUCCESS)
		memory_returned(eng, bytes);
	if (err == CUDA_SUCCESS || end != CUDA_SUCCESS)
		err = end;
	if (status != VGPU_RSP_OK)
		return status;
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

static uint16_t run_fault(struct cuda_engine *eng, struct lane *lane)
{
	CUresult err;

	/* From here on the blame for an error is known. */
	atomic_store(&eng->fault_made, true);
	err = cuda_fault(&eng->dev, lane->stream);
	if (err == CUDA_SUCCESS)
		err = lane_wait(eng, lane);
	/* A GPU on which that is no fault is not to be trusted. */
	cuda_failed(eng, err == CUDA_SUCCESS ? CUDA_ERROR_ILLEGAL_ADDRESS : err);
	return VGPU_RSP_FAULT;
}

/* The pattern's octets are in the order of the host, as the GPU's are. */
static void fill_host(const struct vgpu_job *job)
{
	unsigned char *at = job->operand[0].host;

	for (uint64_t i = 0; i < job->operand[0].count; i += job->width)
		memcpy(at + i, &job->pattern, job->width);
}

/* What a queue would do, had it room: put on the lane, and waited for. */
static uint16_t run_issued(struct cuda_engine *eng, struct lane *lane,
			   struct vgpu_job *job, struct way *way)
{
	bool launch = job->op == VGPU_OP_LAUNCH;
	uint16_t status;
	CUresult err;

	status = issue(eng, job, way);
	if (!way->queued)
		return status;
	err = lane_wait(eng, lane);
	if (err != CUDA_SUCCESS) {
		uint16_t ended = cuda_failed(eng, err);

		/* Nobody is to blame but this kernel, as far as is known. */
		if (launch && atomic_exchange(&eng->blame, 0))
			return VGPU_RSP_FAULT;
		return ended;
	}
	if (status == VGPU_RSP_OK && job->op == VGPU_OP_MEM_ALLOC)
		memory_made(job);
	return status;
}

/* The driver loads code when no kernel runs. */
static uint16_t run_held(struct cuda_engine *eng, struct vgpu_job *job)
{
	uint16_t status = VGPU_RSP_DEVICE_LOST;

	if (queues_hold(eng))
		status = job->op == VGPU_OP_MODULE_LOAD ?
				 module_load(eng, job) :
				 function_get(eng, job);
	queues_release(eng);
	return status;
}

uint16_t whole_run(struct cuda_engine *eng, struct lane *lane,
		   struct vgpu_job *job, uint8_t *path)
{
	struct way way = {
		.stream = lane->stream,
		.workspace = &lane->workspace,
		.scratch = eng->scratch +
			   (MAX_QUEUES + (size_t)(lane - eng->lane)) *
				   SCRATCH_BYTES,
	};

	switch (job->op) {
	case VGPU_OP_MODULE_LOAD:
	case VGPU_OP_FUNCTION_GET:
		*path = VGPU_PATH_NONE;
		return run_held(eng, job);
	case VGPU_OP_BUILTIN:
		if (job->kernel == VGPU_KERNEL_DEBUG_FAULT) {
			*path = VGPU_PATH_NONE;
			return run_fault(eng, lane);
		}
		*path = VGPU_PATH_STAGED_PIPELINED;
		return run_builtin(eng, lane, job, &way);
	case VGPU_OP_FILL:
		if (in_place(&job->operand[0]))
			break;
		*path = VGPU_PATH_HOST;
		fill_host(job);
		return VGPU_RSP_OK;
	}
	return run_issued(eng, lane, job, &way);
}
