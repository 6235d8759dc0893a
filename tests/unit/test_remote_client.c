// SPDX-License-Identifier: MIT
/*
 * test_remote_client.c - the remote engine against far ends that are not there,
 * are something else, break off, lie, or say nothing
 *
 * The far end is a script on a thread of its own, behind a Unix socket; or
 * vgpu-engined, which is killed. Times are short, but for the one that ends a
 * hang. Every job has to come back once, with its result or with a status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../backend/log.h"
#include "remote_peer.h"

#define JOBS 12

/* On a script's thread. */
#define NEED(cond) peer_must(cond, #cond)

static const struct remote_times quick = {
	.hello = 300,
	.hold = 1500,
	.ping = 100,
	.silence = 200,
	.retry = 5,
	.retry_max = 40,
	.give_up = 10000,
};

static char dir[] = "/tmp/vgpu-remote-XXXXXX";
static char path[64], address[72], log_path[64];
static char why[VGPU_ENGINE_WHY];

static pthread_t thread;
static int listener;
static unsigned int nr_connections; /* of the script */

static void run_script(void *(*script)(void *), void *arg)
{
	nr_connections = 0;
	listener = peer_listen(path);
	assert_int_equal(pthread_create(&thread, NULL, script, arg), 0);
}

static void end_script(void)
{
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}

static int next_client(void)
{
	int fd = peer_accept(listener);

	nr_connections++;
	return fd;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct vgpu_engine *open_quick(const struct remote_times *times)
{
	struct vgpu_engine *eng;

	why[0] = '\0';
	eng = remote_open(address, times, why);
	if (!eng)
		fail_msg("%s", why);
	return eng;
}

static void expect_refused(const char *text)
{
	why[0] = '\0';
	assert_null(remote_open(address, &quick, why));
	if (!strstr(why, text) || !strstr(why, address))
		fail_msg("the reason is \"%s\", not \"%s\"", why, text);
}

/* One job that adds b to a in place, so that to run it twice would show. */
struct add {
	struct vgpu_job job;
	unsigned int times_reaped;
	uint32_t count;
	float *a, *b;
};

static void add_make(struct add *add, struct vgpu_engine_stream *stream,
		     uint32_t count)
{
	memset(add, 0, sizeof(*add));
	add->count = count;
	add->a = malloc(count * 4);
	add->b = malloc(count * 4);
	for (uint32_t i = 0; i < count; i++) {
		add->a[i] = (float)(i % 4099);
		add->b[i] = (float)(i % 555) + 0.5f;
	}
	add->job.stream = stream;
	add->job.kernel = VGPU_KERNEL_VECTOR_ADD;
	add->job.owner = add;
	for (int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		add->job.operand[i].host = i == 1 ? add->b : add->a;
		add->job.operand[i].count = count;
	}
}

static void add_check(struct add *add, uint16_t status)
{
	assert_int_equal(add->times_reaped, 1);
	assert_int_equal(add->job.status, status);
	for (uint32_t i = 0; status == VGPU_RSP_OK && i < add->count; i++)
		if (add->a[i] != (float)(i % 4099) + add->b[i])
			fail_msg("element %u is %f", i, (double)add->a[i]);
	free(add->a);
	free(add->b);
}

static void reap(struct vgpu_engine *eng, unsigned int count)
{
	struct pollfd pfd = {.fd = vgpu_engine_fd(eng), .events = POLLIN};

	while (count) {
		struct vgpu_job *job;

		if (vgpu_engine_arm(eng) && poll(&pfd, 1, PEER_MS) != 1)
			fail_msg("the engine hangs: %u jobs are left", count);
		for (job = vgpu_engine_reap(eng); job; job = job->next) {
			((struct add *)job->owner)->times_reaped++;
			assert_true(count-- > 0);
		}
	}
	assert_null(vgpu_engine_reap(eng));
}

/* JOBS jobs on 3 streams, of one part and of many. */
static void submit_all(struct vgpu_engine *eng, struct vgpu_engine_stream *s[3],
		       struct add add[JOBS])
{
	static const uint32_t counts[] = {1, 1000, 32768, 32769, 200001};

	for (int i = 0; i < 3; i++)
		s[i] = vgpu_engine_stream_create(eng);
	for (int i = 0; i < JOBS; i++) {
		add_make(&add[i], s[i % 3], counts[i % 5]);
		vgpu_engine_submit(eng, &add[i].job);
	}
}

/* Runs them against the script; all must be right. */
static void expect_all_right(const struct remote_times *times)
{
	struct vgpu_engine *eng = open_quick(times);
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS];

	submit_all(eng, s, add);
	reap(eng, JOBS);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], VGPU_RSP_OK);
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
}

/* Answers until the client goes. */
static void serve_well(int fd, size_t piece)
{
	struct peer_frame *job = malloc(sizeof(*job));
	struct peer_frame *done = malloc(sizeof(*done));

	peer_welcome(fd, "Honest");
	while (peer_next_job(fd, job)) {
		peer_answer(job, done);
		if (!peer_send(fd, done, peer_octets(done), piece))
			break;
	}
	close(fd);
	free(job);
	free(done);
}

static void test_nobody(void **state)
{
	(void)state;
	unlink(path);
	expect_refused("connect: No such file or directory");
	close(peer_listen(path));
	expect_refused("connect: Connection refused");
	unlink(path);
	assert_null(remote_open("tcp:127.0.0.1:1", &quick, why));
	assert_non_null(strstr(why, "connect: Connection refused"));
	assert_null(remote_open("/dev/null", &quick, why));
	assert_non_null(strstr(why, "/dev/null"));
	assert_null(remote_open("/dev/there-is-none*", &quick, why));
	assert_non_null(strstr(why, "no such device"));
	assert_null(remote_open("/dev/there-is-none", &quick, why));
	assert_non_null(strstr(why, "No such file"));
	assert_null(remote_open("elsewhere", &quick, why));
	assert_non_null(strstr(why, "an address is"));
}

/* First words of far ends that are none, and what is said of them. */
static struct {
	const char *text;
	unsigned int type;
	size_t len;
	const void *body;
	const char *says;
} const *first_words;

static void *say_first_words(void *arg)
{
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	(void)arg;
	if (first_words->text)
		peer_send(fd, first_words->text, strlen(first_words->text), 0);
	if (first_words->type) {
		NEED(peer_get(fd, f));
		/* The nonce comes back, unless the body brings one. */
		if (first_words->body)
			memcpy(f->body + REMOTE_NONCE,
			       (const char *)first_words->body + REMOTE_NONCE,
			       first_words->len - REMOTE_NONCE);
		else
			memset(f->body, 0x42, first_words->len);
		f->h.type = (uint16_t)first_words->type;
		f->h.length = (uint32_t)first_words->len;
		peer_send(fd, f, peer_octets(f), 0);
	}
	if (!first_words->says || strcmp(first_words->says, "closed"))
		while (peer_get(fd, f))
			;
	close(fd);
	free(f);
	return NULL;
}

static void test_first_words(void **state)
{
	static const struct remote_refused version = {
		.reason = REMOTE_REASON_VERSION,
		.version = 7,
	};
	static const struct remote_refused full = {
		.reason = REMOTE_REASON_CLIENTS,
		.text = "full up",
	};
	static const struct remote_refused rude = {
		.reason = REMOTE_REASON_CLIENTS,
		.text = "\033[2J",
	};
	static const struct remote_welcome newer = {.version = 9};
	static const struct remote_welcome no_window = {
		.version = 1,
		.capabilities = 1,
	};
	static const struct remote_welcome huge_window = {
		.version = 1,
		.capabilities = 1,
		.window = REMOTE_WINDOW_MAX + 1,
	};
	static const struct remote_welcome useless = {
		.version = 1,
		.window = 1,
	};
	static const struct remote_welcome no_text = {
		.version = 1,
		.window = 1,
		.capabilities = 1,
		.engine = "evil\nlevel=info",
	};
	static const typeof(*first_words) table[] = {
		{NULL, 0, 0, NULL, "no answer in 300 ms"},
		{"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 0, 0, NULL,
		 "not a vgpu-engined"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", 0, 0, NULL,
		 "not a vgpu-engined"},
		{"", 0, 0, NULL, "closed"},
		{NULL, REMOTE_REFUSED, 280, &version,
		 "vgpu-engined speaks version 7 there, this program version 1"},
		{NULL, REMOTE_WELCOME, 944, &newer,
		 "vgpu-engined speaks version 9 there, this program version 1"},
		{NULL, REMOTE_REFUSED, 280, &full, "refused: full up"},
		{NULL, REMOTE_REFUSED, 280, &rude, "a text that is none"},
		{NULL, REMOTE_WELCOME, 944, &no_window, "out of range"},
		{NULL, REMOTE_WELCOME, 944, &huge_window, "out of range"},
		{NULL, REMOTE_WELCOME, 944, &useless, "no built-in kernels"},
		{NULL, REMOTE_WELCOME, 944, &no_text, "a text that is none"},
		{NULL, REMOTE_WELCOME, 944, NULL, "somebody else"},
		{NULL, REMOTE_WELCOME, 943, NULL, "not a vgpu-engined"},
		{NULL, REMOTE_PONG, 0, NULL, "not a vgpu-engined"},
		{NULL, REMOTE_HOLD, 16, &full, "took longer than 1500 ms"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t start = now_ms();

		first_words = (const void *)&table[i];
		run_script(say_first_words, NULL);
		expect_refused(table[i].says);
		assert_true(now_ms() - start < 5000);
		end_script();
	}
}

/* A WELCOME that takes longer than the first sign may. */
static void *serve_late(void *arg)
{
	const struct timespec wait = {.tv_nsec = 700000000};
	struct remote_welcome w = {
		.version = 1,
		.window = 1,
		.capabilities = 1,
		.engine = "cpu",
	};
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	(void)arg;
	NEED(peer_get(fd, f));
	memcpy(w.nonce, f->body, REMOTE_NONCE);
	peer_make(f, REMOTE_HOLD, 0, w.nonce, REMOTE_NONCE);
	peer_put(fd, f);
	nanosleep(&wait, NULL);
	peer_make(f, REMOTE_WELCOME, 0, &w, sizeof(w));
	peer_put(fd, f);
	while (peer_get(fd, f))
		;
	close(fd);
	free(f);
	return NULL;
}

static void test_hold(void **state)
{
	struct vgpu_engine_info info;
	struct vgpu_engine *eng;

	(void)state;
	run_script(serve_late, NULL);
	eng = open_quick(&quick);
	/* It answers no INFO, and was never asked. */
	vgpu_engine_info(eng, &info);
	assert_int_equal(info.mem_total, 0);
	vgpu_engine_close(eng);
	end_script();
}

static void *serve_dribbling(void *arg)
{
	(void)arg;
	serve_well(next_client(), 1);
	return NULL;
}

static void test_dribble(void **state)
{
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	struct add add;

	(void)state;
	run_script(serve_dribbling, NULL);
	eng = open_quick(&quick);
	s = vgpu_engine_stream_create(eng);
	add_make(&add, s, 40000);
	vgpu_engine_submit(eng, &add.job);
	reap(eng, 1);
	add_check(&add, VGPU_RSP_OK);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
	end_script();
	assert_int_equal(nr_connections, 1);
}

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
	SAYS_ERROR,
	SILENCE,
	NR_BREACHES
};

/* Returns what is to be sent of the frame. */
static size_t spoil(enum breach breach, struct peer_frame *f)
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
		return len;
	case STATUS:
		d->status = VGPU_RSP_MAX + 1;
		f->h.length = sizeof(*d);
		return peer_octets(f);
	case OUTPUT_OF_FAILURE:
		d->status = VGPU_RSP_NO_MEMORY;
		return len;
	case SAYS_ERROR:
		peer_make(f, REMOTE_ERROR, 0, NULL, 264);
		return peer_octets(f);
	default:
		return 0;
	}
}

static void *serve_badly(void *arg)
{
	enum breach breach = *(enum breach *)arg;
	struct peer_frame *job = malloc(sizeof(*job));
	struct peer_frame *done = malloc(sizeof(*done));
	int fd = next_client();

	peer_welcome(fd, "Honest");
	for (int i = 0; i < 3; i++) {
		NEED(peer_next_job(fd, job));
		peer_answer(job, done);
		peer_put(fd, done);
	}
	NEED(peer_next_job(fd, job));
	peer_answer(job, done);
	peer_send(fd, done, spoil(breach, done), 0);
	/* Those that close do so; who lies or is silent waits to be left. */
	while (breach > HALF_ANSWER && peer_get(fd, done))
		;
	close(fd);
	serve_well(next_client(), 0);
	free(job);
	free(done);
	return NULL;
}

static void test_breaches(void **state)
{
	(void)state;
	for (enum breach breach = 0; breach < NR_BREACHES; breach++) {
		run_script(serve_badly, &breach);
		expect_all_right(&quick);
		end_script();
		if (nr_connections != 2)
			fail_msg("breach %d: %u connections", breach,
				 nr_connections);
	}
}

/* Busy for long, but it answers PING: that is no silence. */
static void *serve_slowly(void *arg)
{
	struct peer_frame *job = malloc(sizeof(*job));
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();
	uint64_t start = now_ms();

	(void)arg;
	peer_welcome(fd, "Slow");
	NEED(peer_next_job(fd, job));
	while (now_ms() - start < 1500) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		if (poll(&pfd, 1, 100) != 1)
			continue;
		NEED(peer_get(fd, f));
		NEED(f->h.type == REMOTE_PING);
		f->h.type = REMOTE_PONG;
		peer_put(fd, f);
	}
	peer_answer(job, f);
	peer_put(fd, f);
	while (peer_get(fd, f))
		;
	close(fd);
	free(job);
	free(f);
	return NULL;
}

static void test_slow(void **state)
{
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	struct add add;

	(void)state;
	run_script(serve_slowly, NULL);
	eng = open_quick(&quick);
	s = vgpu_engine_stream_create(eng);
	add_make(&add, s, 100);
	vgpu_engine_submit(eng, &add.job);
	reap(eng, 1);
	add_check(&add, VGPU_RSP_OK);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
	end_script();
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
	expect_all_right(&quick);
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* All jobs come back lost, and so do those submitted afterwards. */
static void expect_all_lost(const struct remote_times *times, uint64_t within)
{
	struct vgpu_engine *eng = open_quick(times);
	struct vgpu_engine_info info;
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS], late;
	uint64_t start = now_ms();
	struct vgpu_job fence = {.owner = &late};

	submit_all(eng, s, add);
	reap(eng, JOBS);
	assert_true(now_ms() - start < within);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], VGPU_RSP_DEVICE_LOST);
	start = now_ms();
	add_make(&late, s[0], 5);
	vgpu_engine_submit(eng, &late.job);
	reap(eng, 1);
	add_check(&late, VGPU_RSP_DEVICE_LOST);
	fence.stream = s[0];
	vgpu_engine_submit(eng, &fence);
	reap(eng, 1);
	vgpu_engine_info(eng, &info);
	assert_true(now_ms() - start < 1000);
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
}

static void *serve_and_go(void *arg)
{
	struct peer_frame *job = malloc(sizeof(*job));
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, job));
	unlink(path);
	close(fd);
	free(job);
	return NULL;
}

static void test_gone(void **state)
{
	struct remote_times times = quick;

	(void)state;
	times.give_up = 300;
	run_script(serve_and_go, NULL);
	expect_all_lost(&times, 3000);
	end_script();
}

/* There, but never a session: silence at each attempt. */
static void *serve_then_silence(void *arg)
{
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, f));
	close(fd);
	fd = next_client();
	while (peer_get(fd, f))
		;
	unlink(path);
	close(fd);
	free(f);
	return NULL;
}

static void test_silent_after_break(void **state)
{
	struct remote_times times = quick;

	(void)state;
	times.give_up = 700;
	run_script(serve_then_silence, NULL);
	expect_all_lost(&times, 3000);
	end_script();
}

/* Another engine must not stand in for the one that the guest was told of. */
static void *serve_as_another(void *arg)
{
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, f));
	close(fd);
	fd = next_client();
	peer_welcome(fd, "Impostor");
	NEED(!peer_get(fd, f));
	close(fd);
	free(f);
	return NULL;
}

static void test_another_engine(void **state)
{
	(void)state;
	run_script(serve_as_another, NULL);
	expect_all_lost(&quick, 3000);
	end_script();
}

/* A part that breaks every connection is not sent for ever. */
static void *serve_and_break(void *arg)
{
	struct peer_frame *f = malloc(sizeof(*f));

	(void)arg;
	for (;;) {
		struct pollfd pfd = {.fd = listener, .events = POLLIN};
		int fd;

		if (poll(&pfd, 1, 1000) != 1)
			break;
		fd = next_client();
		peer_welcome(fd, "Fragile");
		peer_next_job(fd, f);
		close(fd);
	}
	free(f);
	return NULL;
}

static void test_poison(void **state)
{
	(void)state;
	run_script(serve_and_break, NULL);
	expect_all_lost(&quick, 5000);
	end_script();
	assert_in_range(nr_connections, 3, 20);
}

/* The far GPU faults: that job says so, all others are lost, once each. */
static void *serve_fault(void *arg)
{
	struct remote_done d = { .status = VGPU_RSP_FAULT };
	const char *engine = arg;
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	peer_welcome_as(fd, engine, "Honest");
	NEED(peer_next_job(fd, f));
	peer_make(f, REMOTE_DONE, f->h.id, &d, sizeof(d));
	peer_put(fd, f);
	/* The cpu engine goes on: until it says that it is lost. */
	if (!strcmp(engine, "cpu")) {
		NEED(peer_next_job(fd, f));
		d.status = VGPU_RSP_DEVICE_LOST;
		peer_make(f, REMOTE_DONE, f->h.id, &d, sizeof(d));
		peer_put(fd, f);
	}
	while (peer_get(fd, f))
		;
	close(fd);
	free(f);
	return NULL;
}

static void check_fault(const char *engine)
{
	struct vgpu_engine_stream *s[3];
	struct vgpu_engine *eng;
	struct add add[JOBS];

	run_script(serve_fault, (void *)engine);
	eng = open_quick(&quick);
	submit_all(eng, s, add);
	reap(eng, JOBS);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], i ? VGPU_RSP_DEVICE_LOST : VGPU_RSP_FAULT);
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
	end_script();
	assert_int_equal(nr_connections, 1);
}

static void test_fault(void **state)
{
	(void)state;
	check_fault("cuda");
	check_fault("cpu");
}

/* What has no output gets none, whatever the far end answers. */
static void *serve_no_fault(void *arg)
{
	const struct remote_done d = { .status = VGPU_RSP_OK };
	struct peer_frame *f = malloc(sizeof(*f));
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, f));
	NEED(f->h.length == sizeof(struct remote_job));
	peer_make(f, REMOTE_DONE, f->h.id, NULL, sizeof(d) + 4);
	peer_put(fd, f);
	NEED(!peer_get(fd, f));
	close(fd);
	fd = next_client();
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, f));
	peer_make(f, REMOTE_DONE, f->h.id, &d, sizeof(d));
	peer_put(fd, f);
	while (peer_get(fd, f))
		;
	close(fd);
	free(f);
	return NULL;
}

static void test_no_output(void **state)
{
	struct add add = { .job = { .kernel = VGPU_KERNEL_DEBUG_FAULT } };
	struct vgpu_engine *eng;

	(void)state;
	run_script(serve_no_fault, NULL);
	eng = open_quick(&quick);
	add.job.owner = &add;
	add.job.stream = vgpu_engine_stream_create(eng);
	vgpu_engine_submit(eng, &add.job);
	reap(eng, 1);
	assert_int_equal(add.job.status, VGPU_RSP_OK);
	vgpu_engine_stream_destroy(eng, add.job.stream);
	vgpu_engine_close(eng);
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* A line: octets of an earlier session come first. */
static void test_line(void **state)
{
	struct vgpu_engine_facts facts;
	int master, slave;
	char name[64];
	struct vgpu_engine *eng = NULL;
	struct peer_frame *f = malloc(sizeof(*f));
	pid_t pid;

	(void)state;
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		static char zeros[REMOTE_FILLER];
		struct remote_welcome w = {
			.version = 1,
			.window = 1,
			.capabilities = 1,
			.engine = "cpu",
			.gpu_name = "At the end of a line",
		};
		size_t n = 0;

		/* The client's filler first: the line is raw then. */
		while (n < sizeof(zeros))
			n += (size_t)read(master, zeros, sizeof(zeros) - n);
		if (!peer_get(master, f) || f->h.type != REMOTE_HELLO)
			_exit(1);
		memcpy(w.nonce, f->body, REMOTE_NONCE);
		/* The rest of an answer, and a WELCOME to somebody else. */
		peer_send(master, "the rest of an answer", 21, 0);
		w.nonce[15] ^= 1;
		peer_make(f, REMOTE_WELCOME, 0, &w, sizeof(w));
		peer_put(master, f);
		w.nonce[15] ^= 1;
		peer_make(f, REMOTE_WELCOME, 0, &w, sizeof(w));
		peer_put(master, f);
		read(master, zeros, 1);
		_exit(0);
	}
	/* On a device nobody can be told from one who is gone for long. */
	eng = remote_open(name, &quick, why);
	if (!eng)
		fail_msg("%s", why);
	vgpu_engine_facts(eng, &facts);
	assert_string_equal(facts.gpu_name, "At the end of a line");
	assert_non_null(strstr(facts.tuning, name));
	assert_null(remote_open(name, &quick, why));
	assert_non_null(strstr(why, "in use"));
	vgpu_engine_close(eng);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Nobody at the far end, and no word of it. */
	assert_null(remote_open(name, &quick, why));
	assert_non_null(strstr(why, "no answer in 300 ms"));
	close(master);
	close(slave);
	free(f);
}

/* vgpu-engined is killed and started again, over and over. */
static void test_restarts(void **state)
{
	struct vgpu_engine_stream *s[3];
	struct vgpu_engine *eng;
	struct add add[JOBS];
	pid_t pid = engined_start(log_path, NULL, "--listen", address, NULL);

	(void)state;
	eng = open_quick(&quick);
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
	struct remote_times times = quick;
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	struct add add;
	uint64_t start;
	pid_t pid = engined_start(log_path, NULL, "--listen", address, NULL);

	(void)state;
	times.retry = times.retry_max = 60000;
	times.give_up = 100;
	eng = open_quick(&times);
	s = vgpu_engine_stream_create(eng);
	engined_stop(pid, SIGKILL);
	add_make(&add, s, 10);
	vgpu_engine_submit(eng, &add.job);
	reap(eng, 1);
	add_check(&add, VGPU_RSP_DEVICE_LOST);
	vgpu_engine_stream_destroy(eng, s);
	start = now_ms();
	vgpu_engine_close(eng);
	assert_true(now_ms() - start < 1000);
	unlink(path);
	unlink(log_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_dribble),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_idle_break),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_silent_after_break),
		cmocka_unit_test(test_another_engine),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_no_output),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_close_meanwhile),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	/* That a connection broke is what is tested, and no news. */
	log_set_level(LOG_ERROR);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
