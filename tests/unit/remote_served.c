// SPDX-License-Identifier: MIT
/*
 * remote_served.c - a vgpu-engined for each test (see remote_served.h)
 *
 * With the cpu engine; spoken to octet by octet. Runs on the test's one thread.
 */
#include "remote_served.h"

#include <signal.h>

static char dir[] = "/tmp/vgpu-engined-XXXXXX";
char path[64], address[72], log_path[64];
pid_t engined;
struct peer_frame f, g;
float a[SUM_MAX], b[SUM_MAX];

int served_setup(void **state)
{
	(void)state;
	for (int i = 0; i < SUM_MAX; i++) {
		a[i] = (float)i / 8;
		b[i] = (float)(i % 777);
	}
	engined = engined_start(log_path, NULL, "--listen", address, NULL);
	return !engined;
}

int served_teardown(void **state)
{
	(void)state;
	if (engined)
		engined_stop(engined, SIGKILL);
	unlink(path);
	unlink(log_path);
	return 0;
}

void expect_sum(int fd, uint64_t id, uint32_t count)
{
	const struct remote_done *done = (const void *)f.body;
	const float *c = (const void *)(done + 1);

	peer_make_add(&f, id, 1, a, b, count);
	peer_put(fd, &f);
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(f.h.id, id);
	assert_int_equal(done->status, VGPU_RSP_OK);
	assert_true(peer_is_marked(fd, &f));
	assert_int_equal(peer_data(&f), count * 4);
	assert_true(done->time_ns > 0);
	for (uint32_t i = 0; i < count; i++)
		assert_true(c[i] == a[i] + b[i]);
}

void expect_error(int fd, uint32_t reason, const char *text)
{
	const struct remote_error *e = (const void *)f.body;

	peer_expect(fd, REMOTE_ERROR, &f);
	assert_int_equal(e->reason, reason);
	if (!strstr(e->text, text))
		fail_msg("the error says \"%s\", not \"%s\"", e->text, text);
}

void check_job(int fd, uint16_t status)
{
	const struct remote_done *done = (const void *)f.body;

	peer_put(fd, &g);
	peer_expect(fd, REMOTE_DONE, &f);
	assert_int_equal(f.h.id, g.h.id);
	assert_int_equal(done->status, status);
	assert_true(peer_is_marked(fd, &f));
	assert_int_equal(peer_data(&f), 0);
}

void check_op(int fd, const struct remote_job *j, uint16_t status)
{
	static uint64_t id = 1000000;

	peer_make_job(&g, id++, j, NULL, 0);
	check_job(fd, status);
}

int run_served_tests(const struct CMUnitTest *tests, size_t count)
{
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	failed = _cmocka_run_group_tests("served", tests, count, NULL, NULL);
	rmdir(dir);
	return failed;
}
