/* SPDX-License-Identifier: MIT */
/*
 * test_vgpuctl.c - vgpuctl's attach, detach, set and list (see toolstack.h)
 */
#include "toolstack.h"

#include "vgpuctl.h"

static void test_usage(void **state)
{
	(void)state;
	world(NULL);
	expect("--version", 0, "vgpuctl ");
	expect("--help", 0, "attach DOMAIN");
	expect("help detach", 0, "--force");
	expect("create --help", 0, "XL-OPTIONS");
	expect("", 2, "usage:");
	expect("frob", 2, "unknown command \"frob\"");
	expect("attach", 2, "usage: vgpuctl attach");
	expect("attach --force guest", 2, "bad option --force");
	expect("attach --timeout 1s guest", 2, "--timeout 1s");
	expect("attach guest gpu=x", 2, "gpu=x");
	expect("list a b", 2, "at most one");
	assert_int_equal(
		vgpuctl_run(2, (char *[]){"vgpuctl", "--state-file", NULL}), 2);
	assert_int_equal(vgpuctl_run(4, (char *[]){"vgpuctl", "--state-file",
						   "", "list", NULL}),
			 2);
}

static void test_attach(void **state)
{
	(void)state;
	world(backend_serves);
	expect("attach guest gpu=1,mem=4G,cap=50", 0,
	       "attached vgpu device 0 to domain 7");
	expect_node(B "/frontend", F);
	expect_node(B "/frontend-id", "7");
	expect_node(B "/online", "1");
	expect_node(B "/gpu", "1");
	expect_node(B "/mem", "4294967296");
	expect_node(B "/weight", "256");
	expect_node(B "/cap", "50");
	expect_node(B "/state", "2");
	expect_node(F "/backend", B);
	expect_node(F "/backend-id", "0");
	expect_node(F "/state", "1");
	assert_string_equal(fake_xs_get_perms("/local/domain/0/backend/vgpu/7"),
			    "n0,r7");
	assert_string_equal(fake_xs_get_perms(B), "n0,r7");
	assert_string_equal(fake_xs_get_perms(B "/mem"), "n0,r7");
	assert_string_equal(fake_xs_get_perms(F), "n7,r0");
	assert_string_equal(fake_xs_get_perms(F "/state"), "n7,r0");
}

static void test_attach_schema(void **state)
{
	(void)state;
	world(NULL);
	expect("attach --no-wait 7", 0, "device 0 to domain 7");
	expect("attach --no-wait 7", 0, "device 1 to domain 7");
	expect("attach --no-wait 7 devid=9,backend=drv", 0, "device 9");
	expect_node("/local/domain/8/backend/vgpu/7/9/frontend",
		    "/local/domain/7/device/vgpu/9");
	expect_schema_ok();
	/* the hole is filled */
	expect("detach 7 0", 0, "detached");
	expect("attach --no-wait 7", 0, "device 0 to domain 7");
	/* vgpubackd may have been there first: no matter, if it is the same */
	expect("attach --no-wait 7 devid=1", 0, "device 1 to domain 7");
	expect("attach --no-wait 7 devid=1,cap=5", 1,
	       "has a vgpu device 1 already");
	expect("attach --no-wait 7 devid=9", 1, "has a vgpu device 9 already");
	expect("attach --no-wait 7 devid=9,backend=8", 0, "device 9");
	fake_xs_del("/local/domain/7/device/vgpu/9");
	expect("attach --no-wait 7 devid=9,backend=8", 1,
	       "has a vgpu device 9 already");
	fake_xs_del("/local/domain/8/backend");
	expect_schema_ok();
}

static void test_attach_conflict(void **state)
{
	(void)state;
	world(NULL);
	fake_xs_conflicts = 3;
	expect("attach --no-wait guest", 0, "device 0");
	assert_int_equal(fake_xs_conflicts, 0);
	expect_schema_ok();
}

static void test_attach_refuses(void **state)
{
	unsigned int before;

	(void)state;
	world(NULL);
	before = fake_xs_count("/local");
	expect("attach nobody", 1, "there is no domain \"nobody\"");
	expect("attach 99", 1, "there is no domain 99");
	expect("attach 0", 1, "backend's own domain");
	expect("attach 7 backend=nobody", 1, "there is no such domain");
	dying = true;
	expect("attach 7", 1, "domain 7 is dying");
	assert_int_equal(fake_xs_count("/local"), before);
}

static void test_attach_unserved(void **state)
{
	(void)state;
	world(NULL);
	expect("attach --timeout 0 guest", 3, "no vgpubackd in domain 0");
	assert_non_null(strstr(said, "connects when a vgpubackd starts"));
	expect_node(B "/state", "1");
}

static void test_attach_refused(void **state)
{
	unsigned int before;

	(void)state;
	world(backend_refuses);
	before = fake_xs_count("/local");
	expect("attach guest gpu=9", 1, LONG_REASON "?[2J\n");
	assert_null(fake_xs_get(B));
	assert_null(fake_xs_get(F));
	/* what stays is backend/vgpu and device */
	assert_int_equal(fake_xs_count("/local"), before + 3);
}

static void test_detach(void **state)
{
	(void)state;
	world(backend_serves);
	expect("detach guest", 1, "has no vgpu device");
	assert_int_equal(vgpuctl("attach guest"), 0);
	expect("detach guest 4", 1, "no vgpu device \"4\"");
	expect("detach guest", 0, "detached vgpu device 0 from domain 7");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
	assert_null(fake_xs_get("/local/domain/7/device/vgpu"));
}

static void test_detach_one_of_two(void **state)
{
	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	expect("detach guest", 2, "say which one");
	expect("detach guest 1", 0, "detached vgpu device 1");
	expect_node(B "/state", "1");
	assert_null(fake_xs_get("/local/domain/7/device/vgpu/1"));
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	expect("detach guest all", 0, "detached vgpu device 1");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

static void test_detach_stuck(void **state)
{
	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	fake_xs_set(B "/state", "4", NULL);
	fake_xs_set(F "/state", "4", NULL);
	expect("detach --timeout 0 guest", 1,
	       "backend in domain 0 is still Closing");
	expect_node(B "/online", "0");
	expect_node(B "/state", "5");
	expect("detach --timeout 0 --force guest", 0, "removed by force");
	assert_null(fake_xs_get(B));
}

/* A frontend that never closes holds nobody up for ever. */
static void backend_closes_alone(void)
{
	const char *state = fake_xs_get(B "/state");

	if (state && !strcmp(state, "5"))
		fake_xs_set(B "/state", "6", NULL);
}

static void test_detach_hostile_frontend(void **state)
{
	(void)state;
	world(backend_closes_alone);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	fake_xs_set(B "/state", "4", NULL);
	fake_xs_set(F "/state", "4", NULL);
	expect("detach --timeout 1 guest", 0, "detached");
	assert_null(fake_xs_get(F));
}

/* A guest that never stops changing its nodes spoils every transaction. */
static void test_hostile_conflicts(void **state)
{
	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	fake_xs_conflicts = 1000000;
	expect("attach --no-wait guest", 1, "keeps changing its devices");
	assert_null(fake_xs_get("/local/domain/7/device/vgpu/1"));
	expect("detach guest", 0, "detached vgpu device 0");
	assert_null(fake_xs_get(B));
	assert_null(fake_xs_get(F));
}

static void test_large_devid(void **state)
{
	(void)state;
	world(NULL);
	expect("attach --no-wait guest devid=65535", 0, "device 65535");
	expect("list", 0, "65535");
	expect("detach guest 65535", 0, "detached vgpu device 65535");
}

static void test_detach_left_behind(void **state)
{
	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	fake_xs_del("/local/domain/7");
	expect("detach 7", 0, "detached");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

/* Nodes that only some lines give. */
static void test_attach_quotas(void **state)
{
	(void)state;
	world(NULL);
	expect("attach --no-wait 7 max-buffers=8,max-mapped-pages=4096,mps=1",
	       0, "device 0");
	expect_node(B "/quota-buffers", "8");
	expect_node(B "/quota-pages", "4096");
	expect_node(B "/mps", "1");
	expect_schema_ok();
	expect("attach --no-wait 7 mps=0", 0, "device 1");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7/1/mps"));
	assert_null(
		fake_xs_get("/local/domain/0/backend/vgpu/7/1/quota-buffers"));
	assert_null(
		fake_xs_get("/local/domain/0/backend/vgpu/7/1/quota-pages"));
	expect_schema_ok();
}

/* The backend's domain is gone, and xenstore's part of it. */
static void test_detach_orphan(void **state)
{
	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait 7 backend=drv"), 0);
	fake_xs_del("/local/domain/8");
	expect("list", 0, " 7 guest ");
	expect("set guest cap=1", 1, "has no backend any more");
	expect("detach guest", 0, "detached vgpu device 0 from domain 7");
	assert_null(fake_xs_get(F));
}

static void test_set(void **state)
{
	(void)state;
	world(backend_serves);
	expect("set guest cap=1", 1, "domain 7 has no vgpu device");
	assert_int_equal(vgpuctl("attach guest mem=4G,max-buffers=5"), 0);
	fake_xs_set(B "/gpu-memory", "8589934592", NULL);
	expect("set guest weight=512,cap=50", 0, "");
	assert_string_equal(said, "");
	expect_node(B "/weight", "512");
	expect_node(B "/cap", "50");
	expect_node(B "/mem", "4294967296");
	expect("set 7 0 mem=8G", 0, "");
	expect_node(B "/mem", "8589934592");
	expect_node(B "/weight", "512");
	expect_node(B "/quota-buffers", "5");
	expect("set guest mem=8193M", 1,
	       "set: mem=8590983168: must be at most 8589934592");
	expect("set guest weight=1,mem=9G", 1, "must be at most");
	expect_node(B "/weight", "512");
	expect_node(B "/mem", "8589934592");
	expect("set guest gpu=1", 2, "set: gpu=1: cannot be changed");
	expect("set guest cap=101", 2, "set: cap=101: must be per cent");
	expect("set guest 1 cap=1", 1, "no vgpu device \"1\"");
	expect("set guest", 2, "usage: vgpuctl set");
	expect("set nobody cap=1", 1, "there is no domain");
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	expect("set guest cap=1", 2, "say which one");
	expect("set guest 1 cap=7", 0, "");
	expect_node("/local/domain/0/backend/vgpu/7/1/cap", "7");
	expect_node(B "/cap", "50");
}

/* All of a change or nothing, and never a directory that was removed. */
static void test_set_conflict(void **state)
{
	struct device_line line;
	const struct vgpu_dev gone = {.guest = 7, .devid = 5};
	char err[NODES_ERR];

	(void)state;
	world(NULL);
	assert_int_equal(vgpuctl("attach --no-wait guest"), 0);
	fake_xs_conflicts = 3;
	expect("set guest weight=2,cap=3", 0, "");
	expect_node(B "/weight", "2");
	fake_xs_conflicts = 1000000;
	expect("set guest weight=4", 1, "xenstore refused the change");
	expect_node(B "/weight", "2");
	fake_xs_conflicts = 0;
	assert_false(nodes_change(xs_open(0), &gone, "cap=1", &line, err));
	assert_string_equal(err, "device 5 of domain 7 has no backend any more");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7/5"));
}

static void test_list(void **state)
{
	(void)state;
	world(backend_serves);
	expect("list", 0, "BACKEND");
	assert_null(strstr(said, "guest"));
	assert_int_equal(vgpuctl("attach guest mem=4G,cap=50"), 0);
	fake_xs_set(F "/state", "9\x1b[2J", NULL);
	fake_xs_set(B "/error", "earlier", NULL);
	expect("list", 0, " 7 guest ");
	assert_non_null(strstr(said, "InitWait     Unknown      cpu"));
	assert_non_null(strstr(said, "a ?[31m name"));
	assert_non_null(strstr(said, "      4G    256   50  earlier"));
	assert_null(strchr(said, '\x1b'));
	expect("list drv", 0, "BACKEND");
	assert_null(strstr(said, "guest"));
	expect("list nobody", 1, "there is no domain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_attach_schema),
		cmocka_unit_test(test_attach_conflict),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_attach_unserved),
		cmocka_unit_test(test_attach_refused),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_detach_one_of_two),
		cmocka_unit_test(test_detach_stuck),
		cmocka_unit_test(test_detach_hostile_frontend),
		cmocka_unit_test(test_hostile_conflicts),
		cmocka_unit_test(test_large_devid),
		cmocka_unit_test(test_detach_left_behind),
		cmocka_unit_test(test_attach_quotas),
		cmocka_unit_test(test_detach_orphan),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_conflict),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests_name("vgpuctl", tests, toolstack_setup,
					   toolstack_teardown);
}
