// SPDX-License-Identifier: MIT
/*
 * test_front_ring.c - the frontend's ring core and xenstore parser
 *
 * Plays an honest and a hostile backend on the same memory, in one thread.
 */
#include "front_pair.h"
#include "vgpufront_parse.h"

static void test_slots(void **state)
{
	(void)state;
	assert_int_equal(vgpufront_ring_slots(4096), 32);
	assert_int_equal(vgpufront_ring_slots(PAIR_OCTETS), PAIR_SLOTS);
	assert_int_equal(vgpufront_ring_slots(16384), 128);
	assert_int_equal(vgpufront_ring_slots(4096 << VGPUIF_MAX_RING_PAGE_ORDER),
			 VGPUFRONT_MAX_SLOTS);
}

static void test_one(void **state)
{
	struct pair *p = *state;
	struct vgpu_request req = { .op = VGPU_OP_NOP, .ctx = 300, .stream = 9,
				    .u.nop.cookie = 0x1122334455667788 };
	struct vgpu_response rsp;
	uint16_t next = vgpufront_ring_next_id(&p->front);

	assert_int_equal(vgpufront_ring_free(&p->front), PAIR_SLOTS);
	assert_int_equal(vgpufront_ring_put(&p->front, &req), next);
	assert_int_equal(vgpufront_ring_free(&p->front), PAIR_SLOTS - 1);
	assert_true(vgpufront_ring_unpushed(&p->front));
	assert_false(RING_HAS_UNCONSUMED_REQUESTS(&p->back));

	assert_true(vgpufront_ring_push(&p->front));
	assert_false(vgpufront_ring_unpushed(&p->front));
	req = take(p);
	assert_int_equal(req.id, next);
	assert_int_equal(req.ctx, 300);
	assert_int_equal(req.stream, 9);
	assert_true(req.u.nop.cookie == 0x1122334455667788);

	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 0);
	answer(p, next, VGPU_OP_NOP, VGPU_RSP_BUSY);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	assert_int_equal(rsp.id, next);
	assert_int_equal(rsp.status, VGPU_RSP_BUSY);
	assert_true(rsp.value == 1000U + next);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 0);
	assert_int_equal(vgpufront_ring_in_flight(&p->front), 0);
	assert_int_equal(vgpufront_ring_free(&p->front), PAIR_SLOTS);
}

static void test_full(void **state)
{
	struct pair *p = *state;
	bool seen[PAIR_SLOTS] = { false };
	unsigned int i;

	for (i = 0; i < PAIR_SLOTS; i++) {
		int id = put(p, VGPU_OP_FENCE);

		assert_in_range(id, 0, PAIR_SLOTS - 1);
		assert_false(seen[id]);
		seen[id] = true;
	}
	assert_int_equal(vgpufront_ring_free(&p->front), 0);
	assert_int_equal(put(p, VGPU_OP_FENCE), -1);
	assert_int_equal(vgpufront_ring_in_flight(&p->front), PAIR_SLOTS);
}

/* Index wrap at 2^32 and slot wrap, answers in reverse order. */
static void test_wrap(void **state)
{
	struct pair *p = *state;
	RING_IDX start = (RING_IDX)-100;
	unsigned int round, i, done = 0;

	start_at(p, start);
	for (round = 0; round < 20; round++) {
		struct vgpu_request req[37];
		struct vgpu_response rsp;

		for (i = 0; i < 37; i++)
			assert_true(put(p, 1 + i % 6) >= 0);
		vgpufront_ring_push(&p->front);
		for (i = 0; i < 37; i++)
			req[i] = take(p);
		for (i = 37; i--;)
			answer(p, req[i].id, req[i].op, VGPU_RSP_OK);
		for (i = 37; i--;) {
			assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
			assert_int_equal(rsp.id, req[i].id);
			assert_int_equal(rsp.op, req[i].op);
			done++;
		}
		assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 0);
	}
	assert_int_equal(done, 20 * 37);
	assert_int_equal(p->front.front.rsp_cons, start + 20 * 37);
}

/* An id comes back only after all others: a late duplicate meets an idle id. */
static void test_id_reuse(void **state)
{
	struct pair *p = *state;
	struct vgpu_response rsp;
	uint16_t first = in_flight(p);
	unsigned int i;

	answer(p, first, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	for (i = 1; i < PAIR_SLOTS; i++) {
		uint16_t id = in_flight(p);

		assert_int_not_equal(id, first);
		answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
		assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	}
	assert_int_equal(in_flight(p), first);
}

static void test_notify(void **state)
{
	struct pair *p = *state;
	bool more;

	/* The backend sleeps: the first push of a batch wakes it. */
	put(p, VGPU_OP_NOP);
	put(p, VGPU_OP_NOP);
	assert_true(vgpufront_ring_push(&p->front));
	/* It has not looked yet: no second event. */
	put(p, VGPU_OP_NOP);
	assert_false(vgpufront_ring_push(&p->front));
	/* It looked, and works: still none. */
	take(p);
	put(p, VGPU_OP_NOP);
	assert_false(vgpufront_ring_push(&p->front));
	/* It took all and asked to be woken. */
	take(p);
	take(p);
	take(p);
	RING_FINAL_CHECK_FOR_REQUESTS(&p->back, more);
	assert_false(more);
	put(p, VGPU_OP_NOP);
	assert_true(vgpufront_ring_push(&p->front));
	/* Nothing new, nothing sent. */
	assert_false(vgpufront_ring_push(&p->front));
}

static void test_notify_back(void **state)
{
	struct pair *p = *state;
	uint16_t id[3] = { in_flight(p), in_flight(p), in_flight(p) };
	struct vgpu_response rsp;

	assert_true(answer(p, id[0], VGPU_OP_NOP, 0));
	assert_false(answer(p, id[1], VGPU_OP_NOP, 0));
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	/* One is left: found without an event. */
	assert_true(vgpufront_ring_final_check(&p->front));
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	assert_false(vgpufront_ring_final_check(&p->front));
	assert_true(answer(p, id[2], VGPU_OP_NOP, 0));
}

static void test_foreign_id(void **state)
{
	struct pair *p = *state;

	in_flight(p);
	answer(p, PAIR_SLOTS, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_broken(p, VGPUFRONT_BAD_ID_RANGE);
	assert_int_equal(vgpufront_ring_in_flight(&p->front), 1);
}

static void test_idle_id(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer(p, (id + 1) % PAIR_SLOTS, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_broken(p, VGPUFRONT_BAD_ID_IDLE);
}

static void test_duplicate(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);
	struct vgpu_response rsp;

	in_flight(p);
	answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
	answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	assert_broken(p, VGPUFRONT_BAD_ID_IDLE);
}

static void test_wrong_op(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	/* What the slot in shared memory says now does not matter. */
	p->sring->ring[0].req.op = VGPU_OP_FENCE;
	answer(p, id, VGPU_OP_FENCE, VGPU_RSP_OK);
	assert_broken(p, VGPUFRONT_BAD_OP);
}

static void test_bad_status(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer(p, id, VGPU_OP_NOP, VGPU_RSP_MAX + 1);
	assert_broken(p, VGPUFRONT_BAD_STATUS);
}

static void test_retired(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer_raw(p, (struct vgpu_response){ .id = id, .op = VGPU_OP_NOP,
					      .retired = 1 });
	assert_broken(p, VGPUFRONT_BAD_RETIRED);
}

static void test_reserved(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer_raw(p, (struct vgpu_response){ .id = id, .op = VGPU_OP_NOP,
					      .reserved = 1 });
	assert_broken(p, VGPUFRONT_BAD_RESERVED);
}

static void test_reserved0(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer_raw(p, (struct vgpu_response){ .id = id, .op = VGPU_OP_NOP,
					      .reserved0 = 1 });
	assert_broken(p, VGPUFRONT_BAD_RESERVED);
}

/* Further than the ring, backwards, and only one too far. */
static void test_producer(void **state)
{
	static const RING_IDX ahead[] = { 2, PAIR_SLOTS, PAIR_SLOTS + 1, 1U << 31, -1U };
	unsigned int i;

	for (i = 0; i < sizeof(ahead) / sizeof(*ahead); i++) {
		struct pair *p;

		teardown(state);
		setup(state);
		p = *state;
		in_flight(p);
		p->sring->rsp_prod += ahead[i];
		assert_broken(p, VGPUFRONT_BAD_PRODUCER);
		assert_int_equal(p->front.bad_prod, ahead[i]);
	}
}

/* The index may not reach a request that was put but never pushed. */
static void test_producer_unpushed(void **state)
{
	struct pair *p = *state;

	put(p, VGPU_OP_NOP);
	p->sring->rsp_prod++;
	assert_broken(p, VGPUFRONT_BAD_PRODUCER);
}

/* Shown to final_check, then taken back: a loop over both would not end. */
static void test_producer_back(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_true(vgpufront_ring_final_check(&p->front));
	p->sring->rsp_prod--;
	assert_broken(p, VGPUFRONT_BAD_PRODUCER);
}

/* A slot published without a response in it is the request read as one. */
static void test_unwritten(void **state)
{
	struct pair *p = *state;

	in_flight(p);
	p->sring->rsp_prod++;
	assert_broken(p, VGPUFRONT_BAD_STATUS);
}

/* The backend scribbling over its side must not move ours. */
static void test_shared_indices(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);
	struct vgpu_response rsp;

	p->sring->req_prod = 0xdeadbeef;
	p->sring->req_event = 0xdeadbeef;
	answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	put(p, VGPU_OP_NOP);
	vgpufront_ring_push(&p->front);
	assert_int_equal(p->sring->req_prod, 2);
}

static void test_abort(void **state)
{
	struct pair *p = *state;
	uint16_t id = in_flight(p);

	assert_false(vgpufront_ring_abort(&p->front, (id + 1) % PAIR_SLOTS));
	assert_false(vgpufront_ring_abort(&p->front, VGPUFRONT_MAX_SLOTS - 1));
	assert_false(vgpufront_ring_abort(&p->front, PAIR_SLOTS));
	assert_true(vgpufront_ring_abort(&p->front, id));
	assert_false(vgpufront_ring_abort(&p->front, id));
	/* A late answer to it is one to an idle id. */
	answer(p, id, VGPU_OP_NOP, VGPU_RSP_OK);
	assert_broken(p, VGPUFRONT_BAD_ID_IDLE);
}

static void test_parse_number(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "01", "00", "0x10", "1.0", "1\n",
		"one", "18446744073709551616", "99999999999999999999999",
	};
	uint64_t n = 42;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(vgpufront_parse_u64(bad[i], UINT64_MAX, &n));
		assert_true(n == 42);
	}
	assert_true(vgpufront_parse_u64("0", 0, &n) && n == 0);
	assert_false(vgpufront_parse_u64("1", 0, &n));
	assert_true(vgpufront_parse_u64("4", 4, &n) && n == 4);
	assert_false(vgpufront_parse_u64("5", 4, &n));
	assert_false(vgpufront_parse_u64("40", 4, &n));
	assert_true(vgpufront_parse_u64("150108569600", UINT64_MAX, &n));
	assert_true(n == 150108569600);
	assert_true(vgpufront_parse_u64("18446744073709551615", UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
}

static void test_parse_list(void **state)
{
	const char *ops = "nop info ctx-destroy";

	(void)state;
	assert_true(vgpufront_list_has(ops, "nop"));
	assert_true(vgpufront_list_has(ops, "info"));
	assert_true(vgpufront_list_has(ops, "ctx-destroy"));
	assert_false(vgpufront_list_has(ops, "ctx"));
	assert_false(vgpufront_list_has(ops, "destroy"));
	assert_false(vgpufront_list_has("", "nop"));
	assert_true(vgpufront_list_has("10 1", "1"));
	assert_false(vgpufront_list_has("10 11", "1"));
}

static void test_copy_text(void **state)
{
	char text[8];

	(void)state;
	vgpufront_copy_text(text, sizeof(text), "a\n\x1b[\x80z");
	assert_string_equal(text, "a??[?z");
	vgpufront_copy_text(text, sizeof(text), "0123456789");
	assert_string_equal(text, "0123456");
	memset(text, 'x', sizeof(text));
	vgpufront_copy_text(text, sizeof(text), "");
	assert_memory_equal(text, "\0\0\0\0\0\0\0\0", 8);
}

#define RING_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		RING_TEST(test_one),
		RING_TEST(test_full),
		RING_TEST(test_wrap),
		RING_TEST(test_id_reuse),
		RING_TEST(test_notify),
		RING_TEST(test_notify_back),
		RING_TEST(test_foreign_id),
		RING_TEST(test_idle_id),
		RING_TEST(test_duplicate),
		RING_TEST(test_wrong_op),
		RING_TEST(test_bad_status),
		RING_TEST(test_retired),
		RING_TEST(test_reserved),
		RING_TEST(test_reserved0),
		RING_TEST(test_producer),
		RING_TEST(test_producer_unpushed),
		RING_TEST(test_producer_back),
		RING_TEST(test_unwritten),
		RING_TEST(test_shared_indices),
		RING_TEST(test_abort),
		cmocka_unit_test(test_parse_number),
		cmocka_unit_test(test_parse_list),
		cmocka_unit_test(test_copy_text),
	};

	return cmocka_run_group_tests_name("front_ring", tests, NULL, NULL);
}
