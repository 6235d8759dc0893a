// SPDX-License-Identifier: MIT
/*
 * cuda_copy.c - copies of host memory that the GPU does not reach
 *
 * Runs on the pool's threads, each with its own lane. The CPU fills or empties
 * one half of the lane's staging memory while a copy engine is at the other;
 * lanes work on parts of one copy at the same time.
 *
 * Another party may change host memory meanwhile: it is only ever data.
 */
#include <string.h>

#include "engine_cuda.h"

/* Halves begin on pages. */
static size_t half_of(const struct lane *lane)
{
	return lane_room(lane) / 2 & ~(size_t)4095;
}

CUresult copy_in(struct cuda_engine *eng, struct lane *lane, CUdeviceptr to,
		 const void *host, size_t bytes)
{
	const struct cuda_driver *cu = eng->dev.cu;
	const unsigned char *from = host;
	const size_t half = half_of(lane);
	CUresult err = CUDA_SUCCESS, end;

	for (unsigned int n = 0; bytes && err == CUDA_SUCCESS; n++) {
		unsigned char *at = lane->host + n % 2 * half;
		size_t len = bytes < half ? bytes : half;

		if (n > 1)
			err = lane_event(eng, lane->half[n % 2]);
		if (err != CUDA_SUCCESS)
			break;
		memcpy(at, from, len);
		err = cu->cuMemcpyHtoDAsync(to, at, len, lane->stream);
		if (err == CUDA_SUCCESS && bytes > half)
			err = cu->cuEventRecord(lane->half[n % 2],
						lane->stream);
		from += len;
		to += len;
		bytes -= len;
	}
	/* Where only memory was short, what is queued still reads staging. */
	end = lane_wait(eng, lane);
	return err == CUDA_SUCCESS || end != CUDA_SUCCESS ? end : err;
}

CUresult copy_out(struct cuda_engine *eng, struct lane *lane, void *host,
		  CUdeviceptr from, size_t bytes)
{
	const struct cuda_driver *cu = eng->dev.cu;
	const size_t half = half_of(lane);
	size_t queued = 0, done = 0;
	CUresult err = CUDA_SUCCESS, end;

	for (unsigned int n = 0; done < bytes && err == CUDA_SUCCESS; n++) {
		/* One ahead, into the half emptied before. */
		for (unsigned int k = n ? n + 1 : 0;
		     k < n + 2 && queued < bytes && err == CUDA_SUCCESS; k++) {
			size_t len = bytes - queued < half ? bytes - queued :
							     half;

			err = cu->cuMemcpyDtoHAsync(lane->host + k % 2 * half,
						    from + queued, len,
						    lane->stream);
			if (err == CUDA_SUCCESS)
				err = cu->cuEventRecord(lane->half[k % 2],
							lane->stream);
			queued += len;
		}
		if (err == CUDA_SUCCESS)
			err = lane_event(eng, lane->half[n % 2]);
		if (err == CUDA_SUCCESS) {
			size_t len = bytes - done < half ? bytes - done : half;

			memcpy((unsigned char *)host + done,
			       lane->host + n % 2 * half, len);
			done += len;
		}
	}
	if (err == CUDA_SUCCESS)
		return err;
	/* What is queued still writes to staging. */
	end = lane_wait(eng, lane);
	return end == CUDA_SUCCESS ? err : end;
}

uint16_t copy_part(struct cuda_engine *eng, struct lane *lane,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path)
{
	const struct vgpu_engine_operand *to = &job->operand[0];
	const struct vgpu_engine_operand *from = &job->operand[1];
	CUresult err;

	if (!to->mem && !from->mem) {
		*path = VGPU_PATH_HOST;
		memmove((unsigned char *)to->host + first,
			(const unsigned char *)from->host + first, count);
		return VGPU_RSP_OK;
	}
	*path = VGPU_PATH_STAGED_PIPELINED;
	err = lane_grow(eng, lane, count / sizeof(float));
	if (err == CUDA_SUCCESS && to->mem)
		err = copy_in(eng, lane, operand_address(to) + first,
			      (const unsigned char *)from->host + first, count);
	else if (err == CUDA_SUCCESS)
		err = copy_out(eng, lane, (unsigned char *)to->host + first,
			       operand_address(from) + first, count);
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}
