// SPDX-License-Identifier: MIT
/*
 * copies.c - copies and fills: every direction, size and alignment
 *
 * What must be in memory is kept beside it in a plain array ("shadow") by the
 * same steps, and all of it is compared: what lies beside a copy too.
 */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define LARGE	((3u << 20) + 5)
#define BESIDE	8192		/* octets around what is copied or filled */

/* Octets, all different from those of another seed more often than not. */
static void scatter(unsigned char *at, size_t n, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)next_random(&state);
}

/* One place that copies come from and go to, and what must be in it. */
struct spot {
	const char *name;
	struct mapping map;
	struct vgpu_engine_mem mem;
	bool device, region;
	unsigned char *shadow;
	size_t size;
};

static struct vgpu_engine_operand in_spot(struct spot *sp, uint64_t offset,
					  uint64_t count)
{
	struct vgpu_engine_operand op;

	if (sp->device)
		return in_mem(&sp->mem, offset, count);
	op = in_mapping(&sp->map, offset, count);
	if (!sp->region)
		op.region = NULL;
	return op;
}

/* Fresh octets in it. */
static void spot_set(struct run *r, struct vgpu_engine_stream *s,
		     struct spot *sp, uint32_t seed)
{
	scatter(sp->shadow, sp->size, seed);
	if (sp->device)
		mem_write(r, s, &sp->mem, sp->shadow, sp->size);
	else
		memcpy(sp->map.base, sp->shadow, sp->size);
}

static void spot_check(struct run *r, struct vgpu_engine_stream *s,
		       struct spot *sp, const char *what)
{
	unsigned char *got = sp->map.base;

	if (sp->device) {
		got = malloc(sp->size);
		mem_read(r, s, &sp->mem, got, sp->size);
	}
	check_octets(r, what, sp->shadow, got, sp->size);
	if (sp->device)
		free(got);
}

enum { HOST, REGION, DEVICE, SPOTS };

static void spots_make(struct run *r, struct vgpu_engine_stream *s,
		       struct spot sp[SPOTS], size_t size)
{
	static const char *const names[] = { "host", "region", "device" };

	memset(sp, 0, SPOTS * sizeof(*sp));
	for (int i = 0; i < SPOTS; i++) {
		sp[i].name = names[i];
		sp[i].size = size;
		sp[i].shadow = malloc(size);
		sp[i].device = i == DEVICE;
		sp[i].region = i == REGION;
		if (sp[i].device)
			mem_make(r, s, &sp[i].mem, size);
		else
			mapping_make(r, &sp[i].map, size / 4, false, 1);
	}
}

static void spots_free(struct run *r, struct spot sp[SPOTS])
{
	for (int i = 0; i < SPOTS; i++) {
		free(sp[i].shadow);
		if (sp[i].device)
			vgpu_engine_mem_free(r->eng, &sp[i].mem);
		else
			mapping_free(r, &sp[i].map);
	}
}

static void copy_once(struct run *r, struct vgpu_engine_stream *s,
		      struct spot *to, struct spot *from, uint64_t to_at,
		      uint64_t from_at, uint64_t n)
{
	struct vgpu_job job;
	char what[128];

	snprintf(what, sizeof(what), "%llu octets from %s + %llu to %s + %llu",
		 (unsigned long long)n, from->name, (unsigned long long)from_at,
		 to->name, (unsigned long long)to_at);
	spot_set(r, s, to, 3);
	spot_set(r, s, from, 4);
	memcpy(to->shadow + to_at, from->shadow + from_at, n);
	job_copy(&job, s, in_spot(to, to_at, n), in_spot(from, from_at, n));
	run_well(r, &job, what);
	CHECK(r, !n || job.path != VGPU_PATH_NONE, "%s took no path", what);
	spot_check(r, s, to, what);
	spot_check(r, s, from, what);
}

/* Each way, as a copy of one array to another of the same kind too. */
static void copies(struct run *r, uint64_t n, const uint32_t (*at)[2],
		   unsigned int nr_at)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct spot a[SPOTS], b[SPOTS];

	spots_make(r, s, a, n + BESIDE);
	spots_make(r, s, b, n + BESIDE);
	for (int to = 0; to < SPOTS; to++)
		for (int from = 0; from < SPOTS; from++)
			for (unsigned int i = 0; i < nr_at; i++)
				copy_once(r, s, &a[to], &b[from], at[i][0],
					  at[i][1], n);
	spots_free(r, a);
	spots_free(r, b);
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_copies(struct run *r)
{
	static const uint32_t sizes[] = { 0, 1, 3, 4095, 4096, 4097, 70001 };
	static const uint32_t at[][2] = {
		{ 0, 0 }, { 1, 0 }, { 0, 3 }, { 5, 7 }, { 4096, 2 }, { 8191, 8192 },
	};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		copies(r, sizes[i], at, sizeof(at) / sizeof(at[0]));
}

static void case_large_copies(struct run *r)
{
	static const uint32_t at[][2] = { { 0, 0 }, { 3, 4097 } };

	copies(r, LARGE, at, 2);
}

/*
 * Onto itself: nothing changes. Onto a neighbour with octets in common: these
 * may be anything, but nothing else is.
 */
static void overlap(struct run *r, struct vgpu_engine_stream *s,
		    struct spot *sp, uint64_t n)
{
	static const uint32_t at[][2] = {
		{ 100, 100 }, { 100, 101 }, { 1024, 100 }, { 0, 4096 },
	};
	unsigned char *got = malloc(sp->size);
	struct vgpu_job job;

	for (unsigned int i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		spot_set(r, s, sp, 5 + i);
		job_copy(&job, s, in_spot(sp, at[i][0], n),
			 in_spot(sp, at[i][1], n));
		run_well(r, &job, "copy onto itself");
		if (at[i][0] != at[i][1]) {
			if (sp->device)
				mem_read(r, s, &sp->mem, got, sp->size);
			else
				memcpy(got, sp->map.base, sp->size);
			memcpy(sp->shadow + at[i][0], got + at[i][0], n);
		}
		spot_check(r, s, sp, "beside a copy onto itself");
	}
	free(got);
}

static void case_overlap(struct run *r)
{
	static const uint32_t sizes[] = { 5000, 900001 };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct spot sp[SPOTS];

	for (int k = 0; k < (r->quick ? 1 : 2); k++) {
		spots_make(r, s, sp, sizes[k] + BESIDE);
		for (int i = 0; i < SPOTS; i++)
			overlap(r, s, &sp[i], sizes[k]);
		spots_free(r, sp);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void fill_once(struct run *r, struct vgpu_engine_stream *s,
		      struct spot *sp, uint64_t at, uint64_t n, uint32_t width)
{
	static const uint32_t patterns[] = { 0, 0x9c, 0xf1e2, 0, 0xdeadbe07 };
	const uint32_t pattern = patterns[width];
	struct vgpu_job job;
	char what[128];

	snprintf(what, sizeof(what), "%llu octets at %s + %llu filled by %u",
		 (unsigned long long)n, sp->name, (unsigned long long)at, width);
	spot_set(r, s, sp, 9);
	for (uint64_t i = 0; i < n; i++)
		sp->shadow[at + i] =
			(unsigned char)(pattern >> (i % width * 8));
	job_fill(&job, s, in_spot(sp, at, n), pattern, width);
	run_well(r, &job, what);
	spot_check(r, s, sp, what);
}

static void case_fills(struct run *r)
{
	static const uint32_t counts[] = { 0, 1, 3, 1023, 1024, 1025, 17501, 300001 };
	static const uint32_t at[] = { 0, 1, 3, 1025 };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	unsigned int nr = r->quick ? 7 : 8;
	struct spot sp[SPOTS];

	spots_make(r, s, sp, (size_t)counts[nr - 1] * 4 + BESIDE);
	for (int k = 0; k < SPOTS; k++)
		for (uint32_t width = 1; width <= 4; width *= 2)
			for (unsigned int i = 0; i < nr * 4; i++)
				fill_once(r, s, &sp[k], at[i % 4] * width,
					  (uint64_t)counts[i / 4] * width, width);
	spots_free(r, sp);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case copy_cases[] = {
	{ "copies: every direction, 0 to 70,001 octets, at any alignment", case_copies, ALWAYS },
	{ "copies: every direction, 3 MiB and 5 octets", case_large_copies, UNLESS_QUICK },
	{ "copies onto themselves write nothing beside", case_overlap, ALWAYS },
	{ "fills of 1, 2 and 4 octets, of every size and place", case_fills, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
