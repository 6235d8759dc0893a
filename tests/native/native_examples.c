// SPDX-License-Identifier: MIT
/*
 * native_examples.c - examples and tools of the guest, without Xen
 *
 * Their own objects, main() renamed by the build, over the device in user space:
 * what a person sees in a guest can be seen on any machine with the GPU. One
 * program a run, in this process. The backend's log is shown where something is
 * left, or the world does not start.
 */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_GRANTS 200000

/* PROGRAMS(X) is the build's: X(function, "name") each. */
#define DECLARE(function, name) int function(int argc, char **argv);
PROGRAMS(DECLARE)
#undef DECLARE

struct program {
	const char *name;
	int (*main)(int argc, char **argv);
};

static const struct program programs[] = {
#define ENTRY(function, name) {name, function},
	PROGRAMS(ENTRY)
#undef ENTRY
};

#define NR_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static int usage(void)
{
	fputs("usage: native_examples [--engine cpu|cuda|auto] PROGRAM "
	      "[ARGUMENT...]\nprograms:",
	      stderr);
	for (unsigned int i = 0; i < NR_PROGRAMS; i++)
		fprintf(stderr, " %s", programs[i].name);
	fputc('\n', stderr);
	return 2;
}

/* Programs may exit() anywhere, and leave everything to the kernel. */
static void clean_up(void)
{
	fflush(NULL);
	if (!guest_end())
		_exit(99);
}

static int run(const struct program *p, const char *engine, int argc,
	       char **argv)
{
	static const char *const options[] = {"--max-mapped-pages", "200000",
					      NULL};
	const struct guest_mode mode = {
		.engine = engine,
		.options = options,
		.max_grants = MAX_GRANTS,
	};

	if (!guest_begin(&mode))
		return 99;
	atexit(clean_up);
	return p->main(argc, argv);
}

int main(int argc, char **argv)
{
	const char *engine = "auto";
	int at = 1;

	if (argc > 2 && !strcmp(argv[1], "--engine")) {
		engine = argv[2];
		at = 3;
	}
	for (unsigned int i = 0; i < NR_PROGRAMS && at < argc; i++)
		if (!strcmp(programs[i].name, argv[at]))
			return run(&programs[i], engine, argc - at, argv + at);
	return usage();
}
