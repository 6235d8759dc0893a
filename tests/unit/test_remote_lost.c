// SPDX-License-Identifier: MIT
/*
 * test_remote_lost.c - the remote engine when there is no way back: each
 * job ends once, with a status that says so
 */
#include "remote_script.h"

#include <sys/socket.h>

/* An engine that is asked in vain takes a second each time. */
static bool info_is_quick(struct vgpu_engine *eng)
{
	struct vgpu_engine_info info;

	for (int i = 0; i < 20; i++) {
		uint64_t start = now_ms();

		vgpu_engine_info(eng, &info);
		if (now_ms() - start < 1000)
			return true;
	}
	return false;
}

/* All jobs come back lost, and so do those submitted afterwards. */
static void expect_all_lost(const struct remote_times *times)
{
	struct vgpu_engine *eng = open_quick(times);
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS], late;
	struct tried fence = {.job = {.op = VGPU_OP_FENCE}};

	submit_all(eng, s, add);
	reap(eng, JOBS);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], VGPU_RSP_DEVICE_LOST);
	add_make(&late, s[0], 5);
	run_one(eng, &late.t);
	add_check(&late, VGPU_RSP_DEVICE_LOST);
	fence.job.stream = s[0];
	assert_int_equal(run_one(eng, &fence), VGPU_RSP_OK);
	assert_true(info_is_quick(eng));
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
}

/* The next client, whose session has begun; its first job is in job_frame. */
static int client_with_job(void)
{
	int fd = next_client();

	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, &job_frame));
	return fd;
}

static void *serve_and_go(void *arg)
{
	int fd = client_with_job();

	(void)arg;
	unlink(path);
	close(fd);
	return NULL;
}

static void test_gone(void **state)
{
	struct remote_times times = patient;

	(void)state;
	times.give_up = 300;
	run_script(serve_and_go, NULL);
	expect_all_lost(&times);
	end_script();
}

/* There, but never a session: silence at each attempt. */
static void *serve_then_silence(void *arg)
{
	int fd = client_with_job();

	(void)arg;
	close(fd);
	fd = next_client();
	await_end(fd);
	unlink(path);
	return NULL;
}

static void test_silent_after_break(void **state)
{
	struct remote_times times = patient;

	(void)state;
	times.hello = quick.hello;
	times.give_up = quick.give_up;
	run_script(serve_then_silence, NULL);
	expect_all_lost(&times);
	end_script();
}

/* Another engine must not stand in for the one that the guest was told of. */
static void *serve_as_another(void *arg)
{
	int fd = client_with_job();

	(void)arg;
	close(fd);
	fd = next_client();
	peer_welcome(fd, "Impostor");
	NEED(!peer_get(fd, &job_frame));
	close(fd);
	return NULL;
}

static void test_another_engine(void **state)
{
	(void)state;
	run_script(serve_as_another, NULL);
	expect_all_lost(&patient);
	end_script();
}

/* A part that breaks every connection is not sent for ever. */
static void *serve_and_break(void *arg)
{
	(void)arg;
	while (is_client()) {
		int fd = next_client();

		peer_welcome(fd, "Fragile");
		peer_next_job(fd, &job_frame);
		close(fd);
	}
	return NULL;
}

static void test_poison(void **state)
{
	(void)state;
	run_script(serve_and_break, NULL);
	expect_all_lost(&patient);
	end_script();
	assert_in_range(nr_connections, 3, 20);
}

/* The far GPU faults: that job says so, all others are lost, once each. */
static void *serve_fault(void *arg)
{
	struct remote_done d = { .status = VGPU_RSP_FAULT };
	const char *engine = arg;
	int fd = next_client();

	peer_welcome_as(fd, engine, "Honest");
	NEED(peer_next_job(fd, &job_frame));
	answer_with(fd, &d);
	/* The cpu engine goes on: until it says that it is lost. */
	if (!strcmp(engine, "cpu")) {
		NEED(peer_next_job(fd, &job_frame));
		d.status = VGPU_RSP_DEVICE_LOST;
		answer_with(fd, &d);
	}
	/* As its process ends with its GPU. */
	shutdown(fd, SHUT_WR);
	await_end(fd);
	return NULL;
}

static void check_fault(const char *engine)
{
	struct vgpu_engine_stream *s[3];
	struct vgpu_engine *eng;
	struct add add[JOBS];

	run_script(serve_fault, (void *)engine);
	eng = open_quick(&patient);
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
	int fd = client_with_job();

	(void)arg;
	NEED(!peer_data(&job_frame));
	peer_make_done(&done_frame, job_frame.h.id, &d, NULL, 4);
	peer_put(fd, &done_frame);
	NEED(!peer_get(fd, &job_frame));
	close(fd);
	fd = client_with_job();
	answer_with(fd, &d);
	await_end(fd);
	return NULL;
}

static void test_no_output(void **state)
{
	struct tried t = { .job = { .op = VGPU_OP_BUILTIN,
				    .kernel = VGPU_KERNEL_DEBUG_FAULT } };
	struct vgpu_engine *eng;

	(void)state;
	run_script(serve_no_fault, NULL);
	eng = open_quick(&patient);
	t.job.stream = vgpu_engine_stream_create(eng);
	assert_int_equal(run_one(eng, &t), VGPU_RSP_OK);
	vgpu_engine_stream_destroy(eng, t.job.stream);
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

	return RUN_REMOTE_TESTS(tests);
}
