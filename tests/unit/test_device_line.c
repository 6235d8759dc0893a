/* SPDX-License-Identifier: MIT */
/*
 * test_device_line.c - the device line, read, changed and written
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device_line.h"

static void line_ok(const char *text, struct device_line want)
{
	char err[DEVICE_LINE_ERR] = "";
	struct device_line got;

	if (!device_line_parse(text, &got, err))
		fail_msg("%s: %s", text, err);
	assert_int_equal(got.gpu, want.gpu);
	assert_true(got.mem == want.mem);
	assert_int_equal(got.weight, want.weight);
	assert_int_equal(got.cap, want.cap);
	assert_int_equal(got.max_buffers, want.max_buffers);
	assert_int_equal(got.max_mapped_pages, want.max_mapped_pages);
	assert_int_equal(got.mps, want.mps);
	assert_int_equal(got.devid, want.devid);
	assert_string_equal(got.backend, want.backend);
}

static void line_bad(const char *text, const char *want)
{
	char err[DEVICE_LINE_ERR] = "";
	struct device_line got;

	assert_false(device_line_parse(text, &got, err));
	if (!strstr(err, want))
		fail_msg("%s: said \"%s\", not \"%s\"", text, err, want);
}

static void test_line(void **state)
{
	const struct device_line none = {.weight = 256, .devid = -1};

	(void)state;
	line_ok(NULL, none);
	line_ok("", none);
	line_ok("gpu=3,mem=4G,weight=65535,cap=100,max-buffers=7,"
		"max-mapped-pages=9,mps=1,devid=2,backend=drv",
		(struct device_line){3, 4ull << 30, 65535, 100, 7, 9, true, 2,
				     "drv"});
	line_ok("cap=0,mps=0", none);
	line_ok("mem=0K", none);
	line_ok("mem=1023K", (struct device_line){.mem = 1023 << 10,
						  .weight = 256,
						  .devid = -1});
	line_ok("mem=5M", (struct device_line){
				  .mem = 5 << 20, .weight = 256, .devid = -1});
	line_ok("mem=16777215T", (struct device_line){.mem = 16777215ull << 40,
						      .weight = 256,
						      .devid = -1});
	line_ok("mem=18446744073709551615",
		(struct device_line){
			.mem = UINT64_MAX, .weight = 256, .devid = -1});
	line_ok("max-buffers=4294967295,max-mapped-pages=4294967295",
		(struct device_line){.weight = 256,
				     .max_buffers = UINT32_MAX,
				     .max_mapped_pages = UINT32_MAX,
				     .devid = -1});
	line_ok("backend=a driver domain",
		(struct device_line){.weight = 256,
				     .devid = -1,
				     .backend = "a driver domain"});
}

static void test_bad_line(void **state)
{
	char text[128];

	(void)state;
	line_bad("mem=16777216T", "mem=16777216T: must be a number of bytes");
	line_bad("mem=18446744073709551616", "must be a number of bytes");
	line_bad("mem=4Q", "mem=4Q: must be");
	line_bad("mem=G", "mem=G: must be");
	line_bad("mem=", "mem=: must be");
	line_bad("mem=-1", "mem=-1: must be");
	line_bad("mem=1.5G", "mem=1.5G: must be");
	line_bad("weight=0", "weight=0: must be 1 to 65535");
	line_bad("weight=65536", "weight=65536: must be 1 to 65535");
	line_bad("weight=01", "weight=01: must be");
	line_bad("cap=101", "cap=101: must be per cent");
	line_bad("max-buffers=0", "max-buffers=0: must be 1 to 4294967295");
	line_bad("max-buffers=4294967296", "max-buffers=4294967296: must be");
	line_bad("max-mapped-pages=0", "max-mapped-pages=0: must be 1");
	line_bad("max-mapped-pages=4K", "max-mapped-pages=4K: must be");
	line_bad("mps=2", "mps=2: must be 0 or 1");
	line_bad("mps=yes", "mps=yes: must be 0 or 1");
	line_bad("devid=65536", "devid=65536: must be 0 to 65535");
	line_bad("gpu=65536", "gpu=65536: must be the index");
	line_bad("gpu=a", "gpu=a: must be the index");
	line_bad("gpu= 0", "gpu= 0: must be the index");
	line_bad("gpu", "\"gpu\": expected key=value");
	line_bad("gpus=0",
		 "\"gpus=0\": unknown key (there are gpu, mem, weight, cap, "
		 "max-buffers, max-mapped-pages, mps, devid, backend)");
	line_bad("=0", "\"=0\": unknown key");
	line_bad("gpu=0,gpu=1", "gpu=1: the key is given twice");
	line_bad("gpu=0,", "ends in a comma");
	line_bad("gpu=0,,cap=0", "\"\": expected key=value");
	line_bad("backend=", "must be the name or id");
	line_bad("backend=a\nb", "backend=a?b: must be the name or id");
	line_bad("backend=\xc3\xa4", "backend=??: must be the name or id");
	line_bad("gp\x1bu=0", "\"gp?u=0\": unknown key");
	snprintf(text, sizeof(text), "backend=%064d", 0);
	line_bad(text, "must be the name or id");
}

static void written(const char *text, const char *want)
{
	char err[DEVICE_LINE_ERR], got[DEVICE_LINE_LEN];
	struct device_line line, again;

	assert_true(device_line_parse(text, &line, err));
	device_line_format(&line, got);
	assert_string_equal(got, want);
	assert_true(device_line_parse(got, &again, err));
	assert_true(device_line_same(&line, &again));
	assert_int_equal(line.devid, again.devid);
	assert_string_equal(line.backend, again.backend);
}

static void test_written_and_read_again(void **state)
{
	char text[DEVICE_LINE_LEN], longest[DEVICE_LINE_LEN];

	(void)state;
	written("", "gpu=0,mem=0,weight=256,cap=0");
	written("backend=drv,devid=0,mps=1,max-mapped-pages=3,max-buffers=2,"
		"cap=1,mem=1K",
		"gpu=0,mem=1024,weight=256,cap=1,max-buffers=2,"
		"max-mapped-pages=3,mps=1,devid=0,backend=drv");
	snprintf(longest, sizeof(longest),
		 "gpu=65535,mem=18446744073709551615,weight=65535,cap=100,"
		 "max-buffers=4294967295,max-mapped-pages=4294967295,mps=1,"
		 "devid=65535,backend=%063d",
		 0);
	snprintf(text, sizeof(text), "%s", longest);
	written(text, longest);
}

static void test_change(void **state)
{
	struct device_line line = {.gpu = 1, .mem = 5, .weight = 7, .cap = 9};
	char err[DEVICE_LINE_ERR];

	(void)state;
	assert_true(device_line_change("cap=50", &line, err));
	assert_int_equal(line.cap, 50);
	assert_int_equal(line.mem, 5);
	assert_int_equal(line.weight, 7);
	assert_int_equal(line.gpu, 1);
	assert_true(device_line_change("mem=2M,weight=300", &line, err));
	assert_int_equal(line.mem, 2 << 20);
	assert_int_equal(line.weight, 300);
	assert_false(device_line_change("gpu=0", &line, err));
	assert_string_equal(err, "gpu=0: cannot be changed while the device is "
				 "there (only mem, weight and cap can)");
	assert_false(device_line_change("mps=1", &line, err));
	assert_false(device_line_change("devid=1", &line, err));
	assert_false(device_line_change("backend=x", &line, err));
	assert_false(device_line_change("max-buffers=1", &line, err));
	assert_false(device_line_change("cap=101", &line, err));
	assert_false(device_line_change("foo=1", &line, err));
	assert_string_equal(err, "\"foo=1\": unknown key (there are mem, "
				 "weight, cap)");
	assert_false(device_line_change("", &line, err));
	assert_string_equal(err, "nothing to change (there are mem, weight, "
				 "cap)");
}

static void test_same(void **state)
{
	const char *const others[] = {"gpu=1",	       "mem=1",
				      "weight=1",      "cap=1",
				      "max-buffers=1", "max-mapped-pages=1",
				      "mps=1"};
	struct device_line a, b;
	char err[DEVICE_LINE_ERR];

	(void)state;
	assert_true(device_line_parse("", &a, err));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_true(device_line_parse(others[i], &b, err));
		assert_false(device_line_same(&a, &b));
	}
	/* Where the device is, not what it is. */
	assert_true(device_line_parse("devid=3,backend=x", &b, err));
	assert_true(device_line_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_bad_line),
		cmocka_unit_test(test_written_and_read_again),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests_name("device line", tests, NULL, NULL);
}
