// SPDX-License-Identifier: MIT
/*
 * test_backend_config.c - what the toolstack writes of a device: taken, refused,
 * changed while it runs, removed by hand
 *
 * Supervisor, toolstack, guest and worker as in supervisor.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor.h"

#define B8 "/local/domain/0/backend/vgpu/8/0"
#define F8 "/local/domain/8/device/vgpu/0"

static void set(const char *node, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), B "/%s", node);
	fake_xs_set(path, value, NULL);
}

/* A change by hand: what the watch makes of it, and no scan. */
static void change(const char *node, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), B "/%s", node);
	if (value)
		fake_xs_set(path, value, NULL);
	else
		fake_xs_del(path);
	scan_notice(&bd, path, "scan");
	assert_false(bd.rescan);
	scan_noticed(&bd);
}

static void no_message(void)
{
	struct msg m;

	assert_int_equal(recv(worker.fd, &m, sizeof(m), MSG_DONTWAIT), -1);
}

static void values_reach_worker_and_arbiter(void **s)
{
	struct msg m;

	(void)s;
	bd.policy.mps_pipe = "/run/mps";
	set("mem", "1000");
	set("weight", "512");
	set("cap", "40");
	set("quota-buffers", "10");
	set("quota-pages", "100");
	set("mps", "1");
	attach();
	assert_string_equal(fake_xs_get(B "/max-buffers"), "10");
	guest_writes();
	frontend("3");
	m = worker_gets();
	assert_int_equal(m.u.config.mem_quota, 1000);
	assert_int_equal(m.u.config.max_buffers, 10);
	assert_int_equal(m.u.config.max_mapped_pages, 100);
	assert_true(share.there);
	assert_int_equal(share.gpu, 0);
	assert_int_equal(share.weight, 512);
	assert_int_equal(share.cap, 40);
	assert_string_equal(worker.mps, "/run/mps");
}

static void missing_values_have_defaults(void **s)
{
	struct msg m;

	(void)s;
	bd.policy.mps_pipe = "/run/mps";
	attach();
	assert_string_equal(fake_xs_get(B "/max-buffers"), "1024");
	guest_writes();
	frontend("3");
	m = worker_gets();
	assert_int_equal(m.u.config.mem_quota, 0);
	assert_int_equal(m.u.config.max_buffers, 1024);
	assert_int_equal(m.u.config.max_mapped_pages, 3000);
	assert_int_equal(share.weight, 256);
	assert_int_equal(share.cap, 0);
	/* Not even by accident. */
	assert_null(worker.mps);
}

static void quotas_above_ours_are_ours(void **s)
{
	struct msg m;

	(void)s;
	set("quota-buffers", "4294967295");
	set("quota-pages", "3001");
	attach();
	assert_string_equal(fake_xs_get(B "/max-buffers"), "1024");
	guest_writes();
	frontend("3");
	m = worker_gets();
	assert_int_equal(m.u.config.max_buffers, 1024);
	assert_int_equal(m.u.config.max_mapped_pages, 3000);
}

static void refuses_what_it_cannot_give(void **s)
{
	static const char *const cases[][3] = {
		{"gpu", "16", "gpu is \"16\", must be a number 0 ... 15"},
		{"gpu", "-1", "gpu is \"-1\", must be a number 0 ... 15"},
		{"gpu", "3", "only the engine cuda has more than GPU 0"},
		{"mem", "4G",
		 "mem is \"4G\", must be a number 0 ... 18446744073709551615"},
		{"mem", "214748364800",
		 "mem is 214748364800 (200.0 GiB), GPU 0 has 1024 (1.0 KiB)"},
		{"weight", "0",
		 "weight is \"0\", must be a number 1 ... 65535"},
		{"weight", "65536",
		 "weight is \"65536\", must be a number 1 ... 65535"},
		{"cap", "101", "cap is \"101\", must be a number 0 ... 100"},
		{"quota-buffers", "0",
		 "quota-buffers is \"0\", must be a number 1 ... 4294967295"},
		{"quota-pages", "",
		 "quota-pages is \"\", must be a number 1 ... 4294967295"},
		{"mps", "2", "mps is \"2\", must be a number 0 ... 1"},
		{"mps", "1",
		 "mps is 1, but this vgpubackd knows no MPS daemon (--mps-pipe)"},
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		set(cases[i][0], cases[i][1]);
		attach();
		assert_string_equal(error(), cases[i][2]);
		assert_string_equal(state(), "6");
		fake_xs_del("/local/domain/0/backend/vgpu");
		settle();
	}
	assert_int_equal(worker.spawned, 0);
}

static void all_of_the_gpu_is_not_too_much(void **s)
{
	(void)s;
	set("mem", "1024");
	attach();
	assert_string_equal(state(), "2");
}

static void changes_apply_while_it_runs(void **s)
{
	unsigned int before;
	struct msg m;

	(void)s;
	connected();
	before = fake_xs_reads;
	change("weight", "512");
	assert_int_equal(share.weight, 512);
	assert_int_equal(share.cap, 0);
	/* That node, and nothing else. */
	assert_int_equal(fake_xs_reads - before, 1);
	change("cap", "30");
	assert_int_equal(share.weight, 512);
	assert_int_equal(share.cap, 30);
	no_message();
	change("mem", "512");
	m = worker_gets();
	assert_int_equal(m.type, MSG_QUOTA);
	assert_int_equal(m.u.mem_quota, 512);
	/* Removed: the default. */
	change("weight", NULL);
	assert_int_equal(share.weight, 256);
	assert_int_equal(share.sets, 3);
	assert_string_equal(state(), "4");
	assert_int_equal(worker.kills, 0);
}

/* Written again with the same value, as tools do. */
static void what_has_not_changed_disturbs_nobody(void **s)
{
	(void)s;
	set("weight", "512");
	connected();
	change("weight", "512");
	change("mem", "0");
	assert_int_equal(share.sets, 0);
	no_message();
}

static void slips_of_the_hand_change_nothing(void **s)
{
	(void)s;
	set("weight", "512");
	connected();
	change("weight", "many");
	change("weight", "0");
	change("cap", "101");
	change("mem", "1025");
	change("mem", "1G");
	assert_int_equal(share.sets, 0);
	no_message();
	assert_string_equal(state(), "4");
	assert_null(error());
	change("cap", "100");
	assert_int_equal(share.weight, 512);
	assert_int_equal(share.cap, 100);
}

/* Of an offer, too: its worker is started with what holds by then. */
static void change_before_the_guest_connects(void **s)
{
	struct msg m;

	(void)s;
	attach();
	change("mem", "99");
	change("cap", "5");
	assert_int_equal(share.sets, 0);
	guest_writes();
	frontend("3");
	m = worker_gets();
	assert_int_equal(m.type, MSG_CONFIG);
	assert_int_equal(m.u.config.mem_quota, 99);
	assert_int_equal(share.cap, 5);
}

static void the_rest_holds_at_the_next_connect(void **s)
{
	struct msg m;

	(void)s;
	connected();
	change("quota-buffers", "9");
	change("quota-pages", "99");
	no_message();
	assert_int_equal(share.sets, 0);
	assert_string_equal(fake_xs_get(B "/max-buffers"), "1024");
	assert_string_equal(state(), "4");
	frontend("5");
	worker_gets();
	worker_ends(0);
	assert_false(share.there);
	frontend("1");
	assert_string_equal(fake_xs_get(B "/max-buffers"), "9");
	guest_writes();
	frontend("3");
	m = worker_gets();
	assert_int_equal(m.u.config.max_buffers, 9);
	assert_int_equal(m.u.config.max_mapped_pages, 99);
}

/* A path that only looks like one of them is looked at like any other. */
static void other_nodes_are_a_scan(void **s)
{
	static const char *const paths[] = {
		B "/online",   B "/weightx", B "/a/weight",
		B "/weight/a", B8 "/weight", "@introduceDomain",
	};

	(void)s;
	connected();
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		bd.rescan = false;
		scan_notice(&bd, paths[i], "scan");
		assert_true(bd.rescan);
	}
	assert_int_equal(dev()->changed, 0);
}

/* ---- by hand ----------------------------------------------------------- */

static void neighbour(void)
{
	fake_xs_set(F8 "/state", "1", "n8,r0");
	fake_xs_set(B8 "/frontend", F8, "n0,r8");
	fake_xs_set(B8 "/frontend-id", "8", NULL);
	fake_xs_set(B8 "/online", "1", NULL);
	fake_xs_set(B8 "/state", "1", NULL);
	settle();
}

static void neighbour_is_well(void)
{
	struct device *d = scan_find(&bd, 8, 0);

	assert_int_equal(d->phase, DEV_OFFERED);
	assert_string_equal(fake_xs_get(B8 "/state"), "2");
	fake_xs_del("/local/domain/0/backend/vgpu/8");
	settle();
}

/* Its device closes, and says which node; nobody else notices. */
static void node_removed_by_hand(void **s)
{
	static const char *const cases[][2] = {
		{B "/online", "online is missing"},
		{B "/state", "state is missing"},
		{B "/frontend", "frontend is missing"},
	};

	(void)s;
	for (size_t i = 0; i < 3; i++) {
		connected();
		neighbour();
		fake_xs_del(cases[i][0]);
		settle();
		assert_int_equal(dev()->phase, DEV_STOPPING);
		assert_int_equal(worker_gets().type, MSG_STOP);
		assert_string_equal(state(), "5");
		assert_string_equal(error(), cases[i][1]);
		worker_ends(0);
		assert_string_equal(state(), "6");
		assert_int_equal(dev()->phase, DEV_CLOSED);
		neighbour_is_well();
		fake_xs_del("/local/domain/0/backend/vgpu");
		settle();
	}
}

static void node_that_may_not_be_read(void **s)
{
	static const char *const paths[] = {B "/state", B "/online", F "/state",
					    B "/frontend"};

	(void)s;
	for (size_t i = 0; i < 4; i++) {
		connected();
		neighbour();
		fake_xs_denied = paths[i];
		settle();
		assert_int_equal(dev()->phase, DEV_STOPPING);
		assert_int_equal(worker_gets().type, MSG_STOP);
		assert_non_null(
			strstr(dev()->why, "cannot be read: Permission"));
		worker_ends(0);
		neighbour_is_well();
		fake_xs_denied = NULL;
		fake_xs_del("/local/domain/0/backend/vgpu");
		settle();
	}
}

/* Repaired, and the guest starts over: all is well again. */
static void repaired_by_hand(void **s)
{
	(void)s;
	connected();
	fake_xs_del(B "/online");
	settle();
	worker_gets();
	worker_ends(0);
	frontend("6");
	assert_string_equal(state(), "6");
	fake_xs_set(B "/online", "1", NULL);
	settle();
	assert_string_equal(state(), "2");
}

static void garbage_is_no_node(void **s)
{
	(void)s;
	connected();
	fake_xs_set(B "/online", "yes", NULL);
	settle();
	assert_string_equal(error(), "online is not what it must be");
	worker_gets();
	worker_ends(0);
}

/* ---- --engine none ----------------------------------------------------- */

static void serves_nobody(void **s)
{
	(void)s;
	offers_start(&bd.offers, "none", BACK_KERNELS);
	assert_true(offers_none(&bd.offers));
	assert_false(bd.offers.fatal);
	attach();
	assert_string_equal(state(), "6");
	assert_string_equal(error(),
			    "this vgpubackd serves no GPU (--engine none)");
	/* Said once: it will not change its mind. */
	dev()->pace.paid_at = 0;
	frontend("1");
	assert_int_equal(device_deadline(dev()), 0);
	assert_string_equal(state(), "6");
	assert_int_equal(dev()->phase, DEV_CLOSED);
	assert_int_equal(dev()->pace.paid_at, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_reach_worker_and_arbiter),
		TEST(missing_values_have_defaults),
		TEST(quotas_above_ours_are_ours),
		TEST(refuses_what_it_cannot_give),
		TEST(all_of_the_gpu_is_not_too_much),
		TEST(changes_apply_while_it_runs),
		TEST(what_has_not_changed_disturbs_nobody),
		TEST(slips_of_the_hand_change_nothing),
		TEST(change_before_the_guest_connects),
		TEST(the_rest_holds_at_the_next_connect),
		TEST(other_nodes_are_a_scan),
		TEST(node_removed_by_hand),
		TEST(node_that_may_not_be_read),
		TEST(repaired_by_hand),
		TEST(garbage_is_no_node),
		TEST(serves_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
