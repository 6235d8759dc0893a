// SPDX-License-Identifier: MIT
/*
 * options.c - what vgpubackd is told on its command line (see options.h)
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/registry.h"
#include "../xenstore-schema/values.h"
#include "log.h"

#define RUN_DIR "/run/xen-vgpu"

/* A switch from process to process takes a GPU some 120 microseconds. */
#define MIN_SLICE_US 100
#define MAX_SLICE_US 1000000

static void usage(FILE *to)
{
	fprintf(to,
		"usage: vgpubackd [OPTION]...\n"
		"Serves the vgpu devices of this Xen domain. Runs in the "
		"foreground; the log\n"
		"goes to stderr.\n"
		"\n"
		"  --engine auto|cpu|cuda|remote:ADDRESS|none\n"
		"                           what runs the work; auto (the "
		"default) is cuda and,\n"
		"                           where it fails its sanity gate, "
		"cpu; none remembers alone\n"
		"  --poll-us N              longest time that a worker looks "
		"for work before it\n"
		"                           sleeps, microseconds, 0: never "
		"(%d)\n"
		"  --max-mapped-pages N     of one device at a time (%d)\n"
		"  --max-launch-ms N        how long one kernel of a guest may "
		"run, 0: for ever\n"
		"                           (%d); one that takes longer costs "
		"the guest its worker\n"
		"  --slice-us N             how long a device keeps a GPU that "
		"others wait for,\n"
		"                           %d ... %d microseconds (%d)\n"
		"  --mps-pipe DIR           where the MPS daemon for devices "
		"with mps=1 is\n"
		"                           (CUDA_MPS_PIPE_DIRECTORY)\n"
		"  --debug-kernels          offer debug-fault, which costs a "
		"guest its worker\n"
		"  --log-level error|warn|info|debug\n"
		"  --run-dir DIR            where the lock is (" RUN_DIR ")\n"
		"  --state-file FILE        where vgpuctl remembers devices\n"
		"                           (" REGISTRY_PATH ")\n"
		"  --help, --version\n"
		"\n"
		"SIGTERM closes all devices and ends; SIGUSR1 logs "
		"statistics.\n",
		BACK_POLL_US, BACK_MAPPED_PAGES, BACK_LAUNCH_MS, MIN_SLICE_US,
		MAX_SLICE_US, ARBITER_SLICE_US);
}

static void bad_option(const char *option, const char *value)
{
	fprintf(stderr, "vgpubackd: %s \"%s\": see vgpubackd --help\n", option,
		value);
	exit(2);
}

static uint32_t number(const char *option, const char *text, uint32_t min,
		       uint32_t max)
{
	uint64_t n;

	if (vgpu_parse_uint(text, strlen(text), max, &n) && n >= min)
		return n;
	fprintf(stderr, "vgpubackd: %s \"%s\": must be %u to %u\n", option,
		text, min, max);
	exit(2);
}

void options_parse(struct options *opt, int argc, char **argv)
{
	enum {
		OPT_ENGINE = 1,
		OPT_POLL,
		OPT_PAGES,
		OPT_LAUNCH,
		OPT_SLICE,
		OPT_MPS,
		OPT_DEBUG,
		OPT_LEVEL,
		OPT_RUN_DIR,
		OPT_STATE_FILE,
		OPT_HELP,
		OPT_VERSION
	};
	static const struct option options[] = {
		{"engine", required_argument, NULL, OPT_ENGINE},
		{"poll-us", required_argument, NULL, OPT_POLL},
		{"max-mapped-pages", required_argument, NULL, OPT_PAGES},
		{"max-launch-ms", required_argument, NULL, OPT_LAUNCH},
		{"slice-us", required_argument, NULL, OPT_SLICE},
		{"mps-pipe", required_argument, NULL, OPT_MPS},
		{"debug-kernels", no_argument, NULL, OPT_DEBUG},
		{"log-level", required_argument, NULL, OPT_LEVEL},
		{"run-dir", required_argument, NULL, OPT_RUN_DIR},
		{"state-file", required_argument, NULL, OPT_STATE_FILE},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	enum log_level level;
	int c;

	*opt = (struct options){
		.engine = "auto",
		.run_dir = RUN_DIR,
		.state_file = REGISTRY_PATH,
		.slice_us = ARBITER_SLICE_US,
		.policy = {.poll_us = BACK_POLL_US,
			   .max_mapped_pages = BACK_MAPPED_PAGES,
			   .max_launch_ms = BACK_LAUNCH_MS,
			   .kernels = BACK_KERNELS},
	};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_ENGINE:
			if (!offers_engine_ok(optarg))
				bad_option("--engine", optarg);
			opt->engine = optarg;
			break;
		case OPT_POLL:
			opt->policy.poll_us = number("--poll-us", optarg, 0,
						     BACK_MAX_POLL_US);
			break;
		case OPT_PAGES:
			opt->policy.max_mapped_pages =
				number("--max-mapped-pages", optarg, 1,
				       BACK_MAX_MAPPED_PAGES);
			break;
		case OPT_LAUNCH:
			opt->policy.max_launch_ms =
				number("--max-launch-ms", optarg, 0,
				       BACK_MAX_LAUNCH_MS);
			break;
		case OPT_SLICE:
			opt->slice_us = number("--slice-us", optarg,
					       MIN_SLICE_US, MAX_SLICE_US);
			break;
		case OPT_MPS:
			if (optarg[0] != '/' || strlen(optarg) > CHILD_MAX_MPS)
				bad_option("--mps-pipe", optarg);
			opt->policy.mps_pipe = optarg;
			break;
		case OPT_DEBUG:
			opt->policy.kernels |= BACK_DEBUG_KERNELS;
			break;
		case OPT_LEVEL:
			if (!log_level_by_name(optarg, &level))
				bad_option("--log-level", optarg);
			log_set_level(level);
			break;
		case OPT_RUN_DIR:
			opt->run_dir = optarg;
			break;
		case OPT_STATE_FILE:
			if (!*optarg)
				bad_option("--state-file", optarg);
			opt->state_file = optarg;
			break;
		case OPT_HELP:
			usage(stdout);
			exit(0);
		case OPT_VERSION:
			puts("vgpubackd " VGPU_VERSION);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}
