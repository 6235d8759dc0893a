/* SPDX-License-Identifier: MIT */
/*
 * test_registry_match.c - whose the remembered devices are
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_xenstore.h"
#include "registry.h"

#define U1 "11111111-1111-1111-1111-111111111111"
#define U2 "22222222-2222-2222-2222-222222222222"
#define U3 "33333333-3333-3333-3333-333333333333"

static struct registry r;
static struct domain run[4];
static size_t n;

static void remember(const char *uuid, const char *name, int devid)
{
	struct registry_entry e = {.line = {.devid = devid}};

	strcpy(e.uuid, uuid);
	strcpy(e.name, name);
	assert_true(registry_put(&r, &e));
}

static const struct domain *runs(const char *uuid, const char *name)
{
	struct domain *d = &run[n];

	d->id = 1 + n++;
	strcpy(d->uuid, uuid);
	strcpy(d->name, name);
	return d;
}

static void expect(size_t i, const char *uuid, const char *name)
{
	assert_string_equal(r.entry[i].uuid, uuid);
	assert_string_equal(r.entry[i].name, name);
}

static void by_uuid(void **state)
{
	const struct domain *d = runs(U2, "x");

	(void)state;
	remember(U1, "x", 0);
	remember(U2, "b", 0);
	/* The UUID wins, whatever the name. */
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_KNOWN);
	expect(0, U1, "x");
	expect(1, U2, "b");
}

static void by_name(void **state)
{
	const struct domain *d = runs(U3, "a");

	(void)state;
	remember(U1, "a", 0);
	remember(U2, "b", 0);
	remember(U1, "a", 4);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_ADOPTED);
	expect(0, U3, "a");
	expect(1, U2, "b");
	expect(2, U3, "a");
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_KNOWN);
}

static void by_name_where_no_uuid_was_known(void **state)
{
	const struct domain *d = runs(U3, "a");

	(void)state;
	remember(REGISTRY_NO_UUID, "a", 0);
	remember(REGISTRY_NO_UUID, "b", 0);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_ADOPTED);
	expect(0, U3, "a");
	expect(1, REGISTRY_NO_UUID, "b");
}

/* It took the name of a remembered domain, which runs under another. */
static void not_by_the_name_of_a_running_domain(void **state)
{
	const struct domain *d = runs(U3, "a");

	(void)state;
	remember(U1, "a", 0);
	runs(U1, "renamed");
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_UNKNOWN);
	expect(0, U1, "a");
	assert_int_equal(registry_follow(&r, run, n), 1);
	expect(0, U1, "renamed");
	assert_int_equal(registry_follow(&r, run, n), 0);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_UNKNOWN);
}

static void a_stranger_is_unknown(void **state)
{
	const struct domain *d = runs(U3, "c");

	(void)state;
	remember(U1, "a", 0);
	remember(REGISTRY_NO_UUID, "b", 0);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_UNKNOWN);
}

static void two_of_one_name(void **state)
{
	const struct domain *d = runs(U3, "a");

	(void)state;
	remember(U1, "a", 0);
	remember(U2, "a", 0);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_OTHERS);
	expect(0, U1, "a");
	expect(1, U2, "a");
	/* Its own UUID settles it, and so does it that the other one runs. */
	strcpy(run[0].uuid, U2);
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_KNOWN);
	strcpy(run[0].uuid, U3);
	runs(U2, "b");
	assert_int_equal(registry_match(&r, d, run, n), REGISTRY_ADOPTED);
	expect(0, U3, "a");
	expect(1, U2, "a");
}

/* While a domain moves within the host, two have its UUID. */
static void the_old_name_is_kept_while_it_lasts(void **state)
{
	(void)state;
	remember(U1, "a", 0);
	runs(U1, "a--incoming");
	runs(U1, "a");
	assert_int_equal(registry_follow(&r, run, n), 0);
	strcpy(run[0].name, "a");
	strcpy(run[1].name, "a--incoming");
	assert_int_equal(registry_follow(&r, run, n), 0);
	run[0].name[0] = '\0';
	assert_int_equal(registry_follow(&r, run, n), 1);
	expect(0, U1, "a--incoming");
}

/* Domain-0's "UUID" is that of all who have none. */
static void dom0_is_nobody(void **state)
{
	struct domain *list;
	size_t count;

	(void)state;
	fake_xs_reset(0);
	fake_xs_set("/local/domain/0/name", "Domain-0", NULL);
	fake_xs_set("/local/domain/0/vm", "/vm/" REGISTRY_NO_UUID, NULL);
	list = domain_list(NULL, &count);
	assert_int_equal(count, 1);
	assert_string_equal(list[0].uuid, "");
	remember(REGISTRY_NO_UUID, "b", 0);
	assert_int_equal(registry_follow(&r, list, count), 0);
	free(list);
}

static void who_a_domain_is(void **state)
{
	char longname[DOMAIN_NAME_LEN + 1];
	unsigned int id;
	struct domain d;

	(void)state;
	fake_xs_reset(0);
	fake_xs_set("/local/domain/5/name", "five", NULL);
	fake_xs_set("/local/domain/5/vm",
		    "/vm/AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee", NULL);
	domain_read(NULL, 5, &d);
	assert_string_equal(d.uuid, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
	assert_string_equal(d.name, "five");
	assert_true(domain_find(NULL, "five", &id));
	assert_int_equal(id, 5);
	assert_false(domain_find(NULL, "", &id));
	fake_xs_set("/local/domain/5/vm", "/vm/" U1 "-1", NULL);
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	fake_xs_set("/local/domain/5/name", longname, NULL);
	domain_read(NULL, 5, &d);
	assert_string_equal(d.uuid, "");
	assert_string_equal(d.name, "");
	assert_false(domain_find(NULL, "five", &id));
	assert_true(domain_find(NULL, "32751", &id));
	assert_false(domain_find(NULL, "32752", &id));
}

static int start(void **state)
{
	(void)state;
	r = REGISTRY_NONE;
	n = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_free(&r);
	return 0;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_uuid),
		TEST(by_name),
		TEST(by_name_where_no_uuid_was_known),
		TEST(not_by_the_name_of_a_running_domain),
		TEST(a_stranger_is_unknown),
		TEST(two_of_one_name),
		TEST(the_old_name_is_kept_while_it_lasts),
		TEST(dom0_is_nobody),
		TEST(who_a_domain_is),
	};

	return cmocka_run_group_tests_name("registry match", tests, NULL, NULL);
}
