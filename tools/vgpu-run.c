// SPDX-License-Identifier: MIT
/*
 * vgpu-run.c - runs a kernel from the shell
 *
 * One process, one thread, one stream. Everything that can be wrong with the
 * command line and its files is found before the device is opened, and
 * everything that can be wrong with the arguments before the kernel runs.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parse-size.h"
#include "vgpu-run.h"
#include "vgpu-smi-diagnose.h"

#define DEFAULT_PATH "/dev/vgpufront"
#define MAX_REPEAT 100000
#define MAX_PARAMS 1024
#define LOG_SIZE 65536
/* As the examples: nothing is wrong, but this engine has no GPU. */
#define NO_GPU 77

static struct {
	const char *path, *kernel, *function;
	struct vgpu_dim grid, block;
	uint64_t shared, repeat;
	bool params;
} opt = {
	.path = DEFAULT_PATH,
	.grid = {1, 1, 1},
	.block = {1, 1, 1},
	.repeat = 1,
};

static struct vgpu_device *dev;
static struct vgpu_device_info info;
static struct run_arg args[MAX_PARAMS];
static unsigned int nr_args;

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: vgpu-run [OPTION]... KERNEL FUNCTION [ARGUMENT]...\n"
		"Runs FUNCTION of the file KERNEL (PTX, cubin or fat binary) on the vgpu device of\n"
		"this Xen guest.\n\n"
		"Arguments, in the kernel's order:\n"
		"  i32:N u32:N i64:N u64:N f32:X f64:X   a value; also i8: u8: i16: u16:\n"
		"  in:FILE                 memory of the device, filled from FILE\n"
		"  out:FILE:SIZE           zeroed memory, written to FILE afterwards\n"
		"  inout:FILE[:OUTFILE]    filled from FILE, written to OUTFILE, or FILE\n"
		"  zero:SIZE               zeroed memory\n"
		"SIZE is in bytes, or with K, M or G. - as FILE is the standard input or output.\n\n"
		"  -g, --grid=X[,Y[,Z]]    blocks (1)\n"
		"  -b, --block=X[,Y[,Z]]   threads of a block (1)\n"
		"  -s, --shared=SIZE       dynamic shared memory of a block (0)\n"
		"  -r, --repeat=N          run it N times; the time is the median (1)\n"
		"  -p, --params            list what FUNCTION takes, and run nothing\n"
		"  -d, --device=PATH       (" DEFAULT_PATH ")\n"
		"  -h, --help              this text\n"
		"  -V, --version           version of the program and its library\n\n"
		"Exit status: 0 it ran, 1 it did not, 2 wrong arguments or files, 77 this engine\n"
		"has no GPU.\n");
}

static bool bad(const char *what, const char *text, const char *want)
{
	fprintf(stderr, "vgpu-run: %s %s is not %s\n", what, text, want);
	return false;
}

/* X[,Y[,Z]], each a number from 1 */
static bool dim(const char *what, const char *text, struct vgpu_dim *out)
{
	uint32_t *const number[] = {&out->x, &out->y, &out->z};
	const char *at = text;
	unsigned long long value;
	unsigned int i;
	char *end;

	*out = (struct vgpu_dim){1, 1, 1};
	for (i = 0; i < 3; i++) {
		if (*at < '0' || *at > '9')
			break;
		errno = 0;
		value = strtoull(at, &end, 10);
		if (errno || !value || value > UINT32_MAX)
			break;
		*number[i] = (uint32_t)value;
		if (!*end)
			return true;
		if (*end != ',')
			break;
		at = end + 1;
	}
	return bad(what, text, "X[,Y[,Z]], each at least 1");
}

static bool option(int c)
{
	switch (c) {
	case 'g':
		return dim("grid", optarg, &opt.grid);
	case 'b':
		return dim("block", optarg, &opt.block);
	case 's':
		return parse_size(optarg, 0, UINT32_MAX, &opt.shared) ||
		       bad("shared memory", optarg,
			   "a size: bytes, or with K, M or G");
	case 'r':
		return parse_size(optarg, 1, MAX_REPEAT, &opt.repeat) ||
		       bad("repeat", optarg, "a number from 1 to 100000");
	case 'p':
		opt.params = true;
		return true;
	case 'd':
		opt.path = optarg;
		return true;
	case 'h':
		usage(stdout);
		exit(0);
	case 'V':
		printf("vgpu-run %s\n", vgpu_version());
		exit(0);
	default:
		return false;
	}
}

static bool options(int argc, char **argv)
{
	static const struct option options[] = {
		{"grid", required_argument, NULL, 'g'},
		{"block", required_argument, NULL, 'b'},
		{"shared", required_argument, NULL, 's'},
		{"repeat", required_argument, NULL, 'r'},
		{"params", no_argument, NULL, 'p'},
		{"device", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "g:b:s:r:pd:hV", options, NULL)) !=
	       -1)
		if (!option(c))
			return false;
	if (argc - optind < 2) {
		fprintf(stderr, "vgpu-run: %s\n",
			argc == optind ? "no KERNEL and no FUNCTION" :
					 "no FUNCTION");
		return false;
	}
	opt.kernel = argv[optind++];
	opt.function = argv[optind++];
	if (argc - optind > MAX_PARAMS || (opt.params && argc > optind)) {
		fprintf(stderr, "vgpu-run: %s\n",
			opt.params ? "--params takes no arguments" :
				     "too many arguments");
		return false;
	}
	return true;
}

static bool arguments(int argc, char **argv)
{
	for (; optind < argc; optind++, nr_args++)
		if (!run_arg_parse(&args[nr_args], nr_args + 1, argv[optind]))
			return false;
	return true;
}

static bool open_device(void)
{
	char why[512];
	int err = vgpu_open(opt.path, &dev);

	if (!err)
		err = vgpu_get_info(dev, &info);
	if (err)
		diagnose_open("", opt.path, err, why, sizeof(why));
	else
		diagnose_state(&info, why, sizeof(why));
	if (!*why)
		return true;
	fprintf(stderr, "vgpu-run: %s\n", why);
	return false;
}

static bool failed(const char *what, int err)
{
	fprintf(stderr, "vgpu-run: %s: %s\n", what, vgpu_strerror(err));
	return false;
}

/* It comes from another domain: a terminal gets no commands from there. */
static void print_log(const char *log)
{
	for (; *log; log++)
		fputc(*log == '\n' || *log == '\t' || isprint((unsigned char)*log) ?
			      *log : '?', stderr);
	fputc('\n', stderr);
}

static int load(const void *image, size_t size, struct vgpu_function **fn)
{
	static char log[LOG_SIZE];
	struct vgpu_module *mod;
	int err;

	err = vgpu_module_load(dev, image, size, log, sizeof(log), &mod);
	if (err == -ENXIO) {
		fprintf(stderr,
			"vgpu-run: this engine (%s) has no GPU and runs no own kernels\n",
			info.engine);
		return NO_GPU;
	}
	if (err) {
		failed(opt.kernel, err);
		if (*log)
			print_log(log);
		return 1;
	}
	err = vgpu_function_get(mod, opt.function, fn);
	if (err == -ENOENT)
		fprintf(stderr,
			"vgpu-run: %s has no kernel %s (one of C++ that is not extern \"C\" has a longer name)\n",
			opt.kernel, opt.function);
	else if (err)
		failed(opt.function, err);
	return err ? 1 : 0;
}

static int list_params(const struct vgpu_function *fn)
{
	const unsigned int nr = vgpu_function_params(fn);
	size_t offset, size;
	unsigned int i;

	printf("%s takes %u argument%s\n", opt.function, nr,
	       nr == 1 ? "" : "s");
	for (i = 0; i < nr; i++)
		if (!vgpu_function_param(fn, i, &offset, &size))
			printf("%3u: %zu bytes%s\n", i + 1, size,
			       size == 8 ? ", a value or memory" : "");
	return 0;
}

/* Sent together, so that the time is the kernel's and not of the way there. */
static int launch_once(struct vgpu_function *fn, void *const *params,
		       struct vgpu_event *start, struct vgpu_event *end)
{
	int err, ended;

	vgpu_batch_begin(dev);
	err = vgpu_event_record(start, 0);
	if (!err)
		err = vgpu_launch(fn, opt.grid, opt.block, (uint32_t)opt.shared,
				  0, params);
	if (!err)
		err = vgpu_event_record(end, 0);
	ended = vgpu_batch_end(dev);
	if (!err)
		err = ended;
	return err ? err : vgpu_fence(dev, 0);
}

static bool launches(struct vgpu_function *fn, int64_t *times)
{
	void *params[MAX_PARAMS];
	struct vgpu_event *start, *end;
	unsigned int i;
	int err;

	for (i = 0; i < nr_args; i++)
		params[i] = args[i].value;
	err = vgpu_event_create(dev, &start);
	if (!err)
		err = vgpu_event_create(dev, &end);
	if (err)
		return failed("event", err);
	for (i = 0; i < opt.repeat; i++) {
		err = launch_once(fn, params, start, end);
		if (err)
			return failed(opt.function, err);
		err = vgpu_event_elapsed(start, end, &times[i]);
		if (err)
			return failed("time", err);
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Beside data on stdout, the line would be part of it. */
static void report(int64_t *times)
{
	const size_t n = (size_t)opt.repeat;
	FILE *to = stdout;
	unsigned int i;

	for (i = 0; i < nr_args; i++)
		if (args[i].out_fd == STDOUT_FILENO)
			to = stderr;
	qsort(times, n, sizeof(*times), by_time);
	fprintf(to, "%s: %.1f us", opt.function, (double)times[n / 2] / 1e3);
	if (n > 1)
		fprintf(to, ", the median of %zu, %.1f to %.1f us", n,
			(double)times[0] / 1e3, (double)times[n - 1] / 1e3);
	fprintf(to, " (%s on %s)\n", info.engine, info.gpu_name);
}

static bool run(struct vgpu_function *fn)
{
	int64_t *times = calloc(opt.repeat, sizeof(*times));
	bool ok = times;
	unsigned int i;
	int err;

	for (i = 0; ok && i < nr_args; i++)
		ok = run_arg_upload(&args[i], dev);
	if (ok) {
		/* What fails from here on is the kernel's. */
		err = vgpu_fence(dev, 0);
		ok = (!err || failed("copy to the device", err)) &&
		     launches(fn, times);
	}
	for (i = 0; ok && i < nr_args; i++)
		ok = run_arg_download(&args[i], dev);
	if (ok) {
		err = vgpu_fence(dev, 0);
		ok = !err || failed("copy from the device", err);
	}
	for (i = 0; ok && i < nr_args; i++)
		ok = run_arg_write(&args[i]);
	if (ok)
		report(times);
	free(times);
	return ok;
}

static int on_device(const void *image, size_t size)
{
	struct vgpu_function *fn;
	int status;

	if (!open_device())
		return 1;
	status = load(image, size, &fn);
	if (status)
		return status;
	if (opt.params)
		return list_params(fn);
	if (!run_args_fit(args, nr_args, fn, opt.function))
		return 2;
	return run(fn) ? 0 : 1;
}

int main(int argc, char **argv)
{
	size_t size;
	void *image;
	int status;

	if (!options(argc, argv)) {
		fprintf(stderr, "Try vgpu-run --help\n");
		return 2;
	}
	if (!arguments(argc, argv))
		return 2;
	image = run_read_file("kernel", opt.kernel, &size);
	if (!image)
		return 2;
	status = on_device(image, size);
	vgpu_close(dev);
	free(image);
	return status;
}
