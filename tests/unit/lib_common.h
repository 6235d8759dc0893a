/* SPDX-License-Identifier: MIT */
/*
 * lib_common.h - what the tests of libvgpufront over the double share: a
 * device, data, and the check of a sum, bit for bit
 */
#ifndef LIB_COMMON_H
#define LIB_COMMON_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libvgpufront/vgpufront.h"
#include "fake_vgpufront.h"

#define MS 1000000ll

static struct vgpu_device *dev;

static inline int setup(void **state)
{
	(void)state;
	fake_reset();
	return vgpu_open(NULL, &dev);
}

static inline int teardown(void **state)
{
	(void)state;
	vgpu_close(dev);
	dev = NULL;
	return fake_counts().opened || fake_counts().buffers;
}

/* Numbers that differ from one element to the next, and from seed to seed. */
static inline void fill(float *p, size_t n, unsigned int seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)((i * 2654435761u + seed * 40503u) & 0xffff) /
		       (float)(seed + 3);
}

static inline float *vec(size_t n, unsigned int seed)
{
	float *p = calloc(n + 1, sizeof(*p));

	if (p)
		fill(p, n, seed);
	return p;
}

/* How many elements of c are not a + b; c must not be a or b. */
static inline size_t wrong(const float *a, const float *b, const float *c,
			   size_t n)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++) {
		float sum = a[i] + b[i];

		bad += memcmp(&sum, &c[i], sizeof(sum)) != 0;
	}
	return bad;
}

/* Adds n elements of fresh memory and checks them. */
static inline int add_fresh(size_t n, unsigned int seed)
{
	float *a = vec(n, seed), *b = vec(n, seed + 1), *c = vec(n, seed + 2);
	int err = vgpu_vector_add(dev, a, b, c, n);

	if (!err && wrong(a, b, c, n))
		err = -EBADMSG;
	free(a);
	free(b);
	free(c);
	return err;
}

static inline bool readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static inline void await_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, -1), 1);
}

#define LIB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif /* LIB_COMMON_H */
