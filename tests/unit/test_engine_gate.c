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
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../cuda/engine.h"
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
	unsetenv("FAKE_NVML_FAIL");
	return 0;
}

static struct vgpu_engine *open_gpu(unsigned int gpu)
{
	struct vgpu_engine_config cfg = { .gpu = gpu };
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng = vgpu_engine_open("cuda", &cfg, why);

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
	/* Past the gate, the lanes need memory too. */
	setenv("FAKE_CUDA_FAIL", "cuMemHostAlloc:2:3", 1);
	expect_closed(&config,
		      "staging: cuMemHostAlloc: FAKE_ERROR_2 (2): told to fail");
	setenv("FAKE_CUDA_FAIL", "cuMemHostGetDevicePointer_v2:2:3", 1);
	expect_closed(&config,
		      "staging: cuMemHostGetDevicePointer: FAKE_ERROR_2 (2): told to fail");
	setenv("FAKE_CUDA_FAIL", "cuMemAlloc_v2:2:4", 1);
	expect_closed(&config,
		      "staging: cuMemAlloc: FAKE_ERROR_2 (2): told to fail");
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

/* Adds 1 to a million of elements, or fences (count 0); returns the status. */
static uint16_t work(struct vgpu_engine *eng, uint64_t count)
{
	struct pollfd pfd = { .fd = vgpu_engine_fd(eng), .events = POLLIN };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(eng);
	float *a = malloc((count + 1) * 4), *c = malloc((count + 1) * 4);
	struct vgpu_job job = { .stream = s };
	uint64_t i;

	for (i = 0; i < count; i++)
		a[i] = (float)i;
	memset(c, 0, count * 4);
	job.kernel = count ? VGPU_KERNEL_VECTOR_ADD : 0;
	for (i = 0; i < 3; i++) {
		job.operand[i].host = i == 2 ? c : a;
		job.operand[i].count = count;
	}
	vgpu_engine_submit(eng, &job);
	if (vgpu_engine_arm(eng))
		assert_int_equal(poll(&pfd, 1, 60000), 1);
	assert_ptr_equal(vgpu_engine_reap(eng), &job);
	if (job.status == VGPU_RSP_OK)
		for (i = 0; i < count; i++)
			assert_true(c[i] == 2 * a[i]);
	vgpu_engine_stream_destroy(eng, s);
	free(a);
	free(c);
	return job.status;
}

/* Large enough for the copied path on two threads. */
#define MANY 2000003

/* An error of the GPU ends its job, and every later one at once. */
static void test_errors_of_jobs(void **state)
{
	static const struct {
		const char *fail;
		uint16_t status;
	} table[] = {
		{ "cuLaunchKernel:700", VGPU_RSP_FAULT },
		{ "cuEventQuery:700", VGPU_RSP_FAULT },
		{ "cuEventQuery:719", VGPU_RSP_FAULT },
		{ "cuEventQuery:716", VGPU_RSP_FAULT },
		{ "cuEventQuery:702", VGPU_RSP_TIMEOUT },
		{ "cuEventQuery:46", VGPU_RSP_DEVICE_LOST },
		{ "cuEventRecord:999", VGPU_RSP_DEVICE_LOST },
		{ "cuCtxSetCurrent:201", VGPU_RSP_DEVICE_LOST },
	};
	struct vgpu_engine *eng;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		eng = open_gpu(0);
		assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
		setenv("FAKE_CUDA_FAIL", table[i].fail, 1);
		assert_int_equal(work(eng, 1000), table[i].status);
		unsetenv("FAKE_CUDA_FAIL");
		assert_int_equal(work(eng, 1000), VGPU_RSP_DEVICE_LOST);
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
	assert_int_equal(work(eng, 1000), VGPU_RSP_NO_MEMORY);
	unsetenv("FAKE_CUDA_FAIL");
	assert_int_equal(work(eng, 1000), VGPU_RSP_OK);
	vgpu_engine_close(eng);
}

/* Work that outlasts the polling is slept for, and its errors are seen. */
static void test_slow(void **state)
{
	struct vgpu_engine *eng = open_gpu(0);

	(void)state;
	setenv("FAKE_CUDA_SLOW", "1", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_OK);
	setenv("FAKE_CUDA_FAIL", "cuEventSynchronize:700", 1);
	assert_int_equal(work(eng, MANY), VGPU_RSP_FAULT);
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
	assert_non_null(strstr(out, "kernel, host memory    ok: 4099 elements added, 0 errors\n"));
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
		cmocka_unit_test_setup(test_cuda_sanity, setup),
	};

	(void)argc;
	use_fake_driver(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
