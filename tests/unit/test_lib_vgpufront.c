// SPDX-License-Identifier: MIT
/*
 * test_lib_vgpufront.c - libvgpufront over a double of the module: one thread,
 * synchronous calls: any memory, any size, scarce grants, errors
 */
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lib_common.h"

#define PAGE 4096u

static void test_open_errors(void **state)
{
	struct vgpu_device *other = NULL;

	(void)state;
	fake_reset();
	assert_int_equal(vgpu_open(NULL, NULL), -EINVAL);
	fake_config.open_error = -EACCES;
	assert_int_equal(vgpu_open(NULL, &other), -EACCES);
	fake_config.open_error = 0;
	fake_config.abi = 2;
	assert_int_equal(vgpu_open(NULL, &other), -EPROTONOSUPPORT);
	assert_null(other);
	assert_int_equal(fake_counts().opened, 0);
	vgpu_close(NULL);
}

static void test_info(void **state)
{
	struct vgpu_device_info info;
	size_t i;

	(void)state;
	assert_int_equal(vgpu_get_info(dev, NULL), -EINVAL);
	memset(&info, 0xff, sizeof(info));
	assert_int_equal(vgpu_get_info(dev, &info), 0);
	assert_int_equal(info.state, VGPU_STATE_CONNECTED);
	assert_int_equal(info.lost, 0);
	assert_string_equal(info.engine, "cpu");
	assert_string_equal(info.gpu_name, "Fake processor");
	assert_string_equal(info.gpu_uuid, "");
	assert_int_equal(info.mem_total, 1 << 30);
	assert_int_equal(info.max_buffer_size, 65536ull * PAGE);
	/* The kernel's text had no NUL. */
	assert_int_equal(strlen(info.driver_version), VGPU_TEXT_LEN - 1);
	for (i = 0; i < 16; i++)
		assert_int_equal(info.reserved[i], 0);
}

static void test_strerror(void **state)
{
	(void)state;
	assert_non_null(strstr(vgpu_strerror(-ENODEV), "device lost"));
	assert_string_equal(vgpu_strerror(ENODEV), vgpu_strerror(-ENODEV));
	assert_non_null(strstr(vgpu_strerror(-ENOSPC), "grant"));
	/* From the list of the wire protocol, and from the C library. */
	assert_string_equal(vgpu_strerror(-EOPNOTSUPP),
			    "not supported by this engine");
	assert_string_equal(vgpu_strerror(-EPIPE), strerror(EPIPE));
	assert_string_equal(vgpu_strerror(0), "success");
	assert_string_equal(vgpu_strerror(-100000), "unknown error");
	assert_string_equal(vgpu_strerror(INT32_MIN), "unknown error");
	assert_string_equal(vgpu_version(), VGPU_VERSION);
}

static void test_small_is_one_ioctl(void **state)
{
	struct fake_counts before, after;

	(void)state;
	assert_int_equal(add_fresh(1024, 1), 0);
	before = fake_counts();
	assert_int_equal(add_fresh(1024, 2), 0);
	assert_int_equal(add_fresh(16384, 3), 0);
	after = fake_counts();
	assert_int_equal(after.ioctls - before.ioctls, 2);
	assert_int_equal(after.registers, 0);
	assert_int_equal(after.allocs, 1);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {
		1,     2,     3,     1023,     1025,	       16383,
		16384, 16385, 65537, 1u << 20, (1u << 20) + 1, (3u << 20) + 7};
	size_t i;

	(void)state;
	assert_int_equal(vgpu_vector_add(dev, NULL, NULL, NULL, 0), 0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(add_fresh(sizes[i], (unsigned int)i), 0);
	/* Nothing stays granted but the memory that is kept for copies. */
	assert_int_equal(fake_counts().buffers, 1);
}

static void test_values(void **state)
{
	float a[] = {INFINITY, -INFINITY, NAN, 1e-45f, -0.0f, 3e38f};
	float b[] = {1, INFINITY, 1, 1e-45f, -0.0f, 3e38f};
	float c[6];

	(void)state;
	assert_int_equal(vgpu_vector_add(dev, a, b, c, 6), 0);
	assert_true(isinf(c[0]) && isnan(c[1]) && isnan(c[2]));
	assert_true(c[3] == 2 * 1e-45f && c[3] != 0);
	assert_true(signbit(c[4]) && isinf(c[5]));
}

static void test_unaligned(void **state)
{
	static const size_t sizes[] = {5, 1024, 100000};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		size_t n = sizes[i];
		float *a = vec(n, 1), *b = vec(n, 2), *c = vec(n, 3);
		float *shifted = malloc(n * sizeof(float) + 1);

		memcpy((char *)shifted + 1, b, n * sizeof(float));
		assert_int_equal(vgpu_vector_add(dev, a,
						 (void *)((char *)shifted + 1),
						 c, n),
				 0);
		assert_int_equal(wrong(a, b, c, n), 0);
		free(a);
		free(b);
		free(c);
		free(shifted);
	}
	assert_int_equal(fake_counts().registers, 0);
}

static void test_buffers_in_place(void **state)
{
	size_t n = 3u << 20, i;
	struct vgpu_buffer *buf[3];
	struct fake_counts before;
	float *p[3];

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(vgpu_buffer_alloc(dev, n * 4, &buf[i]), 0);
		p[i] = vgpu_buffer_ptr(buf[i]);
		assert_int_equal(vgpu_buffer_size(buf[i]), n * 4);
		assert_true(p[i][0] == 0 && p[i][n - 1] == 0);
		fill(p[i], n, (unsigned int)i);
	}
	before = fake_counts();
	assert_int_equal(vgpu_vector_add(dev, p[0], p[1], p[2], n), 0);
	assert_int_equal(wrong(p[0], p[1], p[2], n), 0);
	/* A part of a buffer, too. */
	assert_int_equal(vgpu_vector_add(dev, p[0] + 5, p[1] + 9, p[2] + 1, 99),
			 0);
	assert_int_equal(wrong(p[0] + 5, p[1] + 9, p[2] + 1, 99), 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 2);
	assert_int_equal(fake_counts().buffers, 3);
	assert_int_equal(vgpu_buffer_unregister(buf[0]), -EINVAL);
	for (i = 0; i < 3; i++)
		assert_int_equal(vgpu_buffer_free(buf[i]), 0);
	assert_int_equal(fake_counts().pages, 0);
	assert_int_equal(vgpu_buffer_free(NULL), 0);
}

static void test_registered(void **state)
{
	size_t n = 100000;
	float *a = vec(n, 1), *b = vec(n, 2), *c = vec(n, 3);
	struct vgpu_buffer *ro, *rw;
	unsigned int before;

	(void)state;
	assert_int_equal(vgpu_buffer_register(dev, a, 0, 0, &ro), -EINVAL);
	assert_int_equal(vgpu_buffer_register(dev, a, n * 4, 2, &ro), -EINVAL);
	assert_int_equal(vgpu_buffer_register(dev, (char *)a + 2, n, 0, &ro),
			 -EINVAL);
	assert_int_equal(vgpu_buffer_register(dev, NULL, n, 0, &ro), -EFAULT);
	assert_int_equal(vgpu_buffer_register(dev, (void *)PAGE, 8, 0, &ro),
			 -EFAULT);
	assert_int_equal(
		vgpu_buffer_register(dev, a, n * 4, VGPU_BUFFER_READ_ONLY, &ro),
		0);
	/* Output in it is refused, until there is a buffer to write to. */
	assert_int_equal(vgpu_vector_add(dev, b, b, a, n), -EACCES);
	assert_int_equal(vgpu_buffer_register(dev, c, n * 4, 0, &rw), 0);
	before = fake_counts().registers;
	assert_int_equal(vgpu_vector_add(dev, a, b, c, n), 0);
	assert_int_equal(wrong(a, b, c, n), 0);
	assert_int_equal(fake_counts().registers - before, 1);
	/* Larger than the buffer: ordinary memory, with its own pins. */
	assert_int_equal(vgpu_buffer_free(ro), -EINVAL);
	assert_int_equal(vgpu_buffer_unregister(ro), 0);
	assert_int_equal(vgpu_buffer_register(dev, a, n * 2, 0, &ro), 0);
	assert_int_equal(vgpu_vector_add(dev, a, b, c, n), 0);
	assert_int_equal(wrong(a, b, c, n), 0);
	assert_int_equal(vgpu_buffer_unregister(ro), 0);
	assert_int_equal(vgpu_buffer_unregister(rw), 0);
	assert_int_equal(fake_counts().pages, 0);
	free(a);
	free(b);
	free(c);
}

static void test_aliases(void **state)
{
	static const size_t sizes[] = {1, 1000, 20000, (3u << 20) + 5};
	unsigned int pinned;
	size_t i, k;

	(void)state;
	for (k = 0; k < 4; k++) {
		size_t n = sizes[k];
		float *a = vec(n, 1), *b = vec(n, 2), *c = vec(n, 1);

		/* c is a, then c is b, then all are one. */
		assert_int_equal(vgpu_vector_add(dev, c, b, c, n), 0);
		assert_int_equal(wrong(a, b, c, n), 0);
		fill(c, n, 2);
		assert_int_equal(vgpu_vector_add(dev, a, c, c, n), 0);
		assert_int_equal(wrong(a, b, c, n), 0);
		fill(c, n, 1);
		assert_int_equal(vgpu_vector_add(dev, c, c, c, n), 0);
		assert_int_equal(wrong(a, a, c, n), 0);
		/* What is one memory is pinned once: for each Mi elements. */
		pinned = fake_counts().registers;
		assert_int_equal(vgpu_vector_add(dev, c, b, c, n), 0);
		if (n * sizeof(float) > 65536)
			assert_int_equal(fake_counts().registers - pinned,
					 2 * (n / (1 << 20) + 1));
		/* Inputs may overlap in any way, the output may not. */
		assert_int_equal(vgpu_vector_add(dev, a, a + 1, c, n - 1), 0);
		for (i = 0; i + 1 < n; i++)
			assert_true(c[i] == a[i] + a[i + 1]);
		if (n > 2) {
			assert_int_equal(
				vgpu_vector_add(dev, c, b, c + 1, n - 1),
				-EINVAL);
			assert_int_equal(
				vgpu_vector_add(dev, b, c + 1, c, n - 1),
				-EINVAL);
		}
		free(a);
		free(b);
		free(c);
	}
}

static void test_bad_arguments(void **state)
{
	float x[4] = {0};

	(void)state;
	assert_int_equal(vgpu_vector_add(NULL, x, x, x, 4), -EINVAL);
	assert_int_equal(vgpu_vector_add(dev, x, x, x, SIZE_MAX / 4 + 2),
			 -EINVAL);
	assert_int_equal(vgpu_vector_add(dev, NULL, x, x, 4), -EFAULT);
	assert_int_equal(vgpu_vector_add(dev, x, x, NULL, 4), -EFAULT);
	/* The end of the range lies before its start. */
	assert_int_equal(
		vgpu_vector_add(dev, x, (void *)(UINTPTR_MAX - 7), x, 1000),
		-EFAULT);
	assert_int_equal(vgpu_fence(dev, VGPU_MAX_STREAM + 1), -EINVAL);
	assert_int_equal(vgpu_fence(dev, VGPU_MAX_STREAM), 0);
	assert_int_equal(vgpu_buffer_alloc(dev, 0, NULL), -EINVAL);
}

static void test_unmapped(void **state)
{
	static const size_t sizes[] = {10, 3000, 50000};
	float *hole, *p;
	size_t i;

	(void)state;
	hole = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	assert_ptr_not_equal(hole, MAP_FAILED);
	for (i = 0; i < 3; i++) {
		p = vec(sizes[i], 0);
		assert_int_equal(vgpu_vector_add(dev, hole, p, p, sizes[i]),
				 -EFAULT);
		assert_int_equal(vgpu_vector_add(dev, p, hole, p, sizes[i]),
				 -EFAULT);
		assert_int_equal(vgpu_vector_add(dev, p, p, hole, sizes[i]),
				 -EFAULT);
		free(p);
	}
	munmap(hole, 1 << 20);
	/* The device is none the worse for it. */
	assert_int_equal(fake_counts().pinned, 0);
	assert_int_equal(add_fresh(50000, 1), 0);
}

static void test_read_only_output(void **state)
{
	float *p =
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	float x[8] = {0};

	(void)state;
	assert_int_equal(vgpu_vector_add(dev, p, p, x, 8), 0);
	assert_int_equal(vgpu_vector_add(dev, x, x, p, 8), -EFAULT);
	munmap(p, PAGE);
}

static void test_unpinnable_is_copied(void **state)
{
	size_t n = 200000;
	float *a = vec(n, 1), *b = vec(n, 2), *c = vec(n, 3);

	(void)state;
	fake_config.unpinnable = (char *)b + 300000;
	fake_config.unpinnable_size = 100;
	assert_int_equal(vgpu_vector_add(dev, a, b, c, n), 0);
	assert_int_equal(wrong(a, b, c, n), 0);
	assert_true(fake_counts().allocs > 0);
	fake_config.unpinnable = c;
	assert_int_equal(vgpu_vector_add(dev, b, a, c, n), 0);
	assert_int_equal(wrong(a, b, c, n), 0);
	free(a);
	free(b);
	free(c);
}

static void test_no_safe_copy(void **state)
{
	(void)state;
	fake_config.no_safe_copy = true;
	assert_int_equal(add_fresh(1000, 1), 0);
	assert_int_equal(add_fresh(30000, 1), 0);
}

static void test_streamed_through_a_window(void **state)
{
	struct fake_counts counts;

	(void)state;
	/* Grants for 8 MiB; the work has 48. */
	fake_config.max_pages = 2048;
	assert_int_equal(add_fresh((4u << 20) + 3, 1), 0);
	counts = fake_counts();
	assert_in_range(counts.peak_pages, 1024, 2048);
	assert_int_equal(counts.pages, 0);
}

static void test_window_overlaps(void **state)
{
	float *a = vec(8u << 20, 1), *c = vec(8u << 20, 2);
	struct vgpu_op *op;

	(void)state;
	fake_hold(0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 8u << 20, 0, &op),
			 0);
	/* Several pieces are with the backend before the first one is done. */
	assert_true(fake_counts().peak_pinned_in_flight > 1);
	fake_release(0);
	assert_int_equal(vgpu_op_wait(op, -1), 0);
	assert_int_equal(vgpu_op_result(op), 0);
	assert_int_equal(wrong(a, a, c, 8u << 20), 0);
	assert_true(vgpu_op_time_ns(op) >= 8000);
	vgpu_op_free(op);
	free(a);
	free(c);
}

static void test_scarce_grants(void **state)
{
	unsigned int pages;

	(void)state;
	/* Pinned in small pieces, copied, and at last not possible. */
	for (pages = 40; pages >= 3; pages -= pages > 10 ? 10 : 1) {
		fake_config.max_pages = pages;
		assert_int_equal(add_fresh(200001, pages), 0);
		assert_int_equal(add_fresh(1001, pages), 0);
		vgpu_close(dev);
		assert_int_equal(vgpu_open(NULL, &dev), 0);
	}
	fake_config.max_pages = 2;
	assert_int_equal(add_fresh(200000, 1), -ENOSPC);
	assert_int_equal(add_fresh(1, 1), -ENOSPC);
	assert_int_equal(fake_counts().in_flight, 0);
	fake_config.max_pages = 1000;
	assert_int_equal(add_fresh(200000, 1), 0);
}

static void test_other_limits(void **state)
{
	(void)state;
	fake_config.max_buffers = 4;
	assert_int_equal(add_fresh((4u << 20) + 1, 1), 0);
	fake_config.max_buffers = 256;
	fake_config.max_buffer_pages = 7;
	assert_int_equal(add_fresh(1u << 20, 2), 0);
	fake_config.max_requests = 1;
	assert_int_equal(add_fresh(1u << 20, 3), 0);
}

static void test_signals(void **state)
{
	(void)state;
	for (fake_config.eintr_every = 2; fake_config.eintr_every < 6;
	     fake_config.eintr_every++)
		assert_int_equal(add_fresh(3u << 20, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_errors),
		LIB_TEST(test_info),
		cmocka_unit_test(test_strerror),
		LIB_TEST(test_small_is_one_ioctl),
		LIB_TEST(test_sizes),
		LIB_TEST(test_values),
		LIB_TEST(test_unaligned),
		LIB_TEST(test_buffers_in_place),
		LIB_TEST(test_registered),
		LIB_TEST(test_aliases),
		LIB_TEST(test_bad_arguments),
		LIB_TEST(test_unmapped),
		LIB_TEST(test_read_only_output),
		LIB_TEST(test_unpinnable_is_copied),
		LIB_TEST(test_no_safe_copy),
		LIB_TEST(test_streamed_through_a_window),
		LIB_TEST(test_window_overlaps),
		LIB_TEST(test_scarce_grants),
		LIB_TEST(test_other_limits),
		LIB_TEST(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
