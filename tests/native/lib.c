// SPDX-License-Identifier: MIT
/*
 * lib.c - a guest and its open device, for tests (see lib.h)
 */
#include "lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_GRANTS 32768
#define LIMIT_S 1200

struct vgpu_device *dev;

static bool real_cuda(void)
{
	return getenv("VGPU_NATIVE_REAL_CUDA");
}

int lib_begin_with(const char *engine, const char *const *options)
{
	const struct guest_mode mode = {
		.engine = engine,
		.options = options,
		.max_grants = MAX_GRANTS,
	};

	return guest_begin(&mode) ? vgpu_open(NULL, &dev) : -1;
}

int lib_begin(void **state)
{
	(void)state;
	return lib_begin_with(real_cuda() ? "cuda" : "cpu", NULL);
}

int lib_begin_asleep(void **state)
{
	static const char *const options[] = {"--poll-us", "0", NULL};

	(void)state;
	return lib_begin_with(real_cuda() ? "cuda" : "cpu", options);
}

int lib_end(void **state)
{
	(void)state;
	vgpu_close(dev);
	dev = NULL;
	return guest_end() ? 0 : -1;
}

void lib_limit_time(void)
{
	alarm(LIMIT_S);
}

/* build/native/<variant>/bin/<program> -> build/test/fake */
bool lib_has_cuda(void)
{
	char path[4096], file[4200];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	if (real_cuda())
		return true;
	if (n <= 0)
		return false;
	path[n] = '\0';
	for (int up = 0; up < 4; up++)
		*strrchr(path, '/') = '\0';
	strcat(path, "/test/fake");
	snprintf(file, sizeof(file), "%s/libcuda.so.1", path);
	/* For the backend. */
	setenv("LD_LIBRARY_PATH", path, 1);
	return !access(file, R_OK);
}

struct vgpu_mem *mem_of(size_t size)
{
	struct vgpu_mem *mem;

	assert_int_equal(vgpu_mem_alloc(dev, size, 0, &mem), 0);
	assert_int_equal(vgpu_mem_size(mem), size);
	return mem;
}

struct vgpu_buffer *buffer_of(size_t size)
{
	struct vgpu_buffer *buf;

	assert_int_equal(vgpu_buffer_alloc(dev, size, &buf), 0);
	return buf;
}

void fence(unsigned int stream)
{
	assert_int_equal(vgpu_fence(dev, stream), 0);
}

void backend_is_empty(void)
{
	struct vgpu_device_info info;

	assert_int_equal(vgpu_get_info(dev, &info), 0);
	assert_int_equal(info.nr_objects, 0);
	assert_int_equal(info.mem_used, 0);
	assert_in_range(info.nr_buffers, 0, 1);
}

void fill_bytes(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (i + seed) * 2654435761u >> 24;
}

void fill_floats(float *p, size_t n, float step)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (float)(i % 1021) * step;
}
