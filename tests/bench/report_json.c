// SPDX-License-Identifier: MIT
/*
 * report_json.c - the results for programs (see report.h)
 *
 * Times are nanoseconds. A value that does not apply is null.
 */
#include "report.h"

#include <errno.h>
#include <string.h>

/* Whatever a driver or a kernel calls itself stays one JSON string. */
static void text(FILE *to, const char *key, const char *value)
{
	fprintf(to, "\"%s\": \"", key);
	for (; *value; value++) {
		unsigned char c = *value;

		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

static const char *const section_names[NR_SECTIONS] = {
	[SECTION_FLOOR] = "floor",	   [SECTION_NOP] = "nop",
	[SECTION_BATCH] = "batch",	   [SECTION_BARE] = "bare",
	[SECTION_REFERENCE] = "reference", [SECTION_IN_PLACE] = "in-place",
	[SECTION_STAGED] = "staged",
	[SECTION_BARE_COMPUTE] = "bare-compute",
	[SECTION_COMPUTE] = "compute",
	[SECTION_BARE_NEIGHBOUR] = "bare-neighbour",
	[SECTION_NEIGHBOUR] = "neighbour",
};

static void one_row(FILE *to, const struct results *r, const struct row *row)
{
	fputs("    {", to);
	text(to, "section", section_names[row->section]);
	fputs(", ", to);
	text(to, "name", row->name);
	fputs(", ", to);
	text(to, "engine", row->engine);
	fputs(", ", to);
	text(to, "how", row->variant);
	fprintf(to,
		", \"elements\": %u, \"batch\": %u, \"ops\": %u, \"p50_ns\": %.0f, \"p90_ns\": %.0f, \"p99_ns\": %.0f, \"p999_ns\": %.0f, \"max_ns\": %.0f",
		row->elements, row->batch, row->ops, row->p50, row->p90,
		row->p99, row->p999, row->max);
	if (row->elements)
		fprintf(to, ", \"gb_per_s\": %.4f, \"exact\": %s",
			row->elements * 12.0 / row->p50,
			row->right ? "true" : "false");
	if (row->bytes)
		fprintf(to, ", \"bytes\": %llu, \"gb_per_s\": %.4f",
			(unsigned long long)row->bytes, row->bytes / row->p50);
	if (row->flops)
		fprintf(to, ", \"tflop_per_s\": %.4f",
			row->flops / row->p50 / 1000);
	if (row->engine_ns > 0)
		fprintf(to, ", \"engine_ns\": %.0f", row->engine_ns);
	if (row->section == SECTION_NOP || row->section == SECTION_BATCH)
		fprintf(to,
			", \"sent_per_batch\": %.4f, \"woken_per_batch\": %.4f",
			row->sent, row->woken);
	if (row->peer >= 0) {
		fputs(", ", to);
		text(to, "peer", r->row[row->peer].name);
		fprintf(to, ", \"ratio\": %.4f}", row->ratio);
	} else {
		fputs(", \"peer\": null, \"ratio\": null}", to);
	}
}

static void one_count(FILE *to, const struct count_row *c)
{
	fputs("    {", to);
	text(to, "name", c->name);
	fprintf(to, ", \"requests\": %u, ", c->requests);
	if (c->traced)
		fprintf(to, "\"front_calls\": %llu, \"worker_calls\": %llu, ",
			(unsigned long long)c->front_calls,
			(unsigned long long)c->worker_calls);
	else
		fputs("\"front_calls\": null, \"worker_calls\": null, ", to);
	text(to, "worker_names", c->worker_names);
	fprintf(to, ", \"front_sleeps\": %llu, \"worker_sleeps\": %llu}",
		(unsigned long long)c->front_sleeps,
		(unsigned long long)c->worker_sleeps);
}

static void one_call(FILE *to, const struct call_row *c)
{
	fprintf(to,
		"    {\"batch\": %u, \"ops\": %u, \"enters\": %llu, \"sent\": %llu, \"fence_enters\": %llu, \"fence_sent\": %llu, \"events\": %llu}",
		c->batch, c->ops, (unsigned long long)c->enters,
		(unsigned long long)c->sent,
		(unsigned long long)c->fence_enters,
		(unsigned long long)c->fence_sent,
		(unsigned long long)c->events);
}

static void one_share(FILE *to, const struct share_row *s)
{
	fputs("    {", to);
	text(to, "section", section_names[s->section]);
	fputs(", ", to);
	text(to, "name", s->name);
	fputs(", ", to);
	text(to, "how", s->how);
	fprintf(to,
		", \"weights\": [%u, %u], \"elapsed_ns\": %llu, \"kernels\": [%llu, %llu], \"of_alone\": %.4f",
		s->weight[0], s->weight[1], (unsigned long long)s->elapsed_ns,
		(unsigned long long)s->done[0], (unsigned long long)s->done[1],
		s->total);
	if (s->charged)
		fprintf(to,
			", \"used_ns\": [%llu, %llu], \"off_charged\": %.2f",
			(unsigned long long)s->used_ns[0],
			(unsigned long long)s->used_ns[1], s->off_charged);
	else
		fputs(", \"used_ns\": null, \"off_charged\": null", to);
	fprintf(to, ", \"off_kernels\": %.2f}", s->off_kernels);
}

static void one_target(FILE *to, const struct results *r,
		       const struct target *t)
{
	fputs("    {", to);
	text(to, "name", t->name);
	fprintf(to, ", \"value\": %.4f, \"limit\": %.2f, ", t->value, t->limit);
	text(to, "unit", t->unit);
	fprintf(to, ", \"reached\": %s}",
		strcmp(r->engine, "cuda") ? "null" :
		target_reached(t)	  ? "true" :
					    "false");
}

static void head(FILE *to, const struct results *r, const struct report_host *h,
		 bool quick)
{
	fputs("{\n  \"program\": \"vgpu-bench\", \"version\": \"" VGPU_VERSION
	      "\", ",
	      to);
	text(to, "date", h->date);
	fprintf(to, ", \"quick\": %s,\n  \"host\": {",
		quick ? "true" : "false");
	text(to, "cpu", h->cpu);
	fprintf(to, ", \"processors\": %ld, ", h->processors);
	text(to, "kernel", h->kernel);
	fputs("},\n  \"engine\": {", to);
	text(to, "name", r->engine);
	fputs(", ", to);
	text(to, "device", r->gpu);
	fputs(", ", to);
	text(to, "driver", r->driver);
	fputs(", ", to);
	text(to, "compute_capability", r->compute);
	fputs(", ", to);
	text(to, "tuning", r->tuning);
	fputs(", ", to);
	text(to, "dma_test", r->dma_test);
	fputs(", ", to);
	text(to, "why_no_gpu", r->why_cpu);
	fputs("},\n", to);
}

bool report_json(const char *path, const struct results *r,
		 const struct report_host *h, bool quick)
{
	FILE *to = fopen(path, "we");
	bool ok;

	if (!to)
		return false;
	head(to, r, h, quick);
	fputs("  \"rows\": [\n", to);
	for (unsigned int i = 0; i < r->rows; i++) {
		one_row(to, r, &r->row[i]);
		fputs(i + 1 < r->rows ? ",\n" : "\n", to);
	}
	fputs("  ],\n  \"counts\": [\n", to);
	for (unsigned int i = 0; i < r->counts; i++) {
		one_count(to, &r->count[i]);
		fputs(i + 1 < r->counts ? ",\n" : "\n", to);
	}
	fputs("  ],\n  \"calls\": [\n", to);
	for (unsigned int i = 0; i < r->calls; i++) {
		one_call(to, &r->call[i]);
		fputs(i + 1 < r->calls ? ",\n" : "\n", to);
	}
	fputs("  ],\n  \"shares\": [\n", to);
	for (unsigned int i = 0; i < r->shares; i++) {
		one_share(to, &r->share[i]);
		fputs(i + 1 < r->shares ? ",\n" : "\n", to);
	}
	fputs("  ],\n  \"skipped\": [\n", to);
	for (unsigned int i = 0; i < r->nr_skipped; i++) {
		fputs("    {", to);
		text(to, "what", r->skipped[i]);
		fputs(i + 1 < r->nr_skipped ? "},\n" : "}\n", to);
	}
	fputs("  ],\n  \"targets\": [\n", to);
	for (unsigned int i = 0; i < r->targets; i++) {
		one_target(to, r, &r->target[i]);
		fputs(i + 1 < r->targets ? ",\n" : "\n", to);
	}
	fputs("  ]\n}\n", to);
	ok = !ferror(to);
	return !fclose(to) && ok;
}
