// SPDX-License-Identifier: MIT
/*
 * test_remote_lost.c - the remote engine when there is no way back: each
 * job ends once, with a status that says so
 */
#include "remote_script.h"

/* All jobs come back lost, and so do those submitted afterwards. */
static void expect_all_lost(const struct remote_times *times, uint64_t within)
{
	struct vgpu_engine *eng = open_quick(times);
	struct vgpu_engine_info info;
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS], late;
	uint64_t start = now_ms();
	struct vgpu_job fence = {.op = VGPU_OP_FENCE, .owner = &late};

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
	struct add add = { .job = { .op = VGPU_OP_BUILTIN, .kernel = VGPU_KERNEL_DEBUG_FAULT } };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_silent_after_break),
		cmocka_unit_test(test_another_engine),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_no_output),
	};
	int failed;

	if (begin_remote_tests())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
