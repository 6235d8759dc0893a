/* SPDX-License-Identifier: MIT */
/*
 * options.h - what vgpubackd is told on its command line
 *
 * Read once, before anything else is done; wrong options end the process with
 * status 2.
 */
#ifndef VGPU_BACKEND_OPTIONS_H
#define VGPU_BACKEND_OPTIONS_H

#include <stdint.h>

#include "backd.h"

/* The strings are the command line's. */
struct options {
	const char *engine;
	const char *run_dir;
	const char *state_file;
	uint32_t slice_us;
	struct policy policy;
};

/* Fills opt; --help and --version end the process, too. Sets the log's level. */
void options_parse(struct options *opt, int argc, char **argv);

#endif /* VGPU_BACKEND_OPTIONS_H */
