// SPDX-License-Identifier: MIT
/*
 * test_remote_breaks.c - the remote engine when connections break: lies,
 * silence, restarts; whatever happens, all results are right
 */
#include "remote_script.h"

/*
 * Ways to break a session, each after three good answers; then an honest far
 * end comes back, and everything must be right.
 */
enum breach {
	CLOSE,
	HALF_HEADER,
	HALF_ANSWER,
	MAGIC,
	TOO_LONG,
	UNKNOWN,
	FOR_SERVER,
	WELCOME_AGAIN,
	NO_SUCH_JOB,
	TWICE,
	LENGTH,
	STATUS,
	OUTPUT_OF_FAILURE,
	VALUE,
	RESERVED,
	NO_MARK,
	SAYS_ERROR,
	PONG_TO_NOBODY,
	INFO_TO_NOBODY,
	NR_BREACHES
};

/* Returns what is to be sent of the frame, which has its mark. */
static size_t spoil(enum breach breach, struct peer_frame *f, int fd)
{
	struct remote_done *d = (void *)f->body;
	size_t len = peer_octets(f);

	switch (breach) {
	case CLOSE:
		return 0;
	case HALF_HEADER:
		return 11;
	case HALF_ANSWER:
		return len - 1;
	case MAGIC:
		f->h.magic++;
		return len;
	case TOO_LONG:
		f->h.length = REMOTE_PAYLOAD_MAX + 1;
		return len;
	case UNKNOWN:
		f->h.type = 77;
		return len;
	case FOR_SERVER:
		f->h.type = REMOTE_JOB;
		return len;
	case WELCOME_AGAIN:
		peer_make(f, REMOTE_WELCOME, 0, NULL, 944);
		return peer_octets(f);
	case NO_SUCH_JOB:
		f->h.id += 1000;
		return len;
	case TWICE:
		f->h.id = 1;
		return len;
	case LENGTH:
		f->h.length -= 4;
		break;
	case STATUS:
		d->status = VGPU_RSP_MAX + 1;
		f->h.length = sizeof(*d) + REMOTE_MARK;
		break;
	case OUTPUT_OF_FAILURE:
		d->status = VGPU_RSP_NO_MEMORY;
		return len;
	case VALUE:
		d->value = 1;
		return len;
	case RESERVED:
		d->reserved0 = 1;
		return len;
	case NO_MARK:
		f->body[f->h.length - 1] ^= 1;
		return len;
	case SAYS_ERROR:
		peer_make(f, REMOTE_ERROR, 0, NULL, 264);
		return peer_octets(f);
	case PONG_TO_NOBODY:
		peer_make(f, REMOTE_PONG, 0, NULL, 0);
		return peer_octets(f);
	case INFO_TO_NOBODY:
		peer_make(f, REMOTE_INFO_IS, 0, NULL, 32);
		return peer_octets(f);
	default:
		return 0;
	}
	peer_mark(fd, f);
	return peer_octets(f);
}

static void *serve_badly(void *arg)
{
	enum breach breach = *(enum breach *)arg;
	int fd = next_client();

	peer_welcome(fd, "Honest");
	for (int i = 0; i < 4; i++) {
		NEED(peer_next_job(fd, &job_frame));
		peer_answer(&job_frame, &done_frame);
		peer_mark(fd, &done_frame);
		if (i < 3)
			NEED(peer_send(fd, &done_frame,
				       peer_octets(&done_frame), 0));
	}
	peer_send(fd, &done_frame, spoil(breach, &done_frame, fd), 0);
	/* Those that close do so; who lies waits to be left. */
	if (breach > HALF_ANSWER)
		await_end(fd);
	else
		close(fd);
	serve_well(next_client(), 0);
	return NULL;
}

static void test_breaches(void **state)
{
	(void)state;
	for (enum breach breach = 0; breach < NR_BREACHES; breach++) {
		run_script(serve_badly, &breach);
		expect_all_right();
		end_script();
		if (nr_connections != 2)
			fail_msg("breach %d: %u connections", breach,
				 nr_connections);
	}
}

/*
 * A stream that somebody holds open: a server that is full says so in the
 * middle of an answer of the one before it. It must not be taken for its rest.
 */
static void *serve_refusal_inside(void *arg)
{
	static const struct remote_refused r = {
		.reason = REMOTE_REASON_CLIENTS,
		.version = REMOTE_VERSION,
		.text = "full",
	};
	int fd = next_client();
	size_t rest;

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, &job_frame));
	peer_answer(&job_frame, &done_frame);
	peer_mark(fd, &done_frame);
	/* All but as much as a refusal has. */
	rest = sizeof(job_frame.h) + sizeof(r);
	NEED(peer_send(fd, &done_frame, peer_octets(&done_frame) - rest, 0));
	peer_make(&done_frame, REMOTE_REFUSED, 0, &r, sizeof(r));
	peer_put(fd, &done_frame);
	await_end(fd);
	serve_well(next_client(), 0);
	return NULL;
}

static void test_refusal_inside(void **state)
{
	(void)state;
	run_script(serve_refusal_inside, NULL);
	expect_add(1000, VGPU_RSP_OK);
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* An answer to a job that is still being sent: it was made up. */
static void *serve_too_early(void *arg)
{
	unsigned char *start = (unsigned char *)&job_frame.h;
	size_t want = sizeof(job_frame.h) + sizeof(struct remote_job), have = 0;
	struct pollfd gone = { .events = 0 };
	const struct remote_done d = { .status = VGPU_RSP_OK };
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	/* The start of the first job; its data is more than a socket holds. */
	while (have < want) {
		ssize_t n = read(fd, start + have, want - have);

		NEED(n > 0);
		have += (size_t)n;
	}
	NEED(job_frame.h.type == REMOTE_JOB);
	peer_make_done(&done_frame, job_frame.h.id, &d, NULL,
		       the_job()->operand[0].count * 4);
	peer_put(fd, &done_frame);
	/* Nobody believes it. Until the end nothing is read: it stays unsent. */
	gone.fd = fd;
	NEED(poll(&gone, 1, PEER_MS) == 1 && gone.revents & POLLHUP);
	close(fd);
	serve_well(next_client(), 0);
	return NULL;
}

static void test_too_early(void **state)
{
	(void)state;
	run_script(serve_too_early, NULL);
	expect_add(5 * 32768, VGPU_RSP_OK);
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* One job of so many elements against the script. Returns its status. */
static uint16_t run_add(void *(*script)(void *), void *arg,
			const struct remote_times *times, uint32_t count)
{
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	uint16_t status;
	struct add add;

	run_script(script, arg);
	eng = open_quick(times);
	s = vgpu_engine_stream_create(eng);
	add_make(&add, s, count);
	status = run_one(eng, &add.t);
	add_check(&add, status);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
	end_script();
	return status;
}

/*
 * Breaks after each answer, for longer than an end without any answer would be
 * waited for.
 */
static void *serve_one_each(void *arg)
{
	unsigned int *parts = arg;

	while (*parts && is_client()) {
		int fd = next_client();

		if (peer_try_welcome(fd, "cpu", "Fragile") &&
		    peer_next_job(fd, &job_frame)) {
			peer_answer(&job_frame, &done_frame);
			peer_put(fd, &done_frame);
			--*parts;
		}
		/* It was read when the next frame comes, or the end. */
		if (!*parts)
			await_end(fd);
		else
			close(fd);
	}
	return NULL;
}

/* On a busy machine there may be no answer for long: once more, with more time. */
static void test_progress(void **state)
{
	struct remote_times times = patient;
	unsigned int parts;
	uint16_t status;
	uint64_t start;

	(void)state;
	times.give_up = 200;
	do {
		parts = 40;
		times.retry = times.retry_max = times.give_up / 20;
		start = now_ms();
		status = run_add(serve_one_each, &parts, &times, 40 * 32768);
		times.give_up *= 4;
	} while (status != VGPU_RSP_OK && times.give_up < PEER_MS);
	assert_int_equal(status, VGPU_RSP_OK);
	assert_int_equal(nr_connections, 40);
	assert_true(now_ms() - start > times.give_up / 4);
}

/* With times that an honest one may exceed: then there is another connection. */
static void serve_all_well(void)
{
	while (is_client())
		serve_well(next_client(), 0);
}

/* Stops answering, and reads all that comes. */
static void *serve_then_silence(void *arg)
{
	unsigned int *answers = arg;
	int fd = next_client();

	peer_welcome(fd, "Honest");
	while (*answers && peer_next_job(fd, &job_frame)) {
		peer_answer(&job_frame, &done_frame);
		peer_mark(fd, &done_frame);
		if (!peer_send(fd, &done_frame, peer_octets(&done_frame), 0))
			break;
		--*answers;
	}
	await_end(fd);
	serve_all_well();
	return NULL;
}

/* As in test_progress(). */
static void test_silence(void **state)
{
	struct remote_times times = patient;
	unsigned int answers;
	uint16_t status;
	bool ok;

	(void)state;
	times.ping = quick.ping;
	times.silence = quick.silence;
	do {
		answers = 3;
		status = run_add(serve_then_silence, &answers, &times,
				 10 * 32768);
		ok = status == VGPU_RSP_OK && !answers && nr_connections == 2;
		times.ping *= 4;
		times.silence *= 4;
	} while (!ok && times.silence < PEER_MS / 8);
	assert_int_equal(status, VGPU_RSP_OK);
	assert_int_equal(answers, 0);
	assert_int_equal(nr_connections, 2);
}

/* Busy for many times the silence that would be its end, but it answers PING. */
static void *serve_slowly(void *arg)
{
	const struct remote_times *times = arg;
	int fd = next_client();
	uint64_t end;

	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, &job_frame));
	end = now_ms() + 8 * times->silence;
	while (now_ms() < end) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		if (poll(&pfd, 1, 20) != 1)
			continue;
		if (!peer_get(fd, &done_frame)) {
			close(fd);
			serve_all_well();
			return NULL;
		}
		NEED(done_frame.h.type == REMOTE_PING);
		done_frame.h.type = REMOTE_PONG;
		peer_send(fd, &done_frame, peer_octets(&done_frame), 0);
	}
	peer_answer(&job_frame, &done_frame);
	peer_mark(fd, &done_frame);
	peer_send(fd, &done_frame, peer_octets(&done_frame), 0);
	await_end(fd);
	serve_all_well();
	return NULL;
}

/* As in test_progress(). */
static void test_slow(void **state)
{
	struct remote_times times = patient;
	uint16_t status;

	(void)state;
	times.ping = quick.ping;
	times.silence = quick.silence;
	do {
		status = run_add(serve_slowly, &times, &times, 100);
		times.ping *= 4;
		times.silence *= 4;
	} while ((status != VGPU_RSP_OK || nr_connections > 1) &&
		 times.silence < PEER_MS / 8);
	assert_int_equal(status, VGPU_RSP_OK);
	assert_int_equal(nr_connections, 1);
}

/* Goes while nothing is owed, and is there again when something is. */
static void *serve_after_idling(void *arg)
{
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	close(fd);
	serve_well(next_client(), 0);
	return NULL;
}

static void test_idle_break(void **state)
{
	(void)state;
	run_script(serve_after_idling, NULL);
	expect_all_right();
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* vgpu-engined is killed and started again, over and over. */
static void test_restarts(void **state)
{
	struct vgpu_engine_stream *s[3];
	struct vgpu_engine *eng;
	struct add add[JOBS];
	pid_t pid = engined_start(log_path, NULL, "--listen", address, NULL);

	(void)state;
	eng = open_quick(&patient);
	for (int round = 0; round < 5; round++) {
		submit_all(eng, s, add);
		engined_stop(pid, round % 2 ? SIGTERM : SIGKILL);
		pid = engined_start(log_path, NULL, "--listen", address, NULL);
		assert_true(pid > 0);
		reap(eng, JOBS);
		for (int i = 0; i < JOBS; i++)
			add_check(&add[i], VGPU_RSP_OK);
		for (int i = 0; i < 3; i++)
			vgpu_engine_stream_destroy(eng, s[i]);
	}
	vgpu_engine_close(eng);
	engined_stop(pid, SIGTERM);
	unlink(log_path);
}

/* Closed while it tries to connect: at once. */
static void test_close_meanwhile(void **state)
{
	struct remote_times times = patient;
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	struct add add;
	uint64_t start;
	pid_t pid = engined_start(log_path, NULL, "--listen", address, NULL);

	(void)state;
	times.retry = times.retry_max = 10 * PEER_MS;
	times.give_up = 100;
	eng = open_quick(&times);
	s = vgpu_engine_stream_create(eng);
	engined_stop(pid, SIGKILL);
	add_make(&add, s, 10);
	run_one(eng, &add.t);
	add_check(&add, VGPU_RSP_DEVICE_LOST);
	vgpu_engine_stream_destroy(eng, s);
	start = now_ms();
	vgpu_engine_close(eng);
	assert_true(now_ms() - start < PEER_MS);
	unlink(path);
	unlink(log_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_refusal_inside),
		cmocka_unit_test(test_too_early),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_idle_break),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_close_meanwhile),
	};

	return RUN_REMOTE_TESTS(tests);
}
