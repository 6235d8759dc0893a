// SPDX-License-Identifier: MIT
/*
 * test_native_lib_life.c - the guest's library, whole: what fails, ends and is
 * shared
 *
 * As test_native_lib.c.
 */
#include "lib.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

/* What failed is said once, by its own stream; what is behind it goes on. */
static void failures_come_with_the_fence(void **state)
{
	struct vgpu_mem *none, *mem = mem_of(4096);
	uint64_t address;
	uint32_t got = 0;

	(void)state;
	fence(0);
	assert_int_equal(vgpu_mem_alloc(dev, (size_t)1 << 60, 3, &none), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(none, 0), 1, 4, 4096, 3), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 77, 4, 4096, 3), 0);
	assert_int_equal(vgpu_copy_out(dev, &got, vgpu_at(mem, 4092), 4, 3), 0);
	fence(0);
	assert_int_equal(vgpu_fence(dev, 3), -ENOMEM);
	assert_int_equal(got, 77);
	fence(3);
	assert_int_equal(vgpu_mem_address(none, &address), -ENOMEM);
	assert_int_equal(vgpu_mem_address(mem, &address), 0);
	assert_int_equal(address % 256, 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 1, 4, 4100, 3),
			 -ERANGE);
	fence(3);
	assert_int_equal(vgpu_mem_free(none, 3), 0);
	assert_int_equal(vgpu_mem_free(mem, 3), 0);
}

/* Everything of a file goes with it, and is over when close returns. */
static void close_with_work_in_flight(void **state)
{
	const size_t n = 4 * MI;
	struct vgpu_device *other;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct vgpu_device *mine = dev;
		struct vgpu_event *ev;
		struct vgpu_mem *a, *b;
		struct vgpu_buffer *buf;

		assert_int_equal(vgpu_open(NULL, &other), 0);
		dev = other;
		a = mem_of(n * 4);
		b = mem_of(n * 4);
		buf = buffer_of(n * 4);
		assert_int_equal(vgpu_event_create(dev, &ev), 0);
		for (int k = 0; k < 20; k++)
			assert_int_equal(vgpu_saxpy(dev, 1, vgpu_at(a, 0),
						    k % 2 ? vgpu_at(b, 0) :
							    vgpu_in(buf, 0),
						    n, k % 2),
					 0);
		assert_int_equal(vgpu_event_record(ev, 1), 0);
		dev = mine;
		vgpu_close(other);
		backend_is_empty();
	}
}

/* The worker dies: what was in flight and what comes after says so. */
static void a_lost_device_says_so(void **state)
{
	struct vgpu_mem *a = mem_of(64 * MI), *b = mem_of(64 * MI);
	struct vgpu_device_info info;
	struct vgpu_buffer *buf;
	struct vgpu_op *op;

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(vgpu_saxpy(dev, 1, vgpu_at(a, 0),
					    vgpu_at(b, 0), 16 * MI, 0),
				 0);
	/* This at least it has not answered. */
	guest_freeze_worker();
	assert_int_equal(vgpu_fence_async(dev, 0, &op), 0);
	kill(guest_worker(), SIGKILL);
	assert_int_equal(vgpu_op_wait(op, -1), 0);
	assert_int_equal(vgpu_op_result(op), -ENODEV);
	assert_int_equal(vgpu_op_free(op), 0);
	assert_int_equal(vgpu_fence(dev, 0), -ENODEV);
	assert_int_equal(vgpu_buffer_alloc(dev, 4096, &buf), -ENODEV);
	assert_int_equal(vgpu_get_info(dev, &info), 0);
	assert_int_equal(info.lost, 1);
	assert_int_equal(info.state, VGPU_STATE_DISCONNECTED);
}

static void a_processor_runs_no_modules(void **state)
{
	static const char ptx[] = ".version 6.0\n.target sm_70\n";
	struct vgpu_module *mod;
	char log[100];

	(void)state;
	if (strcmp(guest_engine(), "cpu"))
		return;
	assert_int_equal(
		vgpu_module_load(dev, ptx, sizeof(ptx), log, sizeof(log), &mod),
		-ENXIO);
}

/* Somebody who polls is woken, and needs no other call to wait. */
static void poll_tells(void **state)
{
	enum { N = 300000 };
	static float a[N], b[N], c[N];
	struct pollfd fd = {.events = POLLIN};
	struct vgpu_op *op;
	int done = 0;

	(void)state;
	fill_floats(a, N, 1);
	fill_floats(b, N, 2);
	fd.fd = vgpu_fd(dev);
	assert_true(fd.fd >= 0);
	assert_int_equal(vgpu_vector_add_async(dev, a, b, c, N, 5, &op), 0);
	while (!vgpu_op_done(op)) {
		assert_int_equal(poll(&fd, 1, 60000), 1);
		done += vgpu_process(dev);
	}
	assert_int_equal(done, 1);
	assert_int_equal(vgpu_op_result(op), 0);
	assert_int_equal(vgpu_op_free(op), 0);
	for (int i = 0; i < N; i++)
		assert_true(c[i] == a[i] + b[i]);
}

enum { THREADS = 4, ROUNDS = 60 };

static void *work(void *arg)
{
	unsigned int stream = (uintptr_t)arg;
	enum { N = 5000 };
	float in[N], out[N];
	struct vgpu_mem *mem;
	bool ok = true;

	for (int i = 0; i < N; i++)
		in[i] = i * 0.5f + stream;
	for (int r = 0; r < ROUNDS && ok; r++) {
		ok = !vgpu_mem_alloc(dev, sizeof(in), stream, &mem) &&
		     !vgpu_copy_in(dev, vgpu_at(mem, 0), in, sizeof(in),
				   stream) &&
		     !vgpu_saxpy(dev, 1, vgpu_at(mem, 0), vgpu_at(mem, 0), N,
				 stream) &&
		     !vgpu_copy_out(dev, out, vgpu_at(mem, 0), sizeof(out),
				    stream) &&
		     !vgpu_mem_free(mem, stream) && !vgpu_fence(dev, stream);
		for (int i = 0; i < N && ok; i++)
			ok = out[i] == 2 * in[i];
	}
	return ok ? arg : NULL;
}

static void threads_share_a_device(void **state)
{
	pthread_t thread[THREADS];
	void *ok;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, work, (void *)(i + 1)),
			0);
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &ok);
		assert_true(ok == (void *)(i + 1));
	}
	backend_is_empty();
}

/* Two files: what one does, and how it fails, is nothing to the other. */
static void devices_know_their_own_alone(void **state)
{
	struct vgpu_mem *mine = mem_of(4096), *bad;
	struct vgpu_device *first = dev, *other;
	uint32_t got = 1;

	(void)state;
	assert_int_equal(vgpu_fill(dev, vgpu_at(mine, 0), 5, 4, 4096, 0), 0);
	assert_int_equal(vgpu_open(NULL, &other), 0);
	dev = other;
	/* The same handle, of another memory. */
	bad = mem_of(4096);
	assert_int_equal(vgpu_copy_out(dev, &got, vgpu_at(bad, 0), 4, 0), 0);
	fence(0);
	assert_int_equal(got, 0);
	assert_int_equal(vgpu_mem_alloc(dev, (size_t)1 << 60, 0, &bad), 0);
	dev = first;
	assert_int_equal(vgpu_copy_out(dev, &got, vgpu_at(mine, 0), 4, 0), 0);
	fence(0);
	assert_int_equal(got, 5);
	assert_int_equal(vgpu_fence(other, 0), -ENOMEM);
	vgpu_close(other);
	assert_int_equal(vgpu_mem_free(mine, 0), 0);
	fence(0);
	backend_is_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(failures_come_with_the_fence),
		LIB_TEST(close_with_work_in_flight),
		LIB_TEST(a_lost_device_says_so),
		LIB_TEST(a_processor_runs_no_modules),
		LIB_TEST(poll_tells),
		LIB_TEST(threads_share_a_device),
		LIB_TEST(devices_know_their_own_alone),
	};

	lib_limit_time();
	return cmocka_run_group_tests_name("native library's life", tests, NULL,
					   NULL);
}
