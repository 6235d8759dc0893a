// SPDX-License-Identifier: MIT
/*
 * vector_add.c - the shortest useful program: add two arrays on the GPU
 *
 *   cc vector_add.c $(pkg-config --cflags --libs vgpufront)
 */
#include <stdio.h>
#include <vgpufront.h>

#define N 1024

int main(void)
{
	static float a[N], b[N], c[N];
	struct vgpu_device *dev;
	int i, err;

	for (i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = 0.5f;
	}
	err = vgpu_open(NULL, &dev);
	if (err) {
		fprintf(stderr, "vgpu_open: %s\n", vgpu_strerror(err));
		return 1;
	}
	err = vgpu_vector_add(dev, a, b, c, N);
	if (err)
		fprintf(stderr, "vgpu_vector_add: %s\n", vgpu_strerror(err));
	else
		printf("%g + %g = %g\n", a[N - 1], b[N - 1], c[N - 1]);
	vgpu_close(dev);
	return err ? 1 : 0;
}
