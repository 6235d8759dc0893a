// SPDX-License-Identifier: MIT
/*
 * test_remote_parts.c - the parts of a child of vgpu-engined, with an engine
 * that finishes a job when the test says so
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../cuda/engined_parts.h"
#include "remote_peer.h"

static struct vgpu_job *submitted[ENGINED_WINDOW];
static unsigned int nr_submitted;
static struct vgpu_job *finished;
static const char *engine_name = "cuda";

static void fake_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *out)
{
	(void)eng;
	memset(out, 0, sizeof(*out));
	strcpy(out->engine, engine_name);
}

static bool fake_region_test(struct vgpu_engine *eng, void *base, size_t bytes,
			     char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	memset(base, 0, bytes);
	why[0] = '\0';
	return false;
}

static struct vgpu_engine_stream *fake_stream(struct vgpu_engine *eng)
{
	return (struct vgpu_engine_stream *)eng;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	(void)eng;
	assert_true(nr_submitted < ENGINED_WINDOW);
	submitted[nr_submitted++] = job;
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *job = finished;

	(void)eng;
	finished = NULL;
	return job;
}

static const struct vgpu_engine_ops fake_ops = {
	.facts = fake_facts,
	.region_test = fake_region_test,
	.stream_create = fake_stream,
	.submit = fake_submit,
	.reap = fake_reap,
};

static struct vgpu_engine fake = { .ops = &fake_ops };
static struct parts parts;
static struct remote_in in;
static struct remote_out out;
static struct peer_frame f;
static const float ones[100] = { 1, 1, 1 };

static int setup(void **state)
{
	(void)state;
	nr_submitted = 0;
	finished = NULL;
	memset(&out, 0, sizeof(out));
	remote_in_init(&in, REMOTE_SERVER, parts_init(&parts));
	parts_engine(&parts, &fake);
	return !in.payload;
}

static void take(uint64_t id)
{
	peer_make_job(&f, id, 0, ones, ones, 100);
	in.head = f.h;
	memcpy(in.payload, f.body, f.h.length);
	parts_take(&parts, &in, &out);
}

/* Ends the job that was submitted in that place. */
static void finish(unsigned int place, uint16_t status)
{
	finished = submitted[place];
	finished->next = NULL;
	finished->status = status;
	parts_reap(&parts, &out);
}

/* Every part has a buffer of its own, and so has the reader. */
static void test_full(void **state)
{
	unsigned char *used[ENGINED_WINDOW + 1];

	(void)state;
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++) {
		assert_false(parts_full(&parts));
		used[i] = in.payload;
		take(i);
	}
	used[ENGINED_WINDOW] = in.payload;
	assert_true(parts_full(&parts));
	for (unsigned int i = 0; i <= ENGINED_WINDOW; i++) {
		assert_non_null(used[i]);
		for (unsigned int k = 0; k < i; k++)
			assert_ptr_not_equal(used[i], used[k]);
	}
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++)
		finish(i, VGPU_RSP_OK);
	assert_int_equal(out.count, ENGINED_WINDOW);
	/* Not before the answers are out are the buffers free. */
	parts_sent(&parts);
	assert_true(parts_full(&parts));
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++)
		*out.frame[i].done = true;
	parts_sent(&parts);
	assert_int_equal(parts.nr_busy, 0);
}

/* A new session: no answer to what came before, wherever it is. */
static void test_new_session(void **state)
{
	(void)state;
	take(1);
	take(2);
	finish(0, VGPU_RSP_OK);
	assert_int_equal(out.count, 1);
	parts_new_session(&parts, &out);
	assert_int_equal(out.count, 0);
	assert_int_equal(parts.nr_busy, 1);
	take(3);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(out.count, 0);
	assert_int_equal(parts.nr_busy, 1);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(out.count, 1);
}

/* The buffer of an answer that has begun stays until it is out. */
static void test_begun_answer(void **state)
{
	(void)state;
	take(1);
	take(2);
	finish(0, VGPU_RSP_OK);
	finish(1, VGPU_RSP_OK);
	out.sent = 10;
	parts_new_session(&parts, &out);
	assert_int_equal(out.count, 1);
	assert_int_equal(parts.nr_busy, 1);
	*out.frame[0].done = true;
	parts_sent(&parts);
	assert_int_equal(parts.nr_busy, 0);
}

static void check_status(const char *engine, uint16_t status, bool ends)
{
	engine_name = engine;
	setup(NULL);
	take(1);
	take(2);
	finish(0, status);
	assert_int_equal(parts.ended, ends);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(parts.ended, ends);
	assert_int_equal(out.count, 2);
	engine_name = "cuda";
}

static void test_ended(void **state)
{
	(void)state;
	check_status("cuda", VGPU_RSP_NO_MEMORY, false);
	check_status("cuda", VGPU_RSP_FAULT, true);
	check_status("cuda", VGPU_RSP_TIMEOUT, true);
	check_status("cuda", VGPU_RSP_DEVICE_LOST, true);
	check_status("cpu", VGPU_RSP_FAULT, false);
	check_status("cpu", VGPU_RSP_DEVICE_LOST, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_new_session, setup),
		cmocka_unit_test_setup(test_begun_answer, setup),
		cmocka_unit_test_setup(test_ended, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
