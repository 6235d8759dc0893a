// SPDX-License-Identifier: MIT
/*
 * test_lib_launch.c - libvgpufront over a double of the module: modules,
 * functions, launches, batches, and how many system calls they take
 */
#include <sys/mman.h>

#include "lib_common.h"

static const char image[] = ".version 7.0\n"
			    ".visible .entry saxpy(\n"
			    ".visible .entry append(\n"
			    ".visible .entry nothing(\n"
			    ".visible .entry outside(\n"
			    ".visible .entry huge(\n";

static const struct vgpu_dim one = {1, 1, 1};

static struct vgpu_module *load(void)
{
	struct vgpu_module *mod;

	assert_int_equal(
		vgpu_module_load(dev, image, sizeof(image) - 1, NULL, 0, &mod),
		0);
	return mod;
}

static struct vgpu_function *get(struct vgpu_module *mod, const char *name)
{
	struct vgpu_function *fn;

	assert_int_equal(vgpu_function_get(mod, name, &fn), 0);
	return fn;
}

/* A list for the kernel "append" of the double. */
static struct vgpu_mem *list_of(size_t n, uint64_t *address)
{
	struct vgpu_mem *mem;

	assert_int_equal(vgpu_mem_alloc(dev, 4 * (n + 1), 0, &mem), 0);
	assert_int_equal(vgpu_mem_address(mem, address), 0);
	return mem;
}

static void append(struct vgpu_function *fn, uint64_t list, uint32_t value,
		   unsigned int stream)
{
	void *params[] = {&list, &value};

	assert_int_equal(vgpu_launch(fn, one, one, 0, stream, params), 0);
}

/* The list has 0 ... n - 1 in this order. */
static void check_list(struct vgpu_mem *mem, uint32_t n, unsigned int stream)
{
	uint32_t *p = calloc(n + 1, 4), i;

	assert_int_equal(
		vgpu_copy_out(dev, p, vgpu_at(mem, 0), 4 * (n + 1), stream), 0);
	assert_int_equal(vgpu_fence(dev, stream), 0);
	assert_int_equal(p[0], n);
	for (i = 0; i < n; i++)
		assert_int_equal(p[i + 1], i);
	free(p);
}

static void test_module(void **state)
{
	static const uint32_t fatbin[] = {0xba55ed50, 1, 2, 3};
	struct vgpu_module *mod;
	char log[64];

	(void)state;
	memset(log, 'x', sizeof(log));
	assert_int_equal(vgpu_module_load(dev, image, sizeof(image), log,
					  sizeof(log), &mod),
			 0);
	assert_string_equal(log, "");
	assert_int_equal(vgpu_module_unload(mod), 0);
	/* The compiler's text, cut to what there is room for. */
	assert_int_equal(
		vgpu_module_load(dev, "nonsense", 8, log, sizeof(log), &mod),
		-ENOEXEC);
	assert_non_null(strstr(log, "ptxas error"));
	assert_int_equal(vgpu_module_load(dev, "nonsense", 8, log, 6, &mod),
			 -ENOEXEC);
	assert_string_equal(log, "ptxas");
	/* No image at all: nobody is asked. */
	assert_int_equal(vgpu_module_load(dev, "\x01\x02\x03", 3, log, 6, &mod),
			 -ENOEXEC);
	assert_string_equal(log, "");
	assert_int_equal(vgpu_module_load(dev, "\0\0", 2, NULL, 0, &mod),
			 -ENOEXEC);
	assert_int_equal(vgpu_module_load(dev, image, 0, NULL, 0, &mod),
			 -EINVAL);
	assert_int_equal(vgpu_module_load(dev, image, 4, log, 0, &mod),
			 -EINVAL);
	assert_int_equal(
		vgpu_module_load(dev, image, (64 << 20) + 1, NULL, 0, &mod),
		-E2BIG);
	assert_int_equal(vgpu_module_load(dev,
					  "\x7f"
					  "ELF...",
					  7, NULL, 0, &mod),
			 0);
	assert_int_equal(vgpu_module_unload(mod), 0);
	assert_int_equal(
		vgpu_module_load(dev, fatbin, sizeof(fatbin), NULL, 0, &mod),
		0);
	assert_int_equal(vgpu_module_unload(mod), 0);
	assert_int_equal(vgpu_module_unload(NULL), 0);
	assert_int_equal(fake_counts().objects, 0);
	assert_int_equal(fake_counts().buffers, 0);
}

static void test_function(void **state)
{
	struct vgpu_module *mod = load(), *again;
	struct vgpu_function *fn, *same;
	static char longest[1100];
	size_t offset, size;
	unsigned int before;

	(void)state;
	fn = get(mod, "saxpy");
	before = fake_counts().ioctls;
	same = get(mod, "saxpy");
	assert_ptr_equal(fn, same);
	assert_int_equal(fake_counts().ioctls, before);
	assert_int_equal(vgpu_function_params(fn), 4);
	assert_int_equal(vgpu_function_param(fn, 2, &offset, &size), 0);
	assert_int_equal(offset, 16);
	assert_int_equal(size, 8);
	assert_int_equal(vgpu_function_param(fn, 4, &offset, &size), -EINVAL);
	assert_int_equal(vgpu_function_get(mod, "sax", &fn), -ENOENT);
	assert_int_equal(vgpu_function_get(mod, "", &fn), -EINVAL);
	assert_int_equal(vgpu_function_get(mod, "a\nb", &fn), -EINVAL);
	memset(longest, 'a', 1024);
	assert_int_equal(vgpu_function_get(mod, longest, &fn), -EINVAL);
	longest[1023] = '\0';
	assert_int_equal(vgpu_function_get(mod, longest, &fn), -ENOENT);
	/* A backend that says what can not be: launches would go wrong by it. */
	assert_int_equal(vgpu_function_get(mod, "outside", &fn), -EPROTO);
	assert_int_equal(vgpu_function_get(mod, "huge", &fn), -EPROTO);
	assert_int_equal(vgpu_module_unload(mod), 0);
	assert_int_equal(fake_counts().objects, 0);
	/* Their numbers are used again. */
	again = load();
	get(again, "saxpy");
	get(again, "append");
	assert_int_equal(vgpu_module_unload(again), 0);
	assert_int_equal(fake_counts().objects, 0);
}

/* A kernel that runs for ever is in nobody's way but its stream's. */
static void test_load_beside_work(void **state)
{
	struct vgpu_module *mod = load();
	struct vgpu_function *fn = get(mod, "nothing");

	(void)state;
	fake_hold(0);
	fake_hold(1);
	assert_int_equal(vgpu_launch(fn, one, one, 0, 0, NULL), 0);
	assert_int_equal(vgpu_launch(fn, one, one, 0, 1, NULL), 0);
	/* Waits for nothing, and unloading does not disturb the launches. */
	assert_int_equal(vgpu_module_unload(mod), 0);
	mod = load();
	get(mod, "append");
	fake_release(0);
	fake_release(1);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(vgpu_fence(dev, 1), 0);
}

static void test_launch(void **state)
{
	enum { N = 500 };
	struct vgpu_function *fn = get(load(), "saxpy");
	float *x = vec(N, 1), *y = vec(N, 2), *out = vec(N, 3);
	float a = 0.25f;
	uint32_t n = N;
	struct vgpu_mem *mx, *my;
	uint64_t px, py;
	void *params[] = {&a, &px, &py, &n};
	int i;

	(void)state;
	assert_int_equal(vgpu_mem_alloc(dev, N * 4, 0, &mx), 0);
	assert_int_equal(vgpu_mem_alloc(dev, N * 4, 0, &my), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mx, 0), x, N * 4, 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(my, 0), y, N * 4, 0), 0);
	assert_int_equal(vgpu_mem_address(mx, &px), 0);
	assert_int_equal(vgpu_mem_address(my, &py), 0);
	assert_int_equal(vgpu_launch(fn, (struct vgpu_dim){2, 1, 1},
				     (struct vgpu_dim){256, 1, 1}, 0, 0,
				     params),
			 0);
	/* Copied before the call returned. */
	a = 7;
	n = 0;
	assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(my, 0), N * 4, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	for (i = 0; i < N; i++)
		assert_true(out[i] == 0.25f * x[i] + y[i]);
	free(x);
	free(y);
	free(out);
}

static void test_launch_packed(void **state)
{
	struct vgpu_function *fn = get(load(), "saxpy");
	struct vgpu_mem *mx;
	struct vgpu_buffer *buf, *ro;
	struct {
		float a;
		uint32_t pad;
		uint64_t x, y;
		uint32_t n;
	} args = {2, 0, 0, 0, 4};
	struct vgpu_reloc relocs[2];
	float *y;

	(void)state;
	assert_int_equal(vgpu_buffer_alloc(dev, 4096, &buf), 0);
	y = vgpu_buffer_ptr(buf);
	y[10] = 1;
	fake_hold(0);
	/* The memory is used before anybody knows its address. */
	assert_int_equal(vgpu_mem_alloc(dev, 64, 0, &mx), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mx, 0), 0x40400000, 4, 64, 0),
			 0);
	relocs[0] = (struct vgpu_reloc){vgpu_at(mx, 8), 8};
	relocs[1] = (struct vgpu_reloc){vgpu_in(buf, 40), 16};
	assert_int_equal(vgpu_launch_packed(fn, one,
					    (struct vgpu_dim){32, 1, 1}, 0, 0,
					    &args, 28, relocs, 2),
			 0);
	memset(relocs, 0xff, sizeof(relocs));
	assert_int_equal(vgpu_mem_free(mx, 0), 0);
	fake_release(0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_true(y[10] == 7 && y[11] == 6 && y[13] == 6 && y[14] == 0);
	/* A blob that is not the function's. */
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 24, NULL, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), -EDOM);
	relocs[0] = (struct vgpu_reloc){vgpu_in(buf, 4097), 8};
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 28, relocs, 1),
		-ERANGE);
	relocs[0] = (struct vgpu_reloc){vgpu_in(buf, 0), 12};
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 28, relocs, 1),
		-EINVAL);
	relocs[0].at = 24;
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 28, relocs, 1),
		-EINVAL);
	relocs[0].at = 8;
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 28, relocs, 65),
		-EINVAL);
	assert_int_equal(vgpu_buffer_register(dev, &args, 16,
					      VGPU_BUFFER_READ_ONLY, &ro),
			 0);
	relocs[0].ref = vgpu_in(ro, 0);
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 28, relocs, 1),
		-EACCES);
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, &args, 4097, NULL, 0),
		-EINVAL);
	assert_int_equal(
		vgpu_launch_packed(fn, one, one, 0, 0, NULL, 28, NULL, 0),
		-EINVAL);
}

static void test_launch_errors(void **state)
{
	struct vgpu_module *mod = load();
	struct vgpu_function *fn = get(mod, "nothing");
	struct vgpu_function *append_fn = get(mod, "append");
	struct vgpu_dim bad[] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
	void *null[2] = {NULL, NULL};
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(vgpu_launch(fn, bad[i], one, 0, 0, NULL),
				 -EINVAL);
		assert_int_equal(vgpu_launch(fn, one, bad[i], 0, 0, NULL),
				 -EINVAL);
	}
	assert_int_equal(vgpu_launch(fn, one, (struct vgpu_dim){65536, 1, 1}, 0,
				     0, NULL),
			 -EDOM);
	assert_int_equal(vgpu_launch(NULL, one, one, 0, 0, NULL), -EINVAL);
	assert_int_equal(vgpu_launch(fn, one, one, 0, 65536, NULL), -EINVAL);
	assert_int_equal(vgpu_launch(append_fn, one, one, 0, 0, NULL), -EINVAL);
	assert_int_equal(vgpu_launch(append_fn, one, one, 0, 0, null), -EINVAL);
	assert_int_equal(fake_counts().quiet, 0);
	/* Sizes that only the backend knows to be wrong. */
	assert_int_equal(
		vgpu_launch(fn, one, (struct vgpu_dim){2048, 1, 1}, 0, 0, NULL),
		0);
	assert_int_equal(vgpu_fence(dev, 0), -EDOM);
}

/* One system call each, none that waits, none to reap. */
static void test_one_call_a_launch(void **state)
{
	struct vgpu_function *fn = get(load(), "append");
	struct fake_counts before;
	uint64_t at;
	struct vgpu_mem *list = list_of(1000, &at);
	uint32_t i;

	(void)state;
	before = fake_counts();
	for (i = 0; i < 100; i++)
		append(fn, at, i, 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 100);
	assert_int_equal(fake_counts().quiet - before.quiet, 100);
	/* A fence and its answer are one more. */
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 101);
	check_list(list, 100, 0);
}

static void test_batches(void **state)
{
	struct vgpu_function *fn = get(load(), "append");
	struct fake_counts before;
	uint64_t at;
	struct vgpu_mem *list = list_of(1000, &at);
	uint32_t i;

	(void)state;
	assert_int_equal(vgpu_batch_end(dev), -EINVAL);
	before = fake_counts();
	vgpu_batch_begin(dev);
	vgpu_batch_begin(dev);
	for (i = 0; i < 63; i++)
		append(fn, at, i, 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	/* Still collected: not the last end. */
	assert_int_equal(fake_counts().ioctls, before.ioctls);
	append(fn, at, i++, 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 1);
	assert_int_equal(fake_counts().peak_batch, 64);
	for (; i < 640; i++)
		append(fn, at, i, 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 10);
	append(fn, at, i++, 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 11);
	assert_int_equal(fake_counts().requests - before.requests, 641);
	check_list(list, 641, 0);
	/* Whoever waits sends; and the work and the wait are one call. */
	vgpu_batch_begin(dev);
	append(fn, at, i++, 0);
	append(fn, at, i++, 0);
	before = fake_counts();
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 1);
	assert_int_equal(fake_counts().requests - before.requests, 3);
	assert_int_equal(vgpu_batch_end(dev), 0);
	check_list(list, 643, 0);
}

/* All kinds of work in one batch, in order. */
static void test_mixed_batch(void **state)
{
	struct vgpu_function *fn = get(load(), "append");
	struct vgpu_mem *list, *mem;
	struct fake_counts before;
	struct vgpu_event *ev;
	uint32_t zero = 0, i;
	uint64_t at;

	(void)state;
	list = list_of(100, &at);
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	before = fake_counts();
	vgpu_batch_begin(dev);
	for (i = 0; i < 10; i++) {
		assert_int_equal(vgpu_mem_alloc(dev, 64, 0, &mem), 0);
		append(fn, at, i, 0);
		assert_int_equal(vgpu_event_record(ev, 0), 0);
		assert_int_equal(vgpu_event_wait(ev, 0), 0);
		assert_int_equal(vgpu_mem_free(mem, 0), 0);
	}
	assert_int_equal(fake_counts().enters, before.enters);
	assert_int_equal(vgpu_batch_end(dev), 0);
	assert_int_equal(fake_counts().enters - before.enters, 1);
	check_list(list, 10, 0);
	/* The same behind a copy that must be brought first. */
	vgpu_batch_begin(dev);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(list, 0), &zero, 4, 0), 0);
	for (i = 0; i < 10; i++)
		append(fn, at, i, 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	check_list(list, 10, 0);
}

/* Arguments of the largest size: batches are cut to what there is room for. */
static void test_large_arguments(void **state)
{
	static unsigned char args[4096];
	struct vgpu_function *fn = get(load(), "nothing");
	unsigned int i, before = fake_counts().requests;

	(void)state;
	vgpu_batch_begin(dev);
	for (i = 0; i < 100; i++)
		assert_int_equal(vgpu_launch_packed(fn, one, one, 0, 0, args,
						    sizeof(args), NULL, 0),
				 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	assert_int_equal(fake_counts().requests - before, 100);
	assert_int_equal(vgpu_fence(dev, 0), -EDOM);
}

/* The ring is full of our own: launches wait for room, not for answers. */
static void test_full_ring(void **state)
{
	struct vgpu_function *fn = get(load(), "append");
	struct fake_counts before;
	uint64_t at;
	struct vgpu_mem *list = list_of(2000, &at);
	uint32_t i;

	(void)state;
	fake_config.ring_slots = 5;
	before = fake_counts();
	vgpu_batch_begin(dev);
	for (i = 0; i < 1000; i++)
		append(fn, at, i, 0);
	assert_int_equal(vgpu_batch_end(dev), 0);
	/* A batch that has to wait is one call all the same. */
	assert_in_range(fake_counts().enters - before.enters, 16, 17);
	check_list(list, 1000, 0);
}

/* The kernel keeps no more answers: they are reaped to go on. */
static void test_full_of_answers(void **state)
{
	struct vgpu_mem *mem[100];
	uint64_t at;
	int i;

	(void)state;
	fake_config.max_requests = 7;
	for (i = 0; i < 100; i++) {
		assert_int_equal(vgpu_mem_alloc(dev, 64, 0, &mem[i]), 0);
		assert_int_equal(
			vgpu_fill(dev, vgpu_at(mem[i], 0), 1, 1, 64, 0), 0);
	}
	assert_int_equal(vgpu_mem_address(mem[99], &at), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(((unsigned char *)(uintptr_t)at)[63], 1);
}

/* Closed with work of all kinds, sent and not: nothing hangs or leaks. */
static void test_close_busy(void **state)
{
	struct vgpu_module *mod = load();
	struct vgpu_function *fn = get(mod, "append");
	static float data[100000];
	struct vgpu_event *ev;
	struct vgpu_op *op;
	uint64_t at;
	struct vgpu_mem *list = list_of(100, &at);

	(void)state;
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	append(fn, at, 1, 3);
	assert_int_equal(vgpu_event_record(ev, 3), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(list, 0), data, 400, 4), 0);
	assert_int_equal(vgpu_fence_async(dev, 3, &op), 0);
	vgpu_batch_begin(dev);
	append(fn, at, 1, 5);
	assert_int_equal(vgpu_mem_free(list, 5), 0);
	vgpu_close(dev);
	assert_true(vgpu_op_done(op));
	assert_int_equal(vgpu_op_result(op), 0);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(fake_counts().objects, 0);
	assert_int_equal(vgpu_open(NULL, &dev), 0);
}

/* Quiet work that writes to the caller's memory is over when close returns. */
static void test_close_waits(void **state)
{
	static unsigned char data[4096];
	struct vgpu_buffer *buf;
	struct vgpu_mem *mem;

	(void)state;
	assert_int_equal(vgpu_buffer_register(dev, data, 4096, 0, &buf), 0);
	assert_int_equal(vgpu_mem_alloc(dev, 4096, 0, &mem), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 9, 1, 4096, 0), 0);
	assert_int_equal(
		vgpu_copy(dev, vgpu_in(buf, 0), vgpu_at(mem, 0), 4096, 0), 0);
	vgpu_close(dev);
	assert_int_equal(data[4095], 9);
	assert_int_equal(vgpu_open(NULL, &dev), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(test_module),
		LIB_TEST(test_function),
		LIB_TEST(test_load_beside_work),
		LIB_TEST(test_launch),
		LIB_TEST(test_launch_packed),
		LIB_TEST(test_launch_errors),
		LIB_TEST(test_one_call_a_launch),
		LIB_TEST(test_batches),
		LIB_TEST(test_mixed_batch),
		LIB_TEST(test_large_arguments),
		LIB_TEST(test_full_ring),
		LIB_TEST(test_full_of_answers),
		LIB_TEST(test_close_busy),
		LIB_TEST(test_close_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
