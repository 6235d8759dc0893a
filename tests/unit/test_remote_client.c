// SPDX-License-Identifier: MIT
/*
 * test_remote_client.c - the remote engine opens: far ends that are not
 * there, are something else, refuse, are slow, or say nothing
 */
#include "remote_script.h"

#include <pty.h>
#include <sys/wait.h>

static void test_nobody(void **state)
{
	(void)state;
	unlink(path);
	expect_refused(&patient, "connect: No such file or directory");
	close(peer_listen(path));
	expect_refused(&patient, "connect: Connection refused");
	unlink(path);
	assert_null(remote_open("tcp:127.0.0.1:1", &patient, why));
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

/* WELCOME is not awaited for long, the first sign is. */
static const struct remote_times held = {.hello = 10 * PEER_MS, .hold = 1500};

/*
 * First words of far ends that are none, and what is said of them; by default at
 * once, and not when anything has been waited for.
 */
static struct {
	const struct remote_times *times;
	const char *text;
	unsigned int type;
	size_t len;
	const void *body;
	const char *says;
} const *first_words;

static void *say_first_words(void *arg)
{
	int fd = next_client();

	(void)arg;
	if (first_words->text)
		peer_send(fd, first_words->text, strlen(first_words->text), 0);
	if (first_words->type) {
		NEED(peer_get(fd, &job_frame));
		/* The nonce comes back, unless the body brings one. */
		if (first_words->body)
			memcpy(job_frame.body + REMOTE_NONCE,
			       (const char *)first_words->body + REMOTE_NONCE,
			       first_words->len - REMOTE_NONCE);
		else
			memset(job_frame.body, 0x42, first_words->len);
		job_frame.h.type = (uint16_t)first_words->type;
		job_frame.h.length = (uint32_t)first_words->len;
		peer_send(fd, &job_frame, peer_octets(&job_frame), 0);
	}
	if (!first_words->says || strcmp(first_words->says, "closed"))
		await_end(fd);
	else
		close(fd);
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
		.version = REMOTE_VERSION,
		.capabilities = 1,
	};
	static const struct remote_welcome huge_window = {
		.version = REMOTE_VERSION,
		.capabilities = 1,
		.window = REMOTE_WINDOW_MAX + 1,
	};
	static const struct remote_welcome useless = {
		.version = REMOTE_VERSION,
		.window = 1,
	};
	static const struct remote_welcome no_text = {
		.version = REMOTE_VERSION,
		.window = 1,
		.capabilities = 1,
		.engine = "evil\nlevel=info",
	};
	static const typeof(*first_words) table[] = {
		{&quick, NULL, 0, 0, NULL, "no answer in 300 ms"},
		{NULL, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 0, 0, NULL,
		 "not a vgpu-engined"},
		{NULL, "HTTP/1.1 400 Bad Request\r\n\r\n", 0, 0, NULL,
		 "not a vgpu-engined"},
		{NULL, "", 0, 0, NULL, "closed"},
		{NULL, NULL, REMOTE_REFUSED, 280, &version,
		 "vgpu-engined speaks version 7 there, this program version 2"},
		{NULL, NULL, REMOTE_WELCOME, 944, &newer,
		 "vgpu-engined speaks version 9 there, this program version 2"},
		{NULL, NULL, REMOTE_REFUSED, 280, &full, "refused: full up"},
		{NULL, NULL, REMOTE_REFUSED, 280, &rude, "a text that is none"},
		{NULL, NULL, REMOTE_WELCOME, 944, &no_window, "out of range"},
		{NULL, NULL, REMOTE_WELCOME, 944, &huge_window, "out of range"},
		{NULL, NULL, REMOTE_WELCOME, 944, &useless, "no built-in kernels"},
		{NULL, NULL, REMOTE_WELCOME, 944, &no_text, "a text that is none"},
		{NULL, NULL, REMOTE_WELCOME, 944, NULL, "somebody else"},
		{NULL, NULL, REMOTE_WELCOME, 943, NULL, "not a vgpu-engined"},
		{NULL, NULL, REMOTE_PONG, 0, NULL, "not a vgpu-engined"},
		{&held, NULL, REMOTE_HOLD, 16, &full, "took longer than 1500 ms"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		first_words = (const void *)&table[i];
		run_script(say_first_words, NULL);
		expect_refused(table[i].times ? table[i].times : &patient,
			       table[i].says);
		end_script();
	}
}

/* A WELCOME that takes longer than the first sign may, so many ms. */
static void *serve_late(void *arg)
{
	const unsigned int *hello = arg;
	const uint64_t end = now_ms() + 2 * *hello;
	struct remote_welcome w = {
		.version = REMOTE_VERSION,
		.window = 1,
		.capabilities = 1,
		.engine = "cpu",
	};
	int fd = next_client();
	struct pollfd pfd = {.fd = fd, .events = 0};

	NEED(peer_get(fd, &job_frame));
	memcpy(w.nonce, job_frame.body, REMOTE_NONCE);
	peer_make(&job_frame, REMOTE_HOLD, 0, w.nonce, REMOTE_NONCE);
	peer_send(fd, &job_frame, peer_octets(&job_frame), 0);
	/* It is waited for, unless the client goes. */
	while (now_ms() < end && !poll(&pfd, 1, (int)(end - now_ms())))
		;
	peer_make(&job_frame, REMOTE_WELCOME, 0, &w, sizeof(w));
	peer_send(fd, &job_frame, peer_octets(&job_frame), 0);
	await_end(fd);
	return NULL;
}

static void test_hold(void **state)
{
	struct remote_times times = patient;
	struct vgpu_engine_info info;
	struct vgpu_engine *eng;

	(void)state;
	times.hello = 300;
	run_script(serve_late, &times.hello);
	/* On a busy machine the first sign may come late, too: once more. */
	while (!(eng = remote_open(address, &times, why)) &&
	       times.hello < PEER_MS / 4) {
		assert_non_null(strstr(why, "no answer in"));
		end_script();
		times.hello *= 4;
		run_script(serve_late, &times.hello);
	}
	assert_non_null(eng);
	/* It answers no INFO, and was never asked. */
	vgpu_engine_info(eng, &info);
	assert_int_equal(info.mem_total, 0);
	vgpu_engine_close(eng);
	end_script();
}

/* HOLD for ever. */
static void *serve_holding(void *arg)
{
	uint8_t nonce[REMOTE_NONCE];
	int fd = next_client();

	(void)arg;
	NEED(peer_get(fd, &job_frame));
	memcpy(nonce, job_frame.body, REMOTE_NONCE);
	for (int i = 0; i < 2; i++) {
		peer_make(&job_frame, REMOTE_HOLD, 0, nonce, REMOTE_NONCE);
		peer_put(fd, &job_frame);
	}
	await_end(fd);
	return NULL;
}

static void test_hold_again(void **state)
{
	(void)state;
	run_script(serve_holding, NULL);
	expect_refused(&patient, "HOLD again");
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
	(void)state;
	run_script(serve_dribbling, NULL);
	expect_add(40000, VGPU_RSP_OK);
	end_script();
	assert_int_equal(nr_connections, 1);
}

/* A line: octets of an earlier session come first. */
static void test_line(void **state)
{
	struct vgpu_engine_facts facts;
	int master, slave;
	char name[64];
	struct vgpu_engine *eng = NULL;
	pid_t pid;

	(void)state;
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		static char zeros[REMOTE_FILLER];
		struct remote_welcome w = {
			.version = REMOTE_VERSION,
			.window = 1,
			.capabilities = 1,
			.engine = "cpu",
			.gpu_name = "At the end of a line",
		};
		size_t n = 0;

		/* The client's filler first: the line is raw then. */
		while (n < sizeof(zeros))
			n += (size_t)read(master, zeros, sizeof(zeros) - n);
		if (!peer_get(master, &job_frame) || job_frame.h.type != REMOTE_HELLO)
			_exit(1);
		memcpy(w.nonce, job_frame.body, REMOTE_NONCE);
		/* The rest of an answer, and a WELCOME to somebody else. */
		peer_send(master, "the rest of an answer", 21, 0);
		w.nonce[15] ^= 1;
		peer_make(&job_frame, REMOTE_WELCOME, 0, &w, sizeof(w));
		peer_put(master, &job_frame);
		w.nonce[15] ^= 1;
		peer_make(&job_frame, REMOTE_WELCOME, 0, &w, sizeof(w));
		peer_put(master, &job_frame);
		read(master, zeros, 1);
		_exit(0);
	}
	/* On a device nobody can be told from one who is gone for long. */
	eng = remote_open(name, &patient, why);
	if (!eng)
		fail_msg("%s", why);
	vgpu_engine_facts(eng, &facts);
	assert_string_equal(facts.gpu_name, "At the end of a line");
	assert_non_null(strstr(facts.tuning, name));
	assert_null(remote_open(name, &patient, why));
	assert_non_null(strstr(why, "in use"));
	vgpu_engine_close(eng);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Nobody at the far end, and no word of it. */
	assert_null(remote_open(name, &quick, why));
	assert_non_null(strstr(why, "no answer in 300 ms"));
	close(master);
	close(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_hold_again),
		cmocka_unit_test(test_dribble),
		cmocka_unit_test(test_line),
	};

	return RUN_REMOTE_TESTS(tests);
}
