// SPDX-License-Identifier: MIT
/*
 * test_native_store.c - is the harness's xenstore as strict as xenstored?
 *
 * Permissions, transactions and watches, as C xenstored 4.17 has them. Domain 0
 * is the toolstack, domain 7 a guest with a device, domain 8 a stranger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct world w;

static int begin(void **state)
{
	(void)state;
	world_start(&w);
	world_domain_make(&w, 7, 64);
	world_domain_make(&w, 8, 64);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return world_end(&w) ? 0 : -1;
}

static bool put(struct xs_handle *xs, xs_transaction_t t, const char *path,
		const char *value)
{
	return xs_write(xs, t, path, value, strlen(value));
}

static void store_needs_permission(void **state)
{
	struct xs_handle *guest, *other;
	unsigned int n;

	(void)state;
	world_attach(&w, 7, 0);
	nx_be(7);
	guest = xs_open(0);
	nx_be(8);
	other = xs_open(0);
	nx_be(0);
#define BACK "/local/domain/0/backend/vgpu/7/0"
#define FRONT "/local/domain/7/device/vgpu/0"
	/* The guest owns its half, reads the other one, and no more. */
	assert_true(put(guest, 0, "device/vgpu/0/state", "3"));
	assert_false(put(guest, 0, BACK "/state", "4"));
	assert_int_equal(errno, EACCES);
	assert_false(xs_rm(guest, 0, BACK));
	assert_int_equal(errno, EACCES);
	assert_false(put(guest, 0, "device/other", ""));
	assert_int_equal(errno, EACCES);
	free(xs_read(guest, 0, BACK "/state", &n));
	assert_int_equal(n, 1);
	/* A stranger sees neither; what is missing, he is not told. */
	assert_null(xs_read(other, 0, FRONT "/state", &n));
	assert_int_equal(errno, EACCES);
	assert_null(xs_read(other, 0, BACK "/none", &n));
	assert_int_equal(errno, EACCES);
	assert_null(xs_directory(other, 0, BACK, &n));
	assert_int_equal(errno, EACCES);
	assert_null(xs_read(guest, 0, BACK "/none", &n));
	assert_int_equal(errno, ENOENT);
	/* In a transaction too. */
	n = xs_transaction_start(guest);
	assert_false(put(guest, n, BACK "/state", "4"));
	assert_int_equal(errno, EACCES);
	assert_true(xs_transaction_end(guest, n, true));
	assert_false(put(guest, 0, "device/vgpu/0/a b", ""));
	assert_int_equal(errno, EINVAL);
	xs_close(guest);
	xs_close(other);
}

static void transaction_conflicts(void **state)
{
	struct xs_handle *xs = xs_open(0);
	xs_transaction_t t;
	unsigned int n;
	char *text;

	(void)state;
	put(w.xs, 0, "/t/a", "1");
	put(w.xs, 0, "/t/b", "1");
	/* Somebody writes what it has read. */
	t = xs_transaction_start(xs);
	free(xs_read(xs, t, "/t/a", &n));
	put(xs, t, "/t/b", "2");
	text = xs_read(w.xs, 0, "/t/b", &n);
	assert_string_equal(text, "1");
	free(text);
	put(w.xs, 0, "/t/a", "3");
	assert_false(xs_transaction_end(xs, t, false));
	assert_int_equal(errno, EAGAIN);
	text = xs_read(w.xs, 0, "/t/b", &n);
	assert_string_equal(text, "1");
	free(text);
	/* Somebody writes elsewhere. */
	t = xs_transaction_start(xs);
	free(xs_read(xs, t, "/t/a", &n));
	put(xs, t, "/t/b", "4");
	put(w.xs, 0, "/u", "");
	assert_true(xs_transaction_end(xs, t, false));
	/* Somebody makes what it has not found. */
	t = xs_transaction_start(xs);
	assert_null(xs_read(xs, t, "/t/c", &n));
	put(w.xs, 0, "/t/c", "");
	assert_false(xs_transaction_end(xs, t, false));
	assert_int_equal(errno, EAGAIN);
	/* An aborted one leaves nothing. */
	t = xs_transaction_start(xs);
	assert_true(xs_rm(xs, t, "/t"));
	assert_null(xs_read(xs, t, "/t/a", &n));
	assert_true(xs_transaction_end(xs, t, true));
	text = xs_read(xs, 0, "/t/b", &n);
	assert_string_equal(text, "4");
	free(text);
	assert_false(xs_transaction_end(xs, t, false));
	assert_int_equal(errno, ENOENT);
	world_conflict(&w, 1);
	t = xs_transaction_start(xs);
	assert_false(xs_transaction_end(xs, t, false));
	assert_int_equal(errno, EAGAIN);
	xs_close(xs);
}

/* What is queued for the handle, as "path token;..." */
static const char *watched(struct xs_handle *xs)
{
	static char all[1024];
	char **event;

	all[0] = '\0';
	while ((event = xs_check_watch(xs))) {
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s %s;",
			 event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
		free(event);
	}
	return all;
}

static void watches_fire_as_in_xenstored(void **state)
{
	struct xs_handle *xs = xs_open(0), *guest;
	xs_transaction_t t;

	(void)state;
	nx_be(7);
	guest = xs_open(0);
	nx_be(0);
	/* At once; relative paths come back as they were given. */
	assert_true(xs_watch(xs, "backend/vgpu", "b"));
	assert_string_equal(watched(xs), "backend/vgpu b;");
	assert_false(xs_watch(xs, "backend/vgpu", "b"));
	assert_int_equal(errno, EEXIST);
	put(w.xs, 0, "/local/domain/0/backend/vgpu/7/0/state", "1");
	assert_string_equal(watched(xs), "backend/vgpu/7/0/state b;");
	/* A removal tells who watches below it. */
	xs_watch(xs, "/local/domain/0/backend/vgpu/7/0/state", "s");
	watched(xs);
	xs_rm(w.xs, 0, "/local/domain/0/backend");
	assert_string_equal(watched(xs),
			    "backend/vgpu b;"
			    "/local/domain/0/backend/vgpu/7/0/state s;");
	/* Nothing before the commit, and nothing of what was aborted. */
	t = xs_transaction_start(w.xs);
	put(w.xs, t, "/local/domain/0/backend/vgpu/1", "");
	assert_string_equal(watched(xs), "");
	xs_transaction_end(w.xs, t, false);
	assert_string_equal(watched(xs), "backend/vgpu/1 b;");
	/* Not told: who may not read it. */
	xs_watch(guest, "/local/domain/0/backend", "g");
	watched(guest);
	put(w.xs, 0, "/local/domain/0/backend/vgpu/1", "x");
	assert_string_equal(watched(guest), "");
	assert_true(xs_unwatch(xs, "backend/vgpu", "b"));
	assert_false(xs_unwatch(xs, "backend/vgpu", "b"));
	assert_int_equal(errno, ENOENT);
	watched(xs);
	put(w.xs, 0, "/local/domain/0/backend/vgpu/1", "y");
	assert_string_equal(watched(xs), "");
	xs_watch(xs, "@introduceDomain", "i");
	xs_watch(xs, "@releaseDomain", "r");
	watched(xs);
	world_domain_make(&w, 9, 16);
	assert_string_equal(watched(xs), "@introduceDomain i;");
	world_domain_destroy(&w, 9);
	assert_string_equal(watched(xs), "@releaseDomain r;");
	xs_close(xs);
	xs_close(guest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(store_needs_permission),
		TEST(transaction_conflicts),
		TEST(watches_fire_as_in_xenstored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
