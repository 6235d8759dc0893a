// SPDX-License-Identifier: MIT
/*
 * test_remote_sessions.c - what a client of vgpu-engined has: jobs and memory, as
 * long as its session lasts and no longer
 */
#include "remote_served.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>

static void test_bad_jobs(void **state)
{
	struct remote_job *j = (void *)g.body;
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	peer_make_add(&g, 1, 0, a, b, 100);
	j->kernel = 0;
	check_job(fd, VGPU_RSP_UNSUPPORTED);
	j->kernel = 1;
	j->op = VGPU_OP_NOP;
	check_job(fd, VGPU_RSP_UNSUPPORTED);
	j->op = UINT16_MAX;
	check_job(fd, VGPU_RSP_UNSUPPORTED);
	peer_make_add(&g, 2, 0, a, b, 100);
	for (int i = 0; i < 3; i++) {
		j->operand[i].count = 99;
		check_job(fd, VGPU_RSP_INVALID);
		j->operand[i].count = 100;
	}
	/* 100 + 2^62: the same number of octets, to 64 bits. */
	for (int i = 0; i < 3; i++)
		j->operand[i].count = 100 + (UINT64_C(1) << 62);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_add(&g, 3, 0, a, b, 0);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_add(&g, 4, REMOTE_STREAMS, a, b, 100);
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_add(&g, 5, 0, a, b, 100);
	j->operand[1].reserved = 1;
	check_job(fd, VGPU_RSP_INVALID);
	peer_make_add(&g, 6, 0, a, b, 100);
	j->room = 4;
	check_job(fd, VGPU_RSP_INVALID);
	expect_sum(fd, 7, 100);
	close(fd);
}

/* A fault that a debug kernel makes: the cpu engine survives it. */
static void test_fault(void **state)
{
	const struct remote_job job = {
		.op = VGPU_OP_BUILTIN,
		.kernel = VGPU_KERNEL_DEBUG_FAULT,
	};
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	check_op(fd, &job, VGPU_RSP_FAULT);
	expect_sum(fd, 2, 100);
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
		int wait_ms = sent < ENGINED_WINDOW ? PEER_MS : 300;
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		peer_make_add(&g, (uint64_t)sent, 0, a, b, 32768);
		peer_mark(fd, &g);
		n = write(fd, (char *)&g + at, peer_octets(&g) - at);
		if (n < 0 && poll(&pfd, 1, wait_ms) == 0)
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
			peer_make_add(&g, (uint64_t)sent, 0, a, b, 32768);
			peer_mark(fd, &g);
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
		peer_make_add(&f, 1000 + (uint64_t)i, 0, a, b, 32768);
		peer_mark(fd, &f);
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
	peer_make_add(&f, 1, 0, a, b, 32768);
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

/* Memory of so many octets, by that number. */
static void alloc(int fd, uint32_t number, uint64_t octets, uint16_t status)
{
	const struct remote_done *done = (const void *)f.body;
	const struct remote_job j = {
		.op = VGPU_OP_MEM_ALLOC,
		.number = number,
		.operand = {{.count = octets}},
	};

	check_op(fd, &j, status);
	assert_int_equal(!done->value, status != VGPU_RSP_OK);
	assert_int_equal(done->value % 256, 0);
}

static const struct remote_job fill_job = {
	.op = VGPU_OP_FILL,
	.param = 0x5a,
	.width = 1,
	.operand = {{.memory = 7, .count = 1000}},
};

static void put_free(int fd, uint32_t number)
{
	peer_make(&g, REMOTE_FREE, 0, &(struct remote_free){.number = number},
		  8);
	peer_put(fd, &g);
}

/* Octets of memory 7 from an offset on: all of them that one. */
static void expect_octets(int fd, uint64_t offset, uint64_t count, uint8_t is)
{
	const struct remote_job j = {
		.op = VGPU_OP_COPY,
		.operand = {{.count = count},
			    {.memory = 7, .offset = offset, .count = count}},
	};
	const unsigned char *p = f.body + sizeof(struct remote_done);

	peer_make_job(&g, 3, &j, NULL, 0);
	peer_put(fd, &g);
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(peer_data(&f), count);
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(p[i], is);
}

/* Numbers are a client's own, and what they stand for goes with FREE. */
static void test_memory(void **state)
{
	int fd = peer_connect(path), other = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	peer_begin(other, 2);
	check_op(fd, &fill_job, VGPU_RSP_NO_HANDLE);
	alloc(fd, 7, 3000, VGPU_RSP_OK);
	alloc(fd, 7, 3000, VGPU_RSP_EXISTS);
	check_op(other, &fill_job, VGPU_RSP_NO_HANDLE);
	alloc(other, 7, 10, VGPU_RSP_OK);
	check_op(other, &fill_job, VGPU_RSP_RANGE);
	check_op(fd, &fill_job, VGPU_RSP_OK);
	expect_octets(fd, 0, 1000, 0x5a);
	expect_octets(fd, 1000, 2000, 0);
	put_free(fd, 7);
	check_op(fd, &fill_job, VGPU_RSP_NO_HANDLE);
	/* What stands for nothing may be freed. */
	put_free(fd, 7);
	alloc(fd, 7, 2000, VGPU_RSP_OK);
	expect_octets(fd, 0, 2000, 0);
	alloc(fd, 0, 1, VGPU_RSP_INVALID);
	alloc(fd, REMOTE_NUMBERS, 1, VGPU_RSP_INVALID);
	alloc(fd, 8, 0, VGPU_RSP_INVALID);
	alloc(fd, REMOTE_NUMBERS - 1, 1, VGPU_RSP_OK);
	close(fd);
	close(other);
}

/* A new session on the stream has nothing of the one before. */
static void test_memory_of_session(void **state)
{
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	alloc(fd, 7, 3000, VGPU_RSP_OK);
	check_op(fd, &fill_job, VGPU_RSP_OK);
	peer_begin(fd, 2);
	check_op(fd, &fill_job, VGPU_RSP_NO_HANDLE);
	alloc(fd, 7, 3000, VGPU_RSP_OK);
	expect_octets(fd, 0, 3000, 0);
	close(fd);
}

/*
 * Many jobs of one stream without waiting, freed at once behind them: each does
 * its work, and answers keep the order, whether right or wrong.
 */
static void test_pipelined(void **state)
{
	const struct remote_job jobs[] = {
		{.op = VGPU_OP_MEM_ALLOC, .number = 7,
		 .operand = {{.count = 1 << 20}}},
		fill_job,
		{.op = VGPU_OP_FILL, .width = 3},
		{.op = VGPU_OP_COPY,
		 .operand = {{.memory = 7, .offset = 1000, .count = 9},
			     {.memory = 7, .offset = 5, .count = 9}}},
		{.op = VGPU_OP_COPY,
		 .operand = {{.count = 9},
			     {.memory = 7, .offset = 1001, .count = 9}}},
	};
	static const uint16_t status[] = {
		VGPU_RSP_OK, VGPU_RSP_OK, VGPU_RSP_NO_HANDLE, VGPU_RSP_OK,
		VGPU_RSP_OK,
	};
	const struct remote_done *done = (const void *)f.body;
	int fd = peer_connect(path);

	(void)state;
	peer_begin(fd, 1);
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 5; i++) {
			peer_make_job(&g, i, &jobs[i], NULL, 0);
			peer_put(fd, &g);
		}
		put_free(fd, 7);
	}
	for (int i = 0; i < 100; i++) {
		peer_expect(fd, REMOTE_DONE, &f);
		assert_int_equal(f.h.id, i % 5);
		assert_int_equal(done->status, status[i % 5]);
	}
	assert_memory_equal(done + 1, "ZZZZZZZZ", 9);
	close(fd);
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
		const size_t cut[] = {0, 5, 100, 70000, 262144 + 136};

		assert_true(peer_send(master, zeros, sizeof(zeros), 0));
		peer_hello(master, REMOTE_VERSION, nonce);
		do
			peer_expect(master, REMOTE_WELCOME, &f);
		while (f.body[0] != nonce);
		expect_sum(master, nonce, 32768);
		peer_make_add(&f, 1, 0, a, b, 32768);
		assert_true(peer_send(master, &f, cut[nonce], 0));
	}
	/* Nothing to look for here: in sync all the time, or silently so. */
	assert_int_equal(kill(engined, 0), 0);
	assert_int_equal(engined_stop(engined, SIGTERM), 0);
	engined = 0;
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_bad_jobs),
		SERVED(test_fault),
		SERVED(test_greedy),
		SERVED(test_new_session),
		SERVED(test_killed),
		SERVED(test_memory),
		SERVED(test_memory_of_session),
		SERVED(test_pipelined),
		SERVED(test_line),
	};

	return RUN_SERVED_TESTS(tests);
}
