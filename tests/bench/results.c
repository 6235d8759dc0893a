// SPDX-License-Identifier: MIT
/*
 * results.c - samples, percentiles and rows (see bench.h)
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neighbour.h"

const uint32_t bench_sizes[] = {1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10,
				1 << 20, 4 << 20, 16 << 20, 64 << 20};
const unsigned int bench_nr_sizes =
	sizeof(bench_sizes) / sizeof(bench_sizes[0]);

void samples_begin(struct samples *s, uint32_t max)
{
	if (s->max < max) {
		free(s->ns);
		s->ns = calloc(max, sizeof(*s->ns));
		if (!s->ns)
			abort();
		s->max = max;
	}
	s->n = 0;
	s->start = bench_now();
}

bool samples_more(const struct samples *s, const struct bench_plan *plan,
		  uint32_t elements)
{
	if (elements <= BENCH_SMALL)
		return s->n < plan->small_ops;
	if (s->n < plan->large_ops)
		return true;
	return s->n < plan->small_ops &&
	       bench_now() - s->start < plan->budget_ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that `share` of all are not above. */
static double percentile(const struct samples *s, double share)
{
	uint32_t i = share * s->n;

	return s->ns[i < s->n ? i : s->n - 1];
}

struct row *results_row(struct results *r, enum bench_section section,
			const char *name, struct samples *s)
{
	struct row *row = &r->row[r->rows];

	if (r->rows == MAX_ROWS || !s->n)
		abort();
	r->rows++;
	qsort(s->ns, s->n, sizeof(*s->ns), by_size);
	*row = (struct row){
		.section = section,
		.batch = 1,
		.ops = s->n,
		.p50 = percentile(s, 0.5),
		.p90 = percentile(s, 0.9),
		.p99 = percentile(s, 0.99),
		.p999 = percentile(s, 0.999),
		.max = s->ns[s->n - 1],
		.peer = -1,
	};
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

int results_find(const struct results *r, enum bench_section section,
		 const char *name, uint32_t elements)
{
	for (unsigned int i = 0; i < r->rows; i++) {
		const struct row *row = &r->row[i];

		if (row->section == section && row->elements == elements &&
		    (!name || !strcmp(row->name, name)))
			return i;
	}
	return -1;
}

void results_compare(struct results *r, struct row *row, int peer)
{
	row->peer = peer;
	if (peer >= 0)
		row->ratio = row->p50 / row->batch /
			     (r->row[peer].p50 / r->row[peer].batch);
}

struct share_row *results_share(struct results *r)
{
	struct share_row *row = &r->share[r->shares];

	if (r->shares == sizeof(r->share) / sizeof(r->share[0]))
		abort();
	r->shares++;
	memset(row, 0, sizeof(*row));
	return row;
}

static double kernels_a_second(const struct share_row *row)
{
	return (row->done[0] + row->done[1]) * 1e9 / row->elapsed_ns;
}

/* Per cent of what was promised to the one who is further from it. */
static double deviation(const uint64_t got[2], const uint32_t weight[2])
{
	double all = got[0] + got[1], weights = weight[0] + weight[1];
	double most = 0;

	for (int i = 0; i < 2 && all > 0; i++) {
		double off = got[i] / all / (weight[i] / weights) - 1;

		off = off < 0 ? -off : off;
		most = off > most ? off : most;
	}
	return 100 * most;
}

void results_total(const struct results *r, struct share_row *row,
		   const char *mode)
{
	char alone[BENCH_TEXT];

	if (row->weight[1]) {
		row->off_kernels = deviation(row->done, row->weight);
		row->off_charged = deviation(row->used_ns, row->weight);
	}
	neighbour_name_share(alone, row->kind, 1, 0, mode);
	for (unsigned int i = 0; i < r->shares; i++)
		if (r->share[i].section == row->section &&
		    !strcmp(r->share[i].name, alone) &&
		    r->share[i].done[0])
			row->total = kernels_a_second(row) /
				     kernels_a_second(&r->share[i]);
}

void results_skip(struct results *r, const char *what, const char *why)
{
	if (r->nr_skipped < sizeof(r->skipped) / sizeof(r->skipped[0]))
		snprintf(r->skipped[r->nr_skipped++], sizeof(r->skipped[0]),
			 "%.40s: %.80s", what, why);
}

void results_paths(const char *before, const char *now, char *out, size_t size)
{
	char text[512], *word, *save = NULL;
	size_t len = 0;

	*out = '\0';
	snprintf(text, sizeof(text), "%s", now);
	for (word = strtok_r(text, ",", &save); word && len < size;
	     word = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(word, ':');
		const char *old;

		/* The count is the same as it was: not this time. */
		old = strstr(before, word);
		if (!colon ||
		    (old && (!old[strlen(word)] || old[strlen(word)] == ',')))
			continue;
		len += snprintf(out + len, size - len, "%s%.*s",
				len ? ", " : "", (int)(colon - word), word);
	}
}

void bench_fill(float *a, float *b, float *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		a[i] = bench_a(i);
		b[i] = bench_b(i);
	}
	memset(c, 0xff, n * sizeof(*c));
}

bool bench_check(const float *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		float sum = bench_a(i) + bench_b(i);

		if (!memcmp(&sum, &c[i], sizeof(sum)))
			continue;
		fprintf(stderr, "vgpu-bench: c[%u] of %u is %a, not %a\n", i, n,
			c[i], sum);
		return false;
	}
	return true;
}
