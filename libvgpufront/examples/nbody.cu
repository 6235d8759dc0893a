// SPDX-License-Identifier: MIT
/*
 * nbody.cu - bodies that attract each other: one step of time
 *
 * Each thread moves one body by the pull of all n. A block reads the bodies in
 * turns, as many as it has threads, into its shared memory, so that each is read
 * from there by all of them. A body is x, y, z and its mass; n need not be a
 * multiple of a block: bodies beyond the end have no mass.
 */
#define THREADS 128

extern "C" __global__ void nbody_step(unsigned int n, float dt, float eps2,
				      const float4 *from, float4 *to,
				      float4 *velocity)
{
	__shared__ float4 turn[THREADS];
	const unsigned int self = blockIdx.x * THREADS + threadIdx.x;
	const float4 none = make_float4(0, 0, 0, 0);
	float4 body = self < n ? from[self] : none;
	float3 pull = make_float3(0, 0, 0);

	for (unsigned int base = 0; base < n; base += THREADS) {
		const unsigned int other = base + threadIdx.x;

		turn[threadIdx.x] = other < n ? from[other] : none;
		__syncthreads();
#pragma unroll 8
		for (unsigned int i = 0; i < THREADS; i++) {
			const float dx = turn[i].x - body.x;
			const float dy = turn[i].y - body.y;
			const float dz = turn[i].z - body.z;
			/* eps2 keeps it finite where two bodies meet. */
			const float inv = rsqrtf(dx * dx + dy * dy + dz * dz +
						 eps2);
			const float s = turn[i].w * inv * inv * inv;

			pull.x += dx * s;
			pull.y += dy * s;
			pull.z += dz * s;
		}
		__syncthreads();
	}
	if (self >= n)
		return;
	/* First the speed, then the place with it: this keeps the energy. */
	float4 v = velocity[self];

	v.x += pull.x * dt;
	v.y += pull.y * dt;
	v.z += pull.z * dt;
	body.x += v.x * dt;
	body.y += v.y * dt;
	body.z += v.z * dt;
	velocity[self] = v;
	to[self] = body;
}
