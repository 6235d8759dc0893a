// SPDX-License-Identifier: MIT
/*
 * cuda_sanity.c - can this host run CUDA work? The engine's gate, step by step
 *
 * A program for administrators: goes through the same gate as the cuda engine,
 * prints what each step found and what the engine measured, and ends with one
 * line that says PASSED or FAILED. Leaves nothing behind on the GPU.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine_cuda.h"

static void usage(FILE *to)
{
	fputs("Usage: cuda_sanity [--gpu N]\n"
	      "\n"
	      "Checks, step by step, that GPU number N (as nvidia-smi counts; default 0) can\n"
	      "run the backend's work: driver, device, memory, copies, and a kernel whose\n"
	      "result is compared bit by bit. Then measures which way data is fastest, as the\n"
	      "engine does when it is opened. Exit status: 0 passed, 1 failed,\n"
	      "2 wrong usage.\n",
	      to);
}

static void say(const char *step, const char *found)
{
	printf("%-22s ok: %s\n", step, found);
	fflush(stdout);
}

static int parse_gpu(const char *text, unsigned int *gpu)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > 4095)
		return -1;
	*gpu = (unsigned int)value;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "gpu", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine_config cfg = { .gpu = 0 };
	struct vgpu_engine_facts facts;
	struct vgpu_engine *eng;
	struct cuda_device dev;
	char blas[VGPU_ENGINE_TEXT];
	unsigned int gpu = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("cuda_sanity " VGPU_VERSION);
			return 0;
		case 'g':
			if (!parse_gpu(optarg, &gpu))
				break;
			fprintf(stderr, "cuda_sanity: --gpu %s: not a number of a GPU\n",
				optarg);
			return 2;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	if (cuda_device_open(&dev, gpu, say, why)) {
		printf("cuda_sanity: FAILED: %s\n", why);
		return 1;
	}
	cuda_device_close(&dev);
	/* Beyond the gate: what the engine adds, and how fast its ways are. */
	cfg.gpu = gpu;
	eng = vgpu_engine_cuda.open(&cfg, why);
	if (!eng) {
		printf("cuda_sanity: FAILED: %s\n", why);
		return 1;
	}
	vgpu_engine_facts(eng, &facts);
	say("ways for data", facts.tuning);
	blas_describe(blas);
	say("cuBLAS", blas);
	printf("cuda_sanity: PASSED: GPU %u, %s\n", gpu, facts.gpu_name);
	vgpu_engine_close(eng);
	return 0;
}
