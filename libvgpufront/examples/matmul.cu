// SPDX-License-Identifier: MIT
/*
 * matmul.cu - C = A * B for square matrices, row by row in memory, by tiles
 *
 * A block makes a tile of C of 32 x 32 elements. It goes along a row of tiles
 * of A and down a column of tiles of B; each pair is read into the block's shared
 * memory once and used 32 times from there. Tiles at the border are filled up
 * with zeros. Blocks are 32 x 8 threads: each makes four elements of a column.
 */
#define TILE 32
#define ROWS 8

extern "C" __global__ void matmul(unsigned int n, const float *a,
				  const float *b, float *c)
{
	/* Both are read along a row of threads: no two on the same bank. */
	__shared__ float a_tile[TILE][TILE], b_tile[TILE][TILE];
	const unsigned int x = threadIdx.x, y = threadIdx.y;
	const unsigned int col = blockIdx.x * TILE + x;
	const unsigned int row = blockIdx.y * TILE + y;
	float sum[TILE / ROWS] = {};

	for (unsigned int k = 0; k < n; k += TILE) {
		for (unsigned int r = 0; r < TILE; r += ROWS) {
			a_tile[y + r][x] =
				row + r < n && k + x < n ?
					a[(size_t)(row + r) * n + k + x] :
					0;
			b_tile[y + r][x] =
				k + y + r < n && col < n ?
					b[(size_t)(k + y + r) * n + col] :
					0;
		}
		/* Nobody computes before all of the tiles is there, */
		__syncthreads();
#pragma unroll 8
		for (unsigned int i = 0; i < TILE; i++)
#pragma unroll
			for (unsigned int r = 0; r < TILE / ROWS; r++)
				sum[r] += a_tile[y + r * ROWS][i] *
					  b_tile[i][x];
		/* and nobody fills them again while another still computes. */
		__syncthreads();
	}
#pragma unroll
	for (unsigned int r = 0; r < TILE / ROWS; r++)
		if (row + r * ROWS < n && col < n)
			c[(size_t)(row + r * ROWS) * n + col] = sum[r];
}
