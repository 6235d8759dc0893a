// SPDX-License-Identifier: MIT
/*
 * pipeline.cu - many rounds of x = x * a + c, modulo 2^32, for each element
 *
 * Work of a length that can be chosen, and a result that is known exactly: so
 * many rounds are one round with another a and c.
 */
extern "C" __global__ void scramble(unsigned int *data, unsigned int n,
				    unsigned int a, unsigned int c,
				    unsigned int rounds)
{
	const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= n)
		return;
	unsigned int x = data[i];

	for (unsigned int round = 0; round < rounds; round++)
		x = x * a + c;
	data[i] = x;
}
