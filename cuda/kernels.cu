// SPDX-License-Identifier: MIT
/*
 * kernels.cu - the built-in kernels, as they run on the GPU
 *
 * Built into one fat binary: machine code for sm_90 and PTX for the rest.
 * Arithmetic is IEEE 754 binary32, round to nearest even, subnormals kept.
 * Blocks are whole warps. Host memory may change under a kernel: what is read
 * is data and nothing else.
 */

/* Of a line of memory; the elements in it; what a warp takes in one turn. */
#define LINE_BYTES	128
#define LINE_ELEMENTS	32
#define TURN_ELEMENTS	128

typedef unsigned long long u64;

/* All three are 16-byte aligned. */
static __device__ void add_aligned(const float *a, const float *b, float *c,
				   u64 n, u64 self, u64 stride)
{
	const float4 *a4 = (const float4 *)a;
	const float4 *b4 = (const float4 *)b;
	float4 *c4 = (float4 *)c;
	u64 i;

	for (i = self; i < n / 4; i += stride) {
		const float4 x = a4[i];
		const float4 y = b4[i];

		c4[i] = make_float4(__fadd_rn(x.x, y.x), __fadd_rn(x.y, y.y),
				    __fadd_rn(x.z, y.z), __fadd_rn(x.w, y.w));
	}
	for (i = n / 4 * 4 + self; i < n; i += stride)
		c[i] = __fadd_rn(a[i], b[i]);
}

/*
 * Only c is aligned, to a line. A warp takes four lines in a row, so that what
 * its first read of a line leaves over is still in the cache for the next.
 */
static __device__ void add_unaligned(const float *a, const float *b, float *c,
				     u64 n, u64 self, u64 stride)
{
	const u64 step = stride / LINE_ELEMENTS * TURN_ELEMENTS;
	const u64 lane = self % LINE_ELEMENTS;
	u64 i;

	for (i = self / LINE_ELEMENTS * TURN_ELEMENTS; i + TURN_ELEMENTS <= n;
	     i += step) {
		float x[4], y[4];

#pragma unroll
		for (int k = 0; k < 4; k++)
			x[k] = a[i + k * LINE_ELEMENTS + lane];
#pragma unroll
		for (int k = 0; k < 4; k++)
			y[k] = b[i + k * LINE_ELEMENTS + lane];
#pragma unroll
		for (int k = 0; k < 4; k++)
			c[i + k * LINE_ELEMENTS + lane] =
				__fadd_rn(x[k], y[k]);
	}
	for (i = n / TURN_ELEMENTS * TURN_ELEMENTS + self; i < n; i += stride)
		c[i] = __fadd_rn(a[i], b[i]);
}

/*
 * Writes seq to the word when all of the grid's writes are where the host sees
 * them. The counter is 0 before and after.
 */
static __device__ void complete(unsigned int *counter, unsigned int *word,
				unsigned int seq)
{
	/* The block's writes come before its first thread's fence. */
	__syncthreads();
	if (threadIdx.x)
		return;
	__threadfence_system();
	if (gridDim.x > 1) {
		if (atomicInc(counter, gridDim.x - 1) != gridDim.x - 1)
			return;
		/* The other blocks' writes, fenced by them, come before ours. */
		__threadfence_system();
	}
	*(volatile unsigned int *)word = seq;
}

/*
 * c[i] = a[i] + b[i]
 *
 * a, b and c are 4-byte aligned, in device memory or in host memory mapped into
 * it; c may be a or b. Any grid is right; the kernel strides over it. word may
 * be NULL: nobody polls for the end.
 */
extern "C" __global__ void vgpu_vector_add(const float *a, const float *b,
					   float *c, u64 n,
					   unsigned int *counter,
					   unsigned int *word, unsigned int seq)
{
	const u64 stride = (u64)gridDim.x * blockDim.x;
	const u64 self = (u64)blockIdx.x * blockDim.x + threadIdx.x;
	u64 head = (0 - (u64)c) % LINE_BYTES / sizeof(float);

	/* Until c begins a line, so that whole lines are written. */
	if (head > n)
		head = n;
	if (self < head)
		c[self] = __fadd_rn(a[self], b[self]);
	if (((u64)(a + head) | (u64)(b + head)) % sizeof(float4))
		add_unaligned(a + head, b + head, c + head, n - head, self,
			      stride);
	else
		add_aligned(a + head, b + head, c + head, n - head, self,
			    stride);
	if (word)
		complete(counter, word, seq);
}

/* Stores where no memory is, as a broken kernel would. */
extern "C" __global__ void vgpu_fault(void)
{
	*(volatile unsigned int *)16 = 1;
}
