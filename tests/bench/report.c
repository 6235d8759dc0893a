// SPDX-License-Identifier: MIT
/*
 * report.c - the table (see report.h)
 */
#include "report.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void report_host(struct report_host *h)
{
	static const char key[] = "model name";
	time_t now = time(NULL);
	struct utsname u;
	char line[256];
	struct tm tm;
	FILE *f;

	memset(h, 0, sizeof(*h));
	strftime(h->date, sizeof(h->date), "%Y-%m-%dT%H:%M:%SZ",
		 gmtime_r(&now, &tm));
	if (!uname(&u))
		snprintf(h->kernel, sizeof(h->kernel), "%.40s %.80s", u.sysname,
			 u.release);
	h->processors = sysconf(_SC_NPROCESSORS_ONLN);
	f = fopen("/proc/cpuinfo", "re");
	while (f && !*h->cpu && fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');

		if (!strncmp(line, key, sizeof(key) - 1) && colon)
			snprintf(h->cpu, sizeof(h->cpu), "%.*s",
				 (int)strcspn(colon + 1 + (colon[1] == ' '),
					      "\n"),
				 colon + 1 + (colon[1] == ' '));
	}
	if (f)
		fclose(f);
}

static const char *size_text(uint32_t n, char text[16])
{
	if (n >= 1 << 20)
		snprintf(text, 16, "%u Mi", n >> 20);
	else if (n >= 1 << 10)
		snprintf(text, 16, "%u Ki", n >> 10);
	else
		snprintf(text, 16, "%u", n);
	return text;
}

static void times(FILE *to, const struct row *row)
{
	const double value[] = {row->p50, row->p99, row->p999, row->max};

	fprintf(to, " %8u", row->ops);
	for (int i = 0; i < 4; i++)
		fprintf(to, " %11.2f", value[i] / 1000);
}

static void ratio(FILE *to, const struct results *r, const struct row *row)
{
	if (row->peer >= 0)
		fprintf(to, "  %6.2f x %s", row->ratio, r->row[row->peer].name);
}

static void nops(FILE *to, const struct results *r)
{
	fprintf(to,
		"\nround trips of a NOP, and what two bare processes need\n"
		"%-34s %8s %11s %11s %11s %11s  ratio of p50\n",
		"", "ops", "p50 us", "p99 us", "p99.9 us", "max us");
	for (unsigned int i = 0; i < r->rows; i++) {
		const struct row *row = &r->row[i];

		if (row->section != SECTION_FLOOR &&
		    row->section != SECTION_NOP)
			continue;
		fprintf(to, "%-34s", row->name);
		times(to, row);
		ratio(to, r, row);
		fputc('\n', to);
	}
}

static void batches(FILE *to, const struct results *r)
{
	fprintf(to,
		"\nbatches of NOPs: both sides' notifications and wake-ups per batch\n"
		"%-34s %6s %11s %11s %8s %8s\n",
		"", "batch", "ns per NOP", "p99 us", "sent", "woken");
	for (unsigned int i = 0; i < r->rows; i++) {
		const struct row *row = &r->row[i];

		if (row->section != SECTION_NOP &&
		    row->section != SECTION_BATCH)
			continue;
		fprintf(to, "%-34s %6u %11.1f %11.2f %8.2f %8.2f\n", row->name,
			row->batch, row->p50 / row->batch, row->p99 / 1000,
			row->sent, row->woken);
	}
}

static void adds(FILE *to, const struct results *r)
{
	char size[16];

	fprintf(to,
		"\nvector add: inputs from and result to host memory, 12 octets an element\n"
		"%-8s %-28s %-6s %8s %11s %11s %11s %11s %7s %7s  how\n",
		"elements", "", "engine", "ops", "p50 us", "p99 us", "p99.9 us",
		"max us", "GB/s", "ratio");
	for (unsigned int k = 0; k < bench_nr_sizes; k++) {
		for (unsigned int i = 0; i < r->rows; i++) {
			const struct row *row = &r->row[i];

			if (row->elements != bench_sizes[k])
				continue;
			fprintf(to, "%-8s %-28s %-6s",
				size_text(row->elements, size), row->name,
				row->engine);
			times(to, row);
			fprintf(to, " %7.2f", row->elements * 12.0 / row->p50);
			if (row->peer >= 0)
				fprintf(to, " %7.2f", row->ratio);
			else
				fprintf(to, " %7s", "");
			fprintf(to, "  %s%s\n", row->variant,
				row->right ? "" : "  WRONG SUMS");
		}
	}
}

/* What a row's time is for: bytes, operations, or launches. */
static void speed(FILE *to, const struct row *row)
{
	if (row->bytes)
		fprintf(to, " %9.2f GB/s    ", row->bytes / row->p50);
	else if (row->flops)
		fprintf(to, " %9.2f TFLOP/s ", row->flops / row->p50 / 1000);
	else
		fprintf(to, " %9.0f ns each ", row->p50 / row->batch);
}

static void compute(FILE *to, const struct results *r)
{
	fprintf(to,
		"\na guest's program, by calls of its library; and the same by CUDA's driver API\n"
		"%-42s %-8s %8s %11s %11s %11s %11s %18s  ratio of p50\n",
		"", "", "ops", "p50 us", "p99 us", "p99.9 us", "max us", "");
	for (unsigned int i = 0; i < r->rows; i++) {
		const struct row *row = &r->row[i];

		if (row->section != SECTION_BARE_COMPUTE &&
		    row->section != SECTION_COMPUTE)
			continue;
		fprintf(to, "%-42s %-8s", row->name,
			row->section == SECTION_COMPUTE ? "library" : "bare");
		times(to, row);
		speed(to, row);
		if (row->peer >= 0)
			fprintf(to, "  %6.2f x bare", row->ratio);
		if (row->engine_ns > 0)
			fprintf(to, "  engine %.2f us,", row->engine_ns / 1000);
		fprintf(to, "  %s\n", row->variant);
	}
}

static void calls(FILE *to, const struct results *r)
{
	fprintf(to,
		"\ncalls of a guest's program for each batch of launches, and for the fence behind it; both sides sleep\n"
		"%-8s %8s %14s %14s %14s %14s %14s\n",
		"batch", "ops", "system calls", "events sent", "fence: calls",
		"fence: sent", "events taken");
	for (unsigned int i = 0; i < r->calls; i++) {
		const struct call_row *c = &r->call[i];
		double n = c->ops;

		fprintf(to, "%-8u %8u %14.2f %14.2f %14.2f %14.2f %14.2f\n",
			c->batch, c->ops, c->enters / n, c->sent / n,
			c->fence_enters / n, c->fence_sent / n, c->events / n);
	}
}

static void counts(FILE *to, const struct results *r)
{
	fprintf(to,
		"\nsystem calls (all threads, by ptrace) and sleeps, per request\n"
		"%-34s %8s %10s %10s %10s %10s  calls of the worker\n",
		"", "requests", "front", "worker", "fr. sleeps", "wk. sleeps");
	for (unsigned int i = 0; i < r->counts; i++) {
		const struct count_row *c = &r->count[i];
		double n = c->requests;

		fprintf(to, "%-34s %8u", c->name, c->requests);
		if (c->traced)
			fprintf(to, " %10.4f %10.4f", c->front_calls / n,
				c->worker_calls / n);
		else
			fprintf(to, " %10s %10s", "refused", "refused");
		fprintf(to, " %10.4f %10.4f  %s\n", c->front_sleeps / n,
			c->worker_sleeps / n, c->worker_names);
	}
}

static void idle_adds(FILE *to, const struct results *r)
{
	fprintf(to,
		"\nvector add of 1,024 by one who was idle for some milliseconds, beside one who works without pause\n"
		"%-50s %-8s %8s %11s %11s %11s %11s  ratio of p50\n",
		"", "", "ops", "p50 us", "p99 us", "p99.9 us", "max us");
	for (unsigned int i = 0; i < r->rows; i++) {
		const struct row *row = &r->row[i];

		if (row->section != SECTION_BARE_NEIGHBOUR &&
		    row->section != SECTION_NEIGHBOUR)
			continue;
		fprintf(to, "%-50s %-8s", row->name,
			row->section == SECTION_NEIGHBOUR ? "guests" : "bare");
		times(to, row);
		if (row->peer >= 0)
			fprintf(to, "  %6.2f x bare", row->ratio);
		fprintf(to, "  %s\n", row->variant);
	}
}

static void shares(FILE *to, const struct results *r)
{
	fprintf(to,
		"\nwork without pause, by one or by two; what is charged is the daemon's account\n"
		"%-50s %-8s %10s %10s %11s %11s %9s %9s\n",
		"", "", "1st, 1/s", "2nd, 1/s", "% of alone", "ratio",
		"% off", "charged");
	for (unsigned int i = 0; i < r->shares; i++) {
		const struct share_row *s = &r->share[i];
		double seconds = s->elapsed_ns / 1e9;

		fprintf(to, "%-50s %-8s %10.0f %10.0f %11.1f", s->name,
			s->section == SECTION_NEIGHBOUR ? "guests" : "bare",
			s->done[0] / seconds, s->done[1] / seconds,
			100 * s->total);
		if (s->weight[1])
			fprintf(to, " %11.3f %9.2f",
				s->done[0] ? (double)s->done[1] / s->done[0] :
					     0,
				s->off_kernels);
		if (s->weight[1] && s->charged)
			fprintf(to, " %9.2f", s->off_charged);
		fprintf(to, "  %s\n", s->how);
	}
	for (unsigned int i = 0; i < r->nr_skipped; i++)
		fprintf(to, "not measured: %s\n", r->skipped[i]);
}

static void targets(FILE *to, const struct results *r)
{
	fprintf(to, "\n%-50s %10s %10s\n", "to reach, on a GPU", "value",
		"limit");
	for (unsigned int i = 0; i < r->targets; i++) {
		const struct target *t = &r->target[i];
		const char *verdict =
			target_reached(t) ? "reached" : "not reached";

		fprintf(to, "%-50s %10.2f %10.2f %-10s %s\n", t->name, t->value,
			t->limit, t->unit,
			strcmp(r->engine, "cuda") ? "not judged: no GPU" :
						    verdict);
	}
}

void report_table(FILE *to, const struct results *r,
		  const struct report_host *h)
{
	fprintf(to, "vgpu-bench " VGPU_VERSION ", %s\n%s, %ld processors, %s\n",
		h->date, h->cpu, h->processors, h->kernel);
	if (strcmp(r->engine, "cuda"))
		fprintf(to, "engine %s on %s: no GPU%s%s\n", r->engine, r->gpu,
			*r->why_cpu ? ": " : "", r->why_cpu);
	else
		fprintf(to,
			"engine cuda on %s, compute capability %s, driver %s\n",
			r->gpu, r->compute, r->driver);
	if (*r->tuning)
		fprintf(to, "the engine's own measurements: %s\n", r->tuning);
	if (r->calls) {
		fprintf(to, "DMA test of what is to be pinned in place: %s\n",
			r->dma_test);
		nops(to, r);
		batches(to, r);
		adds(to, r);
		counts(to, r);
		compute(to, r);
		calls(to, r);
	}
	idle_adds(to, r);
	shares(to, r);
	targets(to, r);
}
