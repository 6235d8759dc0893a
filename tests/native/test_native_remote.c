// SPDX-License-Identifier: MIT
/*
 * test_native_remote.c - whole paths that end in an engine elsewhere
 *
 * From the frontend through vgpubackd and a confined vgpu-worker to vgpu-engined
 * on a Unix socket. Worlds as in path.h; the engine's server is the test's.
 */
#include "path.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	pid_t pid;
	char address[128];
	char option[160];
} engined;

/* vgpu-engined of the plain build: ../../../bin from the program's directory. */
static void become_engined(int log)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	path[n > 0 ? n : 0] = '\0';
	for (int up = 0; up < 4 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	strcat(path, "/bin/vgpu-engined");
	dup2(log, STDERR_FILENO);
	execl(path, path, "--engine", "cpu", "--listen", engined.address,
	      (char *)NULL);
	_exit(127);
}

/* Returns when it listens. */
static void engined_start(void)
{
	char line[1024];
	bool ready = false;
	int fds[2];
	FILE *log;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	engined.pid = fork();
	assert_true(engined.pid >= 0);
	if (!engined.pid)
		become_engined(fds[1]);
	close(fds[1]);
	log = fdopen(fds[0], "r");
	while (!ready && fgets(line, sizeof(line), log))
		ready = strstr(line, "event=ready");
	/* What it says later goes nowhere: it ignores SIGPIPE. */
	fclose(log);
	assert_true(ready);
}

static void engined_end(int sig)
{
	int status;

	kill(engined.pid, sig);
	assert_int_equal(waitpid(engined.pid, &status, 0), engined.pid);
	engined.pid = 0;
}

static int begin(void **state)
{
	(void)state;
	world_start(&w);
	snprintf(engined.address, sizeof(engined.address), "unix:%s/engine",
		 w.dir);
	snprintf(engined.option, sizeof(engined.option), "remote:%s",
		 engined.address);
	return 0;
}

static int begin_served(void **state)
{
	static const char *const options[] = {"--poll-us", "1000", NULL};

	begin(state);
	engined_start();
	world_backend_start(&w, engined.option, options);
	path_guest(&f, GUEST);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return world_end(&w) ? 0 : -1;
}

static int end_served(void **state)
{
	int rc = path_end(state);

	if (engined.pid)
		engined_end(SIGTERM);
	return rc;
}

static void serves_what_is_elsewhere(void **state)
{
	static const uint32_t sizes[] = {0, 1, 1000, 70001, 1 << 20};
	struct vgpu_request req;
	struct vectors v;

	(void)state;
	path_connect(&f);
	/* What runs the work is named, not how it is reached. */
	assert_string_equal(f.limits.engine, "cpu");
	assert_true(path_log_says("event=engine ", engined.option));
	assert_true(path_log_says("event=gate", engined.option));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		vectors_make(&f, &v, 1, sizes[i], 8, true);
		req = add_request(&v.a, &v.b, &v.c, v.n);
		assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
		vectors_check(&v);
		vectors_unmap(&f, &v);
		vectors_free(&f, &v);
	}
	path_disconnect(&f);
	assert_true(path_log_says("event=stats", "by_path=remote:"));
}

/* The engine's server is replaced under work: a confined worker finds it. */
static void replaced_server_is_found_again(void **state)
{
	struct vgpu_response rsp;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 1, 1 << 18, 0, false);
	path_flood(&f, &v, 200, 4);
	assert_int_equal(front_next(&f, &rsp), 1);
	engined_end(SIGTERM);
	engined_start();
	for (int i = 1; i < 200; i++) {
		assert_int_equal(front_next(&f, &rsp), 1);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
	}
	vectors_check(&v);
	vectors_unmap(&f, &v);
	vectors_free(&f, &v);
	path_disconnect(&f);
}

/*
 * 4,000 octets of buffer 1 filled with that number by way of device memory,
 * which stays. The response to the last request, behind quiet ones.
 */
static int fill_by_memory(uint32_t mem, uint32_t pattern)
{
	struct vgpu_request alloc = front_request(VGPU_OP_MEM_ALLOC);
	struct vgpu_request fill = front_request(VGPU_OP_FILL);
	struct vgpu_request copy = front_request(VGPU_OP_COPY);

	alloc.flags = fill.flags = VGPU_REQF_QUIET;
	alloc.u.mem_alloc.handle = mem;
	alloc.u.mem_alloc.length = 4000;
	fill.u.fill.handle = mem;
	fill.u.fill.pattern = pattern;
	fill.u.fill.width = 4;
	fill.u.fill.length = 4000;
	copy.u.copy.dst = 1;
	copy.u.copy.src = mem;
	copy.u.copy.length = 4000;
	front_put(&f, &alloc);
	front_put(&f, &fill);
	return front_call(&f, &copy, NULL);
}

/*
 * A guest that has memory there loses it with the server, is told so, and works
 * on with the next one.
 */
static void memory_goes_with_the_server(void **state)
{
	struct vgpu_request req;
	struct front_buffer b;
	unsigned int answered;
	const uint32_t *data;
	struct vectors v;

	(void)state;
	path_connect(&f);
	vectors_make(&f, &v, 2, 1000, 0, false);
	assert_true(buffer_make(&f, &b, 1, 4000, 0, false, true));
	req = buffer_map_request(&b);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	data = b.data;
	for (uint32_t i = 1; i < 5; i++) {
		assert_int_equal(fill_by_memory(VGPU_HANDLE_MEM | i, i),
				 VGPU_RSP_OK);
		assert_true(data[0] == i && data[999] == i);
	}
	engined_end(SIGTERM);
	engined_start();
	/* What needs no memory is lost, too: all or nothing. */
	req = add_request(&v.a, &v.b, &v.c, v.n);
	front_put(&f, &req);
	front_push(&f);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	assert_true(path_error_says("the engine lost its device"));
	path_settle(&f, &answered);
	assert_true(buffer_free(&f, &b));
	path_recovers(&v);
}

static void nobody_there_is_a_shut_gate(void **state)
{
	int status;

	(void)state;
	world_backend_start(&w, engined.option, NULL);
	assert_int_equal(waitpid(w.backend, &status, 0), w.backend);
	w.backend = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_true(path_log_says("event=gate", engined.option));
	assert_true(path_log_says("event=gate", "result=failed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(serves_what_is_elsewhere,
						begin_served, end_served),
		cmocka_unit_test_setup_teardown(replaced_server_is_found_again,
						begin_served, end_served),
		cmocka_unit_test_setup_teardown(memory_goes_with_the_server,
						begin_served, end_served),
		cmocka_unit_test_setup_teardown(nobody_there_is_a_shut_gate,
						begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
