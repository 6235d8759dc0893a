/* SPDX-License-Identifier: MIT */
/*
 * test_vgpuctl.c - vgpuctl from its command line to xenstore
 *
 * xenstore is fake_xenstore.c, libxl is the few functions below, xl is a shell
 * script that notes how it was called, and the backend is a function that
 * fake_xenstore runs after each change. What vgpuctl writes is held against
 * the schema with the checker's own code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <libxl_utils.h>

#include "check.h"
#include "fake_xenstore.h"
#include "vgpuctl.h"

#define B "/local/domain/0/backend/vgpu/7/0"
#define F "/local/domain/7/device/vgpu/0"

static char dir[] = "/tmp/test_vgpuctl.XXXXXX";
static char said[16384];
static bool dying, running;

/* ---- libxl ---- */

int libxl_ctx_alloc(libxl_ctx **pctx, int version, unsigned int flags,
		    xentoollog_logger *lg)
{
	(void)version;
	(void)flags;
	(void)lg;
	*pctx = (libxl_ctx *)dir;
	return 0;
}

int libxl_ctx_free(libxl_ctx *ctx)
{
	(void)ctx;
	return 0;
}

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
	char path[64];

	(void)ctx;
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	if (!fake_xs_get(path))
		return ERROR_DOMAIN_NOTFOUND;
	info->dying = dying;
	return 0;
}

int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
	const char *known = fake_xs_get("/local/domain/7/name");

	(void)ctx;
	*domid = 7;
	/* xl made it, or it was there before. */
	return known && !strcmp(known, name) &&
			       (running || !access("xl.log", F_OK)) ?
		       0 :
		       ERROR_INVAL;
}

/* ---- a backend ---- */

static void backend_serves(void)
{
	const char *state = fake_xs_get(B "/state");
	const char *online = fake_xs_get(B "/online");

	if (!state || !online)
		return;
	if (!strcmp(online, "0") && strcmp(state, "6")) {
		fake_xs_set(B "/state", "6", NULL);
		fake_xs_set(F "/state", "6", NULL);
	} else if (!strcmp(state, "1") && !strcmp(online, "1")) {
		fake_xs_set(B "/engine", "cpu", NULL);
		fake_xs_set(B "/gpu-name", "a \x1b[31m name", NULL);
		fake_xs_set(B "/state", "2", NULL);
	}
}

#define LONG_REASON                                                            \
	"there is no GPU 9, which takes many more words to say than a line "   \
	"of a table has room for, and all of them are of use to somebody"

static void backend_refuses(void)
{
	const char *state = fake_xs_get(B "/state");

	if (!state || strcmp(state, "1"))
		return;
	fake_xs_set(B "/error", LONG_REASON "\x1b[2J", NULL);
	fake_xs_set(B "/state", "6", NULL);
}

/* ---- helpers ---- */

static void world(void (*backend)(void))
{
	fake_xs_reset(0);
	dying = running = false;
	vgpuctl_interrupted = 0;
	fake_xs_set("/local/domain/0/name", "Domain-0", "n0");
	fake_xs_set("/local/domain/7/name", "guest", "n0,r7");
	fake_xs_set("/local/domain/8/name", "drv", "n0,r8");
	fake_xs_peer = backend;
}

/* vgpuctl with these words; its output, both streams, is in said. */
static int vgpuctl(const char *words)
{
	char *copy = strdup(words), *save, *word;
	char *argv[16] = {"vgpuctl"};
	FILE *tmp = tmpfile();
	int out = dup(1), err = dup(2);
	int argc = 1, rc;
	size_t n;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	fflush(stdout);
	dup2(fileno(tmp), 1);
	dup2(fileno(tmp), 2);
	rc = vgpuctl_run(argc, argv);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	rewind(tmp);
	n = fread(said, 1, sizeof(said) - 1, tmp);
	said[n] = '\0';
	fclose(tmp);
	free(copy);
	return rc;
}

static void expect(const char *words, int rc, const char *text)
{
	int got = vgpuctl(words);

	if (got != rc || !strstr(said, text))
		print_message("# vgpuctl %s: %d, said:\n%s", words, got, said);
	assert_int_equal(got, rc);
	assert_non_null(strstr(said, text));
}

static void expect_node(const char *path, const char *value)
{
	const char *got = fake_xs_get(path);

	if (!got)
		print_message("# no %s\n", path);
	assert_non_null(got);
	assert_string_equal(got, value);
}

static void expect_schema_ok(void)
{
	struct xs_handle *h = xs_open(0);
	unsigned int devices;
	int n = schema_check(h, XBT_NULL, stderr, &devices);

	xs_close(h);
	assert_int_equal(n, 0);
}

/* ---- the device line ---- */

static void line_ok(const char *text, struct vgpu_line want)
{
	char err[VGPU_LINE_ERR] = "";
	struct vgpu_line got;

	if (!vgpu_line_parse(text, &got, err))
		fail_msg("%s: %s", text, err);
	assert_int_equal(got.gpu, want.gpu);
	assert_true(got.mem == want.mem);
	assert_int_equal(got.weight, want.weight);
	assert_int_equal(got.cap, want.cap);
	assert_int_equal(got.devid, want.devid);
	assert_string_equal(got.backend, want.backend);
}

static void line_bad(const char *text, const char *want)
{
	char err[VGPU_LINE_ERR] = "";
	struct vgpu_line got;

	assert_false(vgpu_line_parse(text, &got, err));
	if (!strstr(err, want))
		fail_msg("%s: said \"%s\", not \"%s\"", text, err, want);
}

static void test_line(void **state)
{
	const struct vgpu_line none = {.weight = 256, .devid = -1};

	(void)state;
	line_ok(NULL, none);
	line_ok("", none);
	line_ok("gpu=3,mem=4G,weight=65535,cap=400,devid=2,backend=drv",
		(struct vgpu_line){3, 4ull << 30, 65535, 400, 2, "drv"});
	line_ok("cap=0", none);
	line_ok("mem=0K", none);
	line_ok("mem=1023K", (struct vgpu_line){0, 1023 << 10, 256, 0, -1, ""});
	line_ok("mem=5M", (struct vgpu_line){0, 5 << 20, 256, 0, -1, ""});
	line_ok("mem=16777215T",
		(struct vgpu_line){0, 16777215ull << 40, 256, 0, -1, ""});
	line_ok("mem=18446744073709551615",
		(struct vgpu_line){0, UINT64_MAX, 256, 0, -1, ""});
}

static void test_bad_line(void **state)
{
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
	line_bad("cap=65536", "cap=65536: must be per cent");
	line_bad("gpu=a", "gpu=a: must be the index");
	line_bad("gpu= 0", "gpu= 0: must be the index");
	line_bad("gpu", "\"gpu\": expected key=value");
	line_bad("gpus=0", "gpus: unknown key");
	line_bad("gpu=0,gpu=1", "gpu is given twice");
	line_bad("gpu=0,", "ends in a comma");
	line_bad("gpu=0,,cap=0", "\"\": expected key=value");
	line_bad("backend=", "must be the name or id");
	line_bad("gp\x1bu=0", "gp?u: unknown key");
}

/* ---- commands ---- */

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
	fake_xs_del(B);
	fake_xs_del(F);
	expect("attach --no-wait 7", 0, "device 0 to domain 7");
	expect("attach --no-wait 7 devid=1", 1, "has a vgpu device 1 already");
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

/* ---- create ---- */

static void config(const char *text)
{
	FILE *f;

	assert_int_equal(chdir(dir), 0);
	f = fopen("g.cfg", "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	unlink("xl.log");
}

static void expect_xl(const char *want)
{
	char got[512] = "";
	FILE *f = fopen("xl.log", "r");
	size_t n = 0;

	if (f) {
		n = fread(got, 1, sizeof(got) - 1, f);
		fclose(f);
	}
	got[n] = '\0';
	assert_string_equal(got, want);
}

#define CFG "name = \"guest\"\nmemory = 128\n"

static void test_create(void **state)
{
	pid_t child;
	int status;

	(void)state;
	world(backend_serves);
	config(CFG "vgpu = [ \"gpu=1,mem=2G\" ]\n");
	expect("create g.cfg -q memory=256", 0, "device 0 to domain 7");
	expect_node(B "/gpu", "1");
	expect_xl("create -p g.cfg -q memory=256\nunpause 7\n");

	world(NULL);
	config(CFG);
	expect("create g.cfg -p", 0, "");
	expect_xl("create -p g.cfg -p\n");

	/* ends in xl console, instead of returning */
	world(backend_serves);
	config(CFG);
	child = fork();
	if (!child) {
		vgpuctl("create g.cfg -qc vgpu=[\"gpu=2\"]");
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	expect_xl("create -p g.cfg -q vgpu=[\"gpu=2\"]\n"
		  "unpause 7\nconsole 7\n");
}

static void test_create_bad_config(void **state)
{
	(void)state;
	world(NULL);
	config(CFG "vgpu = [ \"gpu=0\", \"mem=4Q\" ]\n");
	expect("create g.cfg", 1, "g.cfg: vgpu[1]: mem=4Q: must be");
	config(CFG "vgpu = \"gpu=0\"\n");
	expect("create g.cfg", 1, "g.cfg: vgpu must be a list");
	config("memory = 128\n");
	expect("create g.cfg", 1, "g.cfg: name is missing");
	config("name = = 3\n");
	expect("create g.cfg", 1, "g.cfg: not a valid xl config");
	expect("create none.cfg", 1, "none.cfg: No such file");
	config(CFG);
	expect("create g.cfg -n", 2, "xl's -n cannot be used");
	expect("create g.cfg --dry", 2, "xl's --dryrun cannot be used");
	expect("create g.cfg --def=x.cfg", 2,
	       "xl's --defconfig cannot be used");
	expect_xl("");
}

static void test_create_undone(void **state)
{
	(void)state;
	world(backend_refuses);
	config(CFG "vgpu = [ \"gpu=9\" ]\n");
	expect("create g.cfg", 1, "destroying domain 7 (guest)");
	assert_non_null(strstr(said, "there is no GPU 9"));
	expect_xl("create -p g.cfg\ndestroy 7\n");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));

	/* second device fails: the first one goes too */
	world(NULL);
	config(CFG "vgpu = [ \"devid=0\", \"devid=0\" ]\n");
	fake_xs_peer = backend_serves;
	expect("create g.cfg", 1, "g.cfg: destroying");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

/* What xl could not make is not ours to destroy. */
static void test_create_xl_fails(void **state)
{
	(void)state;
	world(backend_serves);
	config("name = \"guest\"\nfail = 1\nvgpu = [ \"gpu=0\" ]\n");
	expect("create g.cfg", 1, "g.cfg: xl create failed");
	expect_xl("create -p g.cfg\n");
	assert_null(fake_xs_get(B));
}

/* Nor is a domain of that name that was there before. */
static void test_create_of_a_running_domain(void **state)
{
	(void)state;
	world(backend_refuses);
	running = true;
	config(CFG "vgpu = [ \"gpu=9\" ]\n");
	expect("create g.cfg --help", 1, "a domain \"guest\" already");
	expect_xl("");
	assert_null(fake_xs_get(B));
}

static int setup(void **state)
{
	char path[4096];
	FILE *f;

	(void)state;
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	f = fopen("xl", "w");
	if (!f)
		return -1;
	fputs("#!/bin/sh\necho \"$@\" >> xl.log\n"
	      "[ \"$1\" != create ] || ! grep -q '^fail' \"$3\"\n",
	      f);
	fclose(f);
	chmod("xl", 0755);
	snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH"));
	return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
	(void)state;
	unlink("xl");
	unlink("xl.log");
	unlink("g.cfg");
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_bad_line),
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
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_bad_config),
		cmocka_unit_test(test_create_undone),
		cmocka_unit_test(test_create_xl_fails),
		cmocka_unit_test(test_create_of_a_running_domain),
	};

	return cmocka_run_group_tests_name("vgpuctl", tests, setup, teardown);
}
