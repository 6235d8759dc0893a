// SPDX-License-Identifier: MIT
/*
 * test_backend_close.c - every way in which a device closes
 *
 * Supervisor, toolstack, guest and worker as in supervisor.h. How devices get
 * to work is in test_backend_device.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor.h"

/* The reason is still in the socket when the death is noticed. */
static void last_words_are_heard(void **s)
{
	struct msg m = {.type = MSG_FAILED};

	(void)s;
	attach();
	guest_writes();
	frontend("3");
	strcpy(m.u.why, "no engine");
	assert_int_equal(send(worker.fd, &m, sizeof(m), 0), sizeof(m));
	worker_ends(1);
	assert_string_equal(error(), "no engine");
}

static void worker_death_is_survived(void **s)
{
	(void)s;
	connected();
	worker_ends(11);
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "the worker ended with exit status 11");
	frontend("5");
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "2");
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 2);
	worker_gets();
	worker_sends(MSG_READY, "");
	assert_string_equal(state(), "4");
}

static void broken_ring_closes(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_BROKEN, "producer index");
	assert_string_equal(state(), "5");
	assert_string_equal(error(), "producer index");
	worker_ends(0);
	assert_string_equal(state(), "6");
}

/* What a guest does to its own worker is paced, but not from the first time. */
static void faulting_guest_is_paced(void **s)
{
	int restarts = 0;

	(void)s;
	attach();
	for (int i = 0; i < 20 && !strcmp(state(), "2"); i++) {
		guest_writes();
		frontend("3");
		worker_gets();
		worker_sends(MSG_READY, "");
		frontend("4");
		worker_sends(MSG_BROKEN, "the engine is lost: work faulted");
		assert_string_equal(error(),
				    "the engine is lost: work faulted");
		worker_sends(MSG_REPORT, "");
		worker_ends(0);
		frontend("6");
		restarts += !strcmp(state(), "2");
	}
	assert_in_range(restarts, 2, 4);
	assert_in_range(device_deadline(dev()), clock_ms() + 1,
			clock_ms() + 6000);
}

static void frontend_closes(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_string_equal(state(), "5");
	assert_int_equal(worker_gets().type, MSG_STOP);
	worker_ends(0);
	assert_string_equal(state(), "6");
	assert_null(error());
	frontend("6");
	assert_string_equal(state(), "2");
}

static void module_can_be_reloaded_often(void **s)
{
	(void)s;
	connected();
	for (int i = 0; i < 10; i++) {
		frontend("5");
		worker_ends(0);
		frontend("6");
		assert_string_equal(state(), "2");
		guest_writes();
		frontend("3");
		worker_gets();
		worker_sends(MSG_READY, "");
		frontend("4");
	}
	assert_int_equal(worker.spawned, 11);
}

static void detach_ends_in_closed(void **s)
{
	(void)s;
	connected();
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_int_equal(worker_gets().type, MSG_STOP);
	assert_string_equal(state(), "5");
	frontend("6");
	worker_ends(0);
	assert_string_equal(state(), "6");
	settle();
	assert_string_equal(state(), "6");
	/* The toolstack takes both away; then we know nothing of it. */
	fake_xs_del(F);
	fake_xs_del(B);
	settle();
	assert_null(dev());
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

static void detach_of_an_offer(void **s)
{
	(void)s;
	attach();
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_string_equal(state(), "6");
}

static void detach_of_what_is_closed(void **s)
{
	(void)s;
	attach();
	guest_writes();
	fake_xs_del(F "/version");
	frontend("3");
	assert_string_equal(state(), "6");
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "6");
}

static void directory_removed_while_busy(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	fake_xs_del(B);
	settle();
	assert_int_equal(worker_gets().type, MSG_STOP);
	/* Its nodes stay gone, and it is forgotten when the worker has ended. */
	assert_null(state());
	assert_non_null(dev());
	worker_ends(0);
	assert_null(dev());
	assert_null(state());
}

static void directory_made_anew(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	fake_xs_del(B);
	attach();
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
	assert_string_equal(state(), "2");
	assert_null(error());
}

static void domain_gone_while_busy(void **s)
{
	struct msg m;

	(void)s;
	connected();
	introduced = false;
	settle();
	m = worker_gets();
	assert_int_equal(m.type, MSG_STOP);
	/* Its pages are a zombie's: no five seconds for that. */
	assert_true(m.deadline_ms <= 1000);
	fake_xs_del("/local/domain/7");
	settle();
	assert_non_null(state());
	worker_ends(0);
	assert_null(dev());
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

static void frontend_node_vanishes(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	settle();
	assert_string_equal(state(), "5");
	worker_ends(0);
	assert_string_equal(state(), "6");
	/* The domain is alive: its device is the toolstack's to remove. */
	assert_non_null(dev());
}

static void frontend_state_is_garbage(void **s)
{
	(void)s;
	connected();
	frontend("four");
	assert_string_equal(state(), "5");
	worker_ends(0);
	assert_string_equal(state(), "6");
}

static void worker_that_hangs_is_killed(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_in_range(device_deadline(dev()), clock_ms(), clock_ms() + 5000);
	device_expire(dev(), device_deadline(dev()));
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
	assert_string_equal(state(), "6");
}

/* The last report of a worker that broke, and of one that was stopped. */
static void last_report_is_taken(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_BROKEN, "producer index");
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_ends(0);
	frontend("6");
	guest_writes();
	frontend("3");
	worker_gets();
	worker_sends(MSG_READY, "");
	frontend("5");
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_ends(0);
	assert_string_equal(state(), "6");
}

/* A worker at its end that does not die keeps nobody awake. */
static void dead_socket_is_not_polled(void **s)
{
	(void)s;
	connected();
	close(worker.fd);
	device_readable(dev());
	assert_int_equal(worker.kills, 1);
	assert_int_equal(dev()->worker.fd, -1);
	device_worker_exited(dev(), 9);
	assert_string_equal(state(), "6");
}

/* The frontend's nodes go in the same moment as its domain. */
static void domain_gone_is_noticed_first(void **s)
{
	(void)s;
	connected();
	introduced = false;
	fake_xs_del("/local/domain/7");
	bd.rescan = false;
	scan_notice(&bd, F "/state", "7/0");
	scan_noticed(&bd);
	assert_true(bd.rescan);
	settle();
	assert_true(worker_gets().deadline_ms <= 1000);
	worker_ends(0);
}

static void domain_gone_while_closing(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_true(device_deadline(dev()) > clock_ms() + 2000);
	introduced = false;
	settle();
	assert_true(device_deadline(dev()) <= clock_ms() + 1000);
	worker_ends(0);
}

/* A driver domain is not told who is there: it sees what nodes there are. */
static void driver_domain_sees_a_domain_go(void **s)
{
	(void)s;
	connected();
	introduced = false;
	introduced_errno = EACCES;
	fake_xs_del("/local/domain/7");
	settle();
	assert_true(worker_gets().deadline_ms <= 1000);
	worker_ends(0);
	settle();
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
	assert_null(dev());
}

static void driver_domain_keeps_who_is_there(void **s)
{
	(void)s;
	connected();
	introduced = false;
	introduced_errno = EACCES;
	fake_xs_del(F "/state");
	settle();
	assert_true(worker_gets().deadline_ms > 1000);
	worker_ends(0);
	settle();
	assert_string_equal(state(), "6");
	assert_non_null(dev());
}

static void shutdown_closes_all(void **s)
{
	(void)s;
	connected();
	bd.stopping = true;
	device_stop(dev());
	assert_string_equal(state(), "5");
	assert_int_equal(worker_gets().type, MSG_STOP);
	device_worker_exited(dev(), 0);
	assert_string_equal(state(), "6");
	/* Nothing is offered any more. */
	fake_xs_set(F "/state", "6", NULL);
	device_check(dev());
	assert_string_equal(state(), "6");
	bd.stopping = false;
	close(worker.fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(last_words_are_heard),
		TEST(worker_death_is_survived),
		TEST(broken_ring_closes),
		TEST(faulting_guest_is_paced),
		TEST(frontend_closes),
		TEST(module_can_be_reloaded_often),
		TEST(detach_ends_in_closed),
		TEST(detach_of_an_offer),
		TEST(detach_of_what_is_closed),
		TEST(directory_removed_while_busy),
		TEST(directory_made_anew),
		TEST(domain_gone_while_busy),
		TEST(frontend_node_vanishes),
		TEST(frontend_state_is_garbage),
		TEST(worker_that_hangs_is_killed),
		TEST(last_report_is_taken),
		TEST(dead_socket_is_not_polled),
		TEST(domain_gone_is_noticed_first),
		TEST(domain_gone_while_closing),
		TEST(driver_domain_sees_a_domain_go),
		TEST(driver_domain_keeps_who_is_there),
		TEST(shutdown_closes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
