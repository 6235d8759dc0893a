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
/* Of a block that sums up; a power of 2. */
#define SUM_THREADS	256

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

/*
 * y[i] = fma(alpha, x[i], y[i])
 *
 * x and y are 4-byte aligned; x may be y. Any grid is right.
 */
extern "C" __global__ void vgpu_saxpy(const float *x, float *y, u64 n,
				      float alpha)
{
	const u64 stride = (u64)gridDim.x * blockDim.x;

	for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n;
	     i += stride)
		y[i] = __fmaf_rn(alpha, x[i], y[i]);
}

/* The block's sum, in its first thread; always in the same order. */
static __device__ double block_sum(double sum)
{
	__shared__ double part[SUM_THREADS];

	part[threadIdx.x] = sum;
	for (unsigned int half = SUM_THREADS / 2; half; half /= 2) {
		__syncthreads();
		if (threadIdx.x < half)
			part[threadIdx.x] += part[threadIdx.x + half];
	}
	return part[0];
}

/*
 * part[block] = sum of the block's share of in, in binary64. With the same n and
 * grid it is the same bits each time. SUM_THREADS threads a block.
 */
extern "C" __global__ void vgpu_sum_parts(const float *in, u64 n, double *part)
{
	const u64 stride = (u64)gridDim.x * SUM_THREADS;
	u64 i = (u64)blockIdx.x * SUM_THREADS + threadIdx.x;
	double sum = 0;

	for (; i < n && n - i > 3 * stride; i += 4 * stride) {
		const float a = in[i], b = in[i + stride];
		const float c = in[i + 2 * stride], d = in[i + 3 * stride];

		sum += (double)a + (double)b + ((double)c + (double)d);
	}
	for (; i < n; i += stride)
		sum += (double)in[i];
	sum = block_sum(sum);
	if (!threadIdx.x)
		part[blockIdx.x] = sum;
}

/* *out = sum of n parts. One block of SUM_THREADS threads. */
extern "C" __global__ void vgpu_sum(const double *part, unsigned int n,
				    float *out)
{
	double sum = 0;

	for (unsigned int i = threadIdx.x; i < n; i += SUM_THREADS)
		sum += part[i];
	sum = block_sum(sum);
	if (!threadIdx.x)
		*out = __double2float_rn(sum);
}

/*
 * C = alpha * op(A) * op(B) + beta * C, column-major, where cuBLAS is missing.
 *
 * A block of 16 x 16 threads makes 64 x 64 elements of C, a thread 4 x 4 of
 * them, from tiles of 16 columns of op(A) and rows of op(B) in shared memory.
 * Blocks stride over the tiles of C. With alpha 0, A and B are not read; with
 * beta 0, C is not.
 */
#define TILE		64
#define TILE_K		16
#define TILE_THREADS	16
#define TILE_EACH	(TILE / TILE_THREADS)

struct sgemm {
	const float *a, *b;
	float *c;
	u64 lda, ldb, ldc;
	unsigned int m, n, k;
	float alpha, beta;
	unsigned int trans_a, trans_b;
};

static __device__ float sgemm_a(const struct sgemm &g, u64 row, u64 col)
{
	if (row >= g.m || col >= g.k)
		return 0;
	return g.trans_a ? g.a[row * g.lda + col] : g.a[col * g.lda + row];
}

static __device__ float sgemm_b(const struct sgemm &g, u64 row, u64 col)
{
	if (row >= g.k || col >= g.n)
		return 0;
	return g.trans_b ? g.b[row * g.ldb + col] : g.b[col * g.ldb + row];
}

static __device__ void sgemm_tile(const struct sgemm &g, u64 row, u64 col)
{
	__shared__ float a[TILE_K][TILE + 1], b[TILE_K][TILE + 1];
	const unsigned int x = threadIdx.x, y = threadIdx.y;
	const unsigned int self = y * TILE_THREADS + x;
	const u64 k = g.alpha == 0 ? 0 : g.k;
	float sum[TILE_EACH][TILE_EACH] = {};

	for (u64 first = 0; first < k; first += TILE_K) {
		for (unsigned int i = self; i < TILE * TILE_K;
		     i += TILE_THREADS * TILE_THREADS) {
			a[i / TILE][i % TILE] = sgemm_a(g, row + i % TILE,
							first + i / TILE);
			b[i / TILE][i % TILE] = sgemm_b(g, first + i / TILE,
							col + i % TILE);
		}
		__syncthreads();
#pragma unroll
		for (int t = 0; t < TILE_K; t++)
#pragma unroll
			for (int i = 0; i < TILE_EACH; i++)
#pragma unroll
				for (int j = 0; j < TILE_EACH; j++)
					sum[i][j] = __fmaf_rn(
						a[t][x + i * TILE_THREADS],
						b[t][y + j * TILE_THREADS],
						sum[i][j]);
		__syncthreads();
	}
	for (int j = 0; j < TILE_EACH; j++) {
		for (int i = 0; i < TILE_EACH; i++) {
			const u64 r = row + x + i * TILE_THREADS;
			const u64 c = col + y + j * TILE_THREADS;
			float *at = g.c + c * g.ldc + r;
			float v;

			if (r >= g.m || c >= g.n)
				continue;
			v = g.alpha == 0 ? 0 : __fmul_rn(g.alpha, sum[i][j]);
			*at = g.beta == 0 ? v : __fmaf_rn(g.beta, *at, v);
		}
	}
}

extern "C" __global__ void vgpu_sgemm(const struct sgemm g)
{
	const u64 rows = ((u64)g.m + TILE - 1) / TILE;
	const u64 tiles = rows * (((u64)g.n + TILE - 1) / TILE);

	for (u64 t = blockIdx.x; t < tiles; t += gridDim.x)
		sgemm_tile(g, t % rows * TILE, t / rows * TILE);
}

/* Stores where no memory is, as a broken kernel would. */
extern "C" __global__ void vgpu_fault(void)
{
	*(volatile unsigned int *)16 = 1;
}
