// SPDX-License-Identifier: MIT
/*
 * test_native_engine.c - whole paths where the engine makes the difference
 *
 * Gates that do not open, an engine that is lost and replaced, limits that are
 * options. The cuda engine runs on the fake driver of tests/conformance, where
 * the build has one. Worlds as in path.h.
 */
#include "path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int begin_debug(void **state)
{
	static const char *const options[] = {"--debug-kernels", NULL};

	(void)state;
	return path_begin_with("cpu", options);
}

static int begin_few_pages(void **state)
{
	static const char *const options[] = {"--max-mapped-pages", "100",
					      NULL};

	(void)state;
	return path_begin_with("cpu", options);
}

/* A world without a backend, in which the test starts its own. */
static int begin_bare(void **state)
{
	(void)state;
	world_start(&w);
	return 0;
}

/* There is a frontend, for path_end() to close. */
static bool has_guest;

static int end_bare(void **state)
{
	int rc = has_guest ? path_end(state) : world_end(&w) ? 0 : -1;

	has_guest = false;
	unsetenv("LD_LIBRARY_PATH");
	unsetenv("FAKE_CUDA_FAIL");
	unsetenv("FAKE_CUDA_WRONG");
	unsetenv(NX_ENV_NO_REGIONS);
	return rc;
}

/* Where the fake driver is, if the build has made it: see main(). */
static char fake_driver[4096];

static bool find_fake_driver(void)
{
	char file[sizeof(fake_driver) + 16];
	ssize_t n = readlink("/proc/self/exe", fake_driver,
			     sizeof(fake_driver) - 64);

	if (n <= 0)
		return false;
	fake_driver[n] = '\0';
	/* build/native/<variant>/bin/<program> */
	for (int up = 0; up < 4; up++)
		*strrchr(fake_driver, '/') = '\0';
	strcat(fake_driver, "/test/fake");
	snprintf(file, sizeof(file), "%s/libcuda.so.1", fake_driver);
	return !access(file, R_OK);
}

/* The backend finds the fake driver, and no other. */
static void use_fake_driver(void)
{
	setenv("LD_LIBRARY_PATH", fake_driver, 1);
}

/* --engine cuda: the daemon ends by itself, and its log says why. */
static void gate_stays_shut(const char *why)
{
	int status;

	world_backend_start(&w, "cuda", NULL);
	assert_int_equal(waitpid(w.backend, &status, 0), w.backend);
	w.backend = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_true(path_log_says("event=gate", "engine=cuda"));
	assert_true(path_log_says("event=gate", "result=failed"));
	assert_true(path_log_says("event=gate", why));
	assert_true(path_log_says("event=fatal", why));
	assert_null(path_log("event=offer "));
}

/* A library that cannot be loaded hides one that could. */
static void no_driver(void **state)
{
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/libcuda.so.1", w.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	setenv("LD_LIBRARY_PATH", w.dir, 1);
	gate_stays_shut("why=\"");
}

static void cuda_fake_no_gpu(void **state)
{
	(void)state;
	use_fake_driver();
	setenv("FAKE_CUDA_FAIL", "cuInit:100", 1);
	gate_stays_shut("initialisation: cuInit");
}

/* CUDA_ERROR_SYSTEM_DRIVER_MISMATCH */
static void cuda_fake_driver_mismatch(void **state)
{
	(void)state;
	use_fake_driver();
	setenv("FAKE_CUDA_FAIL", "cuInit:803", 1);
	gate_stays_shut("initialisation: cuInit");
}

/* CUDA_ERROR_OUT_OF_MEMORY */
static void cuda_fake_no_memory(void **state)
{
	(void)state;
	use_fake_driver();
	setenv("FAKE_CUDA_FAIL", "cuMemAlloc_v2:2", 1);
	gate_stays_shut("device memory: cuMemAlloc");
}

static struct vgpu_request fault_request(const struct vectors *v)
{
	struct vgpu_request req = add_request(&v->a, &v->b, &v->c, v->n);

	req.u.builtin.kernel = VGPU_KERNEL_DEBUG_FAULT;
	return req;
}

/* One fault among work of other streams: takes all answers there are. */
static void fault_in_a_crowd(const struct vectors *v)
{
	enum { AROUND = 40 };
	struct vgpu_request req = fault_request(v);
	unsigned int given_up = 0, faults = 0, answers = 0;
	struct vgpu_response rsp;
	bool lost = false;
	int culprit = -1;

	for (unsigned int i = 0; i < AROUND; i++) {
		struct vgpu_request add = vectors_share(v, i % 4, 4);

		if (i == AROUND / 2) {
			req.stream = 9;
			culprit = front_put(&f, &req);
			assert_true(culprit >= 0);
		}
		assert_true(front_put(&f, &add) >= 0);
	}
	front_push(&f);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	while (front_get(&f, &rsp) > 0) {
		answers++;
		if (rsp.id == culprit) {
			assert_int_equal(rsp.status, VGPU_RSP_FAULT);
			faults++;
		} else if (lost) {
			/* Nothing is said to be right any more. */
			assert_int_equal(rsp.status, VGPU_RSP_DEVICE_LOST);
		}
		lost |= rsp.status != VGPU_RSP_OK;
	}
	assert_int_equal(faults, 1);
	for (unsigned int id = 0; id < RING_SIZE(&f.ring.front); id++)
		given_up += vgpufront_ring_abort(&f.ring, id);
	assert_int_equal(answers + given_up, AROUND + 1);
	/* One push is one turn of the worker: it has read them all. */
	assert_int_equal(given_up, 0);
}

static void fault_costs_one_worker(void **state)
{
	struct vectors v;
	pid_t worker;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 4000, 0, false);
	worker = world_count(&w, GUEST).mapper;
	fault_in_a_crowd(&v);
	assert_true(path_error_says("work faulted on the device"));
	assert_true(path_log_says("event=broken", "work faulted"));
	assert_true(path_log_says("event=stats", "FAULT:1"));
	path_nothing_left(GUEST);
	vectors_free(&f, &v);
	assert_true(front_drop(&f));
	assert_true(front_restart(&f));
	path_connect(&f);
	assert_int_not_equal(world_count(&w, GUEST).mapper, worker);
	vectors_make(&f, &v, 1, 4000, 0, true);
	path_flood(&f, &v, 4, 4);
	for (int i = 0; i < 4; i++) {
		struct vgpu_response rsp;

		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
	}
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

/*
 * The backend on the cuda engine, and a guest. The driver is the fake one, or the
 * machine's where the environment says so.
 */
static void cuda_begin(void)
{
	static const char *const options[] = {"--debug-kernels", NULL};

	if (!getenv("VGPU_NATIVE_REAL_CUDA"))
		use_fake_driver();
	world_backend_start(&w, "cuda", options);
	path_guest(&f, GUEST);
	has_guest = true;
}

static void cuda_fault_costs_one_worker(void **state)
{
	cuda_begin();
	fault_costs_one_worker(state);
}

/* From one page to what goes in many chunks. */
static void adds_are_right(void)
{
	static const uint32_t sizes[] = {1, 1000, 65537, 3 << 20};
	struct vgpu_request req;
	struct vectors v;

	path_connect(&f);
	assert_string_equal(f.limits.engine, "cuda");
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		vectors_make(&f, &v, 1, sizes[i], 4, false);
		req = add_request(&v.a, &v.b, &v.c, v.n);
		assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
		vectors_check(&v);
		vectors_unmap(&f, &v);
		vectors_free(&f, &v);
	}
	path_disconnect(&f);
}

/* The ways of the last device's jobs, allocated: "zero-copy:3,pipelined:1". */
static char *paths(void)
{
	static const char key[] = "by_path=";
	char *line = path_log("event=stats"), *at;

	assert_non_null(line);
	at = strstr(line, key);
	assert_non_null(at);
	at += strlen(key);
	at[strcspn(at, " ")] = '\0';
	memmove(line, at, strlen(at) + 1);
	return line;
}

static void cuda_works_on_mapped_pages_in_place(void **state)
{
	char *by;

	(void)state;
	cuda_begin();
	adds_are_right();
	assert_true(path_log_says("event=dma-test", "result=passed"));
	by = paths();
	assert_non_null(strstr(by, "zero-copy:"));
	assert_null(strstr(by, "staged"));
	free(by);
}

static void staged_only(const char *why)
{
	char *by;

	cuda_begin();
	adds_are_right();
	assert_true(path_log_says("event=dma-test", "result=no-regions"));
	assert_true(path_log_says("event=dma-test", why));
	by = paths();
	assert_memory_equal(by, "staged-", 7);
	assert_null(strstr(by, ",zero-copy"));
	assert_null(strstr(by, ",pipelined"));
	free(by);
}

static void cuda_without_regions_stages_all(void **state)
{
	(void)state;
	setenv(NX_ENV_NO_REGIONS, "1", 1);
	staged_only(NX_ENV_NO_REGIONS);
}

/* A driver that pins the pages and then looks elsewhere: found in time. */
static void cuda_fake_wrong_dma_is_found_before_work(void **state)
{
	(void)state;
	setenv("FAKE_CUDA_WRONG", "copy-out", 1);
	staged_only("why=\"");
}

/* No order of three pages shows what memory in many pieces would. */
static void small_arena_proves_nothing(void **state)
{
	(void)state;
	assert_true(front_connect(&f, VGPUIF_MAX_RING_PAGE_ORDER, 3));
	assert_true(path_log_says("event=dma-test", "too small"));
	path_disconnect(&f);
}

static void fault_needs_the_option(void **state)
{
	struct vgpu_request req;
	char *builtins;
	struct vectors v;

	(void)state;
	path_connect(&f);
	builtins = world_back_read(&w, GUEST, 0, "builtins");
	assert_string_equal(builtins, "vector-add saxpy sgemm reduce-sum");
	free(builtins);
	vectors_make(&f, &v, 1, 100, 0, false);
	req = fault_request(&v);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_UNSUPPORTED);
	/* And nothing came of it. */
	req = add_request(&v.a, &v.b, &v.c, v.n);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

static void fault_is_offered_with_it(void **state)
{
	char *builtins;

	(void)state;
	path_connect(&f);
	builtins = world_back_read(&w, GUEST, 0, "builtins");
	assert_string_equal(builtins,
			    "vector-add saxpy sgemm reduce-sum debug-fault");
	free(builtins);
	path_disconnect(&f);
}

static void mapped_pages_are_an_option(void **state)
{
	static const struct {
		uint32_t handle, pages;
		enum vgpu_status want;
	} maps[] = {
		{1, 60, VGPU_RSP_OK},
		{2, 41, VGPU_RSP_QUOTA},
		{3, 40, VGPU_RSP_OK},
		{4, 1, VGPU_RSP_QUOTA},
	};
	struct front_buffer b[4];
	struct vgpu_request req;

	(void)state;
	path_connect(&f);
	for (int i = 0; i < 4; i++) {
		assert_true(buffer_make(&f, &b[i], maps[i].handle,
					maps[i].pages * NX_PAGE, 0, false,
					false));
		req = buffer_map_request(&b[i]);
		assert_int_equal(front_call(&f, &req, NULL), maps[i].want);
	}
	/* Those of the ring and the arena are not counted. */
	assert_int_equal(world_count(&w, GUEST).mapped, 100 + 32);
	req = buffer_unmap_request(&b[0]);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	req = buffer_map_request(&b[1]);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	assert_true(front_state(&f, XenbusStateClosing));
	assert_true(front_wait_back(&f, XenbusStateClosed));
	for (int i = 0; i < 4; i++)
		assert_true(buffer_free(&f, &b[i]));
	assert_true(front_drop(&f));
}

static void bad_options_are_refused(void **state)
{
	static const char *const bad[][3] = {
		{"--poll-us", "1000001"},   {"--poll-us", "-1"},
		{"--poll-us", "5us"},	    {"--max-mapped-pages", "0"},
		{"--max-mapped-pages", ""}, {"--max-mapped-pages", "16777217"},
		{"--engine", "remote:"},    {"--engine", "gpu"},
		{"--slice-us", "99"},	    {"--slice-us", "1000001"},
		{"--mps-pipe", "mps"},	    {"--mps-pipe", ""},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status;

		world_backend_start(&w, "cpu", bad[i]);
		assert_int_equal(waitpid(w.backend, &status, 0), w.backend);
		w.backend = 0;
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	}
}

/* It remembers devices for domains, and has none for its own. */
static void engine_none_serves_nobody(void **state)
{
	char *text;

	(void)state;
	world_backend_start(&w, "none", NULL);
	world_domain_make(&w, GUEST, NX_MAX_GRANTS);
	world_attach(&w, GUEST, 0);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	text = world_back_read(&w, GUEST, 0, "error");
	assert_non_null(text);
	assert_string_equal(text,
			    "this vgpubackd serves no GPU (--engine none)");
	free(text);
	assert_null(path_log("event=gate"));
	world_domain_destroy(&w, GUEST);
	assert_true(world_wait_removed(&w, GUEST));
}

#define BARE_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, begin_bare, end_bare)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_TEST(no_driver),
		BARE_TEST(cuda_fake_no_gpu),
		BARE_TEST(cuda_fake_driver_mismatch),
		BARE_TEST(cuda_fake_no_memory),
		BARE_TEST(bad_options_are_refused),
		BARE_TEST(engine_none_serves_nobody),
		cmocka_unit_test_setup_teardown(fault_costs_one_worker,
						begin_debug, path_end),
		cmocka_unit_test_setup_teardown(fault_is_offered_with_it,
						begin_debug, path_end),
		BARE_TEST(cuda_fault_costs_one_worker),
		BARE_TEST(cuda_works_on_mapped_pages_in_place),
		BARE_TEST(cuda_without_regions_stages_all),
		BARE_TEST(cuda_fake_wrong_dma_is_found_before_work),
		PATH_TEST(small_arena_proves_nothing),
		PATH_TEST(fault_needs_the_option),
		cmocka_unit_test_setup_teardown(mapped_pages_are_an_option,
						begin_few_pages, path_end),
	};

	if (getenv("VGPU_NATIVE_REAL_CUDA")) {
		cmocka_set_skip_filter("cuda_fake_*");
	} else if (!find_fake_driver()) {
		puts("# built without the CUDA toolkit: no tests of the cuda engine");
		cmocka_set_skip_filter("cuda_*");
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
