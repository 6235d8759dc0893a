// SPDX-License-Identifier: MIT
/*
 * test_backend_grants.c - directory chains, over a double of libxengnttab
 *
 * The guest is a table of directory pages by grant reference; what the double
 * maps, it counts, so that a leak or a needless mapping shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "grants.h"

#define NR_DIRS 4
#define DOMID 7

/* Directory i has grant reference 100 + i. */
static struct vgpu_page_directory dirs[NR_DIRS];
static struct grants g;
static unsigned int mapped, maps;
static uint32_t last_refs[3000];
static uint32_t last_count;
static int last_prot;
static uint32_t refused;

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger,
				 unsigned int flags)
{
	(void)logger;
	(void)flags;
	return (xengnttab_handle *)&g;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	(void)xgt;
	return 0;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count,
				      uint32_t domid, uint32_t *refs, int prot)
{
	(void)xgt;
	assert_int_equal(domid, DOMID);
	maps++;
	for (uint32_t i = 0; i < count; i++)
		if (refs[i] == refused)
			return NULL;
	mapped++;
	if (count == 1 && refs[0] >= 100 && refs[0] < 100 + NR_DIRS) {
		/* The backend must not be able to write to a directory. */
		assert_int_equal(prot, PROT_READ);
		return &dirs[refs[0] - 100];
	}
	assert_true(count <= 3000);
	memcpy(last_refs, refs, count * sizeof(*refs));
	last_count = count;
	last_prot = prot;
	return &mapped;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *addr, uint32_t count)
{
	(void)xgt;
	(void)addr;
	(void)count;
	assert_true(mapped > 0);
	mapped--;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	mapped = maps = last_count = refused = 0;
	memset(dirs, 0, sizeof(dirs));
	for (uint32_t d = 0; d < NR_DIRS; d++)
		for (uint32_t i = 0; i < VGPU_GREFS_PER_DIRECTORY; i++)
			dirs[d].gref[i] =
				1000 + d * VGPU_GREFS_PER_DIRECTORY + i;
	return grants_open(&g, DOMID) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	grants_close(&g);
	return 0;
}

static enum vgpu_status map(uint32_t nr, bool read_only)
{
	void *base = NULL;
	enum vgpu_status status =
		grants_map_directory(&g, 100, nr, read_only, &base);

	assert_int_equal(status == VGPU_RSP_OK, base != NULL);
	/* Only the buffer may be left mapped, never a directory. */
	assert_int_equal(mapped, status ? 0 : 1);
	return status;
}

static void one_directory(void **state)
{
	(void)state;
	assert_int_equal(map(3, false), VGPU_RSP_OK);
	assert_int_equal(last_count, 3);
	assert_int_equal(last_refs[0], 1000);
	assert_int_equal(last_refs[2], 1002);
	assert_int_equal(last_prot, PROT_READ | PROT_WRITE);
}

static void read_only_maps_read_only(void **state)
{
	(void)state;
	assert_int_equal(map(3, true), VGPU_RSP_OK);
	assert_int_equal(last_prot, PROT_READ);
}

static void full_directory_has_no_next(void **state)
{
	(void)state;
	assert_int_equal(map(VGPU_GREFS_PER_DIRECTORY, false), VGPU_RSP_OK);
	assert_int_equal(maps, 2);
}

static void chain_is_followed_in_order(void **state)
{
	(void)state;
	dirs[0].next = 101;
	dirs[1].next = 102;
	assert_int_equal(map(2 * VGPU_GREFS_PER_DIRECTORY + 1, false),
			 VGPU_RSP_OK);
	for (uint32_t i = 0; i < last_count; i++)
		assert_int_equal(last_refs[i], 1000 + i);
	assert_int_equal(last_count, 2 * VGPU_GREFS_PER_DIRECTORY + 1);
}

static void chain_too_short(void **state)
{
	(void)state;
	assert_int_equal(map(VGPU_GREFS_PER_DIRECTORY + 1, false),
			 VGPU_RSP_INVALID);
}

static void chain_too_long(void **state)
{
	(void)state;
	dirs[0].next = 101;
	assert_int_equal(map(VGPU_GREFS_PER_DIRECTORY, false),
			 VGPU_RSP_INVALID);
	assert_int_equal(maps, 1);
}

/* A chain that bites its tail is walked no further than nr_pages need. */
static void loop_ends(void **state)
{
	(void)state;
	dirs[0].next = 101;
	dirs[1].next = 100;
	assert_int_equal(map(2500, false), VGPU_RSP_INVALID);
	assert_int_equal(maps, 3);
}

static void directory_refused(void **state)
{
	(void)state;
	refused = 100;
	assert_int_equal(map(1, false), VGPU_RSP_GRANT);
	refused = 101;
	dirs[0].next = 101;
	assert_int_equal(map(VGPU_GREFS_PER_DIRECTORY + 1, false),
			 VGPU_RSP_GRANT);
}

static void page_refused(void **state)
{
	(void)state;
	refused = 1002;
	assert_int_equal(map(3, false), VGPU_RSP_GRANT);
}

static void count_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(map(0, false), VGPU_RSP_INVALID);
	assert_int_equal(map(BACK_MAX_BUFFER_PAGES + 1, false),
			 VGPU_RSP_INVALID);
	assert_int_equal(maps, 0);
}

/* For each size: every page once, and none where a chip could run through. */
static void scattered_has_no_neighbours(void **state)
{
	(void)state;
	for (uint32_t nr = 1; nr <= VGPUIF_MAX_ARENA_PAGES; nr++) {
		uint64_t sum = 0;

		mapped = 0;
		assert_int_equal(map(nr, false), VGPU_RSP_OK);
		assert_non_null(grants_map_scattered(&g, nr));
		assert_int_equal(last_count, nr);
		assert_int_equal(last_prot, PROT_READ | PROT_WRITE);
		for (uint32_t i = 0; i < nr; i++) {
			int64_t step = (int64_t)last_refs[i] -
				       (i ? last_refs[i - 1] : 0);

			sum += last_refs[i];
			assert_int_not_equal(step, 1);
			if (nr >= 4)
				assert_int_not_equal(step, -1);
		}
		assert_int_equal(sum, nr * 1000 + (uint64_t)nr * (nr - 1) / 2);
	}
	mapped = 0;
	assert_int_equal(map(VGPUIF_MAX_ARENA_PAGES + 1, false), VGPU_RSP_OK);
	assert_null(grants_map_scattered(&g, VGPUIF_MAX_ARENA_PAGES + 1));
	assert_null(grants_map_scattered(&g, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_directory),
		TEST(read_only_maps_read_only),
		TEST(full_directory_has_no_next),
		TEST(chain_is_followed_in_order),
		TEST(chain_too_short),
		TEST(chain_too_long),
		TEST(loop_ends),
		TEST(directory_refused),
		TEST(page_refused),
		TEST(count_is_bounded),
		TEST(scattered_has_no_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
