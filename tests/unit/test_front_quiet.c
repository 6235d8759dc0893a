// SPDX-License-Identifier: MIT
/*
 * test_front_quiet.c - quiet requests in the frontend's ring core
 *
 * Plays an honest and a hostile backend on the same memory, in one thread.
 */
#include "front_pair.h"

/* Slots of a ring of one page, for the model. */
#define MODEL_SLOTS	32

static int put_flags(struct pair *p, uint8_t flags)
{
	struct vgpu_request req = { .op = VGPU_OP_LAUNCH, .flags = flags,
				    .ctx = 256, .stream = 7, .id = 3 };
	int id = vgpufront_ring_put(&p->front, &req);

	assert_true(id < 0 || req.id == id);

	return id;
}

static void put_quiet(struct pair *p)
{
	assert_int_equal(put_flags(p, VGPU_REQF_QUIET), VGPUFRONT_NO_ID);
}

static void take_all(struct pair *p)
{
	vgpufront_ring_push(&p->front);
	while (RING_HAS_UNCONSUMED_REQUESTS(&p->back))
		take(p);
}

/* Answer, with that many void slots behind. */
static void answer_retiring(struct pair *p, uint16_t id, uint8_t op,
			    uint16_t retired)
{
	struct vgpu_response rsp = { .id = id, .op = op, .retired = retired };
	bool notify;

	*RING_GET_RESPONSE(&p->back, p->back.rsp_prod_pvt) = rsp;
	p->back.rsp_prod_pvt += 1 + retired;
	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&p->back, notify);
	(void)notify;
}

static void assert_counts(const struct pair *p, unsigned int in_flight,
			  unsigned int quiet)
{
	assert_int_equal(vgpufront_ring_in_flight(&p->front), in_flight);
	assert_int_equal(vgpufront_ring_quiet(&p->front), quiet);
	assert_int_equal(vgpufront_ring_free(&p->front),
			 PAIR_SLOTS - in_flight - quiet);
}

static void get(struct pair *p, uint16_t id, uint16_t retired)
{
	struct vgpu_response rsp;

	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 1);
	assert_int_equal(rsp.id, id);
	assert_int_equal(rsp.retired, retired);
}

static void get_none(struct pair *p)
{
	struct vgpu_response rsp;

	assert_int_equal(vgpufront_ring_get(&p->front, &rsp), 0);
}

/* No id, no response; the slots come with a later one's. */
static void test_retire(void **state)
{
	struct pair *p = *state;
	int fence;

	put_quiet(p);
	put_quiet(p);
	assert_counts(p, 0, 2);
	fence = put(p, VGPU_OP_FENCE);
	put_quiet(p);
	assert_counts(p, 1, 3);
	vgpufront_ring_push(&p->front);
	assert_int_equal(take(p).id, VGPUFRONT_NO_ID);
	assert_int_equal(take(p).flags, VGPU_REQF_QUIET);
	assert_int_equal(take(p).id, fence);
	take(p);
	get_none(p);

	answer_retiring(p, fence, VGPU_OP_FENCE, 2);
	get(p, fence, 2);
	get_none(p);
	assert_counts(p, 0, 1);
}

/* One that is answered is like any other. */
static void test_with_retire(void **state)
{
	struct pair *p = *state;
	int id;

	put_quiet(p);
	id = put_flags(p, VGPU_REQF_QUIET | VGPU_REQF_RETIRE);
	assert_in_range(id, 0, PAIR_SLOTS - 1);
	assert_counts(p, 1, 1);
	take_all(p);
	answer_retiring(p, id, VGPU_OP_LAUNCH, 1);
	get(p, id, 1);
	assert_counts(p, 0, 0);
}

/* Void slots hold what the requests left there, or worse. */
static void test_void_slots(void **state)
{
	struct pair *p = *state;
	int first, second;

	first = put(p, VGPU_OP_NOP);
	put_quiet(p);
	put_quiet(p);
	second = put(p, VGPU_OP_NOP);
	take_all(p);
	memset(&p->sring->ring[1], 0xff, sizeof(p->sring->ring[1]));
	answer_retiring(p, first, VGPU_OP_NOP, 2);
	answer_retiring(p, second, VGPU_OP_NOP, 0);
	get(p, first, 2);
	get(p, second, 0);
	get_none(p);
	assert_counts(p, 0, 0);
}

/* Both wrap: the index at 2^32 and the slot, also inside void slots. */
static void test_wrap(void **state)
{
	struct pair *p = *state;
	RING_IDX start = (RING_IDX)-1000;
	unsigned int round, i;

	start_at(p, start);
	for (round = 0; round < 100; round++) {
		int id[3];

		for (i = 0; i < 20; i++)
			put_quiet(p);
		for (i = 0; i < 3; i++)
			id[i] = put(p, VGPU_OP_NOP);
		take_all(p);
		answer_retiring(p, id[2], VGPU_OP_NOP, 0);
		answer_retiring(p, id[0], VGPU_OP_NOP, 17);
		answer_retiring(p, id[1], VGPU_OP_NOP, 3);
		get(p, id[2], 0);
		get(p, id[0], 17);
		get(p, id[1], 3);
		get_none(p);
		assert_counts(p, 0, 0);
	}
	assert_int_equal(p->front.front.rsp_cons, start + 100 * 23);
}

/* A whole ring of them but one, and all at once back. */
static void test_full(void **state)
{
	struct pair *p = *state;
	unsigned int i;
	int id;

	for (i = 1; i < PAIR_SLOTS; i++)
		put_quiet(p);
	id = put(p, VGPU_OP_FENCE);
	assert_counts(p, 1, PAIR_SLOTS - 1);
	assert_int_equal(put_flags(p, VGPU_REQF_QUIET), -1);
	assert_int_equal(put(p, VGPU_OP_NOP), -1);
	take_all(p);
	answer_retiring(p, id, VGPU_OP_FENCE, PAIR_SLOTS - 1);
	get(p, id, PAIR_SLOTS - 1);
	assert_counts(p, 0, 0);
}

static void test_retired_none(void **state)
{
	struct pair *p = *state;
	int id = put(p, VGPU_OP_NOP);

	put(p, VGPU_OP_NOP);
	take_all(p);
	answer_retiring(p, id, VGPU_OP_NOP, 1);
	assert_broken(p, VGPUFRONT_BAD_RETIRED);
	assert_int_equal(p->front.bad.retired, 1);
}

/* One more than there are; the slots are others' requests. */
static void test_retired_too_many(void **state)
{
	struct pair *p = *state;
	int id = put(p, VGPU_OP_NOP);

	put_quiet(p);
	put_quiet(p);
	put(p, VGPU_OP_NOP);
	take_all(p);
	answer_retiring(p, id, VGPU_OP_NOP, 3);
	assert_broken(p, VGPUFRONT_BAD_RETIRED);
}

static void test_retired_twice(void **state)
{
	struct pair *p = *state;
	int first = put(p, VGPU_OP_NOP), second;

	put_quiet(p);
	second = put(p, VGPU_OP_NOP);
	put(p, VGPU_OP_NOP);
	take_all(p);
	answer_retiring(p, first, VGPU_OP_NOP, 1);
	answer_retiring(p, second, VGPU_OP_NOP, 1);
	get(p, first, 1);
	assert_broken(p, VGPUFRONT_BAD_RETIRED);
}

/* What was not pushed can not be done. */
static void test_retired_unpushed(void **state)
{
	struct pair *p = *state;
	int id = put(p, VGPU_OP_NOP);

	put(p, VGPU_OP_NOP);
	take_all(p);
	put_quiet(p);
	answer_retiring(p, id, VGPU_OP_NOP, 1);
	assert_broken(p, VGPUFRONT_BAD_RETIRED);
}

/* The slots that it names lie behind what is published. */
static void test_retired_ahead(void **state)
{
	struct pair *p = *state;
	int id = put(p, VGPU_OP_NOP);

	put_quiet(p);
	put_quiet(p);
	take_all(p);
	answer_raw(p, (struct vgpu_response){ .id = id, .op = VGPU_OP_NOP,
					      .retired = 1 });
	assert_broken(p, VGPUFRONT_BAD_RETIRED_PROD);
	assert_int_equal(vgpufront_ring_quiet(&p->front), 2);
}

/* Published without a response in it: the quiet request read as one. */
static void test_unwritten(void **state)
{
	struct pair *p = *state;

	put_quiet(p);
	take_all(p);
	p->sring->rsp_prod++;
	assert_broken(p, VGPUFRONT_BAD_ID_RANGE);
}

/* Nothing of a quiet request is there to be given up, but for its answer. */
static void test_abort(void **state)
{
	struct pair *p = *state;
	unsigned int id, given_up = 0;
	int answered;

	put_quiet(p);
	answered = put_flags(p, VGPU_REQF_QUIET | VGPU_REQF_RETIRE);
	take_all(p);
	for (id = 0; id < VGPUFRONT_MAX_SLOTS; id++) {
		if (!vgpufront_ring_abort(&p->front, id))
			continue;
		given_up++;
		assert_int_equal(id, answered);
	}
	assert_int_equal(given_up, 1);
	assert_false(vgpufront_ring_abort(&p->front, VGPUFRONT_NO_ID));
	answer_retiring(p, answered, VGPU_OP_LAUNCH, 1);
	assert_broken(p, VGPUFRONT_BAD_ID_IDLE);
	assert_int_equal(vgpufront_ring_quiet(&p->front), 1);
}

/* As a batch does it: one in a quarter of the ring is answered. */
static void test_due_in_batches(void **state)
{
	struct pair *p = *state;
	unsigned int i, answered = 0;

	for (i = 0; i < PAIR_SLOTS; i++) {
		bool due = vgpufront_ring_retire_due(&p->front);

		assert_int_equal(due, i % 16 == 15);
		answered += put_flags(p, VGPU_REQF_QUIET |
				      (due ? VGPU_REQF_RETIRE : 0)) !=
			    VGPUFRONT_NO_ID;
	}
	assert_int_equal(answered, 4);
}

/* Any answer to come will do. */
static void test_due_after_others(void **state)
{
	struct pair *p = *state;
	unsigned int i;

	for (i = 0; i < 15; i++)
		put_quiet(p);
	assert_true(vgpufront_ring_retire_due(&p->front));
	put(p, VGPU_OP_FENCE);
	assert_false(vgpufront_ring_retire_due(&p->front));
}

/* A ring of MODEL_SLOTS with that many quiet requests and answers to come. */
static bool model_due(unsigned int quiet, unsigned int in_flight)
{
	static _Alignas(64) uint8_t page[VGPUIF_PAGE_SIZE];
	struct vgpufront_ring ring;

	vgpufront_ring_init(&ring, (void *)page, sizeof(page));
	ring.quiet = quiet;
	ring.front.req_prod_pvt = quiet + in_flight;

	return vgpufront_ring_retire_due(&ring);
}

/*
 * All that can come of heeding it, with a backend that answers when and in the
 * order that it likes, and retires nothing that it could leave: where the ring
 * is full but for two slots, an answer is to come.
 */
static void test_due_never_stuck(void **state)
{
	static bool seen[MODEL_SLOTS + 1][MODEL_SLOTS + 1];
	bool grown = true;
	unsigned int q, n;

	(void)state;
	seen[0][0] = true;
	while (grown) {
		grown = false;
		for (q = 0; q <= MODEL_SLOTS; q++) {
			for (n = 0; n + q <= MODEL_SLOTS; n++) {
				unsigned int free = MODEL_SLOTS - q - n;
				bool more = false;

				if (!seen[q][n])
					continue;
				assert_true(free > 2 || n);
				/* The module's own may take all slots. */
				if (free) {
					more |= !seen[q][n + 1];
					seen[q][n + 1] = true;
				}
				if (free > 2 && !model_due(q, n)) {
					more |= !seen[q + 1][n];
					seen[q + 1][n] = true;
				}
				if (n) {
					more |= !seen[q][n - 1];
					seen[q][n - 1] = true;
				}
				grown |= more;
			}
		}
	}
	assert_true(seen[MODEL_SLOTS / 2][1]);
}

#define RING_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_retire),
		RING_TEST(test_with_retire),
		RING_TEST(test_void_slots),
		RING_TEST(test_wrap),
		RING_TEST(test_full),
		RING_TEST(test_retired_none),
		RING_TEST(test_retired_too_many),
		RING_TEST(test_retired_twice),
		RING_TEST(test_retired_unpushed),
		RING_TEST(test_retired_ahead),
		RING_TEST(test_unwritten),
		RING_TEST(test_abort),
		RING_TEST(test_due_in_batches),
		RING_TEST(test_due_after_others),
		cmocka_unit_test(test_due_never_stuck),
	};

	return cmocka_run_group_tests_name("front_quiet", tests, NULL, NULL);
}
