/* SPDX-License-Identifier: MIT */
/*
 * compute.h - what bare CUDA and a guest's program both do, to be compared
 *
 * The work, its sizes and the checks of its results, once for both sides. The
 * smallest kernel there is adds 1 to a counter, so that no launch can be lost
 * unseen; matrices hold small integers, so that every product is exact whatever
 * the order of its sums.
 */
#ifndef VGPU_BENCH_COMPUTE_H
#define VGPU_BENCH_COMPUTE_H

#include "bench.h"

/* PTX of a kernel of one pointer, which one thread of a block works for. */
extern const char compute_ptx[];
extern const size_t compute_ptx_size;
#define COMPUTE_KERNEL "bench_count"

#define COMPUTE_COPY_BYTES (64u << 20)
/* Launches of one measured time, where their throughput is. */
#define COMPUTE_RUN 1024

/*
 * Operations measured: launches one by one, runs of COMPUTE_RUN, products,
 * copies. order: of the matrices.
 */
struct compute_plan {
	uint32_t launches;
	uint32_t batches;
	uint32_t runs;
	uint32_t products;
	uint32_t copies;
	uint32_t order;
	uint32_t copy_bytes;
};

/* gpu: the engine is one; a processor takes minutes for the same product. */
struct compute_plan compute_plan(const struct bench_plan *plan, bool gpu);

extern const uint32_t compute_batches[];
extern const unsigned int compute_nr_batches;

/*
 * Names of rows, by which both sides find each other. spin: nobody sleeps.
 */
const char *compute_name_submit(char name[BENCH_TEXT], uint32_t batch);
const char *compute_name_run(char name[BENCH_TEXT], uint32_t batch);
const char *compute_name_latency(bool spin);
const char *compute_name_sgemm(char name[BENCH_TEXT], uint32_t order);

enum compute_copy { COPY_IN, COPY_OUT, COPY_WITHIN, NR_COPIES };

extern const char *const compute_copy_names[NR_COPIES];

/* Column-major matrices; the product is compared element by element. */
void compute_fill_matrices(float *a, float *b, float *c, uint32_t order);
bool compute_check_product(const float *c, uint32_t order);

/* Bytes that tell where they are from. */
void compute_fill_bytes(void *to, size_t bytes, uint32_t seed);
bool compute_check_bytes(const void *at, size_t bytes, uint32_t seed);

#endif /* VGPU_BENCH_COMPUTE_H */
