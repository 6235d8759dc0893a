// SPDX-License-Identifier: MIT
/*
 * test_lib_streams.c - libvgpufront over a double of the module: order within
 * streams and independence between them, events, several threads
 */
#include <pthread.h>

#include <uapi/vgpufront.h>

#include "lib_common.h"

static const struct vgpu_dim one = {1, 1, 1};
static const char image[] = ".version 7.0\n.visible .entry append(\n";
static struct vgpu_function *append_fn;

static int setup_append(void **state)
{
	struct vgpu_module *mod;

	if (setup(state) ||
	    vgpu_module_load(dev, image, sizeof(image), NULL, 0, &mod))
		return -1;
	return vgpu_function_get(mod, "append", &append_fn);
}

struct numbers {
	struct vgpu_mem *mem;
	uint64_t address;
	uint32_t next;
};

static void numbers_init(struct numbers *l, size_t n)
{
	l->next = 0;
	assert_int_equal(vgpu_mem_alloc(dev, 4 * (n + 1), 0, &l->mem), 0);
	assert_int_equal(vgpu_mem_address(l->mem, &l->address), 0);
}

static int append(struct numbers *l, unsigned int stream)
{
	void *params[] = {&l->address, &l->next};
	int err = vgpu_launch(append_fn, one, one, 0, stream, params);

	l->next++;
	return err;
}

/* How many are not in order, or missing. */
static size_t disordered(struct numbers *l, unsigned int stream)
{
	uint32_t *p = calloc(l->next + 1, 4), i;
	size_t bad = 0;

	if (vgpu_copy_out(dev, p, vgpu_at(l->mem, 0), 4 * (l->next + 1),
			  stream) ||
	    vgpu_fence(dev, stream) || p[0] != l->next)
		bad++;
	for (i = 0; !bad && i < l->next; i++)
		bad += p[i + 1] != i;
	free(p);
	return bad;
}

/* Behind a copy that goes piece by piece, and between two of them. */
static void test_behind_a_large_copy(void **state)
{
	size_t n = 60u << 20;
	char *data = calloc(1, n);
	struct numbers l;
	struct vgpu_mem *mem;
	uint64_t at;
	uint32_t i;

	(void)state;
	numbers_init(&l, 1000);
	assert_int_equal(vgpu_mem_alloc(dev, n, 0, &mem), 0);
	assert_int_equal(vgpu_mem_address(mem, &at), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), data, n, 1),
				 0);
		assert_int_equal(append(&l, 1), 0);
		/* The copy's last byte must be there, then the fill's. */
		assert_int_equal(
			vgpu_fill(dev, vgpu_at(mem, n - 4), i + 1, 4, 4, 1), 0);
		assert_int_equal(vgpu_copy(dev, vgpu_at(mem, 0),
					   vgpu_at(mem, n - 4), 4, 1),
				 0);
		assert_int_equal(
			vgpu_copy_out(dev, data, vgpu_at(mem, 0), n, 1), 0);
		assert_int_equal(append(&l, 1), 0);
	}
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(disordered(&l, 1), 0);
	assert_int_equal(data[0], 3);
	assert_int_equal(data[n - 4], 3);
	assert_int_equal(fake_counts().pinned, 0);
	free(data);
}

/* A stream that can not go on holds no other one up. */
static void test_independent(void **state)
{
	size_t n = 60u << 20;
	char *data = calloc(1, n);
	struct vgpu_mem *mem, *mine;
	struct numbers l[2];
	uint64_t at;
	int i;

	(void)state;
	numbers_init(&l[0], 100);
	numbers_init(&l[1], 100);
	assert_int_equal(vgpu_mem_alloc(dev, n, 0, &mem), 0);
	assert_int_equal(vgpu_mem_address(mem, &at), 0);
	fake_hold(1);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), data, n, 1), 0);
	for (i = 0; i < 50; i++) {
		assert_int_equal(append(&l[0], 1), 0);
		assert_int_equal(vgpu_mem_alloc(dev, 64, 2, &mine), 0);
		assert_int_equal(append(&l[1], 2), 0);
		assert_int_equal(vgpu_mem_free(mine, 2), 0);
	}
	assert_int_equal(disordered(&l[1], 2), 0);
	fake_release(1);
	assert_int_equal(disordered(&l[0], 1), 0);
	free(data);
}

/* Freed on one stream while another one's work with it is not sent yet. */
static void test_freed_before_sent(void **state)
{
	size_t n = 40u << 20;
	char *data = calloc(1, n);
	struct vgpu_mem *mem, *big;
	struct vgpu_module *mod;
	struct vgpu_function *fn;
	struct numbers l;
	uint64_t at;
	void *params[] = {&l.address, &l.next};

	(void)state;
	numbers_init(&l, 100);
	assert_int_equal(
		vgpu_module_load(dev, image, sizeof(image), NULL, 0, &mod), 0);
	assert_int_equal(vgpu_function_get(mod, "append", &fn), 0);
	assert_int_equal(vgpu_mem_alloc(dev, n, 0, &big), 0);
	assert_int_equal(vgpu_mem_alloc(dev, 64, 0, &mem), 0);
	assert_int_equal(vgpu_mem_address(big, &at), 0);
	assert_int_equal(vgpu_mem_address(mem, &at), 0);
	fake_hold(1);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(big, 0), data, n, 1), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 1, 1, 64, 1), 0);
	assert_int_equal(vgpu_launch(fn, one, one, 0, 1, params), 0);
	l.next++;
	assert_int_equal(vgpu_mem_free(mem, 2), 0);
	assert_int_equal(vgpu_mem_free(big, 2), 0);
	assert_int_equal(vgpu_module_unload(mod), 0);
	fake_release(1);
	assert_int_equal(vgpu_fence(dev, 2), 0);
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(disordered(&l, 1), 0);
	/* The list; append_fn and its module. */
	assert_int_equal(fake_counts().objects, 3);
	free(data);
}

static void test_stream_numbers(void **state)
{
	unsigned int a, b, c;

	(void)state;
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(vgpu_stream_create(dev, NULL), -EINVAL);
	assert_int_equal(vgpu_stream_create(dev, &a), 0);
	assert_int_equal(vgpu_stream_create(dev, &b), 0);
	/* 0 is always there, and 1 is used. */
	assert_true(a > 1 && b > 1 && a != b && a <= VGPU_MAX_STREAM);
	assert_int_equal(vgpu_stream_destroy(dev, 1), -EINVAL);
	assert_int_equal(vgpu_stream_destroy(dev, 65536), -EINVAL);
	assert_int_equal(vgpu_stream_destroy(dev, a), 0);
	assert_int_equal(vgpu_stream_create(dev, &c), 0);
	assert_int_equal(a, c);
}

static void test_events(void **state)
{
	struct vgpu_event *ev, *start;
	struct numbers l;
	int64_t ns;
	int i;

	(void)state;
	numbers_init(&l, 100);
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	assert_int_equal(vgpu_event_create(dev, &start), 0);
	/* Never recorded: nothing to wait for. */
	assert_int_equal(vgpu_event_query(ev), 0);
	assert_int_equal(vgpu_event_synchronize(ev), 0);
	assert_int_equal(vgpu_event_wait(ev, 1), 0);
	assert_int_equal(vgpu_event_elapsed(start, ev, &ns), -EINVAL);
	fake_hold(1);
	assert_int_equal(vgpu_event_record(start, 2), 0);
	assert_int_equal(vgpu_event_synchronize(start), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(append(&l, 1), 0);
	assert_int_equal(vgpu_event_record(ev, 1), 0);
	assert_int_equal(vgpu_event_query(ev), -EAGAIN);
	assert_int_equal(vgpu_event_elapsed(start, ev, &ns), -EAGAIN);
	/* Stream 3 goes on behind stream 1's mark, not before. */
	assert_int_equal(vgpu_event_wait(ev, 3), 0);
	assert_int_equal(append(&l, 3), 0);
	/* Destroyed: the wait is not disturbed. */
	assert_int_equal(vgpu_event_destroy(ev), 0);
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	assert_int_equal(vgpu_event_record(ev, 3), 0);
	assert_int_equal(vgpu_event_query(ev), -EAGAIN);
	fake_release(1);
	assert_int_equal(vgpu_event_synchronize(ev), 0);
	assert_int_equal(vgpu_event_query(ev), 0);
	assert_int_equal(vgpu_event_elapsed(start, ev, &ns), 0);
	assert_true(ns > 0);
	assert_int_equal(disordered(&l, 3), 0);
	assert_int_equal(vgpu_event_destroy(ev), 0);
	assert_int_equal(vgpu_event_destroy(start), 0);
	assert_int_equal(vgpu_event_destroy(NULL), 0);
}

/* Moved while the wait for the earlier mark is not sent: that one counts. */
static void test_event_moved(void **state)
{
	size_t n = 40u << 20;
	char *data = calloc(1, n);
	struct numbers l;
	struct vgpu_event *ev;
	struct vgpu_mem *big;
	uint64_t at;

	(void)state;
	numbers_init(&l, 100);
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	assert_int_equal(vgpu_mem_alloc(dev, n, 0, &big), 0);
	assert_int_equal(vgpu_mem_address(big, &at), 0);
	assert_int_equal(append(&l, 2), 0);
	assert_int_equal(vgpu_event_record(ev, 2), 0);
	fake_hold(1);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(big, 0), data, n, 1), 0);
	assert_int_equal(vgpu_event_wait(ev, 1), 0);
	/* Stream 3 is held for ever, as far as stream 1 knows. */
	fake_hold(3);
	assert_int_equal(vgpu_event_record(ev, 3), 0);
	fake_release(1);
	assert_int_equal(append(&l, 1), 0);
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(vgpu_event_query(ev), -EAGAIN);
	fake_release(3);
	assert_int_equal(vgpu_event_synchronize(ev), 0);
	assert_int_equal(disordered(&l, 1), 0);
	free(data);
}

/* A mark behind a copy that is brought home by the library. */
static void test_event_behind_copy_out(void **state)
{
	static const size_t sizes[] = {1000, 5u << 20};
	struct vgpu_event *ev;
	struct vgpu_mem *mem;
	unsigned int i;

	(void)state;
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	for (i = 0; i < 2; i++) {
		char *data = calloc(1, sizes[i]);

		assert_int_equal(vgpu_mem_alloc(dev, sizes[i], 0, &mem), 0);
		assert_int_equal(
			vgpu_fill(dev, vgpu_at(mem, 0), 3, 1, sizes[i], 0), 0);
		assert_int_equal(
			vgpu_copy_out(dev, data, vgpu_at(mem, 0), sizes[i], 0),
			0);
		assert_int_equal(vgpu_event_record(ev, 0), 0);
		while (vgpu_event_query(ev) == -EAGAIN)
			;
		assert_int_equal(data[sizes[i] - 1], 3);
		free(data);
	}
}

struct worker {
	pthread_t thread;
	unsigned int stream;
	struct numbers *shared;
	size_t failures;
};

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t work(struct worker *w, struct numbers *l, unsigned int i,
		   unsigned int *seed)
{
	unsigned int stream = w->stream, kind = (unsigned int)rand_r(seed) % 12;
	struct vgpu_mem *mem;
	size_t n = 1 + (size_t)rand_r(seed) % (kind == 2 ? 300000 : 3000);
	unsigned char *out;
	size_t bad;

	if (kind > 3)
		return append(l, stream);
	if (kind == 3) {
		/* In the order of the lock, whoever's. */
		pthread_mutex_lock(&shared_lock);
		bad = append(w->shared, 99);
		pthread_mutex_unlock(&shared_lock);
		return bad;
	}
	out = malloc(n);
	bad = vgpu_mem_alloc(dev, n, stream, &mem) ||
	      vgpu_fill(dev, vgpu_at(mem, 0), i, 1, n, stream) ||
	      vgpu_copy_out(dev, out, vgpu_at(mem, 0), n, stream) ||
	      append(l, stream) || vgpu_fence(dev, stream) ||
	      out[0] != (i & 0xff) || out[n - 1] != (i & 0xff) ||
	      vgpu_copy_in(dev, vgpu_at(mem, 0), out, n, stream) ||
	      vgpu_mem_free(mem, stream) || vgpu_fence(dev, stream);
	free(out);
	return bad;
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	unsigned int seed = w->stream, i;
	struct numbers l;

	numbers_init(&l, 1000);
	for (i = 0; i < 300; i++) {
		if (i % 50 == 10)
			vgpu_batch_begin(dev);
		w->failures += work(w, &l, i, &seed);
		if (i % 50 == 40)
			w->failures += vgpu_batch_end(dev) != 0;
	}
	w->failures += disordered(&l, w->stream);
	return NULL;
}

static void threads(void)
{
	struct worker w[6] = {0};
	struct numbers shared;
	unsigned int i;

	numbers_init(&shared, 3000);
	for (i = 0; i < 6; i++) {
		w[i].stream = i + 1;
		w[i].shared = &shared;
		pthread_create(&w[i].thread, NULL, worker, &w[i]);
	}
	for (i = 0; i < 6; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failures, 0);
	}
	assert_int_equal(disordered(&shared, 99), 0);
	assert_int_equal(fake_counts().pinned, 0);
}

static void test_threads(void **state)
{
	(void)state;
	threads();
}

/* Little of everything, and signals. */
static void test_threads_scarce(void **state)
{
	(void)state;
	fake_config.max_pages = 400;
	fake_config.max_requests = 5;
	fake_config.ring_slots = 3;
	fake_config.eintr_every = 7;
	threads();
}

static struct numbers second;
static unsigned int launched; /* atomic */

static void *launch_thread(void *arg)
{
	intptr_t bad;

	fake_await_waiting();
	bad = append(&second, 1) || append(&second, 2) || append(&second, 2);
	__atomic_store_n(&launched, 1, __ATOMIC_RELEASE);
	/* Lets the first thread's fence end. */
	fake_release(1);
	bad |= vgpu_fence(dev, 2) != 0;
	(void)arg;
	return (void *)bad;
}

/*
 * The first thread waits in the call that sends, too, when a second one comes:
 * that does not wait for it to launch, and what it launches is sent, in order,
 * when the first one has its answer.
 */
static void test_second_thread_comes(void **state)
{
	struct vgpu_event *ev;
	pthread_t thread;
	void *ret;

	(void)state;
	numbers_init(&second, 100);
	assert_int_equal(vgpu_event_create(dev, &ev), 0);
	fake_hold(1);
	launched = 0;
	pthread_create(&thread, NULL, launch_thread, NULL);
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(__atomic_load_n(&launched, __ATOMIC_ACQUIRE), 1);
	pthread_join(thread, &ret);
	assert_null(ret);
	/* Streams 1 and 2 are not ordered: only that none is missing. */
	assert_int_equal(vgpu_fence(dev, 1), 0);
	assert_int_equal(vgpu_event_record(ev, 1), 0);
	assert_int_equal(vgpu_event_synchronize(ev), 0);
	assert_int_equal(*(uint32_t *)(uintptr_t)second.address, 3);
}

static void *fence_thread(void *arg)
{
	return (void *)(intptr_t)vgpu_fence(dev, (unsigned int)(uintptr_t)arg);
}

/* A thread that waits, for what it sent itself, keeps no other one waiting. */
static void test_waiting_thread(void **state)
{
	struct numbers l;
	pthread_t thread;
	void *ret;
	int i;

	(void)state;
	numbers_init(&l, 100);
	/* From now on the library knows of a second thread. */
	pthread_create(&thread, NULL, fence_thread, (void *)3);
	pthread_join(thread, &ret);
	fake_hold(1);
	pthread_create(&thread, NULL, fence_thread, (void *)1);
	fake_await_in_flight(1);
	fake_await_waiting();
	for (i = 0; i < 10; i++)
		assert_int_equal(append(&l, 2), 0);
	assert_int_equal(disordered(&l, 2), 0);
	fake_release(1);
	pthread_join(thread, &ret);
	assert_null(ret);
}

static void *two_launches(void *arg)
{
	return (void *)(intptr_t)(append(arg, 1) || append(arg, 1));
}

/* Called for while another thread waits for room: that one sends it. */
static void test_sent_by_another(void **state)
{
	struct vgpu_op *fence;
	struct numbers l;
	pthread_t thread;
	void *ret;

	(void)state;
	numbers_init(&l, 100);
	fake_config.ring_slots = 1;
	fake_hold(1);
	pthread_create(&thread, NULL, two_launches, &l);
	fake_await_waiting();
	assert_int_equal(vgpu_fence_async(dev, 2, &fence), 0);
	assert_int_equal(fake_counts().in_flight, 0);
	fake_resize_ring(64);
	fake_await_in_flight(1);
	fake_release(1);
	pthread_join(thread, &ret);
	assert_null(ret);
	assert_int_equal(vgpu_op_wait(fence, -1), 0);
	assert_int_equal(vgpu_op_free(fence), 0);
	assert_int_equal(disordered(&l, 1), 0);
}

#define STREAM_TEST(f)                                                         \
	cmocka_unit_test_setup_teardown(f, setup_append, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(test_behind_a_large_copy),
		STREAM_TEST(test_independent),
		STREAM_TEST(test_freed_before_sent),
		STREAM_TEST(test_stream_numbers),
		STREAM_TEST(test_events),
		STREAM_TEST(test_event_moved),
		STREAM_TEST(test_event_behind_copy_out),
		STREAM_TEST(test_threads),
		STREAM_TEST(test_threads_scarce),
		STREAM_TEST(test_second_thread_comes),
		STREAM_TEST(test_waiting_thread),
		STREAM_TEST(test_sent_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
