// SPDX-License-Identifier: MIT
/*
 * test_front_arena.c - blocks of the payload arena
 *
 * The backend is a list of marks that are answered in some order. The model
 * goes through all that can happen in a few steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vgpufront_arena.h"

#define BASE	16384U
#define LARGEST	((uint32_t)VGPUFRONT_MAX_BLOCK)

static void test_places(void **state)
{
	struct vgpufront_arena a;

	(void)state;
	vgpufront_arena_init(&a, BASE, 5 * LARGEST);
	assert_int_equal(vgpufront_arena_in_use(&a), 0);
	assert_int_equal(vgpufront_arena_make(&a, 40), BASE);
	/* 8-byte aligned, whatever is before it. */
	assert_int_equal(vgpufront_arena_make(&a, 1), BASE + 40);
	assert_int_equal(vgpufront_arena_make(&a, LARGEST), BASE + 48);
	assert_int_equal(vgpufront_arena_in_use(&a), 48 + LARGEST);
	assert_true(vgpufront_arena_fits(&a, 0));
}

static void test_full(void **state)
{
	struct vgpufront_arena a;
	uint32_t mark;

	(void)state;
	vgpufront_arena_init(&a, BASE, 2 * LARGEST);
	vgpufront_arena_make(&a, LARGEST);
	mark = vgpufront_arena_ask(&a);
	vgpufront_arena_make(&a, LARGEST);
	assert_true(vgpufront_arena_fits(&a, 0));
	assert_false(vgpufront_arena_fits(&a, 1));
	vgpufront_arena_read(&a, mark);
	assert_true(vgpufront_arena_fits(&a, LARGEST));
	assert_int_equal(vgpufront_arena_make(&a, LARGEST), BASE);
	assert_false(vgpufront_arena_fits(&a, 1));
}

/* What is left at the end is too short: it starts over, and that counts. */
static void test_wrap(void **state)
{
	struct vgpufront_arena a;
	uint32_t mark;

	(void)state;
	vgpufront_arena_init(&a, BASE, LARGEST + 1000);
	vgpufront_arena_make(&a, 2000);
	mark = vgpufront_arena_ask(&a);
	vgpufront_arena_make(&a, 3000);
	vgpufront_arena_read(&a, mark);
	/* Free: 608 octets at the end, 2000 at the start. */
	assert_true(vgpufront_arena_fits(&a, 608));
	assert_true(vgpufront_arena_fits(&a, 2000));
	assert_false(vgpufront_arena_fits(&a, 2001));
	assert_int_equal(vgpufront_arena_make(&a, 1992), BASE);
	assert_int_equal(vgpufront_arena_in_use(&a), 3000 + 608 + 1992);
	assert_true(vgpufront_arena_fits(&a, 8));
	assert_false(vgpufront_arena_fits(&a, 9));
}

/* To the last octet, without a gap. */
static void test_wrap_exactly(void **state)
{
	struct vgpufront_arena a;
	uint32_t mark;

	(void)state;
	vgpufront_arena_init(&a, BASE, 2 * LARGEST);
	vgpufront_arena_make(&a, 800);
	mark = vgpufront_arena_ask(&a);
	assert_int_equal(vgpufront_arena_make(&a, LARGEST), BASE + 800);
	assert_int_equal(vgpufront_arena_make(&a, LARGEST - 800),
			 BASE + 800 + LARGEST);
	vgpufront_arena_read(&a, mark);
	assert_int_equal(vgpufront_arena_make(&a, 800), BASE);
	assert_false(vgpufront_arena_fits(&a, 1));
}

/* Once empty it starts anew, so the largest block has room again. */
static void test_empty(void **state)
{
	struct vgpufront_arena a;
	unsigned int i;

	(void)state;
	vgpufront_arena_init(&a, BASE, LARGEST);
	for (i = 0; i < 100; i++) {
		assert_int_equal(vgpufront_arena_make(&a, 8 + i), BASE);
		vgpufront_arena_read(&a, vgpufront_arena_ask(&a));
		assert_true(vgpufront_arena_fits(&a, LARGEST));
	}
}

/* An answer that comes late tells nothing new. */
static void test_out_of_order(void **state)
{
	struct vgpufront_arena a;
	uint32_t first, second;

	(void)state;
	vgpufront_arena_init(&a, BASE, 2 * LARGEST);
	/* Near the end of the count. */
	a.made = a.read = a.asked = -200U;
	vgpufront_arena_make(&a, 160);
	first = vgpufront_arena_ask(&a);
	vgpufront_arena_make(&a, 160);
	second = vgpufront_arena_ask(&a);
	vgpufront_arena_make(&a, 16);
	vgpufront_arena_read(&a, second);
	assert_int_equal(vgpufront_arena_in_use(&a), 16);
	vgpufront_arena_read(&a, first);
	assert_int_equal(vgpufront_arena_in_use(&a), 16);
}

/* Half of it goes by unanswered, no more. */
static void test_due(void **state)
{
	struct vgpufront_arena a;

	(void)state;
	vgpufront_arena_init(&a, 0, 4 * LARGEST);
	assert_false(vgpufront_arena_retire_due(&a, LARGEST));
	vgpufront_arena_make(&a, LARGEST);
	assert_false(vgpufront_arena_retire_due(&a, LARGEST));
	vgpufront_arena_make(&a, LARGEST - 8);
	assert_false(vgpufront_arena_retire_due(&a, 8));
	assert_true(vgpufront_arena_retire_due(&a, 9));
	assert_false(vgpufront_arena_retire_due(&a, 0));
	vgpufront_arena_make(&a, 16);
	vgpufront_arena_ask(&a);
	assert_false(vgpufront_arena_retire_due(&a, 16));

	/* One that is too small for that: each block. */
	vgpufront_arena_init(&a, 0, 4 * LARGEST - 8);
	assert_true(vgpufront_arena_retire_due(&a, 8));
	assert_false(vgpufront_arena_retire_due(&a, 0));
}

#define MODEL_STEPS	7

/* What was made and not answered, in order; mark 0: nobody asked behind it. */
struct model {
	struct vgpufront_arena a;
	unsigned int nr;
	struct {
		uint32_t at, len, mark;
		bool asked, live;
	} block[MODEL_STEPS];
};

static unsigned long model_states;

static bool model_waiting(const struct model *m)
{
	for (unsigned int i = 0; i < m->nr; i++)
		if (m->block[i].live && m->block[i].asked)
			return true;

	return false;
}

static void model_make(struct model *m, uint32_t len, bool quiet)
{
	bool ask = !quiet || vgpufront_arena_retire_due(&m->a, len);
	uint32_t at = vgpufront_arena_make(&m->a, len);

	assert_int_equal(at % 8, 0);
	assert_true(at >= m->a.base && at + len <= m->a.base + m->a.size);
	for (unsigned int i = 0; i < m->nr; i++)
		assert_true(!m->block[i].live ||
			    at >= m->block[i].at + m->block[i].len ||
			    m->block[i].at >= at + len);
	m->block[m->nr].at = at;
	m->block[m->nr].len = len;
	m->block[m->nr].asked = ask;
	m->block[m->nr].live = true;
	if (ask)
		m->block[m->nr].mark = vgpufront_arena_ask(&m->a);
	m->nr++;
}

/* The answer to request i: that and all before it were read. */
static void model_answer(struct model *m, unsigned int i)
{
	vgpufront_arena_read(&m->a, m->block[i].mark);
	for (unsigned int j = 0; j <= i; j++)
		m->block[j].live = false;
}

static void model_run(const struct model *m, unsigned int steps)
{
	static const uint32_t len[] = { 8, LARGEST / 2 + 4, LARGEST };

	model_states++;
	if (!model_waiting(m))
		assert_true(vgpufront_arena_fits(&m->a, LARGEST));
	if (!steps)
		return;
	for (unsigned int i = 0; i < 6; i++) {
		struct model next = *m;

		if (!vgpufront_arena_fits(&m->a, len[i / 2]))
			continue;
		model_make(&next, len[i / 2], i % 2);
		model_run(&next, steps - 1);
	}
	for (unsigned int i = 0; i < m->nr; i++) {
		struct model next = *m;

		if (!m->block[i].live || !m->block[i].asked)
			continue;
		model_answer(&next, i);
		model_run(&next, steps - 1);
	}
}

static void test_model(void **state)
{
	static const uint32_t size[] = {
		LARGEST, LARGEST + 8, 2 * LARGEST, 3 * LARGEST + 16,
		4 * LARGEST - 8, 4 * LARGEST, 4 * LARGEST + 8,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(size) / sizeof(*size); i++) {
		struct model m = { .nr = 0 };

		vgpufront_arena_init(&m.a, BASE, size[i]);
		/* The count wraps on the way. */
		m.a.made = m.a.asked = m.a.read = -LARGEST;
		model_run(&m, MODEL_STEPS);
	}
	assert_true(model_states > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wrap_exactly),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("front_arena", tests, NULL, NULL);
}
