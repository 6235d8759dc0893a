// SPDX-License-Identifier: MIT
/*
 * async_poll.c - several additions in flight, on streams of their own, in an
 * event loop that sleeps in poll(2)
 *
 *   cc async_poll.c $(pkg-config --cflags --libs vgpufront)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <vgpufront.h>

#define OPS 8
#define N 65536

static int add_all(struct vgpu_device *dev, const float *in, float *out)
{
	struct pollfd pfd = {.fd = vgpu_fd(dev), .events = POLLIN};
	struct vgpu_op *ops[OPS] = {NULL};
	int i, n, err, started = 0, left, ret = pfd.fd < 0 ? pfd.fd : 0;

	/* ops[i] computes out[i * N ...] = in + in */
	while (!ret && started < OPS) {
		ret = vgpu_vector_add_async(dev, in, in, out + started * N, N,
					    (unsigned int)started,
					    &ops[started]);
		started += !ret;
	}
	for (left = started; left > 0; left -= n) {
		/* Other descriptors of the program would be polled here too. */
		poll(&pfd, 1, -1);
		n = vgpu_process(dev);
		if (n < 0)
			break;
		if (n)
			printf("%d finished, %d to go\n", n, left - n);
	}
	for (i = 0; i < started; i++) {
		err = vgpu_op_result(ops[i]);
		if (err)
			fprintf(stderr, "operation %d: %s\n", i,
				vgpu_strerror(err));
		ret = ret ? ret : err;
		vgpu_op_free(ops[i]);
	}
	return ret;
}

int main(void)
{
	float *in = malloc(N * sizeof(*in));
	float *out = malloc(OPS * N * sizeof(*out));
	struct vgpu_device *dev;
	int i, err;

	if (!in || !out)
		return 1;
	for (i = 0; i < N; i++)
		in[i] = (float)i;
	err = vgpu_open(NULL, &dev);
	if (err) {
		fprintf(stderr, "vgpu_open: %s\n", vgpu_strerror(err));
		return 1;
	}
	err = add_all(dev, in, out);
	if (err)
		fprintf(stderr, "failed: %s\n", vgpu_strerror(err));
	else
		printf("out[%d] = %g\n", OPS * N - 1, out[OPS * N - 1]);
	vgpu_close(dev);
	free(out);
	free(in);
	return err ? 1 : 0;
}
