/* SPDX-License-Identifier: MIT */
/*
 * example.h - what the examples with kernels of their own have in common
 *
 * Not part of the library: command line, device, module, and the last line.
 * Each example is one program of one thread. Its exit status:
 *
 *   0   NAME PASSED: ...
 *   1   NAME FAILED: ..., also where there is no device
 *   2   wrong usage
 *   77  NAME: this engine (cpu) runs no own kernels: nothing to show
 *
 * An example ends at the first error and frees nothing before: what a process
 * leaves behind, module and backend reclaim. A program that goes on frees it.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vgpufront.h>

#define EXAMPLE_SKIPPED 77

/* An example fills in its name and the defaults. */
struct example {
	const char *name;
	const char *n_is; /* what -n counts; n is the default */
	unsigned int n, min_n, max_n;
	const char *output; /* -o, a file; NULL: the example writes none */
	const char *ptx;    /* -k, a file; NULL: NAME.ptx beside the program */
	struct vgpu_device *dev;
	struct vgpu_device_info info;
};

/* The last line. */
__attribute__((noreturn, format(printf, 3, 4))) static inline void
example_end(struct example *ex, int status, const char *text, ...)
{
	va_list args;

	printf("%s %s: ", ex->name, status ? "FAILED" : "PASSED");
	va_start(args, text);
	vprintf(text, args);
	va_end(args);
	if (ex->info.engine[0])
		printf(" (%s on %s)", ex->info.engine, ex->info.gpu_name);
	printf("\n");
	exit(status);
}

#define example_passed(ex, ...) example_end(ex, EXIT_SUCCESS, __VA_ARGS__)
#define example_failed(ex, ...) example_end(ex, EXIT_FAILURE, __VA_ARGS__)

/* Around every call of the library: goes on where it said 0. */
static inline void example_must(struct example *ex, int err, const char *what)
{
	if (err < 0)
		example_failed(ex, "%s: %s", what, vgpu_strerror(err));
}

static inline void *example_memory(struct example *ex, size_t size)
{
	void *ptr = malloc(size);

	if (!ptr)
		example_failed(ex, "no memory for %zu bytes", size);
	return ptr;
}

__attribute__((noreturn)) static inline void
example_usage(const struct example *ex)
{
	fprintf(stderr,
		"Usage: %s [-n N] [-k FILE.ptx]%s\n"
		"  -n N         %s, %u to %u (%u)\n"
		"  -k FILE.ptx  the kernels (%s.ptx beside the program)\n",
		ex->name, ex->output ? " [-o FILE]" : "", ex->n_is, ex->min_n,
		ex->max_n, ex->n, ex->name);
	if (ex->output)
		fprintf(stderr, "  -o FILE      what to write (%s)\n",
			ex->output);
	exit(2);
}

/* Command line and device. */
static inline void example_begin(struct example *ex, int argc, char **argv)
{
	const unsigned int n = ex->n;
	unsigned long value;
	char *end;
	int c;

	while ((c = getopt(argc, argv, ex->output ? "n:k:o:" : "n:k:")) != -1) {
		if (c == '?')
			example_usage(ex);
		if (c == 'k')
			ex->ptx = optarg;
		if (c == 'o')
			ex->output = optarg;
		if (c != 'n')
			continue;
		value = strtoul(optarg, &end, 10);
		ex->n = n;
		if (*end || *optarg < '0' || *optarg > '9' ||
		    value < ex->min_n || value > ex->max_n)
			example_usage(ex);
		ex->n = (unsigned int)value;
	}
	if (optind < argc)
		example_usage(ex);
	example_must(ex, vgpu_open(NULL, &ex->dev), "vgpu_open");
	example_must(ex, vgpu_get_info(ex->dev, &ex->info), "vgpu_get_info");
}

/* NAME.ptx in the directory that the program itself is in, or what -k names. */
static inline FILE *example_open_ptx(struct example *ex)
{
	static char path[4096];
	char *slash;
	FILE *f;

	if (!ex->ptx) {
		if (readlink("/proc/self/exe", path, sizeof(path) - 64) < 0)
			example_failed(ex, "/proc/self/exe: %s",
				       strerror(errno));
		slash = strrchr(path, '/');
		snprintf(slash + 1, 64, "%s.ptx", ex->name);
		ex->ptx = path;
	}
	f = fopen(ex->ptx, "r");
	if (!f)
		example_failed(ex, "%s: %s", ex->ptx, strerror(errno));
	return f;
}

/*
 * A module is code for the GPU: here PTX text, which the driver on the other
 * side compiles for the GPU it has. So it needs no nvcc where it runs, and not
 * to know the GPU. The engine cpu has none and says -ENXIO.
 */
static inline struct vgpu_module *example_load(struct example *ex)
{
	static char image[1 << 20], log[8192];
	FILE *f = example_open_ptx(ex);
	size_t size = fread(image, 1, sizeof(image), f);
	struct vgpu_module *mod;
	int err;

	fclose(f);
	err = vgpu_module_load(ex->dev, image, size, log, sizeof(log), &mod);
	if (err == -ENXIO) {
		printf("%s: this engine (%s) runs no own kernels: nothing to show\n",
		       ex->name, ex->info.engine);
		exit(EXAMPLE_SKIPPED);
	}
	if (err == -ENOEXEC)
		fprintf(stderr, "%s\n", log);
	example_must(ex, err, "vgpu_module_load");
	return mod;
}

static inline struct vgpu_function *
example_function(struct example *ex, struct vgpu_module *mod, const char *name)
{
	struct vgpu_function *fn;

	example_must(ex, vgpu_function_get(mod, name, &fn), name);
	return fn;
}

static inline struct vgpu_dim example_dim(uint32_t x, uint32_t y)
{
	return (struct vgpu_dim){x, y, 1};
}

#endif /* EXAMPLE_H */
