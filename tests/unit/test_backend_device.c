// SPDX-License-Identifier: MIT
/*
 * test_backend_device.c - the supervisor's scan, offers and starts of workers
 *
 * Supervisor, toolstack, guest and worker as in supervisor.h. How devices close
 * is in test_backend_close.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor.h"

static void offers_then_connects(void **s)
{
	struct msg m;

	(void)s;
	attach();
	assert_string_equal(state(), "2");
	assert_string_equal(fake_xs_get(B "/engine"), "cpu");
	assert_string_equal(fake_xs_get(B "/versions"), "1");
	assert_null(fake_xs_get(B "/gpu-uuid"));
	assert_null(error());
	assert_int_equal(worker.spawned, 0);

	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
	assert_string_equal(state(), "2");
	m = worker_gets();
	assert_int_equal(m.type, MSG_CONFIG);
	assert_int_equal(m.u.config.domid, 7);
	assert_int_equal(m.u.config.ring_ref[0], 768);
	assert_int_equal(m.u.config.event_channel, 15);
	assert_int_equal(m.u.config.arena_ref, 772);
	assert_string_equal(m.u.config.engine, "cpu");
	assert_int_equal(m.u.config.poll_us, 20);
	assert_int_equal(m.u.config.max_mapped_pages, 3000);
	assert_int_equal(m.u.config.max_launch_ms, 4000);
	assert_int_equal(m.u.config.kernels, BACK_KERNELS);
	settle();
	assert_int_equal(worker.spawned, 1);

	worker_sends(MSG_READY, "");
	assert_string_equal(state(), "4");
	frontend("4");
	assert_string_equal(state(), "4");
}

/* The guest reads what we publish, and nobody else does. */
static void published_nodes_are_the_guests_to_read(void **s)
{
	(void)s;
	attach();
	assert_string_equal(fake_xs_get_perms(B "/ops"), "n0,r7");
	assert_string_equal(fake_xs_get_perms(B "/state"), "n0,r7");
}

static void waits_for_the_gate(void **s)
{
	(void)s;
	offers_start(&bd.offers, "cpu", BACK_KERNELS);
	attach();
	assert_string_equal(state(), "1");
	probe_says("engine cpu\ngpu-name Test\ngpu-memory 1\n");
	settle();
	assert_string_equal(state(), "2");
}

static void refuses_garbage_and_offers_again(void **s)
{
	(void)s;
	attach();
	guest_writes();
	fake_xs_set(F "/ring-ref", "\033[2J-1", NULL);
	frontend("3");
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "frontend's ring-ref is \"?[2J-1\", must "
				     "be a number 1 ... 4294967295");
	assert_int_equal(worker.spawned, 0);
	/* It stays so until the frontend starts over. */
	settle();
	assert_string_equal(state(), "6");
	frontend("5");
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "2");
	assert_null(error());
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
}

static void refuses_each_missing_node(void **s)
{
	static const char *const nodes[] = {"/version", "/ring-ref",
					    "/event-channel", "/arena-pages",
					    "/arena-ref"};

	(void)s;
	for (size_t i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), F "%s", nodes[i]);
		attach();
		guest_writes();
		fake_xs_del(path);
		frontend("3");
		assert_string_equal(state(), "6");
		assert_non_null(strstr(error(), "is missing"));
		assert_non_null(strstr(error(), nodes[i] + 1));
		frontend("6");
	}
	assert_int_equal(worker.spawned, 0);
}

static void refuses_a_foreign_frontend(void **s)
{
	(void)s;
	fake_xs_set(B "/frontend", "/local/domain/8/device/vgpu/0", "n0,r7");
	fake_xs_set(B "/frontend-id", "7", NULL);
	fake_xs_set(B "/online", "1", NULL);
	fake_xs_set(B "/state", "1", NULL);
	fake_xs_set(F "/state", "1", "n7,r0");
	settle();
	assert_string_equal(state(), "6");
	assert_non_null(strstr(error(), "frontend"));
}

static void hostile_guest_is_paced(void **s)
{
	int refusals = 0;

	(void)s;
	attach();
	guest_writes();
	fake_xs_set(F "/version", "9", NULL);
	for (int i = 0; i < 100; i++) {
		frontend("3");
		if (!strcmp(state(), "6"))
			refusals +=
				dev()->phase == DEV_CLOSED && !dev()->deadline;
		frontend("6");
		if (strcmp(state(), "2"))
			break;
	}
	assert_in_range(refusals, 2, 5);
	assert_true(device_deadline(dev()) > clock_ms());
	/* And gets its turn again when the time has come. */
	dev()->pace.paid_at = 0;
	device_expire(dev(), device_deadline(dev()));
	assert_string_equal(state(), "2");
}

static void worker_that_fails_is_a_refusal(void **s)
{
	(void)s;
	attach();
	guest_writes();
	frontend("3");
	worker_sends(MSG_FAILED, "cannot map the ring pages");
	assert_string_equal(state(), "5");
	worker_ends(1);
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "cannot map the ring pages");
	frontend("6");
	assert_string_equal(state(), "2");
}

/* The toolstack may write both directories before it introduces the domain. */
static void domain_not_there_yet(void **s)
{
	(void)s;
	introduced = false;
	attach();
	assert_string_equal(state(), "1");
	introduced = true;
	settle();
	assert_string_equal(state(), "2");
}

static void stale_directory_at_start(void **s)
{
	(void)s;
	introduced = false;
	fake_xs_set(B "/frontend", F, "n0,r7");
	fake_xs_set(B "/state", "4", NULL);
	settle();
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
	assert_null(dev());
}

static void junk_names_are_left_alone(void **s)
{
	(void)s;
	fake_xs_set("/local/domain/0/backend/vgpu/07/0/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/x/0/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/7/00/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/99999/0/state", "1", NULL);
	settle();
	assert_null(bd.devices);
}

/* A daemon that died left Connected behind; the frontend learns of it. */
static void restart_offers_from_any_state(void **s)
{
	(void)s;
	attach();
	fake_xs_set(B "/state", "4", NULL);
	fake_xs_set(F "/state", "4", NULL);
	bd.devices->phase = DEV_NEW;
	bd.devices->written = XenbusStateUnknown;
	settle();
	assert_string_equal(state(), "2");
	assert_int_equal(worker.spawned, 0);
	frontend("1");
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
}

static void worker_that_never_starts_is_killed(void **s)
{
	(void)s;
	attach();
	guest_writes();
	frontend("3");
	device_expire(dev(), device_deadline(dev()));
	assert_int_equal(worker.kills, 1);
	assert_non_null(strstr(error(), "not ready in time"));
	worker_ends(9);
	assert_string_equal(state(), "6");
}

static void worker_is_not_believed(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_READY, "");
	assert_int_equal(worker.kills, 1);
	assert_int_equal(send(worker.fd, "x", 1, MSG_NOSIGNAL), -1);
	worker_ends(9);
	assert_string_equal(state(), "6");
}

static void short_message_kills(void **s)
{
	(void)s;
	connected();
	assert_int_equal(send(worker.fd, "x", 1, 0), 1);
	device_readable(dev());
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
}

/* Each report is a line in the log: one that nobody asked for is none. */
static void reports_are_asked_for(void **s)
{
	(void)s;
	connected();
	device_ask_stats(dev());
	assert_int_equal(worker_gets().type, MSG_STATS);
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
}

/* However often a guest changes its state, we look at it once a turn. */
static void flood_of_watches_is_one_look(void **s)
{
	unsigned int before;

	(void)s;
	connected();
	before = fake_xs_reads;
	for (int i = 0; i < 1000; i++)
		scan_notice(&bd, F "/state", "7/0");
	assert_int_equal(fake_xs_reads, before);
	scan_noticed(&bd);
	assert_in_range(fake_xs_reads - before, 1, 10);
	/* And it is a look. */
	fake_xs_set(F "/state", "5", NULL);
	scan_notice(&bd, F "/state", "7/0");
	scan_noticed(&bd);
	assert_string_equal(state(), "5");
	before = fake_xs_reads;
	scan_noticed(&bd);
	assert_int_equal(fake_xs_reads, before);
	worker_ends(0);
}

static void lost_xenstored_is_noticed(void **s)
{
	(void)s;
	connected();
	fake_xs_errno = EBADF;
	scan(&bd);
	assert_true(bd.lost);
	/* Nothing is taken for gone. */
	assert_non_null(dev());
	assert_int_equal(dev()->phase, DEV_CONNECTED);
	fake_xs_errno = 0;
}

static void conflicts_are_retried(void **s)
{
	(void)s;
	fake_xs_conflicts = 3;
	attach();
	assert_string_equal(state(), "2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(offers_then_connects),
		TEST(published_nodes_are_the_guests_to_read),
		TEST(waits_for_the_gate),
		TEST(refuses_garbage_and_offers_again),
		TEST(refuses_each_missing_node),
		TEST(refuses_a_foreign_frontend),
		TEST(hostile_guest_is_paced),
		TEST(worker_that_fails_is_a_refusal),
		TEST(domain_not_there_yet),
		TEST(stale_directory_at_start),
		TEST(junk_names_are_left_alone),
		TEST(restart_offers_from_any_state),
		TEST(worker_that_never_starts_is_killed),
		TEST(worker_is_not_believed),
		TEST(short_message_kills),
		TEST(reports_are_asked_for),
		TEST(flood_of_watches_is_one_look),
		TEST(lost_xenstored_is_noticed),
		TEST(conflicts_are_retried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
