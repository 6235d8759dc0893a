// SPDX-License-Identifier: MIT
/*
 * test_lib_progress.c - libvgpufront over a double of the module: which thread
 * makes whose operations go on, and that none is forgotten or waits for another
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lib_common.h"

static void *waiting_worker(void *arg)
{
	return (void *)(intptr_t)vgpu_op_wait(arg, -1);
}

static void test_waiting_blocks_nobody(void **state)
{
	float a[100] = {0}, c[100], d[100];
	struct vgpu_op *op;
	pthread_t thread;
	void *ret;
	int i, fd = vgpu_fd(dev);

	(void)state;
	fake_hold(9);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 100, 9, &op), 0);
	pthread_create(&thread, NULL, waiting_worker, op);
	fake_await_waiting();
	for (i = 0; i < 20; i++)
		assert_int_equal(vgpu_vector_add(dev, a, a, d, 100), 0);
	assert_int_equal(vgpu_process(dev), 0);
	assert_false(vgpu_op_done(op));
	fake_release(9);
	pthread_join(thread, &ret);
	assert_null(ret);
	/* The other thread reaped it; who polls is told all the same. */
	await_readable(fd);
	assert_int_equal(vgpu_process(dev), 1);
	assert_int_equal(vgpu_op_free(op), 0);
}

/* A poller is woken though another thread, in a call of its own, reaped. */
static void test_reaped_by_another(void **state)
{
	float a[100] = {0}, c[100], d[100];
	struct vgpu_op *op, *other;
	pthread_t thread;
	int fd = vgpu_fd(dev);

	(void)state;
	fake_hold(1);
	fake_hold(2);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 100, 1, &op), 0);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, d, 100, 2, &other),
			 0);
	while (readable(fd))
		assert_int_equal(vgpu_process(dev), 0);
	pthread_create(&thread, NULL, waiting_worker, other);
	fake_await_waiting();
	fake_release(1);
	while (!vgpu_op_done(op)) {
		await_readable(fd);
		assert_in_range(vgpu_process(dev), 0, 1);
	}
	assert_false(vgpu_op_done(other));
	fake_release(2);
	pthread_join(thread, NULL);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_op_free(other), 0);
}

static void *release_one(void *arg)
{
	(void)arg;
	fake_await_waiting();
	fake_release(1);
	return NULL;
}

/* A call takes another operation's answer along with its own, and returns. */
static void test_left_to_the_poller(void **state)
{
	float a[100] = {0}, c[100], d[100];
	struct vgpu_op *op;
	pthread_t thread;
	int fd = vgpu_fd(dev);

	(void)state;
	fake_config.coalesce = true;
	fake_hold(1);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 100, 1, &op), 0);
	while (readable(fd))
		assert_int_equal(vgpu_process(dev), 0);
	pthread_create(&thread, NULL, release_one, NULL);
	assert_int_equal(vgpu_vector_add(dev, a, a, d, 100), 0);
	pthread_join(thread, NULL);
	assert_int_equal(fake_counts().in_flight, 0);
	assert_true(readable(fd));
	assert_int_equal(vgpu_process(dev), 1);
	assert_int_equal(vgpu_op_free(op), 0);
}

static struct {
	struct vgpu_op *op;
	unsigned int waits; /* atomic */
} patient;

/* In vgpu_op_wait() nearly all the time. */
static void *patient_worker(void *arg)
{
	while (vgpu_op_wait(patient.op, MS) == -ETIME)
		__atomic_add_fetch(&patient.waits, 1, __ATOMIC_RELAXED);
	return arg;
}

static void *fence_worker(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)vgpu_fence(dev, 1);
}

/*
 * A fence leads, for its own stream's work that another thread waits for: it
 * is not to wait for work of a third stream when that has finished.
 */
static void test_held_up_leader(void **state)
{
	float a[100] = {0}, c[100], d[100];
	pthread_t fence, waiter;
	struct vgpu_op *other;
	struct timespec ts;
	void *ret;
	int late;

	(void)state;
	fake_hold(1);
	fake_hold(9);
	assert_int_equal(vgpu_vector_add_async(dev, a, a, d, 100, 9, &other),
			 0);
	assert_int_equal(
		vgpu_vector_add_async(dev, a, a, c, 100, 1, &patient.op), 0);
	pthread_create(&fence, NULL, fence_worker, NULL);
	fake_await_waiting();
	patient.waits = 0;
	pthread_create(&waiter, NULL, patient_worker, NULL);
	while (__atomic_load_n(&patient.waits, __ATOMIC_RELAXED) < 3)
		sched_yield();
	fake_release(1);
	pthread_join(waiter, NULL);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 60;
	late = pthread_timedjoin_np(fence, &ret, &ts);
	fake_release(9);
	if (late)
		pthread_join(fence, &ret);
	assert_int_equal(late, 0);
	assert_null(ret);
	assert_int_equal(vgpu_op_wait(other, -1), 0);
	assert_int_equal(vgpu_op_free(other), 0);
	assert_int_equal(vgpu_op_free(patient.op), 0);
}

/* Requests of other programs fill the ring, and nothing here is in flight. */
static void test_poll_ring_full_of_others(void **state)
{
	float a[10] = {1}, c[10] = {0};
	int fd = vgpu_fd(dev);
	struct vgpu_op *op;

	(void)state;
	fake_config.ring_slots = 0;
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 10, 0, &op), 0);
	assert_int_equal(vgpu_process(dev), 0);
	assert_int_equal(fake_counts().requests, 0);
	/* The double's descriptor always polls writable: as if there was room. */
	assert_true(readable(fd));
	fake_config.ring_slots = 64;
	while (!vgpu_op_done(op)) {
		await_readable(fd);
		assert_true(vgpu_process(dev) >= 0);
	}
	assert_true(c[0] == 2);
	assert_false(readable(fd));
	assert_int_equal(vgpu_op_free(op), 0);
}

/* What could not be sent is dropped, and not waited for. */
static void test_close_unsent(void **state)
{
	float a[10] = {0}, c[10];
	struct vgpu_op *op;

	(void)state;
	fake_config.ring_slots = 0;
	assert_int_equal(vgpu_vector_add_async(dev, a, a, c, 10, 0, &op), 0);
	alarm(300);
	vgpu_close(dev);
	alarm(0);
	assert_int_equal(fake_counts().requests, 0);
	assert_int_equal(vgpu_op_result(op), -ECANCELED);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_open(NULL, &dev), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(test_waiting_blocks_nobody),
		LIB_TEST(test_reaped_by_another),
		LIB_TEST(test_left_to_the_poller),
		LIB_TEST(test_held_up_leader),
		LIB_TEST(test_poll_ring_full_of_others),
		LIB_TEST(test_close_unsent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
