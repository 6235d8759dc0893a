// SPDX-License-Identifier: MIT
/*
 * matmul.c - a kernel written in CUDA C++, timed, beside the built-in one
 *
 *   cc matmul.c $(pkg-config --cflags --libs vgpufront) -lm
 *   ./a.out -k matmul.ptx
 *
 * The kernel is in matmul.cu. Where nvcc is, once, it became matmul.ptx:
 *
 *   nvcc -ptx -arch compute_75 matmul.cu
 *
 * A guest needs neither nvcc nor anything else of CUDA. compute_75 is the
 * oldest GPU that may run it; the driver makes the best of it for newer ones.
 * A kernel is found by its name, so it is extern "C" there.
 *
 * Time is taken by events: marks in the stream, with the time at which the work
 * before them was done, by the clock on the GPU's side. The requests of one
 * measurement are sent as a batch, so that the GPU never waits for the next one.
 * Each kernel runs once before, so that what is done only at a first run is not
 * in the time.
 *
 * vgpu_sgemm(), which every engine has, is the C of BLAS: its matrices lie column
 * by column. Read like that, ours are transposed; and as C' = B' * A', it gets
 * them in the other order and makes the same C.
 */
#include <math.h>

#include "example.h"

#define TILE 32u     /* as in matmul.cu: a block's part of C */
#define ROWS 8u	     /* its threads: TILE x ROWS */
#define CHECKED 256u /* rows of C at most: more would take too long */
#define RUNS 5

struct matrices {
	unsigned int n;
	struct vgpu_mem *a, *b, *c;
	float *a_in, *b_in, *out;
};

typedef int (*multiply_fn)(struct example *ex, const struct matrices *m,
			   struct vgpu_function *fn);

static void fill(float *p, size_t count, uint32_t seed)
{
	size_t i;

	for (i = 0; i < count; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
	}
}

static int own_kernel(struct example *ex, const struct matrices *m,
		      struct vgpu_function *fn)
{
	const uint32_t tiles = (m->n + TILE - 1) / TILE;
	uint64_t a, b, c;
	unsigned int n = m->n;
	void *params[] = {&n, &a, &b, &c};

	example_must(ex, vgpu_mem_address(m->a, &a), "memory for A");
	example_must(ex, vgpu_mem_address(m->b, &b), "memory for B");
	example_must(ex, vgpu_mem_address(m->c, &c), "memory for C");
	return vgpu_launch(fn, example_dim(tiles, tiles),
			   example_dim(TILE, ROWS), 0, 0, params);
}

static int built_in(struct example *ex, const struct matrices *m,
		    struct vgpu_function *fn)
{
	const struct vgpu_matrix a = {vgpu_at(m->a, 0), m->n, false};
	const struct vgpu_matrix b = {vgpu_at(m->b, 0), m->n, false};
	const struct vgpu_matrix c = {vgpu_at(m->c, 0), m->n, false};

	(void)fn;
	return vgpu_sgemm(ex->dev, m->n, m->n, m->n, 1.0f, b, a, 0.0f, c, 0);
}

/* The best of some runs, in nanoseconds; the first is not counted. */
static int64_t best_of(struct example *ex, const struct matrices *m,
		       multiply_fn multiply, struct vgpu_function *fn,
		       const char *what)
{
	struct vgpu_event *start, *end;
	int64_t ns, best = INT64_MAX;
	int run;

	example_must(ex, vgpu_event_create(ex->dev, &start),
		     "vgpu_event_create");
	example_must(ex, vgpu_event_create(ex->dev, &end), "vgpu_event_create");
	for (run = 0; run <= RUNS; run++) {
		vgpu_batch_begin(ex->dev);
		example_must(ex, vgpu_event_record(start, 0),
			     "vgpu_event_record");
		example_must(ex, multiply(ex, m, fn), what);
		example_must(ex, vgpu_event_record(end, 0),
			     "vgpu_event_record");
		example_must(ex, vgpu_batch_end(ex->dev), "vgpu_batch_end");
		/* What failed since the last fence, and all is done. */
		example_must(ex, vgpu_fence(ex->dev, 0), what);
		example_must(ex, vgpu_event_elapsed(start, end, &ns),
			     "vgpu_event_elapsed");
		if (run && ns < best)
			best = ns;
	}
	vgpu_event_destroy(start);
	vgpu_event_destroy(end);
	return best > 0 ? best : 1;
}

/* Elements of a row that are further from the truth than they may be. */
static unsigned int wrong_in_row(const struct matrices *m, size_t row,
				 double *sum, double *sum_abs)
{
	const double bound = 2.0 * (m->n + 2) * 0x1p-24;
	const size_t n = m->n;
	unsigned int wrong = 0;
	size_t k, col;

	memset(sum, 0, n * sizeof(*sum));
	memset(sum_abs, 0, n * sizeof(*sum_abs));
	for (k = 0; k < n; k++) {
		const double a = m->a_in[row * n + k];
		const float *b = &m->b_in[k * n];

		for (col = 0; col < n; col++) {
			sum[col] += a * b[col];
			sum_abs[col] += fabs(a * b[col]);
		}
	}
	/* Written so that a NaN is wrong, too. */
	for (col = 0; col < n; col++)
		wrong += !(fabs(m->out[row * n + col] - sum[col]) <=
			   bound * sum_abs[col]);
	return wrong;
}

/* Rows from the first to the last, in even steps. */
static void check(struct example *ex, const struct matrices *m,
		  const char *what)
{
	const size_t size = (size_t)m->n * m->n * sizeof(float);
	const unsigned int rows = m->n < CHECKED ? m->n : CHECKED;
	double *sum = example_memory(ex, m->n * sizeof(*sum));
	double *sum_abs = example_memory(ex, m->n * sizeof(*sum_abs));
	unsigned int i, wrong = 0;
	size_t row;

	memset(m->out, 0xff, size);
	example_must(ex,
		     vgpu_copy_out(ex->dev, m->out, vgpu_at(m->c, 0), size, 0),
		     "vgpu_copy_out");
	/* The next kernel must not be found right by this one's result. */
	example_must(ex, vgpu_fill(ex->dev, vgpu_at(m->c, 0), 0xff, 1, size, 0),
		     "vgpu_fill");
	example_must(ex, vgpu_fence(ex->dev, 0), "vgpu_fence");
	for (i = 0; i < rows; i++) {
		row = rows == 1 ? 0 : (size_t)i * (m->n - 1) / (rows - 1);
		wrong += wrong_in_row(m, row, sum, sum_abs);
	}
	free(sum);
	free(sum_abs);
	if (wrong)
		example_failed(ex, "%s: %u x %u, %u errors in %u rows", what,
			       m->n, m->n, wrong, rows);
}

static void allocate(struct example *ex, struct matrices *m)
{
	const size_t count = (size_t)m->n * m->n, size = count * sizeof(float);

	m->a_in = example_memory(ex, size);
	m->b_in = example_memory(ex, size);
	m->out = example_memory(ex, size);
	fill(m->a_in, count, 1);
	fill(m->b_in, count, 2);
	example_must(ex, vgpu_mem_alloc(ex->dev, size, 0, &m->a),
		     "memory for A");
	example_must(ex, vgpu_mem_alloc(ex->dev, size, 0, &m->b),
		     "memory for B");
	example_must(ex, vgpu_mem_alloc(ex->dev, size, 0, &m->c),
		     "memory for C");
	example_must(ex,
		     vgpu_copy_in(ex->dev, vgpu_at(m->a, 0), m->a_in, size, 0),
		     "vgpu_copy_in");
	example_must(ex,
		     vgpu_copy_in(ex->dev, vgpu_at(m->b, 0), m->b_in, size, 0),
		     "vgpu_copy_in");
	example_must(ex, vgpu_fence(ex->dev, 0), "vgpu_fence");
}

int main(int argc, char **argv)
{
	struct example ex = {
		.name = "matmul",
		.n_is = "rows and columns",
		.n = 1024,
		.min_n = 1,
		.max_n = 4096,
	};
	struct matrices m;
	struct vgpu_function *fn;
	int64_t own, blas;
	double flop;

	example_begin(&ex, argc, argv);
	fn = example_function(&ex, example_load(&ex), "matmul");
	m.n = ex.n;
	allocate(&ex, &m);
	own = best_of(&ex, &m, own_kernel, fn, "own kernel");
	check(&ex, &m, "own kernel");
	blas = best_of(&ex, &m, built_in, NULL, "vgpu_sgemm");
	check(&ex, &m, "vgpu_sgemm");
	flop = 2.0 * ex.n * ex.n * ex.n;
	printf("own kernel: %.1f us, %.0f GFLOP/s\n", (double)own / 1e3,
	       flop / (double)own);
	printf("vgpu_sgemm: %.1f us, %.0f GFLOP/s, %.2f times as fast\n",
	       (double)blas / 1e3, flop / (double)blas,
	       (double)own / (double)blas);
	vgpu_close(ex.dev);
	example_passed(&ex, "%u x %u, all within the bound of vgpu_sgemm", ex.n,
		       ex.n);
}
