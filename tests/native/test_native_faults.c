// SPDX-License-Identifier: MIT
/*
 * test_native_faults.c - whole paths through the unmodified backend, gone wrong
 *
 * Workers killed, domains destroyed, daemons stopped, frontends that lie. After
 * each of them the broker counts: nothing mapped, no port bound, and where the
 * protocol says so the device works again. Worlds as in path.h.
 */
#include "path.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "vgpu_nodes.h"

static void killed_worker_is_replaced(void **state)
{
	struct vgpu_response rsp;
	unsigned int answered;
	struct vectors v;
	pid_t worker;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 18, 0, false);
	path_flood(&f, &v, 400, 4);
	assert_int_equal(front_next(&f, &rsp), 1);
	worker = world_count(&w, GUEST).mapper;
	world_freeze(worker);
	/* These at least it has not answered. */
	path_flood(&f, &v, 64, 4);
	kill(worker, SIGKILL);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_true(path_error_says("signal 9"));
	assert_int_equal(path_settle(&f, &answered), 463);
	assert_in_range(answered, 0, 399);
	path_recovers(&v);
}

static void detach_answers_and_ends(void **state)
{
	unsigned int answered;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 16, 0, false);
	path_flood(&f, &v, 300, 4);
	world_detach(&w, GUEST, 0);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_int_equal(path_settle(&f, &answered), 300);
	path_nothing_left(GUEST);
	vectors_free(&f, &v);
	assert_true(front_drop(&f));
	assert_int_equal(world_count(&w, GUEST).grants, 0);
	/* Not online: it is not offered again. */
	assert_true(front_restart(&f));
	assert_true(xs_rm(w.xs, XBT_NULL, "/local/domain/0/backend/vgpu/7/0"));
	assert_true(world_wait_removed(&w, GUEST));
}

static void front_may_close_with_work_in_flight(void **state)
{
	unsigned int answered;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 16, 0, false);
	path_flood(&f, &v, 300, 4);
	assert_true(front_state(&f, XenbusStateClosing));
	assert_true(front_wait_back(&f, XenbusStateClosed));
	assert_int_equal(path_settle(&f, &answered), 300);
	path_recovers(&v);
}

static void sigterm_closes_all(void **state)
{
	unsigned int answered;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 16, 0, false);
	path_flood(&f, &v, 300, 4);
	assert_int_equal(world_backend_end(&w, SIGTERM), 0);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_int_equal(path_settle(&f, &answered), 300);
	path_nothing_left(GUEST);
	assert_int_equal(world_count(&w, 0).ports, 0);
	vectors_free(&f, &v);
	assert_true(front_drop(&f));
	/* The next daemon finds the device as it is, and offers it. */
	assert_true(front_restart(&f));
	world_backend_start(&w, "cpu", NULL);
	path_connect(&f);
	path_disconnect(&f);
}

static void killed_daemon_takes_its_workers_along(void **state)
{
	unsigned int answered;
	struct vectors v;
	int status;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 18, 0, false);
	path_flood(&f, &v, 100, 1);
	status = world_backend_end(&w, SIGKILL);
	assert_true(WIFSIGNALED(status));
	world_backend_start(&w, "cpu", NULL);
	/* It finds "Connected" and nothing behind it; the worker is on its way. */
	assert_true(front_wait_back(&f, XenbusStateInitWait));
	assert_true(world_wait_unmapped(&w, GUEST));
	assert_int_equal(path_settle(&f, &answered), 100);
	path_recovers(&v);
}

static void destroyed_domain_is_let_go(void **state)
{
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 18, 0, false);
	path_flood(&f, &v, 400, 4);
	world_domain_destroy(&w, GUEST);
	assert_true(world_wait_removed(&w, GUEST));
	path_nothing_left(GUEST);
	assert_int_equal(world_count(&w, 0).ports, 0);
	buffer_forget(&f, &v.a);
	buffer_forget(&f, &v.b);
	buffer_forget(&f, &v.c);
}

static void bad_grants_are_refused_and_leave_nothing(void **state)
{
	struct vgpu_page_directory *dir;
	struct front_buffer b;
	struct vgpu_request req;
	uint32_t good;

	(void)state;
	path_connect(&f);
	assert_true(buffer_make(&f, &b, 1, 3 * NX_PAGE, 0, false, false));
	dir = guest_at(&f.mem, b.pages[3]);
	req = buffer_map_request(&b);
	/* Never granted, then ended, then for somebody else. */
	good = dir->gref[1];
	dir->gref[1] = 30000;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_GRANT);
	dir->gref[1] = good;
	assert_true(guest_end_grant(&f.mem, &good, 1));
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_GRANT);
	assert_true(guest_grant(&f.mem, 9, false, b.pages + 1, 1, b.refs + 1));
	dir->gref[1] = b.refs[1];
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_GRANT);
	/* A chain that ends too late, and one without its first page. */
	dir->gref[1] = b.refs[0];
	dir->next = b.refs[3];
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_INVALID);
	dir->next = 0;
	req.u.map.directory = 31000;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_GRANT);
	/* One page twice is the guest's own matter. */
	req = buffer_map_request(&b);
	assert_int_equal(world_count(&w, GUEST).mapped, 32);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	assert_int_equal(world_count(&w, GUEST).mapped, 32 + 3);
	req = buffer_unmap_request(&b);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	assert_true(buffer_free(&f, &b));
	path_disconnect(&f);
}

static void read_only_is_read_only(void **state)
{
	struct vgpu_request req;
	struct front_buffer b;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1000, 0, false);
	req = add_request(&v.b, &v.c, &v.a, v.n);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_ACCESS);
	/* A lie about the grants is found by the hypervisor. */
	assert_true(buffer_make(&f, &b, 9, 100, 0, true, false));
	req = buffer_map_request(&b);
	req.u.map.flags = 0;
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_GRANT);
	assert_true(buffer_free(&f, &b));
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void buffer_in_use_is_busy(void **state)
{
	struct vgpu_response rsp;
	struct vgpu_request req;
	unsigned int busy = 0;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 19, 0, false);
	/* Published at once: the backend reads them in one turn. */
	for (int i = 0; i < 50; i++) {
		req = vectors_share(&v, 0, 1);
		assert_true(front_put(&f, &req) >= 0);
	}
	req = buffer_unmap_request(&v.a);
	assert_true(front_put(&f, &req) >= 0);
	front_push(&f);
	for (int i = 0; i < 51; i++) {
		assert_int_equal(front_next(&f, &rsp), 1);
		if (rsp.op != VGPU_OP_BUFFER_UNMAP) {
			assert_int_equal(rsp.status, VGPU_RSP_OK);
			continue;
		}
		busy += rsp.status == VGPU_RSP_BUSY;
		assert_false(guest_end_grant(&f.mem, v.a.refs, 1));
		assert_int_equal(errno, EBUSY);
	}
	assert_int_equal(busy, 1);
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void mappings_have_a_quota(void **state)
{
	enum { PAGES = 30000 };
	struct front_buffer b;
	struct vgpu_request req;

	(void)state;
	path_connect(&f);
	assert_true(buffer_make(&f, &b, 1, PAGES * NX_PAGE, 0, false, false));
	for (uint32_t handle = 1; handle <= 3; handle++) {
		req = buffer_map_request(&b);
		req.u.map.handle = handle;
		assert_int_equal(front_call(&f, &req, NULL),
				 handle < 3 ? VGPU_RSP_OK : VGPU_RSP_QUOTA);
	}
	assert_int_equal(world_count(&w, GUEST).mapped, 2 * PAGES + 32);
	/* The end of the device unmaps them, too. */
	assert_true(front_state(&f, XenbusStateClosing));
	assert_true(front_wait_back(&f, XenbusStateClosed));
	path_nothing_left(GUEST);
	assert_true(buffer_free(&f, &b));
	assert_true(front_drop(&f));
}

static void ring_that_breaks_closes_the_device(void **state)
{
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1000, 0, false);
	f.ring.front.sring->req_prod += 5000;
	xenevtchn_notify(f.evt, f.port);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_true(path_error_says("producer index"));
	path_recovers(&v);
}

/* Everything right but for one node. */
static void refused_with(const char *node, uint64_t value, const char *why)
{
	assert_true(front_await_offer(&f));
	assert_true(front_prepare(&f, 2, 4));
	assert_true(front_publish(&f));
	assert_true(front_write(&f, node, value));
	assert_true(front_state(&f, XenbusStateInitialised));
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_true(path_error_says(why));
	path_nothing_left(GUEST);
	assert_int_equal(world_count(&w, 0).ports, 0);
	assert_true(front_drop(&f));
	assert_int_equal(world_count(&w, GUEST).grants, 0);
	assert_true(front_restart(&f));
}

static void wrong_port_is_refused(void **state)
{
	xenevtchn_port_or_error_t port;

	(void)state;
	/* One that is offered to another domain. */
	port = xenevtchn_bind_unbound_port(f.evt, 8);
	refused_with(VGPU_NODE_EVENT_CHANNEL, port, "cannot bind");
	path_connect(&f);
	assert_true(front_disconnect(&f));
}

static void wrong_arena_is_refused(void **state)
{
	(void)state;
	refused_with(VGPU_NODE_ARENA_REF, 30000, "arena");
	path_connect(&f);
	path_disconnect(&f);
}

static void wrong_ring_is_refused(void **state)
{
	(void)state;
	refused_with(VGPU_NODE_RING_REF "3", 30000, "ring");
	path_connect(&f);
	path_disconnect(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATH_TEST(killed_worker_is_replaced),
		PATH_TEST(detach_answers_and_ends),
		PATH_TEST(front_may_close_with_work_in_flight),
		PATH_TEST(sigterm_closes_all),
		PATH_TEST(killed_daemon_takes_its_workers_along),
		PATH_TEST(destroyed_domain_is_let_go),
		PATH_TEST(bad_grants_are_refused_and_leave_nothing),
		PATH_TEST(read_only_is_read_only),
		PATH_TEST(buffer_in_use_is_busy),
		PATH_TEST(mappings_have_a_quota),
		PATH_TEST(ring_that_breaks_closes_the_device),
		PATH_TEST(wrong_port_is_refused),
		PATH_TEST(wrong_arena_is_refused),
		PATH_TEST(wrong_ring_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
