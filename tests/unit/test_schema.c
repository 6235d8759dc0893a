/* SPDX-License-Identifier: MIT */
/*
 * test_schema.c - vgpu-xenstore-check: a right tree has no finding, and each
 * rule has a tree that breaks it and exactly it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "fake_xenstore.h"
#include "rules.h"
#include "values.h"

#define B "/local/domain/0/backend/vgpu/7/0"
#define F "/local/domain/7/device/vgpu/0"

static char report[16384];

/* The example of vgpuif.h: guest 7, connected, a ring of four pages. */
static void connected(void)
{
	static const char *const back[][2] = {
		{"frontend", F},
		{"frontend-id", "7"},
		{"online", "1"},
		{"state", "4"},
		{"gpu", "0"},
		{"mem", "4294967296"},
		{"versions", "1"},
		{"ops", "nop info buffer-map buffer-unmap builtin fence"},
		{"builtins", "vector-add"},
		{"max-ring-page-order", "4"},
		{"max-arena-pages", "256"},
		{"max-buffers", "1024"},
		{"max-buffer-pages", "65536"},
		{"max-streams", "256"},
		{"max-objects", "16384"},
		{"engine", "cuda"},
		{"gpu-name", "NVIDIA H200"},
		{"gpu-memory", "150108569600"},
		{"compute-capability", "9.0"},
		{"driver-version", "13.0"},
	};
	static const char *const front[][2] = {
		{"backend", B},		  {"backend-id", "0"},
		{"state", "4"},		  {"version", "1"},
		{"ring-page-order", "2"}, {"ring-ref0", "768"},
		{"ring-ref1", "769"},	  {"ring-ref2", "770"},
		{"ring-ref3", "771"},	  {"event-channel", "15"},
		{"arena-pages", "16"},	  {"arena-ref", "772"},
	};
	char path[128];

	fake_xs_reset(0);
	fake_xs_set("/local/domain/7", "", "n0,r7");
	fake_xs_set(B, "", "n0,r7");
	fake_xs_set(F, "", "n7,r0");
	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
		snprintf(path, sizeof(path), B "/%s", back[i][0]);
		fake_xs_set(path, back[i][1], NULL);
	}
	for (size_t i = 0; i < sizeof(front) / sizeof(front[0]); i++) {
		snprintf(path, sizeof(path), F "/%s", front[i][0]);
		fake_xs_set(path, front[i][1], NULL);
	}
}

static int check(unsigned int *devices)
{
	struct xs_handle *h = xs_open(0);
	xs_transaction_t t = xs_transaction_start(h);
	FILE *out = fmemopen(report, sizeof(report), "w");
	int n = schema_check(h, t, out, devices);

	fclose(out);
	xs_transaction_end(h, t, true);
	xs_close(h);
	return n;
}

static void expect(int findings, const char *text)
{
	unsigned int devices;
	int n = check(&devices);

	if (n != findings || (text && !strstr(report, text)))
		print_message("# %d findings:\n%s", n, report);
	assert_int_equal(n, findings);
	if (text)
		assert_non_null(strstr(report, text));
}

/* A value that breaks its own rule and no other. */
static void expect_bad(const char *path, const char *value, const char *text)
{
	connected();
	fake_xs_set(path, value, NULL);
	expect(1, text);
	assert_memory_equal(report, path, strlen(path));
}

static void test_right_trees(void **state)
{
	unsigned int devices;

	(void)state;
	connected();
	expect(0, NULL);
	assert_int_equal(check(&devices), 0);
	assert_int_equal(devices, 1);

	/* ring of one page */
	fake_xs_del(F "/ring-page-order");
	for (int i = 0; i < 4; i++) {
		char path[128];

		snprintf(path, sizeof(path), F "/ring-ref%d", i);
		fake_xs_del(path);
	}
	fake_xs_set(F "/ring-ref", "768", NULL);
	expect(0, NULL);
	fake_xs_set(F "/ring-page-order", "0", NULL);
	fake_xs_set(B "/multi-queue-max-queues", "2", NULL);
	fake_xs_set(F "/multi-queue-num-queues", "2", NULL);
	fake_xs_set(B "/weight", "65535", NULL);
	fake_xs_set(B "/cap", "100", NULL);
	fake_xs_set(B "/quota-buffers", "1", NULL);
	fake_xs_set(B "/quota-pages", "4294967295", NULL);
	fake_xs_set(B "/mps", "1", NULL);
	fake_xs_set(B "/builtins", "", NULL);
	expect(0, NULL);

	/* refused and closed */
	fake_xs_set(B "/error", "ring-ref 9 cannot be mapped", NULL);
	fake_xs_set(B "/state", "6", NULL);
	fake_xs_set(F "/state", "6", NULL);
	fake_xs_del(F "/ring-ref");
	expect(0, NULL);

	/* just attached */
	fake_xs_reset(0);
	fake_xs_set(B, "", "n0,r7");
	fake_xs_set(B "/frontend", F, NULL);
	fake_xs_set(B "/frontend-id", "7", NULL);
	fake_xs_set(B "/online", "1", NULL);
	fake_xs_set(B "/state", "1", NULL);
	fake_xs_set(F, "", "n7,r0");
	fake_xs_set(F "/backend", B, NULL);
	fake_xs_set(F "/backend-id", "0", NULL);
	fake_xs_set(F "/state", "1", NULL);
	expect(0, NULL);

	/* nothing at all */
	fake_xs_reset(0);
	assert_int_equal(check(&devices), 0);
	assert_int_equal(devices, 0);
}

static void test_unreadable_store(void **state)
{
	unsigned int devices;

	(void)state;
	fake_xs_reset(0);
	fake_xs_del("/local");
	assert_int_equal(check(&devices), -1);
}

static void test_unknown(void **state)
{
	(void)state;
	expect_bad(B "/bogus", "1", "unknown node");
	expect_bad(F "/ring-refx", "1", "unknown node");
	expect_bad(F "/ring-ref01", "1", "unknown node");
	expect_bad(F "/mem", "1", "unknown node");
	connected();
	fake_xs_set(F "/evil\x1b[2Jnode", "1", NULL);
	expect(1, "evil?[2Jnode: unknown node");
	connected();
	fake_xs_set(B "/gpu/child", "1", NULL);
	expect(1, "1 unknown nodes below it");
	connected();
	fake_xs_set(F "/queue-0/ring-ref", "9", NULL);
	expect(1, "reserved for a later protocol version");
}

static void test_missing(void **state)
{
	static const char *const path[] = {
		B "/frontend",
		B "/frontend-id",
		B "/online",
		B "/versions",
		B "/ops",
		B "/builtins",
		B "/max-buffers",
		B "/max-buffer-pages",
		B "/max-streams",
		B "/max-objects",
		B "/max-ring-page-order",
		B "/max-arena-pages",
		B "/engine",
		B "/gpu-name",
		B "/gpu-memory",
		B "/driver-version",
		F "/backend",
		F "/backend-id",
		F "/version",
		F "/event-channel",
		F "/arena-pages",
		F "/arena-ref",
		F "/ring-ref2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		connected();
		fake_xs_del(path[i]);
		expect(1, strrchr(path[i], '/') + 1);
	}
	connected();
	fake_xs_del(F "/state");
	expect(1, "state is missing (backend Connected, frontend Unknown)");
	connected();
	fake_xs_del(F);
	expect(1, "missing, but its backend directory is there");
	connected();
	fake_xs_del(B);
	expect(2, "no backend directory " B);
	connected();
	fake_xs_del("/local/domain/7");
	expect(1, "left behind: domain 7 does not exist");
	connected();
	fake_xs_set("/local/domain/0/backend/vgpu/9", "", NULL);
	expect(1, "vgpu/9: left behind: no device in it");
}

static void test_absent(void **state)
{
	(void)state;
	connected();
	fake_xs_set(B "/error", "no", NULL);
	expect(1, "error: must not exist in this state");
}

static void test_values(void **state)
{
	(void)state;
	expect_bad(B "/frontend", "/local/domain/8/device/vgpu/0", "path of");
	expect_bad(B "/online", "2", "0 or 1");
	expect_bad(B "/online", "", "0 or 1");
	expect_bad(B "/gpu", "65536", "in range");
	expect_bad(B "/gpu", "00", "decimal number");
	expect_bad(B "/mem", "18446744073709551616", "decimal number");
	expect_bad(B "/mem", "-1", "decimal number");
	expect_bad(B "/mem", "+1", "decimal number");
	expect_bad(B "/mem", " 1", "decimal number");
	expect_bad(B "/mem", "4G", "decimal number");
	expect_bad(B "/weight", "0", "in range");
	expect_bad(B "/cap", "101", "in range");
	expect_bad(B "/quota-buffers", "0", "in range");
	expect_bad(B "/quota-pages", "4294967296", "in range");
	expect_bad(B "/mps", "2", "0 or 1");
	expect_bad(B "/max-ring-page-order", "5", "in range");
	expect_bad(B "/max-arena-pages", "257", "in range");
	expect_bad(B "/max-buffers", "0", "in range");
	expect_bad(B "/ops", "nop fly", "VGPU_OP_LIST");
	expect_bad(B "/ops", "nop  info", "VGPU_OP_LIST");
	expect_bad(B "/ops", "nop ", "VGPU_OP_LIST");
	expect_bad(B "/builtins", "nop", "VGPU_KERNEL_LIST");
	expect_bad(B "/engine", "abacus", "of: cuda cpu remote");
	expect_bad(B "/gpu-name", "", "another length");
	expect_bad(B "/gpu-name", "two\nlines", "printable");
	expect_bad(B "/compute-capability", "9", "<major>.<minor>");
	expect_bad(B "/compute-capability", "9.", "<major>.<minor>");
	expect_bad(F "/backend", "/local/domain/0/backend/vgpu/7/1", "path of");
	expect_bad(F "/arena-ref", "0", "in range");
	expect_bad(F "/event-channel", "0x10", "decimal number");
	expect_bad(F "/arena-ref", "4294967296", "in range");
	connected();
	fake_xs_set(F "/ring-ref0", "0", NULL);
	expect(2, "\"0\" is not a number in range");
	connected();
	fake_xs_set(B "/state", "3", NULL);
	expect(1, "a state that occurs on this side");
	connected();
	fake_xs_set(F "/state", "2", NULL);
	expect(1, "a state that occurs on this side");
}

static void test_text_length(void **state)
{
	char name[97];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[95] = '\0';
	connected();
	fake_xs_set(B "/gpu-name", name, NULL);
	expect(0, NULL);
	name[95] = 'x';
	name[96] = '\0';
	expect_bad(B "/gpu-name", name, "another length");
}

static void test_cross(void **state)
{
	(void)state;
	connected();
	fake_xs_set(B "/frontend-id", "8", NULL);
	expect(1, "frontend-id is 8, the path says 7");
	connected();
	fake_xs_set(F "/backend-id", "1", NULL);
	expect(2, "backend-id is 1, the backend is 0");
	connected();
	fake_xs_set(F "/ring-ref4", "900", NULL);
	expect(1, "ring-ref4 is there with a ring of 4 pages");
	connected();
	fake_xs_set(F "/ring-ref16", "900", NULL);
	expect(1, "no ring has that many pages");
	connected();
	fake_xs_set(F "/ring-ref", "900", NULL);
	expect(1, "ring-ref is there with a ring of 4 pages");
	connected();
	fake_xs_set(F "/ring-ref3", "768", NULL);
	expect(1, "same grant as ring page 0");
	connected();
	fake_xs_set(B "/max-ring-page-order", "1", NULL);
	expect(1, "ring-page-order is 2, more than the backend's");
	connected();
	fake_xs_set(B "/max-arena-pages", "15", NULL);
	expect(1, "arena-pages is 16, more than the backend's");
	connected();
	fake_xs_set(B "/versions", "2 11", NULL);
	expect(1, "version \"1\" is not one of the backend's");
	connected();
	fake_xs_set(F "/multi-queue-num-queues", "2", NULL);
	expect(1, "multi-queue-num-queues is 2, more than the backend's");
}

static void test_perms(void **state)
{
	(void)state;
	connected();
	fake_xs_perms(B "/gpu", "n7,r0");
	expect(2, B "/gpu: owned by domain 7, not by domain 0");
	connected();
	fake_xs_perms(B "/gpu", "r0,r7");
	expect(1, B "/gpu: open to all domains");
	connected();
	fake_xs_perms(B, "n0,r7,r3");
	expect(1, B ": open to domain 3");
	connected();
	fake_xs_perms(B "/mem", "n0,b7");
	expect(2, B "/mem: writable by domain 7");
	connected();
	fake_xs_perms(F, "n7");
	expect(1, F ": not readable by domain 0");
	connected();
	fake_xs_perms(F "/state", "n0,r7");
	expect(2, F "/state: owned by domain 0, not by domain 7");
}

static void test_names_of_directories(void **state)
{
	(void)state;
	connected();
	fake_xs_set("/local/domain/0/backend/vgpu/07/0", "", NULL);
	expect(1, "\"07\" is not a domain id");
	connected();
	fake_xs_set("/local/domain/0/backend/vgpu/7/x", "", NULL);
	expect(1, "\"x\" is not a device id");
	connected();
	fake_xs_set("/local/domain/7/device/vgpu/-1", "", NULL);
	expect(1, "\"-1\" is not a device id");
}

static void test_driver_domain(void **state)
{
	(void)state;
	fake_xs_reset(0);
	fake_xs_set("/local/domain/5/backend/vgpu/7/1", "", "n5,r7");
	fake_xs_set("/local/domain/5/backend/vgpu/7/1/frontend",
		    "/local/domain/7/device/vgpu/1", NULL);
	fake_xs_set("/local/domain/5/backend/vgpu/7/1/frontend-id", "7", NULL);
	fake_xs_set("/local/domain/5/backend/vgpu/7/1/online", "1", NULL);
	fake_xs_set("/local/domain/5/backend/vgpu/7/1/state", "1", NULL);
	fake_xs_set("/local/domain/7/device/vgpu/1", "", "n7,r5");
	fake_xs_set("/local/domain/7/device/vgpu/1/backend",
		    "/local/domain/5/backend/vgpu/7/1", NULL);
	fake_xs_set("/local/domain/7/device/vgpu/1/backend-id", "5", NULL);
	fake_xs_set("/local/domain/7/device/vgpu/1/state", "1", NULL);
	expect(0, NULL);
	fake_xs_perms("/local/domain/7/device/vgpu/1", "n7,r0");
	expect(2, "open to domain 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_trees),
		cmocka_unit_test(test_unreadable_store),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_text_length),
		cmocka_unit_test(test_cross),
		cmocka_unit_test(test_perms),
		cmocka_unit_test(test_names_of_directories),
		cmocka_unit_test(test_driver_domain),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
