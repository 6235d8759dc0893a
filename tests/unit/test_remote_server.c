// SPDX-License-Identifier: MIT
/*
 * test_remote_server.c - vgpu-engined against clients that are not honest, die
 * in the middle of a frame, or are many
 *
 * Each test has a vgpu-engined of its own, with the cpu engine, and speaks to
 * it octet by octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../cuda/engined.h"
#include "../../cuda/engined_parts.h"
#include "remote_peer.h"

static char dir[] = "/tmp/vgpu-engined-XXXXXX";
static char path[64], address[72], log_path[64];
static pid_t engined;
static struct peer_frame f, g;
static float a[32768], b[32768];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 32768; i++) {
		a[i] = (float)i / 8;
		b[i] = (float)(i % 777);
	}
	engined = engined_start(log_path, NULL, "--listen", address, NULL);
	return !engined;
}

static int teardown(void **state)
{
	(void)state;
	if (engined)
		engined_stop(engined, SIGKILL);
	unlink(path);
	unlink(log_path);
	return 0;
}

/* A job runs, so all is well. */
static void expect_sum(int fd, uint64_t id, uint32_t count)
{
	const struct remote_done *done = (const void *)f.body;
	const float *c = (const void *)(done + 1);

	peer_make_job(&f, id, 1, a, b, count);
	peer_put(fd, &f);
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(f.h.id, id);
	assert_int_equal(done->status, VGPU_RSP_OK);
	assert_int_equal(f.h.length, sizeof(*done) + count * 4);
	assert_true(done->time_ns > 0);
	for (uint32_t i = 0; i < count; i++)
		assert_true(c[i] == a[i] + b[i]);
}

static void expect_error(int fd, uint32_t reason, const char *text)
{
	const struct remote_error *e = (const void *)f.body;

	peer_expect(fd, REMOTE_ERROR, &f);
	assert_int_equal(e->reason, reason);
	if (!strstr(e->text, text))
		fail_msg("the error says \"%s\", not \"%s\"", e->text, text);
}

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
	assert_string_equal(w->builtins, "vector-add");
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
	peer_hello(fd, REMOTE_VERSION + 6, 9);
	peer_expect(fd, REMOTE_REFUSED, &f);
	assert_int_equal(r->nonce[0], 9);
	assert_int_equal(r->reason, REMOTE_REASON_VERSION);
	assert_int_equal(r->version, REMOTE_VERSION);
	assert_string_equal(r->text,
			    "version 7 is not spoken here, but version 1");
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
	peer_make_job(&f, 1, 0, a, b, 5);
	peer_put(fd, &f);
	peer_begin(fd, 2);
	expect_sum(fd, 2, 5);
	close(fd);
}

static void test_bad_frames(void **state)
{
	struct remote_hello hello = {.version = 1, .reserved = {0, 0, 1}};

	(void)state;
	peer_make(&g, REMOTE_PING, 1, NULL, 0);
	g.h.magic = 0x11111111;
	check_bad(24, "0x11111111 where a frame has to begin");
	peer_make_job(&g, 1, 0, a, b, 100);
	g.h.length = REMOTE_PAYLOAD_MAX + 1;
	check_bad(24, "262177 octets: longer than");
	g.h.length = UINT32_MAX;
	check_bad(832, "4294967295 octets: longer than");
	peer_make(&g, REMOTE_WELCOME, 1, NULL, 944);
	check_bad(24 + 944, "for the other end");
	peer_make(&g, REMOTE_PING, 1, NULL, 1);
	check_bad(25, "a ping frame of 1 octets");
	peer_make(&g, REMOTE_HELLO, 0, &hello, sizeof(hello));
	check_bad(peer_octets(&g), "HELLO whose reserved");
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
	peer_make_job(&f, 1, 0, a, b, 5);
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

static void check_job(int fd, uint16_t status)
{
	const struct remote_done *done = (const void *)f.body;

	peer_put(fd, &g);
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(f.h.id, g.h.id);
	assert_int_equal(done->status, status);
	assert_int_equal(f.h.length, sizeof(*done));
}

static void test_bad_jobs(void **state)
{
	struct remote_job *j = (void *)g.body;
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	peer_make_job(&g, 1, 0, a, b, 100);
	j->kernel = 2;
	check_job(fd, VGPU_RSP_UNSUPPORTED);
	j->kernel = 0;
	check_job(fd, VGPU_RSP_UNSUPPORTED);
	peer_make_job(&g, 2, 0, a, b, 100);
	j->count = 99;
	check_job(fd, VGPU_RSP_INVALID);
	j->count = 101;
	check_job(fd, VGPU_RSP_INVALID);
	j->count = UINT32_MAX;
	check_job(fd, VGPU_RSP_INVALID);
	/* 100 + 2^30: the same number of octets, to 32 bits. */
	j->count = 100 + (1u << 30);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_job(&g, 3, 0, a, b, 0);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_job(&g, 4, REMOTE_STREAMS, a, b, 100);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_job(&g, 5, 0, a, b, 100);
	j->reserved[1] = 1;
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_job(&g, 6, 0, a, b, 100);
	j->reserved0 = 1;
	check_job(fd, VGPU_RSP_INVALID);
	expect_sum(fd, 7, 100);
	close(fd);
}

/* A fault that a debug kernel makes: the cpu engine survives it. */
static void test_fault(void **state)
{
	const struct remote_job job = {
		.kernel = VGPU_KERNEL_DEBUG_FAULT, .count = 1,
	};
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	peer_make(&g, REMOTE_JOB, 1, &job, sizeof(job));
	check_job(fd, VGPU_RSP_FAULT);
	expect_sum(fd, 2, 100);
	close(fd);
}

static void test_dribble(void **state)
{
	const struct remote_hello hello = { .version = REMOTE_VERSION };
	int fd = peer_connect(path);

	(void)state;
	peer_make(&f, REMOTE_HELLO, 0, &hello, sizeof(hello));
	assert_true(peer_send(fd, &f, peer_octets(&f), 1));
	peer_expect(fd, REMOTE_WELCOME, &f);
	peer_make_job(&f, 4, 2, a, b, 500);
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

/* More jobs than the window, and answers that nobody reads for a while. */
static void test_greedy(void **state)
{
	enum { JOBS = 5 * ENGINED_WINDOW };
	const struct remote_done *done = (const void *)f.body;
	int fd = peer_connect(path), sent = 0, got = 0;
	size_t at = 0;

	(void)state;
	peer_begin(fd, 1);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	/* As much as it takes, which is not all. */
	while (sent < JOBS) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		peer_make_job(&g, (uint64_t)sent, 0, a, b, 32768);
		n = write(fd, (char *)&g + at, peer_octets(&g) - at);
		if (n < 0 && poll(&pfd, 1, 300) == 0)
			break;
		at += n > 0 ? (size_t)n : 0;
		if (at == peer_octets(&g)) {
			at = 0;
			sent++;
		}
	}
	assert_in_range(sent, ENGINED_WINDOW, JOBS - 1);
	while (got < JOBS) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT | POLLIN};
		ssize_t n = -1;

		poll(&pfd, 1, PEER_MS);
		if (sent < JOBS && pfd.revents & POLLOUT) {
			peer_make_job(&g, (uint64_t)sent, 0, a, b, 32768);
			n = write(fd, (char *)&g + at, peer_octets(&g) - at);
			at += n > 0 ? (size_t)n : 0;
			sent += at == peer_octets(&g);
			at %= peer_octets(&g);
		}
		if (!(pfd.revents & POLLIN))
			continue;
		assert_true(peer_get(fd, &f));
		assert_int_equal(f.h.type, REMOTE_DONE);
		assert_int_equal(f.h.id, got);
		assert_int_equal(done->status, VGPU_RSP_OK);
		got++;
	}
	close(fd);
}

/* A HELLO in the middle: what came before it gets no answer after WELCOME. */
static void test_new_session(void **state)
{
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	for (int i = 0; i < ENGINED_WINDOW; i++) {
		peer_make_job(&f, 1000 + (uint64_t)i, 0, a, b, 32768);
		assert_true(peer_send(fd, &f, peer_octets(&f), 0));
	}
	peer_begin(fd, 2);
	for (int i = 0; i < 3 * ENGINED_WINDOW; i++)
		expect_sum(fd, (uint64_t)i, 32768);
	close(fd);
}

/* Killed in the middle of a frame: its child ends, another client is served. */
static void test_killed(void **state)
{
	int fd = peer_connect(path), other = peer_connect(path);

	(void)state;
	peer_begin(other, 1);
	peer_begin(fd, 2);
	peer_make_job(&f, 1, 0, a, b, 32768);
	assert_true(peer_send(fd, &f, 1000, 0));
	expect_sum(other, 1, 32768);
	close(fd);
	assert_true(await_text(log_path, "event=client-gone"));
	expect_sum(other, 2, 32768);
	fd = peer_connect(path);
	peer_begin(fd, 3);
	expect_sum(fd, 3, 32768);
	expect_sum(other, 3, 1);
	close(fd);
	close(other);
}

static void expect_full(void)
{
	const struct remote_refused *r = (const void *)f.body;
	int fd = peer_connect(path);

	assert_true(peer_get(fd, &f));
	assert_int_equal(f.h.type, REMOTE_REFUSED);
	assert_int_equal(r->reason, REMOTE_REASON_CLIENTS);
	assert_string_equal(
		r->text,
		"64 clients are connected already, and no more are served");
	peer_expect_end(fd);
}

/* Until there is a place. */
static int begin_when_free(void)
{
	struct remote_hello hello = { .version = REMOTE_VERSION };
	time_t deadline = time(NULL) + PEER_MS / 1000;
	int fd;

	do {
		assert_true(time(NULL) < deadline);
		fd = peer_connect(path);
		peer_make(&g, REMOTE_HELLO, 0, &hello, sizeof(hello));
		/* Who is refused may be so before it has said anything. */
		peer_send(fd, &g, peer_octets(&g), 0);
		assert_true(peer_get(fd, &f));
		if (f.h.type == REMOTE_REFUSED)
			peer_expect_end(fd);
	} while (f.h.type == REMOTE_REFUSED);
	return fd;
}

static void test_limit(void **state)
{
	int fd[ENGINED_CLIENTS];

	(void)state;
	for (int i = 0; i < ENGINED_CLIENTS; i++) {
		fd[i] = peer_connect(path);
		peer_begin(fd[i], 1);
	}
	expect_full();
	expect_sum(fd[0], 1, 9);
	close(fd[1]);
	assert_true(await_text(log_path, "event=client-gone"));
	/* The place is free as soon as the child is gone. */
	fd[1] = begin_when_free();
	expect_full();
	for (int i = 0; i < ENGINED_CLIENTS; i++)
		close(fd[i]);
}

/*
 * Whoever says nothing may do so for as long as there are places; then the one
 * that came first has to leave, and nobody who was welcomed.
 */
static void test_silent(void **state)
{
	struct pollfd pfd = { .events = 0 };
	int fd[ENGINED_CLIENTS], more[2];

	(void)state;
	fd[0] = peer_connect(path);
	peer_begin(fd[0], 1);
	for (int i = 1; i < ENGINED_CLIENTS; i++)
		fd[i] = peer_connect(path);
	for (int i = 0; i < 2; i++) {
		more[i] = begin_when_free();
		peer_expect(more[i], REMOTE_WELCOME, &f);
		/* Gone without a word; the next one is still there. */
		assert_false(peer_get(fd[1 + i], &f));
		pfd.fd = fd[2 + i];
		assert_int_equal(poll(&pfd, 1, 0), 0);
		expect_sum(fd[0], 1, 9);
		expect_sum(more[i], 1, 9);
	}
	/* Silence until now is no reason not to begin. */
	peer_begin(fd[3], 1);
	expect_sum(fd[3], 1, 9);
	for (int i = 0; i < ENGINED_CLIENTS; i++)
		close(fd[i]);
	close(more[0]);
	close(more[1]);
}

/* On a line there is no end of a connection: HELLO ends what was before. */
static void test_line(void **state)
{
	static const unsigned char zeros[REMOTE_FILLER];
	char name[64];
	int master, slave;

	(void)state;
	engined_stop(engined, SIGTERM);
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	engined = engined_start(log_path, NULL, "--listen", name, NULL);
	assert_true(engined > 0);
	assert_true(await_text(log_path, "event=client client="));
	for (uint8_t nonce = 1; nonce < 5; nonce++) {
		/* Cut in the header, in the payload, behind all of it. */
		const size_t cut[] = {0, 5, 100, 70000, 262144 + 56};

		assert_true(peer_send(master, zeros, sizeof(zeros), 0));
		peer_hello(master, REMOTE_VERSION, nonce);
		do
			peer_expect(master, REMOTE_WELCOME, &f);
		while (f.body[0] != nonce);
		expect_sum(master, nonce, 32768);
		peer_make_job(&f, 1, 0, a, b, 32768);
		assert_true(peer_send(master, &f, cut[nonce], 0));
	}
	/* Nothing to look for here: in sync all the time, or silently so. */
	assert_int_equal(kill(engined, 0), 0);
	assert_int_equal(engined_stop(engined, SIGTERM), 0);
	engined = 0;
	close(slave);
	close(master);
}

static void test_end(void **state)
{
	int fd = peer_connect(path);
	struct stat st;

	(void)state;
	peer_begin(fd, 1);
	assert_int_equal(engined_stop(engined, SIGINT), 0);
	engined = 0;
	peer_expect_end(fd);
	assert_int_equal(stat(path, &st), -1);
}

/* Killed: children must not outlive it, and the next one takes the place. */
static void test_parent_killed(void **state)
{
	int fd = peer_connect(path);
	struct stat st;

	(void)state;
	peer_begin(fd, 1);
	engined_stop(engined, SIGKILL);
	peer_expect_end(fd);
	assert_int_equal(stat(path, &st), 0);
	engined = engined_start(log_path, NULL, "--listen", address, NULL);
	assert_true(engined > 0);
	fd = peer_connect(path);
	peer_begin(fd, 1);
	close(fd);
}

static void expect_exit(int code, const char *text, const char *arg1,
			const char *arg2, const char *arg3)
{
	char log2[80];
	int status = 0;

	snprintf(log2, sizeof(log2), "%s.2", log_path);
	assert_int_equal(engined_start(log2, &status, arg1, arg2, arg3, NULL),
			 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("%s %s: status %d", arg1, arg2 ? arg2 : "", status);
	assert_true(await_text(log2, text));
	unlink(log2);
}

static void test_options(void **state)
{
	(void)state;
	expect_exit(0, "usage:", "--help", NULL, NULL);
	expect_exit(0, "vgpu-engined " VGPU_VERSION, "--version", NULL, NULL);
	expect_exit(2, "usage:", NULL, NULL, NULL);
	expect_exit(2, "usage:", "--frobnicate", NULL, NULL);
	expect_exit(2, "--engine \"tpu\"", "--engine", "tpu", NULL);
	expect_exit(2, "--gpu \"-1\"", "--gpu", "-1", NULL);
	expect_exit(2, "neither authenticated nor encrypted", "--listen",
		    "tcp:0.0.0.0:7", NULL);
	expect_exit(2, "not a character device", "--listen", "/etc/passwd",
		    NULL);
	expect_exit(2, "an address is", "--listen", "nonsense", NULL);
	/* Where somebody listens already. */
	expect_exit(1, "somebody listens there already", "--listen", address,
		    NULL);
	/* An engine that is not there: said before anything is listened on. */
	expect_exit(1, "no engine passes its sanity gate", "--engine=cuda",
		    "--gpu=4095", "--listen=tcp:localhost:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_frames, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_before_hello, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_unknown_type, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_jobs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dribble, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_greedy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_session, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_flood, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parent_killed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
