// SPDX-License-Identifier: MIT
/*
 * compute.c - work and checks that both sides share (see compute.h)
 */
#include "compute.h"

#include <stdio.h>
#include <string.h>

/* The driver compiles it, for both sides alike. */
const char compute_ptx[] =
	".version 6.0\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry " COMPUTE_KERNEL "(.param .u64 counter)\n"
	"{\n"
	"	.reg .pred %p;\n"
	"	.reg .b32 %thread, %n;\n"
	"	.reg .b64 %at;\n"
	"	mov.u32 %thread, %tid.x;\n"
	"	setp.ne.u32 %p, %thread, 0;\n"
	"	@%p bra done;\n"
	"	ld.param.u64 %at, [counter];\n"
	"	cvta.to.global.u64 %at, %at;\n"
	"	ld.global.u32 %n, [%at];\n"
	"	add.u32 %n, %n, 1;\n"
	"	st.global.u32 [%at], %n;\n"
	"done:\n"
	"	ret;\n"
	"}\n";
const size_t compute_ptx_size = sizeof(compute_ptx);

const uint32_t compute_batches[] = {1, 8, 64};
const unsigned int compute_nr_batches =
	sizeof(compute_batches) / sizeof(compute_batches[0]);

const char *const compute_copy_names[NR_COPIES] = {
	[COPY_IN] = "copy, host to device",
	[COPY_OUT] = "copy, device to host",
	[COPY_WITHIN] = "copy, device to device",
};

struct compute_plan compute_plan(const struct bench_plan *plan, bool gpu)
{
	if (plan->quick)
		return (struct compute_plan){
			.launches = plan->small_ops,
			.batches = 5,
			.runs = 2,
			.products = 2,
			.copies = 2,
			.order = 96,
			.copy_bytes = 1 << 20,
		};
	return (struct compute_plan){
		.launches = plan->small_ops,
		.batches = 1000,
		.runs = 50,
		.products = 20,
		.copies = 50,
		.order = gpu ? 4096 : 512,
		.copy_bytes = COMPUTE_COPY_BYTES,
	};
}

const char *compute_name_submit(char name[BENCH_TEXT], uint32_t batch)
{
	snprintf(name, BENCH_TEXT, "launch, quiet, batches of %u", batch);
	return name;
}

const char *compute_name_run(char name[BENCH_TEXT], uint32_t batch)
{
	snprintf(name, BENCH_TEXT, "launches and their end, batches of %u",
		 batch);
	return name;
}

const char *compute_name_latency(bool spin)
{
	return spin ? "launch and fence, spinning" :
		      "launch and fence, sleeping";
}

const char *compute_name_sgemm(char name[BENCH_TEXT], uint32_t order)
{
	snprintf(name, BENCH_TEXT, "sgemm, order %u, on the device", order);
	return name;
}

/*
 * A = left[i] * up[l], B = up[l] * right[j]: element (i, j) of the product is
 * left[i] * right[j] times a sum that is the same for all. 24 bits hold it.
 */
static int left(uint32_t i)
{
	return (int)(i % 5) - 2;
}

static int up(uint32_t l)
{
	return l % 3;
}

static int right(uint32_t j)
{
	return (int)(j % 7) - 3;
}

void compute_fill_matrices(float *a, float *b, float *c, uint32_t order)
{
	for (uint32_t col = 0; col < order; col++) {
		for (uint32_t row = 0; row < order; row++) {
			size_t at = (size_t)col * order + row;

			a[at] = left(row) * up(col);
			b[at] = up(row) * right(col);
		}
	}
	memset(c, 0xff, (size_t)order * order * sizeof(*c));
}

bool compute_check_product(const float *c, uint32_t order)
{
	int sum = 0;

	for (uint32_t l = 0; l < order; l++)
		sum += up(l) * up(l);
	for (uint32_t col = 0; col < order; col++) {
		for (uint32_t row = 0; row < order; row++) {
			float want = left(row) * right(col) * sum;
			float is = c[(size_t)col * order + row];

			if (is == want)
				continue;
			fprintf(stderr, "vgpu-bench: c(%u, %u) is %g, not %g\n",
				row, col, is, want);
			return false;
		}
	}
	return true;
}

void compute_fill_bytes(void *to, size_t bytes, uint32_t seed)
{
	uint32_t *word = to;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		word[i] = i * 2654435761u + seed;
}

bool compute_check_bytes(const void *at, size_t bytes, uint32_t seed)
{
	const uint32_t *word = at;

	for (size_t i = 0; i < bytes / sizeof(*word); i++) {
		if (word[i] == (uint32_t)(i * 2654435761u + seed))
			continue;
		fprintf(stderr, "vgpu-bench: word %zu of a copy is %#x\n", i,
			word[i]);
		return false;
	}
	return true;
}
