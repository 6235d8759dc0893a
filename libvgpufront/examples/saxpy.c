// SPDX-License-Identifier: MIT
/*
 * saxpy.c - the shortest program with a kernel of its own
 *
 *   cc saxpy.c $(pkg-config --cflags --libs vgpufront) -lm
 *   ./a.out -k saxpy.ptx
 *
 * The steps of every program that computes on a GPU, in their order:
 *
 *   memory of the device    vgpu_mem_alloc
 *   data in                 vgpu_copy_in
 *   code, a kernel in it    vgpu_module_load, vgpu_function_get
 *   a launch                vgpu_launch
 *   data out                vgpu_copy_out
 *   wait                    vgpu_fence
 *
 * All but the code goes to one stream, here 0, and so takes effect in this order.
 * No step waits for the one before: the program runs ahead and the fence is
 * where it learns that all is done, or what failed first.
 */
#include <math.h>

#include "example.h"

#define THREADS 256u

static const float alpha = 2.5f;

/* x[i] and y[i] before: sums and products that have to be rounded. */
static void fill(float *x, float *y, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		x[i] = (float)(i % 1000) / 7.0f - 50.0f;
		y[i] = (float)(i % 777) / 3.0f;
	}
}

/* Parameters go by pointers to their values, in the kernel's order. */
static void launch(struct example *ex, struct vgpu_function *fn,
		   struct vgpu_mem *x, struct vgpu_mem *y)
{
	float a = alpha;
	uint64_t x_at, y_at;
	void *params[] = {&ex->n, &a, &x_at, &y_at};

	/* A kernel gets memory by its address, which the device alone knows. */
	example_must(ex, vgpu_mem_address(x, &x_at), "memory for x");
	example_must(ex, vgpu_mem_address(y, &y_at), "memory for y");
	example_must(
		ex,
		vgpu_launch(fn, example_dim((ex->n + THREADS - 1) / THREADS, 1),
			    example_dim(THREADS, 1), 0, 0, params),
		"vgpu_launch");
}

int main(int argc, char **argv)
{
	struct example ex = {
		.name = "saxpy",
		.n_is = "elements",
		.n = 1 << 20,
		.min_n = 1,
		.max_n = 1 << 28,
	};
	struct vgpu_function *saxpy;
	struct vgpu_mem *x, *y;
	float *x_in, *y_in, *out;
	unsigned int i, errors = 0;
	size_t size;

	example_begin(&ex, argc, argv);
	saxpy = example_function(&ex, example_load(&ex), "saxpy");
	size = ex.n * sizeof(float);
	x_in = example_memory(&ex, size);
	y_in = example_memory(&ex, size);
	out = example_memory(&ex, size);
	fill(x_in, y_in, ex.n);

	example_must(&ex, vgpu_mem_alloc(ex.dev, size, 0, &x),
		     "vgpu_mem_alloc");
	example_must(&ex, vgpu_mem_alloc(ex.dev, size, 0, &y),
		     "vgpu_mem_alloc");
	example_must(&ex, vgpu_copy_in(ex.dev, vgpu_at(x, 0), x_in, size, 0),
		     "vgpu_copy_in");
	example_must(&ex, vgpu_copy_in(ex.dev, vgpu_at(y, 0), y_in, size, 0),
		     "vgpu_copy_in");
	launch(&ex, saxpy, x, y);
	example_must(&ex, vgpu_copy_out(ex.dev, out, vgpu_at(y, 0), size, 0),
		     "vgpu_copy_out");
	example_must(&ex, vgpu_fence(ex.dev, 0), "vgpu_fence");

	/* fma.rn.f32 rounds once, as fmaf() does: every bit must be the same. */
	for (i = 0; i < ex.n; i++)
		errors += out[i] != fmaf(alpha, x_in[i], y_in[i]);
	vgpu_close(ex.dev);
	if (errors)
		example_failed(&ex, "%u elements, %u errors", ex.n, errors);
	example_passed(&ex, "%u elements, 0 errors", ex.n);
}
