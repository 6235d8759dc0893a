// SPDX-License-Identifier: MIT
/*
 * vgpu-vector-add.c - adds vectors on the vgpu device, and checks every bit
 *
 * One line a run, on stdout: PASSED, or FAILED and why. Runs are made by as
 * many threads as asked for, each with its own three arrays, on one device.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu-smi-diagnose.h"

#define DEFAULT_PATH "/dev/vgpufront"
#define MAX_THREADS 64

static struct {
	const char *path;
	size_t n;
	uint64_t repeat, seed;
	unsigned int threads;
	bool async, buffers;
} opt = {.path = DEFAULT_PATH, .n = 1024, .repeat = 1, .seed = 1, .threads = 1};

static struct vgpu_device *dev;
static struct vgpu_device_info info;

struct worker {
	pthread_t thread;
	unsigned int nr;
	bool failed;
	float *vec[3];
	struct vgpu_buffer *buf[3];
};

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: vgpu-vector-add [OPTION]...\n"
		"Adds two vectors of random floats on the vgpu device of this Xen guest and\n"
		"compares the sum, bit for bit, with its own.\n\n"
		"  -n, --count=N      elements (1024)\n"
		"  -r, --repeat=N     runs, each with other data (1)\n"
		"  -s, --seed=N       of the data (1)\n"
		"  -t, --threads=N    threads that do this at once, 1 to 64 (1)\n"
		"  -a, --async        asynchronous calls, a stream for each thread\n"
		"  -b, --buffers      vectors in memory shared with the backend\n"
		"  -d, --device=PATH  (" DEFAULT_PATH ")\n"
		"  -h, --help         this text\n"
		"  -V, --version      version of the program and its library\n\n"
		"Exit status: 0 all runs passed, 1 a run failed or there is no device, 2 wrong\n"
		"usage.\n");
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9' ||
	    *out < min || *out > max) {
		fprintf(stderr,
			"vgpu-vector-add: %s is not a number from %" PRIu64
			" to %" PRIu64 "\n",
			text, min, max);
		return false;
	}
	return true;
}

/* Any finite float, subnormal or huge: their sum has no NaN. */
static void fill(float *vec, size_t n, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + 0xd1b54a32d192ed03;
	uint32_t bits;
	size_t i;

	for (i = 0; i < n; i++) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		bits = (uint32_t)((x * 0x2545f4914f6cdd1d) >> 32);
		if ((bits & 0x7f800000) == 0x7f800000)
			bits &= ~0x40000000u;
		memcpy(&vec[i], &bits, sizeof(bits));
	}
}

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static int add(struct worker *w)
{
	struct vgpu_op *op;
	int err;

	if (!opt.async)
		return vgpu_vector_add(dev, w->vec[0], w->vec[1], w->vec[2],
				       opt.n);
	err = vgpu_vector_add_async(dev, w->vec[0], w->vec[1], w->vec[2], opt.n,
				    w->nr, &op);
	if (err)
		return err;
	err = vgpu_op_wait(op, -1);
	if (!err)
		err = vgpu_op_result(op);
	vgpu_op_free(op);
	return err;
}

/* As people write it. */
static const char *engine_name(void)
{
	return strcmp(info.engine, "cuda") ? info.engine : "CUDA";
}

static void report(const struct worker *w, size_t errors, size_t first)
{
	const float *a = w->vec[0], *b = w->vec[1], *c = w->vec[2];

	/* One call, so that lines of threads do not mix. */
	if (!errors)
		printf("Vector add PASSED: %zu elements, 0 errors (%s on %s)\n",
		       opt.n, engine_name(), info.gpu_name);
	else
		printf("Vector add FAILED: %zu elements, %zu errors (%s on %s): at %zu 0x%08x + 0x%08x gave 0x%08x, not 0x%08x\n",
		       opt.n, errors, engine_name(), info.gpu_name, first,
		       bits_of(a[first]), bits_of(b[first]), bits_of(c[first]),
		       bits_of(a[first] + b[first]));
	fflush(stdout);
}

static bool run(struct worker *w, uint64_t nr)
{
	uint64_t seed = opt.seed + 2 * (nr * opt.threads + w->nr);
	size_t i, errors = 0, first = 0;
	int err;

	fill(w->vec[0], opt.n, seed);
	fill(w->vec[1], opt.n, seed + 1);
	/* A NaN that no sum is: what is not written is an error. */
	memset(w->vec[2], 0xff, opt.n * sizeof(float));
	err = add(w);
	if (err) {
		printf("Vector add FAILED: %zu elements: %s\n", opt.n,
		       vgpu_strerror(err));
		fflush(stdout);
		return false;
	}
	for (i = 0; i < opt.n; i++) {
		float sum = w->vec[0][i] + w->vec[1][i];

		if (bits_of(sum) != bits_of(w->vec[2][i]) && !errors++)
			first = i;
	}
	report(w, errors, first);
	return !errors;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t i;

	for (i = 0; i < opt.repeat && !w->failed; i++)
		w->failed = !run(w, i);
	return NULL;
}

static int memory(struct worker *w)
{
	size_t size = (opt.n ? opt.n : 1) * sizeof(float);
	int i, err;

	for (i = 0; i < 3; i++) {
		if (!opt.buffers) {
			w->vec[i] = malloc(size);
			if (!w->vec[i])
				return -ENOMEM;
			continue;
		}
		err = vgpu_buffer_alloc(dev, size, &w->buf[i]);
		if (err)
			return err;
		w->vec[i] = vgpu_buffer_ptr(w->buf[i]);
	}
	return 0;
}

static bool all_runs(void)
{
	static struct worker workers[MAX_THREADS];
	unsigned int i, started;
	bool ok = true;
	int err = 0;

	for (i = 0; i < opt.threads; i++) {
		workers[i].nr = i;
		err = memory(&workers[i]);
		if (err) {
			printf("Vector add FAILED: memory for %zu elements: %s\n",
			       opt.n, vgpu_strerror(err));
			return false;
		}
	}
	for (started = 1; started < opt.threads && !err; started += !err)
		err = pthread_create(&workers[started].thread, NULL, work,
				     &workers[started]);
	work(&workers[0]);
	for (i = 1; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	if (err)
		printf("Vector add FAILED: thread: %s\n", vgpu_strerror(err));
	for (i = 0; i < opt.threads; i++)
		ok &= !workers[i].failed;
	for (i = 0; i < 3 * opt.threads && !opt.buffers; i++)
		free(workers[i / 3].vec[i % 3]);
	return ok && !err;
}

static int options(int argc, char **argv)
{
	static const struct option options[] = {
		{"count", required_argument, NULL, 'n'},
		{"repeat", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 's'},
		{"threads", required_argument, NULL, 't'},
		{"async", no_argument, NULL, 'a'},
		{"buffers", no_argument, NULL, 'b'},
		{"device", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	uint64_t value;
	bool ok = true;
	int c;

	while ((c = getopt_long(argc, argv, "n:r:s:t:abd:hV", options, NULL)) !=
	       -1) {
		switch (c) {
		case 'n':
			ok &= number(optarg, 0, PTRDIFF_MAX / sizeof(float),
				     &value);
			opt.n = (size_t)value;
			break;
		case 'r':
			ok &= number(optarg, 1, UINT32_MAX, &opt.repeat);
			break;
		case 's':
			ok &= number(optarg, 0, UINT64_MAX, &opt.seed);
			break;
		case 't':
			ok &= number(optarg, 1, MAX_THREADS, &value);
			opt.threads = (unsigned int)value;
			break;
		case 'a':
			opt.async = true;
			break;
		case 'b':
			opt.buffers = true;
			break;
		case 'd':
			opt.path = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			printf("vgpu-vector-add %s\n", vgpu_version());
			exit(0);
		default:
			ok = false;
		}
	}
	if (ok && optind < argc) {
		fprintf(stderr, "vgpu-vector-add: unexpected argument %s\n",
			argv[optind]);
		ok = false;
	}
	if (!ok)
		usage(stderr);
	return ok ? 0 : 2;
}

int main(int argc, char **argv)
{
	char why[512];
	bool ok;
	int err;

	if (options(argc, argv))
		return 2;
	err = vgpu_open(opt.path, &dev);
	if (!err)
		err = vgpu_get_info(dev, &info);
	if (err)
		diagnose_open("", opt.path, err, why, sizeof(why));
	else
		diagnose_state(&info, why, sizeof(why));
	if (*why) {
		fprintf(stderr, "vgpu-vector-add: %s\n", why);
		vgpu_close(dev);
		return 1;
	}
	ok = all_runs();
	vgpu_close(dev);
	return ok ? 0 : 1;
}
