// SPDX-License-Identifier: MIT
/*
 * keep.c - holds results of a device in memory, across whatever happens
 *
 * Runs in a guest of the bed, on libvgpufront, until its device is lost. The
 * device fills two buffers with the number of the round, one of the module's
 * pages, one of the program's own; the program sleeps, and then checks each word.
 * It never writes to them itself, so nothing but the device's writes is what a
 * guest that is moved meanwhile has to take along.
 *
 *   keep
 *
 * Prints "round 1" and so on, and at last "lost after 12 rounds, 0 errors".
 */
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "libvgpufront/vgpufront.h"

#define SIZE (1u << 20)

struct held {
	struct vgpu_buffer *buf;
	const uint32_t *data;
};

static int die(const char *what, int err)
{
	printf("FAILED: %s: %s\n", what, vgpu_strerror(err));
	return 2;
}

static int make(struct vgpu_device *dev, struct held h[2])
{
	void *own = aligned_alloc(4096, SIZE);
	int err;

	if (!own)
		return -ENOMEM;
	h[1].data = own;
	err = vgpu_buffer_register(dev, own, SIZE, 0, &h[1].buf);
	if (err)
		return err;
	err = vgpu_buffer_alloc(dev, SIZE, &h[0].buf);
	if (!err)
		h[0].data = vgpu_buffer_ptr(h[0].buf);
	return err;
}

static int fill(struct vgpu_device *dev, const struct held h[2], uint32_t round)
{
	int err = vgpu_fill(dev, vgpu_in(h[0].buf, 0), round, 4, SIZE, 0);

	if (!err)
		err = vgpu_fill(dev, vgpu_in(h[1].buf, 0), round, 4, SIZE, 0);
	return err ? err : vgpu_fence(dev, 0);
}

static unsigned int wrong(const struct held *h, uint32_t round)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIZE / 4; i++)
		n += h->data[i] != round;
	return n;
}

int main(void)
{
	const struct timespec pause = {.tv_nsec = 300000000};
	struct vgpu_device *dev;
	unsigned int errors = 0;
	struct held h[2];
	uint32_t round = 0;
	int err = vgpu_open(NULL, &dev);

	if (!err)
		err = make(dev, h);
	if (err)
		return die("begin", err);
	while (!(err = fill(dev, h, round + 1))) {
		printf("round %u\n", ++round);
		fflush(stdout);
		nanosleep(&pause, NULL);
		errors += wrong(&h[0], round) + wrong(&h[1], round);
	}
	if (err != -ENODEV)
		return die("fill", err);
	printf("lost after %u rounds, %u errors\n", round, errors);
	return errors != 0;
}
