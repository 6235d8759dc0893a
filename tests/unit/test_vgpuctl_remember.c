/* SPDX-License-Identifier: MIT */
/*
 * test_vgpuctl_remember.c - what vgpuctl leaves in the state file (toolstack.h)
 */
#include "toolstack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "vgpuctl.h"

#define OTHER "99999999-8888-7777-6666-555555555555"
#define G "device " UUID " guest "
#define PLAIN "gpu=0,mem=0,weight=256,cap=0"
#define CFG "name = \"guest\"\nmemory = 128\n"
#define ADVICE "moved away to begin anew"

static void remember(const char *records)
{
	char text[4096];

	snprintf(text, sizeof(text), "xen-vgpu devices 1\n%send\n", records);
	write_state(text);
}

static void attach_detach(void **state)
{
	(void)state;
	world(backend_serves);
	expect("attach guest gpu=1,mem=4G,max-buffers=9", 0, "device 0");
	expect_state(G "gpu=1,mem=4294967296,weight=256,cap=0,max-buffers=9,"
		       "devid=0\n");
	expect("attach guest devid=7,backend=8", 3, "no vgpubackd");
	expect_state(G "gpu=1,mem=4294967296,weight=256,cap=0,max-buffers=9,"
		       "devid=0\n" G PLAIN ",devid=7,backend=drv\n");
	expect("detach guest 0", 0, "detached");
	expect_state(G PLAIN ",devid=7,backend=drv\n");
	expect("detach guest all", 0, "detached");
	expect_state("");
	/* Another domain's are its own. */
	remember("device " OTHER " b " PLAIN ",devid=0\n");
	expect("attach guest", 0, "device 0");
	expect("detach guest", 0, "detached");
	expect_state("device " OTHER " b " PLAIN ",devid=0\n");
}

/* One that waits for its backend, say, keeps its number. */
static void numbers_are_kept(void **state)
{
	(void)state;
	world(backend_serves);
	remember(G "gpu=0,mem=0,weight=256,cap=0,devid=0,backend=nobody\n");
	expect("attach guest", 0, "device 1");
	expect_state(G PLAIN ",devid=0,backend=nobody\n" G PLAIN ",devid=1\n");
	expect("attach guest devid=0", 0, "device 0");
	expect_state(G PLAIN ",devid=0\n" G PLAIN ",devid=1\n");
}

/* The backend that is our own domain has no name in the file. */
static void own_backend(void **state)
{
	(void)state;
	world(backend_serves);
	expect("attach guest backend=Domain-0", 0, "device 0");
	expect_state(G PLAIN ",devid=0\n");
}

static void refused_is_not_remembered(void **state)
{
	(void)state;
	world(backend_refuses);
	expect("attach guest gpu=9", 1, "refused");
	expect_state(NULL);
}

static void set_changes_both(void **state)
{
	(void)state;
	world(backend_serves);
	expect("attach guest mem=1M,mps=1", 0, "device 0");
	expect("set guest cap=50,weight=512", 0, "");
	expect_state(G "gpu=0,mem=1048576,weight=512,cap=50,mps=1,devid=0\n");
	expect("forget guest", 0, "");
	expect_state("");
	expect("set guest cap=51", 0, "");
	expect_node(B "/cap", "51");
	expect_state("");
}

static void names_and_uuids_follow(void **state)
{
	(void)state;
	world(backend_serves);
	/* From an earlier life of this domain, and one that was renamed. */
	fake_xs_set("/local/domain/8/vm", "/vm/" OTHER, NULL);
	remember("device " REGISTRY_NO_UUID " guest " PLAIN ",devid=3\n"
		 "device " OTHER " old%20name " PLAIN ",devid=0\n");
	expect("attach guest", 0, "device 0");
	expect_state(G PLAIN ",devid=3\n"
			     "device " OTHER " drv " PLAIN ",devid=0\n" G PLAIN
			     ",devid=0\n");
}

static void forget(void **state)
{
	(void)state;
	world(NULL);
	remember("device " UUID " a " PLAIN ",devid=0\n"
		 "device " UUID " a " PLAIN ",devid=1\n"
		 "device " OTHER " b " PLAIN ",devid=0\n"
		 "device 12345678-8888-7777-6666-555555555555 c " PLAIN
		 ",devid=0\n"
		 "device 22345678-8888-7777-6666-555555555555 c " PLAIN
		 ",devid=0\n");
	fake_xs_del("/local/domain/7");
	expect("forget x", 1, "no device of \"x\" is remembered");
	expect("forget c", 1, "several remembered domains");
	expect("forget", 2, "takes one name or UUID");
	expect("forget a", 0, "");
	expect("forget 12345678-8888-7777-6666-555555555555", 0, "");
	expect("forget c", 0, "");
	expect_state("device " OTHER " b " PLAIN ",devid=0\n");
}

static void list_remembered(void **state)
{
	(void)state;
	world(NULL);
	remember(G PLAIN ",devid=0\ndevice " OTHER " gone%1b " PLAIN
			 ",devid=1\ndevice " REGISTRY_NO_UUID " new " PLAIN
			 ",devid=2\n");
	expect("list --remembered", 0,
	       "    7 guest                " UUID "  " PLAIN ",devid=0\n");
	assert_non_null(strstr(said, "    - gone?                " OTHER));
	assert_non_null(strstr(said, "    - new                  -  "));
	expect("list --remembered guest", 0, UUID);
	assert_null(strstr(said, OTHER));
	expect("attach --remembered guest", 2, "bad option");
}

/* ---- what cannot be remembered is done all the same ---- */

static void damaged(void **state)
{
	static const char text[] = "xen-vgpu devices 1\n" G "cap=200,devid=0\n"
				   "end\n";

	(void)state;
	world(backend_serves);
	write_state(text);
	expect("attach guest", 4,
	       STATE ":2: cap=200: must be per cent of one GPU, 0 (none) to "
		     "100; nothing in the file is used");
	assert_non_null(strstr(said, "attached, but not remembered"));
	expect_node(B "/state", "2");
	expect("set guest cap=3", 4, "changed, but the state file was not");
	expect_node(B "/cap", "3");
	expect("list --remembered", 1, ADVICE);
	expect("forget guest", 1, ADVICE);
	expect("detach guest", 4, "detached, but the state file was not");
	assert_null(fake_xs_get(B));
	config(CFG "vgpu = [ \"gpu=1\" ]\n");
	expect("create g.cfg", 4, "devices of \"guest\" are not remembered");
	expect_node(B "/gpu", "1");
	expect_xl("create -p g.cfg\nunpause 7\n");
	unlink(STATE);
	write_state("xen-vgpu devices 2\n");
	expect("attach guest", 4, STATE ":1: is of version 2");
}

static void no_uuid(void **state)
{
	(void)state;
	world(backend_serves);
	fake_xs_del("/local/domain/7/vm");
	expect("attach guest", 4, "domain 7 has no UUID or no name");
	expect_node(B "/state", "2");
	expect("detach guest", 0, "detached");
}

/* What a dead domain left in xenstore; the domain stays remembered. */
static void left_behind(void **state)
{
	(void)state;
	world(NULL);
	expect("attach --no-wait guest", 0, "device 0");
	fake_xs_del("/local/domain/7");
	expect("detach 7", 0, "detached");
	expect_state(G PLAIN ",devid=0\n");
}

static void several_of_a_name(void **state)
{
	(void)state;
	world(backend_serves);
	remember("device " OTHER " guest " PLAIN ",devid=0\n"
		 "device " REGISTRY_NO_UUID " guest " PLAIN ",devid=0\n");
	expect("attach guest", 4, "several remembered domains have the name");
	expect("forget " OTHER, 0, "");
	expect("set guest cap=4", 0, "");
	expect_state(G "gpu=0,mem=0,weight=256,cap=4,devid=0\n");
}

/* ---- create ---- */

/* xl: the state file as it is while xl runs. */
static void xl_notes_the_state_file(void)
{
	FILE *f = fopen("xl", "w");

	assert_non_null(f);
	fputs("#!/bin/sh\necho \"$@\" >> xl.log\n"
	      "[ \"$1\" != create ] || cp " STATE " seen 2>/dev/null\n"
	      "[ \"$1\" != create ] || ! grep -q '^fail' \"$3\"\n",
	      f);
	fclose(f);
}

static void expect_seen(const char *records)
{
	assert_int_equal(rename("seen", STATE), 0);
	expect_state(records);
}

static void create_remembers_first(void **state)
{
	(void)state;
	world(backend_serves);
	xl_notes_the_state_file();
	remember("device " OTHER " guest " PLAIN ",devid=9\n");
	config(CFG "vgpu = [ \"gpu=1,devid=1\", \"gpu=2\", \"gpu=3\" ]\n");
	expect("create g.cfg", 0, "device 2 to domain 7");
	expect_state(G "gpu=1,mem=0,weight=256,cap=0,devid=1\n" G
		       "gpu=2,mem=0,weight=256,cap=0,devid=0\n" G
		       "gpu=3,mem=0,weight=256,cap=0,devid=2\n");
	expect_seen("device " REGISTRY_NO_UUID
		    " guest gpu=1,mem=0,weight=256,cap=0,devid=1\n"
		    "device " REGISTRY_NO_UUID
		    " guest gpu=2,mem=0,weight=256,cap=0,devid=0\n"
		    "device " REGISTRY_NO_UUID
		    " guest gpu=3,mem=0,weight=256,cap=0,devid=2\n");
}

/* The domain has its UUID when xl has made it. */
static void uuid_appears(void)
{
	if (!access("xl.log", F_OK) && !fake_xs_get("/local/domain/7/vm"))
		fake_xs_set("/local/domain/7/vm", "/vm/" UUID, NULL);
	backend_serves();
}

static void create_with_a_uuid(void **state)
{
	(void)state;
	config("name = \"new\"\nuuid = \"" UUID "\"\nvgpu = [ \"\" ]\n");
	world(uuid_appears);
	fake_xs_del("/local/domain/7/vm");
	remember(G PLAIN ",devid=5\ndevice " OTHER " new " PLAIN ",devid=0\n");
	fake_xs_set("/local/domain/7/name", "new", NULL);
	expect("create g.cfg", 0, "device 0");
	expect_state("device " UUID " new " PLAIN ",devid=0\n");
}

/* vgpubackd sees the domain before we do. */
static void daemon_is_faster(void)
{
	static bool busy;
	struct device_line line;
	struct vgpu_dev d = {.guest = 7};
	char err[256];

	if (busy || access("xl.log", F_OK) || fake_xs_get(B)) {
		backend_serves();
		return;
	}
	busy = true;
	assert_true(device_line_parse("gpu=1,devid=0", &line, err));
	assert_int_equal(nodes_add(xs_open(0), &d, &line, 0, err), NODES_NEW);
	busy = false;
}

static void create_beside_vgpubackd(void **state)
{
	(void)state;
	world(daemon_is_faster);
	config(CFG "vgpu = [ \"gpu=1\" ]\n");
	expect("create g.cfg", 0, "attached vgpu device 0 to domain 7");
	expect_xl("create -p g.cfg\nunpause 7\n");
	expect_node(B "/state", "2");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7/1"));
}

static void create_without_devices(void **state)
{
	(void)state;
	world(backend_serves);
	config(CFG);
	expect("create g.cfg", 0, "");
	expect_state(NULL);
	remember("device " OTHER " guest " PLAIN ",devid=9\n");
	unlink("xl.log");
	expect("create g.cfg", 0, "");
	expect_state("");
}

static void create_undone(void **state)
{
	static const char before[] =
		"device " OTHER " guest " PLAIN ",devid=9\ndevice "
		"12345678-8888-7777-6666-555555555555 c " PLAIN ",devid=0\n";

	(void)state;
	world(backend_refuses);
	remember(before);
	config(CFG "vgpu = [ \"gpu=9\" ]\n");
	expect("create g.cfg", 1, "destroying domain 7");
	assert_non_null(strstr(said, "g.cfg:3: vgpu[0]: the backend"));
	/* The same entries; the restored ones are the last. */
	expect("list --remembered", 0,
	       "    - guest                " OTHER "  " PLAIN ",devid=9\n");
	assert_null(strstr(said, "gpu=9"));
	expect("forget c", 0, "");
	/* xl itself fails */
	config("name = \"guest\"\nfail = 1\nvgpu = [ \"gpu=1\" ]\n");
	expect("create g.cfg", 1, "xl create failed");
	expect_state("device " OTHER " guest " PLAIN ",devid=9\n");
}

/* A copied config: what is remembered of the domain that runs stays. */
static void create_with_a_uuid_that_runs(void **state)
{
	(void)state;
	world(backend_serves);
	remember(G PLAIN ",devid=0\n");
	config("name = \"copy\"\nuuid = \"" UUID "\"\nvgpu = [ \"\" ]\n");
	expect("create g.cfg", 1,
	       "g.cfg: uuid=" UUID ": domain 7 has it already");
	expect_xl("");
	expect_state(G PLAIN ",devid=0\n");
}

static void create_needs_its_backend(void **state)
{
	(void)state;
	world(backend_serves);
	config(CFG "vgpu = [ \"backend=nobody\" ]\n");
	expect("create g.cfg", 1,
	       "g.cfg:3: vgpu[0]: backend=nobody: there is no such domain");
	expect_xl("");
	expect_state(NULL);
}

/* ---- the lock ---- */

static void the_lock_is_waited_for(void **state)
{
	struct timespec from, to;
	int fd;

	(void)state;
	world(backend_serves);
	mkdir("state", 0700);
	fd = open(STATE ".lock", O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (!fork()) {
		/* It has the lock, too, and gives it back by its end. */
		usleep(300000);
		_exit(0);
	}
	close(fd);
	expect("attach guest", 0, "device 0");
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec -
			    from.tv_nsec >=
		    300000000);
	expect_state(G PLAIN ",devid=0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_detach),
		cmocka_unit_test(numbers_are_kept),
		cmocka_unit_test(own_backend),
		cmocka_unit_test(refused_is_not_remembered),
		cmocka_unit_test(set_changes_both),
		cmocka_unit_test(names_and_uuids_follow),
		cmocka_unit_test(forget),
		cmocka_unit_test(list_remembered),
		cmocka_unit_test(damaged),
		cmocka_unit_test(no_uuid),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(several_of_a_name),
		cmocka_unit_test(create_remembers_first),
		cmocka_unit_test(create_with_a_uuid),
		cmocka_unit_test(create_beside_vgpubackd),
		cmocka_unit_test(create_without_devices),
		cmocka_unit_test(create_undone),
		cmocka_unit_test(create_with_a_uuid_that_runs),
		cmocka_unit_test(create_needs_its_backend),
		cmocka_unit_test(the_lock_is_waited_for),
	};

	return cmocka_run_group_tests_name("vgpuctl-remember", tests,
					   toolstack_setup, toolstack_teardown);
}
