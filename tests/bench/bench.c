// SPDX-License-Identifier: MIT
/*
 * bench.c - vgpu-bench: how close the product comes to the machine
 *
 * Measures, in one run: what two processes need for a round trip at best; the
 * vector add without any of this, by CUDA or by threads; then the same through
 * frontend ring, unmodified backend and engine, without Xen (../native/); at last
 * what a guest's program does with its library, beside CUDA, and two guests on one
 * GPU, beside two bare processes. Ratios
 * between rows of one run are what counts. It sets no priority and no affinity,
 * but for the one row that says so.
 *
 * The program is the frontend. It must never load CUDA itself: what it measures
 * beside the product runs in a process that is gone before.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "measure_lib.h"
#include "measure_neighbour.h"
#include "peer.h"
#include "report.h"

static const struct bench_plan full_plan = {
	.polled_ops = 100000,
	.event_ops = 20000,
	.small_ops = 10000,
	.trial_ops = 20,
	.large_ops = 20,
	.budget_ns = 1500000000,
	.max_elements = 64 << 20,
	.idle_adds = 400,
	.settle_us = 200000,
	.observe_us = 1000000,
};

/* Few: where both sides share a processor, a round trip is a turn of others. */
static const struct bench_plan quick_plan = {
	.quick = true,
	.polled_ops = 40,
	.event_ops = 40,
	.small_ops = 20,
	.trial_ops = 2,
	.large_ops = 3,
	.budget_ns = 50000000,
	.max_elements = 1 << 20,
	.idle_adds = 5,
	.settle_us = 1000,
	.observe_us = 250000,
};

static void usage(FILE *to)
{
	fputs("usage: vgpu-bench [options]\n"
	      "  --engine auto|cpu|cuda  what runs the work; auto (the "
	      "default) is cuda,\n"
	      "                          and cpu where there is no GPU\n"
	      "  --neighbours            two guests on one engine, and nothing "
	      "else; with\n"
	      "                          --engine cpu or cuda\n"
	      "  --json FILE             write the results there too\n"
	      "  --quick                 a few operations up to 1 Mi elements: "
	      "no measurement,\n"
	      "                          but a test of this program\n"
	      "  --help, --version\n",
	      to);
}

/* The peer says which engine there is. */
static bool measure_bare(struct results *r, const struct bench_plan *plan,
			 const char *engine)
{
	char why[256];

	if (strcmp(engine, "cpu")) {
		snprintf(r->engine, sizeof(r->engine), "cuda");
		if (bare_apart(bare_cuda, r, plan, why))
			return true;
		if (!strcmp(engine, "cuda") || *r->gpu) {
			fprintf(stderr, "vgpu-bench: bare CUDA: %s\n", why);
			return false;
		}
		snprintf(r->why_cpu, sizeof(r->why_cpu), "%s", why);
	}
	snprintf(r->engine, sizeof(r->engine), "cpu");
	if (bare_apart(bare_cpu, r, plan, why))
		return true;
	fprintf(stderr, "vgpu-bench: bare threads: %s\n", why);
	return false;
}

/* Without a GPU nothing bare is like a launch. */
static bool measure_compute(struct results *r, const struct bench_plan *plan)
{
	char why[256];

	if (!strcmp(r->engine, "cuda") &&
	    (!bare_apart(bare_compute, r, plan, why) ||
	     !bare_apart(bare_compute_sleeping, r, plan, why))) {
		fprintf(stderr, "vgpu-bench: bare CUDA: %s\n", why);
		return false;
	}
	return measure_lib(r, plan);
}

static bool measure_sharing(struct results *r, const struct bench_plan *plan,
			    const char *engine)
{
	snprintf(r->engine, sizeof(r->engine), "%s", engine);
	if (!measure_neighbours(r, plan))
		return false;
	neighbour_targets(r);
	return true;
}

static bool measure(struct results *r, const struct bench_plan *plan,
		    const char *engine)
{
	if (!peer_cache_line(r, plan) || !peer_eventfd(r, plan)) {
		fprintf(stderr, "vgpu-bench: two bare processes: %s\n",
			strerror(errno));
		return false;
	}
	if (!measure_bare(r, plan, engine) ||
	    !measure_nops(r, plan, r->engine) ||
	    !measure_adds(r, plan, r->engine, false) ||
	    !measure_adds(r, plan, r->engine, true) ||
	    !measure_compute(r, plan) || !measure_neighbours(r, plan))
		return false;
	measure_targets(r);
	neighbour_targets(r);
	return true;
}

int main(int argc, char **argv)
{
	enum {
		OPT_ENGINE = 1,
		OPT_NEIGHBOURS,
		OPT_JSON,
		OPT_QUICK,
		OPT_HELP,
		OPT_VERSION
	};
	static const struct option options[] = {
		{"engine", required_argument, NULL, OPT_ENGINE},
		{"neighbours", no_argument, NULL, OPT_NEIGHBOURS},
		{"json", required_argument, NULL, OPT_JSON},
		{"quick", no_argument, NULL, OPT_QUICK},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	const struct bench_plan *plan = &full_plan;
	const char *engine = "auto", *json = NULL;
	static struct results r;
	struct report_host host;
	bool neighbours = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_ENGINE:
			engine = optarg;
			break;
		case OPT_NEIGHBOURS:
			neighbours = true;
			break;
		case OPT_JSON:
			json = optarg;
			break;
		case OPT_QUICK:
			plan = &quick_plan;
			break;
		case OPT_HELP:
			usage(stdout);
			return 0;
		case OPT_VERSION:
			puts("vgpu-bench " VGPU_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || (strcmp(engine, "auto") && strcmp(engine, "cpu") &&
			      strcmp(engine, "cuda")) ||
	    (neighbours && !strcmp(engine, "auto"))) {
		usage(stderr);
		return 2;
	}
	report_host(&host);
	if (!(neighbours ? measure_sharing : measure)(&r, plan, engine))
		return 1;
	report_table(stdout, &r, &host);
	if (json && !report_json(json, &r, &host, plan->quick)) {
		fprintf(stderr, "vgpu-bench: %s: %s\n", json, strerror(errno));
		return 1;
	}
	return 0;
}
