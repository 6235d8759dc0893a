// SPDX-License-Identifier: MIT
/*
 * test_native_mps.c - workers that share a GPU's context through NVIDIA's
 * Multi-Process Service: what that costs whom
 *
 * Needs a GPU (VGPU_NATIVE_REAL_CUDA=1) and nvidia-cuda-mps-control; the daemon is
 * one of our own (mps.h). Guests 7 and 8 have mps=1, guest 9 has not.
 */
#include "path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mps.h"
#include "vgpu_nodes.h"

#define SHARES_TOO 8
#define ALONE 9
#define PATTERN 0x5ec7e700u

#define MEM(n) (VGPU_HANDLE_MEM | (n))
#define IMAGE 10
#define FUNCTION_STORE 1
#define FUNCTION_GATHER 2
#define NAME_AT 1024

/* kernels_ptx.S; without a NUL at its end */
extern const unsigned char kernels_ptx[], kernels_ptx_end[];

static struct mps mps;
static struct front g8, g9;

static void attach(struct front *front, uint32_t domid, bool share)
{
	const char *const nodes[] = {share ? VGPU_NODE_MPS : NULL, "1", NULL};

	world_domain_make(&w, domid, NX_MAX_GRANTS);
	world_attach_with(&w, domid, 0, nodes);
	assert_true(front_open(front, domid, 0));
	path_connect(front);
}

static int begin(void **state)
{
	const char *const options[] = {"--mps-pipe", mps.dir, NULL};

	(void)state;
	world_start(&w);
	world_backend_start(&w, "cuda", options);
	attach(&f, GUEST, true);
	attach(&g8, SHARES_TOO, true);
	attach(&g9, ALONE, false);
	return 0;
}

static int end(void **state)
{
	front_close(&g8);
	front_close(&g9);
	return path_end(state);
}

static int call(struct front *front, struct vgpu_request req,
		struct vgpu_response *rsp)
{
	return front_call(front, &req, rsp);
}

static void must(struct front *front, struct vgpu_request req)
{
	assert_int_equal(call(front, req, NULL), VGPU_RSP_OK);
}

static void adds(struct front *front)
{
	struct vectors v;

	vectors_make(front, &v, 1, 1000, 0, true);
	must(front, add_request(&v.a, &v.b, &v.c, v.n));
	vectors_check(&v);
	vectors_unmap(front, &v);
	vectors_free(front, &v);
}

/* Memory of one page, every word of it the pattern; its address. */
static uint64_t memory(struct front *front, uint32_t mem, uint32_t pattern)
{
	struct vgpu_request alloc = front_request(VGPU_OP_MEM_ALLOC);
	struct vgpu_request fill = front_request(VGPU_OP_FILL);
	struct vgpu_response rsp;

	alloc.u.mem_alloc.handle = mem;
	alloc.u.mem_alloc.length = NX_PAGE;
	assert_int_equal(call(front, alloc, &rsp), VGPU_RSP_OK);
	fill.u.fill.handle = mem;
	fill.u.fill.width = 4;
	fill.u.fill.pattern = pattern;
	fill.u.fill.length = NX_PAGE;
	must(front, fill);
	return rsp.value;
}

static void *arena(struct front *front, size_t at)
{
	return (char *)guest_at(&front->mem, front->arena_page) + at;
}

static void load(struct front *front, uint32_t function, const char *name)
{
	struct vgpu_request req = front_request(VGPU_OP_MODULE_LOAD);
	size_t size = kernels_ptx_end - kernels_ptx;
	struct front_buffer image;

	assert_true(buffer_make(front, &image, IMAGE, size, 0, true, false));
	must(front, buffer_map_request(&image));
	memcpy(image.data, kernels_ptx, size);
	req.u.module_load.module = 1;
	req.u.module_load.format = VGPU_MODULE_PTX;
	req.u.module_load.image.handle = IMAGE;
	req.u.module_load.image.count = size;
	must(front, req);
	must(front, buffer_unmap_request(&image));
	assert_true(buffer_free(front, &image));
	memcpy(arena(front, NAME_AT), name, strlen(name));
	req = front_request(VGPU_OP_FUNCTION_GET);
	req.u.function_get.module = 1;
	req.u.function_get.function = function;
	req.u.function_get.name_offset = NAME_AT;
	req.u.function_get.name_len = strlen(name);
	must(front, req);
}

static int launch(struct front *front, uint32_t function, const void *args,
		  size_t size)
{
	struct vgpu_request req = front_request(VGPU_OP_LAUNCH);

	memcpy(arena(front, 0), args, size);
	req.u.launch.function = function;
	for (int i = 0; i < 3; i++)
		req.u.launch.grid[i] = req.u.launch.block[i] = 1;
	req.u.launch.args_len = size;
	return call(front, req, NULL);
}

static pid_t worker(uint32_t domid)
{
	return world_count(&w, domid).mapper;
}

/* What a process was started with: "...=" and a value. */
static bool environment_has(pid_t pid, const char *text)
{
	char path[32], env[65536];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, env, sizeof(env) - 1);
	close(fd);
	for (char *at = env; n > 0 && at < env + n; at += strlen(at) + 1) {
		env[n] = '\0';
		if (!strcmp(at, text))
			return true;
	}
	return false;
}

/* Filtered and unprivileged as always, they are clients, and all results right. */
static void workers_are_clients(void **state)
{
	char pipe[128];

	(void)state;
	snprintf(pipe, sizeof(pipe), "CUDA_MPS_PIPE_DIRECTORY=%s", mps.dir);
	assert_true(environment_has(worker(GUEST), pipe));
	assert_true(environment_has(worker(SHARES_TOO), pipe));
	assert_false(environment_has(worker(ALONE), pipe));
	assert_true(mps_has_client(&mps, worker(GUEST)));
	assert_true(mps_has_client(&mps, worker(SHARES_TOO)));
	assert_false(mps_has_client(&mps, worker(ALONE)));
	for (int i = 0; i < 20; i++) {
		adds(&f);
		adds(&g8);
		adds(&g9);
	}
	path_disconnect(&f);
	path_disconnect(&g8);
	path_disconnect(&g9);
}

/* Addresses are a client's own, whatever is mapped there for another one. */
static void memory_is_of_one_guest(void **state)
{
	struct {
		uint64_t table, out;
		uint32_t n;
	} args = {.n = 1};
	struct vgpu_request copy = front_request(VGPU_OP_COPY);
	struct front_buffer b;
	uint64_t secret;
	int status;

	(void)state;
	secret = memory(&g8, MEM(1), PATTERN);
	load(&f, FUNCTION_GATHER, "gather");
	args.table = memory(&f, MEM(1), 0);
	args.out = memory(&f, MEM(2), 0);
	assert_true(buffer_make(&f, &b, 1, NX_PAGE, 0, false, false));
	must(&f, buffer_map_request(&b));
	memcpy(b.data, &secret, sizeof(secret));
	copy.u.copy.dst = MEM(1);
	copy.u.copy.src = 1;
	copy.u.copy.length = sizeof(secret);
	must(&f, copy);
	status = launch(&f, FUNCTION_GATHER, &args, 20);
	print_message("# reading another guest's address: status %d\n", status);
	if (status == VGPU_RSP_OK) {
		copy.u.copy.dst = 1;
		copy.u.copy.src = MEM(2);
		must(&f, copy);
		assert_true(*(uint32_t *)b.data != PATTERN);
		return;
	}
	assert_int_equal(status, VGPU_RSP_FAULT);
}

/* As a guest's driver does after the loss. */
static void again(struct front *front)
{
	assert_true(front_wait_back(front, XenbusStateClosed));
	assert_true(front_drop(front));
	assert_true(front_restart(front));
	path_connect(front);
	adds(front);
}

/*
 * The price of sharing a context: who shares it loses the device, too. Both get it
 * back; the guest that does not share it notices nothing.
 */
static void a_fault_is_of_all_who_share(void **state)
{
	const uint64_t nowhere = 64;
	struct vgpu_response rsp;
	pid_t undisturbed = worker(ALONE), other = worker(SHARES_TOO);
	struct vectors v;
	int status;

	(void)state;
	vectors_make(&g8, &v, 1, 1000, 0, true);
	must(&g8, add_request(&v.a, &v.b, &v.c, v.n));
	load(&f, FUNCTION_STORE, "store");
	assert_int_equal(launch(&f, FUNCTION_STORE, &nowhere, 8),
			 VGPU_RSP_FAULT);
	status = call(&g8, add_request(&v.a, &v.b, &v.c, v.n), &rsp);
	print_message("# the other client: status %d\n", status);
	adds(&g9);
	assert_int_equal(worker(ALONE), undisturbed);
	again(&f);
	if (status == VGPU_RSP_OK) {
		vectors_check(&v);
		assert_int_equal(worker(SHARES_TOO), other);
		return;
	}
	assert_true(status == VGPU_RSP_DEVICE_LOST || status == VGPU_RSP_FAULT);
	assert_true(front_wait_back(&g8, XenbusStateClosed));
	vectors_free(&g8, &v);
	again(&g8);
	adds(&g9);
	assert_int_equal(worker(ALONE), undisturbed);
}

#define MPS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MPS_TEST(workers_are_clients),
		MPS_TEST(memory_is_of_one_guest),
		MPS_TEST(a_fault_is_of_all_who_share),
	};
	char why[256];
	int rc;

	if (!getenv("VGPU_NATIVE_REAL_CUDA")) {
		puts("1..0 # SKIP without a GPU there is nothing to share");
		return 0;
	}
	if (!mps_begin(&mps, why)) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	alarm(300);
	rc = cmocka_run_group_tests_name("native MPS", tests, NULL, NULL);
	mps_end(&mps);
	return rc;
}
