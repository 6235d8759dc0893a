// SPDX-License-Identifier: MIT
/*
 * test_engine_gate.c - the cuda engine's gate and its errors, without a GPU
 *
 * Runs against the fake driver of tests/conformance: starts itself once more
 * with LD_LIBRARY_PATH set to it. Each call of the driver is made to fail in
 * turn; the reason must name step, call and error, and nothing may be left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../cuda/engine.h"
#include "../../cuda/pool.h"
#include "../../cuda/wire.h"

static const struct vgpu_engine_config config;

static int live(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	int (*count)(void) = lib ? (int (*)(void))dlsym(lib, "fake_cuda_live") :
				   NULL;

	assert_non_null(count);
	dlclose(lib);
	return count();
}

static int setup(void **state)
{
	(void)state;
	unsetenv("FAKE_CUDA_FAIL");
	unsetenv("FAKE_CUDA_WRONG");
	unsetenv("FAKE_CUDA_COUNT");
	unsetenv("FAKE_CUDA_SLOW");
	unsetenv("FAKE_CUDA_BUSY");
	unsetenv("FAKE_CUDA_NO_READ_ONLY");
	unsetenv("FAKE_CUDA_PAGEABLE");
	unsetenv("FAKE_CUDA_NO_POOLS");
	unsetenv("FAKE_CUBLAS_FAIL");
	unsetenv("FAKE_NVML_FAIL");
	return 0;
}

static struct vgpu_engine *open_gpu(unsigned int gpu)
{
	struct vgpu_engine_config cfg = { .gpu = gpu };
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng;

	/* Nobody waits here for large jobs that only measure. */
	setenv("FAKE_CUDA_FAST", "1", 1);
	eng = vgpu_engine_open("cuda", &cfg, why);
	unsetenv("FAKE_CUDA_FAST");
	assert_string_equal(why, "");
	assert_non_null(eng);
	return eng;
}

static void expect_closed(const struct vgpu_engine_config *cfg,
			  const char *expected)
{
	char why[VGPU_ENGINE_WHY] = "";

	assert_null(vgpu_engine_open("cuda", cfg, why));
	if (strncmp(why, expected, strlen(expected)))
		fail_msg("the reason is \"%s\", not \"%s\"", why, expected);
	assert_int_equal(live(), 0);
}

static void test_passes(void **state)
{
	struct vgpu_engine_facts f;
	struct vgpu_engine_info i;
	struct vgpu_engine *eng;

	(void)state;
	eng = open_gpu(0);
	vgpu_engine_facts(eng, &f);
	vgpu_engine_info(eng, &i);
	assert_string_equal(f.engine, "cuda");
	assert_string_equal(f.gpu_name, "Fake GPU 0 of the tests");
	assert_string_equal(f.gpu_uuid,
			    "GPU-11111111-1111-1111-1111-111111111111");
	assert_string_equal(f.compute_capability, "9.0");
	assert_string_equal(f.driver_version, "580.0.1");
	assert_int_equal(f.memory, 1 << 30);
	assert_int_equal(i.mem_total, 1 << 30);
	assert_int_equal(i.mem_free, 3 << 28);
	assert_int_equal(i.temperature_mc, 45000);
	assert_int_equal(i.power_mw, 123456);
	assert_int_equal(i.utilization, 7);
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
}

/* The Nth call after those of the lanes' opening. */
static void fail_after_lanes(const char *call, unsigned int nth)
{
	unsigned int lanes = pool_processors(24) * 3 / 4;
	char fail[64];

	if (lanes < 2)
		lanes = 2;
	if (lanes > 12)
		lanes = 12;
	snprintf(fail, sizeof(fail), "%s:2:%u", call, lanes + nth);
	setenv("FAKE_CUDA_FAIL", fail, 1);
}

static void test_each_call_fails(void **state)
{
	static const char *const table[][2] = {
		{ "cuInit", "initialisation: cuInit:" },
		{ "cuDriverGetVersion", "initialisation: cuDriverGetVersion:" },
		{ "cuDeviceGetCount", "device count: cuDeviceGetCount:" },
		{ "cuDeviceGet", "device: cuDeviceGet:" },
		{ "cuDeviceGetUuid_v2", "device: cuDeviceGetUuid:" },
		{ "cuDeviceGetName", "device facts: cuDeviceGetName:" },
		{ "cuDeviceTotalMem_v2", "device facts: cuDeviceTotalMem:" },
		{ "cuDeviceGetAttribute", "device facts: cuDeviceGetAttribute:" },
		{ "cuDevicePrimaryCtxRetain", "context: cuDevicePrimaryCtxRetain:" },
		{ "cuCtxPushCurrent_v2", "context: cuCtxPushCurrent:" },
		{ "cuModuleLoadData", "kernel image: cuModuleLoadData:" },
		{ "cuModuleGetFunction", "kernel image: cuModuleGetFunction:" },
		{ "cuMemAlloc_v2", "device memory: cuMemAlloc:" },
		{ "cuMemGetInfo_v2", "device memory: cuMemGetInfo:" },
		{ "cuMemcpyHtoD_v2", "copy: cuMemcpyHtoD:" },
		{ "cuMemcpyDtoH_v2", "copy: cuMemcpyDtoH:" },
		{ "cuLaunchKernel", "kernel, device memory: cuLaunchKernel:" },
		{ "cuStreamSynchronize", "kernel, device memory: cuStreamSynchronize:" },
		{ "cuMemHostAlloc", "kernel, host memory: cuMemHostAlloc:" },
		{ "cuMemHostGetDevicePointer_v2",
		  "kernel, host memory: cuMemHostGetDevicePointer:" },
		{ "cuStreamCreate", "staging: cuStreamCreate:" },
		{ "cuEventCreate", "staging: cuEventCreate:" },
	};
	static const char *const pool[] = { "cuDeviceGetDefaultMemPool",
					    "cuMemPoolSetAttribute",
					    "cuMemAllocAsync" };
	char fail[64], expected[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(fail, sizeof(fail), "%s:999", table[i][0]);
		snprintf(expected, sizeof(expected),
			 "%s FAKE_ERROR_999 (999): told to fail", table[i][1]);
		setenv("FAKE_CUDA_FAIL", fail, 1);
		expect_closed(&config, expected);
	}
	/* Past the gate, the ways for data need memory too. */
	setenv("FAKE_CUDA_FAIL", "cuMemHostAlloc:2:3", 1);
	expect_closed(&config,
		      "staging: cuMemHostAlloc: FAKE_ERROR_2 (2): told to fail");
	setenv("FAKE_CUDA_FAIL", "cuMemHostGetDevicePointer_v2:2:3", 1);
	expect_closed(&config,
		      "staging: cuMemHostGetDevicePointer: FAKE_ERROR_2 (2): told to fail");
	fail_after_lanes("cuMemHostAlloc", 2);
	expect_closed(&config,
		      "queues: cuMemHostAlloc: FAKE_ERROR_2 (2): told to fail");
	fail_after_lanes("cuStreamCreate", 1);
	expect_closed(&config,
		      "queues: cuStreamCreate: FAKE_ERROR_2 (2): told to fail");
	setenv("FAKE_CUDA_FAIL", "cuMemAlloc_v2:2:3", 1);
	expect_closed(&config,
		      "queues: cuMemAlloc: FAKE_ERROR_2 (2): told to fail");
	setenv("FAKE_CUDA_FAIL", "cuMemcpyHtoD_v2:2:4", 1);
	expect_closed(&config,
		      "queues: cuMemcpyHtoD: FAKE_ERROR_2 (2): told to fail");
	fail_after_lanes("cuMemHostAlloc", 3);
	expect_closed(&config,
		      "small jobs: cuMemHostAlloc: FAKE_ERROR_2 (2): told to fail");
	fail_after_lanes("cuStreamCreate", 2);
	expect_closed(&config,
		      "memory pool: cuStreamCreate: FAKE_ERROR_2 (2): told to fail");
	for (i = 0; i < sizeof(pool) / sizeof(pool[0]); i++) {
		snprintf(fail, sizeof(fail), "%s:999", pool[i]);
		snprintf(expected, sizeof(expected),
			 "memory pool: %s: FAKE_ERROR_999 (999): told to fail",
			 pool[i]);
		setenv("FAKE_CUDA_FAIL", fail, 1);
		expect_closed(&config, expected);
	}
	/* And then they are measured. */
	setenv("FAKE_CUDA_FAIL", "cuCtxSetCurrent:999", 1);
	expect_closed(&config, "tuning: the GPU failed");
	unsetenv("FAKE_CUDA_FAIL");
	test_passes(state);
}

static void test_wrong_results(void **state)
{
	(void)state;
	setenv("FAKE_CUDA_WRONG", "copy", 1);
	expect_closed(&config, "copy: cuMemcpyHtoD, cuMemcpyDtoH: word 4098 of 4099");
	setenv("FAKE_CUDA_WRONG", "kernel", 1);
	expect_closed(&config,
		      "kernel, device memory: cuLaunchKernel: vector add in device memory, element 4098");
	setenv("FAKE_CUDA_WRONG", "mapped", 1);
	expect_closed(&config,
		      "kernel, host memory: cuLaunchKernel: vector add in pinned host memory, element 4098");
	setenv("FAKE_CUDA_WRONG", "word", 1);
	expect_closed(&config,
		      "kernel, host memory: cuLaunchKernel: the completion word in pinned host memory is 0x00000000, not 0x5ea1ed01");
}

static void test_choice_of_gpu(void **state)
{
	static const struct vgpu_engine_config third = { .gpu = 2 };
	struct vgpu_engine_facts f;
	struct vgpu_engine *eng;

	(void)state;
	setenv("FAKE_CUDA_COUNT", "0", 1);
	expect_closed(&config, "device count: cuDeviceGetCount: no GPU");
	setenv("FAKE_CUDA_COUNT", "2", 1);
	expect_closed(&third, "device: there is no GPU 2: NVML counts 2");
	/* NVML's first is CUDA's second. */
	eng = open_gpu(0);
	vgpu_engine_facts(eng, &f);
	assert_string_equal(f.gpu_name, "Fake GPU 1 of the tests");
	vgpu_engine_close(eng);
	/* Without NVML it is CUDA that counts. */
	setenv("FAKE_NVML_FAIL", "1", 1);
	expect_closed(&third, "device: there is no GPU 2: CUDA counts 2");
	eng = open_gpu(0);
	vgpu_engine_facts(eng, &f);
	assert_string_equal(f.gpu_name, "Fake GPU 0 of the tests");
	assert_string_equal(f.driver_version, "");
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
}

static void test_auto_falls_back(void **state)
{
	struct vgpu_engine_facts f;
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng;

	(void)state;
	setenv("FAKE_CUDA_FAIL", "cuInit:100", 1);
	eng = vgpu_engine_open("auto", &config, why);
	assert_non_null(eng);
	vgpu_engine_facts(eng, &f);
	assert_string_equal(f.engine, "cpu");
	assert_non_null(strstr(why, "cuInit: FAKE_ERROR_100"));
	vgpu_engine_close(eng);
}

/* The path of the last job that work() ran. */
static unsigned int last_path;

static void fill_job(struct vgpu_job *job, struct vgpu_engine_stream *s,
		     float *a, float *c, uint64_t count)
{
	memset(job, 0, sizeof(*job));
	job->stream = s;
	job->op = count ? VGPU_OP_BUILTIN : VGPU_OP_FENCE;
	job->kernel = VGPU_KERNEL_VECTOR_ADD;
	for (int i = 0; i < 3; i++) {
		job->operand[i].host = i == 2 ? c : a;
		job->operand[i].count = count;
	}
}

/* Adds up `count` elements, or fences (count 0); returns the status. */
static uint16_t work(struct vgpu_engine *eng, uint64_t count)
{
	struct pollfd pfd = { .fd = vgpu_engine_fd(eng), .events = POLLIN };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(eng);
	float *a = malloc((count + 1) * 4), *c = malloc((count + 1) * 4);
	struct vgpu_job job;
	uint64_t i;

	for (i = 0; i < count; i++)
		a[i] = (float)i;
	memset(c, 0, count * 4);
	fill_job(&job, s, a, c, count);
	vgpu_engine_submit(eng, &job);
	if (vgpu_engine_arm(eng))
		assert_int_equal(poll(&pfd, 1, 60000), 1);
	assert_ptr_equal(vgpu_engine_reap(eng), &job);
	if (job.status == VGPU_RSP_OK)
		for (i = 0; i < count; i++)
			assert_true(c[i] == 2 * a[i]);
	last_path = job.path;
	vgpu_engine_stream_destroy(eng, s);
	free(a);
	free(c);
	return job.status;
}

/* Few: done without a thread. Many: by copy engines, on two threads. */
#define FEW	1000
#define MANY	2000003

/* An error of the GPU ends its job, and every later one at once. */
static void test_errors_of_jobs(void **state)
{
	static const struct {
		const char *fail;
		const char *wrong;
		uint64_t count;
		uint16_t status;
	} table[] = {
		{ "cuLaunchKernel:700", "", FEW, VGPU_RSP_FAULT },
		{ "cuLaunchKernel:719", "", FEW, VGPU_RSP_FAULT },
		{ "cuCtxSetCurrent:201", "", FEW, VGPU_RSP_DEVICE_LOST },
		/* A kernel that died says nothing: it is asked for. */
		{ "cuStreamQuery:700", "word", FEW, VGPU_RSP_FAULT },
		{ "cuStreamQuery:702", "word", FEW, VGPU_RSP_TIMEOUT },
		{ "cuLaunchKernel:700", "", MANY, VGPU_RSP_FAULT },
		{ "cuMemcpyHtoDAsync_v2:46", "", MANY, VGPU_RSP_DEVICE_LOST },
		{ "cuMemcpyDtoHAsync_v2:46", "", MANY, VGPU_RSP_DEVICE_LOST },
		{ "cuEventQuery:700", "", MANY, VGPU_RSP_FAULT },
		{ "cuEventQuery:719", "", MANY, VGPU_RSP_FAULT },
		{ "cuEventQuery:716", "", MANY, VGPU_RSP_FAULT },
		{ "cuEventQuery:702", "", MANY, VGPU_RSP_TIMEOUT },
		{ "cuEventQuery:46", "", MANY, VGPU_RSP_DEVICE_LOST },
		{ "cuEventRecord:999", "", MANY, VGPU_RSP_DEVICE_LOST },
		{ "cuCtxSetCurrent:201", "", MANY, VGPU_RSP_DEVICE_LOST },
	};
	struct vgpu_engine *eng;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		eng = open_gpu(0);
		assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
		assert_int_equal(last_path, VGPU_PATH_STAGED_PIPELINED);
		assert_int_equal(work(eng, FEW), VGPU_RSP_OK);
		assert_int_equal(last_path, VGPU_PATH_STAGED_ZERO_COPY);
		setenv("FAKE_CUDA_FAIL", table[i].fail, 1);
		setenv("FAKE_CUDA_WRONG", table[i].wrong, 1);
		assert_int_equal(work(eng, table[i].count), table[i].status);
		unsetenv("FAKE_CUDA_FAIL");
		unsetenv("FAKE_CUDA_WRONG");
		assert_int_equal(work(eng, FEW), VGPU_RSP_DEVICE_LOST);
		assert_int_equal(work(eng, MANY), VGPU_RSP_DEVICE_LOST);
		assert_int_equal(work(eng, 0), VGPU_RSP_OK);
		vgpu_engine_close(eng);
		assert_int_equal(live(), 0);
	}
}

/* Parts of one job on several threads, of which a later one fails. */
static void test_error_in_later_part(void **state)
{
	struct vgpu_engine *eng = open_gpu(0);

	(void)state;
	setenv("FAKE_CUDA_FAIL", "cuLaunchKernel:719:2", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_FAULT);
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
}

/* Out of memory is no error of the GPU: the next job runs. */
static void test_out_of_memory(void **state)
{
	struct vgpu_engine *eng = open_gpu(0);

	(void)state;
	setenv("FAKE_CUDA_FAIL", "cuLaunchKernel:2", 1);
	assert_int_equal(work(eng, FEW), VGPU_RSP_NO_MEMORY);
	unsetenv("FAKE_CUDA_FAIL");
	assert_int_equal(work(eng, FEW), VGPU_RSP_OK);
	/* What is queued already is waited for. */
	setenv("FAKE_CUDA_FAIL", "cuMemcpyDtoHAsync_v2:2", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_NO_MEMORY);
	unsetenv("FAKE_CUDA_FAIL");
	assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
	/* Who cannot ask does not know: the job is not over yet. */
	setenv("FAKE_CUDA_BUSY", "1", 1);
	setenv("FAKE_CUDA_FAIL", "cuStreamQuery:2", 1);
	assert_int_equal(work(eng, FEW), VGPU_RSP_OK);
	unsetenv("FAKE_CUDA_FAIL");
	unsetenv("FAKE_CUDA_BUSY");
	/* Work that nobody can wait for may go on: nothing may follow it. */
	setenv("FAKE_CUDA_FAIL", "cuEventRecord:2", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_DEVICE_LOST);
	unsetenv("FAKE_CUDA_FAIL");
	assert_int_equal(work(eng, FEW), VGPU_RSP_DEVICE_LOST);
	vgpu_engine_close(eng);
}

/* Lanes that get no more memory work with what they have. */
static void test_small_staging(void **state)
{
	static const char *const fail[] = { "cuMemHostAlloc:2",
					    "cuMemHostGetDevicePointer_v2:2",
					    "cuMemAlloc_v2:2" };
	struct vgpu_engine *eng;

	(void)state;
	for (size_t i = 0; i < sizeof(fail) / sizeof(fail[0]); i++) {
		/* No large job is tried at open, so lanes are small yet. */
		setenv("FAKE_CUDA_BUSY", "1", 1);
		eng = open_gpu(0);
		unsetenv("FAKE_CUDA_BUSY");
		setenv("FAKE_CUDA_FAIL", fail[i], 1);
		assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
		assert_int_equal(last_path, VGPU_PATH_STAGED_ZERO_COPY);
		unsetenv("FAKE_CUDA_FAIL");
		assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
		vgpu_engine_close(eng);
		assert_int_equal(live(), 0);
	}
	/* Other errors are errors. */
	eng = open_gpu(0);
	setenv("FAKE_CUDA_FAIL", "cuMemHostAlloc:719", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_FAULT);
	unsetenv("FAKE_CUDA_FAIL");
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
}

/* Work that is asked for again and again, and its errors are seen. */
static void test_slow(void **state)
{
	struct vgpu_engine *eng = open_gpu(0);

	(void)state;
	setenv("FAKE_CUDA_SLOW", "1", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
	setenv("FAKE_CUDA_FAIL", "cuEventQuery:700:150", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_FAULT);
	vgpu_engine_close(eng);
}

#define REGION_BYTES (64 << 10)

static void *pages(void)
{
	void *p = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Each direction, of copy engines and of kernels, is tested by itself. */
static void test_region_test(void **state)
{
	static const char *const table[][2] = {
		{ "copy-in", "a copy engine does not read what the processor wrote" },
		{ "kernel-in", "a kernel does not read what the processor wrote" },
		{ "kernel-out", "the processor does not read what a kernel wrote" },
		{ "copy-out", "the processor does not read what a copy engine wrote" },
	};
	char why[VGPU_ENGINE_WHY], again[VGPU_ENGINE_WHY], *p = pages();
	struct vgpu_engine *eng;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		eng = open_gpu(0);
		setenv("FAKE_CUDA_WRONG", table[i][0], 1);
		assert_false(vgpu_engine_region_test(eng, p, REGION_BYTES,
						     why));
		/* No two times with the same words: nobody can foresee them. */
		assert_false(vgpu_engine_region_test(eng, p, REGION_BYTES,
						     again));
		assert_string_not_equal(why, again);
		unsetenv("FAKE_CUDA_WRONG");
		if (strncmp(why, table[i][1], strlen(table[i][1])))
			fail_msg("the reason is \"%s\"", why);
		assert_null(vgpu_engine_region_add(eng, p, REGION_BYTES, false));
		assert_int_equal(work(eng, FEW), VGPU_RSP_OK);
		vgpu_engine_close(eng);
		assert_int_equal(live(), 0);
	}
	eng = open_gpu(0);
	setenv("FAKE_CUDA_FAIL", "cuMemHostRegister_v2:801", 1);
	assert_false(vgpu_engine_region_test(eng, p, REGION_BYTES, why));
	assert_non_null(strstr(why, "cuMemHostRegister: FAKE_ERROR_801"));
	unsetenv("FAKE_CUDA_FAIL");
	vgpu_engine_close(eng);
	eng = open_gpu(0);
	assert_true(vgpu_engine_region_test(eng, p, REGION_BYTES, why));
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
	munmap(p, REGION_BYTES);
}

/* No region is no failure; and no region is left behind. */
static void test_regions_refused(void **state)
{
	static const char *const fail[] = { "cuMemHostRegister_v2:2",
					    "cuMemHostGetDevicePointer_v2:2",
					    "cuCtxSetCurrent:2" };
	struct vgpu_engine *eng = open_gpu(0);
	struct vgpu_engine_region *region;
	void *p = pages();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		setenv("FAKE_CUDA_FAIL", fail[i], 1);
		assert_null(vgpu_engine_region_add(eng, p, REGION_BYTES, false));
		unsetenv("FAKE_CUDA_FAIL");
	}
	region = vgpu_engine_region_add(eng, p, REGION_BYTES, true);
	assert_non_null(region);
	assert_null(vgpu_engine_region_add(eng, p, REGION_BYTES, true));
	vgpu_engine_region_remove(eng, region);
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);

	setenv("FAKE_CUDA_NO_READ_ONLY", "1", 1);
	eng = open_gpu(0);
	assert_null(vgpu_engine_region_add(eng, p, REGION_BYTES, true));
	region = vgpu_engine_region_add(eng, p, REGION_BYTES, false);
	assert_non_null(region);
	vgpu_engine_region_remove(eng, region);
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
	munmap(p, REGION_BYTES);
}

/* Opens the engine: is what it says of its tuning this? */
static bool tuned(const char *expected)
{
	struct vgpu_engine *eng = open_gpu(0);
	struct vgpu_engine_facts f;

	vgpu_engine_facts(eng, &f);
	assert_int_equal(work(eng, FEW), VGPU_RSP_OK);
	vgpu_engine_close(eng);
	assert_int_equal(live(), 0);
	return !strncmp(f.tuning, expected, strlen(expected));
}

/* By the engine's clock all is done a thousand times as fast as it is. */
static bool fast_clock;

uint64_t __real_pool_now_ns(void);
uint64_t __wrap_pool_now_ns(void);
uint64_t __wrap_pool_now_ns(void)
{
	uint64_t now = __real_pool_now_ns();

	return __atomic_load_n(&fast_clock, __ATOMIC_RELAXED) ? now / 1000 :
								now;
}

/* Where nothing can be measured the engine opens all the same, and says so. */
static void test_tuning(void **state)
{
	(void)state;
	setenv("FAKE_CUDA_BUSY", "1", 1);
	assert_true(tuned("not measured (the GPU is slow or busy): zero-copy up to 64.0 MiB "));
	unsetenv("FAKE_CUDA_BUSY");
	/* On a busy host the fastest GPU looks slow. */
	__atomic_store_n(&fast_clock, true, __ATOMIC_RELAXED);
	setenv("FAKE_CUDA_FAIL", "cuMemHostRegister_v2:801", 1);
	assert_true(tuned("not measured (memory cannot be registered): zero-copy up to 64.0 MiB "));
	unsetenv("FAKE_CUDA_FAIL");
	assert_true(tuned("measured: zero-copy up to "));
	__atomic_store_n(&fast_clock, false, __ATOMIC_RELAXED);
}

/*
 * The last test: the fake context is dead after it, as a real one. Jobs that
 * never end are in flight when another one faults; the caller sleeps.
 */
static void test_fault(void **state)
{
	enum { JOBS = 10 };
	struct vgpu_engine *eng = open_gpu(0);
	struct pollfd pfd = { .fd = vgpu_engine_fd(eng), .events = POLLIN };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(eng);
	struct vgpu_engine_stream *s2 = vgpu_engine_stream_create(eng);
	struct vgpu_job job[JOBS], fault, *done;
	static float a[FEW], c[FEW];
	int reaped = 0;

	(void)state;
	setenv("FAKE_CUDA_WRONG", "word", 1);
	for (int i = 0; i < JOBS; i++) {
		fill_job(&job[i], s, a, c, FEW);
		vgpu_engine_submit(eng, &job[i]);
	}
	assert_true(vgpu_engine_arm(eng));
	fill_job(&fault, s2, NULL, NULL, 0);
	fault.op = VGPU_OP_BUILTIN;
	fault.kernel = VGPU_KERNEL_DEBUG_FAULT;
	vgpu_engine_submit(eng, &fault);
	while (reaped < JOBS + 1) {
		if (vgpu_engine_arm(eng))
			assert_int_equal(poll(&pfd, 1, 60000), 1);
		for (done = vgpu_engine_reap(eng); done; done = done->next)
			reaped++;
	}
	assert_int_equal(fault.status, VGPU_RSP_FAULT);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(job[i].status, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(work(eng, FEW), VGPU_RSP_DEVICE_LOST);
	assert_int_equal(work(eng, MANY), VGPU_RSP_DEVICE_LOST);
	assert_int_equal(work(eng, 0), VGPU_RSP_OK);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_stream_destroy(eng, s2);
	vgpu_engine_close(eng);
}

/* Runs cuda_sanity, beside this program's directory; returns its exit status. */
static int sanity(const char *args, char out[4096])
{
	char self[2048] = "", command[4096];
	size_t len;
	FILE *p;
	int rc;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(command, sizeof(command), "%s/../bin/cuda_sanity %s 2>&1",
		 dirname(self), args);
	p = popen(command, "r");
	assert_non_null(p);
	len = fread(out, 1, 4095, p);
	out[len] = '\0';
	rc = pclose(p);
	assert_true(WIFEXITED(rc));
	return WEXITSTATUS(rc);
}

static void test_cuda_sanity(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(sanity("", out), 0);
	assert_non_null(strstr(out, "\ncuda_sanity: PASSED: GPU 0, Fake GPU 0 of the tests\n"));
	assert_non_null(strstr(out, "kernel, host memory    ok: 4099 elements added, 0 errors; completion word seen\n"));
	assert_non_null(strstr(out, "ways for data          ok: "));
	assert_int_equal(sanity("--gpu 1", out), 1);
	assert_non_null(strstr(out, "\ncuda_sanity: FAILED: device: there is no GPU 1: NVML counts 1\n"));
	setenv("FAKE_CUDA_FAIL", "cuInit:100", 1);
	assert_int_equal(sanity("--gpu 0", out), 1);
	assert_non_null(strstr(out, "\ncuda_sanity: FAILED: initialisation: cuInit: FAKE_ERROR_100 (100): told to fail\n"));
	assert_int_equal(sanity("--gpu -1", out), 2);
	assert_int_equal(sanity("--gpu 1x", out), 2);
	assert_int_equal(sanity("--gpu", out), 2);
	assert_int_equal(sanity("0", out), 2);
	assert_int_equal(sanity("--help", out), 0);
	assert_int_equal(strncmp(out, "Usage: cuda_sanity", 18), 0);
}

static void use_fake_driver(char **argv)
{
	char self[2048] = "", path[4096];

	if (getenv("FAKE_CUDA_DIR"))
		return;
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		exit(255);
	snprintf(path, sizeof(path), "%s/fake", dirname(self));
	setenv("FAKE_CUDA_DIR", path, 1);
	setenv("LD_LIBRARY_PATH", path, 1);
	execv("/proc/self/exe", argv);
	exit(255);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_passes, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		cmocka_unit_test_setup(test_wrong_results, setup),
		cmocka_unit_test_setup(test_choice_of_gpu, setup),
		cmocka_unit_test_setup(test_auto_falls_back, setup),
		cmocka_unit_test_setup(test_errors_of_jobs, setup),
		cmocka_unit_test_setup(test_error_in_later_part, setup),
		cmocka_unit_test_setup(test_out_of_memory, setup),
		cmocka_unit_test_setup(test_slow, setup),
		cmocka_unit_test_setup(test_small_staging, setup),
		cmocka_unit_test_setup(test_region_test, setup),
		cmocka_unit_test_setup(test_regions_refused, setup),
		cmocka_unit_test_setup(test_tuning, setup),
		cmocka_unit_test_setup(test_cuda_sanity, setup),
		cmocka_unit_test_setup(test_fault, setup),
	};

	(void)argc;
	use_fake_driver(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
