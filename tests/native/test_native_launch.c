// SPDX-License-Identifier: MIT
/*
 * test_native_launch.c - a guest's own kernels: library, backend, engine, whole
 *
 * The kernels of tests/conformance/kernels.ptx, on the fake driver there, or
 * with VGPU_NATIVE_REAL_CUDA=1 on the GPU. Worlds as in lib.h.
 */
#include "lib.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 1000

/* kernels_ptx.S; without a NUL at its end */
extern const unsigned char kernels_ptx[], kernels_ptx_end[];

static const struct vgpu_dim one = {1, 1, 1};

static struct vgpu_module *mod;
static struct vgpu_mem *mem;
static uint64_t address;

static int load(void)
{
	size_t size = kernels_ptx_end - kernels_ptx;
	int err = vgpu_module_load(dev, kernels_ptx, size, NULL, 0, &mod);

	if (!err)
		err = vgpu_mem_alloc(dev, N * 4, 0, &mem);
	return err ? err : vgpu_mem_address(mem, &address);
}

static int begin(void **state)
{
	(void)state;
	return lib_begin_with("cuda", NULL) ? -1 : load();
}

static int begin_asleep(void **state)
{
	static const char *const options[] = {"--poll-us", "0", NULL};

	(void)state;
	return lib_begin_with("cuda", options) ? -1 : load();
}

static struct vgpu_function *function(const char *name)
{
	struct vgpu_function *fn;

	assert_int_equal(vgpu_function_get(mod, name, &fn), 0);
	return fn;
}

/* A kernel of one parameter, an address. */
static int launch(struct vgpu_function *fn, uint64_t at, unsigned int stream)
{
	void *const params[] = {&at};

	return vgpu_launch(fn, one, one, 0, stream, params);
}

static uint32_t counted(void)
{
	uint32_t got;

	assert_int_equal(vgpu_copy_out(dev, &got, vgpu_at(mem, 0), 4, 0), 0);
	fence(0);
	return got;
}

/* saxpy(u64 x, u64 y, u32 n, f32 alpha) */
static void parameters_are_what_the_kernel_has(void **state)
{
	static const size_t offset[] = {0, 8, 16, 20}, size[] = {8, 8, 4, 4};
	struct vgpu_function *fn = function("saxpy"), *none;
	struct vgpu_buffer *buf = buffer_of(N * 4);
	float *got = vgpu_buffer_ptr(buf), x[N], alpha = 1.5f;
	struct vgpu_mem *y = mem_of(N * 4);
	uint64_t y_at;
	uint32_t n = N;
	size_t o, s;

	(void)state;
	assert_ptr_equal(function("saxpy"), fn);
	assert_int_equal(vgpu_function_params(fn), 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(vgpu_function_param(fn, i, &o, &s), 0);
		assert_int_equal(o, offset[i]);
		assert_int_equal(s, size[i]);
	}
	assert_int_equal(vgpu_function_param(fn, 4, &o, &s), -EINVAL);
	assert_int_equal(vgpu_function_get(mod, "sub", &none), -ENOENT);
	assert_int_equal(vgpu_mem_address(y, &y_at), 0);
	fill_floats(x, N, 0.7f);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), x, sizeof(x), 0),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			vgpu_launch(fn, (struct vgpu_dim){8, 1, 1},
				    (struct vgpu_dim){128, 1, 1}, 0, 0,
				    (void *[]){&address, &y_at, &n, &alpha}),
			0);
	assert_int_equal(
		vgpu_copy(dev, vgpu_in(buf, 0), vgpu_at(y, 0), N * 4, 0), 0);
	fence(0);
	for (int i = 0; i < N; i++)
		assert_true(got[i] == fmaf(1.5f, x[i], 1.5f * x[i]));
}

/* Addresses that the program does not know: of new memory, of a buffer. */
static void relocations(void **state)
{
	struct vgpu_function *fn = function("count");
	struct vgpu_buffer *buf = buffer_of(64);
	const uint64_t blob = 0;
	struct vgpu_reloc reloc = {.at = 0};
	struct vgpu_mem *fresh;
	uint32_t got[4];

	(void)state;
	assert_int_equal(vgpu_mem_alloc(dev, sizeof(got), 0, &fresh), 0);
	reloc.ref = vgpu_at(fresh, 8);
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &blob, 8, &reloc, 1), 0);
	reloc.ref = vgpu_in(buf, 8);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vgpu_launch_packed(fn, one, one, 0, 0, &blob,
						    8, &reloc, 1),
				 0);
	assert_int_equal(
		vgpu_copy_out(dev, got, vgpu_at(fresh, 0), sizeof(got), 0), 0);
	fence(0);
	assert_int_equal(got[0] + got[1] + got[3], 0);
	assert_int_equal(got[2], 1);
	assert_int_equal(((uint32_t *)vgpu_buffer_ptr(buf))[2], 3);
}

static void launches_that_do_not_fit(void **state)
{
	static const struct {
		struct vgpu_dim grid, block;
		uint32_t shared;
	} bad[] = {
		{{1, 1, 1}, {2048, 1, 1}, 0},
		{{1, 65536, 1}, {1, 1, 1}, 0},
		{{1, 1, 1}, {1, 1, 1}, 1u << 20},
		{{1, 1, 1}, {1, 1, 65}, 0},
	};
	struct vgpu_function *fn = function("nothing");
	uint64_t args[2] = {address};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(vgpu_launch(fn, bad[i].grid, bad[i].block,
					     bad[i].shared, 1, NULL),
				 0);
		assert_int_equal(vgpu_fence(dev, 1), -EDOM);
	}
	assert_int_equal(
		vgpu_launch(fn, (struct vgpu_dim){0, 1, 1}, one, 0, 1, NULL),
		-EINVAL);
	fence(1);
	/* Arguments too short, too long. */
	fn = function("count");
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 1, args, 4, NULL, 0), 0);
	assert_int_equal(vgpu_fence(dev, 1), -EDOM);
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 1, args, 16, NULL, 0), 0);
	assert_int_equal(vgpu_fence(dev, 1), -EDOM);
	/* All goes on. */
	assert_int_equal(launch(fn, address, 0), 0);
	assert_int_equal(counted(), 1);
}

static void bad_images_are_explained(void **state)
{
	static const char bad[] = ".version 6.0\n.target sm_70\n"
				  ".address_size 64\n"
				  ".visible .entry f() { bad.instruction; }\n";
	struct vgpu_module *none;
	char log[2000] = "x";

	(void)state;
	assert_int_equal(vgpu_module_load(dev, bad, sizeof(bad), log,
					  sizeof(log), &none),
			 -ENOEXEC);
	assert_non_null(strstr(log, "bad"));
	assert_int_equal(
		vgpu_module_load(dev, "\177ELF", 4, log, sizeof(log), &none),
		-ENOEXEC);
}

/* Images travel in a buffer: neither ring nor arena bounds them. */
static void an_image_larger_than_the_arena(void **state)
{
	size_t size = kernels_ptx_end - kernels_ptx;
	char *image = malloc(2 * MI);

	(void)state;
	assert_non_null(image);
	memcpy(image, kernels_ptx, size);
	memset(image + size, '\n', 2 * MI - size);
	assert_int_equal(vgpu_module_unload(mod), 0);
	assert_int_equal(vgpu_module_load(dev, image, 2 * MI, NULL, 0, &mod),
			 0);
	assert_int_equal(launch(function("count"), address, 0), 0);
	assert_int_equal(counted(), 1);
	free(image);
}

/* One system call and at most one event, however many there are. */
static void a_batch_of_launches(void **state)
{
	enum { BATCH = 64, TIMES = 50 };
	struct vgpu_function *fn = function("count");
	struct device_counts before, after;

	(void)state;
	for (int t = 0; t < TIMES; t++) {
		before = device_counts();
		vgpu_batch_begin(dev);
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(launch(fn, address, 0), 0);
		assert_int_equal(vgpu_batch_end(dev), 0);
		after = device_counts();
		assert_int_equal(after.enters - before.enters, 1);
		assert_int_equal(after.requests - before.requests, BATCH);
		assert_in_range(after.notify_sent - before.notify_sent, 0, 1);
		fence(0);
	}
	assert_int_equal(counted(), BATCH * TIMES);
}

/* Launched, then unloaded: it runs all the same. */
static void unload_waits_for_launches(void **state)
{
	struct vgpu_function *fn = function("count");
	struct vgpu_device_info info;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(launch(fn, address, 0), 0);
	assert_int_equal(vgpu_module_unload(mod), 0);
	assert_int_equal(counted(), 1000);
	assert_int_equal(vgpu_get_info(dev, &info), 0);
	/* The memory alone. */
	assert_int_equal(info.nr_objects, 1);
	assert_int_equal(info.launches, 1000);
}

/*
 * The worker ends with the GPU's context. Both go out together: a fence that
 * comes after the loss is told of the loss alone. Another guest's worker stays.
 */
static void a_fault_loses_the_device(void **state)
{
	struct vgpu_function *fn = function("store");
	struct vgpu_module *again;
	pid_t worker;

	(void)state;
	assert_true(neighbour_begin());
	worker = neighbour_worker();
	vgpu_batch_begin(dev);
	assert_int_equal(launch(fn, 64, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), -EIO);
	vgpu_batch_end(dev);
	assert_int_equal(vgpu_fence(dev, 0), -ENODEV);
	assert_int_equal(vgpu_module_load(dev, kernels_ptx,
					  kernels_ptx_end - kernels_ptx, NULL,
					  0, &again),
			 -ENODEV);
	assert_int_equal(neighbour_works(), 0);
	assert_int_equal(neighbour_worker(), worker);
	assert_true(neighbour_end());
}

/* What it takes: the time limit is for that, too. */
static int begin_beside(struct vgpu_function **fn)
{
	int err = load();

	if (!err)
		err = vgpu_function_get(mod, "spin", fn);
	return err ? err : neighbour_works();
}

/*
 * Another guest works meanwhile and after it, and its worker stays the same. 0, or
 * -ETIME where something else than the kernel exceeded the time limit.
 */
static int is_ended_beside_another(void)
{
	pid_t worker = neighbour_worker();
	struct vgpu_function *fn;
	struct vgpu_op *op;
	int err = begin_beside(&fn);

	if (err)
		return err;
	/* Both go out together, as above. */
	vgpu_batch_begin(dev);
	assert_int_equal(launch(fn, address, 0), 0);
	assert_int_equal(vgpu_fence_async(dev, 0, &op), 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	err = neighbour_works();
	assert_int_equal(vgpu_op_wait(op, -1), 0);
	assert_int_equal(vgpu_op_result(op), -ETIME);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_fence(dev, 0), -ENODEV);
	if (!err)
		err = neighbour_works();
	if (!err)
		assert_int_equal(neighbour_worker(), worker);
	return err;
}

static int end_if_begun(void **state)
{
	return dev ? lib_end(state) : 0;
}

/*
 * The limit is for all that the guests do: on a busy machine even what is brief may
 * exceed it, or what their engines try before they are connected. Then, and only
 * then, once more with more time.
 */
static void a_kernel_that_never_ends_is_ended(void **state)
{
	static const char *const limits[] = {"300", "2000", "15000"};
	bool ended = false;
	int err = -ETIME;

	(void)state;
	for (unsigned int i = 0; i < 3 && err == -ETIME; i++) {
		const char *const options[] = {"--max-launch-ms", limits[i],
					       NULL};

		if (lib_begin_with("cuda", options))
			continue;
		if (neighbour_begin())
			err = is_ended_beside_another();
		ended = neighbour_end();
		ended &= !lib_end(NULL);
	}
	assert_int_equal(err, 0);
	assert_true(ended);
}

#define LAUNCH_TEST(name, setup)                                               \
	cmocka_unit_test_setup_teardown(name, setup, lib_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAUNCH_TEST(parameters_are_what_the_kernel_has, begin),
		LAUNCH_TEST(relocations, begin),
		LAUNCH_TEST(launches_that_do_not_fit, begin),
		LAUNCH_TEST(bad_images_are_explained, begin),
		LAUNCH_TEST(an_image_larger_than_the_arena, begin),
		LAUNCH_TEST(a_batch_of_launches, begin_asleep),
		LAUNCH_TEST(unload_waits_for_launches, begin),
		LAUNCH_TEST(a_fault_loses_the_device, begin),
		cmocka_unit_test_teardown(a_kernel_that_never_ends_is_ended,
					  end_if_begun),
	};

	if (!lib_has_cuda()) {
		puts("1..0 # SKIP built without the CUDA toolkit");
		return 0;
	}
	lib_limit_time();
	return cmocka_run_group_tests_name("native launches", tests, NULL,
					   NULL);
}
