// SPDX-License-Identifier: MIT
/*
 * fake_vgpufront_run.c - what the operations of the double do, on the CPU
 *
 * Runs on the double's own thread, without its lock but where it says so. A
 * "module" is text; its kernels are those of the table below that it has an
 * .entry for.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_vgpufront.h"
#include "fake_vgpufront_work.h"

struct param {
	uint16_t offset, size;
};

/* y[i] += a * x[i], of one block's worth of threads a block. */
static int kernel_saxpy(const unsigned char *args, const uint32_t *grid,
			uint32_t threads)
{
	uint32_t i, n;
	float a, *x, *y;

	memcpy(&a, args, 4);
	memcpy(&x, args + 8, 8);
	memcpy(&y, args + 16, 8);
	memcpy(&n, args + 24, 4);
	for (i = 0; i < n && i < grid[0] * threads; i++)
		y[i] += a * x[i];
	return 0;
}

/* Appends a value to a list that starts with its length. */
static int kernel_append(const unsigned char *args, const uint32_t *grid,
			 uint32_t threads)
{
	uint32_t *list, value;

	(void)grid;
	(void)threads;
	memcpy(&list, args, 8);
	memcpy(&value, args + 8, 4);
	list[++list[0]] = value;
	return 0;
}

static int kernel_nothing(const unsigned char *args, const uint32_t *grid,
			  uint32_t threads)
{
	(void)args;
	(void)grid;
	return threads > 1024 ? -EDOM : 0;
}

static const struct {
	const char *name;
	int (*run)(const unsigned char *args, const uint32_t *grid,
		   uint32_t threads);
	uint32_t args_len, nr;
	struct param params[4];
} kernels[] = {
	{"saxpy", kernel_saxpy, 28, 4, {{0, 4}, {8, 8}, {16, 8}, {24, 4}}},
	{"append", kernel_append, 12, 2, {{0, 8}, {8, 4}}},
	{"nothing", kernel_nothing, 0, 0, {{0, 0}}},
	/* What a hostile backend would say. */
	{"outside", kernel_nothing, 8, 1, {{4, 8}}},
	{"huge", kernel_nothing, 5000, 1, {{0, 8}}},
};

static void *place_ptr(const struct fake_place *place)
{
	return (place->buf ? place->buf->ptr : place->mem->ptr) + place->offset;
}

static bool place_failed(const struct fake_place *place)
{
	return place->mem && place->mem->failed;
}

static void sgemm(const uint32_t *p, const float *a, const float *b, float *c)
{
	uint32_t i, j, l;
	float alpha, beta;

	memcpy(&alpha, &p[6], 4);
	memcpy(&beta, &p[7], 4);
	for (j = 0; j < p[1]; j++) {
		for (i = 0; i < p[0]; i++) {
			float *to = &c[i + j * p[5]], sum = 0;

			for (l = 0; l < p[2]; l++)
				sum += (p[8] ? a[l + i * p[3]] :
					       a[i + l * p[3]]) *
				       (p[9] ? b[j + l * p[4]] :
					       b[l + j * p[4]]);
			*to = alpha * sum + (beta == 0 ? 0 : beta * *to);
		}
	}
}

static int run_builtin(struct fake_request *req)
{
	const struct vgpufront_operand *o = req->sqe.builtin.operand;
	uint32_t i, n = o[0].count;
	float *p[3], alpha;
	double sum = 0;

	for (i = 0; i < 3; i++)
		p[i] = o[i].handle ? place_ptr(&req->place[i]) : NULL;
	switch (req->sqe.builtin.kernel) {
	case 1:
		for (i = 0; i < n; i++)
			p[2][i] = p[0][i] + p[1][i];
		if (fake_config.corrupt)
			p[2][n - 1] += p[2][n - 1] + 1;
		break;
	case 2:
		memcpy(&alpha, &req->sqe.builtin.param, 4);
		for (i = 0; i < n; i++)
			p[1][i] = alpha * p[0][i] + p[1][i];
		break;
	case 3:
		sgemm((void *)req->blob, p[0], p[1], p[2]);
		break;
	default:
		for (i = 0; i < n; i++)
			sum += p[0][i];
		p[1][0] = (float)sum;
	}
	return 0;
}

static int run_fill(const struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	unsigned char *to = place_ptr(&req->place[0]);
	uint64_t i;

	for (i = 0; i < sqe->fill.length; i += sqe->fill.width)
		memcpy(to + i, &sqe->fill.pattern, sqe->fill.width);
	return 0;
}

static int run_alloc(struct fake_request *req)
{
	struct fake_object *obj = req->object;
	int err = 0;

	pthread_mutex_lock(&fake_lock);
	if (fake_config.mem_quota &&
	    obj->size > fake_config.mem_quota - fake_mem_used)
		err = -EDQUOT;
	else
		fake_mem_used += obj->size;
	pthread_mutex_unlock(&fake_lock);
	if (err)
		return err;
	obj->ptr = aligned_alloc(256, (obj->size + 255) / 256 * 256);
	assert(obj->ptr);
	memset(obj->ptr, 0, obj->size);
	req->cqe.value = (uintptr_t)obj->ptr;
	return 0;
}

static int run_module(struct fake_request *req)
{
	static const char text[] = "ptxas error: line 1: syntax error";
	const struct vgpufront_sqe *sqe = &req->sqe;
	const char *image = place_ptr(&req->place[0]);
	size_t len = sqe->module_load.image.count;
	uint32_t log_size = sqe->module_load.log.count;
	bool bad;

	req->object->ptr = calloc(1, len + 1);
	assert(req->object->ptr);
	memcpy(req->object->ptr, image, len);
	bad = sqe->module_load.format == VGPUFRONT_MODULE_PTX &&
	      strncmp(image, ".version", 8);
	/* PTX is text: the library must not hand a NUL on. */
	assert(sqe->module_load.format != VGPUFRONT_MODULE_PTX ||
	       image[len - 1]);
	if (log_size) {
		char *log = place_ptr(&req->place[1]);

		memset(log, 0, log_size);
		if (bad)
			strncpy(log, text, log_size - 1);
	}
	return bad ? -ENOEXEC : 0;
}

static int run_function(struct fake_request *req)
{
	struct fake_object *fn = req->object;
	char entry[64];
	unsigned int i;

	if (!fn->module || fn->module->failed)
		return -ENOENT;
	for (i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		snprintf(entry, sizeof(entry), ".entry %s(", kernels[i].name);
		if (strcmp(kernels[i].name, (char *)req->blob) ||
		    !strstr((char *)fn->module->ptr, entry))
			continue;
		fn->kernel = i;
		memcpy(place_ptr(&req->place[0]), kernels[i].params,
		       kernels[i].nr * sizeof(struct param));
		req->cqe.value = kernels[i].args_len | (uint64_t)kernels[i].nr
							       << 32;
		return 0;
	}
	return -ENOENT;
}

static int run_launch(struct fake_request *req)
{
	const struct vgpufront_sqe *sqe = &req->sqe;
	unsigned int i;
	void *ptr;

	if (req->object->failed ||
	    sqe->launch.args_len != kernels[req->object->kernel].args_len)
		return req->object->failed ? -ENOENT : -EDOM;
	for (i = 0; i < sqe->launch.nr_relocs; i++) {
		if (place_failed(&req->reloc[i]))
			return -ENOENT;
		ptr = place_ptr(&req->reloc[i]);
		memcpy(req->blob + req->reloc_at[i], &ptr, 8);
	}
	return kernels[req->object->kernel].run(req->blob, sqe->launch.grid,
						sqe->launch.block[0] *
							sqe->launch.block[1] *
							sqe->launch.block[2]);
}

int work_run(struct fake_request *req)
{
	unsigned int i;

	if (req->err)
		return req->err;
	for (i = 0; i < FAKE_PLACES; i++)
		if (place_failed(&req->place[i]))
			return -ENOENT;
	switch (req->sqe.op) {
	case VGPUFRONT_OP_BUILTIN:
		return run_builtin(req);
	case VGPUFRONT_OP_MEM_ALLOC:
		return run_alloc(req);
	case VGPUFRONT_OP_COPY:
		memcpy(place_ptr(&req->place[0]), place_ptr(&req->place[1]),
		       req->sqe.copy.length);
		return 0;
	case VGPUFRONT_OP_FILL:
		return run_fill(req);
	case VGPUFRONT_OP_MODULE_LOAD:
		return run_module(req);
	case VGPUFRONT_OP_FUNCTION_GET:
		return run_function(req);
	case VGPUFRONT_OP_LAUNCH:
		return run_launch(req);
	default:
		return 0;
	}
}
