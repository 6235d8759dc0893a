/* SPDX-License-Identifier: MIT */
/*
 * test_registry.c - the state file: its text, and its life on the disk
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "registry.h"

#define U1 "11111111-2222-3333-4444-555555555555"
#define U2 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define HEAD "xen-vgpu devices 1\n"
#define LINE "gpu=0,mem=0,weight=256,cap=0,devid=0"
#define ONE "device " U1 " guest " LINE "\n"

static char dir[] = "/tmp/test_registry.XXXXXX";
#define FILE_IN "state/devices"

/* ---- text ---- */

static void refused(const char *text, const char *want)
{
	struct registry r = REGISTRY_NONE;
	char err[REGISTRY_ERR] = "";

	assert_false(registry_parse(&r, text, strlen(text), err));
	assert_null(r.entry);
	assert_int_equal(r.n, 0);
	if (strncmp(err, want, strlen(want)))
		fail_msg("said \"%s\", not \"%s\"", err, want);
}

static void same_again(const char *text)
{
	struct registry r = REGISTRY_NONE;
	char err[REGISTRY_ERR];
	size_t len;
	char *got;

	if (!registry_parse(&r, text, strlen(text), err))
		fail_msg("%s: %s", text, err);
	got = registry_format(&r, &len);
	assert_string_equal(got, text);
	assert_int_equal(len, strlen(text));
	free(got);
	registry_free(&r);
}

static void good_texts(void **state)
{
	(void)state;
	same_again(HEAD "end\n");
	same_again(HEAD ONE "end\n");
	same_again(HEAD ONE
		   "device " U1 " guest gpu=1,mem=5,weight=1,cap=100,"
		   "max-buffers=2,max-mapped-pages=3,mps=1,devid=65535,"
		   "backend=a driver domain\n"
		   "device " U2 " %25%20%e4%7f " LINE "\n"
		   "device " REGISTRY_NO_UUID " new " LINE "\n"
		   "device " REGISTRY_NO_UUID " newer " LINE "\n"
		   "end\n");
}

static void names_are_decoded(void **state)
{
	static const char text[] =
		HEAD "device " U1 " a%20b%25%c3%a4 " LINE "\nend\n";
	struct registry r = REGISTRY_NONE;
	char err[REGISTRY_ERR];

	(void)state;
	assert_true(registry_parse(&r, text, strlen(text), err));
	assert_string_equal(r.entry[0].name, "a b%\xc3\xa4");
	registry_free(&r);
}

static void damaged_texts(void **state)
{
	char longname[DOMAIN_NAME_LEN + 200];

	(void)state;
	refused("", "1: is missing: the file is empty");
	refused("\n", "1: must be \"xen-vgpu devices 1\"");
	refused("hello\n", "1: must be \"xen-vgpu devices 1\"");
	refused("xen-vgpu devices\n", "1: must be");
	refused("xen-vgpu devices 01\n", "1: must be");
	refused("xen-vgpu devices 2\nwhatever\n",
		"1: is of version 2, this program knows version 1: another "
		"version of xen-vgpu wrote it");
	refused(HEAD, "2: must be \"end\": the rest is missing");
	refused(HEAD ONE, "3: must be \"end\"");
	refused(HEAD "end", "2: is cut off");
	refused(HEAD ONE "end\n\n", "4: comes after the end");
	refused(HEAD "end\nend\n", "3: comes after the end");
	refused(HEAD "\nend\n", "2: \"\": is no record");
	refused(HEAD "# text\nend\n", "2: \"# text\": is no record");
	refused(HEAD "device " U1 "\nend\n", "2: is cut off");
	refused(HEAD "device " U1 " guest\nend\n", "2: is cut off");
	refused(HEAD "device x guest " LINE "\nend\n", "2: \"x\": is no UUID");
	refused(HEAD "device " U1 "0 guest " LINE "\nend\n", "2: ");
	refused(HEAD "device " U1 "  " LINE "\nend\n",
		"2: \"\": is no domain's name");
	refused(HEAD "device " U1 " a%2 " LINE "\nend\n", "2: \"a%2\": is no");
	refused(HEAD "device " U1 " a%2G " LINE "\nend\n", "2: ");
	refused(HEAD "device " U1 " a%00 " LINE "\nend\n", "2: ");
	refused(HEAD "device " U1 " a\xc3 " LINE "\nend\n",
		"2: \"a?\": is no domain's name");
	refused(HEAD "device " U1 " guest cap=101,devid=0\nend\n",
		"2: cap=101: must be per cent");
	refused(HEAD "device " U1 " guest gpu=0\nend\n", "2: devid is missing");
	refused(HEAD ONE ONE "end\n", "3: device 0 of " U1 " is there twice");
	refused(HEAD ONE "device " U1 " other devid=1\nend\n",
		"3: " U1 " has two names");
	refused(HEAD "device " REGISTRY_NO_UUID " new devid=1\n"
		     "device " REGISTRY_NO_UUID " new devid=1\nend\n",
		"3: device 1 of " REGISTRY_NO_UUID " is there twice");
	snprintf(longname, sizeof(longname),
		 HEAD "device " U1 " %0*d " LINE "\nend\n", DOMAIN_NAME_LEN, 0);
	refused(longname, "2: ");
}

static void a_nul_is_seen(void **state)
{
	static const char text[] = HEAD "device " U1 " a\0b " LINE "\nend\n";
	struct registry r = REGISTRY_NONE;
	char err[REGISTRY_ERR];

	(void)state;
	assert_false(registry_parse(&r, text, sizeof(text) - 1, err));
	assert_string_equal(err, "2: has a NUL");
}

static void too_many_are_refused(void **state)
{
	struct registry r = REGISTRY_NONE;
	struct registry_entry e = {.uuid = U1, .name = "g"};
	char err[REGISTRY_ERR];
	size_t len;
	char *text;

	(void)state;
	for (int i = 0; i < REGISTRY_MAX; i++) {
		e.line.devid = i;
		assert_true(registry_put(&r, &e));
	}
	assert_true(registry_put(&r, &e));
	e.line.devid = REGISTRY_MAX;
	assert_false(registry_put(&r, &e));
	assert_int_equal(r.n, REGISTRY_MAX);
	registry_free(&r);
	text = malloc(100 * (REGISTRY_MAX + 3));
	len = sprintf(text, HEAD);
	for (int i = 0; i <= REGISTRY_MAX; i++)
		len += sprintf(text + len, "device " U1 " g devid=%d\n", i);
	len += sprintf(text + len, "end\n");
	assert_false(registry_parse(&r, text, len, err));
	assert_string_equal(err, "4098: more than 4096 devices");
	free(text);
}

/* ---- entries ---- */

static struct registry_entry entry(const char *uuid, const char *name,
				   int devid, uint64_t mem)
{
	struct registry_entry e = {
		.line = {.weight = 1, .devid = devid, .mem = mem}};

	strcpy(e.uuid, uuid);
	strcpy(e.name, name);
	return e;
}

static bool named(const struct registry_entry *e, const void *arg)
{
	return !strcmp(e->name, arg);
}

static void put_find_drop(void **state)
{
	const struct registry_entry in[] = {entry(U1, "a", 0, 1),
					    entry(U1, "a", 1, 2),
					    entry(U2, "b", 0, 3),
					    entry(REGISTRY_NO_UUID, "c", 0, 4),
					    entry(REGISTRY_NO_UUID, "d", 0, 5),
					    entry(U1, "a", 1, 6)};
	struct registry r = REGISTRY_NONE;

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		assert_true(registry_put(&r, &in[i]));
	assert_int_equal(r.n, 5);
	assert_int_equal(registry_find(&r, U1, 1)->line.mem, 6);
	assert_int_equal(registry_find(&r, U2, 0)->line.mem, 3);
	assert_null(registry_find(&r, U2, 1));
	assert_int_equal(registry_drop(&r, named, "a"), 2);
	assert_int_equal(r.n, 3);
	assert_null(registry_find(&r, U1, 0));
	assert_string_equal(r.entry[2].name, "d");
	assert_int_equal(registry_drop(&r, named, "a"), 0);
	registry_free(&r);
}

/* ---- files ---- */

static void put_file(const char *text)
{
	FILE *f;

	mkdir("state", 0700);
	f = fopen(FILE_IN, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(FILE_IN, 0600);
}

static void expect_file(const char *want)
{
	char got[4096] = "";
	FILE *f = fopen(FILE_IN, "r");
	size_t n;

	assert_non_null(f);
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = '\0';
	fclose(f);
	assert_string_equal(got, want);
}

static void bad_file(const char *want)
{
	struct registry r;
	char err[REGISTRY_ERR] = "";

	assert_int_equal(registry_load(&r, FILE_IN, err), REGISTRY_BAD);
	assert_string_equal(err, want);
	assert_int_equal(registry_open(&r, FILE_IN, 0, err), REGISTRY_BAD);
	assert_string_equal(err, want);
	assert_int_equal(r.lock, -1);
}

static void begins_without_a_file(void **state)
{
	const struct registry_entry e = entry(U1, "guest", 0, 0);
	char err[REGISTRY_ERR];
	struct registry r;
	struct stat st;

	(void)state;
	assert_int_equal(registry_load(&r, FILE_IN, err), REGISTRY_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(access("state", F_OK), -1);
	assert_int_equal(registry_open(&r, FILE_IN, 0, err), REGISTRY_OK);
	assert_true(registry_put(&r, &e));
	assert_true(registry_save(&r, err));
	registry_close(&r);
	expect_file(HEAD "device " U1 " guest gpu=0,mem=0,weight=1,cap=0,"
			 "devid=0\nend\n");
	assert_int_equal(stat(FILE_IN, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat("state", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(access(FILE_IN ".new", F_OK), -1);
}

static void one_writer_at_a_time(void **state)
{
	struct registry a, b;
	char err[REGISTRY_ERR];

	(void)state;
	put_file(HEAD ONE "end\n");
	assert_int_equal(registry_open(&a, FILE_IN, 0, err), REGISTRY_OK);
	assert_int_equal(registry_open(&b, FILE_IN, 0, err), REGISTRY_BUSY);
	assert_string_equal(err, FILE_IN ".lock: another program holds the "
					 "lock");
	assert_int_equal(registry_open(&b, FILE_IN, 25, err), REGISTRY_BUSY);
	/* Readers need none. */
	assert_int_equal(registry_load(&b, FILE_IN, err), REGISTRY_OK);
	assert_int_equal(b.n, 1);
	registry_free(&b);
	registry_close(&a);
	assert_int_equal(registry_open(&b, FILE_IN, 0, err), REGISTRY_OK);
	registry_close(&b);
}

static void what_cannot_be_read_is_kept(void **state)
{
	(void)state;
	put_file(HEAD "device " U1 " guest cap=200,devid=0\nend\n");
	bad_file(FILE_IN ":2: cap=200: must be per cent of one GPU, 0 (none) "
			 "to 100");
	expect_file(HEAD "device " U1 " guest cap=200,devid=0\nend\n");
	put_file("xen-vgpu devices 7\n");
	bad_file(FILE_IN ":1: is of version 7, this program knows version 1: "
			 "another version of xen-vgpu wrote it");
	put_file("");
	bad_file(FILE_IN ":1: is missing: the file is empty");
	put_file(HEAD "end\n");
	chmod(FILE_IN, 0620);
	bad_file(FILE_IN ": others than root may write to it");
	unlink(FILE_IN);
	mkdir(FILE_IN, 0700);
	bad_file(FILE_IN ": is no file");
	rmdir(FILE_IN);
	assert_int_equal(symlink("elsewhere", FILE_IN), 0);
	bad_file(FILE_IN ": Too many levels of symbolic links");
	unlink(FILE_IN);
	/* Nobody writes to it: that must not make us wait. */
	assert_int_equal(mkfifo(FILE_IN, 0600), 0);
	bad_file(FILE_IN ": is no file");
	unlink(FILE_IN);
	put_file("");
	assert_int_equal(truncate(FILE_IN, REGISTRY_MAX_BYTES + 1), 0);
	bad_file(FILE_IN ": larger than 1048576 octets");
}

/* What a program left that was killed while it wrote. */
static void half_a_file_is_in_nobodys_way(void **state)
{
	struct registry r;
	char err[REGISTRY_ERR];
	FILE *f;

	(void)state;
	put_file(HEAD ONE "end\n");
	f = fopen(FILE_IN ".new", "w");
	fputs("half", f);
	fclose(f);
	assert_int_equal(registry_open(&r, FILE_IN, 0, err), REGISTRY_OK);
	assert_int_equal(r.n, 1);
	assert_true(registry_save(&r, err));
	registry_close(&r);
	expect_file(HEAD ONE "end\n");
	assert_int_equal(access(FILE_IN ".new", F_OK), -1);
}

static void what_cannot_be_written_is_kept(void **state)
{
	struct registry_entry e;
	struct registry r;
	char err[REGISTRY_ERR];

	(void)state;
	put_file(HEAD ONE "end\n");
	/* A folder in the place of the new file: even root cannot write it. */
	mkdir(FILE_IN ".new", 0700);
	assert_int_equal(registry_open(&r, FILE_IN, 0, err), REGISTRY_OK);
	assert_false(registry_save(&r, err));
	assert_string_equal(err, FILE_IN ": File exists");
	rmdir(FILE_IN ".new");
	/* Too large to be read again. */
	e = entry(U2, "", 0, 0);
	memset(e.name, ' ', sizeof(e.name) - 1);
	for (e.line.devid = 0; e.line.devid < 1400; e.line.devid++)
		assert_true(registry_put(&r, &e));
	assert_false(registry_save(&r, err));
	assert_string_equal(err, FILE_IN ": too many devices to remember");
	registry_close(&r);
	expect_file(HEAD ONE "end\n");
}

static void no_folder_no_file(void **state)
{
	struct registry r;
	char err[REGISTRY_ERR];

	(void)state;
	assert_int_equal(registry_open(&r, "a/b/devices", 0, err),
			 REGISTRY_BAD);
	assert_string_equal(err, "a/b: No such file or directory");
}

static int clean(void **state)
{
	(void)state;
	unlink(FILE_IN);
	unlink(FILE_IN ".lock");
	unlink(FILE_IN ".new");
	rmdir("state");
	return 0;
}

static int start(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir);
}

static int end(void **state)
{
	(void)state;
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),
		cmocka_unit_test(names_are_decoded),
		cmocka_unit_test(damaged_texts),
		cmocka_unit_test(a_nul_is_seen),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(put_find_drop),
		cmocka_unit_test_teardown(begins_without_a_file, clean),
		cmocka_unit_test_teardown(one_writer_at_a_time, clean),
		cmocka_unit_test_teardown(what_cannot_be_read_is_kept, clean),
		cmocka_unit_test_teardown(half_a_file_is_in_nobodys_way, clean),
		cmocka_unit_test_teardown(what_cannot_be_written_is_kept,
					  clean),
		cmocka_unit_test_teardown(no_folder_no_file, clean),
	};

	return cmocka_run_group_tests_name("registry", tests, start, end);
}
