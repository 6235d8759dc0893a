// SPDX-License-Identifier: MIT
/*
 * kernels.cu - the built-in kernels, as they run on the GPU
 *
 * Built into one fat binary: machine code for sm_90 and PTX for the rest.
 * Arithmetic is IEEE 754 binary32, round to nearest even, subnormals kept.
 */

/*
 * c[i] = a[i] + b[i]
 *
 * a, b and c are 16-byte aligned, in device memory or in host memory mapped
 * into it, and do not overlap. Any grid is right; the kernel strides over it.
 */
extern "C" __global__ void vgpu_vector_add(const float *a, const float *b,
					   float *c, unsigned long long n)
{
	const unsigned long long stride =
		(unsigned long long)gridDim.x * blockDim.x;
	const unsigned long long self =
		(unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
	const unsigned long long n4 = n / 4;
	const float4 *a4 = (const float4 *)a;
	const float4 *b4 = (const float4 *)b;
	float4 *c4 = (float4 *)c;
	unsigned long long i;

	for (i = self; i < n4; i += stride) {
		const float4 x = a4[i];
		const float4 y = b4[i];

		c4[i] = make_float4(__fadd_rn(x.x, y.x), __fadd_rn(x.y, y.y),
				    __fadd_rn(x.z, y.z), __fadd_rn(x.w, y.w));
	}
	for (i = n4 * 4 + self; i < n; i += stride)
		c[i] = __fadd_rn(a[i], b[i]);
}
