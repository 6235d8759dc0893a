/* SPDX-License-Identifier: MIT */
/*
 * toolstack.c - see toolstack.h
 */
#include "toolstack.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <libxl_utils.h>

#include "check.h"
#include "vgpuctl.h"

static char dir[] = "/tmp/test_vgpuctl.XXXXXX";
char said[16384];
bool dying, running;

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

static void serve(unsigned int devid)
{
	char back[64], front[64], path[96];
	const char *state, *online;

	snprintf(back, sizeof(back), "/local/domain/0/backend/vgpu/7/%u",
		 devid);
	snprintf(front, sizeof(front), "/local/domain/7/device/vgpu/%u/state",
		 devid);
	snprintf(path, sizeof(path), "%s/online", back);
	online = fake_xs_get(path);
	snprintf(path, sizeof(path), "%s/state", back);
	state = fake_xs_get(path);
	if (!state || !online)
		return;
	if (!strcmp(online, "0") && strcmp(state, "6")) {
		fake_xs_set(path, "6", NULL);
		fake_xs_set(front, "6", NULL);
	} else if (!strcmp(state, "1") && !strcmp(online, "1")) {
		snprintf(path, sizeof(path), "%s/engine", back);
		fake_xs_set(path, "cpu", NULL);
		snprintf(path, sizeof(path), "%s/gpu-name", back);
		fake_xs_set(path, "a \x1b[31m name", NULL);
		snprintf(path, sizeof(path), "%s/state", back);
		fake_xs_set(path, "2", NULL);
	}
}

void backend_serves(void)
{
	for (unsigned int devid = 0; devid < 10; devid++)
		serve(devid);
}

void backend_refuses(void)
{
	const char *state = fake_xs_get(B "/state");

	if (!state || strcmp(state, "1"))
		return;
	fake_xs_set(B "/error", LONG_REASON "\x1b[2J", NULL);
	fake_xs_set(B "/state", "6", NULL);
}

/* ---- helpers ---- */

void world(void (*backend)(void))
{
	fake_xs_reset(0);
	dying = running = false;
	vgpuctl_interrupted = 0;
	fake_xs_set("/local/domain/0/name", "Domain-0", "n0");
	fake_xs_set("/local/domain/7/name", "guest", "n0,r7");
	fake_xs_set("/local/domain/7/vm", "/vm/" UUID, "n0,r7");
	fake_xs_set("/local/domain/8/name", "drv", "n0,r8");
	unlink(STATE);
	fake_xs_peer = backend;
}

/* vgpuctl with these words; its output, both streams, is in said. */
int vgpuctl(const char *words)
{
	char *copy = strdup(words), *save, *word;
	char *argv[16] = {"vgpuctl", "--state-file", STATE};
	FILE *tmp = tmpfile();
	int out = dup(1), err = dup(2);
	int argc = 3, rc;
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

void expect(const char *words, int rc, const char *text)
{
	int got = vgpuctl(words);

	if (got != rc || !strstr(said, text))
		print_message("# vgpuctl %s: %d, said:\n%s", words, got, said);
	assert_int_equal(got, rc);
	assert_non_null(strstr(said, text));
}

void expect_node(const char *path, const char *value)
{
	const char *got = fake_xs_get(path);

	if (!got)
		print_message("# no %s\n", path);
	assert_non_null(got);
	assert_string_equal(got, value);
}

void expect_schema_ok(void)
{
	struct xs_handle *h = xs_open(0);
	unsigned int devices;
	int n = schema_check(h, XBT_NULL, stderr, &devices);

	xs_close(h);
	assert_int_equal(n, 0);
}

/* ---- the state file ---- */

/* All of a file; "" where there is none. */
static const char *contents(const char *file)
{
	static char text[16384];
	FILE *f = fopen(file, "r");
	size_t n = 0;

	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

void expect_state(const char *records)
{
	char want[16384];

	if (!records) {
		assert_int_equal(access(STATE, F_OK), -1);
		return;
	}
	snprintf(want, sizeof(want), "xen-vgpu devices 1\n%send\n", records);
	assert_string_equal(contents(STATE), want);
}

void write_state(const char *text)
{
	FILE *f;

	mkdir("state", 0700);
	f = fopen(STATE, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* ---- create ---- */

void config(const char *text)
{
	FILE *f;

	assert_int_equal(chdir(dir), 0);
	f = fopen("g.cfg", "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	unlink("xl.log");
}

void expect_xl(const char *want)
{
	assert_string_equal(contents("xl.log"), want);
}

int toolstack_setup(void **state)
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

int toolstack_teardown(void **state)
{
	(void)state;
	unlink("xl");
	unlink("xl.log");
	unlink("g.cfg");
	unlink("seen");
	unlink(STATE);
	unlink(STATE ".lock");
	rmdir("state");
	return chdir("/") || rmdir(dir);
}
