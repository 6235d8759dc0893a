// SPDX-License-Identifier: MIT
/*
 * test_engine_work.c - memory, modules and launches of the cuda engine, when the
 * driver says no, and when kernels take long or for ever
 *
 * Runs against the fake driver of tests/conformance, as test_engine_gate.c. Calls
 * of the driver that wait for kernels to end do so there: an engine that made one
 * where it must not would hang here.
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../cuda/engine.h"
#include "../../cuda/wire.h"

#define LIMIT_MS	100
#define LIMIT_MOST_MS	10000

/* The fake driver knows these by name. */
static const char ptx[] =
	".version 7.0\n.target sm_75\n"
	".visible .entry count(.param .u64 counter) { ret; }\n"
	".visible .entry spin(.param .u64 flag) { ret; }\n";

struct bench {
	struct vgpu_engine *eng;
	struct vgpu_engine_stream *s, *t;
	struct vgpu_engine_module module;
	struct vgpu_engine_function count, spin;
	struct vgpu_engine_mem mem;
};

static int live(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	int (*count)(void) = lib ? (int (*)(void))dlsym(lib, "fake_cuda_live") :
				   NULL;

	assert_non_null(count);
	dlclose(lib);
	return count();
}

/*
 * The engine's clock. It stands still while what is there must be there within a
 * time limit, and this program may stand still as long as it likes.
 */
static uint64_t stopped_at;

uint64_t __real_pool_now_ns(void);
uint64_t __wrap_pool_now_ns(void);
uint64_t __wrap_pool_now_ns(void)
{
	uint64_t at = __atomic_load_n(&stopped_at, __ATOMIC_RELAXED);

	return at ? at : __real_pool_now_ns();
}

static void stop_clock(bool stop)
{
	__atomic_store_n(&stopped_at, stop ? __real_pool_now_ns() : 0,
			 __ATOMIC_RELAXED);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct vgpu_engine *open_engine(uint64_t limit_ms)
{
	struct vgpu_engine_config cfg = { .max_job_ns = limit_ms * 1000000 };
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng;

	setenv("FAKE_CUDA_FAST", "1", 1);
	eng = vgpu_engine_open("cuda", &cfg, why);
	unsetenv("FAKE_CUDA_FAST");
	assert_string_equal(why, "");
	assert_non_null(eng);
	return eng;
}

/* Waits for so many jobs, on the descriptor. */
static void reap(struct vgpu_engine *eng, int n)
{
	struct pollfd pfd = { .fd = vgpu_engine_fd(eng), .events = POLLIN };

	while (n > 0) {
		if (vgpu_engine_arm(eng))
			assert_int_equal(poll(&pfd, 1, 60000), 1);
		for (struct vgpu_job *j = vgpu_engine_reap(eng); j; j = j->next)
			n--;
	}
	assert_int_equal(n, 0);
}

static uint16_t run(struct bench *b, struct vgpu_job *job)
{
	vgpu_engine_submit(b->eng, job);
	reap(b->eng, 1);
	return job->status;
}

static struct vgpu_job make(struct vgpu_engine_stream *s, uint8_t op)
{
	return (struct vgpu_job){ .stream = s, .op = op };
}

static struct vgpu_job make_load(struct vgpu_engine_stream *s,
				 struct vgpu_engine_module *module)
{
	struct vgpu_job job = make(s, VGPU_OP_MODULE_LOAD);

	*module = (struct vgpu_engine_module){ 0 };
	job.module = module;
	job.format = VGPU_MODULE_PTX;
	job.operand[0].host = (void *)(uintptr_t)ptx;
	job.operand[0].count = sizeof(ptx) - 1;
	return job;
}

static struct vgpu_job make_alloc(struct vgpu_engine_stream *s,
				  struct vgpu_engine_mem *mem, uint64_t bytes)
{
	struct vgpu_job job = make(s, VGPU_OP_MEM_ALLOC);

	*mem = (struct vgpu_engine_mem){ .bytes = bytes };
	job.mem = mem;
	return job;
}

/* The kernels have one parameter each, of 8 octets. */
static struct vgpu_job make_launch(struct vgpu_engine_stream *s,
				   struct vgpu_engine_function *fn,
				   const uint64_t *arg)
{
	struct vgpu_job job = make(s, VGPU_OP_LAUNCH);

	job.launch = (struct vgpu_engine_launch){
		.function = fn,
		.grid = { 1, 1, 1 },
		.block = { 1, 1, 1 },
		.args = (void *)(uintptr_t)arg,
		.args_len = 8,
	};
	return job;
}

static void get(struct bench *b, struct vgpu_engine_function *fn,
		const char *name)
{
	struct vgpu_job job = make(b->s, VGPU_OP_FUNCTION_GET);

	job.module = &b->module;
	job.function = fn;
	job.name = name;
	assert_int_equal(run(b, &job), VGPU_RSP_OK);
	assert_int_equal(fn->args_len, 8);
}

static void bench_open(struct bench *b, uint64_t limit_ms)
{
	struct vgpu_job job;

	stop_clock(limit_ms);
	memset(b, 0, sizeof(*b));
	b->eng = open_engine(limit_ms);
	b->s = vgpu_engine_stream_create(b->eng);
	b->t = vgpu_engine_stream_create(b->eng);
	job = make_load(b->s, &b->module);
	assert_int_equal(run(b, &job), VGPU_RSP_OK);
	get(b, &b->count, "count");
	get(b, &b->spin, "spin");
	job = make_alloc(b->s, &b->mem, 4096);
	assert_int_equal(run(b, &job), VGPU_RSP_OK);
	stop_clock(false);
}

static void bench_close(struct bench *b)
{
	vgpu_engine_mem_free(b->eng, &b->mem);
	vgpu_engine_module_unload(b->eng, &b->module);
	vgpu_engine_stream_destroy(b->eng, b->s);
	vgpu_engine_stream_destroy(b->eng, b->t);
	vgpu_engine_close(b->eng);
	unsetenv("FAKE_CUDA_FAIL");
	unsetenv("FAKE_CUBLAS_FAIL");
	assert_int_equal(live(), 0);
}

static void check_works(struct bench *b)
{
	uint64_t at = b->mem.address;
	struct vgpu_job job = make_launch(b->s, &b->count, &at);

	unsetenv("FAKE_CUDA_FAIL");
	assert_int_equal(run(b, &job), VGPU_RSP_OK);
}

/* What the driver refuses is the job's end, and nobody else's. */
static void test_refusals(void **state)
{
	static const struct {
		const char *fail;
		uint16_t load, alloc, launch;
	} table[] = {
		{ "cuModuleLoadDataEx:200", VGPU_RSP_BAD_IMAGE, 0, 0 },
		{ "cuModuleLoadDataEx:218", VGPU_RSP_BAD_IMAGE, 0, 0 },
		{ "cuModuleLoadDataEx:2", VGPU_RSP_NO_MEMORY, 0, 0 },
		{ "cuMemAllocAsync:2", 0, VGPU_RSP_NO_MEMORY, 0 },
		{ "cuMemsetD8Async:2", 0, VGPU_RSP_NO_MEMORY, 0 },
		{ "cuLaunchKernel:1", 0, 0, VGPU_RSP_LAUNCH },
		{ "cuLaunchKernel:701", 0, 0, VGPU_RSP_LAUNCH },
		{ "cuLaunchKernel:2", 0, 0, VGPU_RSP_NO_MEMORY },
	};
	struct vgpu_engine_module module;
	struct vgpu_engine_mem mem;
	struct vgpu_job job;
	struct bench b;
	uint64_t at;

	(void)state;
	bench_open(&b, 0);
	at = b.mem.address;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		setenv("FAKE_CUDA_FAIL", table[i].fail, 1);
		job = make_load(b.s, &module);
		assert_int_equal(run(&b, &job), table[i].load);
		assert_true(!module.priv == !!table[i].load);
		job = make_alloc(b.s, &mem, 100);
		assert_int_equal(run(&b, &job), table[i].alloc);
		assert_true(!mem.address == !!table[i].alloc);
		job = make_launch(b.s, &b.count, &at);
		assert_int_equal(run(&b, &job), table[i].launch);
		check_works(&b);
		vgpu_engine_mem_free(b.eng, &mem);
		vgpu_engine_module_unload(b.eng, &module);
	}
	bench_close(&b);
}

/* A word that is never written is the end; so is an error that is none of these. */
static void test_errors(void **state)
{
	static const struct {
		const char *fail;
		uint16_t status;
	} table[] = {
		{ "cuStreamWriteValue32_v2:2", VGPU_RSP_DEVICE_LOST },
		{ "cuStreamWriteValue32_v2:700", VGPU_RSP_FAULT },
		{ "cuLaunchKernel:999", VGPU_RSP_DEVICE_LOST },
		{ "cuCtxSetCurrent:201", VGPU_RSP_DEVICE_LOST },
	};
	struct vgpu_job job;
	struct bench b;
	uint64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bench_open(&b, 0);
		at = b.mem.address;
		setenv("FAKE_CUDA_FAIL", table[i].fail, 1);
		job = make_launch(b.s, &b.count, &at);
		assert_int_equal(run(&b, &job), table[i].status);
		unsetenv("FAKE_CUDA_FAIL");
		job = make_launch(b.t, &b.count, &at);
		assert_int_equal(run(&b, &job), VGPU_RSP_DEVICE_LOST);
		/* Its memory and modules went with the context. */
		vgpu_engine_stream_destroy(b.eng, b.s);
		vgpu_engine_stream_destroy(b.eng, b.t);
		vgpu_engine_mem_free(b.eng, &b.mem);
		vgpu_engine_module_unload(b.eng, &b.module);
		vgpu_engine_close(b.eng);
	}
}

static void no_modules(const char *env, const char *why, uint16_t alloc)
{
	struct vgpu_engine_module module;
	struct vgpu_engine_facts facts;
	struct vgpu_engine_mem mem;
	struct vgpu_job job;
	struct bench b = { 0 };

	setenv(env, "1", 1);
	b.eng = open_engine(0);
	unsetenv(env);
	vgpu_engine_facts(b.eng, &facts);
	assert_false(facts.modules);
	assert_non_null(strstr(facts.tuning, why));
	b.s = vgpu_engine_stream_create(b.eng);
	job = make_load(b.s, &module);
	assert_int_equal(run(&b, &job), VGPU_RSP_UNSUPPORTED);
	job = make_alloc(b.s, &mem, 100);
	assert_int_equal(run(&b, &job), alloc);
	vgpu_engine_mem_free(b.eng, &mem);
	vgpu_engine_stream_destroy(b.eng, b.s);
	vgpu_engine_close(b.eng);
}

/* A guest's kernel must not reach the memory of the process. */
static void test_no_modules(void **state)
{
	(void)state;
	no_modules("FAKE_CUDA_PAGEABLE", "; no modules: set uvm_disable_hmm=1",
		   VGPU_RSP_OK);
	no_modules("FAKE_CUDA_NO_POOLS", "; no modules: no memory pools",
		   VGPU_RSP_UNSUPPORTED);
}

static const struct vgpu_sgemm shape = {
	.m = 2, .n = 2, .k = 2, .lda = 2, .ldb = 2, .ldc = 2,
	.alpha = 0x3f800000,
};
static const float x[4] = { 1, 2, 3, 4 }, y[4] = { 5, 6, 7, 8 };

/* 2 x 2, on the host: C = A * B. */
static uint16_t multiply(struct bench *b, float c[4])
{
	struct vgpu_job job = make(b->s, VGPU_OP_BUILTIN);

	job.kernel = VGPU_KERNEL_SGEMM;
	job.sgemm = &shape;
	job.operand[0].host = (void *)(uintptr_t)x;
	job.operand[1].host = (void *)(uintptr_t)y;
	job.operand[2].host = c;
	for (int i = 0; i < 3; i++)
		job.operand[i].count = 4;
	return run(b, &job);
}

static void check_product(const float c[4])
{
	assert_true(c[0] == 23 && c[1] == 34 && c[2] == 31 && c[3] == 46);
}

static struct vgpu_job make_copy(struct bench *b, void *to, const void *from,
				 uint64_t offset)
{
	struct vgpu_job job = make(b->s, VGPU_OP_COPY);

	job.operand[!to].host = to ? to : (void *)(uintptr_t)from;
	job.operand[!!to].mem = &b->mem;
	job.operand[!!to].offset = offset;
	job.operand[0].count = job.operand[1].count = 16;
	return job;
}

/*
 * The same in the GPU's memory, behind and before others of its stream; begun
 * without a thread once the shape is known. Comes out in c.
 */
static void multiply_there(struct bench *b, float c[4])
{
	uint64_t at = b->mem.address + 2048;
	struct vgpu_job job[6];

	job[0] = make_copy(b, NULL, x, 0);
	job[1] = make_copy(b, NULL, y, 256);
	job[2] = make_launch(b->s, &b->count, &at);
	job[3] = make(b->s, VGPU_OP_BUILTIN);
	job[3].kernel = VGPU_KERNEL_SGEMM;
	job[3].sgemm = &shape;
	for (unsigned int i = 0; i < 3; i++) {
		job[3].operand[i].mem = &b->mem;
		job[3].operand[i].offset = 256 * i;
		job[3].operand[i].count = 4;
	}
	job[4] = make_launch(b->s, &b->count, &at);
	job[5] = make_copy(b, c, NULL, 512);
	for (int i = 0; i < 6; i++)
		vgpu_engine_submit(b->eng, &job[i]);
	reap(b->eng, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(job[i].status, VGPU_RSP_OK);
}

/* By cuBLAS, by our own kernel, and by neither. */
static void test_sgemm(void **state)
{
	float c[4] = { 0 };
	struct bench b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		if (i)
			setenv("FAKE_CUBLAS_FAIL", "1", 1);
		bench_open(&b, 0);
		setenv("FAKE_CUDA_FAIL", "cuMemAllocAsync:2", 1);
		assert_int_equal(multiply(&b, c), VGPU_RSP_NO_MEMORY);
		unsetenv("FAKE_CUDA_FAIL");
		/* With a new shape, and with one that is known. */
		for (int k = 0; k < 2; k++) {
			memset(c, 0, sizeof(c));
			assert_int_equal(multiply(&b, c), VGPU_RSP_OK);
			check_product(c);
			memset(c, 0, sizeof(c));
			multiply_there(&b, c);
			check_product(c);
		}
		bench_close(&b);
	}
}

/*
 * Beside a kernel that takes until it is told to end, a module is loaded: what
 * comes meanwhile is done afterwards, in order, and memory comes and goes at once.
 */
static void test_held(void **state)
{
	enum { N = 10 };
	struct vgpu_job slow, load, job[N], job2;
	struct vgpu_engine_module module;
	struct vgpu_engine_mem mem;
	uint64_t at, flag_at;
	uint32_t *flag;
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	at = b.mem.address;
	/* The fake's memory is ours. */
	flag_at = at + 2048;
	flag = (uint32_t *)(uintptr_t)flag_at;
	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
	slow = make_launch(b.t, &b.spin, &flag_at);
	vgpu_engine_submit(b.eng, &slow);
	load = make_load(b.s, &module);
	vgpu_engine_submit(b.eng, &load);
	for (int i = 0; i < N; i++) {
		job[i] = make_launch(b.s, &b.count, &at);
		vgpu_engine_submit(b.eng, &job[i]);
	}
	/* Does not wait for the slow one, nor for the load. */
	struct vgpu_engine_stream *u = vgpu_engine_stream_create(b.eng);

	job2 = make_alloc(u, &mem, 1000);
	vgpu_engine_submit(b.eng, &job2);
	reap(b.eng, 1);
	assert_int_equal(job2.status, VGPU_RSP_OK);
	vgpu_engine_mem_free(b.eng, &mem);
	assert_null(vgpu_engine_reap(b.eng));
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
	reap(b.eng, N + 2);
	assert_int_equal(slow.status, VGPU_RSP_OK);
	assert_int_equal(load.status, VGPU_RSP_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(job[i].status, VGPU_RSP_OK);
	vgpu_engine_stream_destroy(b.eng, u);
	vgpu_engine_module_unload(b.eng, &module);
	bench_close(&b);
}

/* How the processes end that test_time_limit() makes, if not as is said there. */
enum { AS_EXPECTED = 42, OTHERWISE = 43 };

/*
 * A kernel that never ends, and a module to be loaded: the time limit is kept.
 * In a process of its own: nothing ends that kernel.
 */
static void endless(uint64_t limit_ms)
{
	struct vgpu_job bad, load, next;
	struct vgpu_engine_module module;
	struct bench b;
	uint64_t at;

	bench_open(&b, limit_ms);
	at = b.mem.address;
	bad = make_launch(b.t, &b.spin, &at);
	vgpu_engine_submit(b.eng, &bad);
	load = make_load(b.s, &module);
	vgpu_engine_submit(b.eng, &load);
	next = make_launch(b.s, &b.count, &at);
	vgpu_engine_submit(b.eng, &next);
	reap(b.eng, 3);
	vgpu_engine_close(b.eng);
	_exit(bad.status == VGPU_RSP_TIMEOUT &&
	      load.status == VGPU_RSP_DEVICE_LOST &&
	      next.status == VGPU_RSP_DEVICE_LOST ? AS_EXPECTED : OTHERWISE);
}

/* A launch from which the driver never comes back. */
static void hanging(uint64_t limit_ms)
{
	struct vgpu_job job;
	struct bench b;
	uint64_t at;

	bench_open(&b, limit_ms);
	at = b.mem.address;
	setenv("FAKE_CUDA_HANG", "1", 1);
	job = make_launch(b.t, &b.count, &at);
	vgpu_engine_submit(b.eng, &job);
	_exit(OTHERWISE);
}

static int exit_status(void (*what)(uint64_t limit_ms), uint64_t limit_ms)
{
	uint64_t start = now_ms();
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(300);
		what(limit_ms);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(now_ms() - start >= limit_ms);
	return WEXITSTATUS(status);
}

static void test_time_limit(void **state)
{
	uint64_t limit_ms = LIMIT_MS;
	int how;

	(void)state;
	/*
	 * The watchdog ends a process whose threads stand still for longer than a
	 * busy machine would let them: once more, with more time.
	 */
	while ((how = exit_status(endless, limit_ms)) == EXIT_FAILURE &&
	       limit_ms < LIMIT_MOST_MS)
		limit_ms *= 8;
	assert_int_equal(how, AS_EXPECTED);
	assert_int_equal(exit_status(hanging, LIMIT_MS), EXIT_FAILURE);
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
		/* First: the driver does not survive a fork. */
		cmocka_unit_test(test_time_limit),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_modules),
		cmocka_unit_test(test_sgemm),
		cmocka_unit_test(test_held),
		/* Last: what is lost with a context is not given back. */
		cmocka_unit_test(test_errors),
	};

	(void)argc;
	use_fake_driver(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
