// SPDX-License-Identifier: MIT
/*
 * vgpu-bandwidth.c - how fast data gets to the device, back, and about in it
 *
 * One process, one thread, one stream. Each number is the median of some copies,
 * each waited for: what a program gets, with the way there and back. Times are
 * this machine's, by its clock. Every chain of copies ends in the memory it began
 * with, where every word is looked at.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libvgpufront/vgpufront.h"
#include "parse-size.h"
#include "vgpu-smi-diagnose.h"

#define DEFAULT_PATH "/dev/vgpufront"
#define MAX_SIZES 32
#define MAX_REPEAT 1000
#define MAX_SIZE (1ull << 40)

static struct {
	const char *path;
	uint64_t sizes[MAX_SIZES], repeat;
	unsigned int nr_sizes;
} opt = {
	.path = DEFAULT_PATH,
	.sizes = {64 << 10, 1 << 20, 16 << 20, 64 << 20},
	.nr_sizes = 4,
	.repeat = 10,
};

static struct vgpu_device *dev;
static struct vgpu_device_info info;

/* What is measured, in the order of the columns. */
enum column { H2D_BUFFER, D2H_BUFFER, H2D_MEMORY, D2H_MEMORY, D2D, COLUMNS };

/* For one size: the places that copies go between. */
struct places {
	size_t size;
	struct vgpu_mem *mem[2];
	struct vgpu_buffer *buf; /* NULL: this guest can not share so much */
	void *memory;
};

typedef int (*copy_fn)(const struct places *p);

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: vgpu-bandwidth [OPTION]...\n"
		"Measures copies between this Xen guest and its vgpu device, and checks them.\n\n"
		"  -s, --sizes=SIZE[,SIZE]...  bytes, or with K, M or G (64K,1M,16M,64M)\n"
		"  -r, --repeat=N              copies, of which the median is shown (10)\n"
		"  -d, --device=PATH           (" DEFAULT_PATH ")\n"
		"  -h, --help                  this text\n"
		"  -V, --version               version of the program and its library\n\n"
		"Exit status: 0 all copies are right, 1 they are not, or there is no device, 2\n"
		"wrong usage.\n");
}

static bool sizes(char *list)
{
	char *at, *rest = list;

	for (opt.nr_sizes = 0; (at = strsep(&rest, ",")); opt.nr_sizes++) {
		if (opt.nr_sizes == MAX_SIZES) {
			fprintf(stderr, "vgpu-bandwidth: more than %u sizes\n",
				MAX_SIZES);
			return false;
		}
		if (!parse_size(at, 4, MAX_SIZE, &opt.sizes[opt.nr_sizes]) ||
		    opt.sizes[opt.nr_sizes] % 4) {
			fprintf(stderr,
				"vgpu-bandwidth: %s is not a size: a multiple of 4 bytes, or with K, M or G, 1024G at most\n",
				at);
			return false;
		}
	}
	return true;
}

static bool option(int c)
{
	switch (c) {
	case 's':
		return sizes(optarg);
	case 'r':
		if (parse_size(optarg, 1, MAX_REPEAT, &opt.repeat))
			return true;
		fprintf(stderr,
			"vgpu-bandwidth: %s is not a number from 1 to %d\n",
			optarg, MAX_REPEAT);
		return false;
	case 'd':
		opt.path = optarg;
		return true;
	case 'h':
		usage(stdout);
		exit(0);
	case 'V':
		printf("vgpu-bandwidth %s\n", vgpu_version());
		exit(0);
	default:
		return false;
	}
}

static bool options(int argc, char **argv)
{
	static const struct option options[] = {
		{"sizes", required_argument, NULL, 's'},
		{"repeat", required_argument, NULL, 'r'},
		{"device", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:r:d:hV", options, NULL)) != -1)
		if (!option(c))
			return false;
	if (optind == argc)
		return true;
	fprintf(stderr, "vgpu-bandwidth: unexpected argument %s\n",
		argv[optind]);
	return false;
}

static int h2d_buffer(const struct places *p)
{
	return vgpu_copy(dev, vgpu_at(p->mem[0], 0), vgpu_in(p->buf, 0),
			 p->size, 0);
}

static int d2h_buffer(const struct places *p)
{
	return vgpu_copy(dev, vgpu_in(p->buf, 0), vgpu_at(p->mem[1], 0),
			 p->size, 0);
}

static int h2d_memory(const struct places *p)
{
	return vgpu_copy_in(dev, vgpu_at(p->mem[0], 0), p->memory, p->size, 0);
}

static int d2h_memory(const struct places *p)
{
	return vgpu_copy_out(dev, p->memory, vgpu_at(p->mem[1], 0), p->size, 0);
}

static int d2d(const struct places *p)
{
	return vgpu_copy(dev, vgpu_at(p->mem[1], 0), vgpu_at(p->mem[0], 0),
			 p->size, 0);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int by_time(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Median, in 10^9 bytes a second. */
static int measure(const struct places *p, copy_fn copy, double *rate)
{
	static double times[MAX_REPEAT];
	const size_t n = (size_t)opt.repeat;
	double start;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		start = seconds();
		err = copy(p);
		if (!err)
			err = vgpu_fence(dev, 0);
		if (err)
			return err;
		times[i] = seconds() - start;
	}
	qsort(times, n, sizeof(times[0]), by_time);
	*rate = times[n / 2] > 0 ? (double)p->size / times[n / 2] / 1e9 : 0;
	return 0;
}

/* Words that differ by their place, and from one chain to the next. */
static uint32_t word(size_t i, uint32_t seed)
{
	return (uint32_t)(i * 2654435761u) ^ seed;
}

static size_t count_wrong(const uint32_t *at, size_t words, uint32_t seed)
{
	size_t i, wrong = 0;

	for (i = 0; i < words; i++)
		wrong += at[i] != word(i, seed);
	return wrong;
}

/*
 * From here to the device, there from one memory to another, and back from
 * that. Prints why it fails.
 */
static bool chain(const struct places *p, uint32_t *here, copy_fn in,
		  copy_fn out, double *in_rate, double *d2d_rate,
		  double *out_rate)
{
	static uint32_t seed = 0x9e3779b9;
	const size_t words = p->size / sizeof(*here);
	size_t i, wrong;
	int err;

	seed = seed * 1664525 + 1013904223;
	for (i = 0; i < words; i++)
		here[i] = word(i, seed);
	err = measure(p, in, in_rate);
	if (!err)
		err = measure(p, d2d, d2d_rate);
	memset(here, 0, p->size);
	if (!err)
		err = measure(p, out, out_rate);
	if (err) {
		printf("Bandwidth FAILED: %zu bytes: %s\n", p->size,
		       vgpu_strerror(err));
		return false;
	}
	wrong = count_wrong(here, words, seed);
	if (wrong)
		printf("Bandwidth FAILED: %zu bytes: %zu of %zu words are wrong\n",
		       p->size, wrong, words);
	return !wrong;
}

/* Text of a size as short as it is exact. */
static const char *size_text(uint64_t size)
{
	static const char units[][2] = {"", "K", "M", "G"};
	static char text[32];
	unsigned int unit = 0;

	for (; unit < 3 && size % 1024 == 0; unit++)
		size /= 1024;
	snprintf(text, sizeof(text), "%" PRIu64 "%s", size, units[unit]);
	return text;
}

static void row(const struct places *p, const double rate[COLUMNS])
{
	enum column c;

	printf("%8s", size_text(p->size));
	for (c = 0; c < COLUMNS; c++)
		if (c < H2D_MEMORY && !p->buf)
			printf(" %12s", "-");
		else
			printf(" %12.3f", rate[c]);
	printf("\n");
	fflush(stdout);
}

/* A guest can share so much with the backend, and not more: then none. */
static int allocate_buffer(struct places *p)
{
	int err = vgpu_buffer_alloc(dev, p->size, &p->buf);

	if (!err)
		return 0;
	p->buf = NULL;
	return err == -ENOSPC || err == -E2BIG || err == -EDQUOT ? 0 : err;
}

static bool allocate(struct places *p)
{
	int err = vgpu_mem_alloc(dev, p->size, 0, &p->mem[0]);

	if (!err)
		err = vgpu_mem_alloc(dev, p->size, 0, &p->mem[1]);
	if (!err)
		err = vgpu_fence(dev, 0);
	if (!err)
		err = allocate_buffer(p);
	p->memory = malloc(p->size);
	if (!err && !p->memory)
		err = -ENOMEM;
	if (err)
		printf("Bandwidth FAILED: memory for %zu bytes: %s\n", p->size,
		       vgpu_strerror(err));
	return !err;
}

static bool one_size(size_t size)
{
	struct places p = {.size = size};
	double rate[COLUMNS] = {0};
	bool ok = allocate(&p);

	if (ok && p.buf)
		ok = chain(&p, vgpu_buffer_ptr(p.buf), h2d_buffer, d2h_buffer,
			   &rate[H2D_BUFFER], &rate[D2D], &rate[D2H_BUFFER]);
	if (ok)
		ok = chain(&p, p.memory, h2d_memory, d2h_memory,
			   &rate[H2D_MEMORY], &rate[D2D], &rate[D2H_MEMORY]);
	if (ok)
		row(&p, rate);
	vgpu_buffer_free(p.buf);
	vgpu_mem_free(p.mem[0], 0);
	vgpu_mem_free(p.mem[1], 0);
	free(p.memory);
	return ok;
}

static bool all_sizes(void)
{
	unsigned int i;

	printf("vgpu-bandwidth: %s on %s\n", info.engine, info.gpu_name);
	if (!strcmp(info.engine, "cpu"))
		printf("This engine is no GPU: these are copies from memory to memory of its host.\n");
	printf("GB/s (10^9 bytes), median of %" PRIu64
	       ", each copy waited for; H2D to the device, D2H back, D2D in it\n",
	       opt.repeat);
	printf("buffer: shared memory, used in place; memory: of malloc(3), shared piece by piece or copied\n");
	printf("%8s %12s %12s %12s %12s %12s\n", "size", "H2D buffer",
	       "D2H buffer", "H2D memory", "D2H memory", "D2D");
	for (i = 0; i < opt.nr_sizes; i++)
		if (!one_size((size_t)opt.sizes[i]))
			return false;
	printf("Bandwidth PASSED: every word of every size came back (%s on %s)\n",
	       info.engine, info.gpu_name);
	return true;
}

int main(int argc, char **argv)
{
	char why[512];
	bool ok;
	int err;

	if (!options(argc, argv)) {
		fprintf(stderr, "Try vgpu-bandwidth --help\n");
		return 2;
	}
	err = vgpu_open(opt.path, &dev);
	if (!err)
		err = vgpu_get_info(dev, &info);
	if (err)
		diagnose_open("", opt.path, err, why, sizeof(why));
	else
		diagnose_state(&info, why, sizeof(why));
	ok = !*why;
	if (ok)
		ok = all_sizes();
	else
		fprintf(stderr, "vgpu-bandwidth: %s\n", why);
	vgpu_close(dev);
	return ok ? 0 : 1;
}
