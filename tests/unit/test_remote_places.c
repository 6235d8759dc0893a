// SPDX-License-Identifier: MIT
/*
 * test_remote_places.c - vgpu-engined as a program: how many it serves, how it
 * begins and ends
 */
#include "remote_served.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

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
		peer_session(fd, hello.nonce);
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
	expect_exit(2, "--max-launch-ms \"1s\"", "--max-launch-ms", "1s", NULL);
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
		SERVED(test_limit),
		SERVED(test_silent),
		SERVED(test_end),
		SERVED(test_parent_killed),
		SERVED(test_options),
	};

	return RUN_SERVED_TESTS(tests);
}
