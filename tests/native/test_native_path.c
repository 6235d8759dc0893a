// SPDX-License-Identifier: MIT
/*
 * test_native_path.c - whole paths through the unmodified backend, all well
 *
 * From xenstore to the last octet of the result, on the cpu engine, without
 * Xen. Each test has a world of its own (path.h) and ends with nothing mapped
 * and no port bound. What goes wrong is in test_native_faults.c.
 */
#include "path.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void connects_and_disconnects(void **state)
{
	(void)state;
	for (uint32_t order = 0; order <= VGPUIF_MAX_RING_PAGE_ORDER; order++) {
		struct vgpu_request req = front_request(VGPU_OP_NOP);
		uint32_t arena = order ? 1u << 2 * order : 1;

		assert_true(front_connect(&f, order, arena));
		assert_string_equal(f.limits.engine, "cpu");
		assert_true(*f.limits.gpu_name);
		assert_int_equal(world_count(&w, GUEST).mapped,
				 (1u << order) + arena);
		assert_int_equal(world_count(&w, GUEST).bound, 1);
		assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
		path_disconnect(&f);
		assert_true(front_restart(&f));
	}
}

static void store_conflicts_are_tried_again(void **state)
{
	(void)state;
	assert_true(front_await_offer(&f));
	assert_true(front_prepare(&f, 2, 4));
	assert_true(front_publish(&f));
	world_conflict(&w, 3);
	assert_true(front_finish(&f));
	world_conflict(&w, 3);
	path_disconnect(&f);
}

static void nop_echoes(void **state)
{
	struct vgpu_request req = front_request(VGPU_OP_NOP);
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	for (uint64_t i = 0; i < 3000; i++) {
		req.u.nop.cookie = ~i;
		assert_int_equal(front_call(&f, &req, &rsp), VGPU_RSP_OK);
		assert_true(rsp.value == ~i);
	}
	path_disconnect(&f);
}

static void vector_adds_are_exact(void **state)
{
	static const uint32_t sizes[] = {0,    1,    2,	   3,	  255,	  1023,
					 1024, 1025, 4096, 65537, 1 << 20};
	struct vectors v;

	(void)state;
	path_connect(&f);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int scattered = 0; scattered < 2; scattered++) {
			struct vgpu_response rsp;
			struct vgpu_request req;

			vectors_make(&f, &v, 1, sizes[i], scattered ? 4092 : 0,
				     scattered);
			req = add_request(&v.a, &v.b, &v.c, v.n);
			assert_int_equal(front_call(&f, &req, &rsp),
					 VGPU_RSP_OK);
			vectors_check(&v);
			vectors_unmap(&f, &v);
			vectors_free(&f, &v);
		}
	}
	path_disconnect(&f);
}

static void operands_stay_inside_their_offsets(void **state)
{
	struct vgpu_request req;
	struct vectors v;
	uint32_t *c;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 5000, 8, false);
	req = add_request(&v.a, &v.b, &v.c, 100);
	for (int i = 0; i < 3; i++)
		req.u.builtin.operand[i].offset = 4 * 2000;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	c = v.c.data;
	for (uint32_t i = 0; i < v.n; i++)
		if ((c[i] == UINT32_MAX) != (i < 2000 || i >= 2100))
			fail_msg("c[%u] is %08x", i, c[i]);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void large_buffer_of_many_directories(void **state)
{
	const uint32_t n = 2 << 20;
	struct vgpu_request req;
	struct vectors v;
	uint32_t *dirs;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1000, n, 4, false);
	assert_int_equal(v.a.nr_dirs, 3);
	assert_int_equal(world_count(&w, GUEST).mapped,
			 32 + v.a.nr_pages + v.b.nr_pages + v.c.nr_pages);
	req = add_request(&v.a, &v.b, &v.c, n);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	vectors_check(&v);
	/* Directories are done with, data is not. */
	dirs = v.c.refs + v.c.nr_pages;
	assert_false(guest_end_grant(&f.mem, v.c.refs, 1));
	assert_true(guest_end_grant(&f.mem, dirs, v.c.nr_dirs));
	assert_true(guest_grant(&f.mem, 0, true, v.c.pages + v.c.nr_pages,
				v.c.nr_dirs, dirs));
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void fences_follow_their_streams(void **state)
{
	enum { STREAMS = 8, ADDS = 160 };
	unsigned int done[STREAMS] = {0}, stream_of[512];
	struct vgpu_response rsp;
	struct vgpu_request req;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 4096, 0, false);
	for (unsigned int i = 0; i < ADDS + STREAMS; i++) {
		req = i < ADDS ? vectors_share(&v, i % STREAMS, STREAMS) :
				 front_request(VGPU_OP_FENCE);
		req.stream = i % STREAMS;
		stream_of[front_put(&f, &req)] = i % STREAMS;
	}
	front_push(&f);
	for (unsigned int i = 0; i < ADDS + STREAMS; i++) {
		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
		if (rsp.op == VGPU_OP_FENCE)
			assert_int_equal(done[stream_of[rsp.id]],
					 ADDS / STREAMS);
		else
			done[stream_of[rsp.id]]++;
	}
	vectors_check(&v);
	/* A stream that has never been seen is done. */
	req = front_request(VGPU_OP_FENCE);
	req.stream = 999;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void ctx_destroy_frees_all_of_it(void **state)
{
	struct vgpu_request destroy = front_request(VGPU_OP_CTX_DESTROY);
	struct vgpu_request req;
	struct vgpu_response rsp;
	struct vectors v, other;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 65536, 0, false);
	assert_true(buffer_make(&f, &other.a, 9, 100, 0, false, false));
	req = buffer_map_request(&other.a);
	req.ctx = 2;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	path_flood(&f, &v, 200, 4);
	assert_true(front_put(&f, &destroy) >= 0);
	front_push(&f);
	for (int i = 0; i < 201; i++) {
		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
	}
	assert_int_equal(rsp.op, VGPU_OP_CTX_DESTROY);
	vectors_check(&v);
	/* Of the other context nothing was touched. */
	assert_int_equal(world_count(&w, GUEST).mapped, 32 + 1);
	vectors_free(&f, &v);
	req = buffer_unmap_request(&other.a);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_NO_HANDLE);
	req.ctx = 2;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	assert_true(buffer_free(&f, &other.a));
	path_disconnect(&f);
}

static void info_counts(void **state)
{
	struct vgpu_request req = front_request(VGPU_OP_INFO);
	struct vgpu_response rsp;
	const struct vgpu_info *info;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 10, 0, false);
	req.u.info.arena_offset = 8 * NX_PAGE;
	req.u.info.length = sizeof(*info);
	assert_int_equal(front_call(&f, &req, &rsp), VGPU_RSP_OK);
	assert_int_equal(rsp.value, sizeof(*info));
	info = guest_at(&f.mem, f.arena_page + 8);
	assert_true(info->mem_total > 0);
	assert_int_equal(info->requests, 4);
	assert_int_equal(info->nr_buffers, 3);
	assert_int_equal(info->errors, 0);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

/* Alone, each request may need an event; together, one is enough. */
static void batch_needs_one_event_each_way(void **state)
{
	enum { ROUNDS = 200, BATCH = 64 };
	struct front_counts before;
	struct vgpu_response rsp;

	(void)state;
	path_connect(&f);
	before = f.counts;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < BATCH; i++) {
			struct vgpu_request req = front_request(VGPU_OP_NOP);

			assert_true(front_put(&f, &req) >= 0);
		}
		front_push(&f);
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(front_next(&f, &rsp), 1);
	}
	assert_int_equal(f.counts.responses - before.responses, ROUNDS * BATCH);
	assert_true(f.counts.notify_sent - before.notify_sent <= ROUNDS);
	assert_true(f.counts.events - before.events <= ROUNDS + 1);
	path_disconnect(&f);
}

static void polling_front_is_sent_one_event_at_most(void **state)
{
	struct pollfd fd = {.fd = xenevtchn_fd(f.evt), .events = POLLIN};
	struct vgpu_request req = front_request(VGPU_OP_NOP);
	uint64_t syscalls;

	(void)state;
	path_connect(&f);
	f.polling = true;
	syscalls = f.counts.syscalls - f.counts.notify_sent;
	for (int i = 0; i < 2000; i++)
		assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	/* Only what the backend asked for: it sleeps on its event channel. */
	assert_int_equal(f.counts.syscalls - f.counts.notify_sent, syscalls);
	if (poll(&fd, 1, 0) == 1) {
		assert_int_equal(xenevtchn_pending(f.evt), f.port);
		xenevtchn_unmask(f.evt, f.port);
	}
	assert_int_equal(poll(&fd, 1, 0), 0);
	path_disconnect(&f);
}

struct taker {
	pthread_t thread;
	unsigned int want;
	bool ok;
};

static void *take(void *arg)
{
	struct taker *t = arg;
	struct vgpu_response rsp;

	t->ok = true;
	for (unsigned int i = 0; i < t->want && t->ok; i++)
		t->ok = front_next(&f, &rsp) == 1 && !rsp.status;
	return NULL;
}

static void two_threads_share_a_front(void **state)
{
	struct taker t = {.want = 20000};
	struct vectors v;

	(void)state;
	path_connect(&f);
	f.shared = true;
	vectors_make(&f, &v, 1, 100, 0, false);
	assert_int_equal(pthread_create(&t.thread, NULL, take, &t), 0);
	for (unsigned int i = 0; i < t.want;) {
		struct vgpu_request req =
			i % 8 ? front_request(VGPU_OP_NOP) :
				add_request(&v.a, &v.b, &v.c, v.n);

		if (front_put(&f, &req) >= 0)
			i++;
		else
			sched_yield();
		if (i % 5 == 0 || i == t.want)
			front_push(&f);
	}
	pthread_join(t.thread, NULL);
	assert_true(t.ok);
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void two_guests_have_a_worker_each(void **state)
{
	struct front other;
	struct front *const front[] = {&f, &other};
	struct vectors v[2];

	(void)state;
	path_guest(&other, 8);
	for (int i = 0; i < 2; i++) {
		path_connect(front[i]);
		/* The same handle in both is not the same buffer. */
		vectors_make(front[i], &v[i], 1, 10000 + i, 0, i);
	}
	assert_int_not_equal(world_count(&w, GUEST).mapper,
			     world_count(&w, 8).mapper);
	for (int round = 0; round < 50; round++) {
		struct vgpu_response rsp;

		for (int i = 0; i < 2; i++) {
			vectors_fill(&v[i], round * 2 + i);
			path_flood(front[i], &v[i], 4, 1);
		}
		for (int i = 0; i < 2; i++) {
			for (int k = 0; k < 4; k++)
				assert_int_equal(front_next(front[i], &rsp), 1);
			vectors_check(&v[i]);
		}
	}
	for (int i = 0; i < 2; i++) {
		vectors_unmap(front[i], &v[i]);
		vectors_free(front[i], &v[i]);
		path_disconnect(front[i]);
	}
	front_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATH_TEST(connects_and_disconnects),
		PATH_TEST(store_conflicts_are_tried_again),
		PATH_TEST(nop_echoes),
		PATH_TEST(vector_adds_are_exact),
		PATH_TEST(operands_stay_inside_their_offsets),
		PATH_TEST(large_buffer_of_many_directories),
		PATH_TEST(fences_follow_their_streams),
		PATH_TEST(ctx_destroy_frees_all_of_it),
		PATH_TEST(info_counts),
		PATH_TEST(batch_needs_one_event_each_way),
		PATH_TEST(polling_front_is_sent_one_event_at_most),
		PATH_TEST(two_threads_share_a_front),
		PATH_TEST(two_guests_have_a_worker_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
