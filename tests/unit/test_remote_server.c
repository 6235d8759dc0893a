// SPDX-License-Identifier: MIT
/*
 * test_remote_server.c - frames that vgpu-engined gets, honest and not
 */
#include "remote_served.h"

#include <sys/stat.h>

static void test_session(void **state)
{
	const struct remote_welcome *w = (const void *)f.body;
	const struct remote_info *info = (const void *)f.body;
	int fd = peer_connect(path);

	(void)state;
	peer_hello(fd, REMOTE_VERSION, 3);
	/* The first sign comes before the engine is open. */
	assert_true(peer_get(fd, &f));
	assert_int_equal(f.h.type, REMOTE_HOLD);
	peer_expect(fd, REMOTE_WELCOME, &f);
	assert_int_equal(w->version, REMOTE_VERSION);
	assert_int_equal(w->window, ENGINED_WINDOW);
	assert_string_equal(w->engine, "cpu");
	assert_true(strstr(w->builtins, "vector-add"));
	assert_false(w->capabilities & REMOTE_CAP_MODULES);
	assert_true(w->gpu_name[0] && w->memory);
	expect_sum(fd, 77, 1);
	expect_sum(fd, 78, 32768);
	peer_make(&f, REMOTE_PING, 5, NULL, 0);
	peer_put(fd, &f);
	peer_expect(fd, REMOTE_PONG, &f);
	assert_int_equal(f.h.id, 5);
	peer_make(&f, REMOTE_INFO, 6, NULL, 0);
	peer_put(fd, &f);
	peer_expect(fd, REMOTE_INFO_IS, &f);
	assert_int_equal(f.h.id, 6);
	assert_true(info->mem_total && info->mem_free <= info->mem_total);
	close(fd);
	assert_true(await_text(log_path, "event=client-gone"));
}

static void test_version(void **state)
{
	const struct remote_refused *r = (const void *)f.body;
	int fd = peer_connect(path);

	(void)state;
	/* The version before this one. */
	peer_hello(fd, 1, 9);
	peer_expect(fd, REMOTE_REFUSED, &f);
	assert_int_equal(r->nonce[0], 9);
	assert_int_equal(r->reason, REMOTE_REASON_VERSION);
	assert_int_equal(r->version, REMOTE_VERSION);
	assert_string_equal(r->text,
			    "version 1 is not spoken here, but version 2");
	/* The stream is in order: another client may follow on it. */
	peer_begin(fd, 10);
	expect_sum(fd, 1, 10);
	close(fd);
}

/* What breaks a rule gets an ERROR that says which; then only HELLO helps. */
static void check_bad(size_t octets, const char *text)
{
	int fd = peer_connect(path);

	peer_begin(fd, 1);
	assert_true(peer_send(fd, &g, octets, 0));
	expect_error(fd, REMOTE_REASON_FRAME, text);
	peer_make_add(&f, 1, 0, a, b, 5);
	peer_put(fd, &f);
	peer_begin(fd, 2);
	expect_sum(fd, 2, 5);
	close(fd);
}

static void test_bad_frames(void **state)
{
	struct remote_hello hello = {.version = REMOTE_VERSION, .reserved = {0, 0, 1}};

	(void)state;
	peer_make(&g, REMOTE_PING, 1, NULL, 0);
	g.h.magic = 0x11111111;
	check_bad(24, "0x11111111 where a frame has to begin");
	peer_make_add(&g, 1, 0, a, b, 100);
	g.h.length = REMOTE_PAYLOAD_MAX + 1;
	check_bad(24, "262257 octets: longer than");
	g.h.length = UINT32_MAX;
	check_bad(832, "4294967295 octets: longer than");
	peer_make(&g, REMOTE_WELCOME, 1, NULL, 944);
	check_bad(24 + 944, "for the other end");
	peer_make(&g, REMOTE_PING, 1, NULL, 1);
	check_bad(25, "a ping frame of 1 octets");
	peer_make(&g, REMOTE_HELLO, 0, &hello, sizeof(hello));
	check_bad(peer_octets(&g), "HELLO whose reserved");
	/* In a session a job has its mark: this one has another's. */
	peer_make_add(&g, 1, 0, a, b, 100);
	check_bad(peer_octets(&g), "a job without its session's mark");
	peer_make(&g, REMOTE_FREE, 0, &(struct remote_free){.number = 0}, 8);
	check_bad(peer_octets(&g), "what cannot be freed");
	peer_make(&g, REMOTE_FREE, 0,
		  &(struct remote_free){.number = REMOTE_NUMBERS}, 8);
	check_bad(peer_octets(&g), "what cannot be freed");
	peer_make(&g, REMOTE_FREE, 0,
		  &(struct remote_free){REMOTE_KIND_FUNCTION, 0, 1}, 8);
	check_bad(peer_octets(&g), "what cannot be freed");
	peer_make(&g, REMOTE_FREE, 0, &(struct remote_free){0, 1, 1}, 8);
	check_bad(peer_octets(&g), "what cannot be freed");
	assert_true(await_text(log_path, "event=out-of-sync"));
}

/*
 * A client that did not notice that the server is another process: nothing is
 * said to it, since it may take that for the rest of an answer.
 */
static void test_before_hello(void **state)
{
	int fd = peer_connect(path);

	(void)state;
	peer_make_add(&f, 1, 0, a, b, 5);
	peer_put(fd, &f);
	assert_true(await_text(log_path, "a frame before HELLO"));
	peer_hello(fd, REMOTE_VERSION, 1);
	assert_true(peer_get(fd, &f));
	assert_int_equal(f.h.type, REMOTE_HOLD);
	peer_expect(fd, REMOTE_WELCOME, &f);
	expect_sum(fd, 1, 5);
	/* Once it has said HELLO it is told. */
	peer_make(&g, REMOTE_PING, 1, NULL, 0);
	g.h.magic = 0x11111111;
	peer_put(fd, &g);
	expect_error(fd, REMOTE_REASON_FRAME, "where a frame has to begin");
	close(fd);
}

/* A log is not the client's to fill. */
static void test_log_flood(void **state)
{
	int fd = peer_connect(path);
	struct stat st;

	(void)state;
	peer_begin(fd, 1);
	for (int i = 0; i < 2000; i++) {
		peer_make(&g, 1234, 99, NULL, 0);
		peer_put(fd, &g);
		peer_expect(fd, REMOTE_ERROR, &f);
	}
	peer_begin(fd, 2);
	assert_int_equal(stat(log_path, &st), 0);
	assert_in_range(st.st_size, 50 * 20, 100 * 400);
	close(fd);
}

/* A type that a later version may have: skipped, named, and nothing is lost. */
static void test_unknown_type(void **state)
{
	const struct remote_error *e = (const void *)f.body;
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	peer_make(&g, 1234, 99, NULL, 70000);
	peer_put(fd, &g);
	expect_error(fd, REMOTE_REASON_TYPE,
		     "frames of type 1234 are not known");
	assert_int_equal(f.h.id, 99);
	assert_int_equal(e->type, 1234);
	expect_sum(fd, 100, 5);
	close(fd);
}

static void test_dribble(void **state)
{
	const struct remote_hello hello = { .version = REMOTE_VERSION };
	int fd = peer_connect(path);

	(void)state;
	peer_make(&f, REMOTE_HELLO, 0, &hello, sizeof(hello));
	peer_session(fd, hello.nonce);
	assert_true(peer_send(fd, &f, peer_octets(&f), 1));
	peer_expect(fd, REMOTE_WELCOME, &f);
	peer_make_add(&f, 4, 2, a, b, 500);
	peer_mark(fd, &f);
	assert_true(peer_send(fd, &f, peer_octets(&f), 1));
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(f.h.id, 4);
	close(fd);
}

/* Octets without a HELLO: for a filler's length, and no longer. */
static void test_noise(void **state)
{
	static unsigned char noise[1 << 20];
	int fd = peer_connect(path);
	struct stat st;

	(void)state;
	memset(noise, 'x', sizeof(noise));
	assert_true(peer_send(fd, noise, 1000, 0));
	peer_begin(fd, 1);
	expect_sum(fd, 1, 10);
	peer_send(fd, noise, sizeof(noise), 0);
	peer_expect_end(fd);
	assert_true(await_text(log_path, "out of sync, and no HELLO came"));
	/* Nobody else is bothered. */
	fd = peer_connect(path);
	peer_begin(fd, 2);
	assert_int_equal(stat(path, &st), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_session),
		SERVED(test_version),
		SERVED(test_bad_frames),
		SERVED(test_before_hello),
		SERVED(test_unknown_type),
		SERVED(test_dribble),
		SERVED(test_noise),
		SERVED(test_log_flood),
	};

	return RUN_SERVED_TESTS(tests);
}
