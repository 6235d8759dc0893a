// SPDX-License-Identifier: MIT
/*
 * cuda_device.c - the sanity gate: from a library name to a GPU known to work
 *
 * Owns the context, the module and the facts of one GPU. Runs on the engine's
 * caller thread. The gate is a list of steps, each
 * of which either passes and says what it found, or ends the whole with one
 * line that names the step, the CUDA call and its error. Must never let a GPU
 * through on which a result was not compared bit by bit.
 */
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_device.h"

/* Not a multiple of the kernel's vector width, and more than one block. */
#define CHECK_ELEMENTS	4099
#define CHECK_BYTES	(CHECK_ELEMENTS * sizeof(float))
/* Operands start on 256-byte bounds, as CUDA's allocations do. */
#define CHECK_STRIDE	((CHECK_BYTES + 255) / 256 * 256)
#define CHECK_SEQ	0x5ea1ed01

extern const unsigned char vgpu_kernels_fatbin[];

struct gate {
	struct cuda_device *d;
	unsigned int gpu;
	char *why;
	char found[4 * VGPU_ENGINE_TEXT];
	/* Held between steps. */
	bool current;
	CUdeviceptr mem;
	void *pinned;
	uint32_t a[CHECK_ELEMENTS], b[CHECK_ELEMENTS], c[CHECK_ELEMENTS];
};

/* Evaluates a call of the driver; on an error fills why and returns -1. */
#define TRY(g, fn, ...)							\
	do {								\
		CUresult try_err = (g)->d->cu->fn(__VA_ARGS__);		\
									\
		if (try_err != CUDA_SUCCESS) {				\
			cuda_why((g)->d->cu, (g)->why, #fn, try_err);	\
			return -1;					\
		}							\
	} while (0)

#define FOUND(g, ...) \
	snprintf((g)->found, sizeof((g)->found), __VA_ARGS__)

static int step_library(struct gate *g)
{
	g->d->cu = cuda_driver(g->why);
	if (!g->d->cu)
		return -1;
	FOUND(g, "libcuda.so.1");
	return 0;
}

static int step_init(struct gate *g)
{
	int version = 0;

	TRY(g, cuInit, 0);
	TRY(g, cuDriverGetVersion, &version);
	FOUND(g, "driver supports CUDA %d.%d", version / 1000,
	      version % 1000 / 10);
	return 0;
}

static int step_count(struct gate *g)
{
	int count = 0;

	TRY(g, cuDeviceGetCount, &count);
	if (count < 1) {
		snprintf(g->why, VGPU_ENGINE_WHY,
			 "cuDeviceGetCount: no GPU is visible to CUDA");
		return -1;
	}
	FOUND(g, "%d", count);
	return 0;
}

static int uuid_of(struct gate *g, CUdevice dev, char text[VGPU_ENGINE_TEXT])
{
	CUuuid uuid;
	const unsigned char *u = (const unsigned char *)uuid.bytes;

	TRY(g, cuDeviceGetUuid, &uuid, dev);
	snprintf(text, VGPU_ENGINE_TEXT,
		 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		 u[10], u[11], u[12], u[13], u[14], u[15]);
	return 0;
}

/* CUDA's list may be another one, in another order, than NVML's. */
static int step_select(struct gate *g)
{
	struct cuda_device *d = g->d;
	char want[VGPU_ENGINE_TEXT] = "";
	bool nvml_present;
	int i, count = 0;

	d->nvml = nvml_open(g->gpu, &nvml_present, g->why);
	if (!d->nvml && nvml_present)
		return -1;
	if (d->nvml)
		nvml_uuid(d->nvml, want);
	TRY(g, cuDeviceGetCount, &count);
	if (!want[0]) {
		if (g->gpu >= (unsigned int)count) {
			snprintf(g->why, VGPU_ENGINE_WHY,
				 "there is no GPU %u: CUDA counts %d", g->gpu,
				 count);
			return -1;
		}
		TRY(g, cuDeviceGet, &d->dev, (int)g->gpu);
		if (uuid_of(g, d->dev, d->facts.gpu_uuid))
			return -1;
		FOUND(g, "%u, as CUDA counts (%.80s)", g->gpu,
		      d->nvml ? "NVML gives no UUID" : g->why);
		return 0;
	}
	for (i = 0; i < count; i++) {
		TRY(g, cuDeviceGet, &d->dev, i);
		if (uuid_of(g, d->dev, d->facts.gpu_uuid))
			return -1;
		if (strcmp(d->facts.gpu_uuid, want))
			continue;
		FOUND(g, "%u", g->gpu);
		return 0;
	}
	snprintf(g->why, VGPU_ENGINE_WHY,
		 "GPU %u (%.60s) is none of the %d visible to CUDA; is CUDA_VISIBLE_DEVICES set?",
		 g->gpu, want, count);
	return -1;
}

static int step_facts(struct gate *g)
{
	struct cuda_device *d = g->d;
	struct vgpu_engine_facts *f = &d->facts;
	int major = 0, minor = 0, processors = 0, read_only = 0, pools = 0;
	size_t memory = 0;

	TRY(g, cuDeviceGetName, f->gpu_name, sizeof(f->gpu_name), d->dev);
	TRY(g, cuDeviceTotalMem, &memory, d->dev);
	TRY(g, cuDeviceGetAttribute, &major,
	    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, d->dev);
	TRY(g, cuDeviceGetAttribute, &minor,
	    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, d->dev);
	TRY(g, cuDeviceGetAttribute, &processors,
	    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, d->dev);
	d->processors = processors < 1 ? 1 : (unsigned int)processors;
	TRY(g, cuDeviceGetAttribute, &read_only,
	    CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, d->dev);
	d->read_only = read_only;
	TRY(g, cuDeviceGetAttribute, &pools,
	    CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, d->dev);
	d->pools = pools;
	f->memory = memory;
	strcpy(f->engine, "cuda");
	strcpy(f->builtins, "vector-add saxpy sgemm reduce-sum");
	snprintf(f->compute_capability, sizeof(f->compute_capability), "%d.%d",
		 major, minor);
	if (d->nvml)
		nvml_driver_version(d->nvml, f->driver_version);
	FOUND(g, "%s, %s, compute capability %s, %zu MiB, driver %.20s",
	      f->gpu_name, f->gpu_uuid, f->compute_capability, memory >> 20,
	      f->driver_version[0] ? f->driver_version : "unknown");
	return 0;
}

static int step_context(struct gate *g)
{
	TRY(g, cuDevicePrimaryCtxRetain, &g->d->ctx, g->d->dev);
	TRY(g, cuCtxPushCurrent, g->d->ctx);
	g->current = true;
	FOUND(g, "retained");
	return 0;
}

static int step_limits(struct gate *g)
{
	static const CUdevice_attribute attrs[] = {
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X,
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y,
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z,
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X,
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z,
		CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
	};
	struct cuda_device *d = g->d;
	int *const to[] = { &d->grid[0],  &d->grid[1],	&d->grid[2],
			    &d->block[0], &d->block[1], &d->block[2],
			    &d->shared };

	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		TRY(g, cuDeviceGetAttribute, to[i], attrs[i], d->dev);
	FOUND(g, "blocks of %d x %d x %d threads, %d KiB shared", d->block[0],
	      d->block[1], d->block[2], d->shared >> 10);
	return 0;
}

/*
 * A guest's kernel reaches what the GPU does. Where that is all memory of the
 * process, by the kernel's page tables (HMM, ATS), it would reach the worker's.
 */
static int step_modules(struct gate *g)
{
	int pageable = 1;

	TRY(g, cuDeviceGetAttribute, &pageable,
	    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, g->d->dev);
	if (pageable) {
		g->d->no_modules = "set uvm_disable_hmm=1";
		FOUND(g, "no: the GPU reaches all memory of this process; cure: options nvidia_uvm uvm_disable_hmm=1 in /etc/modprobe.d");
	} else if (!g->d->cu->cuFuncGetParamInfo) {
		g->d->no_modules = "driver before CUDA 12.4";
		FOUND(g, "no: the driver has no cuFuncGetParamInfo (CUDA 12.4)");
	} else if (!g->d->pools) {
		g->d->no_modules = "no memory pools";
		FOUND(g, "no: the GPU has no memory pools");
	} else {
		FOUND(g, "yes; pageable memory is out of the GPU's reach");
	}
	g->d->facts.modules = !g->d->no_modules;
	return 0;
}

static int step_kernels(struct gate *g)
{
	struct cuda_device *d = g->d;
	const struct {
		CUfunction *to;
		const char *name;
	} kernels[] = {
		{ &d->vector_add, "vgpu_vector_add" },
		{ &d->saxpy, "vgpu_saxpy" },
		{ &d->sum_parts, "vgpu_sum_parts" },
		{ &d->sum, "vgpu_sum" },
		{ &d->sgemm, "vgpu_sgemm" },
		{ &d->fault, "vgpu_fault" },
	};

	TRY(g, cuModuleLoadData, &d->module, vgpu_kernels_fatbin);
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		TRY(g, cuModuleGetFunction, kernels[i].to, d->module,
		    kernels[i].name);
	FOUND(g, "loaded");
	return 0;
}

static int step_memory(struct gate *g)
{
	size_t free = 0, total = 0;

	TRY(g, cuMemAlloc, &g->mem, 3 * CHECK_STRIDE);
	TRY(g, cuMemFree, g->mem);
	g->mem = 0;
	TRY(g, cuMemAlloc, &g->mem, 3 * CHECK_STRIDE);
	TRY(g, cuMemGetInfo, &free, &total);
	FOUND(g, "allocated, freed; %zu MiB of %zu free", free >> 20,
	      total >> 20);
	return 0;
}

/* Bits of floats: every magnitude, subnormals, infinities and NaNs. */
static void fill(uint32_t *v, size_t n, uint32_t seed)
{
	size_t i;

	for (i = 0; i < n; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 17;
		seed ^= seed << 5;
		v[i] = i % 16 == 15 ? seed & 0x807fffff : seed;
	}
}

static int step_copy(struct gate *g)
{
	size_t i;

	fill(g->a, CHECK_ELEMENTS, 0x9e3779b9);
	fill(g->b, CHECK_ELEMENTS, 0x7f4a7c15);
	memset(g->c, 0, CHECK_BYTES);
	TRY(g, cuMemcpyHtoD, g->mem, g->a, CHECK_BYTES);
	TRY(g, cuMemcpyHtoD, g->mem + CHECK_STRIDE, g->b, CHECK_BYTES);
	TRY(g, cuMemcpyDtoH, g->c, g->mem, CHECK_BYTES);
	for (i = 0; i < CHECK_ELEMENTS; i++) {
		if (g->c[i] == g->a[i])
			continue;
		snprintf(g->why, VGPU_ENGINE_WHY,
			 "cuMemcpyHtoD, cuMemcpyDtoH: word %zu of %d came back as 0x%08x, not 0x%08x",
			 i, CHECK_ELEMENTS, g->c[i], g->a[i]);
		return -1;
	}
	FOUND(g, "%zu bytes in and out, equal", CHECK_BYTES);
	return 0;
}

static bool is_nan(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

/* Compares c with a + b, bit by bit; any quiet NaN is as good as another. */
static int compare(struct gate *g, const char *where)
{
	size_t i;

	for (i = 0; i < CHECK_ELEMENTS; i++) {
		float a, b, sum;
		uint32_t want;

		memcpy(&a, &g->a[i], sizeof(a));
		memcpy(&b, &g->b[i], sizeof(b));
		sum = a + b;
		memcpy(&want, &sum, sizeof(want));
		if (is_nan(want) && is_nan(g->c[i]) && g->c[i] & 0x00400000)
			continue;
		if (!is_nan(want) && g->c[i] == want)
			continue;
		snprintf(g->why, VGPU_ENGINE_WHY,
			 "cuLaunchKernel: vector add in %s memory, element %zu of %d: 0x%08x + 0x%08x gave 0x%08x, not 0x%08x",
			 where, i, CHECK_ELEMENTS, g->a[i], g->b[i], g->c[i],
			 want);
		return -1;
	}
	return 0;
}

static int launch(struct gate *g, CUdeviceptr base, bool host)
{
	const struct cuda_add add = {
		.a = base,
		.b = base + CHECK_STRIDE,
		.c = base + 2 * CHECK_STRIDE,
		.n = CHECK_ELEMENTS,
		.host = host,
		.word = host ? base + 3 * CHECK_STRIDE : 0,
		.counter = g->mem,
		.seq = CHECK_SEQ,
	};
	CUresult err = cuda_vector_add(g->d, NULL, &add);

	if (err != CUDA_SUCCESS) {
		cuda_why(g->d->cu, g->why, "cuLaunchKernel", err);
		return -1;
	}
	TRY(g, cuStreamSynchronize, NULL);
	return 0;
}

static int step_kernel(struct gate *g)
{
	memset(g->c, 0, CHECK_BYTES);
	if (launch(g, g->mem, false))
		return -1;
	TRY(g, cuMemcpyDtoH, g->c, g->mem + 2 * CHECK_STRIDE, CHECK_BYTES);
	if (compare(g, "device"))
		return -1;
	FOUND(g, "%d elements added, 0 errors", CHECK_ELEMENTS);
	return 0;
}

/*
 * The engine's kernels reach into pinned host memory, which a host may bounce
 * or remap (swiotlb in a PV domain, an IOMMU), and say there that they are done:
 * look before relying on it.
 */
static int step_host_memory(struct gate *g)
{
	CUdeviceptr mapped = 0;
	unsigned char *host;
	uint32_t zero = 0, word;

	TRY(g, cuMemHostAlloc, &g->pinned, 4 * CHECK_STRIDE,
	    CU_MEMHOSTALLOC_DEVICEMAP);
	TRY(g, cuMemHostGetDevicePointer, &mapped, g->pinned, 0);
	TRY(g, cuMemcpyHtoD, g->mem, &zero, sizeof(zero));
	host = g->pinned;
	memcpy(host, g->a, CHECK_BYTES);
	memcpy(host + CHECK_STRIDE, g->b, CHECK_BYTES);
	memset(host + 2 * CHECK_STRIDE, 0, 2 * CHECK_STRIDE);
	if (launch(g, mapped, true))
		return -1;
	memcpy(g->c, host + 2 * CHECK_STRIDE, CHECK_BYTES);
	if (compare(g, "pinned host"))
		return -1;
	memcpy(&word, host + 3 * CHECK_STRIDE, sizeof(word));
	if (word != CHECK_SEQ) {
		snprintf(g->why, VGPU_ENGINE_WHY,
			 "cuLaunchKernel: the completion word in pinned host memory is 0x%08x, not 0x%08x",
			 word, CHECK_SEQ);
		return -1;
	}
	TRY(g, cuMemFreeHost, g->pinned);
	g->pinned = NULL;
	TRY(g, cuMemFree, g->mem);
	g->mem = 0;
	FOUND(g, "%d elements added, 0 errors; completion word seen",
	      CHECK_ELEMENTS);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct gate *g);
} steps[] = {
	{ "driver library", step_library },
	{ "initialisation", step_init },
	{ "device count", step_count },
	{ "device", step_select },
	{ "device facts", step_facts },
	{ "launches", step_limits },
	{ "guests' own kernels", step_modules },
	{ "context", step_context },
	{ "kernel image", step_kernels },
	{ "device memory", step_memory },
	{ "copy", step_copy },
	{ "kernel, device memory", step_kernel },
	{ "kernel, host memory", step_host_memory },
};

/* What is still held here was left by a step that failed. */
static void gate_close(struct gate *g)
{
	const struct cuda_driver *cu = g->d->cu;
	CUcontext popped;

	if (g->mem)
		cu->cuMemFree(g->mem);
	if (g->pinned)
		cu->cuMemFreeHost(g->pinned);
	if (g->current)
		cu->cuCtxPopCurrent(&popped);
	free(g);
}

int cuda_device_open(struct cuda_device *d, unsigned int gpu, cuda_say say,
		     char why[VGPU_ENGINE_WHY])
{
	struct gate *g = calloc(1, sizeof(*g));
	char reason[VGPU_ENGINE_WHY] = "";
	fenv_t env;
	size_t i;
	int err = 0;

	memset(d, 0, sizeof(*d));
	if (!g) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return -1;
	}
	g->d = d;
	g->gpu = gpu;
	g->why = reason;
	/* The sums to compare with must not depend on the caller's rounding. */
	fegetenv(&env);
	fesetenv(FE_DFL_ENV);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++) {
		err = steps[i].run(g);
		if (err)
			snprintf(why, VGPU_ENGINE_WHY, "%s: %.220s",
				 steps[i].name, reason);
		else if (say)
			say(steps[i].name, g->found);
	}
	fesetenv(&env);
	gate_close(g);
	if (err)
		cuda_device_close(d);
	return err;
}

void cuda_device_close(struct cuda_device *d)
{
	CUcontext popped;

	/* A lost device refuses these calls, and has nothing left to free. */
	if (d->module && d->cu->cuCtxPushCurrent(d->ctx) == CUDA_SUCCESS) {
		d->cu->cuModuleUnload(d->module);
		d->cu->cuCtxPopCurrent(&popped);
	}
	if (d->ctx)
		d->cu->cuDevicePrimaryCtxRelease(d->dev);
	nvml_close(d->nvml);
	memset(d, 0, sizeof(*d));
}
