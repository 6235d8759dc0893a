// SPDX-License-Identifier: MIT
/*
 * test_remote_address.c - addresses: what is one, what may be listened on, and
 * what becomes of a path that is there already
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../../cuda/engined.h"

static char dir[] = "/tmp/vgpu-address-XXXXXX";

static void test_good(void **state)
{
	struct remote_address a;
	char why[VGPU_ENGINE_WHY];

	(void)state;
	assert_true(remote_parse("unix:/run/x y", false, &a, why));
	assert_int_equal(a.kind, REMOTE_UNIX);
	assert_string_equal(a.sa.un.sun_path, "/run/x y");
	assert_true(remote_parse("tcp:localhost:65535", false, &a, why));
	assert_int_equal(a.sa.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(ntohs(a.sa.in.sin_port), 65535);
	assert_true(remote_parse("tcp:10.1.2.3:1", false, &a, why));
	assert_int_equal(a.sa.in.sin_addr.s_addr, htonl(0x0a010203));
	assert_true(remote_parse("tcp:[::1]:80", false, &a, why));
	assert_int_equal(a.sa.in6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(a.sa.in6.sin6_port), 80);
	assert_true(remote_parse("/dev/vport*p1", false, &a, why));
	assert_int_equal(a.kind, REMOTE_DEVICE);
	assert_string_equal(a.path, "/dev/vport*p1");
	assert_true(remote_parse("tcp:localhost:0", true, &a, why));
}

static void test_bad(void **state)
{
	static const char *const table[][2] = {
		{"", "character 1: an address is"},
		{"foo", "character 1: an address is"},
		{"dev/vport0p1", "character 1: an address is"},
		{"unix:", "character 6: no path"},
		{"tcp:", "character 5: not HOST:PORT"},
		{"tcp:80", "character 5: not HOST:PORT"},
		{"tcp::80", "character 5: not HOST:PORT"},
		{"tcp:gpu.example:80", "character 5: the host"},
		{"tcp:1.2.3:80", "character 5: the host"},
		{"tcp:::1:80", "character 5: the host"},
		{"tcp:[1.2.3.4]:80", "character 5: the host"},
		{"tcp:[::1:80", "character 5: the host"},
		{"tcp:localhost:", "character 15: the port"},
		{"tcp:localhost:0", "character 15: the port"},
		{"tcp:localhost:65536", "character 15: the port"},
		{"tcp:localhost:4294967297", "character 15: the port"},
		{"tcp:localhost:+1", "character 15: the port"},
		{"tcp:localhost:080", "character 15: the port"},
		{"tcp:localhost:80x", "character 15: the port"},
	};
	char why[VGPU_ENGINE_WHY], text[400];
	struct remote_address a;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_false(remote_parse(table[i][0], false, &a, why));
		snprintf(text, sizeof(text), "address \"%s\", %s", table[i][0],
			 table[i][1]);
		if (strncmp(why, text, strlen(text)))
			fail_msg("\"%s\" instead of \"%s\"", why, text);
	}
	memset(text, 'x', 300);
	memcpy(text, "unix:", 5);
	text[300] = '\0';
	assert_false(remote_parse(text, false, &a, why));
	assert_non_null(strstr(why, "character 256: too long"));
	text[5 + 108] = '\0';
	assert_false(remote_parse(text, false, &a, why));
	assert_non_null(strstr(why, "longer than the path of a Unix socket"));
	text[5 + 107] = '\0';
	assert_true(remote_parse(text, false, &a, why));
}

static void test_loopback(void **state)
{
	static const char *const ours[] = {"tcp:localhost:1",
					   "tcp:127.255.0.9:1", "tcp:[::1]:1",
					   "tcp:[::ffff:127.0.0.1]:1"};
	static const char *const others[] = {"tcp:0.0.0.0:1", "tcp:128.0.0.1:1",
					     "tcp:[::]:1", "tcp:[::2]:1",
					     "tcp:[::ffff:10.0.0.1]:1"};
	char why[VGPU_ENGINE_WHY];
	struct listener l;

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_true(listener_check(ours[i], false, &l, why));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(listener_check(others[i], false, &l, why));
		assert_non_null(strstr(why, others[i]));
		assert_non_null(
			strstr(why, "neither authenticated nor encrypted"));
		assert_true(listener_check(others[i], true, &l, why));
	}
}

static void in_dir(char path[108], const char *name)
{
	snprintf(path, 108, "%s/%s", dir, name);
}

static void test_not_a_device(void **state)
{
	char path[108], fifo[108], why[VGPU_ENGINE_WHY];
	struct listener l;

	(void)state;
	in_dir(path, "file");
	close(open(path, O_CREAT | O_WRONLY, 0600));
	in_dir(fifo, "fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_false(listener_check(path, true, &l, why));
	assert_non_null(strstr(why, "not a character device"));
	assert_false(listener_check(fifo, true, &l, why));
	assert_non_null(strstr(why, "not a character device"));
	assert_int_equal(remote_open_device(path, why), -1);
	assert_int_equal(remote_open_device(fifo, why), -1);
	assert_non_null(strstr(why, "not a character device"));
	assert_false(listener_check(dir, true, &l, why));
	assert_false(listener_check("/dev/there-is-none", true, &l, why));
	unlink(path);
	unlink(fifo);
}

static void open_unix(struct listener *l, const char *path)
{
	char address[128], why[VGPU_ENGINE_WHY] = "";

	snprintf(address, sizeof(address), "unix:%s", path);
	assert_true(listener_check(address, false, l, why));
	if (!listener_open(l, why))
		fail_msg("%s", why);
}

/* A mode for owner and group whatever the umask; and gone afterwards. */
static void test_unix_mode(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	char path[108];
	struct listener l;
	struct stat st;
	mode_t old;

	(void)state;
	in_dir(path, "mode");
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		old = umask(masks[i]);
		open_unix(&l, path);
		assert_int_equal(umask(old), masks[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
		listener_close(&l);
		assert_int_equal(stat(path, &st), -1);
	}
}

static void test_unix_taken(void **state)
{
	char path[108], address[128], why[VGPU_ENGINE_WHY];
	struct listener l, second;
	struct stat st;

	(void)state;
	in_dir(path, "taken");
	snprintf(address, sizeof(address), "unix:%s", path);
	open_unix(&l, path);
	/* Somebody listens: an error, and the socket stays. */
	assert_true(listener_check(address, false, &second, why));
	assert_false(listener_open(&second, why));
	assert_non_null(strstr(why, "somebody listens there already"));
	listener_close(&second);
	assert_int_equal(stat(path, &st), 0);
	/* Somebody took it away and made another: its end is none of ours. */
	assert_int_equal(unlink(path), 0);
	open_unix(&second, path);
	listener_close(&l);
	assert_int_equal(stat(path, &st), 0);
	/* Nobody listens any more: replaced. */
	close(second.fd);
	assert_int_equal(stat(path, &st), 0);
	open_unix(&l, path);
	listener_close(&l);
	assert_int_equal(stat(path, &st), -1);
	/* A file is never removed. */
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_true(listener_check(address, false, &second, why));
	assert_false(listener_open(&second, why));
	assert_non_null(strstr(why, "is no socket"));
	listener_close(&second);
	assert_int_equal(unlink(path), 0);
}

static void test_tcp_port(void **state)
{
	char why[VGPU_ENGINE_WHY];
	struct listener l;

	(void)state;
	assert_true(listener_check("tcp:localhost:0", false, &l, why));
	assert_true(listener_open(&l, why));
	assert_string_not_equal(l.addr.text, "tcp:localhost:0");
	assert_int_equal(strncmp(l.addr.text, "tcp:localhost:", 14), 0);
	listener_close(&l);
}

/* Raw, whatever it was; one at a time. */
static void test_device(void **state)
{
	char name[64], why[VGPU_ENGINE_WHY] = "";
	struct termios tio;
	int master, slave, fd, second;
	char c = 3;

	(void)state;
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	fd = remote_open_device(name, why);
	assert_string_equal(why, "");
	assert_true(fd >= 0);
	assert_int_equal(tcgetattr(fd, &tio), 0);
	assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), 0);
	assert_int_equal(tio.c_oflag & OPOST, 0);
	assert_int_equal(write(master, &c, 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 3);
	assert_int_equal(read(fd, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	second = remote_open_device(name, why);
	assert_int_equal(second, -1);
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(why, "in use"));
	close(fd);
	second = remote_open_device(name, why);
	assert_true(second >= 0);
	close(second);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_not_a_device),
		cmocka_unit_test(test_unix_mode),
		cmocka_unit_test(test_unix_taken),
		cmocka_unit_test(test_tcp_port),
		cmocka_unit_test(test_device),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
