// SPDX-License-Identifier: MIT
/*
 * cuda_kernels.c - launches of the kernels that the gate, too, relies on
 *
 * Any thread to which the context is current. Owns nothing, and waits for
 * nothing: kernels are queued on a CUstream.
 */
#include "cuda_device.h"

#define BLOCK_THREADS	256
#define BLOCKS_PER_SM	8
/*
 * A kernel that reaches across the bus: the smallest work runs in one block,
 * which needs no counter. Reads of 128 KiB in flight keep a PCIe 5 bus busy;
 * more threads only wait, and keep other kernels out. Measured on an H200:
 * 16 blocks are as fast as any number for large work, and 264 blocks 10 to 25 %
 * slower around a million of elements.
 */
#define HOST_BLOCK_MAX	1024
#define HOST_BLOCKS	16

/* One float4 a thread and turn, in whole warps. */
static void host_grid(uint64_t n, unsigned int *blocks, unsigned int *threads)
{
	uint64_t quads = n / 4 + 1;

	*threads = BLOCK_THREADS;
	*blocks = 1;
	if (quads > HOST_BLOCK_MAX)
		*blocks = HOST_BLOCKS;
	else if (quads > BLOCK_THREADS)
		*threads = (unsigned int)(quads + 31) / 32 * 32;
}

CUresult cuda_vector_add(const struct cuda_device *d, CUstream stream,
			 const struct cuda_add *add)
{
	CUdeviceptr a = add->a, b = add->b, c = add->c;
	CUdeviceptr word = add->word, counter = add->counter;
	unsigned long long n = add->n;
	uint32_t seq = add->seq;
	void *params[] = { &a, &b, &c, &n, &counter, &word, &seq };
	unsigned int blocks, threads = BLOCK_THREADS;
	uint64_t most = (uint64_t)d->processors * BLOCKS_PER_SM;
	uint64_t wanted = n / 4 / BLOCK_THREADS + 1;

	blocks = (unsigned int)(wanted < most ? wanted : most);
	if (add->host)
		host_grid(n, &blocks, &threads);
	return d->cu->cuLaunchKernel(d->vector_add, blocks, 1, 1, threads, 1, 1,
				     0, stream, params, NULL);
}

CUresult cuda_fault(const struct cuda_device *d, CUstream stream)
{
	return d->cu->cuLaunchKernel(d->fault, 1, 1, 1, 32, 1, 1, 0, stream,
				     NULL, NULL);
}
