// SPDX-License-Identifier: MIT
/*
 * test_remote_parts.c - the parts of a child of vgpu-engined: buffers, sessions,
 * and when an engine is of no use any more
 */
#include "remote_parts.h"

static const uint8_t nonce[REMOTE_NONCE];
static const float ones[100] = { 1, 1, 1 };

static void take(uint64_t id)
{
	peer_make_add(&f, id, 0, ones, ones, 100);
	take_frame();
}

/* Every part has a buffer of its own, and so has the reader. */
static void test_full(void **state)
{
	unsigned char *used[ENGINED_WINDOW + 1];

	(void)state;
	for (unsigned int i = 0; i < ENGINED_WINDOW; i++) {
		assert_true(parts_room(&parts, &in));
		used[i] = in.payload;
		take(i);
	}
	used[ENGINED_WINDOW] = in.payload;
	assert_false(parts_room(&parts, &in));
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
	assert_false(parts_room(&parts, &in));
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
	parts_new_session(&parts, &out, nonce);
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
	parts_new_session(&parts, &out, nonce);
	assert_int_equal(out.count, 1);
	assert_int_equal(parts.nr_busy, 1);
	*out.frame[0].done = true;
	parts_sent(&parts);
	assert_int_equal(parts.nr_busy, 0);
}

static void check_status(const char *engine, uint16_t status, bool ends)
{
	engine_name = engine;
	parts_setup(NULL);
	take(1);
	take(2);
	finish(0, status);
	assert_int_equal(parts.ended, ends);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(parts.ended, ends);
	assert_int_equal(out.count, 2);
	parts_teardown(NULL);
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
		cmocka_unit_test_setup_teardown(test_full, parts_setup,
						parts_teardown),
		cmocka_unit_test_setup_teardown(test_new_session, parts_setup,
						parts_teardown),
		cmocka_unit_test_setup_teardown(test_begun_answer, parts_setup,
						parts_teardown),
		cmocka_unit_test(test_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
