// SPDX-License-Identifier: MIT
/*
 * test_remote_order.c - what the remote engine sends before it has an answer,
 * and what has to wait
 */
#include "remote_script.h"

enum { COUNT = 100 };

static float x[COUNT], y[COUNT], z[COUNT], w[COUNT];

/* to = from + from */
static struct tried twice(struct vgpu_engine_stream *stream, float *to,
			  float *from)
{
	return (struct tried){.job = {
		.op = VGPU_OP_BUILTIN,
		.kernel = VGPU_KERNEL_VECTOR_ADD,
		.stream = stream,
		.operand = {{.host = from, .count = COUNT},
			    {.host = from, .count = COUNT},
			    {.host = to, .count = COUNT}},
	}};
}

static void submit(struct vgpu_engine *eng, struct tried *t)
{
	t->job.owner = t;
	vgpu_engine_submit(eng, &t->job);
}

static void fill(float *v, float with)
{
	for (int i = 0; i < COUNT; i++)
		v[i] = with;
}

/* Reads a window's jobs before it answers any. */
static void *serve_late(void *arg)
{
	struct peer_frame *late = calloc(4, sizeof(*late));
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	for (int i = 0; i < 4; i++)
		NEED(peer_next_job(fd, &late[i]));
	for (int i = 0; i < 4; i++) {
		peer_answer(&late[i], &done_frame);
		peer_put(fd, &done_frame);
	}
	await_end(fd);
	free(late);
	return NULL;
}

/* Small jobs of one stream, each with its own output: none waits for another. */
static void test_pipelined(void **state)
{
	struct vgpu_engine *eng;
	struct vgpu_engine_stream *s;
	struct tried t[4];

	(void)state;
	fill(x, 1);
	run_script(serve_late, NULL);
	eng = open_quick(&patient);
	s = vgpu_engine_stream_create(eng);
	/* Two write to the same place: the last one is what stays. */
	t[0] = twice(s, y, x);
	t[1] = twice(s, z, x);
	t[2] = twice(s, w, x);
	t[3] = twice(s, w, x);
	for (int i = 0; i < 4; i++)
		submit(eng, &t[i]);
	reap(eng, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(t[i].job.status, VGPU_RSP_OK);
	assert_true(y[0] == 2 && z[COUNT - 1] == 2 && w[5] == 2);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
	end_script();
}

/*
 * The job that reads what one in flight is to write is not sent before that one
 * is answered; a job of another stream passes it.
 */
static void *serve_and_look(void *arg)
{
	static struct peer_frame first;
	int fd = next_client();
	const float *in = (const void *)(job_frame.body +
					 sizeof(struct remote_job));

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, &first));
	NEED(peer_next_job(fd, &job_frame));
	NEED(the_job()->stream !=
	     ((const struct remote_job *)(void *)first.body)->stream);
	peer_answer(&first, &done_frame);
	peer_put(fd, &done_frame);
	peer_answer(&job_frame, &done_frame);
	peer_put(fd, &done_frame);
	/* It has what the first one wrote. */
	NEED(peer_next_job(fd, &job_frame));
	NEED(in[0] == 2 && in[COUNT - 1] == 2);
	peer_answer(&job_frame, &done_frame);
	peer_put(fd, &done_frame);
	await_end(fd);
	return NULL;
}

static void test_dependent(void **state)
{
	struct vgpu_engine_stream *s[2];
	struct vgpu_engine *eng;
	struct tried t[3];

	(void)state;
	fill(x, 1);
	fill(y, 0);
	run_script(serve_and_look, NULL);
	eng = open_quick(&patient);
	s[0] = vgpu_engine_stream_create(eng);
	s[1] = vgpu_engine_stream_create(eng);
	t[0] = twice(s[0], y, x);
	t[1] = twice(s[0], z, y);
	t[2] = twice(s[1], w, x);
	for (int i = 0; i < 3; i++)
		submit(eng, &t[i]);
	reap(eng, 3);
	assert_true(z[0] == 4 && z[COUNT - 1] == 4 && w[0] == 2);
	for (int i = 0; i < 2; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
	end_script();
	assert_int_equal(nr_connections, 1);
}

/* What is done here waits for what is under way, and is waited for. */
static void *serve_well_once(void *arg)
{
	(void)arg;
	serve_well(next_client(), 0);
	return NULL;
}

static void test_local(void **state)
{
	struct vgpu_engine_stream *s;
	struct vgpu_engine *eng;
	struct tried t[4];

	(void)state;
	fill(x, 1);
	fill(y, 0);
	fill(z, 0);
	run_script(serve_well_once, NULL);
	eng = open_quick(&patient);
	s = vgpu_engine_stream_create(eng);
	t[0] = twice(s, y, x);
	t[1] = (struct tried){.job = {
		.op = VGPU_OP_COPY, .stream = s,
		.operand = {{.host = z, .count = sizeof(z)},
			    {.host = y, .count = sizeof(y)}}}};
	t[2] = twice(s, w, z);
	t[3] = (struct tried){.job = {
		.op = VGPU_OP_FILL, .stream = s, .pattern = 0x40e00000,
		.width = 4, .operand = {{.host = z, .count = 2 * 4}}}};
	for (int i = 0; i < 4; i++)
		submit(eng, &t[i]);
	reap(eng, 4);
	assert_true(z[0] == 7 && z[1] == 7 && z[2] == 2);
	assert_true(w[0] == 4 && w[COUNT - 1] == 4);
	assert_int_equal(t[1].job.path, VGPU_PATH_HOST);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
	end_script();
}

/* Answers of one stream come in its order, or somebody lies. */
static void *serve_out_of_order(void *arg)
{
	int fd = next_client();

	(void)arg;
	peer_welcome(fd, "Honest");
	NEED(peer_next_job(fd, &job_frame));
	NEED(peer_next_job(fd, &job_frame));
	peer_answer(&job_frame, &done_frame);
	peer_put(fd, &done_frame);
	await_end(fd);
	serve_well(next_client(), 0);
	return NULL;
}

static void test_out_of_order(void **state)
{
	(void)state;
	run_script(serve_out_of_order, NULL);
	expect_add(3 * 32768, VGPU_RSP_OK);
	end_script();
	assert_int_equal(nr_connections, 2);
}

/* Images of two streams: one after the other, the second when the first is in. */
static void *serve_images(void *arg)
{
	int fd = next_client();
	const struct remote_done d = {.status = VGPU_RSP_OK};

	(void)arg;
	peer_welcome_as(fd, "cuda", "Honest");
	for (int image = 0; image < 2; image++) {
		uint32_t number = 0;
		uint64_t have = 0;

		do {
			NEED(peer_next_job(fd, &job_frame));
			NEED(the_job()->op == VGPU_OP_MODULE_LOAD);
			NEED(!have || the_job()->number == number);
			NEED(the_job()->operand[0].offset == have);
			number = the_job()->number;
			have += peer_data(&job_frame);
			answer_with(fd, &d);
		} while (have < the_job()->operand[0].count);
	}
	await_end(fd);
	return NULL;
}

static void test_images(void **state)
{
	static char image[3 * REMOTE_DATA_MAX];
	struct vgpu_engine_module module[2] = {{NULL}, {NULL}};
	struct vgpu_engine_stream *s[2];
	struct vgpu_engine *eng;
	struct tried t[2];

	(void)state;
	run_script(serve_images, NULL);
	eng = open_quick(&patient);
	for (int i = 0; i < 2; i++) {
		s[i] = vgpu_engine_stream_create(eng);
		t[i] = (struct tried){.job = {
			.op = VGPU_OP_MODULE_LOAD, .stream = s[i],
			.module = &module[i], .format = VGPU_MODULE_PTX,
			.operand = {{.host = image,
				     .count = sizeof(image) - 7}}}};
		submit(eng, &t[i]);
	}
	reap(eng, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(t[i].job.status, VGPU_RSP_OK);
		vgpu_engine_module_unload(eng, &module[i]);
		vgpu_engine_stream_destroy(eng, s[i]);
	}
	vgpu_engine_close(eng);
	end_script();
	assert_int_equal(nr_connections, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_dependent),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_images),
	};

	return RUN_REMOTE_TESTS(tests);
}
