// SPDX-License-Identifier: MIT
/*
 * test_backend_negotiate.c - what the supervisor accepts of a frontend's nodes
 *
 * One good frontend, and for each case one node of it changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "negotiate.h"

struct node {
	const char *name;
	const char *value;
	unsigned int len; /* 0: strlen */
};

static const struct node good[] = {
	{"version", "1", 0},	    {"ring-page-order", "1", 0},
	{"ring-ref0", "768", 0},    {"ring-ref1", "769", 0},
	{"event-channel", "15", 0}, {"arena-pages", "16", 0},
	{"arena-ref", "772", 0},
};

#define NR_GOOD (sizeof(good) / sizeof(good[0]))

struct store {
	struct node node[NR_GOOD + 1];
	unsigned int reads;
};

static char *reader(void *arg, const char *node, unsigned int *len)
{
	struct store *s = arg;

	s->reads++;
	for (size_t i = 0; i <= NR_GOOD; i++) {
		const struct node *n = &s->node[i];
		char *copy;

		if (!n->name || strcmp(n->name, node) || !n->value)
			continue;
		*len = n->len ? n->len : strlen(n->value);
		copy = calloc(1, *len + 1);
		memcpy(copy, n->value, *len);
		return copy;
	}
	return NULL;
}

/* The good frontend with one node changed, added, or (value NULL) missing. */
static void with(struct store *s, const struct node *change)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->node, good, sizeof(good));
	s->node[NR_GOOD] = *change;
	for (size_t i = 0; i < NR_GOOD; i++) {
		if (strcmp(s->node[i].name, change->name))
			continue;
		s->node[i] = *change;
		s->node[NR_GOOD].name = NULL;
	}
}

static void accepts(void **state)
{
	struct worker_config cfg;
	struct store s = {0};
	char why[WORKER_WHY];

	(void)state;
	memcpy(s.node, good, sizeof(good));
	assert_true(negotiate(reader, &s, &cfg, why));
	assert_int_equal(cfg.ring_order, 1);
	assert_int_equal(cfg.ring_ref[0], 768);
	assert_int_equal(cfg.ring_ref[1], 769);
	assert_int_equal(cfg.event_channel, 15);
	assert_int_equal(cfg.arena_pages, 16);
	assert_int_equal(cfg.arena_ref, 772);
	/* Each node once: a second look could see something else. */
	assert_int_equal(s.reads, NR_GOOD);
}

static void order_defaults_to_one_page(void **state)
{
	struct worker_config cfg = {.ring_order = 4};
	char why[WORKER_WHY];
	struct store s;

	(void)state;
	with(&s, &(struct node){"ring-ref", "5", 0});
	s.node[1].name = NULL;
	assert_true(negotiate(reader, &s, &cfg, why));
	assert_int_equal(cfg.ring_order, 0);
	assert_int_equal(cfg.ring_ref[0], 5);
}

static void refuses(void **state)
{
	static const struct node bad[] = {
		{"version", NULL, 0},
		{"version", "2", 0},
		{"version", "0", 0},
		{"version", "1 ", 0},
		{"version", "", 0},
		{"version", "1\0x", 3},
		{"ring-page-order", "5", 0},
		{"ring-page-order", "-1", 0},
		{"ring-page-order", "+1", 0},
		{"ring-page-order", "01", 0},
		{"ring-page-order", "0x1", 0},
		{"ring-page-order", "1.0", 0},
		{"ring-page-order", "", 0},
		{"ring-page-order", "18446744073709551617", 0},
		{"ring-page-order", "2", 0}, /* ring-ref2 is missing */
		{"ring-page-order", "0", 0}, /* ring-ref is missing */
		{"ring-ref0", NULL, 0},
		{"ring-ref1", NULL, 0},
		{"ring-ref1", "0", 0},
		{"ring-ref1", "-1", 0},
		{"ring-ref1", "4294967296", 0},
		{"ring-ref1", "99999999999999999999999999999999999999", 0},
		{"ring-ref1", "768;rm", 0},
		{"ring-ref1", " 769", 0},
		{"ring-ref1", "769\0", 4},
		{"event-channel", NULL, 0},
		{"event-channel", "0", 0},
		{"event-channel", "131072", 0},
		{"event-channel", "-1", 0},
		{"arena-pages", NULL, 0},
		{"arena-pages", "0", 0},
		{"arena-pages", "257", 0},
		{"arena-ref", NULL, 0},
		{"arena-ref", "0", 0},
		{"arena-ref", "%n%s\033[2J", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct worker_config cfg;
		char why[WORKER_WHY] = "";
		struct store s;

		with(&s, &bad[i]);
		if (negotiate(reader, &s, &cfg, why))
			fail_msg("accepted %s = \"%s\"", bad[i].name,
				 bad[i].value ? bad[i].value : "(missing)");
		/* The reason names a node, and is one printable line. */
		if (!strstr(why, "frontend's "))
			fail_msg("%s: reason \"%s\"", bad[i].name, why);
		for (const char *p = why; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
	}
}

static void reason_says_what_is_right(void **state)
{
	struct worker_config cfg;
	char why[WORKER_WHY];
	struct store s;

	(void)state;
	with(&s, &(struct node){"ring-page-order", "99", 0});
	assert_false(negotiate(reader, &s, &cfg, why));
	assert_string_equal(why, "frontend's ring-page-order is \"99\", must "
				 "be a number 0 ... 4");
	with(&s, &(struct node){"arena-ref", NULL, 0});
	assert_false(negotiate(reader, &s, &cfg, why));
	assert_string_equal(why, "frontend's arena-ref is missing");
}

static void huge_value_stays_in_bounds(void **state)
{
	struct worker_config cfg;
	char why[WORKER_WHY], huge[4097];
	struct store s;

	(void)state;
	memset(huge, '9', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	with(&s, &(struct node){"event-channel", huge, 0});
	assert_false(negotiate(reader, &s, &cfg, why));
	assert_true(strlen(why) < WORKER_WHY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(order_defaults_to_one_page),
		cmocka_unit_test(refuses),
		cmocka_unit_test(reason_says_what_is_right),
		cmocka_unit_test(huge_value_stays_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
