// SPDX-License-Identifier: MIT
/*
 * test_remember.c - remembered domains get their devices back from vgpubackd
 *
 * Over the xenstore double; the test plays libxl, which makes, introduces,
 * renames and removes domains, and vgpuctl, which writes the state file.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_xenstore.h"
#include "log.h"
#include "registry.h"
#include "remember.h"

#define U1 "11111111-1111-1111-1111-111111111111"
#define U2 "22222222-2222-2222-2222-222222222222"
#define U3 "33333333-3333-3333-3333-333333333333"
#define LINE(n) "gpu=0,mem=4096,weight=256,cap=0,devid=" #n
#define GUEST(u, name, n) "device " u " " name " " LINE(n) "\n"
#define STATE "devices"

static char dir[] = "/tmp/test_remember.XXXXXX";
static struct xs_handle *xs;
static struct remember *rem;
static bool introduced;
static uint64_t now;
static char logged[65536];

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	(void)domid;
	return introduced;
}

/* ---- the others ------------------------------------------------------- */

static void vgpuctl_writes(const char *records)
{
	FILE *f = fopen(STATE, "w");

	assert_non_null(f);
	fprintf(f, "xen-vgpu devices 1\n%send\n", records);
	fclose(f);
	chmod(STATE, 0600);
}

static void expect_file(const char *records)
{
	char got[4096] = "", want[4096];
	FILE *f = fopen(STATE, "r");
	size_t n;

	assert_non_null(f);
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = '\0';
	fclose(f);
	snprintf(want, sizeof(want), "xen-vgpu devices 1\n%send\n", records);
	assert_string_equal(got, want);
}

static void set(unsigned int id, const char *node, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/local/domain/%u%s", id, node);
	fake_xs_set(path, value, "n0");
}

static void domain(unsigned int id, const char *uuid, const char *name)
{
	char vm[64];

	snprintf(vm, sizeof(vm), "/vm/%s", uuid);
	set(id, "/vm", vm);
	set(id, "/name", name);
}

static void gone(unsigned int id)
{
	char path[128];

	snprintf(path, sizeof(path), "/local/domain/%u", id);
	fake_xs_del(path);
	snprintf(path, sizeof(path), "/local/domain/0/backend/vgpu/%u", id);
	fake_xs_del(path);
}

static const char *back(unsigned int id, unsigned int devid, const char *node)
{
	char path[128];

	snprintf(path, sizeof(path), "/local/domain/0/backend/vgpu/%u/%u/%s",
		 id, devid, node);
	return fake_xs_get(path);
}

/* ---- vgpubackd -------------------------------------------------------- */

static void run(void)
{
	remember_run(rem, now);
}

/* As xenstored tells of any domain that comes or goes. */
static void event(void)
{
	assert_false(remember_watch(rem, "@introduceDomain", "scan"));
	run();
}

static void wait_ms(uint64_t ms)
{
	now += ms;
	run();
}

static void start(const char *records)
{
	if (records)
		vgpuctl_writes(records);
	rem = remember_start(xs, STATE);
	assert_non_null(rem);
	run();
}

/* What was logged since it was asked last. */
static const char *log_text(void)
{
	ssize_t n;

	lseek(STDERR_FILENO, 0, SEEK_SET);
	n = read(STDERR_FILENO, logged, sizeof(logged) - 1);
	logged[n > 0 ? n : 0] = '\0';
	assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
	lseek(STDERR_FILENO, 0, SEEK_SET);
	return logged;
}

/* ---- tests ------------------------------------------------------------ */

static void after_a_reboot(void **s)
{
	(void)s;
	domain(5, U1, "guest");
	start(GUEST(
		U1, "guest",
		0) "device " U1
		   " guest gpu=1,mem=0,weight=7,cap=50,max-buffers=3,mps=1,devid=4\n" GUEST(
			   U2, "other", 0));
	assert_string_equal(back(5, 0, "mem"), "4096");
	assert_string_equal(back(5, 0, "state"), "1");
	assert_string_equal(back(5, 4, "weight"), "7");
	assert_string_equal(back(5, 4, "cap"), "50");
	assert_string_equal(back(5, 4, "quota-buffers"), "3");
	assert_string_equal(back(5, 4, "mps"), "1");
	assert_string_equal(fake_xs_get("/local/domain/5/device/vgpu/4/state"),
			    "1");
	assert_non_null(strstr(log_text(), "event=attached domid=5 dev=0"));
	/* xl reboot: the same UUID, another id. */
	gone(5);
	event();
	domain(6, U1, "guest");
	event();
	assert_string_equal(back(6, 0, "mem"), "4096");
	assert_string_equal(back(6, 4, "weight"), "7");
	assert_null(back(5, 0, "state"));
	assert_int_equal(remember_deadline(rem), 0);
	/* An id comes again, after 32752 others. */
	domain(5, U2, "other");
	event();
	assert_string_equal(back(5, 0, "mem"), "4096");
}

static void a_plain_xl_create(void **s)
{
	(void)s;
	start(GUEST(U1, "guest", 0));
	domain(5, U3, "guest");
	event();
	assert_non_null(back(5, 0, "state"));
	/* By its UUID from now on, whatever it is called. */
	expect_file(GUEST(U3, "guest", 0));
	domain(6, U2, "stranger");
	event();
	assert_null(back(6, 0, "state"));
}

static void a_domain_that_vgpuctl_makes(void **s)
{
	(void)s;
	start(GUEST(REGISTRY_NO_UUID, "guest", 0));
	domain(5, U3, "guest");
	event();
	assert_non_null(back(5, 0, "state"));
	expect_file(GUEST(U3, "guest", 0));
}

/* A domain is looked at once; vgpuctl may have been there first. */
static void what_was_removed_stays_away(void **s)
{
	(void)s;
	start(GUEST(U1, "guest", 0) GUEST(U1, "guest", 1));
	domain(5, U1, "guest");
	set(5, "/device/vgpu/1/state", "4");
	event();
	assert_non_null(back(5, 0, "state"));
	assert_null(back(5, 1, "state"));
	fake_xs_del("/local/domain/0/backend/vgpu/5");
	fake_xs_del("/local/domain/5/device");
	event();
	assert_null(back(5, 0, "state"));
	/* And neither does a name that it takes later bring anything. */
	vgpuctl_writes(GUEST(U2, "b", 0));
	domain(5, U1, "b");
	event();
	assert_null(back(5, 0, "state"));
}

static void waits_for_name_and_introduction(void **s)
{
	uint64_t first;

	(void)s;
	start(GUEST(U1, "guest", 0));
	introduced = false;
	set(5, "/vm", "/vm/" U1);
	event();
	assert_null(back(5, 0, "state"));
	first = remember_deadline(rem);
	assert_in_range(first, now + 1, now + 50);
	domain(5, U1, "guest");
	wait_ms(first - now);
	assert_null(back(5, 0, "state"));
	assert_true(remember_deadline(rem) > first);
	introduced = true;
	/* Not before its time. */
	run();
	assert_null(back(5, 0, "state"));
	wait_ms(remember_deadline(rem) - now);
	assert_non_null(back(5, 0, "state"));
	assert_int_equal(remember_deadline(rem), 0);
}

static void gives_up_until_the_next_event(void **s)
{
	int looks = 0;

	(void)s;
	start(GUEST(U1, "guest", 0));
	introduced = false;
	domain(5, U1, "guest");
	event();
	for (; remember_deadline(rem); looks++)
		wait_ms(remember_deadline(rem) - now);
	assert_in_range(looks, 5, 20);
	assert_in_range(now, 3000, 20000);
	introduced = true;
	event();
	assert_non_null(back(5, 0, "state"));
}

static void renamed(void **s)
{
	(void)s;
	domain(5, U1, "guest");
	domain(6, U2, "other");
	start(GUEST(U1, "guest", 0) GUEST(U2, "other", 0));
	domain(5, U1, "new");
	assert_true(remember_watch(rem, "/vm/" U1 "/name", "remember"));
	run();
	expect_file(GUEST(U1, "new", 0) GUEST(U2, "other", 0));
	/* To a remembered name: the UUID wins. */
	gone(6);
	domain(5, U1, "other");
	assert_true(remember_watch(rem, "/vm/" U1 "/name", "remember"));
	run();
	expect_file(GUEST(U1, "other", 0) GUEST(U2, "other", 0));
	gone(5);
	domain(7, U2, "other");
	event();
	assert_non_null(back(7, 0, "state"));
	expect_file(GUEST(U1, "other", 0) GUEST(U2, "other", 0));
}

/* As xl migrate does it, with two domains of one UUID on one host. */
static void moved_within_the_host(void **s)
{
	(void)s;
	domain(5, U1, "guest");
	start(GUEST(U1, "guest", 0));
	domain(6, U1, "guest--incoming");
	event();
	assert_non_null(back(6, 0, "state"));
	domain(5, U1, "guest--migratedaway");
	assert_true(remember_watch(rem, "/vm/" U1 "/name", "remember"));
	run();
	domain(6, U1, "guest");
	assert_true(remember_watch(rem, "/vm/" U1 "/name", "remember"));
	run();
	gone(5);
	event();
	expect_file(GUEST(U1, "guest", 0));
}

/* One that runs and has no devices gets none by a new name. */
static void renamed_to_a_remembered_name(void **s)
{
	(void)s;
	domain(5, U3, "stranger");
	start(GUEST(U1, "guest", 0));
	domain(5, U3, "guest");
	assert_true(remember_watch(rem, "/vm/" U3 "/name", "remember"));
	run();
	assert_null(back(5, 0, "state"));
	expect_file(GUEST(U1, "guest", 0));
}

static void two_remembered_of_one_name(void **s)
{
	(void)s;
	start(GUEST(U1, "guest", 0) GUEST(U2, "guest", 0));
	domain(5, U3, "guest");
	log_text();
	event();
	assert_null(back(5, 0, "state"));
	assert_non_null(strstr(log_text(), "vgpuctl forget UUID"));
	expect_file(GUEST(U1, "guest", 0) GUEST(U2, "guest", 0));
	event();
	assert_string_equal(log_text(), "");
}

static void a_name_of_a_running_domain(void **s)
{
	(void)s;
	domain(5, U1, "was-guest");
	domain(6, U3, "guest");
	start(GUEST(U1, "guest", 0));
	assert_non_null(back(5, 0, "state"));
	assert_null(back(6, 0, "state"));
}

static void the_lock_is_held(void **s)
{
	struct registry other;
	char err[REGISTRY_ERR];

	(void)s;
	start(GUEST(U1, "guest", 0));
	assert_int_equal(registry_open(&other, STATE, 0, err), REGISTRY_OK);
	domain(5, U3, "guest");
	event();
	/* The device does not wait for it. */
	assert_non_null(back(5, 0, "state"));
	assert_int_not_equal(remember_deadline(rem), 0);
	wait_ms(remember_deadline(rem) - now);
	assert_int_not_equal(remember_deadline(rem), 0);
	/* What the other one wrote meanwhile is not lost. */
	strcpy(other.entry[0].name, "guest");
	other.entry[0].line.weight = 9;
	assert_true(registry_save(&other, err));
	registry_close(&other);
	wait_ms(remember_deadline(rem) - now);
	assert_int_equal(remember_deadline(rem), 0);
	expect_file("device " U3
		    " guest gpu=0,mem=4096,weight=9,cap=0,devid=0\n");
}

static void a_damaged_file(void **s)
{
	(void)s;
	domain(5, U1, "guest");
	start(GUEST(U1, "guest", 0) "device\n");
	assert_null(back(5, 0, "state"));
	assert_non_null(strstr(log_text(), "why=\"devices:3: \\\"device\\\": "
					   "is no record\""));
	assert_non_null(strstr(logged, "moved away to begin anew"));
	domain(6, U3, "guest");
	event();
	expect_file(GUEST(U1, "guest", 0) "device\n");
	assert_string_equal(log_text(), "");
	/* Somebody repairs it. */
	vgpuctl_writes(GUEST(U1, "guest", 0));
	event();
	assert_non_null(back(5, 0, "state"));
	assert_null(back(6, 0, "state"));
	/* And breaks it again. */
	vgpuctl_writes(GUEST(U1, "guest", 0) "device\n");
	domain(7, U2, "another");
	event();
	assert_non_null(strstr(log_text(), "is no record"));
}

static void a_newer_file(void **s)
{
	FILE *f = fopen(STATE, "w");

	(void)s;
	fputs("xen-vgpu devices 2\n", f);
	fclose(f);
	domain(5, U1, "guest");
	start(NULL);
	assert_non_null(strstr(log_text(), "devices:1: is of version 2"));
	assert_null(back(5, 0, "state"));
}

static void no_file(void **s)
{
	(void)s;
	domain(5, U1, "guest");
	start(NULL);
	event();
	assert_string_equal(log_text(), "");
	assert_int_equal(access(STATE, F_OK), -1);
	assert_int_equal(access(STATE ".lock", F_OK), -1);
}

static void a_driver_domain(void **s)
{
	static const char records[] =
		"device " U1 " guest gpu=0,mem=0,weight=1,cap=0,devid=0,"
		"backend=drv\n" GUEST(U1, "guest", 1);

	(void)s;
	domain(5, U1, "guest");
	start(records);
	/* The one that needs no other domain does not wait. */
	assert_non_null(back(5, 1, "state"));
	assert_null(back(5, 0, "state"));
	assert_non_null(strstr(log_text(), "event=attach-waits"));
	event();
	assert_string_equal(log_text(), "");
	domain(6, U2, "drv");
	event();
	assert_string_equal(
		fake_xs_get("/local/domain/6/backend/vgpu/5/0/state"), "1");
	assert_string_equal(
		fake_xs_get_perms("/local/domain/6/backend/vgpu/5/0"), "n6,r5");
	assert_null(back(5, 0, "state"));
}

static void not_in_a_driver_domain(void **s)
{
	(void)s;
	fake_xs_reset(3);
	rem = remember_start(xs, STATE);
	assert_null(rem);
	assert_non_null(strstr(log_text(), "event=remember-off"));
	assert_false(remember_watch(rem, "@introduceDomain", "scan"));
	remember_run(rem, 1);
	assert_int_equal(remember_deadline(rem), 0);
}

/* A guest that spoils every transaction of its own does not stop us. */
static void a_transaction_that_never_ends(void **s)
{
	(void)s;
	start(GUEST(U1, "guest", 0));
	domain(5, U1, "guest");
	fake_xs_conflicts = 1000000;
	log_text();
	event();
	fake_xs_conflicts = 0;
	assert_null(back(5, 0, "state"));
	assert_non_null(strstr(log_text(), "keeps changing its devices"));
}

static void xenstored_does_not_answer(void **s)
{
	(void)s;
	start(GUEST(U1, "guest", 0));
	domain(5, U1, "guest");
	fake_xs_errno = EAGAIN;
	event();
	fake_xs_errno = 0;
	assert_int_not_equal(remember_deadline(rem), 0);
	wait_ms(remember_deadline(rem) - now);
	assert_non_null(back(5, 0, "state"));
}

static int each(void **s)
{
	(void)s;
	fake_xs_reset(0);
	xs = xs_open(0);
	introduced = true;
	now = 1000;
	set(0, "/name", "Domain-0");
	set(0, "/vm", "/vm/" REGISTRY_NO_UUID);
	log_text();
	return 0;
}

static int each_end(void **s)
{
	(void)s;
	remember_end(rem);
	rem = NULL;
	xs_close(xs);
	unlink(STATE);
	unlink(STATE ".lock");
	return 0;
}

static int all(void **s)
{
	(void)s;
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	return !freopen("log", "w+", stderr);
}

static int all_end(void **s)
{
	(void)s;
	unlink("log");
	return chdir("/") || rmdir(dir);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, each, each_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(after_a_reboot),
		TEST(a_plain_xl_create),
		TEST(a_domain_that_vgpuctl_makes),
		TEST(what_was_removed_stays_away),
		TEST(waits_for_name_and_introduction),
		TEST(gives_up_until_the_next_event),
		TEST(renamed),
		TEST(moved_within_the_host),
		TEST(renamed_to_a_remembered_name),
		TEST(two_remembered_of_one_name),
		TEST(a_name_of_a_running_domain),
		TEST(the_lock_is_held),
		TEST(a_damaged_file),
		TEST(a_newer_file),
		TEST(no_file),
		TEST(a_driver_domain),
		TEST(not_in_a_driver_domain),
		TEST(a_transaction_that_never_ends),
		TEST(xenstored_does_not_answer),
	};

	return cmocka_run_group_tests_name("remember", tests, all, all_end);
}
