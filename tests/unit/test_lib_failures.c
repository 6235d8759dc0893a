// SPDX-License-Identifier: MIT
/*
 * test_lib_failures.c - libvgpufront over a double of the module: what fails in
 * work that nobody waits for is said by the stream's next fence, wherever it
 * failed, the first one first, and once
 */
#include <pthread.h>
#include <sys/mman.h>

#include <uapi/vgpufront.h>

#include "lib_common.h"

static struct vgpu_mem *mem, *small;
static void *hole;

static int setup_mem(void **state)
{
	uint64_t at;

	if (setup(state))
		return -1;
	hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return vgpu_mem_alloc(dev, 1 << 20, 0, &mem) ||
	       vgpu_mem_alloc(dev, 64, 0, &small) ||
	       vgpu_mem_address(mem, &at) || vgpu_mem_address(small, &at);
}

static int teardown_mem(void **state)
{
	munmap(hole, 4096);
	return teardown(state);
}

/* The three places. */
static void in_the_backend(unsigned int stream)
{
	fake_fail_next(VGPUFRONT_OP_FILL, -EDOM);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 1, 8, stream), 0);
}

static void in_the_module(unsigned int stream)
{
	fake_refuse_next(VGPUFRONT_OP_COPY, -ENOENT);
	assert_int_equal(
		vgpu_copy(dev, vgpu_at(mem, 0), vgpu_at(mem, 8), 8, stream), 0);
}

static void in_the_library(unsigned int stream)
{
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), hole, 100, stream),
			 0);
}

static void fine(unsigned int stream)
{
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 1, 8, stream), 0);
}

static const struct {
	void (*break_it)(unsigned int stream);
	int err;
} places[] = {
	{in_the_backend, -EDOM},
	{in_the_module, -ENOENT},
	{in_the_library, -EFAULT},
};

static void test_each_place(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		fine(1);
		places[i].break_it(1);
		fine(1);
		/* Of another stream it is no failure. */
		assert_int_equal(vgpu_fence(dev, 2), 0);
		assert_int_equal(vgpu_fence(dev, 1), places[i].err);
		assert_int_equal(vgpu_fence(dev, 1), 0);
		fine(1);
		assert_int_equal(vgpu_fence(dev, 1), 0);
	}
}

static void test_first_wins(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			/* One FENCE's answer does not say where it failed. */
			if (places[i].break_it == in_the_backend &&
			    places[j].break_it == in_the_module)
				continue;
			places[i].break_it(1);
			fine(1);
			places[j].break_it(1);
			assert_int_equal(vgpu_fence(dev, 1), places[i].err);
			assert_int_equal(vgpu_fence(dev, 1), 0);
		}
	}
}

/* Each belongs to the fence behind it, however late that is looked at. */
static void test_fences_in_flight(void **state)
{
	struct vgpu_op *fence[4];
	unsigned int i;

	(void)state;
	fake_hold(1);
	for (i = 0; i < 3; i++) {
		fine(1);
		places[i].break_it(1);
		assert_int_equal(vgpu_fence_async(dev, 1, &fence[i]), 0);
	}
	fine(1);
	assert_int_equal(vgpu_fence_async(dev, 1, &fence[3]), 0);
	places[0].break_it(1);
	fake_release(1);
	for (i = 4; i-- > 0;) {
		assert_int_equal(vgpu_op_wait(fence[i], -1), 0);
		assert_int_equal(vgpu_op_result(fence[i]),
				 i < 3 ? places[i].err : 0);
		assert_int_equal(vgpu_op_free(fence[i]), 0);
	}
	assert_int_equal(vgpu_fence(dev, 1), -EDOM);
}

/* All that answers for itself, and yet gives no operation. */
static void test_answers_of_their_own(void **state)
{
	struct vgpu_event *ev;
	struct vgpu_mem *big;

	(void)state;
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	fake_fail_next(VGPUFRONT_OP_MEM_ALLOC, -ENOMEM);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 1, &big), 0);
	assert_int_equal(vgpu_fence(dev, 1), -ENOMEM);
	fake_fail_next(VGPUFRONT_OP_EVENT_RECORD, -EDQUOT);
	assert_int_equal(vgpu_event_record(ev, 1), 0);
	assert_int_equal(vgpu_event_synchronize(ev), -EDQUOT);
	assert_int_equal(vgpu_fence(dev, 1), -EDQUOT);
	assert_int_equal(vgpu_fence(dev, 1), 0);
	fake_fail_next(VGPUFRONT_OP_MEM_FREE, -ENOENT);
	assert_int_equal(vgpu_mem_free(small, 1), 0);
	assert_int_equal(vgpu_fence(dev, 1), -ENOENT);
	/* What was quiet before an allocation fails before it. */
	in_the_backend(1);
	fake_fail_next(VGPUFRONT_OP_MEM_ALLOC, -ENOMEM);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 1, &big), 0);
	assert_int_equal(vgpu_fence(dev, 1), -EDOM);
	/* And behind it, after. */
	fake_fail_next(VGPUFRONT_OP_MEM_ALLOC, -ENOMEM);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 1, &big), 0);
	in_the_backend(1);
	assert_int_equal(vgpu_fence(dev, 1), -ENOMEM);
}

/* An operation's failure is its own. */
static void test_not_of_operations(void **state)
{
	float a[10] = {0};
	struct vgpu_op *op;

	(void)state;
	assert_int_equal(vgpu_vector_add_async(dev, a, hole, a, 10, 1, &op), 0);
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(vgpu_op_result(op), -EFAULT);
	assert_int_equal(vgpu_op_free(op), 0);
	/* And it takes nothing of the stream's away. */
	in_the_module(1);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, a, 10, 1, &op), 0);
	assert_int_equal(vgpu_op_wait(op, -1), 0);
	assert_int_equal(vgpu_op_result(op), 0);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_fence(dev, 1), -ENOENT);
}

static void *fence_thread(void *arg)
{
	return (void *)(intptr_t)vgpu_fence(dev, (unsigned int)(uintptr_t)arg);
}

static void test_fence_of_another_thread(void **state)
{
	pthread_t thread;
	unsigned int i;
	void *ret;

	(void)state;
	for (i = 0; i < 3; i++) {
		places[i].break_it(7);
		pthread_create(&thread, NULL, fence_thread, (void *)7);
		pthread_join(thread, &ret);
		assert_int_equal((intptr_t)ret, places[i].err);
		assert_int_equal(vgpu_fence(dev, 7), 0);
	}
}

/* Collected, and refused or failed when they are sent. */
static void test_in_batches(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		vgpu_batch_begin(dev);
		fine(1);
		places[i].break_it(1);
		fine(2);
		assert_int_equal(vgpu_batch_end(dev), 0);
		assert_int_equal(vgpu_fence(dev, 2), 0);
		assert_int_equal(vgpu_fence(dev, 1), places[i].err);
	}
}

static void test_stream_destroy(void **state)
{
	unsigned int stream, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(vgpu_stream_create(dev, &stream), 0);
		places[i].break_it(stream);
		assert_int_equal(vgpu_stream_destroy(dev, stream),
				 places[i].err);
		assert_int_equal(vgpu_stream_destroy(dev, stream), -EINVAL);
		assert_int_equal(vgpu_fence(dev, stream), 0);
	}
}

/* In flight and not sent, at the end: each fence says it. */
static void test_close(void **state)
{
	struct vgpu_op *sent, *unsent;

	(void)state;
	in_the_backend(1);
	assert_int_equal(vgpu_fence_async(dev, 1, &sent), 0);
	vgpu_batch_begin(dev);
	fine(2);
	assert_int_equal(vgpu_fence_async(dev, 2, &unsent), 0);
	vgpu_close(dev);
	assert_int_equal(vgpu_op_result(sent), -EDOM);
	assert_int_equal(vgpu_op_result(unsent), -ECANCELED);
	assert_int_equal(vgpu_op_free(sent), 0);
	assert_int_equal(vgpu_op_free(unsent), 0);
	assert_int_equal(vgpu_open(NULL, &dev), 0);
}

static void test_lost(void **state)
{
	struct vgpu_module *mod;
	struct vgpu_event *ev;
	static char data[300000];
	struct vgpu_mem *more;
	struct vgpu_op *fence;
	unsigned int stream;
	uint64_t at;

	(void)state;
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	fake_hold(1);
	fine(1);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), data, 300000, 1),
			 0);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 1, &more), 0);
	assert_int_equal(vgpu_event_record(ev, 1), 0);
	assert_int_equal(vgpu_fence_async(dev, 1, &fence), 0);
	vgpu_batch_begin(dev);
	fine(2);
	fake_lose();
	assert_int_equal(vgpu_op_wait(fence, -1), 0);
	assert_int_equal(vgpu_op_result(fence), -ENODEV);
	assert_int_equal(vgpu_op_free(fence), 0);
	assert_int_equal(vgpu_batch_end(dev), -ENODEV);
	assert_int_equal(vgpu_mem_address(more, &at), -ENODEV);
	assert_int_equal(vgpu_event_synchronize(ev), -ENODEV);
	assert_int_equal(vgpu_event_query(ev), -ENODEV);
	assert_int_equal(vgpu_fence(dev, 1), -ENODEV);
	assert_int_equal(vgpu_fence(dev, 2), -ENODEV);
	assert_int_equal(vgpu_fence(dev, 2), -ENODEV);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 1, 8, 1), -ENODEV);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), data, 8, 1),
			 -ENODEV);
	assert_int_equal(vgpu_event_record(ev, 1), -ENODEV);
	assert_int_equal(vgpu_event_wait(ev, 1), -ENODEV);
	assert_int_equal(vgpu_stream_create(dev, &stream), -ENODEV);
	assert_int_equal(vgpu_module_load(dev, ".version", 8, NULL, 0, &mod),
			 -ENODEV);
	assert_int_equal(vgpu_event_destroy(ev), -ENODEV);
	assert_int_equal(vgpu_mem_free(more, 1), -ENODEV);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 1, &more), -ENODEV);
}

#define FAILURE_TEST(f)                                                        \
	cmocka_unit_test_setup_teardown(f, setup_mem, teardown_mem)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAILURE_TEST(test_each_place),
		FAILURE_TEST(test_first_wins),
		FAILURE_TEST(test_fences_in_flight),
		FAILURE_TEST(test_answers_of_their_own),
		FAILURE_TEST(test_not_of_operations),
		FAILURE_TEST(test_fence_of_another_thread),
		FAILURE_TEST(test_in_batches),
		FAILURE_TEST(test_stream_destroy),
		FAILURE_TEST(test_close),
		FAILURE_TEST(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
