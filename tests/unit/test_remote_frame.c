// SPDX-License-Identifier: MIT
/*
 * test_remote_frame.c - octets to frames and frames to octets, cut anywhere
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../../cuda/remote_frame.h"
#include "remote_peer.h"

static struct remote_in in;
static struct remote_out out;
static unsigned char payload[REMOTE_PAYLOAD_MAX];
static struct peer_frame frame;
static char why[REMOTE_WHY];

/* What came in, in one line: types of frames, BAD, in order. */
static char seen[256];

static void feed(const void *data, size_t len, size_t piece)
{
	const unsigned char *p = data;
	unsigned char *where;

	while (len) {
		size_t room = remote_in_room(&in, &where);
		size_t n = piece < len ? piece : len;
		enum remote_event event;

		assert_true(room > 0);
		if (n > room)
			n = room;
		memcpy(where, p, n);
		p += n;
		len -= n;
		remote_in_got(&in, n);
		while ((event = remote_in_next(&in, why)) != REMOTE_MORE) {
			char text[16];

			snprintf(text, sizeof(text), "%d ",
				 event == REMOTE_BAD ? -1 : in.head.type);
			assert_true(strlen(seen) + strlen(text) < sizeof(seen));
			strcat(seen, text);
		}
	}
}

static void feed_frame(size_t piece)
{
	feed(&frame, peer_octets(&frame), piece);
}

static void start(enum remote_end self)
{
	remote_in_init(&in, self, payload);
	seen[0] = '\0';
}

static void expect(const char *what)
{
	if (strcmp(seen, what))
		fail_msg("saw \"%s\" in place of \"%s\" (%s)", seen, what, why);
	seen[0] = '\0';
}

static void test_pieces(void **state)
{
	static const size_t pieces[] = {1,  2,	3,    7,     23,
					24, 25, 4096, 65536, 300000};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		start(REMOTE_SERVER);
		peer_make(&frame, REMOTE_PING, 9, NULL, 0);
		feed_frame(pieces[i]);
		assert_int_equal(in.head.id, 9);
		peer_make(&frame, REMOTE_JOB, 10, NULL, REMOTE_PAYLOAD_MAX);
		for (size_t k = 0; k < REMOTE_PAYLOAD_MAX; k++)
			frame.body[k] = (unsigned char)(k * 31 + k / 999);
		feed_frame(pieces[i]);
		assert_memory_equal(payload, frame.body, REMOTE_PAYLOAD_MAX);
		peer_make(&frame, REMOTE_HELLO, 0, NULL, 32);
		feed_frame(pieces[i]);
		expect("6 16 1 ");
	}
}

/* Zeros before a frame are skipped, and those that end a partial frame. */
static void test_filler(void **state)
{
	static const unsigned char zeros[REMOTE_FILLER];

	(void)state;
	start(REMOTE_SERVER);
	feed(zeros, 1000, 1000);
	peer_make(&frame, REMOTE_PING, 1, NULL, 0);
	feed_frame(100);
	expect("6 ");
	/* Cut at every octet of the header and at some of the payload. */
	for (size_t cut = 1; cut < 40; cut++) {
		start(REMOTE_SERVER);
		peer_make(&frame, REMOTE_JOB, UINT64_MAX, NULL,
			  REMOTE_PAYLOAD_MAX);
		memset(frame.body, 0xff, REMOTE_PAYLOAD_MAX);
		feed(&frame, cut, cut);
		feed(zeros, sizeof(zeros), 50000);
		peer_make(&frame, REMOTE_HELLO, 0, NULL, 32);
		frame.body[0] = (unsigned char)cut;
		feed_frame(1000);
		assert_int_equal(in.head.type, REMOTE_HELLO);
		assert_int_equal(payload[0], cut);
		assert_true(in.synced);
	}
}

static void check_bad(const char *text)
{
	start(REMOTE_SERVER);
	feed_frame(1000);
	if (strncmp(seen, "-1 ", 3) || !strstr(why, text))
		fail_msg("saw \"%s\", \"%s\" and not \"%s\"", seen, why, text);
	assert_false(in.synced);
	/* What the payload says is not looked at; the next HELLO is. */
	peer_make(&frame, REMOTE_HELLO, 0, NULL, 32);
	feed_frame(5);
	expect("-1 1 ");
}

static void test_bad(void **state)
{
	(void)state;
	peer_make(&frame, REMOTE_PING, 1, NULL, 0);
	frame.h.magic ^= 0x100;
	check_bad("where a frame has to begin with 0x45506776");
	peer_make(&frame, REMOTE_PING, 1, NULL, 0);
	frame.h.reserved0 = 1;
	check_bad("reserved fields are not 0");
	peer_make(&frame, REMOTE_PING, 1, NULL, 0);
	frame.h.reserved1 = 1;
	check_bad("reserved fields are not 0");
	peer_make(&frame, REMOTE_PING, 1, NULL, 4);
	check_bad("a ping frame of 4 octets, not 0 to 0");
	peer_make(&frame, REMOTE_JOB, 1, NULL, 111);
	check_bad("a job frame of 111 octets, not 112 to 262256");
	peer_make(&frame, REMOTE_FREE, 0, NULL, 7);
	check_bad("a free frame of 7 octets, not 8 to 8");
	peer_make(&frame, REMOTE_HELLO, 1, NULL, 31);
	check_bad("a hello frame of 31 octets");
	peer_make(&frame, REMOTE_DONE, 1, NULL, 40);
	check_bad("a done frame, which is for the other end");
	peer_make(&frame, REMOTE_JOB, 1, NULL, 112);
	frame.h.length = REMOTE_PAYLOAD_MAX + 1;
	start(REMOTE_SERVER);
	feed(&frame, 124, 1);
	expect("-1 ");
	assert_non_null(strstr(why, "262257 octets: longer than 262256"));
	frame.h.length = UINT32_MAX;
	start(REMOTE_SERVER);
	feed(&frame, 124, 124);
	expect("-1 ");
	/* Not known, but whole: the owner answers it. */
	peer_make(&frame, 99, 7, NULL, 5000);
	start(REMOTE_SERVER);
	feed_frame(999);
	peer_make(&frame, REMOTE_PING, 8, NULL, 0);
	feed_frame(999);
	expect("99 6 ");
}

/* The client takes nothing before the answer to its own HELLO. */
static void test_nonce(void **state)
{
	uint8_t nonce[REMOTE_NONCE];
	struct peer_frame inside;

	(void)state;
	memset(nonce, 0x5a, sizeof(nonce));
	for (size_t piece = 1; piece < 3000; piece += 97) {
		start(REMOTE_CLIENT);
		in.nonce = nonce;
		peer_make(&frame, REMOTE_DONE, 1, NULL, 16 + REMOTE_DATA_MAX);
		/* The rest of an old answer; in it what looks like WELCOME. */
		peer_make(&inside, REMOTE_WELCOME, 0, NULL, 944);
		memset(inside.body, 0x77, REMOTE_NONCE);
		memcpy(frame.body + 1000, &inside, peer_octets(&inside));
		/* And one more that only begins, just before the true one. */
		memcpy(frame.body + 16 + REMOTE_DATA_MAX - 30, &inside, 30);
		feed(frame.body + 100, 16 + REMOTE_DATA_MAX - 100, piece);
		peer_make(&frame, REMOTE_HOLD, 0, nonce, sizeof(nonce));
		feed_frame(piece);
		expect("2 ");
		peer_make(&frame, REMOTE_PONG, 0, NULL, 0);
		feed_frame(piece);
		expect("7 ");
	}
}

static void test_text(void **state)
{
	char text[8] = "abcdefg";

	(void)state;
	assert_true(remote_text_ok(text, sizeof(text)));
	assert_false(remote_text_ok(text, 7));
	text[3] = '\n';
	assert_false(remote_text_ok(text, sizeof(text)));
	text[3] = (char)0xc3;
	assert_false(remote_text_ok(text, sizeof(text)));
	text[3] = '\0';
	assert_true(remote_text_ok(text, sizeof(text)));
}

/* Through a socket that takes little at a time. */
static void test_out(void **state)
{
	enum { FRAMES = 100 };
	static unsigned char data[100000];
	bool done[FRAMES] = {false};
	int fd[2], small = 1;
	size_t taken = 0;
	unsigned char buf[777];
	ssize_t n;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	memset(&out, 0, sizeof(out));
	out.is_socket = true;
	start(REMOTE_SERVER);
	for (int i = 0; i < FRAMES; i++) {
		const uint8_t body[112] = {(uint8_t)i};

		remote_out_put(&out, REMOTE_JOB, (uint64_t)i, body,
			       sizeof(body), data, (size_t)i * 1000, &done[i]);
	}
	while (remote_out_write(&out, fd[0]) >= 0 &&
	       (n = read(fd[1], buf, sizeof(buf))) > 0) {
		unsigned char *where;

		for (ssize_t k = 0; k < n;) {
			size_t room = remote_in_room(&in, &where);

			if (room > (size_t)(n - k))
				room = (size_t)(n - k);
			memcpy(where, buf + k, room);
			k += (ssize_t)room;
			remote_in_got(&in, room);
			while (remote_in_next(&in, why) == REMOTE_FRAME) {
				assert_int_equal(in.head.id, taken);
				assert_int_equal(payload[0], taken);
				assert_int_equal(in.head.length,
						 112 + taken * 1000);
				assert_true(done[taken]);
				taken++;
			}
		}
	}
	assert_int_equal(taken, FRAMES);
	assert_int_equal(out.count, 0);
	close(fd[1]);
	/* A peer that is gone is an error and no signal. */
	remote_out_put(&out, REMOTE_PING, 0, NULL, 0, NULL, 0, NULL);
	assert_int_equal(remote_out_write(&out, fd[0]), -1);
	assert_int_equal(errno, EPIPE);
	close(fd[0]);
}

/* A new session: what has not begun goes, what has is ended. */
static void test_drop(void **state)
{
	static unsigned char data[REMOTE_DATA_MAX];
	bool done[2] = {false, false};
	int fd[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	memset(&out, 0, sizeof(out));
	out.is_socket = true;
	for (int i = 0; i < 2; i++)
		remote_out_put(&out, REMOTE_DONE, 0, NULL, 0, data,
			       sizeof(data), &done[i]);
	remote_out_drop(&out);
	assert_int_equal(out.count, 0);
	assert_null(remote_out_partial(&out));
	for (int i = 0; i < 2; i++)
		remote_out_put(&out, REMOTE_DONE, 0, NULL, 0, data,
			       sizeof(data), &done[i]);
	assert_true(remote_out_write(&out, fd[0]) > 0);
	assert_ptr_equal(remote_out_partial(&out), &done[0]);
	remote_out_drop(&out);
	assert_int_equal(out.count, 1);
	while (out.count) {
		assert_true(read(fd[1], payload, sizeof(payload)) > 0);
		assert_true(remote_out_write(&out, fd[0]) >= 0);
	}
	assert_true(done[0]);
	assert_false(done[1]);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces), cmocka_unit_test(test_filler),
		cmocka_unit_test(test_bad),    cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_text),   cmocka_unit_test(test_out),
		cmocka_unit_test(test_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
