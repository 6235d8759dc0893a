// SPDX-License-Identifier: MIT
/*
 * bare_kernels.cu - the peer's own kernels: none of the product's
 *
 * c[i] = a[i] + b[i], in IEEE binary32; n is a multiple of 4, and operands are
 * 16-byte aligned.
 */

static __device__ float4 add4(float4 x, float4 y)
{
	return make_float4(__fadd_rn(x.x, y.x), __fadd_rn(x.y, y.y),
			   __fadd_rn(x.z, y.z), __fadd_rn(x.w, y.w));
}

/*
 * word, where not NULL: set to seq when all of c is written; count is for the
 * blocks to find out which one is the last, and 0 before and after.
 */
extern "C" __global__ void bare_add(const float4 *a, const float4 *b, float4 *c,
				    unsigned long long n,
				    volatile unsigned int *word,
				    unsigned int seq, unsigned int *count)
{
	const unsigned long long stride =
		(unsigned long long)gridDim.x * blockDim.x;
	unsigned long long i =
		(unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;

	for (; i < n / 4; i += stride)
		c[i] = add4(a[i], b[i]);
	if (!word)
		return;
	__syncthreads();
	if (threadIdx.x)
		return;
	/* All that the block wrote, before it counts itself. */
	__threadfence_system();
	if (gridDim.x > 1) {
		if (atomicAdd(count, 1) != gridDim.x - 1)
			return;
		*count = 0;
		__threadfence_system();
	}
	*word = seq;
}

/*
 * One block that stays: takes numbers from ask, adds n elements, answers with
 * the number; ends with number 0. What the host writes is never taken from a
 * cache.
 */
extern "C" __global__ void bare_persistent(const float4 *a, const float4 *b,
					   float4 *c, unsigned int n,
					   volatile unsigned int *ask,
					   volatile unsigned int *answer)
{
	__shared__ unsigned int seq;
	unsigned int last = 0, now;

	for (;;) {
		/* One trip across the bus a look; the loads below come after. */
		if (!threadIdx.x) {
			do
				now = *ask;
			while (now == last);
			seq = now;
		}
		__syncthreads();
		last = seq;
		if (!last)
			return;
		for (unsigned int i = threadIdx.x; i < n / 4; i += blockDim.x)
			c[i] = add4(__ldcv(a + i), __ldcv(b + i));
		__syncthreads();
		if (!threadIdx.x) {
			__threadfence_system();
			*answer = last;
		}
	}
}
